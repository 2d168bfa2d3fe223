"""What kinds of facilities there are, as people read them."""

from typing import NamedTuple


class Words(NamedTuple):
    """The name of a kind."""

    vi: str
    en: str


LEVELS = {
    "province": Words("Tuyến tỉnh", "Province level"),
    "regional": Words("Khu vực", "Regional level"),
    "commune_station": Words("Trạm y tế", "Commune station"),
    "clinic": Words("Phòng khám", "Clinic"),
    "department": Words("Sở Y tế", "Health department"),
}
OWNERSHIPS = {"public": Words("Công lập", "Public"), "private": Words("Ngoài công lập", "Private")}

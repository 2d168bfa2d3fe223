"""dashboards.toml: the list of facilities that decides who gets mail."""

from pathlib import Path

import pytest

from contract.errors import ConfigError
from dashboards.settings import load


def settings_with(directory: Path, facilities: str) -> Path:
    (directory / "facilities.csv").write_text(facilities, "utf-8")
    file = directory / "dashboards.toml"
    file.write_text('[dashboards]\nportal_url = "https://x.example"\nfacilities_file = "facilities.csv"\n', "utf-8")
    return file


def test_the_facilities_are_read_with_their_addresses(tmp_path: Path) -> None:
    file = settings_with(tmp_path, "id,name,level,area,email\n12001,Bệnh viện,province,Xã A, a@x.vn \n")
    (place,) = load(file).places
    assert (place.id, place.name, place.area, place.email) == ("12001", "Bệnh viện", "Xã A", "a@x.vn")


def test_a_line_that_ends_early_is_a_facility_without_an_address(tmp_path: Path) -> None:
    (place,) = load(settings_with(tmp_path, "id,name,area,email\n12001,Bệnh viện\n")).places
    assert (place.area, place.email) == ("", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "thiếu cột id, name, area, email"), ("id,name,area\n1,A,B\n", "email"), ("id,name,area,email\n", "không ai")],
)
def test_a_list_that_would_send_no_mail_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(settings_with(tmp_path, text))

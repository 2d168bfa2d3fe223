"""The eight verdicts on a standing: number, words, colour; the same everywhere (architecture.md, "Verdict")."""

from enum import IntEnum


class Verdict(IntEnum):
    """The number is what `nhipso_indicator_verdict` exports; `code` is what APIs, labels and URLs say."""

    NOT_APPLICABLE = 0
    NO_DATA = 1
    UNKNOWN = 2
    INSUFFICIENT = 3
    NO_TARGET = 4
    BELOW = 5
    NEAR = 6
    MET = 7

    @property
    def code(self) -> str:
        """As in APIs, metric labels and URLs: `not_applicable` … `met`."""
        return self.name.lower()

    @property
    def vi(self) -> str:
        """The word that people read."""
        return _WORDS[self][0]

    @property
    def en(self) -> str:
        """The same in English."""
        return _WORDS[self][1]

    @property
    def colour(self) -> str:
        """Told apart by colour-blind readers and in greyscale (after Okabe and Ito, darkened to 4.5 : 1 on white)."""
        return _WORDS[self][2]


_WORDS = {
    Verdict.NOT_APPLICABLE: ("Không áp dụng", "Not applicable", "#767676"),
    Verdict.NO_DATA: ("Chưa có số liệu", "No data", "#595959"),
    Verdict.UNKNOWN: ("Chưa phân loại", "Unclassified", "#8F4A75"),
    Verdict.INSUFFICIENT: ("Ít số liệu", "Too few cases", "#4A6A8A"),
    Verdict.NO_TARGET: ("Không có chỉ tiêu", "No target", "#5C6770"),
    Verdict.BELOW: ("Chưa đạt", "Below target", "#B04A00"),
    Verdict.NEAR: ("Gần đạt", "Near target", "#856404"),
    Verdict.MET: ("Đạt", "On target", "#00694E"),
}

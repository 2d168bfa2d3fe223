"""The eight verdicts: numbers and words are those of the design pages (architecture.md, contract.md)."""

from contract.verdict import Verdict


def test_numbers_codes_and_words_are_those_that_people_rely_on() -> None:
    assert [(int(one), one.code, one.vi) for one in Verdict] == [
        (0, "not_applicable", "Không áp dụng"),
        (1, "no_data", "Chưa có số liệu"),
        (2, "unknown", "Chưa phân loại"),
        (3, "insufficient", "Ít số liệu"),
        (4, "no_target", "Không có chỉ tiêu"),
        (5, "below", "Chưa đạt"),
        (6, "near", "Gần đạt"),
        (7, "met", "Đạt"),
    ]


def test_each_has_an_english_word_and_a_colour_of_its_own() -> None:
    assert len({one.en for one in Verdict}) == 8
    assert len({one.colour for one in Verdict}) == 8


def luminance(colour: str) -> float:
    """Relative luminance of `#RRGGBB` (WCAG 2.1)."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_words_in_these_colours_can_be_read_on_white() -> None:
    assert {one.code for one in Verdict if 1.05 / (luminance(one.colour) + 0.05) < 4.5} == set()

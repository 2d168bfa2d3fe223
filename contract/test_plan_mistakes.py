"""What is said of a plan file with mistakes: all of them at once, where they stand and what to write instead."""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from contract.errors import ConfigError
from contract.plan import load, parse
from contract.test_plan import CATALOGUE, FACILITIES, ONE, a_manual, a_plan, a_target

MANY = """
titel = "Kế hoạch"
issuer = "Sở Y tế"
short = "KH"
first_day = 2026-12-31
last_day = 2026-01-01
in_force_until = "hôm nay"

[[targets]]
indicator = "emrr"
ratio = "90%"
operator = "="
uses_at = 0.5
words = "90 % bệnh án"
applies_to = { levels = ["hospital"], owner = "public" }
overrides = [
  { facility = "12001", ratio = 90, reason = "Công văn 1" },
  { facility = "12001", ratio = 0.8, reason = "Công văn 2" },
]

[[targets]]
indicator = "cashless"
ratio = 1
operator = ">"
section = "II"
words = "100 %"

[[targets]]
indicator = "cashless"
ratio = 0.8
section = "III"
words = "80 %"

[[manual]]
code = "Units Inspected"
vi = "Đơn vị được kiểm tra"
en = "Units inspected"
value = 9500
section = "II.1"
words = "95 %"

[[follow]]
measure = "telemedicin"
section = "III"
words = "khám từ xa"
"""
KNOWN = {"12001": ("province", "public"), "12002": ("clinic", "private"), "so-y-te": ("department", "public")}


def said(content: Mapping[str, Any], facilities: Mapping[str, tuple[str, str]] | None = None) -> list[str]:
    """What is wrong, without the file's name; empty when nothing is."""
    try:
        parse(content, "sai.toml", CATALOGUE, facilities)
    except ConfigError as error:
        return [one.removeprefix("sai.toml: ") for one in error.problems]
    return []


def test_all_mistakes_of_shape_and_of_meaning_are_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "nhieu.toml"
    file.write_text(MANY, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load([file], CATALOGUE)
    emrr, manual = "[[targets]] thứ 1 (emrr)", "[[manual]] thứ 1 (Units Inspected, II.1)"
    levels = "'province', 'regional', 'commune_station', 'clinic', 'department'"
    assert [one.removeprefix(f"{file}: ") for one in caught.value.problems] == [
        "title: thiếu khóa bắt buộc này (tên của văn bản)",
        "in_force_until: phải là một ngày, dạng 2026-01-31",
        f"{emrr}: operator: phải là một trong: '>=', '>'",
        f"{emrr}: ratio: phải là một số, không kèm dấu % (95 % viết là 0.95)",
        f"{emrr}: applies_to.levels thứ 1: phải là một trong: {levels}",
        f"{emrr}: applies_to.owner: không có khóa này; các khóa dùng được: levels, ownership, facilities",
        f'{emrr}: section: thiếu khóa bắt buộc này (chỗ trong văn bản, ví dụ "II.7")',
        f"{emrr}: overrides thứ 1 (12001): ratio: phải không quá 1 (95 % viết là 0.95)",
        f"{manual}: code: không đúng dạng (mã ngắn, chỉ có chữ thường không dấu, chữ số và dấu gạch dưới)",
        "titel: không có khóa này; các khóa dùng được: issuer, number, title, short, signed, first_day, last_day, "
        "in_force_until, targets, manual, follow",
        "first_day phải không sau last_day (01/01/2026)",
        f'{emrr}: uses_at chỉ đi với unit = "facilities": thêm unit = "facilities", hoặc bỏ uses_at',
        f"{emrr}: uses_at là quyết định của Sở: thêm uses_at_reason, nêu lý do",
        f"{emrr}: overrides: cơ sở 12001 lặp lại: giữ một dòng",
        f"{emrr}: danh mục không có chỉ số “emrr”: có phải “emr”?",
        '[[targets]] thứ 2 (cashless, II): không tỷ lệ nào lớn hơn 100 %: dùng operator = ">="',
        f'{manual}: số phần trăm phải không quá 100 (20 % viết là 20); không phải phần trăm thì dùng unit = "count"',
        "[[follow]] thứ 1 (telemedicin, III): danh mục không có số đếm “telemedicin”: có phải “telemedicine”?",
        "[[targets]] thứ 3 (cashless, III): không bao giờ được dùng, vì bảng trước của cashless đã áp dụng cho mọi cơ "
        "sở này: bỏ một bảng, hoặc thu hẹp applies_to của bảng trước",
    ]


def test_the_mistakes_of_all_files_are_named(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("mot.toml", "hai.toml", "ba.toml", "bon.toml")]
    files[0].write_text('id = "ba"\n' + MANY, "utf-8")
    files[1].write_bytes(b"\xff\xfe")
    files[2].write_text("[[targets\n")
    (tmp_path / "khac").mkdir()
    again = tmp_path / "khac" / "mot.toml"
    again.write_text(MANY, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load([*files, again], CATALOGUE)
    of = {file: [one for one in caught.value.problems if one.startswith(f"{file}: ")] for file in [*files, again]}
    assert of[files[0]][0] == f"{files[0]}: id: mã của kế hoạch là tên tệp: bỏ khóa này"
    assert [len(of[one]) for one in (files[0], again)] == [20, 19]
    assert of[files[1]] == [f"{files[1]}: không đọc được tệp (UnicodeDecodeError)"]
    assert of[files[2]][0].startswith(f"{files[2]}: không phải là TOML đúng")
    assert of[files[3]] == [f"{files[3]}: không đọc được tệp (FileNotFoundError)"]
    assert caught.value.problems[-1] == "kế hoạch “mot” được khai báo hai lần: bỏ một, hoặc đổi tên tệp"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"targets": [a_target(ratio=0)]},
            "[[targets]] thứ 1 (emr, II.7): từ 0 % trở lên thì tỷ lệ nào cũng đạt: ghi con số của văn bản, hoặc bỏ "
            "ratio để theo dõi",
        ),
        (
            {"targets": a_target()},  # [targets], as if there were one
            "targets: phải là danh sách [ … ] (mỗi chỉ tiêu một bảng [[targets]])",
        ),
        (
            {"targets": [a_target(**FACILITIES | {"uses_at": 0})]},
            "[[targets]] thứ 1 (emr, II.7): uses_at: phải lớn hơn 0 (95 % viết là 0.95)",
        ),
        (
            {"targets": [a_target(uses_at_reason="Sở quyết định")]},
            "[[targets]] thứ 1 (emr, II.7): uses_at_reason nói về uses_at mà không có uses_at: thêm uses_at, hoặc bỏ "
            "khóa này",
        ),
        (
            {"targets": [a_target(applies_to={"facilities": [" "]})]},
            "[[targets]] thứ 1 (emr, II.7): applies_to.facilities thứ 1: không được để trống",
        ),
        (
            {"targets": [a_target(applies_to={"levels": ["clinic", "department"]})]},
            "[[targets]] thứ 1 (emr, II.7): applies_to.levels: danh mục không tính chỉ số này cho “department” (Sở Y "
            "tế), chỉ cho province, regional, commune_station, clinic: bỏ “department”",
        ),
        (
            {"targets": [a_target(applies_to={"facilities": ["12002"]}, overrides=[ONE])]},
            "[[targets]] thứ 1 (emr, II.7): overrides: cơ sở 12001 không thuộc diện áp dụng: sửa applies_to, hoặc bỏ "
            "cơ sở này",
        ),
        (
            {"manual": [a_manual(operator=">")]},
            '[[manual]] thứ 1 (apologies, I): không con số nào lớn hơn 100 %: dùng operator = ">="',
        ),
        (
            {"manual": [a_manual(operator="<", value=0)]},
            '[[manual]] thứ 1 (apologies, I): không con số nào nhỏ hơn 0: dùng operator = "<="',
        ),
        (
            {"manual": [{key: value for key, value in a_manual(operator=">").items() if key != "value"}]},
            "[[manual]] thứ 1 (apologies, I): không có value thì chỉ theo dõi: thêm value, hoặc bỏ operator",
        ),
        (
            {"follow": [{"measure": "telemedicine", "section": one, "words": "a"} for one in ("I", "II")]},
            "[[follow]] thứ 2 (telemedicine, II): không bao giờ được dùng, vì bảng trước của telemedicine đã áp dụng "
            "cho mọi cơ sở này: bỏ một bảng, hoặc thu hẹp applies_to của bảng trước",
        ),
    ],
)
def test_a_mistake_says_where_it_stands_and_what_to_write_instead(changes: dict[str, Any], problem: str) -> None:
    assert said(a_plan(**changes)) == [problem]


PUBLIC, PRIVATE = ({"ownership": [one]} for one in ("public", "private"))


@pytest.mark.parametrize(
    ("applies_to", "held"),
    [
        ([{}, PUBLIC], [0]),
        ([PUBLIC, {}], [0, 1]),  # the second is for the private ones
        ([PUBLIC, PRIVATE], [0, 1]),
        ([PUBLIC, PRIVATE, {}], [0, 1]),  # nobody is left
        ([{"levels": ["province", "clinic"]}, {"levels": ["clinic"]}, {"levels": ["regional"]}], [0, 2]),
        ([{"facilities": ["12001"]}, {"facilities": ["12001"]}, {"facilities": ["12002"]}, {}], [0, 2, 3]),
    ],
)
def test_a_target_that_earlier_ones_leave_nobody_to_is_a_mistake(applies_to: list[Any], held: list[int]) -> None:
    found = said(a_plan(targets=[a_target(applies_to=one, ratio=Decimal("0.5")) for one in applies_to]))
    never = {number for number in range(len(applies_to)) if any(f"thứ {number + 1} " in one for one in found)}
    assert never == set(range(len(applies_to))) - set(held)
    assert len(found) == len(never)


def test_the_facilities_of_a_plan_are_held_against_the_registry() -> None:
    day = {"day": date(2026, 2, 1)}
    target = a_target(
        applies_to={"facilities": ["12001", "12003", "so-y-te"], "ownership": ["public"]},
        overrides=[ONE | {"facility": "1200"}, ONE | {"facility": "12002"}, ONE],
        baselines=[ONE | day | {"facility": "khac"}, ONE | day],
    )
    manual = a_manual(applies_to={"facilities": ["so-y-ta"]})
    emr = "[[targets]] thứ 1 (emr, II.7)"
    assert said(a_plan(targets=[target], manual=[manual]), KNOWN) == [
        f"{emr}: applies_to.facilities: danh bạ không có cơ sở “12003”: có phải “12002”?",
        f"{emr}: applies_to.facilities: cơ sở so-y-te (Sở Y tế, Công lập) không thuộc diện áp dụng: sửa applies_to, "
        "hoặc bỏ cơ sở này",
        f"{emr}: overrides: danh bạ không có cơ sở “1200”: có phải “12002”?",
        f"{emr}: overrides: cơ sở 12002 (Phòng khám, Ngoài công lập) không thuộc diện áp dụng: sửa applies_to, hoặc bỏ "
        "cơ sở này",
        f"{emr}: baselines: danh bạ không có cơ sở “khac”: sửa mã, hoặc đăng ký cơ sở trước (facility add)",
        "[[manual]] thứ 1 (apologies, I): applies_to.facilities: danh bạ không có cơ sở “so-y-ta”: có phải “so-y-te”?",
    ]
    assert said(a_plan(targets=[a_target(overrides=[ONE])]), KNOWN) == []


def test_what_could_not_be_read_is_not_judged() -> None:
    """A ratio that is no number is not "no ratio", and an unread `applies_to` leaves nobody out."""
    unread = a_target(**FACILITIES | {"ratio": "tất cả"})
    assert [one.partition(": ")[2] for one in said(a_plan(targets=[unread]))] == [
        "ratio: phải là một số, không kèm dấu % (95 % viết là 0.95)"
    ]
    # a key that belongs elsewhere hides nothing either
    assert len(said(a_plan(targets=[a_target(indicator="emrr", day=date(2026, 1, 1), facility="12001")]))) == 3
    targets = [a_target(applies_to={"levels": ["hospital"]}), a_target(deadline="31/12"), a_target(ratio="?")]
    assert len(said(a_plan(targets=targets))) == 3

"""Plans: the five shipped files say what the documents say, and a file with mistakes is refused with all of them."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import SAMPLES
from contract import calendar, catalogue
from contract.errors import ConfigError
from contract.plan import AppliesTo, Follow, Manual, Plan, Target, load, parse, read

CONFIG = Path(__file__).parent.parent / "config"
DOCUMENTS = SAMPLES.parent / "plans"
CATALOGUE = catalogue.load()
PLANS = {one.id: one for one in load(sorted(CONFIG.glob("plans/*.toml")), CATALOGUE)}
PUBLIC = AppliesTo(ownership=("public",))
DEPARTMENT = AppliesTo(levels=("department",))
HOSPITAL = AppliesTo(facilities=("san-nhi-lao-cai",))

# indicators.md, "Targets of the plans", row by row: plan | indicators | percent | unit, applies to | place.
# `-`: followed, without a figure. `every year` belongs to the whole plan.
TABLE = """
so-y-te-2026 | emr | 100 | facilities, public | II.7
so-y-te-2026 | health_record | 90 | cases | II.7
so-y-te-2026 | satisfaction | 86 | cases, public | II.1
so-y-te-2026 | work_record document_signed document_online | 100 100 100 | cases | II.7
so-y-te-2026 | inspection_digital | 70 | cases, department | II.7
so-y-te-2026 | procedure_portal_payment procedure_digitised | 60 100 | cases, department | II.3
so-y-te-2026 | procedure_electronic_result | 100 | cases, department | II.3
so-y-te-2026 | procedure_reuse procedure_satisfaction | 60 95 | cases, department | II.3
so-y-te-2026 | procedure_online | - | cases, department | II.3
lai-chau-2026-2030 | einvoice cashless | 100 100 | facilities, public | VII, Mục tiêu 4
lai-chau-2026-2030 | health_record | 100 | cases, public | VII, Mục tiêu 5
lai-chau-2026-2030 | digital_checkin | 100 | cases | VII, Mục tiêu 6
lai-chau-2026-2030 | satisfaction | 90 | cases, public | I, Mục tiêu 3
lai-chau-2026-2030 | work_record document_signed document_online | 100 100 100 | cases, department | VII, Mục tiêu 2
lai-chau-2026-2030 | inspection_digital | 70 | cases, department | VII, Mục tiêu 3
lai-chau-2026-2030 | procedure_online procedure_on_time procedure_online_payment | 80 100 80 | cases, department | III
lai-chau-2026-2030 | procedure_digitised procedure_electronic_result | 100 100 | cases, department | III
lai-chau-2026-2030 | procedure_reuse procedure_satisfaction | 80 95 | cases, department | III
ninh-thuan-2025 | work_record | 90 | cases | I.2
ninh-thuan-2025 | document_signed document_online | 100 100 | facilities | I.2
ninh-thuan-2025 | procedure_online procedure_on_time | 85 100 | cases, department | I.2
ninh-thuan-2025 | procedure_satisfaction | >90 | cases, department | I.2
ninh-thuan-2025 | satisfaction | 85 | cases, public | I.2
ha-tinh-2022 | procedure_online procedure_online_payment | 50 30 | cases, department | I.3
ha-tinh-2022 | satisfaction | >90 | cases | I.3
ha-tinh-2022 | document_online | 100 | cases | I.3
lao-cai-san-nhi-2026 | work_record | >95 | cases, hospital | 2.6
lao-cai-san-nhi-2026 | digital_checkin kiosk claim emr emr_signed satisfaction | - - - - - - | cases, hospital | 2.6
lao-cai-san-nhi-2026 | cashless | - | cases, hospital | 2.1
"""
APPLIES = {"": AppliesTo(), "public": PUBLIC, "department": DEPARTMENT, "hospital": HOSPITAL}
USES_AT = {"emr": "0.95", "einvoice": "0.95", "cashless": "0.50", "document_signed": "0.95", "document_online": "0.95"}

# indicators.md, the list of `manual` targets that is written out there: plan, code, percent.
WRITTEN_OUT = """
so-y-te-2026 units_inspected 20
lai-chau-2026-2030 units_inspected 20
so-y-te-2026 procedure_time_cut 30
so-y-te-2026 procedure_cost_cut 30
lai-chau-2026-2030 procedure_time_cut 50
lai-chau-2026-2030 procedure_cost_cut 50
so-y-te-2026 apologies 100
lai-chau-2026-2030 apologies 100
so-y-te-2026 complaints_answered 100
lai-chau-2026-2030 complaints_answered 100
lai-chau-2026-2030 procedures_anywhere 70
lai-chau-2026-2030 internal_procedures_online 100
so-y-te-2026 legal_documents_reviewed 100
so-y-te-2026 legal_documents_correct 95
lai-chau-2026-2030 legal_documents_reviewed 100
lai-chau-2026-2030 legal_documents_correct 95
ninh-thuan-2025 satisfaction_administration 90
"""

# Percentages of the documents that are no targets of their own, and why.
NO_TARGETS = {
    "so-y-te-2026": {
        # II.7 asks for 70 % of the same thing; the target's note quotes this.
        "ít nhất 50% hoạt động kiểm tra",
    },
    "lai-chau-2026-2030": {
        # The product of Mục tiêu 4, which speaks of units; the target's note quotes it.
        "100% dịch vụ y tế sử dụng hóa đơn điện tử",
        # The product of Mục tiêu 5, the same target said again in short.
        "100% người dân được lập hồ sơ sức khỏe điện tử",
        # The upper end of a range: reached from its lower end.
        "25%-35%",
    },
}


def lines_of(name: str) -> list[str]:
    """The lines of a document, without the marks of the Markdown in which one of them came."""
    text = unicodedata.normalize("NFC", (DOCUMENTS / f"{name}.txt").read_text("utf-8"))
    plain = re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", text.replace("*", ""))
    return [" ".join(line.split()) for line in plain.splitlines() if line.strip()]


def document(name: str) -> str:
    """The text of a document in one line."""
    return " ".join(lines_of(name))


def headings(name: str) -> Iterator[tuple[int, tuple[str, str]]]:
    """Where in `document` a heading stands: (chapter: II; paragraph of it: 7, 2.6, Mục tiêu 4)."""
    at, chapter = 0, ""
    for line in lines_of(name):
        if found := re.match(r"(?:#+ )?(?:([IVX]+)|(\d+(?:\.\d+)?))[.\s]|(Mục tiêu \d+)", line):
            chapter = found[1] or chapter
            yield at, (chapter, found[2] or found[3] or "")
        at += len(line) + 1


def percentages(text: str) -> Iterator[tuple[int, Decimal]]:
    """Where a percentage begins, and its figure."""
    return ((one.start(), Decimal(one[1].replace(",", "."))) for one in re.finditer(r"(\d+(?:,\d+)?) ?%", text))


def places(words: str, text: str) -> Iterator[range]:
    return (range(one.start(), one.end()) for one in re.finditer(re.escape(words), text))


def quoted(plan: Plan) -> tuple[Target | Manual | Follow, ...]:
    return (*plan.targets, *plan.manual, *plan.follow)


def figure(one: Target | Manual | Follow) -> Decimal | None:
    """In percent."""
    if isinstance(one, Target):
        return None if one.ratio is None else one.ratio * 100
    return one.value if isinstance(one, Manual) and one.unit == "percent" else None


def rows() -> list[tuple[str, str, str, str, str]]:
    found = []
    for line in TABLE.strip().splitlines():
        plan, indicators, percents, applies, place = line.split(" | ")
        for indicator, percent in zip(indicators.split(), percents.split(), strict=True):
            found.append((plan, indicator, percent, applies, place))
    return found


# The shipped files


def test_the_five_documents_have_a_plan_each() -> None:
    assert set(PLANS) == {one.stem for one in DOCUMENTS.glob("*.txt")}
    assert len(PLANS) == 5


@pytest.mark.parametrize(("plan", "indicator", "percent", "applies", "place"), rows())
def test_a_target_of_the_table_is_in_its_plan(
    plan: str, indicator: str, percent: str, applies: str, place: str
) -> None:
    (target,) = (one for one in PLANS[plan].targets if one.indicator == indicator)
    unit, _, whom = applies.partition(", ")
    assert target.ratio == (None if percent == "-" else Decimal(percent.strip(">")) / 100)
    assert target.operator == (">" if percent.startswith(">") else ">=")
    assert target.unit == unit
    assert target.applies_to == APPLIES[whom]
    assert target.section == place or target.section.startswith(f"{place}, ")
    assert target.every == ("year" if plan.startswith("lai-chau") else None)
    assert target.uses_at == (Decimal(USES_AT[indicator]) if unit == "facilities" else None)
    assert not target.uses_at or "do Sở quyết định" in target.uses_at_reason


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_has_no_target_that_the_table_has_not(plan: str) -> None:
    assert sorted(one.indicator for one in PLANS[plan].targets) == sorted(row[1] for row in rows() if row[0] == plan)


@pytest.mark.parametrize("line", WRITTEN_OUT.strip().splitlines())
def test_a_manual_target_of_the_list_is_in_its_plan(line: str) -> None:
    plan, code, percent = line.split()
    (one,) = (one for one in PLANS[plan].manual if one.code == code)
    assert (one.unit, one.value) == ("percent", Decimal(percent))


def test_telemedicine_has_no_share_and_is_followed_by_its_counts() -> None:
    assert [(one.id, follow.measure) for one in PLANS.values() for follow in one.follow] == [
        ("lao-cai-san-nhi-2026", "telemedicine")
    ]


@pytest.mark.parametrize(
    ("plan", "first_day", "last_day"),
    [
        ("so-y-te-2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("lai-chau-2026-2030", date(2026, 1, 1), date(2030, 12, 31)),
        ("ninh-thuan-2025", date(2025, 1, 1), date(2025, 12, 31)),
        ("ha-tinh-2022", date(2022, 1, 1), date(2022, 12, 31)),
        ("lao-cai-san-nhi-2026", date(2026, 1, 1), date(2026, 12, 31)),
    ],
)
def test_a_plan_has_the_period_of_its_document(plan: str, first_day: date, last_day: date) -> None:
    assert (PLANS[plan].first_day, PLANS[plan].last_day) == (first_day, last_day)


def test_a_manual_target_says_whose_it_is_and_may_have_no_figure() -> None:
    narrowed = {(one.id, two.code): two.applies_to for one in PLANS.values() for two in one.manual}
    found = {key: applies_to for key, applies_to in narrowed.items() if applies_to != AppliesTo()}
    assert found == {("lao-cai-san-nhi-2026", "directives_carried_out"): HOSPITAL}
    without = [(one.id, two.code) for one in PLANS.values() for two in one.manual if two.value is None]
    assert without == [("so-y-te-2026", "procedures_anywhere")]


@pytest.mark.parametrize("plan", PLANS)
def test_the_words_are_the_documents_own(plan: str) -> None:
    text = document(plan)
    assert [one.words for one in quoted(PLANS[plan]) if one.words not in text] == []


@pytest.mark.parametrize("plan", PLANS)
def test_the_section_is_where_the_words_stand_in_the_document(plan: str) -> None:
    text, found = document(plan), list(headings(plan))
    for one in quoted(PLANS[plan]):
        chapter, paragraph = max(each for each in found if each[0] <= text.index(one.words))[1]
        names = {paragraph} if "." in paragraph else {f"{chapter}.{paragraph}", f"{chapter}, {paragraph}"}
        said = re.sub(r"\.[a-z]$", "", one.section)  # a letter has no heading of its own
        assert said in names, one


@pytest.mark.parametrize("plan", PLANS)
def test_the_quotations_in_notes_are_the_documents_own(plan: str) -> None:
    text = document(plan)
    notes = [quote for one in quoted(PLANS[plan]) for quote in re.findall("“([^”]{8,})”", one.note)]
    assert [quote for quote in notes if quote not in text] == []


@pytest.mark.parametrize("plan", PLANS)
def test_the_figure_of_a_target_is_in_its_words(plan: str) -> None:
    for one in quoted(PLANS[plan]):
        found = {value for _, value in percentages(one.words)}
        assert figure(one) in found if figure(one) is not None else isinstance(one, Manual) or not found
        if isinstance(one, Manual) and one.unit == "count":
            numbers = {int(number) for number in re.findall(r"\d+", one.words.replace("một lần", "1 lần"))}
            assert one.value in numbers


def test_more_than_and_at_most_are_said_by_the_operator() -> None:
    said = {
        (one.id, two.code if isinstance(two, Manual) else two.indicator): two.operator
        for one in PLANS.values()
        for two in quoted(one)
        if not isinstance(two, Follow) and two.operator != ">="
    }
    assert said == {
        ("lai-chau-2026-2030", "legal_documents_correct"): ">",  # Trên 95%
        ("lai-chau-2026-2030", "division_leaders_international"): ">",  # trên 30%
        ("ninh-thuan-2025", "procedure_satisfaction"): ">",  # trên 90%
        ("ha-tinh-2022", "satisfaction"): ">",  # đạt tối thiểu trên 90%
        ("ha-tinh-2022", "papi_group"): "<=",  # nhóm 2
        ("ha-tinh-2022", "par_index_rank"): "<=",  # trong nhóm 08 đơn vị
        ("ha-tinh-2022", "papi_rank"): "<=",  # trong nhóm 05 tỉnh thành phố cao nhất
        ("ha-tinh-2022", "recruits"): "<=",  # không quá 50%
        ("lao-cai-san-nhi-2026", "work_record"): ">",  # trên 95%
    }


@pytest.mark.parametrize("plan", PLANS)
def test_every_percentage_of_the_document_is_a_target_or_said_not_to_be_one(plan: str) -> None:
    text = document(plan)
    targets = [(figure(one), place) for one in quoted(PLANS[plan]) for place in places(one.words, text)]
    left = {at for at, value in percentages(text) if not any(value == v and at in place for v, place in targets)}
    explained = {
        quote: {at for place in places(quote, text) for at in left & set(place)} for quote in NO_TARGETS.get(plan, ())
    }
    assert [text[at - 60 : at + 60] for at in sorted(left - set().union(*explained.values()))] == []
    assert [quote for quote, found in explained.items() if not found] == [], "explains nothing: take it off the list"


@pytest.mark.parametrize("file", sorted(CONFIG.glob("plans/*.toml")), ids=lambda one: one.stem)
def test_a_file_tells_the_department_how_to_check_it_after_a_change(file: Path) -> None:
    text = file.read_text("utf-8")
    assert unicodedata.is_normalized("NFC", text)
    assert f"nhipso-collector plan check {file.name}" in text
    assert "Sở được sửa tệp này" in text
    assert text.startswith("# ")


def test_the_sample_calendar_changes_nothing_until_its_examples_are_uncommented(tmp_path: Path) -> None:
    sample = CONFIG / "calendar.toml"
    assert calendar.load(sample) == calendar.Calendar()
    file = tmp_path / "calendar.toml"
    file.write_text(re.sub(r"^# (?=\[\[|\w+ = )", "", sample.read_text("utf-8"), flags=re.M), "utf-8")
    known = calendar.load(file)
    assert not known.is_working(date(2026, 2, 16))
    assert known.is_working(date(2026, 8, 22))


# The model


def a_target(**changes: Any) -> dict[str, Any]:
    return {"indicator": "emr", "ratio": 1, "section": "II.7", "words": "100% cơ sở"} | changes


def a_manual(**changes: Any) -> dict[str, Any]:
    return {
        "code": "apologies",
        "vi": "Xin lỗi",
        "en": "Apologies",
        "value": 100,
        "section": "I",
        "words": "a",
    } | changes


def a_plan(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ke-hoach",
        "issuer": "Sở Y tế",
        "title": "Kế hoạch",
        "short": "Kế hoạch 2026",
        "first_day": date(2026, 1, 1),
        "last_day": date(2026, 12, 31),
        "targets": [a_target()],
    } | changes


def plan_of(**changes: Any) -> Plan:
    return parse(a_plan(**changes), "sai.toml", CATALOGUE)


def problems_of(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan_of(**changes)
    return caught.value.problems


EMR = "[[targets]] thứ 1 (emr, II.7)"
FACILITIES = {"unit": "facilities", "uses_at": Decimal("0.5"), "uses_at_reason": "Sở quyết định"}
ONE = {"facility": "12001", "ratio": Decimal("0.5"), "reason": "Công văn 1"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"targets": [a_target(indicator="emrr")]},
            "[[targets]] thứ 1 (emrr, II.7): danh mục không có chỉ số “emrr”: có phải “emr”?",
        ),
        (
            {"targets": [a_target(operator=">")]},
            f'{EMR}: không tỷ lệ nào lớn hơn 100 %: dùng operator = ">="',
        ),
        (
            {"targets": [a_target(operator=">", ratio=Decimal("0.9"), overrides=[ONE | {"ratio": 1}])]},
            f'{EMR}: không tỷ lệ nào lớn hơn 100 %: dùng operator = ">="',
        ),
        (
            {"targets": [a_target(), a_target(deadline=date(2026, 6, 30))]},
            "chỉ số emr có 2 hạn khác nhau (31/12/2026, 30/06/2026): dùng chung một hạn",
        ),
        (
            {"targets": [a_target(), a_target(every="year")]},
            "chỉ số emr có 2 hạn khác nhau (31/12/2026, mỗi năm): dùng chung một hạn",
        ),
        (
            {"targets": [a_target(uses_at=Decimal("0.5"), uses_at_reason="a")]},
            f'{EMR}: uses_at chỉ đi với unit = "facilities": thêm unit = "facilities", hoặc bỏ uses_at',
        ),
        (
            {"targets": [a_target(unit="facilities")]},
            f'{EMR}: unit = "facilities" cần uses_at, tỷ lệ mà từ đó một cơ sở được tính là sử dụng: '
            "thêm, ví dụ uses_at = 0.95",
        ),
        (
            {"targets": [a_target(**FACILITIES | {"uses_at_reason": " "})]},
            f"{EMR}: uses_at là quyết định của Sở: thêm uses_at_reason, nêu lý do",
        ),
        (
            {"targets": [a_target(**FACILITIES | {"ratio": None})]},
            f"{EMR}: không có ratio thì chỉ theo dõi: thêm ratio, hoặc bỏ unit, overrides, baselines",
        ),
        (
            {"targets": [a_target(ratio=None, overrides=[ONE])]},
            f"{EMR}: không có ratio thì chỉ theo dõi: thêm ratio, hoặc bỏ unit, overrides, baselines",
        ),
        (
            {"targets": [a_target(overrides=[ONE, ONE])]},
            f"{EMR}: overrides: cơ sở 12001 lặp lại: giữ một dòng",
        ),
        (
            {"targets": [a_target(baselines=[ONE | {"day": date(2026, 2, day)} for day in (1, 2)])]},
            f"{EMR}: baselines: cơ sở 12001 lặp lại: giữ một dòng",
        ),
        (
            {"targets": [a_target(baselines=[ONE | {"day": date(2026, 12, 31)}])]},
            f"{EMR}: baselines: 12001: day phải trước hạn (31/12/2026)",
        ),
        (
            {"targets": [a_target(deadline=date(2027, 1, 1))]},
            f"{EMR}: deadline phải nằm trong thời gian của kế hoạch, 01/01/2026 đến 31/12/2026",
        ),
        (
            {"targets": [a_target(deadline=date(2025, 12, 31))]},
            f"{EMR}: deadline phải nằm trong thời gian của kế hoạch, 01/01/2026 đến 31/12/2026",
        ),
        (
            {"targets": [a_target(deadline=date(2026, 6, 30), every="year")]},
            f"{EMR}: chỉ đặt một trong deadline và every: bỏ một",
        ),
        (
            {"manual": [a_manual(deadline=date(2027, 1, 1))]},
            "[[manual]] thứ 1 (apologies, I): deadline phải nằm trong thời gian của kế hoạch, 01/01/2026 đến "
            "31/12/2026",
        ),
        (
            {"manual": [a_manual(), a_manual()]},
            "[[manual]] thứ 2 (apologies, I): mã apologies lặp lại: đặt mã khác, hoặc bỏ một bảng",
        ),
        ({"first_day": date(2027, 1, 1)}, "first_day phải không sau last_day (31/12/2026)"),
        ({"in_force_until": date(2026, 12, 30)}, "in_force_until phải không trước last_day (31/12/2026)"),
        (
            {"id": "Kế hoạch"},
            "tên tệp “Kế hoạch” chỉ được có chữ thường không dấu, chữ số và dấu gạch nối: đổi tên tệp, ví dụ "
            "ke-hoach-2026.toml",
        ),
        (
            {"follow": [{"measure": "telemedecine", "section": "I", "words": "a"}]},
            "[[follow]] thứ 1 (telemedecine, I): danh mục không có số đếm “telemedecine”: có phải “telemedicine”?",
        ),
        (
            {"number_": "1"},
            "number_: không có khóa này; các khóa dùng được: issuer, number, title, short, signed, first_day, "
            "last_day, in_force_until, targets, manual, follow",
        ),
        (
            {"targets": [a_target(target=1)]},
            f"{EMR}: target: không có khóa này; các khóa dùng được: indicator, unit, operator, ratio, "
            "uses_at, uses_at_reason, deadline, every, applies_to, section, words, note, overrides, baselines",
        ),
        (
            {"targets": [a_target(applies_to={"level": ["province"]})]},
            f"{EMR}: applies_to.level: không có khóa này; các khóa dùng được: levels, ownership, facilities",
        ),
        ({"issuer": " "}, 'issuer: không được để trống (cơ quan ban hành, ví dụ "Sở Y tế")'),
        (
            {"targets": [a_target(ratio="90 %")]},
            f"{EMR}: ratio: phải là một số, không kèm dấu % (95 % viết là 0.95)",
        ),
        (
            {"targets": [a_target(ratio=[1])]},
            f"{EMR}: ratio: phải là một số (95 % viết là 0.95)",
        ),
        (
            {"targets": [a_target(ratio=Decimal("nan"))]},
            f"{EMR}: ratio: phải là một số (95 % viết là 0.95)",
        ),
        (
            {"targets": [a_target(ratio=90)]},
            f"{EMR}: ratio: phải không quá 1 (95 % viết là 0.95)",
        ),
        (
            {"manual": [a_manual(value=-1)]},
            "[[manual]] thứ 1 (apologies, I): value: phải từ 0 trở lên (20 % viết là 20)",
        ),
        ({"first_day": "1/1/2026"}, "first_day: phải là một ngày, dạng 2026-01-31 (ngày đầu tiên của kế hoạch)"),
        ({"first_day": True}, "first_day: phải là một ngày, dạng 2026-01-31 (ngày đầu tiên của kế hoạch)"),
        (
            {"first_day": 20260101},
            "first_day: phải là một ngày không kèm giờ, dạng 2026-01-31 (ngày đầu tiên của kế hoạch)",
        ),
        ({"last_day": date(9999, 12, 31)}, "last_day: phải không quá 2100-12-31 (ngày cuối cùng của kế hoạch)"),
        ({"first_day": date(206, 1, 1)}, "first_day: phải từ 2000-01-01 trở lên (ngày đầu tiên của kế hoạch)"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(changes: dict[str, Any], problem: str) -> None:
    assert f"sai.toml: {problem}" in problems_of(**changes)


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "sai.toml"
    file.write_text("[[targets\n")
    with pytest.raises(ConfigError, match=r"sai\.toml: không phải là TOML đúng"):
        read(file, CATALOGUE)


def test_a_plan_that_is_given_twice_is_refused(tmp_path: Path) -> None:
    file = CONFIG / "plans" / "so-y-te-2026.toml"
    again = tmp_path / file.name
    again.write_bytes(file.read_bytes())
    with pytest.raises(ConfigError) as caught:
        load([file, again], CATALOGUE)
    assert caught.value.problems == ["kế hoạch “so-y-te-2026” được khai báo hai lần: bỏ một, hoặc đổi tên tệp"]


def test_plans_come_in_the_order_in_which_they_are_given() -> None:
    files = sorted(CONFIG.glob("plans/*.toml"), reverse=True)
    assert [one.id for one in load(files, CATALOGUE)] == [one.stem for one in files]
    assert load([], CATALOGUE) == ()


def test_a_file_may_not_give_itself_another_id(tmp_path: Path) -> None:
    file = tmp_path / "so-y-te-2026.toml"
    file.write_text('id = "khac"\n' + (CONFIG / "plans" / file.name).read_text("utf-8"), "utf-8")
    with pytest.raises(ConfigError, match=r"id: mã của kế hoạch là tên tệp"):
        read(file, CATALOGUE)


def test_two_targets_of_one_indicator_may_share_a_deadline_said_or_not() -> None:
    targets = [a_target(applies_to={"levels": ["province"]}), a_target(ratio=None, deadline=date(2026, 6, 30))]
    assert len(plan_of(targets=[*targets, a_target(deadline=date(2026, 12, 31))]).targets) == 3


def test_an_override_of_a_facilities_target_may_ask_for_all_cases() -> None:
    target = a_target(**FACILITIES | {"operator": ">", "ratio": Decimal("0.9"), "overrides": [ONE | {"ratio": 1}]})
    assert plan_of(targets=[target]).targets[0].overrides[0].ratio == 1


@given(st.decimals(min_value=Decimal("0.000001"), max_value=1, places=6))
def test_a_ratio_is_read_as_it_is_written(ratio: Decimal) -> None:
    content = tomllib.loads(f"ratio = {ratio:f}", parse_float=Decimal)
    assert plan_of(targets=[a_target(**content)]).targets[0].ratio == ratio


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.dates(),
    st.datetimes(),
    st.times(),
    st.decimals(),
    st.lists(st.one_of(st.text(max_size=3), st.just({}), st.just(a_target()))),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(
    st.dictionaries(st.sampled_from([*Plan.model_fields, "x"]), VALUES, max_size=3),
    st.dictionaries(st.sampled_from([*Target.model_fields, "x"]), VALUES, max_size=3),
)
def test_whatever_stands_in_a_file_it_is_a_plan_or_a_list_of_mistakes(
    top: dict[str, Any], target: dict[str, Any]
) -> None:
    try:
        plan = plan_of(**{"targets": [a_target(**target)]} | top)
    except ConfigError as error:
        assert error.problems
        assert all(one.startswith("sai.toml: ") for one in error.problems)
    else:
        assert plan.first_day <= plan.last_day <= plan.until


# Who is meant


@pytest.mark.parametrize(
    ("applies_to", "meant"),
    [
        (AppliesTo(), True),
        (AppliesTo(levels=("province", "regional")), True),
        (AppliesTo(levels=("department",)), False),
        (AppliesTo(ownership=("public",)), True),
        (AppliesTo(ownership=("private",)), False),
        (AppliesTo(facilities=("12001", "12002")), True),
        (AppliesTo(facilities=("12002",)), False),
        (AppliesTo(levels=("province",), ownership=("private",), facilities=("12001",)), False),
    ],
)
def test_a_target_is_for_those_whom_nothing_leaves_out(applies_to: AppliesTo, meant: bool) -> None:
    assert applies_to.includes("12001", "province", "public") is meant


# Deadlines


def a_year(**changes: Any) -> tuple[Plan, Target]:
    content = {"first_day": date(2026, 1, 1), "last_day": date(2030, 12, 31), "targets": [a_target(every="year")]}
    plan = plan_of(**content | changes)
    return plan, plan.targets[0]


@pytest.mark.parametrize(
    ("day", "deadline"),
    [
        (date(2026, 1, 15), date(2026, 12, 31)),  # January of the first year: there is no year before
        (date(2026, 7, 1), date(2026, 12, 31)),
        (date(2027, 1, 1), date(2026, 12, 31)),  # what was missed is said for a month
        (date(2027, 1, 31), date(2026, 12, 31)),
        (date(2027, 2, 1), date(2027, 12, 31)),
        (date(2031, 1, 31), date(2030, 12, 31)),  # the last day on which the plan is in force
        (date(2031, 2, 1), date(2030, 12, 31)),
    ],
)
def test_a_yearly_target_is_due_at_the_end_of_the_year_and_in_january_still_of_the_one_before(
    day: date, deadline: date
) -> None:
    plan, target = a_year()
    assert plan.deadline(target, day) == deadline
    assert plan.period(target, day) == (date(deadline.year, 1, 1), deadline)


@pytest.mark.parametrize("day", [date(2028, 3, 1), date(2028, 7, 15), date(2029, 1, 10), date(2029, 5, 1)])
def test_a_yearly_target_of_a_plan_that_ends_in_summer_is_due_on_its_last_day(day: date) -> None:
    plan, target = a_year(first_day=date(2026, 4, 1), last_day=date(2028, 6, 30), in_force_until=date(2029, 6, 30))
    assert plan.period(target, day) == (date(2028, 1, 1), date(2028, 6, 30))


def test_the_first_year_of_a_plan_begins_with_the_plan() -> None:
    plan, target = a_year(first_day=date(2026, 4, 1))
    assert plan.period(target, date(2026, 5, 1)) == (date(2026, 4, 1), date(2026, 12, 31))


def test_a_target_is_due_on_its_own_deadline_or_on_the_plans_last_day() -> None:
    june = date(2026, 6, 30)
    plan = plan_of(targets=[a_target(deadline=june)], manual=[a_manual(), a_manual(code="b", deadline=june)])
    for day in (date(2026, 1, 15), date(2026, 12, 1), date(2027, 1, 20)):
        assert plan.period(plan.targets[0], day) == (date(2026, 1, 1), june)
        assert plan.period(plan.manual[0], day) == (date(2026, 1, 1), date(2026, 12, 31))
        assert plan.deadline(plan.manual[1], day) == june


def test_a_plan_is_held_against_people_for_31_days_after_its_last_or_until_it_says() -> None:
    plan = plan_of()
    assert plan.until == date(2027, 1, 31)
    assert not plan.is_over(date(2027, 1, 31))
    assert plan.is_over(date(2027, 2, 1))
    for until in (date(2026, 12, 31), date(2027, 6, 30)):
        plan = plan_of(in_force_until=until)
        assert not plan.is_over(until)
        assert plan.is_over(until + timedelta(days=1))


@given(st.data())
def test_a_deadline_lies_in_the_plan_and_ahead_but_in_january_and_after_its_end(data: st.DataObject) -> None:
    days = st.dates(date(2000, 1, 1), date(2100, 12, 31))
    first_day, last_day = sorted((data.draw(days), data.draw(days)))
    plan, target = a_year(first_day=first_day, last_day=last_day)
    day = data.draw(st.dates(first_day, plan.until))
    first, deadline = plan.period(target, day)
    assert deadline == plan.deadline(target, day)
    assert first_day <= first <= deadline <= last_day
    assert first.year == deadline.year
    if day.month > 1 and day <= last_day:
        assert day <= deadline <= date(day.year, 12, 31)

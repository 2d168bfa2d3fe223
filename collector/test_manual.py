"""Targets that people enter figures for: what holds, what is met, who may enter, what is refused."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from collector import manual
from collector.__main__ import main
from collector.manual import ManualState, NewFigure
from collector.store import manual as stored
from collector.store.manual import ManualFigure
from collector.store.people import Person
from contract.days import LOCAL, local_day, now
from contract.errors import BadRequestError, NotFoundError
from contract.plan import Manual, Plan
from tests.office import NOON, TODAY, Office, bearer, serving

REAL_TODAY = local_day(now())


def a_target(code: str = "inspected", **other: Any) -> Manual:
    plain = {"code": code, "vi": "Đơn vị được kiểm tra", "en": "Units inspected", "value": Decimal(20)}
    return Manual.model_validate({**plain, "section": "II.1", "words": "20 %", **other})


def a_plan(*targets: Manual, name: str = "p", first: str = "2026-01-01", last: str = "2026-12-31") -> Plan:
    days = {"first_day": date.fromisoformat(first), "last_day": date.fromisoformat(last)}
    return Plan(id=name, issuer="Sở Y tế", title="Kế hoạch", short="Kế hoạch", manual=targets, **days)


def a_figure(value: str = "20", day: str | date = TODAY, code: str = "inspected", plan: str = "p") -> ManualFigure:
    return ManualFigure(plan, code, date.fromisoformat(str(day)), Decimal(value), "Biên bản số 1", "An", NOON)


def state(*figures: ManualFigure, day: str | date = TODAY, plan: Plan | None = None) -> ManualState:
    plan = plan or a_plan(a_target())
    return manual.state(plan, plan.manual[0], figures, date.fromisoformat(str(day)))


# --- what is met


@pytest.mark.parametrize(
    ("operator", "below", "same", "above"),
    [
        (">=", False, True, True),
        (">", False, False, True),
        ("<=", True, True, False),
        ("<", True, False, False),
    ],
)
def test_a_figure_meets_the_target_as_the_operator_says(operator: str, below: bool, same: bool, above: bool) -> None:
    target = a_target(operator=operator, value=Decimal("0.3"))
    # 0.1 + 0.2 as floats is above 0.3
    found = [manual.is_met(target, value) for value in (Decimal("0.29"), Decimal("0.1") * 3, Decimal("0.31"))]
    assert found == [below, same, above]


@pytest.mark.parametrize(
    ("operator", "unit", "value", "text"),
    [
        (">=", "percent", "20", "từ 20 % trở lên"),
        (">", "percent", "95.50", "trên 95,5 %"),
        ("<=", "count", "8", "không quá 8"),
        ("<", "count", "1200", "dưới 1.200"),
    ],
)
def test_what_a_target_asks_for_is_said_as_people_say_it(operator: str, unit: str, value: str, text: str) -> None:
    assert manual.asked(a_target(operator=operator, unit=unit, value=Decimal(value))) == text


@pytest.mark.parametrize(
    ("value", "text"), [("100", "100 %"), ("0", "0 %"), ("-2.5", "-2,5 %"), ("1234567.25", "1.234.567,25 %")]
)
def test_a_figure_is_shown_with_a_decimal_comma(value: str, text: str) -> None:
    assert manual.shown(a_target(), Decimal(value)) == text


def test_without_a_figure_in_the_plan_a_target_is_followed() -> None:
    followed = a_target(value=None)
    asked = "chỉ theo dõi, văn bản không nêu con số"
    assert (manual.asked(followed), manual.judged(followed, Decimal(25))) == (asked, asked)
    found = state(a_figure("25"), plan=a_plan(followed))
    assert (found.state, found.vi) == ("followed", "Theo dõi")
    assert state(plan=a_plan(followed)).state == "no_figure"


def test_a_target_says_whose_figure_it_is() -> None:
    assert manual.meant(a_target(), {}) == ""
    of = {"levels": ["clinic"], "ownership": ["private"], "facilities": ["12001", "12002"]}
    one = a_target(applies_to=of)
    assert manual.meant(one, {"12001": "Bệnh viện A"}) == "Phòng khám; Ngoài công lập; Bệnh viện A; 12002"
    assert "  Áp dụng cho: Phòng khám; Ngoài công lập; 12001; 12002" in manual.lines(state(plan=a_plan(one)), False)


# --- which figure holds


def test_without_a_figure_the_state_says_so() -> None:
    found = state()
    assert (found.state, found.vi, found.figure, found.deadline) == (
        "no_figure",
        "Chưa có số liệu",
        None,
        date(2026, 12, 31),
    )


def test_the_figure_of_the_newest_day_holds_whatever_was_entered_last() -> None:
    found = state(a_figure("25", "2026-10-01"), a_figure("5", "2026-03-01"))
    assert (found.state, found.vi, found.figure) == ("met", "Đạt", a_figure("25", "2026-10-01"))
    assert [one.value for one in found.history] == [5, 25]


def test_a_new_figure_of_the_same_day_replaces_the_older_and_history_keeps_it() -> None:
    found = state(a_figure("25"), a_figure("15"))
    assert (found.state, found.vi) == ("not_met", "Chưa đạt")
    assert [one.value for one in found.history] == [15, 25]


def test_figures_of_other_targets_and_plans_and_of_later_days_do_not_count() -> None:
    others = a_figure(code="other"), a_figure(plan="q"), a_figure(day=TODAY + timedelta(days=1))
    assert state(*others).state == "no_figure"


def test_a_figure_after_the_targets_own_deadline_still_shows() -> None:
    late = a_plan(a_target(deadline=date(2026, 6, 30)))
    found = state(a_figure("25", "2026-09-01"), plan=late)
    assert (found.state, found.deadline) == ("met", date(2026, 6, 30))


@pytest.mark.parametrize(
    ("day", "deadline", "value"),
    [
        ("2026-11-20", "2026-12-31", 20),
        ("2027-01-31", "2026-12-31", 20),  # in January what was missed is still said
        ("2027-02-01", "2027-12-31", 30),
        ("2028-02-01", "2028-12-31", None),
    ],
)
def test_a_target_of_every_year_begins_anew_with_each_year(day: str, deadline: str, value: int | None) -> None:
    yearly = a_plan(a_target(every="year"), last="2030-12-31")
    found = state(a_figure("20", "2026-11-01"), a_figure("30", "2027-01-15"), day=day, plan=yearly)
    assert (found.deadline, found.figure and found.figure.value) == (date.fromisoformat(deadline), value)
    assert len(found.history) == 2


def test_plans_in_force_are_selected_and_any_by_its_name() -> None:
    old, new, next_year = (
        a_plan(name="old", first="2025-01-01", last="2025-12-31"),
        a_plan(name="new"),
        a_plan(name="next", first="2027-01-01", last="2027-12-31"),
    )
    plans = [old, new, next_year]
    assert manual.select(plans, None, TODAY) == [new]
    # for a month after its last day
    assert manual.select(plans, None, date(2026, 1, 31)) == [old, new]
    assert manual.select(plans, "old", TODAY) == [old]
    with pytest.raises(NotFoundError, match="old, new, next"):
        manual.select(plans, "mine", TODAY)


# --- what is taken


@pytest.mark.parametrize(
    ("text", "value"), [("20", "20"), ("20,5", "20.5"), ("20.5", "20.5"), (" 7 ", "7"), ("-2", "-2"), ("0,25", "0.25")]
)
def test_a_number_is_taken_as_people_write_it(text: str, value: str) -> None:
    assert NewFigure(plan="p", code="c", value=text, day=TODAY, evidence="x").value == Decimal(value)


@pytest.mark.parametrize(
    "text",
    ["", "x", "20 %", "1.000", "1,000", "1.000.000", "1e3", "NaN", "inf", "٣", "1_0", "--1", "9" * 13, "5,", None],
)
def test_what_could_be_read_in_two_ways_is_no_number(text: str | None) -> None:
    with pytest.raises(ValidationError):
        NewFigure(plan="p", code="c", value=text, day=TODAY, evidence="x")


def entered(**other: Any) -> NewFigure:
    plain = {"plan": "p", "code": "inspected", "value": "20", "day": TODAY, "evidence": "Biên bản"}
    return NewFigure.model_validate({**plain, **other})


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"plan": "q"}, ["“q”", "các kế hoạch: p"]),
        ({"code": "joy"}, ["“joy”", "các chỉ tiêu: inspected, rank"]),
        ({"day": "2025-12-31"}, ["31/12/2025", "01/01/2026 đến 31/12/2026"]),
        ({"day": "2027-01-01"}, ["01/01/2027", "nằm ngoài kế hoạch", "chưa đến"]),
        ({"day": "2026-11-21"}, ["21/11/2026 chưa đến"]),
        ({"day": "2026-11-21", "code": "joy"}, ["“joy”", "chưa đến"]),
    ],
)
def test_a_figure_that_cannot_be_taken_is_refused_with_every_reason(other: dict[str, Any], told: list[str]) -> None:
    plans = [a_plan(a_target(), a_target("rank"))]
    with pytest.raises((BadRequestError, NotFoundError)) as caught:
        manual.find(plans, entered(**other), TODAY)
    assert [part for part in told if part not in str(caught.value)] == []


@pytest.mark.parametrize("day", ["2026-01-01", "2026-11-20"])
def test_the_first_day_of_the_plan_and_today_are_taken(day: str) -> None:
    plan = a_plan(a_target(), a_target("rank"))
    assert manual.find([plan], entered(day=day, code="rank"), TODAY) == (plan, plan.manual[1])


def test_figures_are_kept_exactly_and_given_back_in_order(office: Office) -> None:
    figures = [a_figure("20.50"), a_figure("-3", "2026-02-01", code="rank"), a_figure("0.1"), a_figure(plan="q")]
    moment = datetime(2026, 11, 20, 23, 59, 59, 123456, LOCAL)
    figures[2] = replace(figures[2], entered_at=moment, evidence="Dòng 1\nDòng 2 “đủ”")
    with office.store.write() as connection:
        for one in figures:
            stored.add(connection, one)
    with office.store.read() as connection:
        assert stored.figures(connection, ["p"]) == figures[:3]
        assert stored.figures(connection, ["q", "p"]) == figures
        assert stored.figures(connection, []) == []


# --- over HTTP

PLAN = """
issuer = "Sở Y tế"
title = "Kế hoạch cải cách hành chính"
short = "Kế hoạch"
first_day = {first}
last_day = {last}
[[manual]]
code = "inspected"
vi = "Đơn vị được kiểm tra"
en = "Units inspected"
value = 20
section = "II.1"
words = "Tối thiểu 20 % đơn vị"
[[manual]]
code = "rank"
vi = "Thứ hạng PAR INDEX"
en = "PAR INDEX rank"
unit = "count"
operator = "<="
value = 8
section = "I.3"
words = "nhóm 08"
"""


def plan_files(directory: Path) -> tuple[Path, Path]:
    """A plan that is in force today, and one that is over."""
    long = timedelta(days=400)
    now_in_force, over = directory / "nay.toml", directory / "xua.toml"
    now_in_force.write_text(PLAN.format(first=REAL_TODAY - long, last=REAL_TODAY + long))
    over.write_text(PLAN.format(first=REAL_TODAY - 2 * long, last=REAL_TODAY - long))
    return now_in_force, over


@pytest.fixture
def http(office: Office, tmp_path: Path) -> Iterator[httpx.Client]:
    with serving(office.app(plan_files=plan_files(tmp_path))) as client:
        yield client


def a_person(office: Office, name: str, role: str = "admin", facility: str | None = None) -> Any:
    return bearer(office.people.add(Person(name, role, facility), NOON))


def body(**other: Any) -> dict[str, Any]:
    plain = {"plan": "nay", "code": "inspected", "value": "20,5", "day": str(REAL_TODAY), "evidence": "Biên bản số 1"}
    return {**plain, **other}


def test_an_admin_enters_a_figure_and_a_reader_sees_it_with_its_evidence(office: Office, http: httpx.Client) -> None:
    admin, reader = a_person(office, "An"), a_person(office, "Bình", "reader")
    before = http.get("/api/v1/manual", headers=reader).json()["manual"]
    assert [(one["plan"], one["code"], one["state"], one["figure"]) for one in before] == [
        ("nay", "inspected", "no_figure", None),
        ("nay", "rank", "no_figure", None),
    ]
    answer = http.post("/api/v1/manual", json=body(), headers=admin)
    assert (answer.status_code, answer.json()["state"]) == (201, "met")
    http.post("/api/v1/manual", json=body(code="rank", value=9), headers=admin)
    http.post("/api/v1/manual", json=body(value=19.5, evidence="Biên bản số 2"), headers=admin)
    after = http.get("/api/v1/manual", headers=reader).json()["manual"]
    assert [(one["code"], one["state"], one["figure"]["value"]) for one in after] == [
        ("inspected", "not_met", 19.5),
        ("rank", "not_met", 9),
    ]
    newest = after[0]["history"][0]
    assert [newest[key] for key in ("day", "value", "evidence", "person")] == [
        *(str(REAL_TODAY), 19.5, "Biên bản số 2", "An")
    ]
    assert [one["evidence"] for one in after[0]["history"]] == ["Biên bản số 2", "Biên bản số 1"]
    keys = ("vi", "unit", "operator", "value", "section", "words")
    assert [after[1][key] for key in keys] == ["Thứ hạng PAR INDEX", "count", "<=", 8, "I.3", "nhóm 08"]
    assert after[1]["applies_to"] == {"levels": [], "ownership": [], "facilities": []}


def test_a_plan_that_is_over_is_shown_when_asked_for(office: Office, http: httpx.Client) -> None:
    reader = a_person(office, "Bình", "reader")
    found = http.get("/api/v1/manual?plan=xua", headers=reader).json()["manual"]
    assert [one["plan"] for one in found] == ["xua", "xua"]
    assert http.get("/api/v1/manual?plan=mai", headers=reader).status_code == 404


def test_only_people_of_the_department_see_them_and_only_its_admins_enter(office: Office, http: httpx.Client) -> None:
    office.register("12001")
    of_facility = [a_person(office, role, role, "12001") for role in ("reader", "confirmer")]
    for headers, get, post in [
        *((one, 404, 404) for one in of_facility),
        (a_person(office, "Bình", "reader"), 200, 403),
        (a_person(office, "An"), 200, 201),
        (bearer("nobody"), 401, 401),
        ({}, 401, 401),
    ]:
        found = http.get("/api/v1/manual", headers=headers), http.post("/api/v1/manual", json=body(), headers=headers)
        assert [one.status_code for one in found] == [get, post], headers


REFUSED: list[tuple[dict[str, Any], int]] = [
    ({"plan": "mai"}, 404),
    ({"code": "joy"}, 400),
    ({"day": str(REAL_TODAY + timedelta(days=1))}, 400),
    ({"value": "1.000"}, 422),
    ({"value": True}, 422),
    ({"value": None}, 422),
    ({"value": 1e300}, 422),
    ({"day": "hôm nay"}, 422),
    ({"evidence": "  "}, 422),
    ({"evidence": "x" * 2001}, 422),
    ({"evidence": "a\x00b"}, 422),
    ({"person": "Bình"}, 422),
]


def test_what_cannot_be_taken_leaves_nothing(office: Office, http: httpx.Client) -> None:
    admin = a_person(office, "An")
    for other, status in REFUSED:
        answer = http.post("/api/v1/manual", json=body(**other), headers=admin)
        assert (answer.status_code, "detail" in answer.json()) == (status, True), (other, answer.text)
    for text in (b"", b"[]", b"{", b"\xff", b"[" * 10_000):
        answer = http.post("/api/v1/manual", content=text, headers=admin)
        assert answer.status_code == 422, (text[:9], answer.text)
    assert http.post("/api/v1/manual", content=b" " * 40_000, headers=admin).status_code == 413
    assert not any(one["history"] for one in http.get("/api/v1/manual", headers=admin).json()["manual"])


# --- from the command line


class Desk:
    """An operator at the collector's machine, with two plans."""

    def __init__(self, directory: Path, database: str) -> None:
        self.directory = directory
        (directory / "database.url").write_text(database)
        names = ", ".join(f'"{file.name}"' for file in plan_files(directory))
        text = f'[collector]\ndata_dir = "data"\ndatabase_file = "database.url"\nplan_files = [{names}]\n'
        (directory / "collector.toml").write_text(text)
        self.run("migrate")

    def try_out(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["--config", str(self.directory / "collector.toml"), *arguments])

    def run(self, *arguments: str) -> str:
        done = self.try_out(*arguments)
        assert (done.exit_code, done.stderr) == (0, ""), (done.stderr, done.exception)
        return done.stdout

    def enter(self, value: str, code: str = "inspected", day: date = REAL_TODAY, **other: str) -> str:
        return self.run(*an_entry(value, code, day, **other))


def an_entry(
    value: str = "20,5",
    code: str = "inspected",
    day: object = REAL_TODAY,
    plan: str = "nay",
    evidence: str = "Biên bản",
) -> list[str]:
    return ["manual", "set", plan, code, value, "--day", str(day), "--evidence", evidence, "--person", "An"]


@pytest.fixture
def desk(tmp_path: Path, store_url: str) -> Desk:
    return Desk(tmp_path, store_url)


@pytest.fixture
def lone_desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, f"sqlite:///{tmp_path / 'collector.sqlite'}")


def test_a_figure_is_entered_and_listed_with_its_evidence_and_history(desk: Desk) -> None:
    assert "Chưa có số liệu" in desk.run("manual", "list")
    on = f"{REAL_TODAY:%d/%m/%Y}"
    said = desk.enter("20,5", evidence="Biên bản số 1")
    assert said == f"Đã ghi Đơn vị được kiểm tra: 20,5 % ngày {on}, đạt chỉ tiêu (từ 20 % trở lên).\n"
    desk.enter("12", evidence="Biên bản số 2")
    assert "chưa đạt chỉ tiêu (không quá 8)" in desk.enter("9", "rank")
    listed = desk.run("manual", "list", "nay").splitlines()
    assert listed[0] == "nay inspected: Đơn vị được kiểm tra"
    deadline = REAL_TODAY + timedelta(days=400)
    assert listed[1] == f"  Chỉ tiêu: từ 20 % trở lên, hạn {deadline:%d/%m/%Y} (Kế hoạch, II.1)"
    assert listed[2].startswith(f"  Chưa đạt: 12 % ngày {on}; An nhập lúc ")
    assert listed[2].endswith("; minh chứng: Biên bản số 2")
    assert len(listed) == 6
    history = desk.run("manual", "list", "--history").splitlines()
    assert [one.split()[2] for one in history if "Đã nhập" in one] == ["12", "20,5", "9"]


def test_a_rank_that_fell_is_a_figure_and_not_an_option(lone_desk: Desk) -> None:
    assert ": -2 ngày" in lone_desk.enter("-2", "rank")


def test_a_plan_that_is_over_takes_what_was_published_late_and_is_listed_by_name(lone_desk: Desk) -> None:
    last = REAL_TODAY - timedelta(days=400)
    lone_desk.enter("25", day=last, plan="xua")
    assert "xua" not in lone_desk.run("manual", "list")
    assert "Đạt: 25 %" in lone_desk.run("manual", "list", "xua")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (an_entry(plan="mai"), "các kế hoạch: nay, xua"),
        (an_entry(code="joy"), "các chỉ tiêu: inspected, rank"),
        (an_entry(day=REAL_TODAY + timedelta(days=1)), "chưa đến"),
        (an_entry(day="hôm-nay"), "hôm-nay"),
        (an_entry(plan="xua"), "nằm ngoài kế hoạch"),
        (an_entry(value="1.000"), "value: phải là một số, không kèm dấu %"),
        (an_entry(value="20%"), "value: phải là một số, không kèm dấu %"),
        (an_entry(evidence=" "), "evidence: không được để trống"),
        ([*an_entry()[:-1], ""], "không được để trống"),
        (an_entry()[:-2], "--person"),
        (["manual", "list", "mai"], "các kế hoạch: nay, xua"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence_and_exit_code_2(
    lone_desk: Desk, arguments: list[str], told: str
) -> None:
    done = lone_desk.try_out(*arguments)
    assert (done.exit_code, told in done.stderr) == (2, True), (done.output, done.exception)
    assert "Đã nhập" not in lone_desk.run("manual", "list", "nay", "--history")


def test_without_plans_there_is_nothing_to_list_and_nothing_to_enter(tmp_path: Path) -> None:
    desk = Desk(tmp_path, f"sqlite:///{tmp_path / 'collector.sqlite'}")
    config = tmp_path / "collector.toml"
    config.write_text('[collector]\ndata_dir = "data"\ndatabase_file = "database.url"\n')
    assert desk.run("manual", "list") == "Không có chỉ tiêu nhập tay nào.\n"
    assert "các kế hoạch: chưa có" in desk.try_out(*an_entry()).stderr

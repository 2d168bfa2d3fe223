"""Rows of a declared query: every accepted form of day, count, category and facility, and what is refused."""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.rows import Query, Rows, fold
from contract.adapter import SourceConfig
from contract.days import LOCAL, DayRange
from contract.errors import SourceChangedError

DAY = date(2026, 11, 20)
MAPPING = {"Chuyển khoản": "transfer", "TM": "cash", "01": "cash", "2": "card", "true": "qr"}
# What a driver may hand over. Where it is no day or no number, the error must not show it.
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.decimals(),
    st.text(),
    st.binary(),
    st.dates(),
    st.datetimes(),
)


def query(**changes: Any) -> Query:
    values: dict[str, Any] = {
        "name": "own",
        "measure": "payments",
        "time": "datetime",
        "sql": "",
        "categories": {fold(raw): code for raw, code in MAPPING.items()},
        "branches": False,
        "note": "",
    }
    return Query(**values | changes)


def rows(
    *given_rows: Mapping[str, Any],
    facilities: tuple[str, ...] = ("12001",),
    table: Mapping[str, str] | None = None,
    money: bool = False,
    asked: Query | None = None,
) -> Rows:
    """Rows that took `given_rows`; what a row leaves out is one payment in cash on the day."""
    config = SourceConfig("his", "his.sql", facilities, table or {}, None, 60, {}, Path())
    taken = Rows(config, {fold(raw): facility for raw, facility in (table or {}).items()}, DayRange(DAY, DAY), money)
    taken.take(asked or query(), [{"day": DAY, "category": "TM", "count": 1, **row} for row in given_rows])
    return taken


def refusal(row: Mapping[str, Any], **how: Any) -> str:
    with pytest.raises(SourceChangedError) as caught:
        rows(row, **how)
    return str(caught.value)


@pytest.mark.parametrize(
    "day",
    [
        *(DAY, datetime(2026, 11, 20), datetime(2026, 11, 20, 23, 59, 59, 999_999)),  # noqa: DTZ001
        *("20261120", " 20261120 ", 20261120, Decimal(20261120), Decimal("20261120.0000"), 20261120.0, b"20261120"),
        *("2026-11-20", "2026-11-20 00:00:00", "2026-11-20T23:59:59.1234567", b"2026-11-20"),
        # a moment belongs to the local day, in whatever zone the driver shows it
        *(datetime(2026, 11, 19, 17, tzinfo=UTC), datetime(2026, 11, 20, 16, 59, 59, tzinfo=UTC)),
        *(datetime(2026, 11, 20, 0, tzinfo=LOCAL), datetime(2026, 11, 20, 2, tzinfo=timezone(timedelta(hours=9)))),
        *("2026-11-19T17:00:00Z", "2026-11-20 23:59:59+07:00"),
    ],
    ids=repr,
)
def test_a_day_in_any_accepted_form_is_that_day(day: object) -> None:
    assert rows({"day": day}).counts("12001", DAY) == {"cash": 1}


@pytest.mark.parametrize(
    "day",
    [
        *(None, True, "", "MARK-DAY", "2026112", "202611200", 20261120.5, Decimal("20261120.5"), float("nan")),
        *(20261320, "20261131", "0000-00-00", "2026-11-20MARK", "20/11/2026", "2026-W47-5", timedelta(1), b"\xff"),
        *(-20261120, float("inf"), Decimal("NaN"), Decimal("sNaN"), 10**400, "二〇二六一一二〇"),
    ],
    ids=str,
)
def test_what_is_no_day_is_refused_and_not_shown(day: object) -> None:
    assert refusal({"day": day}) == "câu truy vấn “own”: cột day không phải là một ngày"


@pytest.mark.parametrize("day", [date(2026, 11, 19), 20261121, "2026-11-21 00:00:00", "2026-11-20T17:00:00Z"])
def test_a_day_outside_the_window_is_refused(day: object) -> None:
    assert refusal({"day": day}) == "câu truy vấn “own”: cột day nằm ngoài những ngày được hỏi"


@pytest.mark.parametrize("count", [7, 7.0, Decimal(7), Decimal("7.000"), Decimal("7E0")], ids=repr)
@pytest.mark.parametrize("money", [False, True])
def test_a_count_in_any_numeric_type_is_that_number(count: object, money: bool) -> None:
    assert rows({"count": count}, money=money).counts("12001", DAY) == {"cash": 7}


@pytest.mark.parametrize(
    "count",
    [
        *(None, True, "7", "MARK-COUNT", b"7", -1, -0.5, 10**15 + 1, 1e300, 10**400, DAY),
        *(float("nan"), float("inf"), Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity")),
    ],
    ids=str,
)
@pytest.mark.parametrize("money", [False, True])
def test_what_is_no_count_is_refused_and_not_shown(count: object, money: bool) -> None:
    what = "số tiền" if money else "số nguyên"
    assert (
        refusal({"count": count}, money=money) == f"câu truy vấn “own”: cột count không phải là {what} từ 0 đến 10^15"
    )


def test_a_fraction_is_no_count_but_an_amount_of_money() -> None:
    assert "số nguyên" in refusal({"count": 7.5})
    assert rows({"count": 7.5}, money=True).counts("12001", DAY) == {"cash": 8}


def test_money_is_added_up_before_it_is_rounded_and_what_rounds_to_nothing_is_left_out() -> None:
    taken = rows({"count": 0.4}, {"count": Decimal("0.4")}, {"category": "2", "count": 0.4}, money=True)
    assert taken.counts("12001", DAY) == {"cash": 1}
    assert rows({"count": 0.1 + 0.2 + 0.2}, money=True).counts("12001", DAY) == {"cash": 1}


def test_a_missing_column_is_named() -> None:
    config = SourceConfig("his", "his.sql", ("12001", "12002"), {}, None, 60, {}, Path())
    for row, column in [
        ({"count": 1, "category": "TM"}, "day"),
        ({"day": DAY, "category": "TM"}, "count"),
        ({"day": DAY, "count": 1, "facility": "12001"}, "category"),
        ({"day": DAY, "count": 1, "category": "TM"}, "facility"),
    ]:
        with pytest.raises(SourceChangedError, match=f"không trả về cột {column}"):
            Rows(config, {}, DayRange(DAY, DAY), False).take(query(), [row])


@pytest.mark.parametrize(
    ("raw", "category"),
    [
        *(("tm", "cash"), ("  TM  ", "cash"), (b"TM", "cash"), (2, "card"), (2.0, "card"), (Decimal("2.00"), "card")),
        *(("CHUYỂN   KHOẢN", "transfer"), (unicodedata.normalize("NFD", "chuyển\u00a0khoản"), "transfer")),
        *((True, "qr"), ("1", "unknown"), (1, "unknown"), (None, "unknown"), ("", "unknown"), ("khác", "unknown")),
        *((float("nan"), "unknown"), (Decimal("sNaN"), "unknown"), (DAY, "unknown"), (b"\xb8\xb5", "unknown")),
    ],
    ids=repr,
)
def test_a_category_is_compared_after_nfc_casefold_and_folding_of_space(raw: object, category: str) -> None:
    assert rows({"category": raw}).counts("12001", DAY) == {category: 1}


def test_values_without_a_mapping_are_kept_as_people_can_read_them_and_null_is_no_value() -> None:
    taken = rows(
        {"category": "Ví\n mới", "count": 3},
        {"category": Decimal("9.0"), "count": 2},
        {"category": None},
        {"category": "x" * 99},
    )
    assert {value: cases for (_, _, value), cases in taken.unmapped.items()} == {"Ví mới": 3, "9": 2, "x" * 60: 1}


def test_of_money_without_a_mapping_the_number_of_rows_is_kept_and_not_the_amount() -> None:
    assert list(rows({"category": "VI", "count": 5_000_000}, money=True).unmapped.values()) == [1]


def test_a_measure_with_one_category_needs_no_category_column() -> None:
    only = query(categories={"done": "done"})
    config = SourceConfig("his", "his.sql", ("12001",), {}, None, 60, {}, Path())
    taken = Rows(config, {}, DayRange(DAY, DAY), False)
    taken.take(only, [{"day": DAY, "count": 4}])
    assert taken.counts("12001", DAY) == {"done": 4}


def test_without_a_table_the_facility_must_be_one_of_the_agents_ids_and_strangers_are_named() -> None:
    given_rows: list[dict[str, Any]] = [
        {"facility": "12001"},
        {"facility": "bv02 "},
        {"facility": "99999", "count": 4},
        {"facility": None},
    ]
    taken = rows(*given_rows, facilities=("12001", "BV02"))
    assert [taken.counts(facility, DAY) for facility in ("12001", "BV02")] == [{"cash": 1}, {"cash": 1}]
    assert taken.strangers == {"99999": 4, "NULL": 1}


def test_with_a_table_only_its_values_count() -> None:
    given_rows: list[dict[str, Any]] = [
        {"facility": Decimal("1.0")},
        {"facility": "BV 02"},
        {"facility": "12001", "count": 2},
    ]
    taken = rows(*given_rows, facilities=("12001", "12002"), table={"1": "12001", "bv  02": "12002"})
    assert [taken.counts(facility, DAY) for facility in ("12001", "12002")] == [{"cash": 1}, {"cash": 1}]
    assert taken.strangers == {"12001": 2}


def test_a_source_of_one_facility_needs_no_facility_column_and_a_column_that_is_there_must_agree() -> None:
    assert rows({}).counts("12001", DAY) == {"cash": 1}
    taken = rows({"facility": "12002"}, {"facility": "12001"})
    assert (taken.counts("12001", DAY), taken.strangers) == ({"cash": 1}, {"12002": 1})


def test_branches_of_a_vendor_mean_nothing_without_a_table() -> None:
    taken = rows({"facility": 7}, {"facility": None}, asked=query(branches=True))
    assert taken.counts("12001", DAY) == {"cash": 2}


@pytest.mark.parametrize("column", ["category", "facility"])
def test_a_column_with_thousands_of_values_is_refused_whole(column: str) -> None:
    def many() -> Iterable[Mapping[str, object]]:
        for number in range(10**6):
            yield {"day": DAY, "category": "TM", "facility": "12001", "count": 1} | {column: f"MARK-{number}"}
            assert number < 2_000

    config = SourceConfig("his", "his.sql", ("12001",), {}, None, 60, {}, Path())
    with pytest.raises(SourceChangedError, match="hơn 1000 giá trị lạ") as caught:
        Rows(config, {}, DayRange(DAY, DAY), False).take(query(), many())
    assert "MARK" not in str(caught.value)


@given(day=ANYTHING, count=ANYTHING, category=ANYTHING, facility=ANYTHING, money=st.booleans())
def test_whatever_a_driver_hands_over_is_counted_or_refused_in_our_own_words(
    day: object, count: object, category: object, facility: object, money: bool
) -> None:
    row = {"day": day, "count": count, "category": category, "facility": facility}
    how: dict[str, Any] = {"facilities": ("12001", "12002"), "money": money}
    try:
        taken = rows(row, **how)
    except SourceChangedError as error:
        assert str(error).startswith("câu truy vấn “own”: cột ")
    else:
        assert all(1 <= number <= 10**15 for number in taken.counts("12001", DAY).values())
    try:
        rows(row | {"day": DAY, "count": 1}, **how)
        rows({"category": category}, {"facility": facility}, **how | {"facilities": ("12001",)})
    except SourceChangedError:
        pytest.fail("no category and no facility is ever refused for what it is")

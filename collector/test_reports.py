"""What the report says: figures equal to the standings, every missing thing said, in the words of an officer."""

from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from collector import collation, typography
from collector.access import Speaker
from collector.reports import FORMATS, file_name, write
from collector.reports.blocks import Heading, Report
from collector.reports.content import section_key
from collector.reports.gathering import gather
from collector.reports.periods import Period, between, parse
from collector.standings import standing_over
from collector.store import manual as manual_figures
from contract.catalogue import Cadence
from contract.days import LOCAL, DayRange, midnight
from contract.errors import BadRequestError, NotFoundError
from contract.verdict import Verdict
from tests.office import Office, a_plan, a_tally
from tests.reporting import DRAWN_UP, NAMES, OCTOBER, PLAN, RULES, a_figure, a_province, a_report, sign, tables, text_of


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """What is read is tested on both databases elsewhere."""
    return f"sqlite:///{tmp_path / 'collector.sqlite'}"


@pytest.fixture
def province(office: Office) -> Office:
    a_province(office)
    return office


def figures(report: Report) -> list[dict[str, object]]:
    (table,) = tables(report, "Toàn bộ số liệu")
    return [dict(zip((one.title for one in table.columns), row, strict=True)) for row in table.rows]


def cells(report: Report, name: str) -> list[list[str]]:
    return [row for table in tables(report, name) for row in table.page()[1]]


# --- periods


@pytest.mark.parametrize(
    ("code", "first", "last", "before", "name"),
    [
        ("2026-11", "2026-11-01", "2026-11-30", "2026-10", "tháng 11 năm 2026"),
        ("2024-02", "2024-02-01", "2024-02-29", "2024-01", "tháng 02 năm 2024"),
        ("2025-03", "2025-03-01", "2025-03-31", "2025-02", "tháng 3 năm 2025"),
        ("2026-01", "2026-01-01", "2026-01-31", "2025-12", "tháng 01 năm 2026"),
        ("2026-Q1", "2026-01-01", "2026-03-31", "2025-Q4", "quý I năm 2026"),
        ("2026-Q4", "2026-10-01", "2026-12-31", "2026-Q3", "quý IV năm 2026"),
        ("2026-H1", "2026-01-01", "2026-06-30", "2025-H2", "6 tháng đầu năm 2026"),
        ("2026-H2", "2026-07-01", "2026-12-31", "2026-H1", "6 tháng cuối năm 2026"),
        ("2024", "2024-01-01", "2024-12-31", "2023", "năm 2024"),
        ("2020-01", "2020-01-01", "2020-01-31", "2019-12", "tháng 01 năm 2020"),
    ],
)
def test_a_period_has_its_days_its_name_and_the_one_before(
    code: str, first: str, last: str, before: str, name: str
) -> None:
    found = parse(code)
    assert (str(found.whole.first), str(found.whole.last)) == (first, last)
    assert found.previous().code == before
    assert found.previous().whole.last == found.whole.first - timedelta(days=1)
    assert found.name.replace("\u00a0", " ") == name


@pytest.mark.parametrize(
    ("first", "last", "before_first"),
    [
        (date(2026, 10, 15), date(2026, 11, 14), date(2026, 9, 15)),  # as officials count a month
        (date(2024, 2, 15), date(2024, 3, 14), date(2024, 1, 15)),
        (date(2025, 12, 15), date(2026, 12, 14), date(2024, 12, 15)),  # and a year
        (date(2024, 3, 1), date(2024, 3, 31), date(2024, 2, 1)),
        (date(2026, 11, 1), date(2026, 11, 10), date(2026, 10, 22)),  # no whole months: as many days
        (date(2026, 3, 30), date(2026, 4, 29), date(2026, 2, 28)),  # February has no 30th
    ],
)
def test_between_two_days_the_period_before_has_as_many_months_or_days(
    first: date, last: date, before_first: date
) -> None:
    before = between(first, last).previous()
    assert (before.whole.first, before.whole.last) == (before_first, first - timedelta(days=1))


@pytest.mark.parametrize(
    "text", ["", "2026-13", "2026-Q5", "2026-H3", "26-01", "2026-1", "2019", "2026-11-01", "２０２６"]
)
def test_what_is_no_period_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(BadRequestError, match="2026-Q4"):
        parse(text)


def test_two_days_are_in_order_and_not_more_than_a_year_apart() -> None:
    assert len(between(date(2024, 1, 1), date(2024, 12, 31)).whole) == 366
    for first, last in ((date(2026, 2, 2), date(2026, 2, 1)), (date(2024, 1, 1), date(2025, 1, 1))):
        with pytest.raises(BadRequestError, match="366 ngày"):
            between(first, last)


def test_a_running_period_ends_yesterday_and_one_to_come_is_refused() -> None:
    assert parse("2026-11").days(date(2026, 11, 21)).last == date(2026, 11, 20)
    assert parse("2026-11").days(date(2026, 12, 1)).last == date(2026, 11, 30)
    with pytest.raises(BadRequestError, match="chưa có ngày nào đã qua"):
        parse("2026-12").days(date(2026, 12, 1))


# --- words


def test_names_are_in_the_order_of_vietnamese_dictionaries() -> None:
    right = ["a", "à", "ả", "ã", "á", "ạ", "an", "ăn", "ân", "Cần", "da", "Da", "Đa", "đan", "ê", "Trạm 2", "Trạm 10"]
    assert sorted(reversed(right), key=collation.key) == right
    # letters of the whole name come before its tones, however it is written
    assert sorted(["Bệnh viện B", "Bênh viện C", "Be\u0323\u0302nh viện A"], key=collation.key)[0].endswith("A")


def test_figures_are_written_as_vietnamese_readers_write_them() -> None:
    assert typography.number(1234567) == "1.234.567"
    assert typography.percent(Fraction(412, 577)) == "71,4\u00a0%"
    assert typography.percent(Fraction(99_999, 100_000)) == "99,9\u00a0%"
    assert typography.percent(Fraction(1)) == "100,0\u00a0%"
    assert typography.long_day(date(2026, 2, 5)) == "ngày 05 tháng 02 năm 2026".replace(" ", "\u00a0")
    assert typography.long_day(date(2026, 9, 15)) == "ngày 15 tháng 9 năm 2026".replace(" ", "\u00a0")
    october = DayRange(date(2026, 10, 1), date(2026, 10, 31))
    names: dict[Cadence, str] = {"monthly": "tháng 10/2026", "quarterly": "quý IV/2026", "yearly": "năm 2026"}
    for cadence, name in names.items():
        assert typography.period(cadence, october) == name.replace(" ", "\u00a0")
    assert typography.period("working", october) == ""
    assert typography.clean("Hoà\u0323\x00  B\r\nC") == "Hoạ̀ B C"


def test_sections_are_in_the_order_of_the_document() -> None:
    right = ["I.3", "II.1", "II.3", "II.10", "IV", "VII, Mục tiêu 2", "VII, Mục tiêu 11", "IX", "Phụ lục"]
    assert sorted(sorted(right), key=section_key) == right


# --- figures


def test_every_figure_equals_the_standing(province: Office) -> None:
    found = {(one["Mã cơ sở"], one["Mã chỉ số"]): one for one in figures(a_report(province)) if one["Mã cơ sở"]}
    assert {facility for facility, _ in found} == set(NAMES)
    for (facility, code), one in found.items():
        data = province.data(str(facility), date(2026, 11, 1))
        held = standing_over(data, province.yardstick, str(code), OCTOBER, "", midnight(date(2026, 11, 1)))
        assert one["Kết luận"] == held.verdict.vi
        assert (one["Số ngày có số liệu"], one["Số ngày phải có"]) == (held.present, held.expected)
        if held.as_of is not None:
            assert (one["Số đạt"], one["Tổng số"], one["Chưa phân loại"], one["Tỷ lệ"]) == (
                *(held.numerator, held.denominator, held.unknown),
                held.share,
            )


def test_the_verdicts_of_the_province_are_those_expected(province: Office) -> None:
    found = {one["Mã cơ sở"]: one["Kết luận"] for one in figures(a_report(province)) if one["Mã chỉ số"] == "cashless"}
    words = [
        Verdict.MET,
        Verdict.BELOW,
        Verdict.NEAR,
        Verdict.NO_DATA,
        Verdict.UNKNOWN,
        Verdict.NO_DATA,
        Verdict.INSUFFICIENT,
    ]
    assert [found[one] for one in NAMES] == [one.vi for one in words]


def test_the_province_is_the_sum_of_its_facilities(province: Office) -> None:
    whole = next(one for one in figures(a_report(province)) if one["Phạm vi"] == "Toàn tỉnh")
    assert (whole["Số đạt"], whole["Tổng số"], whole["Chưa phân loại"]) == (10_664, 12_710, 1_240)
    text = text_of(a_report(province))
    assert "tỷ lệ chung 83,9 % (**) (10.664/12.710 ca); tăng 10,6 điểm phần trăm so với tháng 9 năm 2026" in text
    assert "1.240 ca (8,9 %) chưa phân loại được, không tính vào tỷ lệ" in text
    assert (
        "1/7 cơ sở đạt từ 90 % trở lên, 1 gần đạt, 1 chưa đạt, 1 ít số liệu, 1 chưa phân loại, 2 chưa có số liệu"
        in text
    )


def test_no_data_is_never_zero(province: Office) -> None:
    rows = {row[1]: row for row in cells(a_report(province), "Số liệu chi tiết")[7:]}
    assert rows[NAMES["12004"]][2:] == ["–", "–", "–", "–", "60,0\u00a0%", "0/31", "Chưa có số liệu"]
    # a clinic that had no payment at all has data, and no share
    assert rows[f"{NAMES['12007']}\u00a0(*)"][2:] == ["0", "0", "0", "–", "–", "31/31", "Ít số liệu"]


def test_who_is_missing_is_named_with_the_day_since_when(province: Office) -> None:
    text = text_of(a_report(province))
    assert (
        "5 cơ sở có số liệu, 2 cơ sở chưa có số liệu: Trung tâm Y tế khu vực An Bình; Trung tâm Y tế khu vực Đà Bắc."
        in text
    )
    assert "An Bình (chưa từng gửi số liệu)" in text
    assert "Đà Bắc (không có số liệu sau ngày 30/09/2026)" in text
    assert "Ân Hòa (80,0 % chưa rõ)" in text


def test_who_is_behind_is_listed_with_the_reason_they_gave(province: Office) -> None:
    rows = cells(a_report(province), "Chưa đạt")
    told = [(row[1].split("\u00a0")[0], row[4].split("\u00a0")[0], row[5], row[7]) for row in rows]
    disputed = "Ý kiến về số liệu tháng 10/2026: Phần mềm chưa tách lần thu qua thẻ = 12 ca/ngày."
    answered = "Trả lời cảnh báo ngày 21/10/2026: Máy POS hỏng từ ngày 20/10, đã sửa xong."
    assert told == [
        ("Bệnh viện <Sản & Nhi>", "60,0", "930", disputed),
        ("Bệnh viện <Sản & Nhi>", "50,0", "1.395", "Cơ sở chưa nêu lý do"),
        ("Trung tâm Y tế khu vực Đông", "89,0", "31", answered),
    ]
    silent = cells(a_report(province), "Chưa có số liệu")
    assert [row[4] for row in silent] == [
        "Cơ sở chưa nêu lý do",
        "Trả lời cảnh báo ngày 21/10/2026: Máy chủ HIS đang được thay.",
    ]


# --- what people sign


def test_only_what_is_confirmed_has_no_mark(province: Office) -> None:
    found = {(one["Mã cơ sở"], one["Mã chỉ số"]): one["Xác nhận"] for one in figures(a_report(province))}
    assert found["12001", "cashless"] == "Đã xác nhận"
    assert found["12002", "cashless"] == "Có ý kiến"
    assert found["12002", "emr"] == found["12003", "cashless"] == "Chưa xác nhận"
    text = text_of(a_report(province))
    assert "Có 1/7 cơ sở đã xác nhận" in text
    assert "(*) số liệu chưa được cơ sở xác nhận" in text
    assert "(**) số liệu cơ sở cho là chưa đúng" in text


def test_a_correction_after_the_signature_takes_the_confirmation_away(province: Office) -> None:
    agent = Speaker(str(province.source("12001").agent), frozenset({"12001"}))
    sent = [a_tally(day, 2, {"cash": 100, "qr": 100}) for day in OCTOBER]
    assert province.push(agent, sent, at=DRAWN_UP).accepted == len(sent)
    found = {(one["Mã cơ sở"], one["Mã chỉ số"]): one["Xác nhận"] for one in figures(a_report(province))}
    assert found["12001", "cashless"] == "Chưa xác nhận"


def test_a_quarter_is_confirmed_when_all_its_months_are(province: Office) -> None:
    later = datetime(2026, 11, 5, 9, tzinfo=LOCAL)
    sept_to_oct = between(date(2026, 9, 15), date(2026, 10, 14))

    def mark() -> object:
        found = figures(a_report(province, sept_to_oct, "12001", later))
        return next(one["Xác nhận"] for one in found if one["Mã chỉ số"] == "cashless")

    assert mark() == "Chưa xác nhận"
    sign(province, "12001", "confirmed", period="2026-09")
    assert mark() == "Đã xác nhận"


def test_a_month_that_is_not_over_is_not_confirmed(province: Office) -> None:
    assert "Có 0/7 cơ sở đã xác nhận" in text_of(a_report(province, "2026-11"))
    assert "báo cáo kết quả tháng 11 năm 2026 (đến hết ngày 04/11/2026) như sau:" in text_of(
        a_report(province, "2026-11")
    )


# --- targets


def test_manual_targets_have_their_figure_and_evidence_or_are_listed_as_missing(province: Office) -> None:
    text = text_of(a_report(province))
    assert "Phòng, đơn vị được kiểm tra: 18,5 % (ngày 30/10/2026; minh chứng: Biên bản số 12/BB-SYT)." in text
    assert "Chưa có số liệu của 1 chỉ tiêu do Sở nhập: Hồ sơ quá hạn có văn bản xin lỗi." in text
    assert "1 chỉ tiêu do Sở nhập chưa có số liệu: Hồ sơ quá hạn có văn bản xin lỗi (Kế hoạch" in text
    rows = {row[1]: row for row in cells(a_report(province), "Kết quả")}
    assert rows["Phòng, đơn vị được kiểm tra"][2:5] == ["≥\u00a020\u00a0%", "18,5\u00a0%", "Chưa đạt"]
    assert rows["Hồ sơ quá hạn có văn bản xin lỗi"][2:5] == ["100\u00a0%", "Chưa có số liệu", "Chưa có số liệu"]


def test_a_manual_target_without_a_figure_in_the_plan_is_followed(province: Office) -> None:
    followed = PLAN.manual[0].model_copy(update={"value": None})
    province.set_plans(PLAN.model_copy(update={"manual": (followed,)}))
    report = a_report(province)
    assert "Trong 1 chỉ tiêu do Sở nhập kèm minh chứng: 1 theo dõi." in text_of(report)
    rows = {row[1]: row for row in cells(report, "Kết quả")}
    assert rows[followed.vi][2:5] == ["Theo dõi", "18,5\u00a0%", "Theo dõi"]
    assert "chỉ theo dõi, văn bản không nêu con số" in [cell for row in figures(report) for cell in row.values()]


def test_a_manual_figure_of_a_later_day_is_not_in_an_earlier_report(province: Office) -> None:
    with province.store.write() as connection:
        manual_figures.add(connection, a_figure(date(2026, 11, 3), "25", DRAWN_UP))
    assert "18,5 % (ngày 30/10/2026" in text_of(a_report(province))
    november = a_report(province, "2026-11")
    assert "25 % (ngày 03/11/2026" in text_of(november)
    rows = {row[1]: row for row in cells(november, "Kết quả")}
    assert rows["Phòng, đơn vị được kiểm tra"][4:] == ["Đạt", "Kỳ trước 18,5\u00a0%"]


def test_a_target_of_facilities_counts_facilities(province: Office) -> None:
    row = next(row for row in cells(a_report(province), "Kết quả") if row[1].startswith("Bệnh án điện tử"))
    assert row[2:] == ["100\u00a0% cơ sở", "50,0\u00a0%\u00a0(*) (1/2\u00a0cơ sở)", "Gần đạt", "Không đổi"]


def test_sections_follow_the_plan_and_what_is_only_followed_is_counted(province: Office) -> None:
    report = a_report(province)
    headings = [one.text for one in report.body if isinstance(one, Heading)]
    assert [one for one in headings if one.startswith(("1.", "2.", "3.", "4."))] == [
        f"{place}. Chỉ tiêu tại mục {name} của Kế hoạch"
        for place, name in enumerate(("II.1", "II.3", "II.7", "III.2"), 1)
    ]
    assert "Phiên khám, hội chẩn từ xa: đã thực hiện 62, đã hủy 31." in text_of(report)
    assert "Hồ sơ TTHC nộp trực tuyến: không có cơ sở nào thuộc phạm vi áp dụng." in text_of(report)


def test_without_a_plan_there_is_still_a_report(province: Office) -> None:
    province.set_plans()
    text = text_of(a_report(province))
    assert "Không có kế hoạch nào đang có hiệu lực" in text
    assert "Lần thu không dùng tiền mặt: tỷ lệ chung 83,9 %" in text


def test_in_january_the_old_plan_yields_to_the_new_one(office: Office) -> None:
    new = a_plan({"ratio": "0.95"}, id="ke-hoach-2027", first_day="2027-01-01", last_day="2027-12-31")
    a_province(office)
    office.set_plans(PLAN, new)
    moment = datetime(2027, 1, 20, 9, tzinfo=LOCAL)
    with office.store.read() as connection:
        found = gather(connection, office.yardstick, RULES, parse("2027-01"), None, moment)
        before = gather(connection, office.yardstick, RULES, parse("2026-12"), None, moment)
    assert [one.id for one in found.plans] == ["ke-hoach-2027"]
    assert [one.id for one in before.plans] == [PLAN.id]


# --- one facility


def test_the_report_on_one_facility_speaks_of_it_alone(province: Office) -> None:
    report = a_report(province, "2026-10", "12002")
    text = text_of(report)
    assert "Sở Y tế báo cáo kết quả của Bệnh viện <Sản & Nhi> tháng 10 năm 2026 như sau:" in text
    assert (
        "Lần thu không dùng tiền mặt: 60,0 % (**) (1.860/3.100 ca), giảm 10,0 điểm phần trăm so với tháng 9 năm 2026, "
        "mức phải đạt từ 90 % trở lên, còn thiếu 930 ca: chưa đạt." in text
    )
    assert {one["Mã cơ sở"] for one in figures(report)} == {"12002"}
    others = [name for one, name in NAMES.items() if one != "12002"]
    assert [name for name in others if name in write(report, "csv").decode()] == []
    assert "kiểm tra" not in text  # the Sở's own targets are not the hospital's
    assert file_name(report, "docx") == "bao-cao-2026-10-12002.docx"


def test_a_facility_that_nobody_knows_is_refused(province: Office) -> None:
    with pytest.raises(NotFoundError):
        a_report(province, "2026-10", "99999")


def test_a_facility_that_closed_before_the_period_is_not_in_the_report(province: Office) -> None:
    province.register("12006", name=NAMES["12006"], active_to="2026-09-30")
    assert "Trong kỳ có 6 cơ sở" in text_of(a_report(province))


def test_later_days_do_not_change_the_report_on_a_period_that_is_over(province: Office) -> None:
    now = write(a_report(province), "csv")
    afterwards = datetime(2027, 6, 1, 9, tzinfo=LOCAL)
    assert write(a_report(province, moment=afterwards), "csv") == now


def test_an_empty_registry_makes_an_empty_report(office: Office) -> None:
    report = a_report(office)
    assert "Không có cơ sở nào hoạt động trong kỳ báo cáo." in text_of(report)
    assert all(write(report, one) for one in FORMATS)


def test_a_period_may_begin_before_anything_was_stored(province: Office) -> None:
    old = a_report(province, Period("2020-01", "…", DayRange(date(2020, 1, 1), date(2020, 1, 31))))
    assert "chưa cơ sở nào có số liệu" in text_of(old)

"""Alerts on facilities, sources, agents, confirmations and the collector: when they fire, when not, what they say."""

import pytest

from contract import metrics
from contract.metrics import Family
from contract.verdict import Verdict
from dashboards import alerts_collector, rules
from dashboards.test_rules import TODAY, some_settings
from dashboards.test_rules_fire import CLAUSES, FIGURES, HOSPITAL, Check, Scene, check, moment, steps

__all__ = ["check"]
pytestmark = pytest.mark.slow
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_INDICATOR = "“Lần thu không dùng tiền mặt”"
_SHARE = CLAUSES["share"]
UP = Family("up", (), "")
HEARTBEAT = Family(alerts_collector.HEARTBEAT, ("loop",), "")
PERIOD = Family(alerts_collector.PERIOD, ("loop",), "")


def hospital() -> Scene:
    return Scene().is_registered()


def unexpected() -> Scene:
    """In its first week, in a pause, or closed: nothing is expected of it."""
    return Scene().has(metrics.FACILITY_INFO, 1)


_FELL = {"target": CLAUSES["target"], "than": "quý trước đó", "before": "Quý trước đó đạt 61,4 % trên 2.500 ca"}


def falling(**changed: float) -> Scene:
    before = {metrics.PREVIOUS: changed.get("before", 0.6144), metrics.PREVIOUS_DENOMINATOR: changed.get("base", 2500)}
    scene = hospital().stands({**before, metrics.VERDICT: changed.get("verdict", 7)}).has(metrics.SAID, 1, **_FELL)
    scene.stands({one: FIGURES[one] for one in (metrics.RATIO, metrics.DENOMINATOR)}).speaks()
    return scene if "fires" in changed else scene.is_quiet("IndicatorFalling", _HOUR)


def test_a_share_that_falls_fires_unless_it_is_small_numbers_or_cannot_be_judged(check: Check) -> None:
    summary = f"{HOSPITAL}: {_INDICATOR} giảm mạnh so với quý trước đó"
    text = f"{HOSPITAL}, {_INDICATOR}: {_SHARE}.\n{_FELL['before']}.\n{_FELL['target']}."
    check(
        falling(fires=1).fires("IndicatorFalling", 2 * _HOUR, summary, text, indicator="cashless"),
        falling(before=0.57),
        falling(base=29),
        falling(verdict=Verdict.UNKNOWN.value),
        falling(verdict=Verdict.NOT_APPLICABLE.value),
    )


@pytest.mark.parametrize("why", ["silent", "paused", "new"])
def test_nothing_begins_where_no_data_is_expected_or_comes_but_what_stood_goes_on(check: Check, why: str) -> None:
    before = {metrics.PREVIOUS: 0.6144, metrics.PREVIOUS_DENOMINATOR: 2500, metrics.VERDICT: 7}
    labels = {"indicator": "cashless", "finding": "frozen"}

    # evaluated as often as in production: what stood is seen by the evaluation before
    step, at = 4 * _MINUTE, 3 * _HOUR
    text = rules.files(some_settings(silent_hours=1), TODAY)[rules.FILE]

    def scene(doubt: int) -> Scene:
        """The finding stands from so many hours on."""
        found = Scene(step=step).has(metrics.FACILITY_INFO, 1).stands({**FIGURES, **before})
        found.has(metrics.FINDING, steps(("_", doubt * 15), (1, 400)) if doubt else 1, finding="frozen")
        pushed = 0 if why == "silent" else f"0+{step}x400"
        expected: dict[str, float | str] = {"new": 9e6, "paused": steps((-9e6, 15), ("stale", 1)), "silent": -9e6}
        return found.has(metrics.FACILITY_PUSH, pushed).has(metrics.FACILITY_EXPECTED, expected[why])

    later = scene(2).is_quiet("DataQualityFinding", at)
    told = f"{HOSPITAL}, {_INDICATOR}: nhiều ngày liền có số liệu giống hệt nhau.\nHiện {_SHARE}. "
    told += "Bằng chứng ở trang của cơ sở."
    first = scene(0)
    if why in ("silent", "paused"):
        first.fires("DataQualityFinding", at, f"{HOSPITAL}: {_INDICATOR}: số liệu lặp lại", told, **labels)
    else:
        first.is_quiet("DataQualityFinding", at).is_quiet("IndicatorFalling", at)
    check(later, first, text=text)


def on_the_way(road: float | str, share: float | str = 0.4724, verdict: float | str = 5) -> Scene:
    figures = {metrics.ROAD: road, metrics.RATIO: share, metrics.VERDICT: verdict}
    return Scene(step=6 * _HOUR).is_registered().speaks().stands(figures).has(metrics.SAID, 1, road="55,0 %")


def test_behind_the_road_for_a_week_fires_and_the_day_it_is_back_ends_it(check: Check) -> None:
    summary = f"{HOSPITAL}: {_INDICATOR} chậm so với lộ trình"
    text = (
        f"{HOSPITAL}, {_INDICATOR}: {_SHARE}; theo lộ trình, đến hôm nay phải đạt 55,0 %.\n"
        f"Chậm ít nhất 7,8 điểm phần trăm trong suốt 7 ngày qua.\n{CLAUSES['target']}."
    )
    behind = on_the_way(0.55, steps((0.4724, 38), (0.52, 9))).is_quiet("OffTheRoad", 6 * _DAY, 38 * 6 * _HOUR)
    unjudged = on_the_way(0.55, verdict=steps((5, 34), (2, 9)))
    check(
        behind.fires("OffTheRoad", 9 * _DAY, summary, text, "2027-01-31", indicator="cashless"),
        unjudged.fires("OffTheRoad", 10 * _DAY, summary, text, "2027-01-31", indicator="cashless"),
        on_the_way(0.52).is_quiet("OffTheRoad", 9 * _DAY),
        on_the_way(0.55, verdict=3).is_quiet("OffTheRoad", 9 * _DAY),
        on_the_way(steps((0.55, 36), ("stale", 1))).is_quiet("OffTheRoad", 9 * _DAY),
    )


def test_a_road_that_runs_away_from_a_silent_facility_is_no_news_of_it(check: Check) -> None:
    figures = {**FIGURES, metrics.ROAD: "0.45+0.005x99"}
    scene = Scene(step=6 * _HOUR).is_registered().stands(figures).has(metrics.FACILITY_PUSH, 6 * _HOUR)
    check(scene.is_quiet("OffTheRoad", 9 * _DAY, 16 * _DAY))


def unmapped(cases: float, base: float = 2612, verdict: float = 5) -> Scene:
    figures = {**FIGURES, metrics.DENOMINATOR: base, metrics.VERDICT: verdict}
    return hospital().stands({**figures, metrics.SOURCE_UNMAPPED: cases})


def test_unmapped_categories_fire_above_five_percent_of_the_base(check: Check) -> None:
    measure, labels = "“Lần nộp tiền của người bệnh”", {"source": "his", "measure": "payments"}
    summary = f"{HOSPITAL}: nguồn his có giá trị chưa khai báo ở {measure}"
    text = (
        f"{HOSPITAL}, nguồn his: {{}} ca trong 30 ngày của {measure} mang giá trị chưa được khai báo, "
        "quá 5 % tổng số tính được. Phần này chưa được tính vào tỷ lệ nào."
    )
    alert = "CategoriesUnmapped"
    paid = hospital().has(metrics.SOURCE_UNMAPPED, 5_000_000, measure="payment_amount")
    paid.has(metrics.DENOMINATOR, 20_000_000, indicator="cashless_amount")
    paid.has(metrics.VERDICT, 5, indicator="cashless_amount")
    money = summary.replace("Lần nộp tiền của người bệnh", "Số tiền người bệnh nộp")
    in_money = text.format("5.000.000").replace(" ca ", " đồng ")
    in_money = in_money.replace("Lần nộp tiền của người bệnh", "Số tiền người bệnh nộp")
    check(
        unmapped(131).fires(alert, _HOUR, summary, text.format(131), **labels),
        unmapped(5000, base=0, verdict=2).fires(alert, _HOUR, summary, text.format("5.000"), **labels),
        paid.fires(alert, _HOUR, money, in_money, source="his", measure="payment_amount"),
        unmapped(130).is_quiet(alert, _HOUR),
        unmapped(20, base=25, verdict=3).is_quiet(alert, _HOUR),
        unmapped(0, base=0, verdict=1).is_quiet(alert, _HOUR),
    )


def test_a_finding_fires_while_it_stands_but_what_stands_still_has_its_own_alert(check: Check) -> None:
    what, labels = "nhiều ngày liền có số liệu giống hệt nhau", {"indicator": "cashless", "finding": "frozen"}
    text = f"{HOSPITAL}, {_INDICATOR}: {what}.\nHiện {_SHARE}. Bằng chứng ở trang của cơ sở."
    scene = hospital().speaks().stands(FIGURES).has(metrics.FINDING, steps((1, 3), (0, 9)), finding="frozen")
    scene.fires("DataQualityFinding", _HOUR, f"{HOSPITAL}: {_INDICATOR}: số liệu lặp lại", text, **labels)
    still = hospital().speaks().stands(FIGURES).has(metrics.FINDING, 1, finding="stands_still")
    gone = hospital().speaks().stands(FIGURES)
    check(
        scene.is_quiet("DataQualityFinding", 5 * _HOUR),
        still.is_quiet("DataQualityFinding", _HOUR),
        gone.is_quiet("DataQualityFinding", _HOUR),
    )


def test_a_silent_facility_fires_after_a_day_but_not_new_nor_paused(check: Check) -> None:
    alert, summary = "FacilitySilent", f"{HOSPITAL}: không gửi số liệu về Sở"
    rest = ". Các con số đang hiện là của lần gửi cuối; cảnh báo về chỉ số được giữ nguyên, không phải đã đạt."
    since = f"{HOSPITAL} không gửi gì từ {moment(3600)}{rest}"
    never = f"{HOSPITAL} chưa gửi số liệu lần nào{rest}"
    paused = Scene().is_registered(expected=steps((-9e6, 20), ("stale", 1))).has(metrics.FACILITY_PUSH, 3600)
    new = Scene().is_registered(expected=10 * _HOUR).has(metrics.FACILITY_PUSH, 0)
    check(
        hospital()
        .has(metrics.FACILITY_PUSH, 3600)
        .is_quiet(alert, 24 * _HOUR)
        .fires(alert, 26 * _HOUR, summary, since),
        new.is_quiet(alert, 33 * _HOUR).fires(alert, 36 * _HOUR, summary, never),
        paused.is_quiet(alert, 30 * _HOUR),
        unexpected().has(metrics.FACILITY_PUSH, 0).is_quiet(alert, 30 * _HOUR),
        hospital().has(metrics.FACILITY_PUSH, "0+3600x40").is_quiet(alert, 30 * _HOUR),
    )


def test_agents_have_a_quarter_of_an_hour_to_come_back_after_the_collector_was_away(check: Check) -> None:
    alert, day = "FacilitySilent", 24 * 12
    # looked at every five minutes; the agent is back after ten
    back = Scene(step=5 * _MINUTE).is_registered()
    back.has(metrics.FACILITY_PUSH, steps((0, day + 3), (f"{(day + 3) * 300}", 9)))
    away = Scene(step=5 * _MINUTE).is_registered().has(metrics.FACILITY_PUSH, 0)
    rest = ". Các con số đang hiện là của lần gửi cuối; cảnh báo về chỉ số được giữ nguyên, không phải đã đạt."
    texts = (f"{HOSPITAL}: không gửi số liệu về Sở", f"{HOSPITAL} chưa gửi số liệu lần nào{rest}")
    check(
        back.is_quiet(alert, *(one * 300 for one in range(day, day + 9))),
        away.is_quiet(alert, (day + 2) * 300).fires(alert, (day + 3) * 300, *texts),
    )


def test_a_silent_facility_keeps_its_indicator_alert(check: Check) -> None:
    scene = hospital().stands({**FIGURES, metrics.FACILITY_PUSH: 3600}).has(metrics.BELOW_SINCE, 3600)
    text = f"{HOSPITAL}, {_INDICATOR}: {_SHARE}.\n{CLAUSES['target']}.\nChưa đạt từ {moment(3600)}."
    summary = f"{HOSPITAL}: {_INDICATOR} chưa đạt chỉ tiêu"
    check(scene.fires("IndicatorBelowTarget", 20 * _DAY, summary, text, "2027-01-31", indicator="cashless"))


def source(up: float | str, read: float | str, scene: Scene | None = None) -> Scene:
    return (scene or hospital()).stands({metrics.SOURCE_UP: up, metrics.SOURCE_READ: read})


def test_a_source_that_is_down_fires_after_two_hours(check: Check) -> None:
    alert, summary = "SourceDown", f"{HOSPITAL}: không đọc được nguồn his"
    rest = ". Phần mềm tại cơ sở vẫn chạy và sẽ tự đọc bù khi nguồn trở lại."
    since = f"{HOSPITAL}: nguồn his không đọc được từ {moment(3600)}{rest}"
    never = f"{HOSPITAL}: nguồn his chưa đọc được lần nào{rest}"
    added = source(steps(("_", 5), (0, 9)), "_x9").is_quiet(alert, 6 * _HOUR)
    check(
        source(0, 3600).is_quiet(alert, 2 * _HOUR).fires(alert, 4 * _HOUR, summary, since, source="his"),
        added.fires(alert, 8 * _HOUR, summary, never, source="his"),
        source(1, 3600).is_quiet(alert, 4 * _HOUR),
        source(0, 3600, unexpected()).is_quiet(alert, 4 * _HOUR),
    )


def test_a_source_without_new_cases_fires_after_three_expected_days(check: Check) -> None:
    alert, summary = "SourceStandsStill", f"{HOSPITAL}: nguồn his đọc được nhưng không có ca mới"
    text = (
        f"{HOSPITAL}: nguồn his vẫn đọc được, nhưng đã 4 ngày phải có số liệu mà không có ca nào; "
        "ngày mới nhất có ca là 02/01/1970."
    )
    newest = {metrics.SOURCE_NEWEST: 17 * _HOUR}
    check(
        source(1, 0).stands({metrics.SOURCE_BEHIND: 4, **newest}).fires(alert, _HOUR, summary, text, source="his"),
        # a long holiday: more days, but only three that were expected
        source(1, 0).stands({metrics.SOURCE_BEHIND: 3, metrics.SOURCE_NEWEST: -9 * _DAY}).is_quiet(alert, _HOUR),
        source(0, 0).stands({metrics.SOURCE_BEHIND: 4, **newest}).is_quiet(alert, _HOUR),
        source(1, 0, unexpected()).stands({metrics.SOURCE_BEHIND: 4, **newest}).is_quiet(alert, _HOUR),
    )


def agent(family: Family, value: float | str, scene: Scene | None = None) -> Scene:
    return (scene or hospital()).stands({metrics.AGENT_INFO: 1, metrics.AGENT_FACILITY: 1, family: value})


def test_tallies_that_wait_fire_when_they_do_not_get_fewer(check: Check) -> None:
    alert, waiting = "AgentWaitingGrows", metrics.AGENT_WAITING
    summary = f"{HOSPITAL}: số liệu chờ gửi ở agent ngày một nhiều"
    text = (
        f"{HOSPITAL}: agent a3f1 có 2.800 số đếm chờ gửi, không giảm trong 6 giờ qua. "
        "Chưa mất gì: tất cả nằm trong sổ trên đĩa của cơ sở."
    )
    growing = agent(waiting, "2000+100x20").is_quiet(alert, 5 * _HOUR)
    check(
        growing.fires(alert, 8 * _HOUR, summary, text, agent="a3f1"),
        agent(waiting, "9000-300x20").is_quiet(alert, 8 * _HOUR),
        agent(waiting, "0+100x20").is_quiet(alert, 14 * _HOUR),
        agent(waiting, "2000+100x20", unexpected()).is_quiet(alert, 8 * _HOUR),
    )


def test_a_clock_that_is_off_by_more_than_five_minutes_fires(check: Check) -> None:
    alert, summary = "AgentClockSkewed", f"{HOSPITAL}: đồng hồ của máy chạy agent lệch giờ"
    text = (
        f"{HOSPITAL}: đồng hồ của máy chạy agent a3f1 {{}} phút so với máy chủ của Sở. "
        "Ca quanh nửa đêm có thể bị tính sang ngày khác."
    )
    skew = metrics.AGENT_SKEW
    check(
        agent(skew, 420).fires(alert, _HOUR, summary, text.format("nhanh 7"), agent="a3f1"),
        agent(skew, -450).fires(alert, _HOUR, summary, text.format("chậm 7,5"), agent="a3f1"),
        agent(skew, 299).is_quiet(alert, _HOUR),
        agent(skew, 420, unexpected()).is_quiet(alert, _HOUR),
    )


def test_a_month_that_is_not_confirmed_fires_after_its_day(check: Check) -> None:
    alert, summary = "ConfirmationOverdue", f"{HOSPITAL}: chưa xác nhận số liệu tháng 10/2026"
    text = f"{HOSPITAL} chưa xác nhận (hoặc phải xác nhận lại) số liệu tháng 10/2026; hạn là hết ngày 01/01/1970."

    def month(state: str) -> Scene:
        return hospital().has(metrics.CONFIRMATION, 1, state=state)

    check(
        month("open")
        .has(metrics.CONFIRMATION_DUE, 17 * _HOUR)
        .is_quiet(alert, 16 * _HOUR)
        .fires(alert, _DAY, summary, text, period="2026-10"),
        month("reopened").has(metrics.CONFIRMATION_DUE, 17 * _HOUR).fires(alert, _DAY, summary, text, period="2026-10"),
        month("confirmed").has(metrics.CONFIRMATION_DUE, 17 * _HOUR).is_quiet(alert, _DAY),
        month("disputed").has(metrics.CONFIRMATION_DUE, 17 * _HOUR).is_quiet(alert, _DAY),
        # nothing was expected of the facility in that month
        month("open").is_quiet(alert, _DAY),
    )


def test_the_collector_down_fires_after_five_minutes_whether_it_answers_no_or_is_gone(check: Check) -> None:
    alert, summary = "CollectorDown", "Máy chủ thu thập không trả lời"
    text = (
        "Prometheus không đọc được /metrics của máy chủ thu thập. Các bảng đang đứng yên, các cảnh báo khác được giữ "
        "như trước khi mất liên lạc. Số liệu không mất: các agent giữ lại và gửi khi máy chủ trở lại."
    )
    down, gone = Scene(step=_MINUTE).has(UP, "1 0x20"), Scene(step=_MINUTE).has(UP, "1 stale _x20")
    check(
        down.is_quiet(alert, 5 * _MINUTE).fires(alert, 7 * _MINUTE, summary, text, severity="critical"),
        gone.fires(alert, 7 * _MINUTE, summary, text, severity="critical"),
        Scene(step=_MINUTE).has(UP, "1 0x3 1x20").is_quiet(alert, 4 * _MINUTE, 9 * _MINUTE),
    )


def looping(heartbeat: str, period: float) -> Scene:
    return Scene(step=_MINUTE).has(HEARTBEAT, heartbeat, loop="nightly").has(PERIOD, period, loop="nightly")


def test_a_loop_that_misses_three_periods_fires(check: Check) -> None:
    text = "Vòng lặp nightly ở collector đã quá hạn báo nhịp 3 chu kỳ. /metrics vẫn trả lời nhưng có thể là số cũ."
    summary = "Một vòng lặp của máy chủ thu thập đã đứng: nightly"
    labels = {"loop": "nightly", "instance": "collector", "job": "nhipso"}
    dead = looping("0x60", 300).is_quiet("LoopDead", 15 * _MINUTE)
    check(
        dead.fires("LoopDead", 20 * _MINUTE, summary, text, severity="critical", **labels),
        looping("0+60x60", 300).is_quiet("LoopDead", 20 * _MINUTE, 40 * _MINUTE),
        looping("0x60", 86400).is_quiet("LoopDead", 40 * _MINUTE),
        # a loop of a quarter of a second is as old as the scrape lets it look
        looping("0+60x60", 0.25).is_quiet("LoopDead", 40 * _MINUTE),
    )


def test_the_watchdog_always_fires(check: Check) -> None:
    text = "Luôn luôn báo, để một nơi bên ngoài nhận ra khi Prometheus hoặc Alertmanager ngừng."
    empty = Scene().fires("Watchdog", 0, "Đường cảnh báo còn sống", text, severity="none")
    down = Scene().has(UP, 0).fires("Watchdog", _HOUR, "Đường cảnh báo còn sống", text, severity="none")
    silent = hospital().fires("Watchdog", _DAY, "Đường cảnh báo còn sống", text, severity="none")
    check(empty, down, silent)

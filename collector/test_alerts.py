"""Lives of alerts: told in any order, seen by those they concern, answered by those who may."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import httpx
import pytest

from collector.settings import load
from collector.store import alerts
from collector.store.alerts import LATE, UNHEARD, Alert, Told
from collector.store.people import Person
from contract.days import now
from tests.office import NOON, Office, a_source, a_tally, bearer, serving

BEGAN = NOON - timedelta(hours=3)
HOUR = timedelta(hours=1)
LABELS = {"alertname": "IndicatorBelowTarget", "severity": "warning", "facility": "12001", "indicator": "cashless"}


@pytest.fixture
def http(office: Office) -> Iterator[httpx.Client]:
    with serving(office.app()) as client:
        yield client


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Office]:
    """A Sở on SQLite alone: for what no database has a part in."""
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    office.register("12001", "12002")
    yield office
    office.store.close()


@pytest.fixture
def lone_http(lone: Office) -> Iterator[httpx.Client]:
    with serving(lone.app()) as client:
        yield client


def told(ends_at: datetime | None = None, starts_at: datetime = BEGAN, **other: Any) -> Told:
    labels = {**LABELS, **other.pop("labels", {})}
    plain: dict[str, Any] = {
        "fingerprint": f"{abs(hash(tuple(sorted(labels.items())))):x}",
        "starts_at": starts_at,
        "ends_at": ends_at,
        "name": labels["alertname"],
        "severity": labels["severity"],
        "facility": labels["facility"],
        "indicator": labels["indicator"],
        "summary": "Cơ sở 12001 chưa đạt chỉ tiêu",
        "description": "31,2 %",
        "labels": labels,
    }
    return Told(**{**plain, **other})


def keep(office: Office, *said: Told, at: datetime = NOON, why: str | None = None) -> None:
    with office.store.write() as connection:
        for one in said:
            alerts.keep(connection, one, at, why)


def stored(office: Office, facility: str | None = None, state: alerts.State = "all", most: int = 500) -> list[Alert]:
    with office.store.read() as connection:
        return alerts.alerts(connection, facility, state, most)


def an_alert(status: str = "firing", **other: Any) -> dict[str, Any]:
    """As Alertmanager 0.25 writes it."""
    plain = {
        "status": status,
        "labels": LABELS,
        "annotations": {"summary": "Cơ sở 12001 chưa đạt", "description": "31,2 %", "link": "https://x/12001"},
        "startsAt": "2026-11-20T02:00:00.123456789Z",
        "endsAt": "2026-11-20T03:00:00Z" if status == "resolved" else "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": "1a30ba71cca2921f",
    }
    return {**plain, **other}


def a_tell(*said: dict[str, Any], **other: Any) -> dict[str, Any]:
    plain = {
        "receiver": "collector",
        "status": "firing",
        "alerts": list(said),
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": "{}/{}:{}",
        "truncatedAlerts": 0,
    }
    return {**plain, **other}


# --- a life


def test_an_alert_is_open_until_its_end_is_told_with_the_reason(office: Office) -> None:
    keep(office, told(), at=NOON)
    (one,) = stored(office, state="open")
    assert (one.name, one.severity, one.facility, one.indicator) == tuple(
        LABELS[name] for name in ("alertname", "severity", "facility", "indicator")
    )
    assert (one.starts_at, one.heard_at, one.ends_at, one.ended) == (BEGAN, NOON, None, None)
    assert (one.summary, one.description, one.labels) == ("Cơ sở 12001 chưa đạt chỉ tiêu", "31,2 %", LABELS)
    keep(office, told(NOON), at=NOON + HOUR, why="near")
    assert stored(office, state="open") == []
    (one,) = stored(office, state="ended")
    assert (one.starts_at, one.ends_at, one.ended) == (BEGAN, NOON, "near")


def test_told_again_it_is_the_same_life_with_the_newest_words(office: Office) -> None:
    keep(office, told(), told())
    keep(office, told(description="29,9 %"), at=NOON + HOUR)
    (one,) = stored(office)
    assert (one.description, one.heard_at) == ("29,9 %", NOON + HOUR)
    keep(office, told(NOON), at=NOON + HOUR, why="met")
    keep(office, told(NOON + HOUR), at=NOON + 2 * HOUR, why="plan_over")
    (one,) = stored(office)
    assert (one.ends_at, one.ended) == (NOON, "met")


@pytest.mark.parametrize("order", sorted(set(permutations(("firing", "firing", "resolved", "resolved")))), ids="-".join)
def test_words_of_one_life_in_any_order_end_alike(lone: Office, order: tuple[str, ...]) -> None:
    for step, status in enumerate(order):
        at = NOON + step * timedelta(seconds=1)
        keep(lone, told(NOON if status == "resolved" else None), at=at, why="met")
    (one,) = stored(lone)
    assert (one.starts_at, one.ends_at, one.ended) == (BEGAN, NOON, "met")


def test_an_end_before_its_beginning_is_set_right(office: Office) -> None:
    keep(office, told(BEGAN - HOUR))
    assert stored(office)[0].ends_at == BEGAN


def test_an_alert_that_is_told_again_long_after_its_end_goes_on(office: Office) -> None:
    """Prometheus was away: Alertmanager took its silence as the end, then hears the same beginning again."""
    keep(office, told(NOON), at=NOON, why="other")
    keep(office, told(), at=NOON + LATE)
    assert stored(office, state="open") == []
    keep(office, told(), at=NOON + LATE + timedelta(seconds=1))
    (one,) = stored(office)
    assert (one.ends_at, one.ended) == (None, None)


def test_a_warning_that_became_critical_ends_where_the_other_begins(office: Office) -> None:
    """The critical one inhibits it, so that Alertmanager never tells its end."""
    worse = {"severity": "critical"}
    elsewhere = told(labels={"facility": "12002"})
    keep(office, told(), elsewhere, told(labels={"indicator": "emr"}))
    keep(office, told(starts_at=NOON, labels=worse), at=NOON)
    found = {(one.facility, one.indicator, one.severity): one for one in stored(office)}
    warning = found["12001", "cashless", "warning"]
    assert (warning.ends_at, warning.ended) == (NOON, "replaced")
    del found["12001", "cashless", "warning"]
    assert [one.ends_at for one in found.values()] == [None] * 3


def test_that_holds_when_the_critical_one_is_heard_first(lone: Office) -> None:
    critical = {"severity": "critical"}
    keep(lone, told(starts_at=NOON, labels=critical), told())
    assert [(one.severity, one.ended) for one in stored(lone)] == [("critical", None), ("warning", "replaced")]
    # both began with the same evaluation
    keep(lone, *(told(starts_at=NOON, labels={"indicator": "emr", **one}) for one in (critical, {})))
    assert {(one.indicator, one.severity) for one in stored(lone, state="open")} == {
        ("cashless", "critical"),
        ("emr", "critical"),
    }


def test_alerts_of_two_sources_do_not_end_each_other(lone: Office) -> None:
    keep(lone, *(told(labels={"alertname": "SourceDown", "source": one}) for one in ("his", "emr")))
    assert len(stored(lone, state="open")) == 2


def test_what_nobody_speaks_of_any_more_is_over_and_comes_back_when_told(office: Office) -> None:
    keep(office, told(), told(labels={"facility": "12002"}))
    keep(office, told(), at=NOON + UNHEARD)
    with office.store.write() as connection:
        alerts.end_unheard(connection, NOON + UNHEARD + timedelta(seconds=1))
    (one,) = stored(office, "12002")
    assert (one.ends_at, one.ended) == (NOON, "unheard")
    assert stored(office, "12001")[0].ends_at is None
    keep(office, told(labels={"facility": "12002"}), at=NOON + UNHEARD + HOUR)
    assert (stored(office, "12002")[0].ends_at, stored(office, "12002")[0].ended) == (None, None)


def test_the_end_that_is_told_late_is_better_than_a_guess(lone: Office) -> None:
    keep(lone, told())
    with lone.store.write() as connection:
        alerts.end_unheard(connection, NOON + UNHEARD + HOUR)
    keep(lone, told(NOON + HOUR), at=NOON + UNHEARD + HOUR, why="met")
    (one,) = stored(lone)
    assert (one.ends_at, one.ended) == (NOON + HOUR, "met")


def test_the_newest_come_first_and_not_too_many(office: Office) -> None:
    keep(office, *(told(fingerprint=f"{hour}", starts_at=BEGAN + hour * HOUR, facility=f"{hour}") for hour in range(4)))
    assert [one.facility for one in stored(office, most=3)] == ["3", "2", "1"]


# --- Alertmanager tells


def test_what_alertmanager_posts_is_read_back(office: Office, http: httpx.Client) -> None:
    office.register("12001")
    answer = http.post("/api/v1/alerts", json=a_tell(an_alert(), an_alert()))
    assert (answer.status_code, answer.json()) == (200, {"alerts": 2})
    person = bearer(office.people.add(Person("Sở", "reader", None), now()))
    (found,) = http.get("/api/v1/alerts", headers=person).json()["alerts"]
    heard, key = datetime.fromisoformat(found.pop("heard_at")), found.pop("id")
    assert abs(heard - now()) < timedelta(minutes=1)
    nothing = dict.fromkeys(("ends_at", "ended", "answer", "answered_by", "answered_at"))
    assert found == {
        "name": "IndicatorBelowTarget",
        "severity": "warning",
        "facility": "12001",
        "indicator": "cashless",
        "summary": "Cơ sở 12001 chưa đạt",
        "description": "31,2 %",
        "labels": LABELS,
        "starts_at": "2026-11-20T09:00:00.123456+07:00",
        **nothing,
    }
    assert http.post("/api/v1/alerts", json=a_tell(an_alert("resolved"))).status_code == 200
    (found,) = http.get("/api/v1/alerts", params={"state": "ended"}, headers=person).json()["alerts"]
    assert (found["id"], found["ends_at"]) == (key, "2026-11-20T10:00:00+07:00")


def test_in_one_body_an_end_wins_over_the_beginning(lone: Office, lone_http: httpx.Client) -> None:
    lone_http.post("/api/v1/alerts", json=a_tell(an_alert("resolved"), an_alert())).raise_for_status()
    (one,) = stored(lone)
    assert one.ends_at == datetime(2026, 11, 20, 3, tzinfo=UTC)


def test_alerts_and_facilities_that_nobody_knows_are_kept_as_told(lone: Office, lone_http: httpx.Client) -> None:
    strange = an_alert(labels={"alertname": "Lạ", "facility": "99999", "x": '"\\ {}'}, annotations={}, fingerprint="1")
    of_the_collector = an_alert(labels={"alertname": "LoopDead", "facility": ""}, fingerprint="2")
    lone_http.post("/api/v1/alerts", json=a_tell(strange, of_the_collector)).raise_for_status()
    found = {one.name: one for one in stored(lone)}
    assert (found["Lạ"].facility, found["Lạ"].labels["x"], found["Lạ"].summary) == ("99999", '"\\ {}', "")
    assert (found["LoopDead"].facility, found["LoopDead"].severity) == (None, "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": {"severity": "warning"}},
        {"labels": {**LABELS, "facility": "x" * 65}},
        {"labels": {**LABELS, "indicator": "x" * 65}},
        {"labels": {**LABELS, "x": "y" * 257}},
        {"labels": {**LABELS, "x" * 65: "y"}},
        {"labels": {**LABELS, **{f"x{i}": "y" for i in range(40)}}},
        {"labels": {**LABELS, "x": 3}},
        {"labels": {**LABELS, "x": "\x00"}},
        {"annotations": {"summary": "x" * 4001}},
        {"annotations": {"description": "a\x00b"}},
        {"startsAt": "2026-11-20T02:00:00"},
        {"startsAt": "0001-01-01T00:00:00Z"},
        {"startsAt": "9999-12-31T23:59:59Z"},
        {"startsAt": "9999-12-31T23:59:59-14:00"},
        {"status": "resolved", "endsAt": "0001-01-01T00:00:00Z"},
        {"status": "resolved", "endsAt": "9999-12-31T23:59:59Z"},
        {"status": "resolved", "endsAt": None},
        {"status": "paused"},
        {"fingerprint": ""},
        {"fingerprint": "x" * 65},
    ],
)
def test_a_body_with_one_wrong_alert_is_422_and_nothing_of_it_is_kept(
    lone: Office, lone_http: httpx.Client, wrong: dict[str, Any]
) -> None:
    answer = lone_http.post("/api/v1/alerts", json=a_tell(an_alert(), an_alert(**{"fingerprint": "2", **wrong})))
    assert (answer.status_code, answer.json()["error"]) == (422, "MalformedError")
    assert answer.json()["detail"].startswith("alerts.1")
    assert stored(lone) == []


def test_a_body_that_is_not_the_webhook_is_refused(lone: Office, lone_http: httpx.Client) -> None:
    torn = json.dumps(a_tell(an_alert(annotations={"summary": "\ud800"}))).encode()
    for body in (
        b"",
        b"{}",
        b"[]",
        b"[" * 100_000,
        json.dumps(a_tell(an_alert(), version="3")).encode(),
        b'{"\xff',
        torn,
    ):
        assert lone_http.post("/api/v1/alerts", content=body).status_code == 422
    assert lone_http.post("/api/v1/alerts", json=a_tell(*[an_alert()] * 1001)).status_code == 422
    assert lone_http.post("/api/v1/alerts", content=b" " * (1024 * 1024 + 1)).status_code == 413
    assert stored(lone) == []


@pytest.mark.parametrize(
    ("settings", "shown", "status"),
    [
        ({}, None, 200),
        ({"alerts_token": "alerts-token"}, None, 401),
        ({"alerts_token": "alerts-token"}, "alerts-toke", 401),
        ({"alerts_token": "alerts-token"}, "alerts-token", 200),
        ({"host": "0.0.0.0"}, None, 401),
        ({"host": "0.0.0.0"}, "x", 401),
        ({"host": "0.0.0.0", "alerts_token": "x"}, "x", 200),
        ({"metrics_token": "x", "alerts_token": "y"}, "x", 401),
    ],
)
def test_who_tells_alerts_shows_the_token(
    lone: Office, settings: dict[str, Any], shown: str | None, status: int
) -> None:
    headers = {} if shown is None else bearer(shown)
    with serving(lone.app(**settings)) as http:
        assert http.post("/api/v1/alerts", json=a_tell(an_alert()), headers=headers).status_code == status
    assert len(stored(lone)) == (status == 200)


def test_the_token_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "alerts.token").write_text(" t0ken \n")
    file = tmp_path / "collector.toml"
    file.write_text('[collector]\ndata_dir = "d"\nalerts_token_file = "alerts.token"\n', "utf-8")
    assert load(file).alerts_token == "t0ken"
    file.write_text('[collector]\ndata_dir = "d"\n', "utf-8")
    assert (load(file).alerts_token, load(file).is_loopback) == (None, True)


# --- people read and answer


def test_a_facilitys_person_sees_that_facilitys_alerts_only(lone: Office, lone_http: httpx.Client) -> None:
    keep(lone, told(), told(labels={"facility": "12002"}), told(facility=None, fingerprint="of-the-collector"))
    theirs = bearer(lone.people.add(Person("An", "reader", "12001"), now()))
    everybodys = bearer(lone.people.add(Person("Bình", "reader", None), now()))

    def seen(who: Any, **asked: str) -> list[str | None]:
        found = lone_http.get("/api/v1/alerts", params=asked, headers=who).raise_for_status().json()["alerts"]
        return sorted((one["facility"] for one in found), key=str)

    assert seen(theirs) == seen(theirs, facility="12001") == ["12001"]
    assert seen(theirs, state="ended") == []
    assert seen(everybodys) == ["12001", "12002", None]
    assert seen(everybodys, facility="12002", state="open") == ["12002"]
    assert lone_http.get("/api/v1/alerts?facility=12002", headers=theirs).status_code == 404
    assert lone_http.get("/api/v1/alerts").status_code == 401
    assert lone_http.get("/api/v1/alerts?state=closed", headers=theirs).status_code == 422


@pytest.mark.parametrize(
    ("person", "status"),
    [
        (Person("Chi", "confirmer", "12001"), 200),
        (Person("Dũng", "admin", None), 200),
        (Person("Em", "reader", "12001"), 403),
        (Person("Giang", "reader", None), 403),
        (Person("Hà", "confirmer", "12002"), 404),
        (Person("Hải", "reader", "12002"), 404),
    ],
)
def test_the_facilitys_confirmer_and_the_sos_admin_may_answer(
    lone: Office, lone_http: httpx.Client, person: Person, status: int
) -> None:
    keep(lone, told())
    (one,) = stored(lone)
    token = bearer(lone.people.add(person, now()))
    body = {"answer": "  Đang thay máy POS,\nxong trong tuần.  "}
    answer = lone_http.post(f"/api/v1/alerts/{one.id}/answer", json=body, headers=token)
    assert answer.status_code == status
    (after,) = stored(lone)
    if status == 200:
        assert answer.json()["answer"] == after.answer == "Đang thay máy POS,\nxong trong tuần."
        assert after.answered_by == person.name
        assert after.answered_at is not None
        assert abs(after.answered_at - now()) < timedelta(minutes=1)
    else:
        assert after == one


def test_an_answer_stays_through_all_that_is_told_later(office: Office) -> None:
    keep(office, told())
    with office.store.write() as connection:
        first = alerts.answer(connection, stored(office)[0].id, "Đã biết.", "Chi", NOON)
        assert (first.answer, first.answered_by, first.answered_at) == ("Đã biết.", "Chi", NOON)
    keep(office, told(description="25 %"), told(NOON))
    (one,) = stored(office)
    assert (one.answer, one.answered_by, one.answered_at, one.ends_at) == ("Đã biết.", "Chi", NOON, NOON)
    with office.store.write() as connection:
        alerts.answer(connection, one.id, "Đã xong.", "Dũng", NOON + HOUR)
    assert (stored(office)[0].answer, stored(office)[0].answered_by) == ("Đã xong.", "Dũng")


@pytest.mark.parametrize("text", ["", " \n ", "x" * 2001, "a\x00b", 3, None, ["x"]])
def test_an_answer_that_is_none_is_422(lone: Office, lone_http: httpx.Client, text: Any) -> None:
    keep(lone, told())
    admin = bearer(lone.people.add(Person("Dũng", "admin", None), now()))
    place = f"/api/v1/alerts/{stored(lone)[0].id}/answer"
    assert lone_http.post(place, json={"answer": text}, headers=admin).status_code == 422
    assert lone_http.post(place, json={"answer": "á" * 2000}, headers=admin).status_code == 200
    assert lone_http.post(place, json={"answer": "x"}).status_code == 401
    for missing in (0, 999, 2**31):
        status = lone_http.post(f"/api/v1/alerts/{missing}/answer", json={"answer": "x"}, headers=admin).status_code
        assert status in (404, 422)


def test_an_answer_goes_into_no_metric(lone: Office, lone_http: httpx.Client) -> None:
    keep(lone, told())
    admin = bearer(lone.people.add(Person("Dũng", "admin", None), now()))
    place = f"/api/v1/alerts/{stored(lone)[0].id}/answer"
    lone_http.post(place, json={"answer": "Bí mật 0912345678"}, headers=admin).raise_for_status()
    shown = lone_http.get("/metrics").text
    assert "0912345678" not in shown
    assert 'route="/api/v1/alerts/{alert_id}/answer"' in shown


_PLAN = """
issuer = "Sở Y tế"
title = "Kế hoạch"
short = "Kế hoạch"
first_day = 2020-01-01
last_day = {last_day}
[[targets]]
indicator = "cashless"
ratio = 0.5
section = "I"
words = "50 %"
"""


@pytest.mark.parametrize(
    ("qr", "cash", "last_day", "ended"),
    [
        (60, 40, "2099-12-31", "met"),
        (49, 51, "2099-12-31", "near"),
        (10, 90, "2099-12-31", "other"),
        (10, 90, "2020-12-31", "plan_over"),
        (0, 0, "2020-12-31", "plan_over"),
        (0, 0, "2099-12-31", "other"),
    ],
)
def test_why_an_indicator_alert_ended_is_said_by_the_standing_of_that_moment(
    lone: Office, tmp_path: Path, qr: int, cash: int, last_day: str, ended: str
) -> None:
    his, today, counts = lone.speaker("12001"), now().date(), {"qr": qr, "cash": cash}
    days = [today - timedelta(days=n) for n in range(1, 31)]
    lone.push(his, [a_tally(day, counts=counts) for day in days], [a_source(read_at=now().isoformat())], at=now())
    plan = tmp_path / "plan.toml"
    plan.write_text(_PLAN.format(last_day=last_day), "utf-8")
    labels = {"alertname": "IndicatorBelowTarget", "facility": "12001", "indicator": "cashless"}
    reader = bearer(lone.people.add(Person("Sở", "reader", None), now()))
    with serving(lone.app(plan_files=(plan,))) as http:
        body = a_tell(an_alert("resolved", labels=labels, endsAt=now().isoformat()))
        assert http.post("/api/v1/alerts", json=body).is_success
        (found,) = http.get("/api/v1/alerts", headers=reader).json()["alerts"]
    assert found["ended"] == ended

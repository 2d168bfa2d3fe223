"""Reports asked for on a page and made in the background: rights, states, deadlines, and collectors that die."""

import os
import pickle
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from collector.letterhead import Letterhead
from collector.reports import background, making
from collector.reports.background import Press
from collector.reports.making import Made, Order, Refused
from collector.settings import Settings
from collector.store import Store, jobs
from collector.store.people import Person
from collector.thresholds import Confirmation
from contract.days import local_day, now
from tests.browsing import Page, enter
from tests.office import NOON, Office, a_source, a_tally, serving

TODAY = local_day(now())
LAST_MONTH = f"{TODAY.replace(day=1) - timedelta(days=1):%Y-%m}"


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    directory = tmp_path_factory.mktemp("reports")
    one = Office(f"sqlite:///{directory / 'collector.sqlite'}", directory)
    one.register("12001", "12002", at=now() - timedelta(days=400))
    his = one.speaker("12001")
    days = [TODAY - timedelta(days=n) for n in range(1, 60)]
    one.push(his, [a_tally(day) for day in days], [a_source(read_at=now().isoformat())], at=now())
    for person in (
        Person("so", "admin", None),
        Person("doc", "reader", None),
        Person("bv1", "reader", "12001"),
        Person("bv2", "confirmer", "12002"),
        Person("nhieu", "reader", None),
    ):
        one.people.add(person, now())
    yield one
    one.store.close()


@pytest.fixture(scope="module")
def server(office: Office) -> Iterator[httpx.Client]:
    with serving(office.app()) as client:
        yield client


@pytest.fixture
def http(server: httpx.Client) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, trust_env=False, timeout=60) as client:
        yield client


def ask(office: Office, http: httpx.Client, **entered: str) -> httpx.Response:
    session = office.people.session(http.cookies["nhipso"], now())
    assert session is not None
    form = {"period": LAST_MONTH, "format": "csv", **entered}
    return http.post("/reports", data={"form_token": session.form_token, **form})


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


def made(http: httpx.Client, path: str) -> httpx.Response:
    """The page of a report, when it is not waited for any more."""
    until(lambda: "Refresh" not in http.get(path).headers)
    return http.get(path)


def text_of(answer: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2])).split())


# --- the page


def test_a_report_is_asked_for_waited_for_and_fetched(office: Office, http: httpx.Client) -> None:
    enter(office, http, "so")
    answer = ask(office, http, format="docx")
    assert answer.status_code == 303
    path = answer.headers["Location"]
    first = http.get(path)
    assert first.headers.get("Refresh") == "3" or "Đã lập xong" in first.text
    page = made(http, path)
    assert "Toàn tỉnh. Đã lập xong lúc" in text_of(page)
    assert f"{path}/file" in Page(page).links()
    file = http.get(f"{path}/file")
    assert file.content.startswith(b"PK")
    assert file.headers["Content-Disposition"] == f"attachment; filename*=utf-8''bao-cao-{LAST_MONTH}.docx"
    assert f"bao-cao-{LAST_MONTH}.docx so , " in text_of(http.get("/reports"))


def test_a_report_between_two_days_about_one_facility(office: Office, http: httpx.Client) -> None:
    enter(office, http, "doc")
    first, last = TODAY - timedelta(days=40), TODAY - timedelta(days=11)
    answer = ask(office, http, period="days", first=f"{first:%d/%m/%Y}", last=f"{last:%d/%m/%Y}", facility="12001")
    page = made(http, answer.headers["Location"])
    assert f"Báo cáo từ ngày {first:%d/%m/%Y} đến ngày {last:%d/%m/%Y}" in text_of(page)
    content = http.get(f"{page.url.path}/file").content.decode("utf-8-sig")
    assert "Cơ sở 12001" in content and "Cơ sở 12002" not in content


@pytest.mark.parametrize(
    ("entered", "reason"),
    [
        ({"period": "2026-13"}, "Kỳ báo cáo viết theo dạng"),
        ({"period": "2099"}, "chưa có ngày nào đã qua"),
        ({"period": "days", "first": "1/1", "last": "x"}, "Ngày viết theo dạng"),
        ({"period": "days", "first": "02/01/2026", "last": "01/01/2026"}, "ngày đầu phải không sau ngày cuối"),
        ({"format": "exe"}, "Hãy chọn dạng tệp"),
    ],
)
def test_what_cannot_be_made_is_said_at_once(
    entered: dict[str, str], reason: str, office: Office, http: httpx.Client
) -> None:
    enter(office, http, "so")
    answer = ask(office, http, **entered)
    assert answer.status_code == 400
    assert reason.lower() in text_of(answer).lower()


def test_the_form_offers_periods_with_days_that_are_over(office: Office, http: httpx.Client) -> None:
    enter(office, http, "so")
    values = [one["value"] for one in Page(http.get(f"/reports?period={LAST_MONTH}&facility=12001")).every("option")]
    assert LAST_MONTH in values and "days" in values and {"", "12001", "12002"} <= set(values)
    chosen = [one["value"] for one in Page(http.get("/reports?facility=12001")).every("option") if "selected" in one]
    assert chosen == [LAST_MONTH, "12001", "docx"]


def finished(office: Office, facility: str | None) -> str:
    """The address of a report that somebody of the Sở has asked for."""
    with office.store.write() as connection:
        number = jobs.add(connection, facility, LAST_MONTH, "pdf", "so", now())
        assert jobs.take(connection, "x", now(), timedelta(minutes=1))
        assert jobs.finish(connection, number, "x", now(), "bao-cao.pdf", b"%PDF-")
    return f"/reports/{number}"


def test_people_of_a_facility_get_reports_about_it_and_no_other(office: Office, http: httpx.Client) -> None:
    province, own, other = (finished(office, one) for one in (None, "12001", "12002"))
    enter(office, http, "bv1")
    assert ask(office, http, facility="12002").status_code == 404
    assert ask(office, http, facility="99999").status_code == 404
    for path in (province, other):
        assert http.get(path).status_code == 404
        assert http.get(f"{path}/file").status_code == 404
    assert http.get(f"{own}/file").content == b"%PDF-"
    page = http.get("/reports")
    assert own in page.text and province not in Page(page).links() and other not in Page(page).links()
    assert "12002" not in page.text and "facility" not in [one["name"] for one in Page(page).every("select")]
    asked_for = http.get(ask(office, http).headers["Location"])
    assert "Cơ sở 12001 ." in text_of(asked_for), "about the own facility without saying so"
    enter(office, http, "bv2")
    assert http.get(f"{own}/file").status_code == 404
    assert http.get(asked_for.url.path).status_code == 404


def test_asking_twice_is_one_report_and_nobody_waits_for_more_than_five(office: Office, http: httpx.Client) -> None:
    with office.store.write() as connection:
        waiting = [jobs.add(connection, None, f"2025-0{n}", "csv", "nhieu", now()) for n in range(1, 6)]
        assert jobs.add(connection, None, "2025-01", "csv", "nhieu", now()) == waiting[0]
        # another collector is at work on them all
        while jobs.take(connection, "another", now(), timedelta(days=1)) is not None:
            pass
    enter(office, http, "nhieu")
    answer = ask(office, http)
    assert answer.status_code == 429
    assert "đang chờ 5 báo cáo" in text_of(answer)


def test_a_report_that_is_not_there_is_not_found(office: Office, http: httpx.Client) -> None:
    enter(office, http, "so")
    for path in ("/reports/999999", "/reports/999999/file", "/reports/99999999999999"):
        assert http.get(path).status_code == 404


# --- the press


@pytest.fixture
def desk(store_url: str, tmp_path: Path) -> Iterator[Office]:
    """An office of its own, on each database; nobody serves it."""
    one = Office(store_url, tmp_path)
    one.register("12001")
    yield one
    one.store.close()


class Room:
    """The presses of several collectors on one database."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._presses: list[Press] = []
        self._stores: list[Store] = []

    def press(self, start: background.Start | None = None, **other: Any) -> Press:
        """The press of a collector that has just started."""
        office, store = self._office, Store(self._office.url)
        plain = {"host": "127.0.0.1", "port": 0, "catalogue_file": None, "metrics_token": None}
        plain |= {"file": office.directory / "c.toml", "data_dir": office.directory, "database": office.url}
        settings = Settings(**{**plain, "metrics_tally_facilities": 9, **other})
        self._stores.append(store)
        self._presses.append(Press(store, settings, office.yardstick, start))
        return self._presses[-1]

    def close(self) -> None:
        for one in self._presses:
            one.stop()
        for store in self._stores:
            store.close()


@pytest.fixture
def room(desk: Office) -> Iterator[Room]:
    one = Room(desk)
    yield one
    one.close()


def idle(order: Order, answer: IO[bytes]) -> "subprocess.Popen[bytes]":
    """A process that makes nothing, for as long as it is let."""
    return subprocess.Popen(["sleep", "600"], stdin=subprocess.PIPE, stdout=answer)


def quick(order: Order, answer: IO[bytes]) -> "subprocess.Popen[bytes]":
    """A process that has made the report already."""
    pickle.dump(Made(f"{order.period}.{order.format}", b"..."), answer)
    answer.flush()
    return subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=answer)


def lose(one: Press) -> None:
    """The collector is killed, and its process with it: the row stays as it is."""
    making = one._making
    assert making is not None
    making.close()
    one._making = None


def asked(office: Office, format: str = "csv", period: str = "2026-10") -> int:
    with office.store.write() as connection:
        return jobs.add(connection, None, period, format, "an", NOON)


def job(office: Office, number: int) -> jobs.Job:
    with office.store.read() as connection:
        found = jobs.get(connection, number)
    assert found is not None
    return found


def turned(one: Press, office: Office, number: int, moment: datetime = NOON) -> jobs.Job:
    """The job when the press is through with it."""

    def is_over() -> bool:
        one.turn(moment)
        return job(office, number).state in ("done", "failed")

    until(is_over)
    return job(office, number)


def test_a_report_is_made_by_one_of_two_collectors_and_kept_for_days(desk: Office, room: Room) -> None:
    one, another = room.press(idle, reports_kept_days=30), room.press(quick)
    number = asked(desk)
    one.turn(NOON)
    another.turn(NOON)
    assert another._making is None, "it is being made"
    assert job(desk, number).state == "running"
    lose(one)
    done = turned(another, desk, number, NOON + background._HELD)
    assert (done.state, done.file_name, done.problem) == ("done", "2026-10.csv", None)
    with desk.store.read() as connection:
        assert jobs.content(connection, number) == b"..."
    one.forget(NOON + timedelta(days=30))
    assert job(desk, number) == done
    one.forget(NOON + timedelta(days=31))
    with desk.store.read() as connection:
        assert jobs.get(connection, number) is None


def test_a_report_whose_collector_was_killed_is_taken_up_again_and_fails_the_second_time(
    desk: Office, room: Room
) -> None:
    number, moment = asked(desk), NOON
    for attempt in range(jobs.ATTEMPTS):
        killed, moment = room.press(idle), NOON + attempt * 2 * background._HELD
        killed.turn(moment)
        lose(killed)
        assert job(desk, number).state == "running"
        assert job(desk, number).shown_state(moment + background._HELD) == "waiting"
    other = room.press(quick)
    other.turn(moment + background._HELD - timedelta(seconds=1))
    assert job(desk, number).state == "running", "the lease still holds"
    other.turn(moment + background._HELD)
    assert (job(desk, number).state, job(desk, number).problem) == ("failed", jobs.STOPPED)


def test_a_collector_that_stops_leaves_its_report_to_the_next(desk: Office, room: Room) -> None:
    number = asked(desk)
    for _ in range(jobs.ATTEMPTS):
        one = room.press(idle)
        one.turn(NOON)
        one.stop()
        assert job(desk, number).state == "waiting"
    killed = room.press(idle)
    killed.turn(NOON)
    lose(killed)
    # that it was stopped in good order is not held against it
    assert turned(room.press(quick), desk, number, NOON + background._HELD).state == "done"


def test_a_collector_that_was_away_too_long_gives_up_what_another_has_made(desk: Office, room: Room) -> None:
    late, number = room.press(idle), asked(desk)
    late.turn(NOON)
    done = turned(room.press(quick), desk, number, NOON + 2 * background._HELD)
    assert late._making is not None
    late._making.renewed -= 3600
    late.turn(NOON + 3 * background._HELD)
    assert late._making is None
    assert job(desk, number) == done


def test_a_report_that_is_being_made_stays_so_as_long_as_it_is_said(desk: Office, room: Room) -> None:
    one, number = room.press(idle), asked(desk)
    one.turn(NOON)
    assert one._making is not None
    one._making.renewed -= 3600
    one.turn(NOON + background._HELD / 2)
    room.press(quick).turn(NOON + background._HELD)
    assert job(desk, number).shown_state(NOON + background._HELD) == "running"


def test_a_report_over_its_deadline_is_stopped(desk: Office, room: Room) -> None:
    one, number = room.press(idle, report_minutes=10), asked(desk)
    one.turn(NOON)
    making = one._making
    assert making is not None
    making.begun -= 601
    one.turn(NOON)
    assert "quá 10 phút nên đã dừng" in str(job(desk, number).problem)
    assert making.process.returncode == -signal.SIGKILL


# --- the process that makes one


@pytest.fixture
def lone_desk(tmp_path: Path) -> Iterator[Office]:
    one = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    one.register("12001")
    yield one
    one.store.close()


def test_a_process_that_is_killed_half_way_fails_its_report_and_the_next_one_is_made(
    lone_desk: Office, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(lone_desk)
    one, first, second = room.press(), asked(lone_desk), asked(lone_desk, "xlsx")
    one.turn(NOON)
    assert one._making is not None
    os.kill(one._making.process.pid, signal.SIGKILL)
    assert "máy chủ gặp lỗi" in str(turned(one, lone_desk, first).problem)
    assert "mã -9" in caplog.text
    done = turned(one, lone_desk, second)
    assert (done.state, done.file_name) == ("done", "bao-cao-2026-10.xlsx")
    room.close()


def test_the_process_ends_with_the_collector_that_began_it(lone_desk: Office, tmp_path: Path) -> None:
    with (tmp_path / "answer").open("wb") as answer:
        order = Order(lone_desk.url, lone_desk.yardstick, Confirmation(), Letterhead(), "2026", None, "pdf", NOON)
        process = background.started(order, answer)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 1


def test_a_report_that_cannot_be_made_says_why(lone_desk: Office) -> None:
    order = Order(lone_desk.url, lone_desk.yardstick, Confirmation(), Letterhead(), "2027", None, "csv", NOON)
    assert making.make(order) == Refused("kỳ báo cáo chưa có ngày nào đã qua: năm\N{NO-BREAK SPACE}2027")


def test_what_the_process_makes_is_called_as_what_the_command_makes(lone_desk: Office) -> None:
    period = "2026-10-15_2026-11-14"
    order = Order(lone_desk.url, lone_desk.yardstick, Confirmation(), Letterhead(), period, None, "csv", NOON)
    found = making.make(order)
    assert isinstance(found, Made)
    assert found.name == f"bao-cao-{period}.csv"

"""nhipso-collector as its users run it: what it prints, how it ends, what a mistake is answered with."""

import csv
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from collector.__main__ import main
from conftest import free_port
from contract import __version__
from contract.days import local_day, now
from tests.office import Office, a_push, a_source, a_tally, bearer, samples

YESTERDAY = local_day(now()) - timedelta(days=1)


class Desk:
    """An operator at the collector's machine."""

    def __init__(self, directory: Path, database: str | None = None) -> None:
        self.directory = directory
        self.config = directory / "collector.toml"
        self.port = free_port()
        text = f'[collector]\nlisten = "127.0.0.1:{self.port}"\ndata_dir = "data"\n'
        if database is not None:
            (directory / "database.url").write_text(database)
            text += 'database_file = "database.url"\n'
        self.config.write_text(text)

    def try_out(self, *arguments: str) -> Result:
        """Run a command in this process."""
        return CliRunner().invoke(main, ["--config", str(self.config), *arguments])

    def run(self, *arguments: str) -> str:
        """Run a command that must work; what it prints."""
        done = self.try_out(*arguments)
        assert (done.exit_code, done.stderr) == (0, ""), (done.stderr, done.exception)
        return done.stdout.strip()

    def fail(self, *arguments: str) -> str:
        """Run a command that must be refused as wrong usage or config; its sentences."""
        done = self.try_out(*arguments)
        assert done.exit_code == 2, (done.exit_code, done.output, done.exception)
        assert "Traceback" not in done.output
        return done.stderr

    def start(self, port: int | None = None) -> "subprocess.Popen[bytes]":
        """`serve`, as systemd would start it."""
        config = self.config
        if port is not None:
            config = self.directory / f"collector-{port}.toml"
            config.write_text(self.config.read_text().replace(str(self.port), str(port)))
        with (self.directory / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "collector", "--config", str(config), "serve"],
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.directory,
                env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
            )

    @contextmanager
    def serving(self) -> Iterator[httpx.Client]:
        """A client of a collector in a process of its own."""
        process = self.start()
        try:
            with ready(self.port) as client:
                yield client
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


@contextmanager
def ready(port: int) -> Iterator[httpx.Client]:
    """A client of a collector that answers."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if client.get("/readyz").is_success:
                    break
            time.sleep(0.05)
        yield client


def push(client: httpx.Client, token: str, sent: list[Any]) -> Any:
    at = now().isoformat()
    body = a_push(token.partition(".")[0], sent, [a_source(read_at=at)], sent_at=at)
    answer = client.post("/api/v1/tallies", json=body, headers=bearer(token))
    assert answer.status_code == 200, answer.text
    return answer.json()


def enrolled(desk: Desk, client: httpx.Client, *facilities: str) -> str:
    code = desk.run("enrol-code", *facilities)
    answer = client.post("/api/v1/enrolments", json={"code": code})
    return str(answer.json()["token"])


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    one = Desk(tmp_path)
    one.run("migrate")
    return one


def add(desk: Desk, one: str, *more: str) -> None:
    desk.run("facility", "add", one, "--name", f"Cơ sở {one}", "--level", "province", *more)


def test_init_writes_a_sample_that_works_as_it_is(tmp_path: Path) -> None:
    runner = CliRunner()
    target = tmp_path / "new" / "place"
    assert runner.invoke(main, ["init", str(target)]).exit_code == 0
    config = str(target / "collector.toml")
    assert runner.invoke(main, ["--config", config, "migrate"]).exit_code == 0
    assert runner.invoke(main, ["--config", config, "facility", "list"]).exit_code == 0
    again = runner.invoke(main, ["init", str(target)])
    assert (again.exit_code, "không ghi đè" in again.stderr) == (2, True)
    assert (target / "data").stat().st_mode & 0o777 == 0o700


def test_migrating_twice_is_fine(desk: Desk) -> None:
    assert desk.run("migrate") == desk.run("migrate")


def test_the_version_and_the_help_are_there(desk: Desk) -> None:
    assert __version__ in desk.run("--version")
    for command in ("init", "migrate", "serve", "facility", "enrol-code", "source", "user", "backup", "restore"):
        assert command in desk.run("--help")


def test_facilities_are_added_changed_listed_and_paused(desk: Desk) -> None:
    add(desk, "12002", "--ownership", "private", "--area", "Đoàn Kết", "--bhxh-code", "12002")
    add(desk, "12001")
    desk.run("facility", "add", "12002", "--name", "Tên mới", "--level", "clinic")
    desk.run("facility", "pause", "12001", "--from", "2026-11-01", "--to", "2026-11-03", "--reason", "lụt")
    rows = list(csv.DictReader(io.StringIO(desk.run("facility", "list"))))
    keys = ("id", "name", "level", "ownership", "area", "bhxh_code")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("12001", "Cơ sở 12001", "province", "public", "", ""),
        ("12002", "Tên mới", "clinic", "private", "Đoàn Kết", "12002"),
    ]


def test_a_list_is_imported_whole_or_not_at_all(desk: Desk) -> None:
    file = desk.directory / "ds.csv"
    file.write_text("Mã cơ sở;Tên cơ sở;Cấp\n12001;Bệnh viện tỉnh;tuyến tỉnh\n12002;Trạm;trạm y tế\n")
    assert desk.run("facility", "import", str(file)) == "Đã ghi 2 cơ sở."
    file.write_text("id,name,level\n12003,A,clinic\n12004,,hamlet\n12005,B,moon\n")
    told = desk.fail("facility", "import", str(file))
    assert [line.split(": ")[1:3] for line in told.splitlines()] == [
        ["dòng 3", "name"],
        ["dòng 3", "level"],
        ["dòng 4", "level"],
    ]
    assert "12003" not in desk.run("facility", "list")


MISTAKES = [
    (["facility", "add", "mã", "--name", "A", "--level", "clinic"], "id"),
    (["facility", "add", "1", "--name", "A", "--level", "moon"], "level"),
    (["facility", "add", "1", "--name", "A", "--level", "clinic", "--active-from", "hôm qua"], "active_from"),
    (["facility", "add", "1", "--name", "A", "--level", "clinic", "--indicators", "joy"], "joy"),
    (["facility", "add", "1"], "--name"),
    (["facility", "import", "none.csv"], "none.csv"),
    (["facility", "pause", "9", "--from", "2026-01-01", "--to", "2026-01-02", "--reason", "x"], "“9”"),
    (["facility", "pause", "1", "--from", "2026-01-03", "--to", "2026-01-02", "--reason", "x"], "--from"),
    (["facility", "pause", "1", "--from", "soon", "--to", "2026-01-02", "--reason", "x"], "soon"),
    (["enrol-code", "9", "8"], "“8”"),
    (["enrol-code", "1", "--agent", "a9"], "a9"),
    (["enrol-code"], "FACILITIES"),
    (["source", "retire", "1", "his", "--last-day", "2026-01-01"], "“his”"),
    (["source", "rename", "1", "his", "hai từ"], "hai từ"),
    (["source", "move", "1", "his", "--agent", "a9"], "“his”"),
    (["user", "add", "An", "--role", "boss"], "boss"),
    (["user", "add", "An", "--role", "confirmer"], "confirmer"),
    (["user", "add", "An", "--role", "reader", "--facility", "9"], "“9”"),
    (["user", "password", "An"], "người dùng"),
    (["user", "disable", "An"], "người dùng"),
    (["backup", "/nowhere/at/all/copy"], "/nowhere"),
    (["restore", "/nowhere/copy"], "/nowhere"),
    (["dance"], "dance"),
]


@pytest.mark.parametrize(("arguments", "told"), MISTAKES, ids=[" ".join(one[0][:3]) for one in MISTAKES])
def test_a_mistake_is_answered_with_a_sentence_and_exit_code_2(desk: Desk, arguments: list[str], told: str) -> None:
    add(desk, "1")
    assert told in desk.fail(*arguments)


def test_a_config_that_cannot_be_used_is_answered_with_all_its_mistakes(desk: Desk) -> None:
    desk.config.write_text('[collector]\nlisten = "x"\ncolour = 1\n')
    assert len(desk.fail("migrate").splitlines()) == 3
    desk.config.write_text('[collector]\ndata_dir = "collector.toml"\n')
    assert "collector.toml" in desk.fail("migrate")
    desk.config.unlink()
    assert "không đọc được" in desk.fail("serve")


def test_nothing_works_on_a_database_without_the_schema(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for arguments in (["serve"], ["facility", "list"], ["enrol-code", "1"], ["backup", str(tmp_path / "copy")]):
        assert "migrate" in desk.fail(*arguments)


def test_serving_with_a_broken_override_is_refused(desk: Desk) -> None:
    (desk.directory / "c.toml").write_text('[indicators.emr]\nadopted = ["gold"]\nmeasure = "silver"\n')
    desk.config.write_text(desk.config.read_text() + 'catalogue_file = "c.toml"\n')
    assert "silver" in desk.fail("serve")


def test_a_database_that_is_away_ends_with_exit_code_1(tmp_path: Path) -> None:
    desk = Desk(tmp_path, f"postgresql://x@127.0.0.1:{free_port()}/x?connect_timeout=2")
    done = desk.try_out("facility", "list")
    assert (done.exit_code, "cơ sở dữ liệu" in done.stderr, "Traceback" in done.output) == (1, True, False)


def test_revoking_says_whether_there_was_anything_to_revoke(desk: Desk) -> None:
    add(desk, "12001")
    done = desk.try_out("token", "revoke", "a9")
    assert done.exit_code == 1


def test_a_persons_token_and_a_code_are_printed_alone_so_that_a_script_can_take_them(desk: Desk) -> None:
    add(desk, "12001")
    assert len(desk.run("user", "add", "An", "--role", "reader").split()) == 1
    assert len(desk.run("enrol-code", "12001").replace("-", "")) == 16


def test_people_are_added_given_a_password_listed_and_disabled(desk: Desk) -> None:
    add(desk, "12001")
    desk.run("user", "add", "an", "--role", "confirmer", "--facility", "12001", "--full-name", "Nguyễn Văn An")
    desk.run("user", "add", "bình", "--role", "admin", "--email", "binh@example.org")
    password = desk.run("user", "password", "an")
    assert len(password.split()) == 1
    desk.run("user", "add", "an", "--role", "reader", "--facility", "12001")  # keeps name and password
    rows = list(csv.reader(io.StringIO(desk.run("user", "list"))))
    assert rows == [
        ["name", "role", "facility", "full_name", "email", "state"],
        ["an", "reader", "12001", "Nguyễn Văn An", "", "chưa đổi mật khẩu được cấp"],
        ["bình", "admin", "", "", "binh@example.org", "chưa có mật khẩu"],
    ]
    desk.run("user", "disable", "an")
    assert "đã ngừng" in desk.run("user", "list")
    assert "ngừng" in desk.fail("user", "password", "an")


@pytest.mark.slow
def test_a_first_day_at_the_department(desk: Desk) -> None:
    add(desk, "12001")
    add(desk, "12002")
    reader = desk.run("user", "add", "An", "--role", "reader")
    copy = desk.directory / "copy"
    with desk.serving() as client:
        token, other = enrolled(desk, client, "12001"), enrolled(desk, client, "12001", "12002")
        first = push(client, token, [a_tally(YESTERDAY)])
        desk.run("backup", str(copy))
        assert push(client, token, [a_tally(YESTERDAY, 2, {"qr": 9})])["accepted"] == 1
        desk.run("source", "move", "12001", "his", "--agent", other.partition(".")[0])
        assert push(client, token, [a_tally(YESTERDAY, 3)])["refused"][0]["code"] == "source_taken"
        desk.run("source", "rename", "12001", "his", "his2")
        desk.run("source", "retire", "12001", "his2", "--last-day", str(YESTERDAY))
        found = client.get("/api/v1/tallies", headers=bearer(reader)).json()["tallies"]
        assert [(one["source"], one["counts"]) for one in found] == [("his2", {"qr": 9})]
        desk.run("token", "revoke", token.partition(".")[0])
        desk.run("restore", str(copy))
        answer = client.post("/api/v1/tallies", json=a_push(token.partition(".")[0], []), headers=bearer(token))
        assert answer.status_code == 401
        assert push(client, other, [])["store_id"] != first["store_id"]
        found = client.get("/api/v1/tallies", headers=bearer(reader)).json()["tallies"]
        assert [(one["source"], one["counts"]) for one in found] == [("his", {"cash": 3, "qr": 1})]


@pytest.mark.slow
def test_what_was_answered_survives_kill_9(tmp_path: Path, store_url: str) -> None:
    desk = Desk(tmp_path, store_url)
    desk.run("migrate")
    add(desk, "12001")
    token = None
    for revision in range(1, 4):
        process = desk.start()
        try:
            with ready(desk.port) as client:
                token = token or enrolled(desk, client, "12001")
                days = [YESTERDAY - timedelta(days=n) for n in range(100)]
                answer = push(client, token, [a_tally(day, revision, {"qr": revision}) for day in days])
                process.kill()
        finally:
            process.kill()
            process.wait()
        assert answer["accepted"] == 100
        office = Office(store_url, tmp_path)
        assert {row.revision for row in office.stored().values()} == {revision}
        assert len(office.stored()) == 100
        office.store.close()


@pytest.mark.slow
def test_two_collectors_share_one_postgresql(tmp_path: Path, postgres_url: str) -> None:
    desk = Desk(tmp_path, postgres_url)
    desk.run("migrate")
    add(desk, "12001")
    ports = [desk.port, free_port()]
    processes = [desk.start(port) for port in ports]
    try:
        with ready(ports[0]) as one, ready(ports[1]) as other:
            token = enrolled(desk, one, "12001")
            for revision, client in enumerate((one, other, one), 1):
                assert push(client, token, [a_tally(YESTERDAY, revision, {"qr": revision})])["accepted"] == 1
            name = 'nhipso_indicator_denominator{facility="12001",indicator="cashless",window="30d"}'
            for client in (one, other):
                deadline = time.monotonic() + 10
                while not (answer := client.get("/metrics")).is_success or samples(answer.text).get(name) != 3:
                    assert time.monotonic() < deadline, answer.text
                    time.sleep(0.05)
            assert one.get("/api/v1/catalogue").headers["ETag"] == other.get("/api/v1/catalogue").headers["ETag"]
    finally:
        for process in processes:
            process.terminate()
        assert [process.wait(30) for process in processes] == [0, 0]


@pytest.mark.slow
def test_a_port_that_is_taken_ends_serve_with_a_word_and_not_with_exit_code_0(desk: Desk) -> None:
    with desk.serving():
        second = desk.start()
        assert second.wait(60) != 0
    assert "address already in use" in (desk.directory / "log").read_text()

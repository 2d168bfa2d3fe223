"""A mark in every place where a secret may stand, and it is seen nowhere else: all commands, all that they leave."""

import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result

from adapters.sql import Database
from agent.link import Link
from agent.reader import open_source
from agent.settings import load as load_agent
from collector.__main__ import main as collector
from collector.settings import load as load_collector
from conftest import free_port
from contract import catalogue
from contract.errors import ConfigError
from tests.faulty_collector import FaultyCollector
from tests.hospital import Hospital, environment
from tests.real_collector import RealCollector

MARK = "S3CRET"
AGENT_SECRETS = {
    "token": f"a1.{MARK}-token",
    "his.url": f"postgresql://nhipso:{MARK}-pg@127.0.0.1:1/his",
    "maria.url": f"mariadb://nhipso:{MARK}-maria@127.0.0.1:1/his",
    "oracle.url": f"oracle://nhipso:{MARK}-oracle@127.0.0.1:1/?service_name=HIS",
    "fhir.token": f"{MARK}-fhir",
}
SOURCES = f"""
[sources.his]
kind = "his.sql"
vendor = "dhg"
database_file = "his.url"
measures = ["visits"]
[sources.emr]
kind = "emr.fhir"
url = "http://127.0.0.1:1/fhir"
token_file = "fhir.token"
measures = ["record_documents"]
proxy = "http://nhipso:{MARK}-proxy@127.0.0.1:1"
"""
posix = pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")


@pytest.fixture(autouse=True)
def careless_account() -> Iterator[None]:
    """As most accounts are: what they write, all may read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def shows(text: bytes) -> bool:
    """Whether a secret stands in it, in any encoding that is used here."""
    return any(MARK.encode(form) in text for form in ("utf-8", "utf-16-le"))


def left(directory: Path, *but: str) -> list[Path]:
    """The files that hold a secret, without those where it belongs."""
    files = [
        file for file in directory.rglob("*") if file.is_file() and file.relative_to(directory).as_posix() not in but
    ]
    return [file for file in files if shows(file.read_bytes())]


def open_to_others(directory: Path) -> list[str]:
    """What others may read, write or list, of all below `directory` and of itself."""
    paths = [directory, *directory.rglob("*")]
    return [f"{path.name} {stat.filemode(path.stat().st_mode)}" for path in paths if path.stat().st_mode & 0o077]


def arguments_of(pid: int) -> bytes:
    """The arguments of a process and of all that it started."""
    found = b""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if pid in (int(entry.name), int(fields[1])):
                    found += (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has just ended
    return found


# --- Agent -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """With a secret wherever one can be; its sources are away, its collector answers."""
    with FaultyCollector() as collector:
        one = Hospital(tmp_path, collector=collector.url)
        collector.tokens = {AGENT_SECRETS["token"]}
        text = re.sub(r"\[sources\..*", "", one.config.read_text("utf-8"), flags=re.DOTALL)
        one.config.write_text(text + SOURCES, "utf-8")
        for name, secret in AGENT_SECRETS.items():
            (tmp_path / name).write_text(secret, "utf-8")
        yield one


def run(hospital: Hospital, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "agent", "--debug", "--config", str(hospital.config), *arguments],
        capture_output=True,
        timeout=120,
        input=typed.encode(),
        env={**environment(), "PYTHONWARNINGS": "ignore"},
        cwd=hospital.directory,
    )


@posix
@pytest.mark.slow
def test_no_command_of_the_agent_shows_or_leaves_a_secret(hospital: Hospital) -> None:
    commands = (
        ["check"],
        ["explain", "visits"],
        ["status"],
        ["backfill", "--from", "2026-01-01", "--to", "2026-01-02"],
        ["sheet-template", "inspections", "sheet.xlsx"],
    )
    first = run(hospital, "poll-once")
    with ThreadPoolExecutor(2) as pool:
        done = [first, *pool.map(lambda arguments: run(hospital, *arguments), commands)]
    assert [one.args for one in done if shows(one.stdout + one.stderr)] == []
    assert b"Traceback" not in b"".join(one.stderr for one in done)
    assert b"HTTP Request: POST" in first.stderr  # the log was a chatty one
    assert {path.name for path in left(hospital.directory, *AGENT_SECRETS)} == {"agent.toml"}
    assert hospital.config.read_text("utf-8").count(MARK) == 1  # the proxy's, where it was written
    assert open_to_others(hospital.data) == []


@posix
@pytest.mark.slow
def test_enrolment_asks_for_the_code_and_stores_what_it_gets_for_this_account_only(hospital: Hospital) -> None:
    hospital.token.unlink()
    done = run(hospital, "enrol", typed=f"{MARK}-code\n")
    assert (done.returncode, shows(done.stderr.replace(f"{MARK}-code".encode(), b""))) == (0, False)
    assert stat.S_IMODE(hospital.token.stat().st_mode) == 0o600


@posix
@pytest.mark.slow
def test_a_running_agent_and_its_readers_have_no_secret_in_their_arguments(hospital: Hospital) -> None:
    agent = hospital.start("run")
    try:
        seen, deadline = b"", time.monotonic() + 60
        while time.monotonic() < deadline and b"agent.reader" not in seen:
            seen = arguments_of(agent.pid)
            time.sleep(0.02)
        assert b"agent.reader" in seen and not shows(seen)
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(60)
    assert not shows(hospital.log.encode())


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("facility = ", f'password = "{MARK}"\nfacility = '),
        ("facility = ", f'password = "{MARK}\nfacility = '),
        ('token_file = "token"', f'token_file = ["{MARK}"]'),
        ('collector = "', f'collector = "ftp://nhipso:{MARK}@'),
        ("[sources.his]", f'proxy = "//nhipso:{MARK}@10.0.0.1"\n[sources.his]'),
        ('database_file = "his.url"', f'database_file = 7\npassword = "{MARK}"'),
        ('url = "http://127.0.0.1:1/fhir"', f'url = "http://nhipso:{MARK}@127.0.0.1:1/fhir"'),
        (f"http://nhipso:{MARK}-proxy@127.0.0.1:1", f"socks9://nhipso:{MARK}@127.0.0.1:99999"),
    ],
)
def test_a_mistake_in_agent_toml_is_named_without_the_secret_beside_it(
    hospital: Hospital, written: str, instead: str
) -> None:
    text = hospital.config.read_text("utf-8")
    assert written in text
    hospital.config.write_text(text.replace(written, instead, 1), "utf-8")
    with pytest.raises(ConfigError) as caught:
        settings = load_agent(hospital.config)
        for source in settings.sources:
            open_source(source.config, catalogue.load())
        Link(settings)
    assert not shows(str(caught.value).encode()) and not shows(repr(caught.value).encode())


@pytest.mark.parametrize("name", ["his.url", "maria.url", "oracle.url"])
@pytest.mark.parametrize(
    "content", [f"nonsense {MARK}", f"ftp://a:{MARK}@b/c", f"postgresql://a:{MARK}@h:port/x", MARK]
)
def test_an_address_that_is_none_is_named_without_being_repeated(hospital: Hospital, name: str, content: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Database(content, {}, hospital.directory, 5)
    assert not shows(str(caught.value).encode())


def test_settings_that_end_up_in_a_traceback_show_no_secret(hospital: Hospital) -> None:
    settings = load_agent(hospital.config)
    assert not shows(repr(settings).encode())


# --- Collector -------------------------------------------------------------------------------------------------------


def call(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(collector, ["--config", str(config), *arguments])


def configured(directory: Path, **lines: str) -> Path:
    for name in ("metrics", "alerts"):
        (directory / f"{name}.token").write_text(f"{MARK}-{name}")
    text = {"data_dir": "data", "metrics_token_file": "metrics.token", "alerts_token_file": "alerts.token", **lines}
    config = directory / "collector.toml"
    config.write_text("[collector]\n" + "".join(f'{key} = "{value}"\n' for key, value in text.items()), "utf-8")
    return config


@posix
def test_what_the_collector_gives_out_once_is_kept_nowhere_and_its_files_are_private(tmp_path: Path) -> None:
    config = configured(tmp_path)
    assert call(config, "migrate").exit_code == 0
    assert call(config, "facility", "add", "12001", "--name", "Bệnh viện", "--level", "province").exit_code == 0
    given = [
        call(config, "enrol-code", "12001").output.strip(),
        call(config, "user", "add", "an", "--role", "admin").output.split()[-1],
        call(config, "user", "password", "an").output.split()[-1],
    ]
    assert all(len(one) > 8 for one in given)
    others = [
        call(config, "facility", "list"),
        call(config, "user", "list"),
        call(config, "token", "revoke", "a1"),
        call(config, "report", "--period", "2026-01", "--format", "csv", "--output", str(tmp_path / "report.csv")),
        call(config, "backup", str(tmp_path / "backup.sqlite")),
        call(config, "restore", str(tmp_path / "backup.sqlite")),
    ]
    assert [one.output for one in others if any(secret in one.output for secret in (MARK, *given))] == []
    kept = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    secrets = [secret for one in given for secret in (one, one.replace("-", ""))]
    assert [file for file, content in kept.items() if any(secret.encode() in content for secret in secrets)] == []
    assert left(tmp_path, "metrics.token", "alerts.token") == []
    assert open_to_others(tmp_path / "data") == []
    assert [open_to_others(tmp_path / name) for name in ("backup.sqlite", "report.csv")] == [[], []]


@pytest.mark.parametrize(
    "url", ["postgresql://nhipso:{}@127.0.0.1:1/x", "mysql://a:{}@h/x", "{}", "postgresql://a:{}@h:p/x"]
)
@pytest.mark.parametrize("command", ["migrate", "serve", "facility list"])
def test_a_database_that_is_away_or_none_is_named_without_its_password(
    tmp_path: Path, url: str, command: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = configured(tmp_path, database_file="database.url")
    (tmp_path / "database.url").write_text(url.format(MARK))
    caplog.set_level(logging.DEBUG)
    done = call(config, *command.split())
    assert done.exit_code in (1, 2)
    assert not shows((done.output + caplog.text + repr(done.exception)).encode())


def test_settings_of_a_collector_that_end_up_in_a_traceback_show_no_secret(tmp_path: Path) -> None:
    config = configured(tmp_path, database_file="database.url")
    (tmp_path / "database.url").write_text(f"postgresql://nhipso:{MARK}@h/x")
    assert not shows(repr(load_collector(config)).encode())


def test_a_serving_collector_logs_nothing_that_was_shown_to_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    served = RealCollector(tmp_path, free_port())
    caplog.set_level(logging.DEBUG)
    try:
        with httpx.Client(base_url=served.url, trust_env=False) as client:
            for method, path, body in (
                ("POST", "/api/v1/enrolments", {"code": f"{MARK}-code"}),
                ("POST", "/api/v1/tallies", {"agent": MARK}),
                ("GET", "/metrics", None),
                ("GET", f"/api/v1/tallies?facility={MARK}", None),
                ("POST", "/login", {"name": "an", "password": f"{MARK}-password"}),
            ):
                client.request(method, path, json=body, headers={"Authorization": f"Bearer {MARK}-token"})
            client.post("/login", data={"name": "an", "password": f"{MARK}-password"})
        # the database has gone
        served.store.engine.dispose()
        shutil.move(tmp_path / "collector" / "collector.sqlite", tmp_path / "away")
        with httpx.Client(base_url=served.url, trust_env=False) as client:
            client.post("/api/v1/enrolments", json={"code": f"{MARK}-code"})
            client.post("/login", data={"name": "an", "password": f"{MARK}-password"})
            client.get("/api/v1/facilities", headers={"Authorization": f"Bearer {MARK}-token"})
    finally:
        served.close()
    # httpx is the caller's, and logs the address that the test itself made up
    ours = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    said = "\n".join(logging.Formatter().format(record) for record in ours)
    assert said and not shows((said + "".join(capfd.readouterr())).encode())

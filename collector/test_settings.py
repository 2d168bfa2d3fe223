"""collector.toml: read whole, every mistake named."""

from pathlib import Path

import pytest

from collector.settings import load
from contract.errors import ConfigError


def write(directory: Path, text: str) -> Path:
    file = directory / "collector.toml"
    file.write_text(text, "utf-8")
    return file


def problems_of(file: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert all(problem.startswith(str(file)) for problem in caught.value.problems)
    return str(caught.value)


def test_the_least_is_a_data_directory(tmp_path: Path) -> None:
    found = load(write(tmp_path, '[collector]\ndata_dir = "data"\n'))
    assert (found.host, found.port) == ("127.0.0.1", 8080)
    assert found.database == f"sqlite:///{tmp_path / 'data' / 'collector.sqlite'}"
    assert (found.metrics_token, found.catalogue_file) == (None, None)
    assert found.revocations == tmp_path / "data" / "revoked-tokens.txt"


def test_secrets_are_read_from_files_beside_it(tmp_path: Path) -> None:
    (tmp_path / "db.url").write_text("postgresql://a:b@c/d\n")
    (tmp_path / "token").write_text(" t0ken \n")
    text = 'listen = "0.0.0.0:9000"\nallow_plain_http = true\ndata_dir = "/var/x"\ndatabase_file = "db.url"\n'
    text += 'metrics_token_file = "token"\n'
    found = load(write(tmp_path, f"[collector]\n{text}"))
    assert (found.host, found.port, found.data_dir) == ("0.0.0.0", 9000, Path("/var/x"))
    assert (found.database, found.metrics_token) == ("postgresql://a:b@c/d", "t0ken")


@pytest.mark.parametrize("listen", ["127.0.0.1:80", "localhost:8080", "[::1]:8080", "127.9.9.9:1"])
def test_on_loopback_no_token_is_asked_for(tmp_path: Path, listen: str) -> None:
    assert load(write(tmp_path, f'[collector]\ndata_dir = "d"\nlisten = "{listen}"')).metrics_token is None


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80", "10.0.0.1:8080", "sohealth.example.vn:80"])
def test_off_loopback_metrics_need_a_token(tmp_path: Path, listen: str) -> None:
    file = write(tmp_path, f'[collector]\ndata_dir = "d"\nlisten = "{listen}"')
    assert "metrics_token_file" in problems_of(file)


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    text = 'listen = "here"\ncolour = "red"\nmetrics_tally_facilities = -1\n[other]\nx = 1\n'
    told = problems_of(write(tmp_path, f"[collector]\n{text}"))
    assert len(told.splitlines()) == 5
    assert all(part in told for part in ("listen", "colour", "metrics_tally_facilities", "data_dir", "other"))
    text = 'data_dir = "d"\nlisten = "0.0.0.0:99999"\ndatabase_file = "none"\n'
    told = problems_of(write(tmp_path, f"[collector]\n{text}"))
    assert len(told.splitlines()) == 4
    assert all(part in told for part in ("database_file", "metrics_token_file", "allow_plain_http", "65535"))


@pytest.mark.parametrize("text", ["", "[collector", "collector = 3", "\x00"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    assert problems_of(write(tmp_path, text))
    assert "không đọc được" in problems_of(tmp_path / "none.toml")


def test_an_empty_secret_is_a_mistake_and_no_secret_is_repeated(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    assert "tệp rỗng" in problems_of(write(tmp_path, '[collector]\ndata_dir = "d"\nmetrics_token_file = "token"'))
    assert "s3cret" not in problems_of(write(tmp_path, '[collector]\ndata_dir = 7\npassword = "s3cret"'))

"""Codes, tokens: what is given out works once, or until it is revoked, and is stored only as a hash."""

import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from collector.access import CODE_LIVES, Access
from collector.store import backup
from contract.errors import ConfigError, UnauthorisedError
from tests.office import NOON, Office


def works(office: Office, token: str) -> bool:
    try:
        office.access.speaker(token, NOON)
    except UnauthorisedError:
        return False
    return True


def test_a_code_becomes_a_token_that_speaks_for_its_facilities(office: Office) -> None:
    office.register("12001", "12002", "12003")
    code = office.access.make_code(["12001", "12003", "12001"], None, NOON)
    agent, token, facilities = office.access.enrol(code, NOON)
    assert facilities == ["12001", "12003"]
    speaker = office.access.speaker(token, NOON)
    assert speaker.agent == agent
    assert sorted(speaker.facilities) == ["12001", "12003"]


def test_a_code_is_read_however_it_was_typed(office: Office) -> None:
    office.register("12001")
    code = office.access.make_code(["12001"], None, NOON)
    assert office.access.enrol(f" {code.replace('-', '').lower()} ", NOON)


def test_a_code_works_once(office: Office) -> None:
    office.register("12001")
    code = office.access.make_code(["12001"], None, NOON)
    office.access.enrol(code, NOON)
    with pytest.raises(UnauthorisedError, match="đã dùng"):
        office.access.enrol(code, NOON)


def test_of_ten_who_trade_a_code_at_once_one_gets_a_token(office: Office) -> None:
    office.register("12001")
    code = office.access.make_code(["12001"], None, NOON)
    got: list[str] = []

    def trade() -> None:
        with suppress(UnauthorisedError):
            got.append(office.access.enrol(code, NOON)[1])

    threads = [threading.Thread(target=trade) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_a_code_expires_after_a_week(office: Office) -> None:
    office.register("12001")
    code = office.access.make_code(["12001"], None, NOON)
    with pytest.raises(UnauthorisedError):
        office.access.enrol(code, NOON + CODE_LIVES)
    late = office.access.make_code(["12001"], None, NOON)
    assert office.access.enrol(late, NOON + CODE_LIVES - timedelta(seconds=1))


@pytest.mark.parametrize("code", ["", "0000-0000-0000-0000", "x" * 100, "мã"])
def test_a_code_that_nobody_made_is_refused(office: Office, code: str) -> None:
    with pytest.raises(UnauthorisedError):
        office.access.enrol(code, NOON)


def test_no_code_is_made_for_what_does_not_exist_and_every_mistake_is_named(office: Office) -> None:
    office.register("12001")
    with pytest.raises(ConfigError) as caught:
        office.access.make_code(["12001", "12002", "12003"], "a99", NOON)
    assert caught.value.problems == ["chưa đăng ký cơ sở “12002”", "chưa đăng ký cơ sở “12003”", "không có agent “a99”"]


def test_the_old_token_of_an_agent_that_enrols_again_works_until_the_new_one_is_used(office: Office) -> None:
    old = office.enrol("12001")
    agent = office.access.speaker(old, NOON).agent
    new = office.enrol("12001", agent=agent)
    assert works(office, old)
    assert office.access.speaker(new, NOON).agent == agent
    assert not works(office, old)
    assert works(office, new)


def test_the_first_use_of_a_token_revokes_older_ones_only(office: Office) -> None:
    first = office.enrol("12001")
    agent = first.partition(".")[0]
    second = office.enrol("12001", agent=agent, at=NOON + timedelta(hours=1))
    assert works(office, first)
    assert works(office, second)
    assert not works(office, first)


def test_a_revoked_token_is_refused_at_once(office: Office) -> None:
    token, other = office.enrol("12001"), office.enrol("12001")
    agent = office.access.speaker(token, NOON).agent
    assert office.access.revoke(agent, NOON) == 1
    assert not works(office, token)
    assert works(office, other)
    assert office.access.revoke(agent, NOON) == 0


@pytest.mark.parametrize("token", ["", "a1.", "a1.secret", "\x00", "ổ khóa"])
def test_an_unknown_token_is_refused(office: Office, token: str) -> None:
    assert not works(office, token)


def test_what_was_revoked_stays_revoked_in_an_older_backup(office: Office, tmp_path: Path) -> None:
    token = office.enrol("12001")
    agent = office.access.speaker(token, NOON).agent
    backup.backup(office.store, tmp_path / "copy")
    office.access.revoke(agent, NOON)
    backup.restore(office.store, tmp_path / "copy")
    assert works(office, token)  # the copy does not know …
    office.access.apply_revocations(NOON)
    assert not works(office, token)  # … but the file beside it does


def test_a_token_that_was_replaced_stays_revoked_in_an_older_backup_too(office: Office, tmp_path: Path) -> None:
    old = office.enrol("12001")
    backup.backup(office.store, tmp_path / "copy")
    new = office.enrol("12001", agent=old.partition(".")[0])
    assert works(office, new)
    backup.restore(office.store, tmp_path / "copy")
    office.access.apply_revocations(NOON)
    assert not works(office, old)
    assert not works(office, new)  # unknown there: the agent enrols again


def test_secrets_are_in_the_database_file_only_as_hashes(tmp_path: Path) -> None:
    office = Office(f"sqlite:///{tmp_path / 'collector.sqlite'}", tmp_path)
    token = office.enrol("12001")
    code = office.access.make_code(["12001"], None, NOON)
    office.access.speaker(token, NOON)
    office.access.revoke(token.partition(".")[0], NOON)
    office.store.close()
    content = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for secret in (token, token.partition(".")[2], code, code.replace("-", "")):
        assert secret.encode() not in content
    assert token.partition(".")[0].encode() in content  # the search itself works


def test_the_file_of_revocations_is_made_when_it_is_first_needed(office: Office, tmp_path: Path) -> None:
    token = office.enrol("12001")
    elsewhere = Access(office.store, tmp_path / "elsewhere" / "revoked-tokens.txt")
    elsewhere.apply_revocations(NOON)
    assert works(office, token)
    elsewhere.revoke(token.partition(".")[0], NOON)
    assert len((tmp_path / "elsewhere" / "revoked-tokens.txt").read_text().split()) == 1

"""agent.toml: what is accepted, what is refused, and that every mistake is named at once."""

from datetime import date, time
from pathlib import Path

import pytest

from agent.app import describe, problems_of_kinds, start
from agent.settings import Settings, load, two_owners
from contract.catalogue import load as shipped
from contract.days import now
from contract.errors import ConfigError
from tests.hospital import QUERY, Hospital

AGENT = """\
[agent]
facility = "12001"
collector = "https://nhipso.example.gov.vn"
token_file = "token"
data_dir = "data"
"""
SOURCE = '[sources.his]\nkind = "his.sql"\ndatabase_file = "his.url"\n'


@pytest.fixture
def hospital(tmp_path: Path) -> Hospital:
    return Hospital(tmp_path)


def written(directory: Path, text: str) -> Path:
    file = directory / "agent.toml"
    file.write_text(text, "utf-8")
    return file


def problems(file: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings = load(file, lambda sources: problems_of_kinds(sources, file))
        start(settings, now()).close()
    return caught.value.problems


def named(found: list[str], *words: str) -> bool:
    return any(all(word in problem for word in words) for problem in found)


def test_the_sample_that_init_writes_is_a_valid_file(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "config" / "agent.toml").read_text("utf-8")
    settings = load(written(tmp_path, text))
    assert (settings.poll_minutes, settings.reread_days, settings.deep_reread_days) == (5, 3, 35)
    assert settings.deep_reread_at == time(2, 30)


def test_what_is_left_out_has_the_defaults_of_the_contract(tmp_path: Path) -> None:
    settings = load(written(tmp_path, AGENT + SOURCE))
    assert (settings.poll_minutes, settings.reread_days, settings.deep_reread_days) == (5, 3, 35)
    assert settings.deep_reread_at == time(2, 30)
    assert settings.sources[0].config.timeout_seconds == 60
    assert (settings.sources[0].role, settings.sources[0].part, settings.sources[0].first_day) == ("count", None, None)


def test_five_mistakes_are_all_named_at_once_with_file_table_and_key(hospital: Hospital) -> None:
    hospital.config.write_text(
        hospital.config.read_text()
        .replace("[agent]", "[agent]\npoll_minutes = -1\ncolour = 3")
        .replace('database_file = "his.url"', 'database_file = "nowhere.url"\ntimeout_seconds = 0')
        .replace('QR = "cccd_qr"', 'QR = "no_such_category"')
        + '\n[sources.other]\nkind = "no.such"\n[extra]\n'
    )
    found = problems(hospital.config)
    assert all(str(hospital.config) in problem for problem in found)
    assert named(found, "[agent]", "poll_minutes")
    assert named(found, "[agent]", "colour")
    assert named(found, "[sources.his]", "timeout_seconds")
    assert named(found, "[sources.other]", "kind", "no.such")
    assert named(found, "[extra]")


def test_mistakes_in_the_tables_of_kinds_are_named_together_with_those_of_the_agent(hospital: Hospital) -> None:
    hospital.config.write_text(
        hospital.config.read_text()
        .replace("[agent]", "[agent]\nreread_days = 1000")
        .replace('database_file = "his.url"', 'database_file = "nowhere.url"\ncolour = 3')
        .replace('QR = "cccd_qr"', 'QR = "no_such_category"')
        + '\n[sources.hoadon]\nkind = "einvoice.xml"\n'
    )
    found = problems(hospital.config)
    assert all(str(hospital.config) in problem for problem in found)
    assert named(found, "[agent]", "reread_days")
    assert named(found, "[sources.his]", "database_file", "nowhere.url")
    assert named(found, "[sources.his]", "colour")
    assert named(found, "[sources.his.queries.checkins]", "no_such_category")
    assert named(found, "[sources.hoadon]", "folder")
    assert len(found) == 5


@pytest.mark.slow
def test_mistakes_of_kinds_alone_are_named_too(hospital: Hospital) -> None:
    hospital.configure(source='measures = ["checkins", "births"]')
    text = hospital.config.read_text() + '\n[sources.hoadon]\nkind = "einvoice.xml"\n'
    found = problems(written(hospital.directory, text))
    assert named(found, "[sources.his]", "measures", "births")
    assert named(found, "[sources.hoadon]", "folder")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SOURCE, ("[agent]", "collector")),
        (AGENT, ("[sources.",)),
        (AGENT.replace('facility = "12001"\n', "") + SOURCE, ("[agent]", "facility")),
        (AGENT + 'facilities = ["12001"]\n' + SOURCE, ("[agent]", "facilities")),
        (AGENT.replace("12001", "12 001") + SOURCE, ("[agent]", "facility")),
        (AGENT.replace("https://", "ftp://") + SOURCE, ("[agent]", "collector")),
        (AGENT + 'deep_reread_at = "25:00"\n' + SOURCE, ("[agent]", "deep_reread_at")),
        (AGENT + SOURCE + 'role = "owner"\n', ("[sources.his]", "role")),
        (AGENT + SOURCE + 'part = "nội trú"\n', ("[sources.his]", "part")),
        (AGENT + SOURCE + 'from = "15/11/2026"\n', ("[sources.his]", "from")),
        (AGENT + SOURCE + "measures = []\n", ("[sources.his]", "measures")),
        (AGENT + SOURCE + '[sources.his.facilities]\nBV = "12009"\n', ("[sources.his]", "12009")),
        (AGENT + SOURCE.replace("his]", '"bệnh viện"]'), ("[sources.bệnh viện]",)),
        (AGENT + "[sources]\nhis = 3\n", ("[sources.his]",)),
        (AGENT + "[[sources]]\n", ("sources",)),
        ("agent = 3\n" + SOURCE, ("[agent]",)),
        (AGENT + SOURCE + SOURCE, ("TOML",)),
        (AGENT + SOURCE.replace("his.sql", "../../etc.passwd"), ("[sources.his]", "kind")),
    ],
)
def test_a_mistake_is_named_with_its_table_and_key(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    assert named(caught.value.problems, "agent.toml", *words)


@pytest.mark.parametrize("content", [None, b"\xff\xfe[agent]"])
def test_a_file_that_is_missing_or_no_text_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "agent.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"agent\.toml"):
        load(file)


def test_relative_paths_start_where_agent_toml_lies(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    hospital.configure(agent='ca_file = "ca/root.pem"')
    settings = load(hospital.config)
    assert settings.token_file == hospital.token
    assert settings.data_dir == hospital.data
    assert settings.ca_file == hospital.directory / "ca" / "root.pem"
    assert str(hospital.database) in describe(settings, shipped())["his"].identity


def test_a_source_serves_the_facilities_of_its_own_table_or_all_of_the_agent(tmp_path: Path) -> None:
    both = AGENT.replace('facility = "12001"', 'facilities = ["12001", "12002"]') + SOURCE
    assert load(written(tmp_path, both)).sources[0].config.serves == ("12001", "12002")
    mapped = both + '[sources.his.facilities]\nBV01 = "12002"\nBV1 = "12002"\n'
    assert load(written(tmp_path, mapped)).sources[0].config.serves == ("12002",)


def owners(settings: Settings, *measures: str) -> list[str]:
    return two_owners({source.name: (source, measures) for source in settings.sources}, settings.file)


SECOND = SOURCE.replace("his]", "second]")


def test_two_sources_that_claim_one_measure_are_both_named(tmp_path: Path) -> None:
    [problem] = owners(load(written(tmp_path, AGENT + SOURCE + SECOND)), "checkins")
    assert all(word in problem for word in ("agent.toml", "[sources.his]", "[sources.second]", "checkins"))


@pytest.mark.parametrize("line", ['part = "inpatient"', 'role = "check"'])
def test_a_second_source_may_count_another_part_or_only_check(tmp_path: Path, line: str) -> None:
    assert owners(load(written(tmp_path, f"{AGENT}{SOURCE}{SECOND}{line}\n")), "checkins") == []


def test_two_sources_of_one_part_are_two_owners(tmp_path: Path) -> None:
    part = 'part = "inpatient"\n'
    assert owners(load(written(tmp_path, AGENT + SOURCE + part + SECOND + part)), "checkins") != []


def test_two_sources_may_count_one_measure_of_two_facilities(tmp_path: Path) -> None:
    both = AGENT.replace('facility = "12001"', 'facilities = ["12001", "12002"]')
    one, other = (
        '[sources.{}.facilities]\nBV = "{}"\n'.format(*pair) for pair in (("his", "12001"), ("second", "12002"))
    )
    assert owners(load(written(tmp_path, both + SOURCE + one + SECOND + other)), "checkins") == []


@pytest.mark.slow
def test_two_owners_are_found_when_the_agent_starts(hospital: Hospital) -> None:
    second = SECOND + QUERY.format(source="second", measure="checkins", table="checkins")
    found = problems(written(hospital.directory, hospital.config.read_text() + second))
    assert named(found, "[sources.his]", "[sources.second]", "checkins")


@pytest.mark.slow
class TestAnotherSystemUnderTheSameName:
    @pytest.fixture
    def known(self, hospital: Hospital) -> Hospital:
        start(load(hospital.config), now()).close()
        return hospital

    def moved(self, known: Hospital, line: str = "") -> None:
        (known.directory / "his.url").write_text("sqlite:///another.sqlite")
        known.configure(source=line)

    def test_it_is_refused_until_from_says_since_when(self, known: Hospital) -> None:
        self.moved(known)
        found = problems(known.config)
        assert named(found, "agent.toml", "[sources.his]", "from", str(known.database))
        self.moved(known, 'from = "2026-11-15"')
        agent = start(load(known.config), now())
        assert agent.sources.identity("his")[1] == date(2026, 11, 15)
        agent.close()

    def test_it_is_refused_again_at_the_next_change(self, known: Hospital) -> None:
        self.moved(known, 'from = "2026-11-15"')
        start(load(known.config), now()).close()
        (known.directory / "his.url").write_text("sqlite:///a-third.sqlite")
        assert named(problems(known.config), "[sources.his]", "from")

    def test_another_kind_is_another_system(self, known: Hospital) -> None:
        known.config.write_text(f'{AGENT}[sources.his]\nkind = "einvoice.xml"\nfolder = "hoadon"\n')
        assert named(problems(known.config), "[sources.his]", "from")

    def test_another_password_is_the_same_system(self, known: Hospital) -> None:
        for password in ("one", "two"):
            (known.directory / "his.url").write_text(f"postgresql://nhipso:{password}@10.0.0.5/his")
            known.configure(source='from = "2026-11-15"')
            start(load(known.config), now()).close()

    def test_the_same_file_again_is_accepted(self, known: Hospital) -> None:
        start(load(known.config), now()).close()

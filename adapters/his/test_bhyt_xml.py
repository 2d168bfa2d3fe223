"""Kind `his.bhyt_xml` over real files and the agent's own index; each folder of `bhyt_cases/` is a scenario.

Its files arrive in the order of their names, whatever folder they lie in. `expected.json`: `counts` (facility →
measure → day → category → count), `problems` (file → part of the sentence that names it), `folders` and `facilities`
(the source's own tables), `about`. Every personal field of every file holds a text with MARK in it.
"""

import base64
import json
import os
import re
import shutil
import sqlite3
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from adapters.his.bhyt_xml import MEASURES, adapter
from agent import index
from agent.disk import Disk
from agent.reader import IndexMemory
from contract import catalogue
from contract.adapter import Adapter, FileSeen, SourceConfig
from contract.days import DayRange, now
from contract.errors import ConfigError, SourceUnavailableError

HERE = Path(__file__).parent
CASES = sorted(path.name for path in (HERE / "bhyt_cases").iterdir() if path.is_dir())
DAYS = DayRange(date(2025, 11, 1), date(2025, 11, 30))
LONG_AGO, YEARS_LATER = date(2020, 1, 1), date(2026, 12, 1)
SOME_TIME_AGO = 1_764_000_000 * 10**9  # 24/11/2025 23:00
MINUTE = 60 * 10**9
CATALOGUE = catalogue.load()
Counts = dict[str, dict[str, dict[str, dict[str, int]]]]


class Known:
    """The agent's index in a ledger file, and what the last polls said."""

    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger
        Disk(ledger, now()).close()
        self.said = ""

    def poll(self, reader: Adapter, keep_before: date = LONG_AGO) -> list[FileSeen]:
        """Read and record; the files that were opened. The ledger is opened anew: every poll is after a restart."""
        files: list[FileSeen] = []
        disk = Disk(self.ledger, now())
        try:
            for reading in reader.read(DAYS, MEASURES, IndexMemory(self.ledger, "bhyt")):
                with disk.transaction() as connection:
                    index.take(connection, "bhyt", reading, keep_before)
                self.said += repr(reading)
                files += reading.files
        finally:
            disk.close()
        return files

    @property
    def counts(self) -> Counts:
        found: Counts = {}
        with closing(sqlite3.connect(self.ledger)) as connection:
            days = connection.execute("SELECT DISTINCT measure, facility, day FROM entry WHERE day IS NOT NULL")
            wanted = [(measure, facility, date.fromisoformat(day)) for measure, facility, day in days]
            for one in index.counts(connection, "bhyt", wanted):
                found.setdefault(one.facility, {}).setdefault(one.measure, {})[str(one.day)] = dict(one.counts)
        return found

    @property
    def problems(self) -> list[str]:
        with closing(sqlite3.connect(self.ledger)) as connection:
            return list(index.problems(connection, "bhyt"))


@pytest.fixture
def known(tmp_path: Path) -> Known:
    return Known(tmp_path / "ledger.sqlite")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With an empty folder for each state."""
    for state in ("unsent", "sent", "rejected", "accepted"):
        (tmp_path / "in" / state).mkdir(parents=True)
    return tmp_path / "in"


STATES = {state: state for state in ("unsent", "sent", "rejected", "accepted")}


def source(
    folder: Path,
    folders: Mapping[str, str] | None = None,
    facilities: Mapping[str, str] | None = None,
    measures: tuple[str, ...] | None = None,
) -> SourceConfig:
    return SourceConfig(
        name="bhyt",
        kind="his.bhyt_xml",
        facilities=tuple(dict.fromkeys((facilities or {"": "12001"}).values())),
        facility_map=facilities or {},
        measures=measures,
        timeout_seconds=60,
        options={"folder": str(folder), **({"folders": dict(folders)} if folders else {})},
        directory=folder.parent,
    )


def opened(folder: Path, folders: Mapping[str, str] | None = None, **more: Any) -> Adapter:
    return adapter(source(folder, folders, **more), CATALOGUE)


def put(path: Path, content: bytes, mtime_ns: int = SOME_TIME_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(mtime_ns, mtime_ns))
    return path


def claim(
    visit: str, made: str = "20251104", subject: str = "1.1", form: str = "01", facility: str = "79029", extra: str = ""
) -> bytes:
    """An envelope with one visit."""
    summary = (
        f"<TONG_HOP><MA_LK>{visit}</MA_LK><HO_TEN>MARK-NAME</HO_TEN><MA_DOITUONG_KCB>{subject}</MA_DOITUONG_KCB>"
        f"<NGAY_VAO>202511030800</NGAY_VAO><NGAY_RA>202511031000</NGAY_RA><MA_LOAI_KCB>{form}</MA_LOAI_KCB>"
        f"<MA_CSKCB>{facility}</MA_CSKCB>{extra}</TONG_HOP>"
    )
    content = base64.b64encode(summary.encode()).decode()
    return (
        f"<GIAMDINHHS><THONGTINDONVI><MACSKCB>{facility}</MACSKCB></THONGTINDONVI><THONGTINHOSO><NGAYLAP>{made}</NGAYLAP>"
        f"<DANHSACHHOSO><HOSO><FILEHOSO><LOAIHOSO>XML1</LOAIHOSO><NOIDUNGFILE>{content}</NOIDUNGFILE></FILEHOSO></HOSO>"
        "</DANHSACHHOSO></THONGTINHOSO></GIAMDINHHS>"
    ).encode()


def by_state(**counts: int) -> dict[str, dict[str, int]]:
    return {"2025-11-03": counts}


def arrivals(case: str) -> tuple[dict[str, Any], list[Path]]:
    """What a case expects, and its files in the order in which they arrive."""
    directory = HERE / "bhyt_cases" / case
    files = sorted(directory.rglob("*.xml"), key=lambda path: path.name)
    return json.loads((directory / "expected.json").read_text("utf-8")), files


def case_source(folder: Path, expected: Mapping[str, Any]) -> Adapter:
    for name in expected.get("folders", {}).values():
        (folder / name).mkdir(parents=True, exist_ok=True)
    return opened(folder, expected.get("folders"), facilities=expected.get("facilities"))


@pytest.mark.parametrize("case", CASES)
def test_files_that_arrive_one_by_one_are_counted_as_expected(case: str, tmp_path: Path, known: Known) -> None:
    expected, files = arrivals(case)
    reader = case_source(tmp_path / "in", expected)
    problems: dict[str, str | None] = {}
    for order, path in enumerate(files):
        name = path.relative_to(HERE / "bhyt_cases" / case)
        put(tmp_path / "in" / name, path.read_bytes(), SOME_TIME_AGO + order * MINUTE)
        [file] = known.poll(reader)
        problems[path.name] = file.problem
    assert known.counts == expected["counts"]
    assert {name for name, problem in problems.items() if problem} == set(expected["problems"])
    assert all(part in str(problems[name]) for name, part in expected["problems"].items())


@pytest.mark.parametrize("case", CASES)
def test_read_at_once_or_the_newest_first_they_count_the_same_and_nothing_personal_comes_out(
    case: str, tmp_path: Path, known: Known
) -> None:
    expected, files = arrivals(case)
    reader = case_source(tmp_path / "in", expected)
    for order, path in reversed(list(enumerate(files))):
        name = path.relative_to(HERE / "bhyt_cases" / case)
        put(
            tmp_path / "in" / name.with_name(f"MARK-FILE {name.name}"),
            path.read_bytes(),
            SOME_TIME_AGO + order * MINUTE,
        )
        if order == len(files) // 2:
            known.poll(reader)
    known.poll(reader)
    assert known.counts == expected["counts"]
    said = known.said + " ".join(reader.explain(measure) for measure in MEASURES)
    ledger = known.ledger.read_bytes() + b"".join(path.read_bytes() for path in known.ledger.parent.glob("*-wal"))
    assert "MARK" not in said
    assert b"MARK" not in ledger
    assert "079099123456" not in said


def test_a_file_that_moves_from_state_to_state_is_one_visit_in_the_newest_state(folder: Path, known: Known) -> None:
    reader = opened(folder, STATES)
    path = put(folder / "unsent" / "1.xml", claim("A"))
    seen = []
    for state in ("unsent", "sent", "rejected", "unsent", "sent", "accepted"):
        path = path.rename(folder / state / "1.xml")
        known.poll(reader)
        seen.append(known.counts["12001"]["claims"])
    assert seen == [by_state(**{state: 1}) for state in ("unsent", "sent", "rejected", "unsent", "sent", "accepted")]
    assert known.counts["12001"]["visits"] == by_state(outpatient=1)


def test_a_file_that_moves_on_long_after_it_was_put_aside_by_the_index_still_moves_its_visit(
    folder: Path, known: Known
) -> None:
    reader = opened(folder, STATES)
    path = put(folder / "unsent" / "1.xml", claim("A"))
    put(folder / "unsent" / "2.xml", claim("B"))
    known.poll(reader, keep_before=YEARS_LATER)
    for state in ("sent", "accepted"):
        path = path.rename(folder / state / "1.xml")
        known.poll(reader, keep_before=YEARS_LATER)
        assert known.counts["12001"]["claims"] == by_state(**{state: 1, "unsent": 1})


def test_a_copy_that_stays_behind_in_an_earlier_folder_does_not_hold_the_visit_back(folder: Path, known: Known) -> None:
    for order, state in enumerate(("accepted", "sent", "unsent")):
        put(folder / state / "1.xml", claim("A"))
        # A copy made by hand is a newer file of the same day, and still in the later state.
        put(folder / state / "2.xml", claim("B"), SOME_TIME_AGO - order * MINUTE)
    known.poll(opened(folder, STATES))
    assert known.counts["12001"]["claims"] == by_state(accepted=2)


def test_a_correction_that_was_exported_later_is_what_counts_though_the_old_one_was_accepted(
    folder: Path, known: Known
) -> None:
    reader = opened(folder, STATES)
    put(folder / "accepted" / "1.xml", claim("A", form="01"))
    known.poll(reader)
    put(folder / "sent" / "2.xml", claim("A", form="03"), SOME_TIME_AGO + MINUTE)
    known.poll(reader)
    assert known.counts["12001"] == {
        "visits": by_state(inpatient=1),
        "claims": by_state(sent=1),
        "health_records": by_state(sent=1),
    }


def test_a_claim_sent_again_months_later_replaces_the_old_one_though_that_is_archived(
    folder: Path, known: Known
) -> None:
    reader = opened(folder, STATES)
    put(folder / "accepted" / "2.xml", claim("B"))
    path = put(folder / "accepted" / "1.xml", claim("A"))
    known.poll(reader, keep_before=YEARS_LATER)
    path.unlink()
    known.poll(reader, keep_before=YEARS_LATER)
    assert known.counts["12001"]["claims"] == by_state(accepted=2)
    put(folder / "rejected" / "1.xml", claim("A", made="20260401"), SOME_TIME_AGO + 180 * 24 * 60 * MINUTE)
    known.poll(reader, keep_before=YEARS_LATER)
    assert known.counts["12001"]["claims"] == by_state(accepted=1, rejected=1)
    put(folder / "sent" / "1.xml", claim("A", made="20260501", subject="8"), SOME_TIME_AGO + 210 * 24 * 60 * MINUTE)
    known.poll(reader, keep_before=YEARS_LATER)
    assert known.counts["12001"]["claims"] == by_state(accepted=1)


def test_folders_of_states_may_lie_elsewhere(tmp_path: Path, folder: Path, known: Known) -> None:
    put(folder / "1.xml", claim("A"))
    put(tmp_path / "in-accepted" / "1.xml", claim("B"))
    put(tmp_path / "in-sent" / "2025" / "1.xml", claim("C"))
    reader = opened(folder, {"accepted": str(tmp_path / "in-accepted"), "sent": "../in-sent"})
    assert len(known.poll(reader)) == 3
    assert known.poll(reader) == []
    assert known.counts["12001"]["claims"] == by_state(unknown=1, accepted=1, sent=1)


def test_a_folder_elsewhere_that_is_suddenly_empty_loses_nothing_and_one_that_is_missing_is_unavailable(
    tmp_path: Path, folder: Path, known: Known
) -> None:
    put(folder / "1.xml", claim("A"))
    share = put(tmp_path / "share" / "1.xml", claim("B")).parent
    reader = opened(folder, {"accepted": str(share)})
    known.poll(reader)
    counts = known.counts
    share.rename(tmp_path / "away")
    for asked in (reader.probe, lambda: known.poll(reader)):
        with pytest.raises(SourceUnavailableError, match=r"không thấy thư mục .*share"):
            asked()
    share.mkdir()  # where a share is not mounted
    known.poll(reader)
    assert known.counts == counts
    put(share / "2.xml", claim("C"))
    known.poll(reader)
    assert known.counts["12001"]["visits"] == by_state(outpatient=2)


def test_a_folder_of_a_state_below_the_main_one_may_run_empty(folder: Path, known: Known) -> None:
    put(folder / "accepted" / "1.xml", claim("A"))
    put(folder / "unsent" / "1.xml", claim("B"))
    reader = opened(folder, STATES)
    known.poll(reader)
    (folder / "unsent" / "1.xml").unlink()
    known.poll(reader)
    assert known.counts["12001"]["claims"] == by_state(accepted=1)


def test_a_named_folder_that_is_also_reached_by_a_link_is_read_once(tmp_path: Path, folder: Path, known: Known) -> None:
    put(tmp_path / "real" / "1.xml", claim("A"))
    (folder / "accepted").rmdir()
    (folder / "accepted").symlink_to(tmp_path / "real", target_is_directory=True)
    reader = opened(folder, STATES)
    assert len(known.poll(reader)) == 1
    assert known.counts["12001"]["claims"] == by_state(accepted=1)


def test_naming_folders_or_facilities_or_measures_later_reads_the_files_again(folder: Path, known: Known) -> None:
    put(folder / "accepted" / "1.xml", claim("A"))
    put(folder / "sent" / "2.xml", claim("B", facility="79030"))
    known.poll(opened(folder, measures=("visits",)))
    assert known.counts == {"12001": {"visits": by_state(outpatient=2)}}
    known.poll(opened(folder, measures=("visits", "claims")))
    assert known.counts["12001"]["claims"] == by_state(unknown=2)
    assert len(known.poll(opened(folder, STATES, measures=("visits", "claims")))) == 2
    assert known.counts["12001"]["claims"] == by_state(accepted=1, sent=1)
    known.poll(opened(folder, STATES, facilities={"79029": "12001", "79030": "12002"}))
    assert known.counts["12002"]["claims"] == by_state(sent=1)
    swapped = {**STATES, "accepted": "sent", "sent": "accepted"}
    known.poll(opened(folder, swapped, facilities={"79029": "12001", "79030": "12002"}))
    assert known.counts["12002"]["claims"] == by_state(accepted=1)


def test_only_new_and_changed_files_are_opened(folder: Path, known: Known) -> None:
    put(folder / "1.xml", claim("A"))
    reader = opened(folder, STATES)
    assert len(known.poll(reader)) == 1
    put(folder / "1.xml", b" " * len(claim("A")))  # only opening it could tell
    assert known.poll(reader) == []
    put(folder / "1.xml", claim("A", form="03"), SOME_TIME_AGO + MINUTE)
    assert len(known.poll(reader)) == 1
    assert known.counts["12001"]["visits"] == by_state(inpatient=1)


def test_a_long_file_is_read_piece_by_piece_whatever_lies_beside_xml1(tmp_path: Path, known: Known) -> None:
    one = claim("@", extra="<GHI_CHU>" + "MARK " * 400 + "</GHI_CHU>")
    start, end = one.index(b"<HOSO>"), one.index(b"</HOSO>") + len(b"</HOSO>")
    summary = base64.b64decode(re.findall(rb"<NOIDUNGFILE>(.*?)</NOIDUNGFILE>", one)[0])
    inline = b"<HOSO><FILEHOSO><LOAIHOSO>XML0</LOAIHOSO><NOIDUNGFILE><CHI_TIEU_TRANG_THAI_KCB><TRANG_THAI_KCB>"
    inline += b"<MA_LK>@</MA_LK></TRANG_THAI_KCB></CHI_TIEU_TRANG_THAI_KCB></NOIDUNGFILE></FILEHOSO>"
    cases = [
        one[start:end]
        .replace(base64.b64encode(summary), base64.b64encode(summary.replace(b"@", b"V%d" % number)))
        .replace(b"<HOSO>", inline.replace(b"@", b"V%d" % number))
        for number in range(300)
    ]
    put(tmp_path / "in" / "1.xml", one[:start] + b"\r\n".join(cases) + one[end:])
    [file] = known.poll(opened(tmp_path / "in"))
    assert len(file.entries or ()) == 300 * 4
    assert known.counts["12001"]["visits"] == by_state(outpatient=300)


def test_one_case_that_would_fill_the_memory_is_named_and_stops_no_other(tmp_path: Path, known: Known) -> None:
    bombs: Sequence[bytes] = (
        b"<a>" * 10**6,
        b"<TONG_HOP>" + b"<a/>" * 200_000 + b"</TONG_HOP>",
        b"<a b='" + b" " * 9_000_000,
    )
    good = claim("A")
    for number, bomb in enumerate(bombs):
        case = b"<HOSO><FILEHOSO><LOAIHOSO>XML1</LOAIHOSO><NOIDUNGFILE>%s</NOIDUNGFILE></FILEHOSO></HOSO><HOSO>"
        content = good.replace(b"<HOSO>", case % base64.b64encode(bomb)[: 9 * 10**6])
        put(tmp_path / "in" / f"{number}.xml", content)
    known.poll(opened(tmp_path / "in"))
    assert known.counts["12001"]["visits"] == by_state(outpatient=1)
    assert ["thứ 1 trong tệp" in problem for problem in known.problems] == [True] * 3


def test_the_same_file_in_two_folders_is_one_visit_and_stays_when_one_of_them_goes(folder: Path, known: Known) -> None:
    put(folder / "a" / "1.xml", claim("A"))
    put(folder / "b" / "1.xml", claim("A"))
    known.poll(opened(folder))
    assert known.counts["12001"]["visits"] == by_state(outpatient=1)
    shutil.rmtree(folder / "a")
    known.poll(opened(folder))
    assert known.counts["12001"]["visits"] == by_state(outpatient=1)


def test_another_measure_reads_nothing(folder: Path, known: Known) -> None:
    put(folder / "1.xml", claim("A"))
    reader = opened(folder, measures=("visits",))
    assert list(reader.read(DAYS, ("claims", "payments"), IndexMemory(known.ledger, "bhyt"))) == []
    assert (reader.measures, reader.silence_is_zero) == (("visits",), False)


def test_every_mistake_of_the_table_is_named_at_once(tmp_path: Path) -> None:
    config = replace(
        source(tmp_path, measures=("visits", "payments")),
        facilities=("1", "2"),
        options={"folder": "", "path": "x", "folders": {"accepted": "", "paid": "x", "sent": 3}},
    )
    with pytest.raises(ConfigError) as caught:
        adapter(config, CATALOGUE)
    problems = caught.value.problems
    assert len(problems) == 7
    assert all(problem.startswith("[sources.bhyt]: ") for problem in problems)
    named = [
        *("folder: không được để trống", "path: không có khóa", "“payments”", "[sources.bhyt.facilities]"),
        *(
            "folders.accepted: không được",
            "folders.sent: phải là",
            "folders.paid: không có khóa này; các khóa",
        ),
    ]
    assert all(any(part in problem for problem in problems) for part in named)
    assert any("dùng được: unsent, sent, rejected, accepted" in problem for problem in problems)


def test_a_folder_cannot_stand_for_two_states(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"folders.accepted: trùng thư mục với folders.sent"):
        opened(tmp_path, {"accepted": "x", "sent": "../" + tmp_path.name + "/x/"})


def test_the_sample_is_a_source_that_works_as_it_stands_and_with_all_its_options() -> None:
    text = (HERE / "bhyt_xml.sample.toml").read_text("utf-8")
    for content in (text, re.sub(r'^# (?=\w+ = |\[|")', "", text, flags=re.MULTILINE)):
        table = tomllib.loads(content)["sources"]["bhyt"]
        common = {"kind", "measures", "timeout_seconds", "facilities"}
        options = {key: value for key, value in table.items() if key not in common}
        config = replace(source(Path("/etc/nhipso"), facilities=table.get("facilities")), options=options)
        reader = adapter(replace(config, measures=tuple(table.get("measures", ())) or None), CATALOGUE)
        assert reader.identity == "his.bhyt_xml /srv/bhyt/xml"
        assert "/srv/bhyt/xml" in reader.explain("visits")
        assert ("/srv/bhyt/xml/da-tiep-nhan" in reader.explain("claims")) == ("folders" in table)

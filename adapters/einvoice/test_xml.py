"""Kind `einvoice.xml` over real files: each folder of `cases/` is a scenario, its files arriving in order of names.

`expected.json`: `counts` (facility → day → state → count), `problems` (file → part of the sentence that names it),
`facilities` (the source's own table), `about`.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import BinaryIO

import pytest

from adapters.einvoice.xml import adapter
from adapters.folder import Folder
from contract import catalogue
from contract.adapter import Adapter, Entry, FileSeen, Reading, SourceConfig
from contract.days import DayRange
from contract.errors import ConfigError, SourceDeniedError, SourceUnavailableError

HERE = Path(__file__).parent
CASES = sorted(path.name for path in (HERE / "cases").iterdir())
DAYS = DayRange(date(2025, 11, 1), date(2025, 11, 30))
SOME_TIME_AGO = 1_764_000_000 * 10**9  # 24/11/2025 23:00
MINUTE = 60 * 10**9
Counts = dict[str, dict[str, dict[str, int]]]


class Index:
    """The agent's index, small: what each file says, resolved as Entry's docstring asks."""

    def __init__(self) -> None:
        self.seen: dict[bytes, FileSeen] = {}
        self.last: list[FileSeen] = []

    def hide(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=b"test", digest_size=16).digest()

    def files(self) -> Mapping[bytes, str]:
        return {path: file.identity for path, file in self.seen.items()}

    def take(self, readings: Iterator[Reading]) -> list[FileSeen]:
        """Record a read; the files that it opened."""
        self.last = []
        for reading in readings:
            self.last += reading.files
            for file in reading.files:
                before = self.seen.get(file.path)
                stands = before.entries if before and file.entries is None else file.entries
                self.seen[file.path] = file._replace(entries=stands)
            for path in reading.gone:
                del self.seen[path]
        return self.last

    @property
    def counts(self) -> Counts:
        cases: dict[tuple[str, bytes], list[Entry]] = defaultdict(list)
        for file in self.seen.values():
            for entry in file.entries or ():
                cases[entry.measure, entry.case].append(entry)
        counts: Counts = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
        for entries in cases.values():
            dated = [entry for entry in entries if entry.day]
            category = max(entries, key=lambda entry: entry.rank).category
            if dated and category:
                placed = max(dated, key=lambda entry: entry.rank)
                counts[str(placed.facility)][str(placed.day)][category] += 1
        plain: Counts = json.loads(json.dumps(counts))
        return plain

    @property
    def problems(self) -> list[str]:
        return [file.problem for file in self.seen.values() if file.problem]


def source(folder: Path, facilities: Mapping[str, str] | None = None) -> SourceConfig:
    return SourceConfig(
        name="invoices",
        kind="einvoice.xml",
        facilities=tuple(dict.fromkeys((facilities or {"": "12001"}).values())),
        facility_map=facilities or {},
        measures=None,
        timeout_seconds=60,
        options={"folder": str(folder)},
        directory=folder.parent,
    )


def opened(folder: Path, facilities: Mapping[str, str] | None = None) -> Adapter:
    return adapter(source(folder, facilities), catalogue.load())


def poll(reader: Adapter, index: Index) -> list[FileSeen]:
    return index.take(reader.read(DAYS, ("invoices",), index))


def put(path: Path, content: bytes | Path, age_ns: int = SOME_TIME_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
    os.utime(path, ns=(age_ns, age_ns))
    return path


def case_file(name: str) -> Path:
    return HERE / "cases" / name


GOOD = case_file("many_in_a_file/1_one_message.xml")
GOOD_COUNTS = {"12001": {"2025-11-03": {"valid": 2}, "2025-11-04": {"adjusting": 1}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Holds one good file of three invoices."""
    put(tmp_path / "in" / "1.xml", GOOD)
    return tmp_path / "in"


@pytest.mark.parametrize("case", CASES)
def test_files_that_arrive_one_by_one_are_counted_as_expected(case: str, tmp_path: Path) -> None:
    expected = json.loads((HERE / "cases" / case / "expected.json").read_text("utf-8"))
    reader, index = opened(tmp_path / "in", expected.get("facilities")), Index()
    problems: dict[str, str | None] = {}
    arriving = sorted(path for path in (HERE / "cases" / case).iterdir() if path.name != "expected.json")
    for order, path in enumerate(arriving):
        put(tmp_path / "in" / path.name, path, SOME_TIME_AGO + order * MINUTE)
        [file] = poll(reader, index)
        problems[path.name] = file.problem
    assert index.counts == expected["counts"]
    assert {name for name, problem in problems.items() if problem} == set(expected["problems"])
    assert all(part in str(problems[name]) for name, part in expected["problems"].items())


@pytest.mark.parametrize("case", CASES)
def test_files_that_arrive_all_at_once_are_counted_the_same_and_no_personal_data_comes_out(
    case: str, tmp_path: Path
) -> None:
    expected = json.loads((HERE / "cases" / case / "expected.json").read_text("utf-8"))
    for order, path in enumerate(sorted((HERE / "cases" / case).glob("*.[xX]*"))):
        put(tmp_path / "in" / f"MARK-FILE {path.name}", path, SOME_TIME_AGO + order * MINUTE)
    reader, index = opened(tmp_path / "in", expected.get("facilities")), Index()
    files = poll(reader, index)
    assert index.counts == expected["counts"]
    assert "MARK" not in repr(files) + reader.explain("invoices")
    assert "079099123456" not in repr(files)


def test_a_second_read_opens_nothing(folder: Path) -> None:
    reader, index = opened(folder), Index()
    poll(reader, index)
    # Only opening it could tell that the content is another: size and time are the same.
    put(folder / "1.xml", b" " * GOOD.stat().st_size)
    assert poll(reader, index) == []
    assert index.counts == GOOD_COUNTS


def test_a_changed_file_replaces_what_it_said_before(folder: Path) -> None:
    reader, index = opened(folder), Index()
    poll(reader, index)
    put(folder / "1.xml", case_file("leading_zeros/1.xml"), SOME_TIME_AGO + MINUTE)
    assert len(poll(reader, index)) == 1
    assert index.counts == {"12001": {"2025-11-03": {"valid": 1}}}


def test_a_removed_file_is_gone_and_a_moved_one_counts_once(folder: Path) -> None:
    put(folder / "2.xml", case_file("code_inside_ttchung/1.xml"))
    put(folder / "3.xml", b"no XML")
    reader, index = opened(folder), Index()
    poll(reader, index)
    (folder / "3.xml").unlink()
    (folder / "2025").mkdir()
    (folder / "1.xml").rename(folder / "2025" / "1.xml")
    poll(reader, index)
    assert (index.counts, index.problems, len(index.seen)) == (GOOD_COUNTS, [], 2)


def test_many_files_come_in_steps_of_at_most_500(tmp_path: Path) -> None:
    for number in range(1201):
        put(tmp_path / "in" / str(number % 7) / f"{number}.xml", b"<x/>")
    reader, index = opened(tmp_path / "in"), Index()
    steps = list(reader.read(DAYS, ("invoices",), index))
    assert [len(step.files) for step in steps] == [500, 500, 201]
    index.take(iter(steps))
    shutil.rmtree(tmp_path / "in" / "3")
    assert (poll(reader, index), len(index.seen)) == ([], 1201 - 172)


def test_a_file_touched_this_very_second_waits_for_the_next_poll(folder: Path) -> None:
    put(folder / "2.xml", GOOD, time.time_ns())
    reader, index = opened(folder), Index()
    assert len(poll(reader, index)) == 1
    put(folder / "2.xml", GOOD, SOME_TIME_AGO)
    assert len(poll(reader, index)) == 1


def test_a_file_from_a_clock_two_years_ahead_is_read(folder: Path) -> None:
    put(folder / "1.xml", GOOD, time.time_ns() + 2 * 365 * 24 * 60 * MINUTE)
    index = Index()
    poll(opened(folder), index)
    assert index.counts == GOOD_COUNTS


def test_a_file_that_changes_or_vanishes_while_it_is_read_is_left_for_the_next_poll(folder: Path) -> None:
    put(folder / "2.xml", GOOD)
    index = Index()

    def read_file(stream: BinaryIO, mtime_ns: int) -> tuple[list[Entry], str | None]:
        path = Path(stream.name)
        path.write_bytes(path.read_bytes() + b" ")
        (folder / ("2.xml" if path.name == "1.xml" else "1.xml")).unlink()
        return [], path.name

    files = index.take(Folder(folder, "*.xml").read(index, read_file))
    assert files == []
    assert len(list(folder.iterdir())) == 1


def test_a_slip_of_ours_on_one_file_costs_that_file_only_and_quotes_nothing(folder: Path) -> None:
    put(folder / "2.xml", GOOD)
    index = Index()

    def read_file(stream: BinaryIO, mtime_ns: int) -> tuple[list[Entry], str | None]:
        if stream.name.endswith("1.xml"):
            raise KeyError("MARK-NAME")
        return [], None

    files = index.take(Folder(folder, "*.xml").read(index, read_file))
    assert len(files) == 2
    assert ["KeyError" in problem and "MARK" not in problem for problem in index.problems] == [True]


def test_a_problem_names_size_and_time_of_the_file_and_not_its_name(folder: Path) -> None:
    put(folder / "Nguyễn Văn A.xml", b"x" * 12_345, 1_764_000_000 * 10**9)
    index = Index()
    poll(opened(folder), index)
    [problem] = index.problems
    assert problem.endswith("(tệp 12.345 byte, sửa lúc 24/11/2025 23:00)")
    assert "Nguyễn" not in problem


def test_names_that_are_not_utf8_links_that_loop_pipes_and_other_files_do_no_harm(folder: Path) -> None:
    put(Path(os.fsdecode(os.fsencode(folder) + b"/\xb8\xb5.XmL")), GOOD)
    put(folder / "list.csv", b"1")
    put(folder / "._1.xml", b"left by a Mac")
    (folder / "again").symlink_to(folder, target_is_directory=True)
    (folder / "self.xml").symlink_to(folder / "self.xml")
    (folder / "nowhere.xml").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.xml")
    index = Index()
    assert len(poll(opened(folder), index)) == 2
    assert (index.counts, index.problems) == (GOOD_COUNTS, [])


def test_deep_nesting_and_a_large_file_that_is_something_else_are_named(folder: Path) -> None:
    put(folder / "2.xml", b"<a>" * 10**6 + b"</a>" * 10**6)
    put(folder / "3.xml", b"<a>" + b"<b/>" * 1_100_000 + b"</a>")
    put(folder / "4.xml", b"<HDon>" + b" " * 11_000_000 + b"</HDon>")
    index = Index()
    poll(opened(folder), index)
    assert index.counts == GOOD_COUNTS
    assert len(index.problems) == 3


def test_a_file_longer_than_a_chunk_is_read_whole_in_any_encoding(tmp_path: Path) -> None:
    one = case_file("leading_zeros/1.xml").read_text("utf-8").removeprefix('<?xml version="1.0" encoding="UTF-8"?>')
    many = "<DLieu>" + "".join(one.replace("00000012", str(n)) for n in range(1, 1501)) + "</DLieu>"
    broken = many.encode().replace("Nguyễn".encode(), b"Nguy\xd4n")
    for name, content in {"utf8": many.encode(), "utf16": many.encode("utf-16"), "tcvn3": broken}.items():
        folder = put(tmp_path / name / "1.xml", content).parent
        index = Index()
        poll(opened(folder), index)
        assert (index.counts, index.problems) == ({"12001": {"2025-11-03": {"valid": 1500}}}, [])


def test_a_long_file_cut_short_says_nothing_but_that_it_is_broken(folder: Path) -> None:
    one = case_file("leading_zeros/1.xml").read_bytes().split(b"?>", 1)[1]
    put(folder / "2.xml", b"<DLieu>" + one * 1500)
    reader, index = opened(folder), Index()
    assert [(file.entries, bool(file.problem)) for file in poll(reader, index) if file.problem] == [(None, True)]
    assert index.counts == GOOD_COUNTS


@pytest.mark.parametrize("filler", [b" " * 70_000, b"<!--" + b"x" * 70_000 + b"-->", b"<?x " + b"x" * 70_000 + b"?>"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_doctype_is_refused_however_late_it_comes(folder: Path, filler: bytes, encoding: str) -> None:
    # Nothing is wrong with this DOCTYPE: only looking for one can refuse it.
    document = filler.decode() + '<!DOCTYPE a [<!ENTITY e "x">]><a><HDon/></a>'
    for number, begun in enumerate((document, document[len(filler) :], document[len(filler) // 2 :])):
        put(folder / f"{number}.xml", begun.encode(encoding))
    index = Index()
    poll(opened(folder), index)
    assert ["DOCTYPE" in problem or "không phải là XML" in problem for problem in index.problems] == [True] * 3
    assert index.counts == {}


def test_a_folder_that_is_missing_or_suddenly_empty_is_unavailable_and_nothing_is_lost(folder: Path) -> None:
    reader, index = opened(folder), Index()
    poll(reader, index)
    (folder / "1.xml").unlink()
    with pytest.raises(SourceUnavailableError, match="không còn tệp nào"):
        poll(reader, index)
    folder.rmdir()
    for asked in (reader.probe, lambda: poll(reader, index)):
        with pytest.raises(SourceUnavailableError, match="không thấy thư mục"):
            asked()
    assert index.counts == GOOD_COUNTS
    put(folder, b"a file")
    with pytest.raises(SourceUnavailableError, match="không phải là thư mục"):
        reader.probe()


def test_an_empty_folder_that_never_held_a_file_reads_as_nothing(tmp_path: Path) -> None:
    index = Index()
    assert poll(opened(tmp_path), index) == []


@pytest.fixture
def closed() -> Iterator[Path]:
    """A folder with a good file, a file and a subfolder that an ordinary account may not open."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to other accounts
        folder = Path(name)
        put(folder / "1.xml", GOOD)
        put(folder / "2.xml", case_file("newer_copy_counts/1.xml")).chmod(0)
        put(folder / "sub" / "3.xml", case_file("newer_copy_counts/1.xml")).parent.chmod(0)
        folder.chmod(0o755)
        yield folder
        (folder / "sub").chmod(0o755)


@contextmanager
def without_root() -> Iterator[None]:
    """Root may open everything, so the rights of an ordinary account are taken on."""
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(os.getuid())


def test_what_may_not_be_opened_is_named_tried_again_and_stops_nothing_else(closed: Path) -> None:
    reader, index = opened(closed), Index()
    with without_root():
        assert len(poll(reader, index)) == 3
        assert poll(reader, index) == []
    assert index.counts == GOOD_COUNTS
    assert sorted(problem[:15] for problem in index.problems) == ["một thư mục con", "một tệp không m"]
    (closed / "2.xml").chmod(0o644)
    (closed / "sub").chmod(0o755)
    assert len(poll(reader, index)) == 2
    assert (index.problems, len(index.seen)) == ([], 3)


def test_what_was_read_before_goes_on_counting_when_it_no_longer_opens(closed: Path) -> None:
    (closed / "sub").chmod(0o755)
    (closed / "2.xml").chmod(0o644)
    reader, index = opened(closed), Index()
    poll(reader, index)
    before = index.counts
    put(closed / "2.xml", GOOD, SOME_TIME_AGO + MINUTE).chmod(0)
    (closed / "sub").chmod(0)
    with without_root():
        poll(reader, index)
    assert index.counts == before
    assert len(index.problems) == 2


def test_a_folder_that_may_not_be_listed_is_denied(closed: Path) -> None:
    for asked in (opened(closed / "sub").probe, lambda: poll(opened(closed / "sub"), Index())):
        with without_root(), pytest.raises(SourceDeniedError):
            asked()


def test_every_mistake_of_the_table_is_named_at_once(tmp_path: Path) -> None:
    config = SourceConfig(
        "hd", "einvoice.xml", ("1", "2"), {}, ("invoices", "payments"), 60, {"folders": "x", "pattern": 3}, tmp_path
    )
    with pytest.raises(ConfigError) as caught:
        adapter(config, catalogue.load())
    assert len(caught.value.problems) == 5
    assert all(problem.startswith("[sources.hd]: ") for problem in caught.value.problems)
    named = ("folder: thiếu", "folders: không có khóa", "pattern: phải là", "“payments”", "[sources.hd.facilities]")
    assert all(any(part in problem for problem in caught.value.problems) for part in named)


def test_the_sample_is_a_source_that_works_as_it_stands_and_with_all_its_options(tmp_path: Path) -> None:
    text = (HERE / "sample.toml").read_text("utf-8")
    for content in (text, re.sub(r'^# (?=\w+ = |\[|")', "", text, flags=re.MULTILINE)):
        table = tomllib.loads(content)["sources"]["invoices"]
        common = {"kind", "measures", "timeout_seconds", "facilities"}
        options = {key: value for key, value in table.items() if key not in common}
        config = replace(source(tmp_path, table.get("facilities")), options=options, measures=table.get("measures"))
        reader = adapter(config, catalogue.load())
        assert reader.identity == "einvoice.xml /srv/hoadon/xml"
        assert "/srv/hoadon/xml" in reader.explain("invoices")


def test_only_the_pattern_asked_for_is_read_and_the_folder_may_be_relative(folder: Path) -> None:
    put(folder / "HD_2.XML", case_file("newer_copy_counts/1.xml"))
    config = replace(source(folder), options={"folder": "in", "pattern": "hd_*.xml"})
    index = Index()
    poll(adapter(config, catalogue.load()), index)
    assert index.counts == {"12001": {"2025-11-03": {"valid": 1}}}


def test_another_measure_reads_nothing(folder: Path) -> None:
    assert list(opened(folder).read(DAYS, ("payments",), Index())) == []

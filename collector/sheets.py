"""Sheets that people of a facility without an agent upload: read, looked at, then stored by the rules of any push.

The source belongs to no agent. It is expected once a month: whoever counts by hand does not send every day.
"""

import hashlib
import io
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Literal

from collector import ingest, windows
from collector.feeds import line
from collector.store import Connection, Store, as_text, people, registry, tallies, uploads
from collector.store.registry import Facility
from collector.store.tallies import Row, Source
from collector.store.uploads import Told, Upload
from collector.yardstick import applies
from contract.catalogue import Cadence, Catalogue
from contract.days import local_day
from contract.errors import (
    BadRequestError,
    BusyError,
    ConflictError,
    NotFoundError,
    SourceChangedError,
    TooLargeError,
)
from contract.sheets import reading, table
from contract.sheets.table import Findings, Key, Place
from contract.tally import Refusal, SourceReport

SOURCE = "sheets"
"""The name of the source at every facility."""
KIND = "sheet.upload"
CADENCE: Cadence = "monthly"
"""How often figures are expected; a measure of a longer cadence keeps its own."""
PERIOD = timedelta(days=31)
"""How long after an upload nothing more is expected."""
LARGEST_BYTES = 5 * 1024 * 1024
KEPT = timedelta(days=1)
"""How long an upload may wait to be accepted."""
_LARGEST_UNPACKED = 40 * 1024 * 1024
_LONGEST_WAIT = 20.0
_MOST_TOLD = 20_000
_MOST_REMARKS = 500
# Reading takes a processor for seconds: whoever sends many at once must not take them all.
_readers = threading.BoundedSemaphore(2)

State = Literal["new", "changed", "removed", "same"]


@dataclass(frozen=True, slots=True)
class Change:
    """What accepting does to a tally. `first` to `day` or beyond it, `last`: the days it speaks of.

    `before` None: there is none. `refused`: why it would not be taken.
    """

    measure: str
    first: date
    last: date
    day: date
    before: Mapping[str, int] | None
    after: Mapping[str, int]
    revision: int
    refused: str | None = None

    @property
    def state(self) -> State:
        """In a word."""
        if self.before is None:
            return "new"
        if self.before == self.after:
            return "same"
        return "changed" if self.after else "removed"


@dataclass(frozen=True, slots=True)
class Preview:
    """What accepting an upload would do now; `digest` names it."""

    upload: Upload
    changes: tuple[Change, ...]

    @property
    def digest(self) -> str:
        """Moves with everything that a person is shown."""
        said = [[one.measure, str(one.day), one.before, one.after, one.refused] for one in self.changes]
        return hashlib.sha256(as_text(said).encode()).hexdigest()

    @property
    def taken(self) -> tuple[Change, ...]:
        """Those that would be stored, or are the same already."""
        return tuple(one for one in self.changes if one.refused is None)

    @property
    def result(self) -> dict[str, int]:
        """How many tallies are new, changed, removed, the same, refused."""
        return dict(Counter("refused" if one.refused is not None else one.state for one in self.changes))


def measures(catalogue: Catalogue, facility: Facility) -> list[str]:
    """The measures that a facility may upload: those of indicators that apply to it, and those without indicators."""
    found = []
    for code in catalogue.measures:
        made = list(catalogue.indicators_of(code))
        if not made or any(applies(indicator, name, facility) for name, indicator in made):
            found.append(code)
    return found


def counted_elsewhere(connection: Connection, facility: str, today: date) -> dict[str, str]:
    """Measure → the source that counts it today, where that is not the people's own sheet."""
    owners: dict[str, Source] = {}
    for one in tallies.claims(connection, tallies.sources(connection, [facility])):
        if one.source.role == "count" and one.source.part is None and one.covers(today):
            owners.setdefault(one.measure, one.source)
    return {measure: source.name for measure, source in owners.items() if source.kind != KIND}


def cadences(catalogue: Catalogue, codes: Sequence[str]) -> dict[str, Cadence]:
    """How often each measure is expected of an upload."""
    longest = windows.CADENCES.index
    return {code: max(CADENCE, catalogue.measures[code].cadence, key=longest) for code in codes}


def read(
    facility: Facility, codes: Sequence[str], content: bytes, catalogue: Catalogue, person: str, moment: datetime
) -> Upload:
    """What a sheet says, not yet kept. `codes`: of the facility, for its sheets may name it so.

    Takes seconds where the sheet is large. Raises BadRequestError (no such sheet), TooLargeError, BusyError.
    """
    if len(content) > LARGEST_BYTES:
        raise TooLargeError(f"tệp lớn hơn {LARGEST_BYTES // 1024**2} MB: chia thành nhiều tệp, hoặc bỏ ảnh, trang thừa")
    today, allowed = local_day(moment), cadences(catalogue, measures(catalogue, facility))
    names = dict.fromkeys((facility.id, facility.name, *codes), facility.id)
    if not _readers.acquire(timeout=_LONGEST_WAIT):
        raise BusyError("máy chủ đang đọc nhiều bảng tính: hãy đợi một phút rồi gửi lại")
    try:
        words = reading.words(catalogue, allowed, names, facility.id, today)
        findings = reading.read(io.BytesIO(content), words, _LARGEST_UNPACKED)
    except SourceChangedError as error:
        raise BadRequestError(str(error)) from None
    finally:
        _readers.release()
    contradictory = _contradictory(findings)
    told = [
        Told(key.measure, key.period.first, key.period.last, key.period.counted_on(today), _counted(counts))
        for key, counts in findings.counts.items()
        if key not in findings.spoiled | contradictory
    ]
    if len(told) > _MOST_TOLD:
        raise TooLargeError(f"tệp có hơn {_MOST_TOLD} ngày và số đếm: chia thành nhiều tệp")
    order = list(allowed)
    told.sort(key=lambda one: (order.index(one.measure), one.first, one.last))
    remarks = tuple(_remarks(findings, contradictory))
    return Upload(0, facility.id, person, moment, findings.lines, tuple(told), remarks)


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return {code: count for code, count in counts.items() if count}


def _contradictory(findings: Findings) -> set[Key]:
    """Whole periods of which the same sheet also has single days."""
    of: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key in findings.counts:
        of[key.measure, key.facility].append(key)
    return {
        one
        for keys in of.values()
        for whole in keys
        if whole.period.unit != "day"
        for other in keys
        if other != whole and whole.period.first <= other.period.last and other.period.first <= whole.period.last
        for one in (whole, other)
    }


def _remarks(findings: Findings, contradictory: set[Key]) -> Iterator[uploads.Remark]:
    """What is to be said of the sheet, in the order of its lines."""
    found: list[tuple[Place, uploads.Remark]] = []

    def say(remark: table.Remark, places: Sequence[Place]) -> None:
        by_sheet: dict[str, list[int]] = defaultdict(list)
        for place in places:
            by_sheet[place.sheet].append(place.line)
        for sheet, lines in by_sheet.items():
            column = "" if remark.column is None else table.letters(remark.column)
            shown = ", ".join(table.spans(sorted(lines)))
            said = uploads.Remark(sheet, shown, column, remark.wrong, remark.mend, remark.is_left_out)
            found.append((Place(sheet, min(lines)), said))

    for remark, places in findings.remarks.items():
        say(remark, places)
    repeated = [place for places in findings.repeated.values() for place in places]
    if repeated:
        say(_REPEATED, repeated)
    spoiled = [findings.places[key] for key in findings.spoiled if key in findings.places]
    if spoiled:
        say(_SPOILED, spoiled)
    if contradictory:
        say(_CONTRADICTORY, [findings.places[key] for key in contradictory])
    found.sort(key=lambda one: one[0])
    yield from (said for _, said in found[:_MOST_REMARKS])
    if len(found) > _MOST_REMARKS:
        more = f"còn {len(found) - _MOST_REMARKS} chỗ khác không nêu hết ở đây"
        yield uploads.Remark("", "…", "", more, "sửa những chỗ trên rồi gửi lại tệp để xem tiếp", False)


_REPEATED = table.Remark(
    "cùng một ngày, một số đếm được ghi ở nhiều dòng, đã cộng lại", "nếu là dòng ghi lặp thì xóa bớt"
)
_SPOILED = table.Remark(
    "ngày này còn dòng khác bị sai nên cả ngày chưa được nhận", "sửa dòng sai rồi gửi lại tệp", is_left_out=True
)
_CONTRADICTORY = table.Remark(
    "vừa ghi cả kỳ vừa ghi ngày lẻ trong kỳ đó nên không biết lấy số nào",
    "giữ một cách ghi: cả kỳ, hoặc từng ngày",
    is_left_out=True,
)


def look(connection: Connection, facility: str, upload_id: int, catalogue: Catalogue, moment: datetime) -> Preview:
    """What accepting would do now, found by doing it and taking it back; `connection` must be one that may write.

    Raises NotFoundError: no such upload here, or it has waited too long.
    """
    # all that the ingest will lock, in its order
    registry.lock(connection, line(registry.mergers(connection), facility))
    found = uploads.get(connection, upload_id)
    if found is None or found.facility != facility:
        raise NotFoundError("không có bảng tính này; bảng tính chưa nhận chỉ được giữ 24 giờ")
    if found.accepted_at is not None:
        return Preview(found, ())
    if moment >= found.at + KEPT:
        raise NotFoundError("bảng tính này chờ đã quá 24 giờ: hãy gửi lại tệp")
    source = _source(connection, facility)
    changes = tuple(_changes(connection, source, found))
    with connection.begin_nested() as trial:
        verdicts = ingest.take_upload(
            connection, facility, _report(connection, source, facility, changes, moment),
            [_raw(facility, one) for one in changes], catalogue, moment,
        )  # fmt: skip
        trial.rollback()
    # nothing is stale: the facility has been locked since the stored revisions were read
    refused = {one.index: one.reason for one in verdicts if isinstance(one, Refusal)}
    return Preview(found, tuple(replace(one, refused=refused.get(place)) for place, one in enumerate(changes)))


def accept(
    connection: Connection,
    facility: str,
    upload_id: int,
    digest: str,
    catalogue: Catalogue,
    person: str,
    moment: datetime,
) -> None:
    """Store what a person was shown as `digest`; a second time nothing happens.

    Raises NotFoundError; ConflictError when it would do something else by now, or nothing at all.
    """
    preview = look(connection, facility, upload_id, catalogue, moment)
    if preview.upload.accepted_at is not None:
        return
    if preview.digest != digest:
        raise ConflictError("số liệu đã thay đổi từ lúc xem trước; hãy xem lại rồi nhận")
    if not preview.taken:
        raise ConflictError("bảng tính này không có số liệu nào nhận được")
    stored = [one for one in preview.taken if one.state != "same"]
    source = _source(connection, facility)
    report = _report(connection, source, facility, preview.taken, moment)
    verdicts = ingest.take_upload(
        connection, facility, report, [_raw(facility, one) for one in stored], catalogue, moment
    )
    assert not verdicts, "refused what was taken a moment before"
    uploads.accept(connection, upload_id, person, moment, preview.result)
    after = {"upload": upload_id, **preview.result}
    people.note(connection, moment, person, "sheet_accepted", SOURCE, facility=facility, after=after)


def forget(store: Store, moment: datetime) -> None:
    """Drop what nobody has accepted in time."""
    with store.write() as connection:
        uploads.forget(connection, moment - KEPT)


def _source(connection: Connection, facility: str) -> Source | None:
    return next((one for one in tallies.sources(connection, [facility]) if one.name == SOURCE), None)


def _changes(connection: Connection, source: Source | None, upload: Upload) -> Iterator[Change]:
    """What is told, and what the source said of the same days otherwise: a month whole takes the place of its days."""
    codes = sorted({one.measure for one in upload.told})
    stored: dict[tuple[str, date], Row] = {}
    if source is not None and upload.told:
        first, last = min(one.first for one in upload.told), max(one.last for one in upload.told)
        # the total of a running period stands on the day of its upload, within the period
        span = windows.period("yearly", first).first, windows.period("yearly", last).last
        stored = {(row.measure, row.day): row for row in tallies.between(connection, [source], *span, codes)}
    told = {(one.measure, one.day): one for one in upload.told}
    for key, one in told.items():
        row = stored.get(key)
        before = None if row is None else row.by_category
        yield Change(*one[:4], before, one.counts, 1 if row is None else row.revision + 1)
    others = {key: row for key, row in stored.items() if key not in told and row.by_category}
    for key, (first, last) in _spans(connection, upload.facility, others).items():
        if any(one.measure == key[0] and first <= one.last and one.first <= last for one in upload.told):
            row = others[key]
            yield Change(key[0], first, last, key[1], row.by_category, {}, row.revision + 1)


def _spans(
    connection: Connection, facility: str, keys: Mapping[tuple[str, date], Row]
) -> dict[tuple[str, date], tuple[date, date]]:
    """The days of which stored tallies speak: what the last upload of each said, or the day itself."""
    spans: dict[tuple[str, date], tuple[date, date]] = {}
    if keys:
        for told in uploads.told(connection, facility):
            for one in told:
                spans.setdefault((one.measure, one.day), (one.first, one.last))
            if keys.keys() <= spans.keys():
                break
    return {key: spans.get(key, (key[1], key[1])) for key in keys}


def _raw(facility: str, one: Change) -> dict[str, Any]:
    """As it would travel."""
    return {
        "facility": facility,
        "source": SOURCE,
        "measure": one.measure,
        "day": str(one.day),
        "revision": one.revision,
        "counts": dict(one.after),
    }


def _report(
    connection: Connection, source: Source | None, facility: str, changes: Sequence[Change], moment: datetime
) -> SourceReport:
    """What an agent would say of the source: it goes on counting what it has counted, and was read just now."""
    claimed = (
        [] if source is None else [one.measure for one in tallies.claims(connection, [source]) if not one.last_day]
    )
    days = [one.day for one in changes if one.after]
    days += [source.newest_day] if source is not None and source.newest_day else []
    return SourceReport(
        name=SOURCE,
        kind=KIND,
        cadence=CADENCE,
        facilities=[facility],
        measures=sorted({*claimed, *(one.measure for one in changes)}),
        ok=True,
        read_at=moment,
        newest_day={facility: max(days)} if days else {},
    )

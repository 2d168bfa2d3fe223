"""Kind `emr.fhir`: a FHIR R4 or R4B server, searched by date.

Encounter → `visits`; Composition and DocumentReference → `record_documents`. What counts how: indicators.md,
"Definitions by source". Formats: https://hl7.org/fhir/R4 (http.html, search.html, encounter.html, composition.html,
documentreference.html, operationoutcome.html); R4B has the same elements. Only the elements that are counted by are
asked for (`_elements`), never a name; what a server sends beyond them is not looked at.
"""

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import Field

from adapters.http import Answer, Connection, Http, basic, bearer, checked, parsed, secret, status_error
from adapters.options import options_of
from contract.adapter import Adapter, DayCount, Memory, Reading, SourceConfig, Unmapped
from contract.catalogue import UNKNOWN, Catalogue
from contract.days import DayRange, local_day, midnight, now
from contract.errors import (
    ConfigError,
    SourceChangedError,
    SourceDeniedError,
    SourceError,
    SourceUnavailableError,
)

# What is asked of each type. The first of a measure must be there; a server need not keep the others.
_TYPES = {
    "visits": {"Encounter": "status,class,period,serviceProvider"},
    "record_documents": {
        "Composition": "status,date,attester,custodian",
        "DocumentReference": "status,docStatus,date,authenticator,custodian,content,context",
    },
}
_CLASSES = {
    "AMB": "outpatient",
    "EMER": "emergency",
    "IMP": "inpatient",
    "ACUTE": "inpatient",
    "NONACUTE": "inpatient",
    "SS": "day_treatment",
}
_NO_VISIT = {"entered-in-error", "cancelled", "planned"}
_NO_DOCUMENT = {"entered-in-error", "superseded"}
# IHE XDS-SD: a paper document that was scanned into a PDF.
_SCANNED_FORMAT = "urn:ihe:iti:xds-sd:pdf:2008"
# OperationOutcome.issue.code (value set issue-type): who acts next.
_DENIED = {"security", "login", "unknown", "expired", "forbidden", "suppressed"}
_AWAY = {"transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled"}
_ABSENT = {"not-supported", "not-found"}
_MOST_PAGES = 2_000


class Options(Connection):
    """The keys of the source beyond the common ones."""

    username: str | None = None
    password_file: str | None = None
    token_file: str | None = None
    page_size: int = Field(default=200, ge=1, le=1000)


class _Case(NamedTuple):
    """A visit or a document. `raw`: why it is unknown; `composition`: the one that a DocumentReference points to."""

    day: date
    category: str
    raw: str = ""
    organisation: str = ""
    composition: str = ""


class _AbsentError(SourceChangedError):
    """The server does not keep this type of resource."""


def adapter(config: SourceConfig, catalogue: Catalogue) -> Adapter:
    """Read the server that `config` names. Raises ConfigError with every problem of its table."""
    problems = list(_contradictions(config, catalogue))
    try:
        options = options_of(config, Options)
    except ConfigError as error:
        raise ConfigError([*error.problems, *problems]) from None
    password = secret(config, "password_file", options.password_file, problems)
    token = secret(config, "token_file", options.token_file, problems)
    if bool(options.username) != bool(options.password_file):
        problems.append(f"{config.place}: username và password_file phải đi với nhau")
    if options.username and options.token_file:
        problems.append(f"{config.place}: chọn một trong hai: username với password_file, hoặc token_file")
    if problems:
        raise ConfigError(problems)
    authorization = basic(options.username, password) if options.username else bearer(token) if token else ""
    return FhirServer(config, options, Http(config, options, authorization))


def _contradictions(config: SourceConfig, catalogue: Catalogue) -> Iterator[str]:
    offered = ", ".join(_TYPES)
    for measure in config.measures or _TYPES:
        if measure not in _TYPES:
            yield f"{config.place}: measures: {config.kind} không đếm “{measure}”, chỉ đếm: {offered}"
        elif measure not in catalogue.measures:
            yield f"{config.place}: danh mục số đếm đang dùng không có “{measure}”"
    if not config.facility_map and len(config.facilities) != 1:
        yield (
            f"{config.place}: agent phục vụ nhiều cơ sở: cần bảng [sources.{config.name}.facilities], "
            'mỗi dòng: "Organization/…" = mã cơ sở'
        )


class FhirServer:
    """Counts what a FHIR server answers to a search by date. Where it is silent, nothing happened."""

    def __init__(self, config: SourceConfig, options: Options, http: Http) -> None:
        self._config = config
        self._http = http
        self._page_size = options.page_size
        self._facilities = {_plain(value): facility for value, facility in config.facility_map.items()}

    @property
    def measures(self) -> tuple[str, ...]:
        """Visits and documents, or what of them is asked for."""
        return tuple(measure for measure in _TYPES if self._config.measures is None or measure in self._config.measures)

    @property
    def identity(self) -> str:
        """Kind and address."""
        return f"{self._config.kind} {self._http.where}"

    @property
    def silence_is_zero(self) -> bool:
        """A search by date says nothing where nothing happened."""
        return True

    def explain(self, measure: str) -> str:
        """Searches, states and facility, in Vietnamese."""
        if measure not in self.measures:
            return f"Nguồn {self._config.place} không đếm “{measure}”."
        searches = "\n".join(
            f"  GET {self._http.where}/{kind}?date=ge2026-11-20T00:00:00+07:00&date=lt2026-11-21T00:00:00+07:00"
            f"&_elements={elements}&_count={self._page_size}"
            for kind, elements in _TYPES[measure].items()
        )
        pairs = "; ".join(f"{value} → {facility}" for value, facility in self._config.facility_map.items())
        facility = f"theo {'serviceProvider' if measure == 'visits' else 'custodian'}: {pairs}; giá trị khác không tính"
        alone = f"mọi trường hợp thuộc cơ sở {self._config.serves[0]}"
        return f"{_EXPLANATIONS[measure]}\nCơ sở: {facility if pairs else alone}.\nVí dụ ngày 20/11/2026:\n{searches}"

    def probe(self) -> None:
        """Ask for the number of today's resources of each type, for none of them itself. Raises SourceError."""
        today = DayRange.ending(now().date(), 1)
        with self._http.open():
            for measure in self.measures:
                for _ in self._cases(measure, today, {}, count_only=True):
                    pass

    def read(self, days: DayRange, measures: tuple[str, ...], memory: Memory) -> Iterator[Reading]:
        """A step for each measure, and an empty one after each page; a measure that fails is named in `failed`.

        Raises SourceError when every measure failed.
        """
        failed: dict[str, SourceError] = {}
        for measure in measures:
            started, cases = time.monotonic(), dict[str, _Case]()
            try:
                with self._http.open():
                    for _ in self._cases(measure, days, cases):
                        yield Reading()
                reading = self._reading(measure, days, cases)
            except SourceError as error:
                failed[measure] = error
                reading = Reading(failed={measure: error})
            reading.seconds[measure] = time.monotonic() - started
            yield reading
        if failed.keys() >= set(measures):
            raise next(iter(failed.values()))

    def _cases(self, measure: str, days: DayRange, cases: dict[str, _Case], count_only: bool = False) -> Iterator[None]:
        """Fill `cases` (type/id → case) from all pages of all types of `measure`; gives a pause after each page."""
        absent: list[_AbsentError] = []
        for kind, elements in _TYPES[measure].items():
            wanted = [("_elements", elements), ("_count", str(self._page_size))]
            asked = [*_window(days), *([("_summary", "count")] if count_only else wanted)]
            try:
                for resources in self._pages(kind, asked):
                    for resource in resources:
                        # A page may repeat what the one before held, when something is stored in between.
                        if case := _case(kind, resource, self._http.where):
                            cases[f"{kind}/{_text(resource, 'id') or len(cases)}"] = case
                    yield
            except _AbsentError as error:
                absent.append(error)
        if len(absent) == len(_TYPES[measure]):
            raise absent[0]
        _once(cases, compositions=not absent)

    def _pages(self, kind: str, params: list[tuple[str, str]]) -> Iterator[list[dict[str, Any]]]:
        headers = {"Accept": "application/fhir+json"}
        bundle = _bundle(self._http.call("GET", kind, params=params, headers=headers), kind)
        visited = set[str]()
        while True:
            yield _resources(bundle, kind)
            following = _next(bundle)
            if not following:
                return
            if following in visited or len(visited) >= _MOST_PAGES:
                raise SourceChangedError(f"{kind}: các trang lặp lại hoặc không dừng: máy chủ có tìm theo ngày không?")
            visited.add(following)
            bundle = _bundle(self._http.call("GET", following, headers=headers), kind)

    def _reading(self, measure: str, days: DayRange, cases: Mapping[str, _Case]) -> Reading:
        counts: dict[tuple[str, date], Counter[str]] = defaultdict(Counter)
        unmapped, strangers = Counter[tuple[str, date, str]](), Counter[str]()
        for case in cases.values():
            # A search gives visits that began earlier and go on; a server may also ignore the dates.
            if case.day not in days:
                continue
            facility = self._facilities.get(case.organisation) if self._facilities else self._config.serves[0]
            if facility is None:
                strangers[_shown(case.organisation)] += 1
                continue
            counts[facility, case.day][case.category] += 1
            if case.category == UNKNOWN:
                unmapped[facility, case.day, case.raw] += 1
        return Reading(
            tallies=[
                DayCount(facility, measure, day, dict(counts.get((facility, day), {})))
                for facility in self._config.serves
                for day in days
            ],
            unmapped=[Unmapped(place, measure, day, raw, n) for (place, day, raw), n in unmapped.items()],
            strangers=dict(strangers),
        )


def _window(days: DayRange) -> list[tuple[str, str]]:
    end = midnight(days.last + timedelta(days=1))
    return [("date", f"ge{midnight(days.first).isoformat()}"), ("date", f"lt{end.isoformat()}")]


def _bundle(answer: Answer, kind: str) -> dict[str, Any]:
    """The Bundle of a search. Raises SourceError by status and OperationOutcome."""
    if 400 <= answer.status < 500 and answer.status not in (401, 403, 408, 429):
        raise _refusal(answer, kind)
    bundle = parsed(checked(answer))
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise SourceChangedError(f"{kind}: máy chủ không trả về một Bundle: url có phải là gốc của FHIR R4 không?")
    return bundle


def _refusal(answer: Answer, kind: str) -> SourceError:
    try:
        outcome = parsed(answer.body)
    except SourceChangedError:
        outcome = None
    issues = _list(outcome, "issue") if _text(outcome, "resourceType") == "OperationOutcome" else []
    codes = {_text(issue, "code") for issue in issues if _text(issue, "severity") in ("fatal", "error")}
    if codes & _DENIED:
        return SourceDeniedError(f"{kind}: máy chủ từ chối tài khoản hoặc quyền đọc (OperationOutcome)")
    if codes & _AWAY:
        return SourceUnavailableError(f"{kind}: máy chủ đang bận hoặc có lỗi (OperationOutcome)")
    if codes & _ABSENT or answer.status == 404:
        return _AbsentError(f"{kind}: máy chủ không có loại tài nguyên này: url có phải là gốc của FHIR R4 không?")
    return SourceChangedError(f"{kind}: {status_error(answer.status)}")


def _resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """What matched; not what was included beside it, nor warnings."""
    found = []
    for entry in _list(bundle, "entry"):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        mode = _text(entry.get("search"), "mode") if isinstance(entry, dict) else ""
        if isinstance(resource, dict) and resource.get("resourceType") == kind and mode in ("", "match"):
            found.append(resource)
    return found


def _next(bundle: dict[str, Any]) -> str:
    return next((_text(one, "url") for one in _list(bundle, "link") if _text(one, "relation") == "next"), "")


def _case(kind: str, resource: dict[str, Any], base: str) -> _Case | None:
    """What a resource counts as; None when it does not count, or has no day."""
    match kind:
        case "Encounter":
            period = resource.get("period")
            day, organisation = _day(_text(period, "start")), resource.get("serviceProvider")
            category, raw = _visit(resource)
        case "Composition":
            day, organisation = _day(_text(resource, "date")), resource.get("custodian")
            category, raw = _composition(resource)
        case _:
            day, organisation = _day(_text(resource, "date")), resource.get("custodian")
            category, raw = _document(resource)
    if day is None or not category:
        return None
    pointed = _pointed(resource, base) if kind == "DocumentReference" else ""
    return _Case(day, category, raw, _organisation(organisation, base), pointed)


def _visit(resource: dict[str, Any]) -> tuple[str, str]:
    if _text(resource, "status") in _NO_VISIT:
        return "", ""
    code = _text(resource.get("class"), "code")
    return (_CLASSES.get(code, "other"), "") if code else (UNKNOWN, "Encounter.class trống")


def _composition(resource: dict[str, Any]) -> tuple[str, str]:
    status = _text(resource, "status")
    attested = any(_text(one, "mode") in ("legal", "professional") for one in _list(resource, "attester"))
    if status == "entered-in-error":
        return "", ""
    if status in ("final", "amended") and attested:
        return "signed", ""
    if status == "preliminary":
        return "waiting", ""
    known = status if status in ("final", "amended") else "khác"
    return UNKNOWN, f"Composition {known}, không có attester legal hoặc professional"


def _document(resource: dict[str, Any]) -> tuple[str, str]:
    status, stage = _text(resource, "status"), _text(resource, "docStatus")
    if status in _NO_DOCUMENT or stage in _NO_DOCUMENT:
        return "", ""
    has_authenticator = bool(resource.get("authenticator"))
    if stage == "final" and has_authenticator:
        return "signed", ""
    if stage == "preliminary":
        return "waiting", ""
    if not has_authenticator and any(_is_scan(content) for content in _list(resource, "content")):
        return "scanned", ""
    known = stage if stage in ("final", "amended") else "trống hoặc khác"
    return UNKNOWN, f"DocumentReference docStatus {known}, {'có' if has_authenticator else 'không có'} authenticator"


def _is_scan(content: object) -> bool:
    if not isinstance(content, dict):
        return False
    kind = _text(content.get("attachment"), "contentType").strip().lower()
    return kind.startswith("image/") or _text(content.get("format"), "code").lower() == _SCANNED_FORMAT


def _pointed(resource: dict[str, Any], base: str) -> str:
    """The Composition of this server that a DocumentReference is about: by its attachment or as related."""
    context = resource.get("context")
    urls = [_text(one.get("attachment"), "url") for one in _list(resource, "content") if isinstance(one, dict)]
    urls += [_text(one, "reference") for one in _list(context, "related")]
    plain = (_plain(url.removeprefix(f"{base}/")) for url in urls)
    return next((url for url in plain if re.fullmatch(r"Composition/[A-Za-z0-9.-]{1,64}", url)), "")


def _once(cases: dict[str, _Case], compositions: bool) -> None:
    """A Composition that a DocumentReference points to counts once: the Composition does.

    It takes over the signature of one made on the same day, so that the answer does not depend on which days were read
    together. `compositions`: the server keeps them, else the DocumentReference is all there is.
    """
    for name, case in [*cases.items()] if compositions else []:
        if case.composition:
            del cases[name]
            about = cases.get(case.composition)
            if about and about.day == case.day and case.category == "signed":
                cases[case.composition] = about._replace(category="signed", raw="")


def _organisation(reference: object, base: str) -> str:
    """An organisation as `[sources.x.facilities]` names it: `Organization/1`, `urn:uuid:…`, an identifier's value."""
    if written := _text(reference, "reference"):
        return _plain(written.removeprefix(f"{base}/"))
    identifier = reference.get("identifier") if isinstance(reference, dict) else None
    return _plain(_text(identifier, "value"))


def _plain(reference: str) -> str:
    return reference.strip().split("/_history/")[0]


def _shown(organisation: str) -> str:
    """An organisation that is not mapped, as people may see it: a reference, not a name."""
    is_reference = re.fullmatch(r"(Organization/|urn:)[A-Za-z0-9.:-]{1,64}", organisation)
    return organisation if is_reference else "(không nêu, hoặc không phải là Organization/…)"


def _day(written: str) -> date | None:
    """The local day of a FHIR dateTime; None for a year or a month alone and for anything else."""
    try:
        moment = datetime.fromisoformat(written)
        return local_day(moment) if moment.tzinfo else moment.date()
    except (ValueError, OverflowError):
        return None


def _text(value: object, name: str) -> str:
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, str) else ""


def _list(value: object, name: str) -> list[Any]:
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, list) else []


_EXPLANATIONS = {
    "visits": """\
Lượt khám chữa bệnh (visits): mỗi Encounter là một lượt, tính vào ngày của period.start (giờ Việt Nam).
Không tính Encounter có status là entered-in-error, cancelled hoặc planned.
Loại theo class: AMB → outpatient; EMER → emergency; IMP, ACUTE, NONACUTE → inpatient; SS → day_treatment;
mã khác → other; không có class → unknown.""",
    "record_documents": """\
Văn bản trong bệnh án điện tử (record_documents): mỗi Composition và mỗi DocumentReference là một văn bản, tính vào ngày
của date (giờ Việt Nam). DocumentReference trỏ tới một Composition thì chỉ tính Composition đó.
Không tính: entered-in-error, superseded. Dòng đầu tiên đúng thì dùng:
  signed   Composition final hoặc amended, có attester legal hoặc professional;
           hoặc DocumentReference có docStatus final và authenticator (của chính nó, hoặc trỏ tới Composition cùng ngày)
  waiting  Composition preliminary, hoặc DocumentReference có docStatus preliminary
  scanned  ảnh (contentType image/…) hoặc PDF quét (format urn:ihe:iti:xds-sd:pdf:2008), không có authenticator
  unknown  còn lại""",
}

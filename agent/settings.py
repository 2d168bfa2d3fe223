"""agent.toml: read, checked whole, every problem named at once."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints, TypeAdapter, ValidationError

from contract import tls, toml_file
from contract.adapter import SourceConfig
from contract.catalogue import Cadence
from contract.errors import ConfigError
from contract.problems import sentences

FacilityId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
T = TypeVar("T", bound=BaseModel)
_SOURCE_NAME = TypeAdapter(Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")])


class AgentTable(BaseModel):
    """`[agent]`. Paths may be relative to the directory of agent.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    facility: FacilityId | None = None
    facilities: list[FacilityId] | None = Field(default=None, min_length=1)
    collector: HttpUrl
    token_file: str
    data_dir: str
    poll_minutes: float = Field(default=5, ge=0.01, le=24 * 60)
    reread_days: int = Field(default=3, ge=0, le=366)
    deep_reread_days: int = Field(default=35, ge=1, le=3660)
    deep_reread_at: time = time(2, 30)
    proxy: str | None = None
    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    allow_plain_http: bool = False


class SourceTable(BaseModel):
    """The keys of `[sources.NAME]` that every kind has; the others are the kind's."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str = Field(pattern=r"^[a-z_]+\.[a-z0-9_]+$")
    timeout_seconds: float = Field(default=60, gt=0, le=3600)
    measures: list[str] | None = Field(default=None, min_length=1)
    from_: date | None = Field(default=None, alias="from")
    part: str | None = Field(default=None, pattern=r"^\w+$", max_length=64)  # `\w{1,64}` would take 6 MiB
    role: Literal["count", "check"] = "count"
    cadence: Cadence | None = None
    facilities: dict[str, FacilityId] = {}


@dataclass(frozen=True, slots=True)
class Source:
    """One configured source: what its kind gets, and what the agent itself needs to know."""

    config: SourceConfig
    first_day: date | None
    part: str | None
    role: Literal["count", "check"]

    @property
    def name(self) -> str:
        """The name of its table."""
        return self.config.name


@dataclass(frozen=True, slots=True)
class Settings:
    """All of agent.toml."""

    file: Path
    facilities: tuple[str, ...]
    collector: str
    token_file: Path
    data_dir: Path
    poll_minutes: float
    reread_days: int
    deep_reread_days: int
    deep_reread_at: time
    proxy: str | None = field(repr=False)  # may hold a password
    ca_file: Path | None
    client_cert_file: Path | None
    client_key_file: Path | None
    allow_plain_http: bool
    sources: tuple[Source, ...]

    @property
    def bare(self) -> list[str]:
        """The tables whose counts go, or whose source is asked, over a network without TLS, since they say so."""
        sources = [one.name for one in self.sources if tls.is_bare(str(one.config.options.get("url", "")))]
        return ["[agent]"] * tls.is_bare(self.collector) + [f"[sources.{name}]" for name in sources]


def load(file: Path, problems_of_kinds: Callable[[Sequence[Source]], Iterable[str]] = lambda sources: ()) -> Settings:
    """Read `file`. Raises ConfigError with every problem found in it.

    A source's kind checks the keys of its own when the agent starts; when the file has other problems, it is asked
    by `problems_of_kinds`, so that all are named at once.
    """
    content = toml_file.read(file)
    problems = [f"{file}: không có bảng [{name}]" for name in content if name not in ("agent", "sources")]
    table = _checked(AgentTable, content.get("agent", {}), f"{file}: [agent]", problems)
    facilities = _facilities(table, file, problems) if table else _named(content.get("agent"))
    if table and tls.is_bare(str(table.collector)) and not table.allow_plain_http:
        problems.append(f"{file}: [agent]: collector: {tls.REFUSED}")
    sources = tuple(_sources(content.get("sources", {}), facilities, file, problems))
    if not content.get("sources"):
        problems.append(f"{file}: chưa có nguồn nào: thêm một bảng [sources.TÊN]")
    if problems or table is None:
        raise ConfigError([*problems, *problems_of_kinds(sources)])

    def path(text: str | None) -> Path | None:
        return None if text is None else (file.absolute().parent / text)

    return Settings(
        file=file,
        facilities=facilities,
        collector=str(table.collector).rstrip("/"),
        token_file=file.absolute().parent / table.token_file,
        data_dir=file.absolute().parent / table.data_dir,
        sources=sources,
        ca_file=path(table.ca_file),
        client_cert_file=path(table.client_cert_file),
        client_key_file=path(table.client_key_file),
        **table.model_dump(
            include={"poll_minutes", "reread_days", "deep_reread_days", "deep_reread_at", "proxy", "allow_plain_http"}
        ),
    )


def two_owners(sources: Mapping[str, tuple[Source, tuple[str, ...]]], file: Path) -> list[str]:
    """The problems of sources that count the same measure of the same facility; `sources`: name → (source, measures).

    A second source must say `part` (it counts another part) or `role = "check"`.
    """
    owners: dict[tuple[str, str, str | None], list[str]] = defaultdict(list)
    for name, (source, measures) in sources.items():
        if source.role == "count":
            for measure in measures:
                for facility in source.config.serves:
                    owners[facility, measure, source.part].append(name)
    shared = {(measure, tuple(names)) for (_, measure, _), names in owners.items() if len(names) > 1}
    return [
        f"{file}: {', '.join(f'[sources.{name}]' for name in names)} cùng đếm “{measure}”: "
        'bớt measures của một nguồn, hoặc khai báo part = "…" hay role = "check"'
        for measure, names in sorted(shared)
    ]


def _facilities(table: AgentTable, file: Path, problems: list[str]) -> tuple[str, ...]:
    if (table.facility is None) == (table.facilities is None):
        problems.append(f"{file}: [agent]: cần đúng một trong hai khóa facility, facilities")
    return tuple(dict.fromkeys(table.facilities or ([table.facility] if table.facility else [])))


def _named(table: Any) -> tuple[str, ...]:
    """The facilities of an `[agent]` that has other problems."""
    table = table if isinstance(table, dict) else {}
    listed = table.get("facilities")
    both = [table.get("facility"), *(listed if isinstance(listed, list) else [])]
    return tuple(one for one in both if isinstance(one, str))


def _sources(tables: Any, facilities: tuple[str, ...], file: Path, problems: list[str]) -> Iterator[Source]:
    if not isinstance(tables, dict):
        problems.append(f"{file}: sources phải là bảng [sources.TÊN]")
        return
    for name, content in tables.items():
        place = f"{file}: [sources.{name}]"
        try:
            _SOURCE_NAME.validate_python(name)
        except ValidationError:
            problems.append(f"{place}: tên nguồn chỉ gồm chữ không dấu, số, dấu chấm, gạch")
        table = _checked(SourceTable, content, place, problems)
        if table is None:
            continue
        problems.extend(
            f"{place}: facilities: “{facility}” không phải là cơ sở của agent này"
            for facility in dict.fromkeys(table.facilities.values())
            if facilities and facility not in facilities
        )
        yield Source(
            SourceConfig(
                name=name,
                kind=table.kind,
                facilities=facilities,
                facility_map=table.facilities,
                measures=None if table.measures is None else tuple(dict.fromkeys(table.measures)),
                timeout_seconds=table.timeout_seconds,
                options=table.model_extra or {},
                directory=file.absolute().parent,
                cadence=table.cadence,
            ),
            first_day=table.from_,
            part=table.part,
            role=table.role,
        )


def _checked(model: type[T], content: object, place: str, problems: list[str]) -> T | None:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems += sentences(place, error)
        return None

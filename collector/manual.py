"""Targets that no system tells: people enter the figure with its evidence (architecture.md, "Targets").

Plans and figures in, what to show out; and `enter`. Commands, API, pages and reports all use it.
"""

import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticKnownError

from collector.evidence import File
from collector.store import Connection, evidence
from collector.store import manual as stored
from collector.store.manual import ManualFigure
from contract.days import local_day
from contract.errors import BadRequestError, NotFoundError
from contract.facility import LEVELS, OWNERSHIPS
from contract.plan import Manual, Plan

_MEETS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
FOLLOWED = "Theo dõi"
_ASKED = {">=": "từ {} trở lên", ">": "trên {}", "<=": "không quá {}", "<": "dưới {}"}
# Two places at most: three would be a thousand to some readers.
_NUMBER = re.compile(r"-?[0-9]{1,12}([.,][0-9]{1,2})?")


def _number(text: object) -> Decimal:
    if not _NUMBER.fullmatch(str(text).strip()):
        raise PydanticKnownError("decimal_parsing")
    return Decimal(str(text).strip().replace(",", "."))


_Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Words = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000, pattern=r"^[^\x00-\x08\x0b-\x1f]*$")
]


class NewFigure(BaseModel):
    """What a person enters: on `day` the target `code` of a plan stood at `value`, as `evidence` shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plan: _Id
    code: _Id
    value: Annotated[Decimal, BeforeValidator(_number)]
    """`20`, `20,5`, `20.5`: percent points or a number of things, as the target says."""
    day: date
    evidence: Words

    def by(self, person: str, moment: datetime, file: File | None = None) -> ManualFigure:
        """As it is kept."""
        shown = (None, None) if file is None else (file.digest, file.name)
        return ManualFigure(self.plan, self.code, self.day, self.value, self.evidence, person, moment, *shown)


@dataclass(frozen=True, slots=True)
class ManualState:
    """Where a target stands: `figure` holds now, `history` is all that was ever entered, the newest entry first."""

    plan: Plan
    manual: Manual
    deadline: date
    figure: ManualFigure | None
    history: tuple[ManualFigure, ...]

    @property
    def state(self) -> Literal["met", "not_met", "no_figure", "followed"]:
        """Its code, for programs; `followed`: there is a figure, and the plan names none to hold it against."""
        if self.figure is None:
            return "no_figure"
        if self.manual.value is None:
            return "followed"
        return "met" if is_met(self.manual, self.figure.value) else "not_met"

    @property
    def vi(self) -> str:
        """What people read."""
        words = {"met": "Đạt", "not_met": "Chưa đạt", "no_figure": "Chưa có số liệu", "followed": FOLLOWED}
        return words[self.state]


def is_met(manual: Manual, value: Decimal) -> bool:
    """Whether a figure meets the target, in decimals; never without a target."""
    return manual.value is not None and _MEETS[manual.operator](value, manual.value)


def state(plan: Plan, manual: Manual, figures: Iterable[ManualFigure], day: date) -> ManualState:
    """Where a target stands on `day`; `figures` are in the order in which they were entered.

    The figure of the newest day holds, the last one entered of that day. A target of every year begins anew with each
    year; in January it is still that of the year before (`Plan.deadline`).
    """
    mine = [one for one in figures if (one.plan, one.code) == (plan.id, manual.code)]
    first, deadline = plan.period(manual, day)
    last = min(day, deadline) if manual.every else day
    # sorting keeps the order of entry within a day
    held = sorted((one for one in mine if first <= one.day <= last), key=lambda one: one.day)
    return ManualState(plan, manual, deadline, held[-1] if held else None, tuple(reversed(mine)))


def states(plans: Iterable[Plan], figures: Collection[ManualFigure], day: date) -> list[ManualState]:
    """Where all targets of these plans stand, in the plans' own order."""
    return [state(plan, manual, figures, day) for plan in plans for manual in plan.manual]


def select(plans: Sequence[Plan], name: str | None, day: date) -> list[Plan]:
    """The plans that have begun and are not over; or the one of this name, whenever it is. Raises NotFoundError."""
    if name is None:
        return [one for one in plans if one.first_day <= day <= one.until]
    found = [one for one in plans if one.id == name]
    if not found:
        raise NotFoundError(f"không có kế hoạch “{name}”; {_offered('các kế hoạch', (one.id for one in plans))}")
    return found


def find(plans: Sequence[Plan], new: NewFigure, today: date) -> tuple[Plan, Manual]:
    """The target that a figure is for. Raises NotFoundError, BadRequestError with every reason against it."""
    (plan,) = select(plans, new.plan, today)
    problems = []
    target = next((one for one in plan.manual if one.code == new.code), None)
    if target is None:
        codes = _offered("các chỉ tiêu", (one.code for one in plan.manual))
        problems.append(f"kế hoạch {plan.id} không có chỉ tiêu nhập tay “{new.code}”; {codes}")
    if not plan.first_day <= new.day <= plan.last_day:
        problems.append(
            f"ngày {new.day:%d/%m/%Y} nằm ngoài kế hoạch ({plan.first_day:%d/%m/%Y} đến {plan.last_day:%d/%m/%Y}); "
            "kết quả công bố sau khi kế hoạch kết thúc thì ghi vào ngày cuối của kế hoạch"
        )
    if new.day > today:
        problems.append(f"ngày {new.day:%d/%m/%Y} chưa đến")
    if target is None or problems:
        raise BadRequestError("; ".join(problems))
    return plan, target


def enter(
    connection: Connection,
    plans: Sequence[Plan],
    new: NewFigure,
    person: str,
    moment: datetime,
    file: File | None = None,
) -> tuple[Plan, Manual]:
    """Keep a figure, with the file that shows it; returns its target. Raises NotFoundError, BadRequestError."""
    found = find(plans, new, local_day(moment))
    if file is not None:
        evidence.keep(connection, file.digest, file.kind, file.content, moment)
    stored.add(connection, new.by(person, moment, file))
    return found


def judged(manual: Manual, value: Decimal) -> str:
    """A figure beside what is asked for: `đạt chỉ tiêu (từ 20 % trở lên)`."""
    if manual.value is None:
        return asked(manual)
    return f"{'đạt' if is_met(manual, value) else 'chưa đạt'} chỉ tiêu ({asked(manual)})"


def asked(manual: Manual) -> str:
    """What the target asks for: `từ 20 % trở lên`."""
    if manual.value is None:
        return "chỉ theo dõi, văn bản không nêu con số"
    return _ASKED[manual.operator].format(shown(manual, manual.value))


def meant(manual: Manual, names: Mapping[str, str]) -> str:
    """Whose figure it is: `Công lập; Bệnh viện A`; empty for the department's own. `names`: of facilities, by id."""
    of = manual.applies_to
    kinds = [*(LEVELS[one].vi for one in of.levels), *(OWNERSHIPS[one].vi for one in of.ownership)]
    return "; ".join([*kinds, *(names.get(one, one) for one in of.facilities)])


def shown(manual: Manual, value: Decimal) -> str:
    """A figure of the target as people write it: `20,5 %`, `1.200`."""
    text = f"{value.normalize():,f}".translate(str.maketrans(",.", ".,"))
    return f"{text} %" if manual.unit == "percent" else text


def lines(one: ManualState, with_history: bool) -> list[str]:
    """What people read of a target, on a terminal."""
    whose = meant(one.manual, {})
    text = [
        f"{one.plan.id} {one.manual.code}: {one.manual.vi}",
        f"  Chỉ tiêu: {asked(one.manual)}, hạn {one.deadline:%d/%m/%Y} ({one.plan.short}, {one.manual.section})",
        *([f"  Áp dụng cho: {whose}"] if whose else []),
        f"  {one.vi}" + ("" if one.figure is None else f": {_line(one.manual, one.figure)}"),
    ]
    if with_history:
        text += [f"    Đã nhập: {_line(one.manual, figure)}" for figure in one.history]
    return text


def _line(target: Manual, one: ManualFigure) -> str:
    return (
        f"{shown(target, one.value)} ngày {one.day:%d/%m/%Y}; "
        f"{one.person} nhập lúc {one.entered_at:%H:%M %d/%m/%Y}; minh chứng: {one.evidence}"
    )


def _offered(what: str, names: Iterable[str]) -> str:
    return f"{what}: {', '.join(names) or 'chưa có'}"

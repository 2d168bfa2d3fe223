"""The plans that figures are held against: read only, for plans are files."""

from collections import Counter
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from collector.pages.admin.rights import admin
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.store import registry
from collector.store.registry import Facility
from collector.yardstick import Yardstick, applies
from contract.days import DayRange, local_day, now
from contract.facility import LEVELS, OWNERSHIPS

router = APIRouter(prefix="/admin/plans")


@router.get("")
def plans_page(parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(admin)]) -> Response:
    """Every plan in the order in which they bind, each target with its words, and how many facilities it binds."""
    yesterday = local_day(now()) - timedelta(days=1)
    with parts.store.read() as connection:
        facilities = registry.facilities(connection)
    yardstick = parts.yardstick
    return page(
        found,
        "admin_plans.html",
        plans=list(zip(yardstick.plans, parts.settings.plan_files, strict=False)),
        binding=binding(yardstick, [one for one in facilities if _is_active(one, yesterday)], yesterday),
        catalogue=parts.catalogue,
        names={one.id: one.name for one in facilities},
        levels=LEVELS,
        ownerships=OWNERSHIPS,
        day=yesterday,
        config=parts.settings.file,
    )


def _is_active(one: Facility, day: date) -> bool:
    return one.was_active(DayRange(day, day))


def binding(yardstick: Yardstick, facilities: list[Facility], day: date) -> Counter[tuple[int, int]]:
    """(place of a plan, of its target) → how many facilities it binds in a window that ends on `day`.

    Facilities that no target can tell apart are asked for once.
    """
    named = {
        facility
        for plan in yardstick.plans
        for target in plan.targets
        for facility in (*target.applies_to.facilities, *(one.facility for one in target.overrides))
    }
    alike: dict[tuple[object, ...], list[Facility]] = {}
    for one in facilities:
        kind = (one.level, one.ownership, one.indicators, one.id if one.id in named else None)
        alike.setdefault(kind, []).append(one)
    found: Counter[tuple[int, int]] = Counter()
    for some in alike.values():
        for code, indicator in yardstick.catalogue.indicators.items():
            bound = yardstick.bound(code, some[0], day) if applies(indicator, code, some[0]) else None
            if bound is not None:
                found[bound.rank] += len(some)
    return found

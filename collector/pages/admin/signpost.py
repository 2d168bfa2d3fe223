"""The first page of administration: how much there is of everything, and what needs doing."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from collector.pages.admin.agents import is_silent
from collector.pages.admin.rights import admin
from collector.pages.admin.sources import state_of
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.store import access, people, registry, tallies
from contract.days import DayRange, local_day, now

router = APIRouter(prefix="/admin")
_SOON = timedelta(days=60)


@router.get("")
def signpost_page(parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(admin)]) -> Response:
    """Counts, and what needs doing with the way to it."""
    moment, today = now(), local_day(now())
    with parts.store.read() as connection:
        facilities, accounts = registry.facilities(connection), people.accounts(connection)
        agents, valid = access.agents(connection), access.enrolled(connection)
        codes = access.open_codes(connection, moment)
        states = [state_of(one, today) for one in tallies.briefs(connection)]
        newest = people.changes(connection, most=5)
    active = [one for one in facilities if one.was_active(DayRange(today, today))]
    enrolled = [one for one in agents if one["id"] in valid]
    plans = [one for one in parts.yardstick.plans if one.first_day <= today <= one.until]
    confirmers = {one.person.facility for one in accounts if one.person.role == "confirmer" and not one.disabled_at}
    return page(
        found,
        "admin.html",
        facilities=active,
        unheard=[one for one in active if one.last_push_at is None],
        unsigned=[one for one in active if one.id not in confirmers and one.level != "department"],
        people=[one for one in accounts if one.disabled_at is None],
        keyless=[one for one in accounts if one.disabled_at is None and not (one.password_hash or one.subject)],
        locked=[one for one in accounts if one.locked_until is not None and moment < one.locked_until],
        agents=enrolled,
        silent=[one for one in enrolled if is_silent(one, moment)],
        codes=codes,
        sources=len(states),
        states={one: states.count(one) for one in ("orphaned", "failing")},
        plans=plans,
        ending=[one for one in plans if one.last_day <= today + _SOON],
        has_calendar=parts.settings.calendar_file is not None,
        newest=newest,
        today=today,
    )

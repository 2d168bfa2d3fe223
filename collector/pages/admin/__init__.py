"""Administration, for the Sở's administrators: one module a page."""

from fastapi import APIRouter

from collector.pages.admin import (
    agents,
    audit,
    calendar,
    facilities,
    importing,
    merger,
    pauses,
    people,
    plans,
    signpost,
    sources,
)

router = APIRouter(include_in_schema=False)
for part in (signpost, importing, merger, pauses, facilities, people, agents, sources, plans, calendar, audit):
    router.include_router(part.router)

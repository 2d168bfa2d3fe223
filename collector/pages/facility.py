"""A facility's page: where it stands on every indicator, from which sources, and its open alerts."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import Response

from collector.figures import FacilityData, load
from collector.findings import findings
from collector.pages.door import reader
from collector.pages.rendering import Reader, page
from collector.parts import Parts, parts_of
from collector.standings import history, standings
from collector.store import Connection, alerts, registry
from collector.store.people import Person
from contract.days import local_day, now
from contract.errors import NotFoundError
from contract.findings import WORDS
from contract.verdict import Verdict

router = APIRouter(include_in_schema=False)
_MOST_ALERTS = 50


@router.get("/facilities/{facility}")
def facility_page(
    parts: Annotated[Parts, Depends(parts_of)], found: Annotated[Reader, Depends(reader)], facility: str
) -> Response:
    """The page that alerts and boards link to. Raises NotFoundError, also for a facility that is not the reader's."""
    assert found.session is not None
    moment = now()
    with parts.store.read() as connection:
        data = _data(connection, parts, found.session.person, facility, moment)
        told = alerts.alerts(connection, facility, "open", _MOST_ALERTS)
    rows = [
        one for one in standings(data, parts.yardstick, moment, ("30d",)) if one.verdict is not Verdict.NOT_APPLICABLE
    ]
    return page(
        found,
        "facility.html",
        facility=data.facility,
        sources=[one for one in data.sources if one.last_day is None or one.last_day >= local_day(moment)],
        rows=rows,
        met=sum(one.verdict is Verdict.MET for one in rows),
        held=sum(one.bound is not None for one in rows),
        below=[one for one in rows if one.verdict is Verdict.BELOW],
        since=data.below,
        catalogue=parts.catalogue,
        alerts=told,
        findings=findings(data, parts.catalogue, parts.yardstick.calendar, parts.yardstick.limits, moment),
        finding_words=WORDS,
    )


def _data(connection: Connection, parts: Parts, person: Person, facility: str, moment: datetime) -> FacilityData:
    if person.facility in (None, facility):
        first = history(("30d",), parts.yardstick.thresholds, local_day(moment))
        for data in load(
            connection, parts.catalogue, registry.facilities(connection, [facility]), first, local_day(moment)
        ):
            return data
    raise NotFoundError("không có cơ sở này")

"""Where the confirmations of many stand: of all facilities in a month, and of a facility in its months."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from collector import confirm
from collector.confirm import Month
from collector.figures import load
from collector.province import Province
from collector.store import Connection, Store, registry, retention, signatures
from collector.store.registry import Facility
from collector.store.signatures import Signature
from collector.thresholds import Confirmation
from collector.yardstick import Yardstick
from contract.days import DayRange, local_day
from contract.tally import FIRST_DAY

# Facilities whose tallies are in memory at once.
_CHUNK = 50
# How long an older month may be shown as it was worked out: a province takes seconds.
_KEPT = timedelta(minutes=10)
_MOST_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was worked out of a facility's month, and when."""

    month: Month
    at: datetime


class Confirmations:
    """The months of a province, at the price of those that nobody has worked out just now."""

    def __init__(self, store: Store, yardstick: Yardstick, rules: Confirmation, province: Province) -> None:
        self._store = store
        self._yardstick = yardstick
        self._rules = rules
        self._province = province
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], _Kept] = {}

    def of_all(self, period: str, moment: datetime) -> list[tuple[Facility, Month]]:
        """Every facility that is asked to confirm this month, and where it stands; by facility id.

        The last two closed months are those of this moment; what was signed of an older one is held against figures
        that may be ten minutes old. Raises BadRequestError (no month, or not over), NotFoundError (tallies no longer
        kept), AwayError.
        """
        days = confirm.over(period, moment)
        if period in confirm.closed(moment):
            places = self._province.at(moment).places.values()
            return [(one.facility, month) for one in places for month in one.months if month.period == period]
        with self._store.read() as connection:
            confirm.refuse_forgotten(connection, days)
            asked = [one for one in registry.facilities(connection) if confirm.is_asked(one, self._yardstick, days)]
            signed = signatures.of(connection, [one.id for one in asked], [period])
            found = self._remembered(period, signed, moment)
            anew = [one for one in asked if one.id in signed and one.id not in found]
            for start in range(0, len(anew), _CHUNK):
                found |= self._worked_out(connection, anew[start : start + _CHUNK], period, days, signed)
        self._keep([found[one.id] for one in anew], moment)
        return [(one, found.get(one.id) or confirm.unsigned(one, self._rules, period)) for one in asked]

    def _remembered(self, period: str, signed: dict[str, list[Signature]], moment: datetime) -> dict[str, Month]:
        """What was worked out a while ago, of facilities that have not signed since."""
        kept = {one: self._kept.get((one, period)) for one in signed}
        return {
            one: found.month
            for one, found in kept.items()
            if found is not None and moment - found.at < _KEPT and len(found.month.signatures) == len(signed[one])
        }

    def _worked_out(
        self,
        connection: Connection,
        some: Sequence[Facility],
        period: str,
        days: DayRange,
        signed: dict[str, list[Signature]],
    ) -> dict[str, Month]:
        loaded = load(connection, self._yardstick.catalogue, some, days.first, days.last)
        return {
            data.facility.id: confirm.of(data, self._yardstick, self._rules, period, signed[data.facility.id])
            for data in loaded
        }

    def _keep(self, months: Sequence[Month], moment: datetime) -> None:
        with self._lock:
            if len(self._kept) > _MOST_KEPT:
                self._kept.clear()
            self._kept.update({(one.facility, one.period): _Kept(one, moment) for one in months})


def of_facility(
    connection: Connection, yardstick: Yardstick, rules: Confirmation, facility: Facility, before: str, most: int
) -> list[Month]:
    """The newest `most` months before `before` (yyyy-mm) that are asked of a facility, the newest first.

    Of the months before it was registered only those that somebody has signed; none whose tallies are no longer kept.
    Raises BadRequestError.
    """
    confirm.days_of(before)
    since = retention.kept_from(connection) or FIRST_DAY
    older = [
        one
        for one in _months_before(before)
        if (days := confirm.days_of(one)).first >= since and confirm.is_asked(facility, yardstick, days)
    ]
    signed: dict[str, list[Signature]] = {}
    for one in signatures.of(connection, [facility.id], older).get(facility.id, []):
        signed.setdefault(one.period, []).append(one)
    known = f"{local_day(facility.registered_at):%Y-%m}"
    told = [period for period in older if period >= known or period in signed][:most]
    found = {period: confirm.unsigned(facility, rules, period) for period in told}
    some = [period for period in told if period in signed]
    if some:
        days = DayRange(confirm.days_of(some[-1]).first, confirm.days_of(some[0]).last)
        (data,) = load(connection, yardstick.catalogue, [facility], days.first, days.last)
        found |= {period: confirm.of(data, yardstick, rules, period, signed[period]) for period in some}
    return list(found.values())


def _months_before(period: str) -> list[str]:
    """All months before this one, the newest first."""
    day, found = date.fromisoformat(f"{period}-01"), []
    while (day := (day - timedelta(days=1)).replace(day=1)) >= FIRST_DAY:
        found.append(f"{day:%Y-%m}")
    return found

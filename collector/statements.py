"""The statement of a month: the figures that people are shown, print and sign, and what has been said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from collector import confirm, deputies
from collector.confirm import Month
from collector.figures import load
from collector.store import Connection, people, registry, retention
from collector.store import deputies as stored_deputies
from collector.store.deputies import Deputy
from collector.store.people import Person
from collector.store.registry import Facility
from collector.store.signatures import Signature
from collector.thresholds import Confirmation
from collector.versions import Version, version
from collector.yardstick import Yardstick


@dataclass(frozen=True, slots=True)
class Statement:
    """A facility's month. `shown`: as it was signed while that holds, otherwise as it stands `now`.

    `before`: the month before as it stands now; None when it is not asked of the facility, or no longer kept. `names`:
    the names that others read, by name. `deputies`: all there ever were.
    """

    facility: Facility
    month: Month
    shown: Version
    now: Version
    before: Version | None
    names: Mapping[str, str]
    deputies: Sequence[Deputy]

    def who(self, one: Signature) -> str:
        """The name of who signed, as others read it."""
        return self.names.get(one.person, one.person)

    def is_by_deputy(self, one: Signature) -> bool:
        """Whether the signature was given by somebody as a deputy."""
        return any(each.person.name == one.person and each.may_sign(one.at) for each in self.deputies)

    @property
    def reasons(self) -> Mapping[str, str]:
        """Indicator → why it is disputed, while the dispute stands."""
        return self.month.settled[-1].reasons if self.month.state == "disputed" else {}


def statement(
    connection: Connection, yardstick: Yardstick, rules: Confirmation, facility: str, period: str, moment: datetime
) -> Statement:
    """The statement of a month that is over. Raises NotFoundError, BadRequestError (not over, not active)."""
    month, now = confirm.look(connection, yardstick, rules, facility, period, moment)
    place = registry.facilities(connection, [facility])[0]
    shown = Version(month.settled[-1].figures) if month.state == "confirmed" else now
    return Statement(
        place,
        month,
        shown,
        now,
        _month_before(connection, yardstick, place, period),
        people.shown(connection, [one.person for one in month.signatures]),
        stored_deputies.of(connection, [facility]),
    )


def may_sign(connection: Connection, person: Person, one: Statement, moment: datetime) -> bool:
    """Whether this person can decide on the statement now: a right, and nothing is locked."""
    return one.month.state != "confirmed" and deputies.may_sign(connection, person, one.facility.id, moment)


def _month_before(connection: Connection, yardstick: Yardstick, facility: Facility, period: str) -> Version | None:
    last = confirm.days_of(period).first - timedelta(days=1)
    days = confirm.days_of(f"{last:%Y-%m}")
    if not confirm.is_asked(facility, yardstick, days) or days.first < (retention.kept_from(connection) or days.first):
        return None
    (data,) = load(connection, yardstick.catalogue, [facility], days.first, days.last)
    return version(data, yardstick, days)

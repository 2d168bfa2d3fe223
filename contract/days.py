"""Days are those of Asia/Ho_Chi_Minh, whatever the host's clock is set to."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

# Vietnam has kept UTC+7 without daylight saving since 1975, so a fixed offset needs no time-zone database.
LOCAL = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")


def now() -> datetime:
    """This moment, in local time."""
    return datetime.now(LOCAL)


def local_day(moment: datetime) -> date:
    """The local day on which `moment` (aware) falls."""
    return moment.astimezone(LOCAL).date()


def midnight(day: date) -> datetime:
    """The moment at which `day` begins, aware."""
    return datetime.combine(day, time(), LOCAL)


@dataclass(frozen=True, slots=True)
class DayRange:
    """Whole days, `first` and `last` both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"empty range: {self.first} > {self.last}")

    @classmethod
    def ending(cls, last: date, days: int) -> "DayRange":
        """The `days` days that end with `last`."""
        return cls(last - timedelta(days=days - 1), last)

    def __iter__(self) -> Iterator[date]:
        return map(date.fromordinal, range(self.first.toordinal(), self.last.toordinal() + 1))

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def slices(self, longest: int) -> list["DayRange"]:
        """Cut into ranges of at most `longest` days: the one that holds the last day first, then oldest first.

        Today's figures matter most and must not wait behind a long backlog.
        """
        newest = DayRange(max(self.first, self.last - timedelta(days=longest - 1)), self.last)
        pieces = [newest]
        start = self.first
        while start < newest.first:
            end = min(start + timedelta(days=longest - 1), newest.first - timedelta(days=1))
            pieces.append(DayRange(start, end))
            start = end + timedelta(days=1)
        return pieces

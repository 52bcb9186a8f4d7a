"""Time is a parameter: everything that needs the hour is handed a `Clock`."""

from datetime import UTC, datetime, timedelta

from shared.errors import StbError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol
else:
    Protocol = object  # an agent starts without `typing`; see box_agent.lean

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class ClockWentBackError(StbError):
    """A manual clock was told to go back."""


class Clock(Protocol):
    """What may be asked of a clock."""

    def now(self) -> datetime:
        """The instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds since some fixed moment of this boot; never goes back."""


class ManualClock:
    """A clock that stands still until it is moved; monotonic time follows it."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._now = start

    def now(self) -> datetime:
        """The instant it was last moved to."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return (self._now - self._start).total_seconds()

    def advance_to(self, instant: datetime) -> None:
        """Move to `instant`.

        Raises:
            ClockWentBackError: `instant` lies before the clock.
        """
        if instant < self._now:
            raise ClockWentBackError(f"the clock stands at {self._now} and cannot go back to {instant}")
        self._now = instant

    def advance(self, by: timedelta) -> None:
        """Move on by a span that is not negative."""
        self.advance_to(self._now + by)


def to_ms(instant: datetime) -> int:
    """Unix milliseconds of an aware instant, the form of time in every message and table.

    >>> to_ms(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000
    """
    return (instant - EPOCH) // _MILLISECOND


def from_ms(milliseconds: int) -> datetime:
    """The aware UTC instant of Unix milliseconds.

    Raises:
        OverflowError: outside the years 1 to 9999.
    """
    return EPOCH + milliseconds * _MILLISECOND

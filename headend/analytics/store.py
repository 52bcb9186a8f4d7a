"""What analytics keeps, in the words of the field: the rows, and the Protocol of the store.

There is no raw event here: a fragment is gone the moment it is counted. What stays while a week is open is
one counter per cell and the nonces of spent tokens; what stays for ever are releases and the budget.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from headend.kit.engine import Shelf
from headend.kit.runs import Run
from shared.errors import StbError
from shared.weeks import Week

T = TypeVar("T")


class WrongInstallationError(StbError):
    """The database belongs to another installation: other zone, profile or first week, or simulated."""


class ConflictError(StbError):
    """A directory or totals file for that week stands already, and says otherwise."""


class WeekNotDoneError(StbError):
    """The week has not come to its end, so nothing of it may be forgotten."""


class WeekState(StrEnum):
    """How far a week has come. All but OPEN are final."""

    OPEN = "open"
    RELEASED = "released"
    BELOW_FLOOR = "below-floor"
    OVER_BUDGET = "over-budget"
    DRAWN_BEFORE = "drawn-before"
    NO_DIRECTORY = "no-directory"


class Counted(StrEnum):
    """What became of a fragment whose token is genuine."""

    FIRST = "counted"
    DUPLICATE = "duplicate"
    TOO_LATE = "too-late"


@dataclass(frozen=True)
class Installation:
    """The stamp in the database; the cap is the most that 53 consecutive weeks may cost, in millionths."""

    simulated: bool
    profile: str
    zone: str
    first_week: Week
    cap_micro: int


@dataclass(frozen=True)
class StoredDirectory:
    """A week's directory: the signed bytes that are served, what they say, and their SHA-256 in hex."""

    week: Week
    envelope: bytes
    payload: bytes
    sha256: str


@dataclass(frozen=True)
class StoredTotals:
    """A week's box totals and their SHA-256 in hex."""

    payload: bytes
    sha256: str


@dataclass(frozen=True)
class Contribution:
    """What one fragment adds; `amount` is 1 or k, `rest` is 16 - k of a timed measure, else 0."""

    week: Week
    measure: str
    cell: int
    amount: int
    rest: int
    nonce: bytes


@dataclass(frozen=True)
class Counter:
    """One cell's exact sums; they exist until the release and are seen by nothing but it."""

    measure: str
    cell: int
    amount: int
    rest: int


@dataclass(frozen=True)
class Accepted:
    """Tokens accepted for a measure in a week; participation is not secret."""

    week: Week
    measure: str
    count: int


@dataclass(frozen=True)
class Spending:
    """One line of the budget ledger: what a measure cost in a week, in millionths of zCDP rho."""

    week: Week
    measure: str
    rho_micro: int


@dataclass(frozen=True)
class StoredRelease:
    """A release as it was drawn: the table and the signed manifest, both as exact bytes."""

    week: Week
    manifest: bytes
    table: bytes


@dataclass(frozen=True)
class Disclosure:
    """One file that the command line handed out: what it was, to whom, what for, and its SHA-256 in hex.

    `what` is the file's name, which says the weeks that it tells of, such as `report-2026-W41-2026-W44.html`.
    """

    at_ms: int
    kind: str
    recipient: str
    purpose: str
    sha256: str
    what: str


class ReleaseDesk(Protocol):
    """One transaction's view of the store, in which a week is claimed, drawn and entered, or nothing is."""

    def state(self, week: Week) -> WeekState | None:
        """How far the week has come; None if its directory never came."""
        ...

    def directory(self, week: Week) -> StoredDirectory | None:
        """The week's directory."""
        ...

    def totals(self, week: Week) -> StoredTotals | None:
        """The week's box totals."""
        ...

    def counters(self, week: Week) -> list[Counter]:
        """The exact sums of the week; cells that nothing was added to are missing."""
        ...

    def accepted(self, week: Week) -> dict[str, int]:
        """Tokens accepted in the week, by measure."""
        ...

    def installation(self) -> Installation:
        """The stamp."""
        ...

    def spendings(self) -> list[Spending]:
        """The whole budget ledger."""
        ...

    def spendings_between(self, first: Week, last: Week) -> list[Spending]:
        """The lines of the budget ledger of some weeks, both included."""
        ...

    def spent_micro(self) -> int:
        """What the whole budget ledger comes to, in millionths."""
        ...

    def release(self, week: Week) -> StoredRelease | None:
        """The week's release."""
        ...

    def spend(self, spending: Spending) -> None:
        """Enter a line into the budget ledger."""
        ...

    def enter_release(self, release: StoredRelease) -> None:
        """Store a release for ever."""
        ...

    def finish(self, week: Week, state: WeekState, now_ms: int) -> None:
        """Give the week its final state and record the job `release` as done."""
        ...

    def drop_counters(self, week: Week) -> None:
        """Forget the week's exact sums."""
        ...


class AnalyticsStore(Protocol):
    """Everything that analytics asks of its database."""

    def stamp(self, installation: Installation) -> None:
        """Mark a new database, or check an old one's mark.

        Raises:
            WrongInstallationError: it is marked otherwise.
        """
        ...

    def installation(self) -> Installation:
        """The stamp.

        Raises:
            WrongInstallationError: there is none.
        """
        ...

    def accept_directory(self, directory: StoredDirectory) -> None:
        """Store a directory and open its week; the same bytes again change nothing.

        Raises:
            ConflictError: another directory stands for that week, or the week is over and done.
        """
        ...

    def directory(self, week: Week) -> StoredDirectory | None:
        """The week's directory."""
        ...

    def open_directories(self) -> list[StoredDirectory]:
        """Directories of weeks that are not yet final, oldest first."""
        ...

    def accept_totals(self, week: Week, totals: StoredTotals) -> None:
        """Store a week's box totals; the same bytes again change nothing.

        Raises:
            ConflictError: other totals stand for that week.
        """
        ...

    def totals(self, week: Week) -> StoredTotals | None:
        """The week's box totals."""
        ...

    def count(self, contributions: list[Contribution]) -> list[Counted]:
        """Spend the tokens and count the fragments, all in one durable transaction.

        What belongs to a week whose state takes no fragments changes nothing and is told as TOO_LATE.
        """
        ...

    def accepted(self) -> list[Accepted]:
        """Tokens accepted, for all weeks, in order."""
        ...

    def add_tally(self, counts: dict[str, int]) -> None:
        """Add to the global counts of refusals."""
        ...

    def tally(self) -> dict[str, int]:
        """The global counts of refusals, by name."""
        ...

    def state(self, week: Week) -> WeekState | None:
        """How far a week has come; None if its directory never came."""
        ...

    def states(self) -> dict[Week, WeekState]:
        """How far each known week has come, in order."""
        ...

    def release(self, week: Week) -> StoredRelease | None:
        """The week's release."""
        ...

    def releases(self) -> list[StoredRelease]:
        """All releases, oldest first."""
        ...

    def release_weeks(self) -> list[Week]:
        """The weeks that have a release, in order."""
        ...

    def directories(self, before: Week | None, limit: int) -> list[StoredDirectory]:
        """The newest directories, of weeks before that one if it is said; newest first."""
        ...

    def spendings(self) -> list[Spending]:
        """The whole budget ledger."""
        ...

    def add_disclosure(self, disclosure: Disclosure) -> None:
        """Note for ever what is about to be handed out; durable before this answers."""
        ...

    def disclosures(self) -> list[Disclosure]:
        """What the command line handed out, oldest first."""
        ...

    def last_done(self, job: str) -> Week | None:
        """The last week that a job is recorded as done for."""
        ...

    def last_run(self, job: str) -> Run | None:
        """The newest slot that a job has done, and when."""
        ...

    def at_release_desk(self, work: Callable[[ReleaseDesk], T]) -> T:
        """Do `work` in one transaction of its own, which no other process can be in at the same time."""
        ...

    def forget(self, week: Week, now_ms: int) -> None:
        """Delete a final week's counters and nonces, also from a file's log; record the job `prune` as done.

        Raises:
            WeekNotDoneError: the week is not final yet; nothing was changed.
        """
        ...

    def shelf(self, folder: Path) -> Shelf:
        """Where analytics' own keys stand: in `folder`, or in the database if several nodes share it."""
        ...

    def turn(self) -> AbstractContextManager[bool]:
        """Whether this process may run jobs now; see `Engine.turn`."""
        ...

    def measured(self) -> list[tuple[str, float]]:
        """What the database tells Prometheus of itself; see `Engine.measured`."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...

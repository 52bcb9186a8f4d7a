"""The windows of weeks that can be asked for, and what each of them is made of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from headend.analytics.published import ReleaseTable
from headend.analytics.series import Break, Run, run_back
from headend.analytics.store import StoredRelease
from headend.analytics.trend import year_before
from headend.kit.language import N_
from shared.weeks import NotAWeekError, Week

WINDOWS = {"week": 1, "four": 4, "quarter": 13}
WINDOW_LABELS = {
    "week": N_("one week"),
    "four": N_("four weeks"),
    "quarter": N_("a quarter (13 weeks)"),
}
DEFAULT_WINDOW = "four"


@dataclass(frozen=True)
class Chosen:
    """A window that was asked for.

    Attributes:
        window: Its name.
        until: Its last week, or nothing where there is none.
        choices: All weeks that it could end with, newest first.
        releases: Its releases, oldest first, as they are stored.
        tables: The same, read.
        stopped: Why the series goes back no further, if that is within twice the window.
        before: The window of the same length before it; empty where the series does not go back so far.
        year: The window of the same length a year before; empty where that cannot be compared.
    """

    window: str
    until: str
    choices: list[str]
    releases: list[StoredRelease]
    tables: list[ReleaseTable]
    stopped: Break | None
    before: list[ReleaseTable]
    year: list[ReleaseTable]

    @property
    def asked(self) -> int:
        """How many weeks were asked for."""
        return WINDOWS[self.window]


@dataclass(frozen=True)
class Known:
    """What there is to choose from.

    Attributes:
        weeks: The weeks that have a release, in order.
        release: Gives a week's release as it is stored.
        table: Gives the same, read.
        state_of: The state of a week without release, or nothing where that is not known.
    """

    weeks: Sequence[Week]
    release: Callable[[Week], StoredRelease]
    table: Callable[[Week], ReleaseTable]
    state_of: Callable[[Week], str]


def choose(known: Known, args: Mapping[str, str]) -> Chosen:
    """The window that a query asks for, by `window` and `until`; unknown words choose the usual.

    It ends with the newest release not after `until`, and goes back as far as the series does: to a week
    without a release, or to another profile or register. No more releases are read than it and what it is
    compared with take.

    Raises:
        BadReleaseError: a stored release cannot be read.
    """
    window = args.get("window", DEFAULT_WINDOW)
    window = window if window in WINDOWS else DEFAULT_WINDOW
    asked, last = WINDOWS[window], week_of(args.get("until", ""))
    until = [week for week in known.weeks if last is None or week <= last]
    run = run_back((known.table(week) for week in reversed(until)), 2 * asked, known.state_of)
    tables = run.releases[-asked:]
    return Chosen(
        window=window,
        until=tables[-1].week if tables else "",
        choices=[str(week) for week in reversed(known.weeks)],
        releases=[known.release(week) for week in until[len(until) - len(tables) :]],
        tables=tables,
        stopped=run.stopped,
        before=_before(run, asked),
        year=_year(known, tables, asked),
    )


def _before(run: Run, asked: int) -> list[ReleaseTable]:
    return run.releases[:asked] if len(run.releases) == 2 * asked else []


def _year(known: Known, tables: list[ReleaseTable], asked: int) -> list[ReleaseTable]:
    """The same window a year before, if all its weeks are there and nothing changed since."""
    if len(tables) < asked:
        return []
    newest = Week.parse(tables[-1].week)
    last = year_before(newest)
    wanted = [last.plus(-back) for back in reversed(range(asked))]
    since = [week for week in known.weeks if wanted[0] <= week <= newest]
    if since[:asked] != wanted:
        return []
    found = [known.table(week) for week in since]
    kinds = {(table.profile, table.register) for table in found}
    return found[:asked] if len(kinds) == 1 else []


def week_of(text: str) -> Week | None:
    """The week that a query names; nothing if it names none."""
    try:
        return Week.parse(text)
    except NotAWeekError:
        return None

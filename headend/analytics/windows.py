"""The windows of weeks that can be asked for, and what each of them is made of."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from headend.analytics.published import ReleaseTable, read_table
from headend.analytics.series import Break, Run, run_back
from headend.analytics.store import StoredRelease
from headend.analytics.trend import year_before
from shared.weeks import NotAWeekError, Week

WINDOWS = {"week": 1, "four": 4, "quarter": 13}
WINDOW_LABELS = {"week": "one week", "four": "four weeks", "quarter": "a quarter (13 weeks)"}
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

    @property
    def short(self) -> str:
        """What to say if there are fewer weeks than were asked for."""
        if len(self.releases) >= self.asked:
            return ""
        return f"Of the {self.asked} weeks asked for, {len(self.releases)} follow each other without a break."


def choose(
    known: Sequence[StoredRelease], args: Mapping[str, str], why_missing: Callable[[Week], str]
) -> Chosen:
    """The window that a query asks for, by `window` and `until`; unknown words choose the usual.

    It ends with the newest release not after `until`, and goes back as far as the series does: to a week
    without a release, or to another profile or register. `known` are all releases, oldest first.

    Raises:
        BadReleaseError: a stored release cannot be read.
    """
    window = args.get("window", DEFAULT_WINDOW)
    window = window if window in WINDOWS else DEFAULT_WINDOW
    asked, last = WINDOWS[window], _week(args.get("until", ""))
    until = [release for release in known if last is None or release.week <= last]
    run = run_back(_newest_first(until), 2 * asked, why_missing)
    tables = run.releases[-asked:]
    return Chosen(
        window=window,
        until=tables[-1].week if tables else "",
        choices=[str(release.week) for release in reversed(known)],
        releases=until[len(until) - len(tables) :],
        tables=tables,
        stopped=run.stopped,
        before=_before(run, asked),
        year=_year(until, tables, asked),
    )


def _newest_first(known: Sequence[StoredRelease]) -> Iterator[ReleaseTable]:
    return (read_table(release.table) for release in reversed(known))


def _before(run: Run, asked: int) -> list[ReleaseTable]:
    return run.releases[:asked] if len(run.releases) == 2 * asked else []


def _year(known: Sequence[StoredRelease], tables: list[ReleaseTable], asked: int) -> list[ReleaseTable]:
    """The same window a year before, if all its weeks are there and nothing changed since."""
    if len(tables) < asked:
        return []
    last = year_before(Week.parse(tables[-1].week))
    wanted = [last.plus(-back) for back in reversed(range(asked))]
    since = [release for release in known if release.week >= wanted[0]]
    if [release.week for release in since[:asked]] != wanted:
        return []
    found = [read_table(release.table) for release in since]
    kinds = {(table.profile, table.register) for table in found}
    return found[:asked] if len(kinds) == 1 else []


def _week(text: str) -> Week | None:
    try:
        return Week.parse(text)
    except NotAWeekError:
        return None

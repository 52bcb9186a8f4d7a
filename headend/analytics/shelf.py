"""Releases as they are asked for: read once, and what is estimated from them worked out once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headend.analytics.estimates import Estimates, estimate
from headend.analytics.kept import Kept
from headend.analytics.published import ReleaseTable, read_table
from headend.analytics.store import AnalyticsStore, StoredRelease, WeekState
from headend.analytics.told import Told, tell
from headend.analytics.windows import Chosen, Known, choose
from shared.weeks import Week

_TABLES = 240
_TOLD = 60
_ESTIMATES = 720
"""How many are kept: tables of four years, windows with their comparisons, single estimates of one table."""


@dataclass(frozen=True)
class Standing:
    """The weeks that are released, and how far each known week has come; both in order."""

    released: tuple[Week, ...]
    states: tuple[tuple[Week, WeekState], ...]

    def state_of(self, week: Week) -> str:
        """The state of a week without release; nothing where that is not known."""
        state = dict(self.states).get(week)
        return "" if state is None or state is WeekState.RELEASED else state.value


class Shelf:
    """The releases of one store; whatever is computed from them is kept, the last asked for longest."""

    def __init__(self, store: AnalyticsStore) -> None:
        self._store = store
        self._tables: Kept[Week, ReleaseTable] = Kept(_TABLES)
        self._told: Kept[tuple[str, str, str, Standing], Told] = Kept(_TOLD)
        self._estimates: Kept[tuple[tuple[str, ...], str], Estimates] = Kept(_ESTIMATES)

    def standing(self) -> Standing:
        """What is released now; not kept, since it is what changes."""
        return Standing(tuple(self._store.release_weeks()), tuple(self._store.states().items()))

    def release(self, week: Week) -> StoredRelease:
        """A week's release, as exact bytes; only of weeks that have one."""
        found = self._store.release(week)
        assert found is not None, week  # noqa: S101 (the standing names it, and no release is ever taken away)
        return found

    def table(self, week: Week) -> ReleaseTable:
        """A week's table, read.

        Raises:
            BadReleaseError: a stored release cannot be read.
        """
        return self._tables.get(week, lambda: read_table(self.release(week).table))

    def choose(self, args: Mapping[str, str], standing: Standing | None = None) -> Chosen:
        """The window that a query asks for; see `windows.choose`."""
        now = standing or self.standing()
        return choose(Known(now.released, self.release, self.table, now.state_of), args)

    def tell(self, args: Mapping[str, str], standing: Standing | None = None, only: str = "") -> Told:
        """The window that a query asks for, with estimates and comparisons; of one table, if that is said.

        Raises:
            NoReleasesError: there is none.
        """
        now = standing or self.standing()
        key = (args.get("window", ""), args.get("until", ""), only, now)
        return self._told.get(key, lambda: tell(self.choose(args, now), only))

    def estimates(self, tables: Sequence[ReleaseTable], only: str = "") -> Estimates:
        """The estimates of a window of consecutive weeks, or of one table of theirs.

        Raises:
            NoReleasesError: the window is empty.
            SeriesBrokenError: the weeks are not one series.
        """
        key = (tuple(table.week for table in tables), only)
        return self._estimates.get(key, lambda: estimate(tables, only))

"""Where a series of weeks holds together, where it breaks, and why.

A week that was not released, another profile or another register break everything. A measure that is taken
anew, no longer or otherwise breaks its own series only.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from headend.analytics.published import NoisyMeasure, ReleaseTable
from shared.weeks import Week


class Break(Struct, frozen=True):
    """A series ends before `week`, going backwards; `measure` is empty where all of them do."""

    week: str
    measure: str
    why: str

    @property
    def plain(self) -> str:
        """The same in a sentence."""
        whose = f"The series of {self.measure}" if self.measure else "The series"
        return f"{whose} begins with {self.week}: {self.why}."


class Run(Struct, frozen=True):
    """Releases that follow each other without a break, oldest first, and why there are no more of them."""

    releases: list[ReleaseTable]
    stopped: Break | None


class Part(Struct, frozen=True):
    """One measure's releases within a window, oldest first, and where its own series breaks."""

    name: str
    weeks: list[str]
    measures: list[NoisyMeasure]
    breaks: list[Break]


def run_back(newest_first: Iterable[ReleaseTable], count: int, why_missing: Callable[[Week], str]) -> Run:
    """The run of at most `count` releases that ends with the first of `newest_first`.

    `why_missing` says in words why a week has no release, or nothing where that is not known.
    """
    taken: list[ReleaseTable] = []
    for release in newest_first:
        if len(taken) == count:
            return Run(taken[::-1], None)
        stopped = breaks_between(release, taken[-1], why_missing) if taken else None
        if stopped is not None:
            return Run(taken[::-1], stopped)
        taken.append(release)
    if not taken or len(taken) == count:
        return Run(taken[::-1], None)
    week = Week.parse(taken[-1].week)
    why = _missing(week.plus(-1), why_missing) if why_missing(week.plus(-1)) else "it is the first release"
    return Run(taken[::-1], Break(str(week), "", why))


def breaks_between(
    earlier: ReleaseTable, later: ReleaseTable, why_missing: Callable[[Week], str] = lambda _: ""
) -> Break | None:
    """What breaks every series between two releases, if anything does."""
    before = Week.parse(later.week).plus(-1)
    if earlier.week != str(before):
        return Break(later.week, "", _missing(before, why_missing))
    if earlier.profile != later.profile:
        return Break(later.week, "", f"the profile changed from {earlier.profile} to {later.profile}")
    if earlier.register != later.register:
        return Break(later.week, "", "the register of measures changed")
    return None


def _missing(week: Week, why_missing: Callable[[Week], str]) -> str:
    why = why_missing(week)
    return f"{week} has no release" + (f" ({why})" if why else "")


def parts_of(releases: Sequence[ReleaseTable]) -> list[Part]:
    """Each measure with its newest weeks in which it was taken in one and the same way.

    The measures of the newest release come first, in their order; then those that are no longer taken.
    """
    names = dict.fromkeys(measure.name for release in reversed(releases) for measure in release.measures)
    return [_part(releases, name) for name in names]


def _part(releases: Sequence[ReleaseTable], name: str) -> Part:
    taken: list[tuple[str, NoisyMeasure]] = []
    breaks: list[Break] = []
    for release in reversed(releases):
        found = next((one for one in release.measures if one.name == name), None)
        if not taken and found is None:
            continue
        if taken and (found is None or shape(found) != shape(taken[-1][1])):
            why = "it was not taken before" if found is None else "it was taken otherwise before"
            breaks.append(Break(taken[-1][0], name, why))
            break
        if found is not None:
            taken.append((release.week, found))
    weeks = [week for week, _ in reversed(taken)]
    return Part(name, weeks, [measure for _, measure in reversed(taken)], breaks)


def shape(measure: NoisyMeasure) -> tuple[object, ...]:
    """What must be the same for weeks of a measure to be summed or compared."""
    return (
        measure.name,
        measure.kind,
        measure.grid,
        measure.cells,
        measure.quota,
        measure.volume_minutes,
        measure.noise_scale,
    )

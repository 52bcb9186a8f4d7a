"""Where a series of weeks holds together, where it breaks, and why.

A week that was not released, another profile or another register break everything. A measure that is taken
anew, no longer or otherwise breaks its own series only.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

import msgspec
from msgspec import Struct

from headend.analytics.published import NoisyMeasure, ReleaseTable
from headend.kit.language import N_
from shared.weeks import Week


class Why(StrEnum):
    """Why a series goes back no further."""

    FIRST = "first"
    NO_RELEASE = "no-release"
    PROFILE = "profile"
    REGISTER = "register"
    ANEW = "anew"
    OTHERWISE = "otherwise"


BREAKS = {
    "first": N_("The series begins with {week}: it is the first release."),
    "no-release": N_("The series begins with {week}: {missing} has no release."),
    "open": N_("The series begins with {week}: {missing} has no release yet."),
    "below-floor": N_(
        "The series begins with {week}: {missing} has no release, because too few accounts took part."
    ),
    "over-budget": N_(
        "The series begins with {week}: {missing} has no release, because the budget does not cover it."
    ),
    "drawn-before": N_(
        "The series begins with {week}: {missing} was drawn before the database was restored, and is never "
        "drawn again."
    ),
    "no-directory": N_(
        "The series begins with {week}: for {missing} no directory was published, so nothing was counted."
    ),
    "profile": N_("The series begins with {week}: the profile changed from {earlier} to {later}."),
    "register": N_("The series begins with {week}: the register of measures changed."),
    "anew": N_("The series of {measure} begins with {week}: it was not taken before."),
    "otherwise": N_("The series of {measure} begins with {week}: it was taken otherwise before."),
}
"""What is said of a break, by its reason, or by the state of the week that has no release."""


class Break(Struct, frozen=True):
    """A series ends before `week`, going backwards; `measure` is empty where all of them do.

    `missing` is the week without a release and `state` what came of it, if that is known; `earlier` and
    `later` are the profiles between which it changed.
    """

    week: str
    measure: str
    why: Why
    missing: str = ""
    state: str = ""
    earlier: str = ""
    later: str = ""

    @property
    def message(self) -> str:
        """The sentence that tells it; its places are the fields."""
        return BREAKS[self.state or self.why]

    @property
    def plain(self) -> str:
        """The same in English."""
        return self.message.format(**msgspec.structs.asdict(self))


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


def run_back(newest_first: Iterable[ReleaseTable], count: int, state_of: Callable[[Week], str]) -> Run:
    """The run of at most `count` releases that ends with the first of `newest_first`.

    `state_of` gives the state of a week without release, or nothing where that is not known.
    """
    taken: list[ReleaseTable] = []
    for release in newest_first:
        if len(taken) == count:
            return Run(taken[::-1], None)
        stopped = breaks_between(release, taken[-1], state_of) if taken else None
        if stopped is not None:
            return Run(taken[::-1], stopped)
        taken.append(release)
    if not taken or len(taken) == count:
        return Run(taken[::-1], None)
    week = Week.parse(taken[-1].week)
    if state_of(week.plus(-1)):
        return Run(taken[::-1], _missing(week, state_of))
    return Run(taken[::-1], Break(str(week), "", Why.FIRST))


def breaks_between(
    earlier: ReleaseTable, later: ReleaseTable, state_of: Callable[[Week], str] = lambda _: ""
) -> Break | None:
    """What breaks every series between two releases, if anything does."""
    week = Week.parse(later.week)
    if earlier.week != str(week.plus(-1)):
        return _missing(week, state_of)
    if earlier.profile != later.profile:
        return Break(later.week, "", Why.PROFILE, earlier=earlier.profile, later=later.profile)
    if earlier.register != later.register:
        return Break(later.week, "", Why.REGISTER)
    return None


def _missing(week: Week, state_of: Callable[[Week], str]) -> Break:
    """A break because the week before has no release."""
    before = week.plus(-1)
    return Break(str(week), "", Why.NO_RELEASE, missing=str(before), state=state_of(before))


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
            why = Why.ANEW if found is None else Why.OTHERWISE
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

"""The pages of popularity: what each shows, and which of them the measures in force can fill."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headend.analytics.marginals import tables_of
from headend.analytics.published import ReleaseTable
from headend.kit.language import N_
from shared.register import Kind, Profile


@dataclass(frozen=True)
class View:
    """One page of popularity.

    Attributes:
        path: Its address.
        title: What its tab is called, a message.
        tables: The tables that it shows, the first of them that there is leading.
        figures: Of those, the figures that are shown.
    """

    path: str
    title: str
    tables: tuple[str, ...]
    figures: tuple[str, ...] = ("share",)


GENRE = View("popularity", N_("By genre"), ("genre", "genre-minutes"))
REGION = View("popularity/region", N_("By region"), ("genre-region",))
VIEWS = (
    GENRE,
    View("popularity/detail", N_("In detail"), ("genre-detail",)),
    View(
        "popularity/minutes",
        N_("Viewing time"),
        ("viewing", "genre-minutes"),
        ("minutes", "audience"),
    ),
    View("popularity/reach", N_("Reach"), ("genre-reach", "genre-minutes"), ("reach", "reach-share")),
    View("popularity/shift", N_("Live or later"), ("shift", "not-live", "not-live-by-genre", "genre-shift")),
    View("popularity/daypart", N_("By daypart"), ("daypart", "genre-daypart")),
    REGION,
    View("popularity/ordered", N_("Ordered"), ("ordered-genre",), ("share", "box-weeks")),
)


def in_release(release: ReleaseTable) -> set[str]:
    """The names of all tables that a release gives."""
    return {name for measure in release.measures for name in tables_of(measure)}


def in_profile(taken: Profile) -> set[str]:
    """The names of the tables that a profile's measures will give."""
    found = {measure.name for measure in taken.measures}
    for measure in taken.measures:
        if measure.kind is Kind.ONE_MINUTE and len(measure.grid) > 1:
            found |= {"shift", "not-live", "not-live-by-genre"} if "shift" in measure.grid else set()
            found |= {"daypart"} & set(measure.grid)
    return found


def fillable(tables: Iterable[str]) -> list[View]:
    """The pages that these tables fill, in their order."""
    there = set(tables)
    return [view for view in VIEWS if there & set(view.tables)]


def leading(view: View, tables: Sequence[str] | set[str]) -> str:
    """The first table of a page that there is; nothing if there is none."""
    return next((name for name in view.tables if name in tables), "")

"""The tiles of analytics on the console's overview; only what is released is told."""

from datetime import datetime, timedelta

from headend.analytics.budget import explain
from headend.analytics.estimates import NoReleasesError
from headend.analytics.publication import Publication
from headend.analytics.sentences import possible_firsts
from headend.analytics.store import AnalyticsStore
from headend.analytics.views import GENRE, in_release, leading
from headend.analytics.wording import Wording
from headend.kit.jobs import Slot
from headend.kit.pages import address
from headend.kit.side import Tile, Visit
from shared.clock import to_ms
from shared.weeks import Week

LATE = timedelta(minutes=10)
"""A release that is due for longer is overdue: somebody has to look why."""


def release_tile(slot: Slot, now: datetime, visit: Visit) -> Tile:
    """The week to be released next, and when that is due."""
    words = visit.language
    late = slot.due + LATE <= now
    due = words.moment(to_ms(slot.due))
    note = (
        words.text("overdue since {moment}", moment=due) if late else words.text("due {moment}", moment=due)
    )
    return Tile(words.text("Next release"), slot.name, note, late, address("releases"))


def releases_tile(publication: Publication, visit: Visit) -> Tile:
    """How many weeks are released, and the last of them."""
    words, weeks = visit.language, publication.shelf.standing().released
    note = words.text("last {week}", week=weeks[-1]) if weeks else words.text("none yet")
    return Tile(words.text("Releases"), words.number(len(weeks)), note, href=address("releases"))


def genre_tile(publication: Publication, visit: Visit) -> Tile | None:
    """The genre that leads, as its page tells it; none before the first release, or where it is withheld."""
    shelf, words = publication.shelf, Wording(visit.language)
    standing = shelf.standing()
    try:
        newest = shelf.choose({"window": "week"}, standing)
        lead = leading(GENRE, in_release(newest.tables[-1])) if newest.tables else ""
        first = publication.popularity.first(lead, newest.until, standing) if lead else None
        if first is None:
            return None
        found = shelf.estimates(shelf.choose({"window": first.window}, standing).tables, lead)
    except NoReleasesError:
        return None
    group = found.measures[0].groups[0]
    rivals = possible_firsts([one for one in group.cells if not one.withheld and "share" in one.panel])
    if not rivals:
        return None
    share = words.interval(rivals[0].panel["share"], words.percent)
    weeks = words.span(found.weeks)
    if len(rivals) == 1:
        note = words.text("{share}, {weeks}", share=share, weeks=weeks)
    else:
        note = words.plural(
            "{share}, {weeks}; cannot be told from {n} other",
            "{share}, {weeks}; cannot be told from {n} others",
            len(rivals) - 1,
            share=share,
            weeks=weeks,
        )
    return Tile(words.text("Most popular genre"), words.label(rivals[0]), note, href=address(GENRE.path))


def budget_tile(store: AnalyticsStore, publication: Publication, week: Week, visit: Visit) -> Tile:
    """The part of the budget that is spent before the next release; an alarm if that would be refused."""
    words, cap = visit.language, store.installation().cap_micro
    found = explain(store.spendings(), week, publication.in_force(), cap)
    if found.refused:
        note = words.text("the release of {week} would be refused", week=week)
    else:
        note = words.text("of what any 53 weeks may cost")
    spent = words.percent((cap - found.left_micro) / cap)
    return Tile(words.text("Budget spent"), spent, note, found.refused, address("budget"))

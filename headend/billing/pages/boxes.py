"""Boxes: what the named line tells of the fleet, and of one box. Nothing about viewing is known here."""

from typing import Final

from headend.billing.fleet import ChosenBoxes, Sighting
from headend.billing.pages.desk import HOUR_MS, ROWS, BadAddressError, Desk, number_in, place_in
from headend.billing.pages.telling import ALARMS
from headend.billing.reconcile import Missing, missing
from headend.billing.rows import NotFoundError
from headend.billing.store import BillingTx
from headend.kit.language import N_
from headend.kit.pages import address
from headend.kit.side import Page, Visit

HEARD: Final = {"1h": 1, "24h": 24, "48h": 48}
"""Within how many hours a box was heard, by what the address calls it."""
_HALF_A_BEAT: Final = 12
"""Boxes give a sign of life a day: within fewer hours few are heard, within more few are not."""
CHOICES: Final = {
    "1h": N_("heard in the last hour"),
    "24h": N_("heard in the last 24 hours"),
    "48h": N_("heard in the last 48 hours"),
    "silent": N_("silent for 48 hours or longer"),
    "released": N_("no longer bound"),
}
_MOST: Final = 20
_MOST_GAPS: Final = 10


def boxes(desk: Desk, visit: Visit) -> Page:
    """The fleet's state, and its boxes as chosen, the last heard first.

    Raises:
        BadAddressError: a choice that there is not.
    """
    look, now_ms = desk.store.read(), desk.now_ms()
    heard, agent, before = visit.arg("heard"), visit.args.get("agent"), _before(visit)
    found = look.boxes_page(_chosen(heard, agent, now_ms), before, ROWS + 1)
    rows = found[:ROWS]
    last = rows[-1] if len(found) > ROWS else None
    open_gaps = oldest_first(look)
    bound = look.bound_boxes()
    within = {name: heard_within(look, hours, bound, now_ms) for name, hours in HEARD.items()}
    inside = desk.page(
        visit,
        "boxes.html",
        boxes=rows,
        gaps=open_gaps[:_MOST_GAPS],
        places=sum(gap.last - gap.first + 1 for gap in open_gaps),
        boxes_with_gaps=len({gap.box for gap in open_gaps}),
        within=within,
        bound=bound,
        agents=look.agents(),
        alarms=look.alarms_since(now_ms - 7 * 24 * HOUR_MS),
        heard=heard,
        agent=agent,
        choices=CHOICES,
        now_ms=now_ms,
        silent_ms=now_ms - 48 * HOUR_MS,
        first=_address(heard, agent) if before else "",
        older=_address(heard, agent, last) if last else "",
    )
    return Page(inside, about=tuple(dict.fromkeys(one.account for one in rows)))


def heard_within(look: BillingTx, hours: int, bound: int, now_ms: int) -> int:
    """How many of `bound` boxes were heard within some hours, by counting those of which there are fewer."""
    from_ms = now_ms - hours * HOUR_MS
    return look.heard_since(from_ms) if hours < _HALF_A_BEAT else bound - look.silent_since(from_ms)


def oldest_first(look: BillingTx) -> list[Missing]:
    """What is missing of every box, the longest missing first."""
    return sorted(missing(look), key=lambda gap: (gap.since_ms, gap.box, gap.epoch))


def gaps(desk: Desk, visit: Visit) -> Page:
    """Everything that boxes told of and that is not here, the longest missing first.

    Raises:
        BadAddressError: `after` is no number.
    """
    look, after = desk.store.read(), number_in(visit, "after") or 0
    found = oldest_first(look)
    inside = desk.page(
        visit,
        "gaps.html",
        gaps=found[after : after + ROWS],
        places=sum(gap.last - gap.first + 1 for gap in found),
        first=address("gaps") if after else "",
        older=address("gaps", after=after + ROWS) if len(found) > after + ROWS else "",
    )
    return Page(inside, back=("boxes", "Boxes"))


def _before(visit: Visit) -> tuple[int, str] | None:
    text = visit.arg("before")
    if not text:
        return None
    heard, _, box = text.partition(".")
    if not (heard.isascii() and heard.isdigit() and len(heard) <= len(str(1 << 62)) - 1):
        raise BadAddressError("before is a place in a list")
    return int(heard), box


def _chosen(heard: str, agent: str | None, now_ms: int) -> ChosenBoxes:
    if heard and heard not in CHOICES:
        raise BadAddressError(f"no choice {heard[:40]!r}")
    if heard == "silent":
        return ChosenBoxes(until_ms=now_ms - HEARD["48h"] * HOUR_MS, agent=agent)
    if heard == "released":
        return ChosenBoxes(agent=agent, bound=False)
    return ChosenBoxes(from_ms=now_ms - HEARD[heard] * HOUR_MS if heard else 0, agent=agent)


def _address(heard: str, agent: str | None, last: Sighting | None = None) -> str:
    place = f"{last.heard_ms}.{last.box}" if last else ""
    # An empty version is one too: that of boxes that have not said.
    named = {} if agent is None else {"agent": agent}
    found = address("boxes", heard=heard, before=place, **named)
    return found if agent != "" else f"{found}{'&' if '?' in found else '?'}agent="


def box(desk: Desk, visit: Visit) -> Page:
    """One box: whose, since when, how far its chain is, and what it said on the named line.

    Raises:
        NotFoundError: no such box.
    """
    look, before = desk.store.read(), place_in(visit, "before")
    found = look.sighting(visit.arg("box"))
    if found is None:
        raise NotFoundError(f"no box {visit.arg('box')[:80]}")
    said = look.said_page(found.box, before, ROWS + 1)
    rows = said[:ROWS]
    bindings = look.bindings(found.box)
    inside = desk.page(
        visit,
        "box.html",
        box=found,
        bindings=list(reversed(bindings)),
        epochs=look.epochs_of(found.box),
        said=rows,
        alarms=look.alarms_about("box", found.box, _MOST),
        audit=look.audit_lines(found.box, "", None, _MOST),
        now_ms=desk.now_ms(),
        silent_ms=desk.now_ms() - HEARD["48h"] * HOUR_MS,
        first=address("box", box=found.box) if before else "",
        older=address("box", box=found.box, before=f"{rows[-1].epoch}.{rows[-1].seq}")
        if len(said) > ROWS
        else "",
    )
    about = [account for _, account in bindings if account is not None]
    about += [one.order.account for one in rows if one.order is not None and one.order.account]
    title = visit.language.text("Box {name}", name=found.box)
    return Page(inside, title=title, about=tuple(dict.fromkeys(about)), back=("boxes", "Boxes"))


def alarms(desk: Desk, visit: Visit) -> Page:
    """Alarms, newest first, of a kind if one is asked for.

    Raises:
        BadAddressError: a kind that there is not.
    """
    look, kind, before = desk.store.read(), visit.arg("kind"), number_in(visit, "before")
    kinds = look.alarm_kinds()
    if kind and kind not in ALARMS:
        raise BadAddressError(f"no alarm of kind {kind[:40]!r}")
    found = look.alarms_page(kind, before, ROWS + 1)
    rows = found[:ROWS]
    inside = desk.page(
        visit,
        "alarms.html",
        alarms=rows,
        kinds=kinds,
        kind=kind,
        first=address("alarms", kind=kind) if before is not None else "",
        older=address("alarms", kind=kind, before=rows[-1][0]) if len(found) > ROWS else "",
    )
    return Page(inside, about=tuple(dict.fromkeys(one.account for _, one in rows if one.account)))

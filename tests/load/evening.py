"""A national evening: what so many boxes ask between 17 and 24 o'clock, its course compressed in time.

A second of this scenario has the arrivals of a second of such an evening, by the box's own schedule; only the
course from early to late passes faster. Where each rate comes from stands beside it.
"""

from dataclasses import dataclass

from box_agent.outbox import SENDING_DAYS
from box_agent.refill import BEFORE_END_MS
from box_agent.settings import BoxSettings
from shared.register import profile
from tests.load.arrivals import SECOND_US, bell, shaped
from tests.load.books import told as books_told
from tests.load.field import AGAIN_S, Extent, Field, coming_again, laid_out
from tests.load.figures import HEAD, lines_of, plain, told
from tests.load.plan import Ask

FROM, UNTIL, PEAK, WIDTH = 17.0, 24.0, 20.5, 1.5
"""Hours: the evening, its peak, and how wide it is (a standard deviation)."""
DAY_S, HOUR_S = 86_400.0, 3_600.0
ORDERS_A_DAY = 0.1
"""Orders of a box and day, as in the simulator's town (7,385 of some 1,700 boxes in 42 days); each is
followed by a report of its delivery."""
IN_THE_EVENING = 0.8
"""The part of a day's orders that falls into the peak."""
REPORTING = 0.6
"""Boxes that consented and were drawn, of all: 1,014 of 1,700 in that town."""
PAGES_S = 2.0
"""Operators' pages a second."""


@dataclass(frozen=True)
class Rates:
    """Arrivals a second over all boxes; of orders at the peak."""

    order: float
    heartbeat: float
    catalogue: float
    tokens: float
    fragment: float
    console: float = PAGES_S


def rates(boxes: int) -> Rates:
    """What so many boxes ask a second."""
    heartbeat_s = _default("heartbeat_hours") * HOUR_S
    asking_s = 7 * DAY_S - BEFORE_END_MS / 1000
    fragments = sum(measure.quota for measure in profile("national").measures)
    bell_s = WIDTH * HOUR_S * (2 * 3.141592653589793) ** 0.5
    return Rates(
        order=boxes * ORDERS_A_DAY * IN_THE_EVENING / bell_s,
        heartbeat=boxes / heartbeat_s,
        catalogue=boxes
        / DAY_S,  # offers change once a day, and a box fetches what its heartbeat tells is new
        tokens=boxes * REPORTING / asking_s,
        fragment=boxes * REPORTING * fragments / (SENDING_DAYS * DAY_S),
    )


def _default(name: str) -> int:
    """What a box does unless its settings say otherwise."""
    fields = BoxSettings.__struct_fields__
    return int(BoxSettings.__struct_defaults__[fields.index(name) - len(fields)])


def run(extent: Extent) -> dict[str, object]:
    """Play the evening."""
    wanted = rates(extent.population)
    print(
        f"\nan evening of {extent.population:,} boxes, {FROM:.0f} to {UNTIL:.0f} o'clock, "
        f"in {extent.seconds:.0f} s"
    )
    print(
        "  asked a second, orders at their peak: "
        + ", ".join(f"{k} {v:,.1f}" for k, v in vars(wanted).items())
    )
    with laid_out(extent, extent.boxes) as (field, books):
        asks, chains = _asks(field, wanted, extent.seconds)
        result = field.play(asks, (field.fleet.boxes, chains), extent.seconds)
        lines = lines_of(result, extent.seconds)
        print(HEAD)
        for line in lines:
            print(told(line))
        print(f"  most in flight {max(second.most for second in result.seconds):,}")
    print(books_told(books[0]))
    return {"lines": [plain(line) for line in lines], "faults": books[0].faults}


def _asks(field: Field, wanted: Rates, seconds: float) -> tuple[list[Ask], list[list[bytes]]]:
    fleet, chance = field.fleet, field.chance
    boxes = fleet.boxes
    asks: list[Ask] = []

    def flat(kind: str, rate: float, bodies: list[bytes]) -> None:
        moments = shaped(lambda _part: rate, seconds, chance)
        asks.extend(Ask(at, kind, bodies[number % len(bodies)]) for number, at in enumerate(moments))

    flat("heartbeat", wanted.heartbeat, fleet.heartbeats(boxes))
    flat("catalogue", wanted.catalogue, [b""])
    flat("tokens", wanted.tokens, fleet.token_asks(boxes[: 1 + int(1.5 * wanted.tokens * seconds)]))
    flat("console", wanted.console, [b""])
    moments = shaped(lambda _part: wanted.fragment, seconds, chance)
    fleet.seal_fragments(len(moments))
    asks += [Ask(at, "fragment", str(number).encode()) for number, at in enumerate(moments)]
    # An order, and the report of its delivery: both are messages of the chain.
    moments = shaped(
        lambda part: 2 * wanted.order * bell(FROM + part * (UNTIL - FROM), PEAK, WIDTH), seconds, chance
    )
    rounds, more = divmod(len(moments), len(boxes))
    chains = fleet.sign_orders(boxes[:more], rounds + 1) + fleet.sign_orders(boxes[more:], rounds)
    asks += [Ask(at, "order", b"", number % len(boxes), 1) for number, at in enumerate(moments)]
    end_us = int((seconds + AGAIN_S) * SECOND_US)
    return asks + coming_again(len(boxes), end_us, len(boxes) / 10), chains

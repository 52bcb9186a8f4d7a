"""A storm: boxes come back after an outage, by the agent's own backoff code, each with what it has to say.

Two outages. The headend was away: boxes have tried in vain for hours, and each comes when the wait that it
drew is over (`box_agent.submission.wait_ms`). Or the power was away: everybody starts within the same minute
and sends at once; whoever is refused waits as the agent does, and comes again.

Fewer boxes in as many times less time ask as much a second: `storm_boxes` stand for 100,000, with all
waits divided by as much. Said with the figures.
"""

from collections.abc import Callable
from random import Random

from box_agent.chance import below
from box_agent.submission import wait_ms
from tests.load.arrivals import SECOND_US
from tests.load.books import told as books_told
from tests.load.field import Extent, Field, laid_out
from tests.load.figures import HEAD, lines_of, plain, told
from tests.load.plan import Ask, Backoff, Result

STORM = 100_000
OUTAGE_H = 2.0
STARTING_S = 60.0
"""Within so many seconds of the power's return a street's boxes have started."""
GIVE_UP_S = 600.0
QUEUED = 2
"""Messages that each has placed meanwhile."""
_MS = 1000


def after_headend_outage(boxes: int, chance: Random) -> list[float]:
    """Seconds after the headend's return at which each box comes, having tried in vain until then."""
    draw, outage_ms = below(chance.randbytes), int(OUTAGE_H * 3600 * _MS)
    return [_first_after(outage_ms, chance.randrange(outage_ms), draw) for _ in range(boxes)]


def _first_after(outage_ms: int, first_ms: int, draw: Callable[[int], int]) -> float:
    at_ms, tries = first_ms, 0
    while at_ms < outage_ms:
        tries += 1
        at_ms += wait_ms(tries, draw)
    return (at_ms - outage_ms) / _MS


def after_power_cut(boxes: int, chance: Random) -> list[float]:
    """Seconds after the power's return at which each box, just started, sends what is due."""
    return [chance.uniform(0, STARTING_S) for _ in range(boxes)]


OUTAGES: dict[str, Callable[[int, Random], list[float]]] = {
    "the headend was away": after_headend_outage,
    "the power was away": after_power_cut,
}


def per_minute(moments: list[float]) -> list[int]:
    """How many come in each minute."""
    counts = [0] * (int(max(moments)) // 60 + 1)
    for at in moments:
        counts[int(at) // 60] += 1
    return counts


def run(extent: Extent) -> dict[str, object]:
    """Play both."""
    report: dict[str, object] = {}
    for name, returning in OUTAGES.items():
        every = returning(STORM, Random(extent.seed))
        minutes = per_minute(every)
        print(f"\n{STORM:,} boxes return: {name}")
        print(
            f"  first attempts by the agent's own code: most in a minute {max(minutes):,} "
            f"({max(minutes) / 60:,.0f} a second), all within {max(every) / 60:,.0f} minutes"
        )
        report[name] = _play(extent, returning)
    return report


def _play(extent: Extent, returning: Callable[[int, Random], list[float]]) -> dict[str, object]:
    boxes = extent.storm_boxes
    speed = STORM / boxes
    with laid_out(extent, boxes) as (field, books):
        moments = returning(boxes, field.chance)
        # The long tail of a headend's outage asks nothing of it: its first minutes are what is played.
        shown = sorted(at for at in moments if at <= extent.seconds * speed) or sorted(moments)[:1]
        result = _send(field, shown, speed)
    served = sorted(at for at in result.served_s if at >= 0)
    print(
        f"  played over HTTP: {len(shown):,} of {boxes:,} boxes, all times divided by {speed:.0f}, as many a "
        f"second as {STORM:,} would be"
    )
    lines = lines_of(result, result.wall_s)
    print(HEAD)
    for line in lines:
        print(told(line))
    most = max(second.most for second in result.seconds)
    busiest = max(second.sent for second in result.seconds)
    parts = [served[len(served) * part // 100] * speed for part in (50, 99)]
    print(f"  most sent in a second {busiest:,}; most in flight {most:,}")
    print(
        f"  half served after {parts[0]:,.0f} s, 99 % after {parts[1]:,.0f} s, all after "
        f"{served[-1] * speed:,.0f} s of theirs"
    )
    print(books_told(books[0]))
    return {
        "lines": [plain(line) for line in lines],
        "most_in_flight": most,
        "all_served_s": served[-1] * speed,
        "faults": books[0].faults,
    }


def _send(field: Field, moments: list[float], speed: float) -> Result:
    boxes = field.fleet.boxes[: len(moments)]
    chains = field.fleet.sign_orders(boxes, QUEUED)
    beats = field.fleet.heartbeats(boxes)
    asks = []
    for number, at in enumerate(moments):
        at_us = int(at / speed * SECOND_US)
        asks.append(Ask(at_us, "order", b"", number, QUEUED))
        asks.append(Ask(at_us, "heartbeat", beats[number]))  # both are due, and a box sends both
    return field.play(asks, (boxes, chains), GIVE_UP_S, Backoff(speed, field.extent.seed))

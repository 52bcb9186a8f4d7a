"""Play a week of real agents, then try to lay its fragments beside boxes, and beside each other.

    python -m tests.linkage [BOXES]

The adversary holds billing's books and wire, the gateway's opened fragments with the time of each, every
private key, and all bytes of the analytics database after each batch. Ends with 1 if a score that looks at
anything but content is shown to gain more than `BOUND`, or if a control shows no leak.
"""

import os
import sys
import time
from collections.abc import Iterable

from shared.register import profile
from tests.linkage import content, controls
from tests.linkage.attacks import MATCHES, PAIRS
from tests.linkage.judge import Judged, Sample, judge
from tests.linkage.samples import matches, naming, pairs
from tests.linkage.world import Control, Held, play
from tests.simulator.seeded import seeded

BOXES = 4_000
UNPLUGGED = 1_000
CONTROLS = 200
BOUND, LEAK = 0.01, 0.1
NAMED = 600
ARRIVALS = {name: score for name, score in MATCHES.items() if name.startswith("arrival")}

WORSE: dict[str, tuple[Control, str, bool]] = {
    "everything sent at the roll-up": (controls.no_delays, "time between arrivals", True),
    "one moment for all fragments of a box": (controls.one_moment, "time between arrivals", True),
    "everything on the beat of the ticks": (
        controls.on_the_beat,
        "arrival, on the beat of the box's ticks",
        True,
    ),
    "no blinding": (controls.no_blinding, "blinding factor", True),
    "no padding": (controls.no_padding, "size and headers, and orders", False),
    "no `none` in the place of nothing": (controls.no_none, "number of fragments, and orders", True),
}
"""Each with the score that has to see it, and whether a gateway still counts what is sent."""


def seen_by(name: str, held: Held) -> Judged:
    """What one score gains; that of sizes and numbers is asked of the fragments that tell of orders."""
    if name in PAIRS:
        return judge(pairs(held, seeded(2), {name: PAIRS[name]}), [0])
    of = content.ORDERED.name if name.endswith("and orders") else None
    return judge(matches(held, seeded(2), {name: MATCHES[name]}, of), [0])


def told(title: str, names: Iterable[str], samples: list[Sample]) -> list[Judged]:
    """Print what each score gains, and all of them together."""
    listed = list(names)
    found = [judge(samples, [place]) for place in range(len(listed))]
    found.append(judge(samples, range(len(listed))))
    print(f"\n{title} ({found[0].pairs} true pairs)")
    for name, one in zip([*listed, "all of these together"], found, strict=True):
        print(f"  {name:<58} {one}{'  ABOVE' if one.shown_above(BOUND) else ''}")
    return found


def main(words: list[str]) -> int:
    boxes, workers = int(words[0]) if words else BOXES, os.cpu_count() or 1
    started = time.monotonic()
    held = play(boxes, workers)
    print(f"{boxes} boxes, {len(held.opened)} fragments, after {time.monotonic() - started:.0f} s")
    print(f"advantage: right answers above a half in telling a true pair from a false one; at most {BOUND}")
    bad = [
        one
        for one in (
            *told("fragments and boxes", MATCHES, matches(held, seeded(1))),
            *told("two fragments", PAIRS, pairs(held, seeded(1))),
        )
        if one.shown_above(BOUND)
    ]
    right, among = naming(held, seeded(3), ARRIVALS, NAMED)
    print(f"\nnaming the box by its arrivals: {right} of {NAMED} right; by guessing {NAMED / among:.1f}")
    tell_limits(held)
    missed = tell_controls(workers)
    print(f"\n{len(bad)} above {BOUND}, {missed} leaks not seen, {time.monotonic() - started:.0f} s")
    return 1 if bad or missed else 0


def tell_limits(held: Held) -> None:
    """What stands in the threat model as a limit, measured."""
    told(
        "limit: what is said, and orders",
        content.CONTENT_MATCHES,
        matches(held, seeded(1), content.CONTENT_MATCHES),
    )
    told(
        "limit: what two fragments say", content.CONTENT_PAIRS, pairs(held, seeded(1), content.CONTENT_PAIRS)
    )
    cost = profile("small").measure(content.ORDERED.name).rho_micro / 1_000_000
    whole = profile("small").rho_micro / 1_000_000
    print(
        "  a reader of releases gains, from one week's noise, at most"
        f" {content.release_bound(cost):.4f} for ordered genres, {content.release_bound(whole):.4f} for all"
    )
    own = judge(content.across_measures(1_000), [0])
    print(f"  one genre in two measures of the regional profile, drawn apart: {own}")
    held = play(UNPLUGGED, os.cpu_count() or 1, unplugged=True)
    title = "limit: two boxes of five without current at night, one of six for days"
    told(f"{title}; boxes", ARRIVALS, matches(held, seeded(1), ARRIVALS))
    told(f"{title}; pairs", PAIRS, pairs(held, seeded(1)))


def tell_controls(workers: int) -> int:
    """Print what the scores see where the product is made worse; gives the number of leaks not seen."""
    print("\ncontrols: each has to show a leak")
    missed = 0
    for name, (control, score, counted) in WORSE.items():
        found = seen_by(score, play(CONTROLS, workers, control, counted=counted))
        missed += not found.shown_above(LEAK)
        print(f"  {name:<58} {found}")
    shared = judge(content.across_measures(300, controls.one_minute_for_all), [0])
    print(f"  {'one minute drawn for all measures':<58} {shared}")
    rounded = judge(content.across_volumes(300), [0])
    with controls.exact_minutes():
        exact = judge(content.across_volumes(300), [0])
    print(f"  {'exact minutes told by two measures of one grid':<58} {exact}; in sixteenths {rounded}")
    return missed + (not shared.shown_above(LEAK)) + (not exact.shown_above(rounded.advantage + LEAK))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How much is taken: the rate is raised until answers stop to follow; what 70 % and 150 % of that are like.

Saturation is the most that was answered well a second, within the seconds of sending. What was refused comes
again after each step, more slowly, so that the next begins with nothing owed.
"""

from dataclasses import dataclass

from tests.load.arrivals import SECOND_US, steady
from tests.load.books import told as books_told
from tests.load.field import AGAIN_S, Extent, Field, coming_again, laid_out
from tests.load.figures import HEAD, Line, line_of, plain, told
from tests.load.plan import Ask, Result

FIRST = {"order": 300.0, "batch": 10.0, "fragment": 700.0}
"""What is offered a second to begin with."""
RAISED, MOST_STEPS = 1.5, 8
FOLLOWS = 0.9
"""Saturated is what answers less than this part of what is offered."""
CALM, BEYOND = 0.7, 1.5
BATCH = 100


@dataclass(frozen=True)
class Step:
    """One rate: the line of its kind, and processor us a request of either side."""

    line: Line
    server_us: float
    generator_us: float


def _step(field: Field, kind: str, rate: float, seconds: float) -> Step:
    moments = steady(rate, seconds, field.chance)
    before = field.cpu_s()
    result = (
        fragments_at(field, moments, seconds)
        if kind == "fragment"
        else orders_at(field, (kind, rate), moments, seconds)
    )
    who = "gateway" if kind == "fragment" else "serve"
    spent = field.cpu_s()[who] - before[who]
    sent = sum(sum(one.statuses.values()) for one in result.kinds.values())
    return Step(
        line_of(kind, result.kinds[kind], seconds),
        1e6 * spent / sent,
        1e6 * result.cpu_s / sent,
    )


def orders_at(field: Field, what: tuple[str, float], moments: list[int], seconds: float) -> Result:
    """Let boxes place orders, single or in batches, at these moments; `what` is the kind, and its rate."""
    kind, rate = what
    every = field.fleet.boxes
    each = BATCH if kind == "batch" else 1
    turn = len(moments) % len(every)
    boxes = every[: len(moments)]
    field.fleet.boxes = every[turn:] + every[:turn]  # the next step begins where this one ends
    rounds, more = divmod(len(moments), len(boxes))  # as many messages as will be placed, and none beside
    chains = field.fleet.sign_orders(boxes[:more], each * (rounds + 1))
    chains += field.fleet.sign_orders(boxes[more:], each * rounds)
    asks = [Ask(at, kind, b"", number % len(boxes), each) for number, at in enumerate(moments)]
    asks += coming_again(len(boxes), moments[-1] + int(AGAIN_S * SECOND_US), rate / 3)
    return field.play(asks, (boxes, chains), seconds)


def fragments_at(field: Field, moments: list[int], seconds: float) -> Result:
    """Send a fragment at each of these moments in us."""
    first = len(field.fleet.fragments)
    field.fleet.seal_fragments(len(moments))
    asks = [Ask(at, "fragment", str(first + number).encode()) for number, at in enumerate(moments)]
    return field.play(asks, ([], []), seconds)


def ramp(field: Field, kind: str) -> tuple[list[Step], list[Step]]:
    """The steps up to saturation, and those at 70 % and 150 % of it."""
    seconds, rate = field.extent.seconds, FIRST[kind]
    steps: list[Step] = []
    while len(steps) < MOST_STEPS and (
        not steps or steps[-1].line.good_s >= FOLLOWS * steps[-1].line.offered_s
    ):
        steps.append(_step(field, kind, rate, seconds / 2))
        rate *= RAISED
    saturation = max(step.line.good_s for step in steps)
    return steps, [_step(field, kind, part * saturation, seconds) for part in (CALM, BEYOND)]


def run(extent: Extent) -> dict[str, object]:
    """Raise the rate of single orders, batches of a hundred, and fragments."""
    report: dict[str, object] = {}
    with laid_out(extent, extent.boxes) as (field, books):
        for kind in FIRST:
            report[kind] = _tell(kind, *ramp(field, kind))
    print(books_told(books[0]))
    report["faults"] = books[0].faults
    return report


def _tell(kind: str, steps: list[Step], judged: list[Step]) -> dict[str, object]:
    saturation = max(step.line.good_s for step in steps)
    print(f"\n{kind}: saturation {saturation:,.0f} a second\n{HEAD}  [CPU us: server / generator]")
    names = [f"step {number}" for number in range(1, len(steps) + 1)] + ["at 70 %", "at 150 %"]
    for name, step in zip(names, [*steps, *judged], strict=True):
        print(f"{told(step.line, name)}  [{step.server_us:.0f} / {step.generator_us:.0f}]")
    calm = judged[0].line
    ratio = calm.ms[2] / calm.ms[0] if calm.ms[0] else 0.0
    print(f"  at 70 % of saturation p99 is {ratio:.1f} times p50", flush=True)
    lines = [plain(step.line) for step in [*steps, *judged]]
    return {"saturation_s": saturation, "p99_over_p50": ratio, "steps": lines}

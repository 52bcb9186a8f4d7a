"""The headend beside the obvious version of it, in one run: Flask with one sqlite-utils insert a request.

Both are served by granian, the obvious one with its defaults: one worker and one thread, as gunicorn's sync
worker would be, which is not installed here and takes more time for a request. Both answer after a durable
commit. What is sent is prepared before, by a generator in a process and on a core of its own, over lasting
connections that are always busy; each round sends to both, one after the other.

- one order a request: ours checks signature and chain, rates, posts to the ledger and acknowledges;
  the obvious one keeps the same facts as it gets them, unsigned
- batches of 100 orders, each signed, beside one event a request
- sealed fragments with a token each (`headend gateway`), beside look-and-update of a counter

Then the latency of single orders at 70 % of what was just taken, open loop.

    python -m benchmarks.obvious
"""

import argparse
import os
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from statistics import median

import msgspec

from headend.app import open_headend
from tests.load.arrivals import steady
from tests.load.figures import HEAD, line_of, told
from tests.load.fleet import JSON, KINDS, OFFERS, Fleet, enrol
from tests.load.plan import Ask, Kind, Plan, Result
from tests.load.serving import Served, generate, on_core, serving, started

ORDERS, BATCHES, FRAGMENTS, OBVIOUS = 2_000, 30, 2_000, 200
"""How many of each are sent in a round."""
BATCH = 100
CONNECTIONS = {"batch": 8}
MOST_CONNECTIONS = 64
"""How many requests are on their way at once; batches are large, and a few of them are as much work."""
CALM, CALM_S = 0.7, 15.0
GOALS = {"order": 15.0, "batch": 60.0, "fragment": 15.0}
MOST_TAIL = 10.0
"""The goal: p99 is under so many times p50 at 70 % of saturation."""
OURS = {
    "event": Kind("obvious", "POST", "/events", JSON),
    "fact": Kind("obvious", "POST", "/facts", JSON),
    **KINDS,
}
BESIDE = {"order": "event", "batch": "event", "fragment": "fact"}


@dataclass(frozen=True)
class Rate:
    """What a round gave: items a second, and processor us an item of the server and of the generator."""

    a_second: float
    server_us: float
    generator_us: float


class Bench:
    """A fleet and three servers, and rounds of sending."""

    def __init__(self, fleet: Fleet, folder: Path, served: dict[str, Served], core: int) -> None:
        self._fleet, self._folder, self._served, self._core = fleet, folder, served, core
        self._nodes = {name: [one.url] for name, one in served.items()}
        self._sent = count()
        self.acked = self.accepted = self.kept = 0

    def round(self, kind: str) -> Rate:
        """Send a round of one kind as fast as it is taken."""
        asks, chains = self._asks(kind, 0)
        items = sum(map(len, chains)) or len(asks)
        server = self._served[OURS[kind].nodes]
        before = server.cpu_s()
        result = self._play(asks, chains, CONNECTIONS.get(kind, MOST_CONNECTIONS))
        spent = server.cpu_s() - before
        return Rate(items / result.wall_s, 1e6 * spent / items, 1e6 * result.cpu_s / items)

    def calm(self, rate: float) -> Result:
        """Offer single orders at a rate, open loop."""
        moments = steady(rate, CALM_S, Random(2006))
        boxes = self._fleet.boxes
        chains = self._fleet.sign_orders(boxes, -(-len(moments) // len(boxes)))
        asks = [Ask(at, "order", b"", number % len(boxes), 1) for number, at in enumerate(moments)]
        return self._play(asks, chains, 1_000)

    def _play(self, asks: list[Ask], chains: list[list[bytes]], connections: int) -> Result:
        plan = Plan(self._nodes, OURS, asks, chains, most_connections=connections, window_s=CALM_S)
        result = generate(plan, self._folder, self._core)
        wrong = [(kind, one.statuses) for kind, one in result.kinds.items() if one.statuses.keys() - {"good"}]
        if wrong or result.acked != result.placed:
            raise SystemExit(f"not all was taken: {wrong}")
        self.acked += sum(result.acked)
        self.accepted += result.kinds["fragment"].statuses.get("good", 0)
        self.kept += result.kinds["event"].statuses.get("good", 0)
        return result

    def _asks(self, kind: str, at_us: int) -> tuple[list[Ask], list[list[bytes]]]:
        fleet = self._fleet
        if kind in {"order", "batch"}:
            each, boxes = (BATCH, fleet.boxes[:BATCHES]) if kind == "batch" else (1, fleet.boxes[:ORDERS])
            fleet.boxes = fleet.boxes[BATCHES:] + fleet.boxes[:BATCHES]  # other boxes in the next round
            chains = fleet.sign_orders(boxes, each)
            return [Ask(at_us, kind, b"", number, each) for number in range(len(boxes))], chains
        bodies = fleet.seal_fragments(FRAGMENTS) if kind == "fragment" else self._plain(kind)
        return [Ask(at_us, kind, body) for body in bodies], []

    def _plain(self, kind: str) -> list[bytes]:
        return [
            _fact(next(self._sent)) if kind == "fact" else _event(next(self._sent)) for _ in range(OBVIOUS)
        ]


def _event(number: int) -> bytes:
    """What an order says, as somebody would send it who signs nothing."""
    order = {
        "box": f"bx{number % ORDERS:016x}",
        "seq": number,
        "offer": f"film-{number % OFFERS}",
        "offer_version": 1,
        "price_cents": 499,
        "currency": "EUR",
        "vat_bp": 2100,
        "placed_ms": number,
        "pin_verified": True,
    }
    return msgspec.json.encode(order)


def _fact(number: int) -> bytes:
    return msgspec.json.encode({"measure": "genre", "cell": f"2026-W47 genre {number % 12}"})


@contextmanager
def _obvious(folder: Path, core: int) -> Iterator[Served]:
    os.environ["OBVIOUS_DATABASE"] = str(folder / "obvious.db")
    words = [
        *on_core(core),
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--no-ws",
        "--blocking-threads",
        "1",
    ]
    with started([*words, "benchmarks.obvious_app:app", "--port"], "/") as served:
        yield served


def _median(rates: list[Rate]) -> Rate:
    return Rate(*(median(getattr(rate, name) for rate in rates) for name in Rate.__dataclass_fields__))


def _compare(bench: Bench, rounds: int) -> dict[str, float]:
    missed = {}
    heads = ("a second", "CPU us", "sender", "beside", "CPU us", "ratio", "of CPU", "goal")
    print(" " * 10 + "".join(f"{head:>10}" for head in heads))
    speeds = {}
    for kind, beside in BESIDE.items():
        pairs = [(bench.round(kind), bench.round(beside)) for _ in range(rounds)]
        ours, theirs = _median([one for one, _ in pairs]), _median([other for _, other in pairs])
        ratio = median(one.a_second / other.a_second for one, other in pairs)
        cpu = median(other.server_us / one.server_us for one, other in pairs)
        figures = (ours.a_second, ours.server_us, ours.generator_us, theirs.a_second, theirs.server_us)
        rounded = "".join(f"{figure:10,.0f}" for figure in figures)
        print(f"{kind:10}{rounded}{ratio:10.1f}{cpu:10.1f}{GOALS[kind]:10.0f}", flush=True)
        speeds[kind] = ours.a_second
        missed[kind] = ratio < GOALS[kind]
    return speeds | {"missed": float(sum(missed.values()))}


def _all_there(fleet: Fleet, bench: Bench, database: Path) -> bool:
    headend = open_headend(fleet.installation)
    assert headend.billing is not None  # noqa: S101 (all sides were opened)
    assert headend.analytics is not None  # noqa: S101 (likewise)
    stood = headend.billing.reconciliation()
    counted = sum(one.count for one in headend.analytics.store.accepted())
    headend.close()
    kept = sqlite3.connect(database).execute("SELECT count(*) FROM events").fetchone()[0]
    print(
        f"orders acknowledged {bench.acked:,}, stored {stood.received:,}, books close: {stood.closes}\n"
        f"fragments answered {bench.accepted:,}, counted {counted:,}\n"
        f"the obvious version answered {bench.kept:,} events, kept {kept:,}"
    )
    return stood.closes and (stood.received, counted, kept) == (bench.acked, bench.accepted, bench.kept)


def main() -> int:
    """Measure; 1 if something acknowledged is missing, or a goal is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    free = os.sched_getaffinity(0)
    near, far = min(free), max(free)
    with tempfile.TemporaryDirectory(prefix="stb-obvious-") as name:
        folder = Path(name)
        fleet = enrol(folder, ORDERS)
        installed = fleet.installation.folder
        with (
            serving(installed, "serve", "--gateway-apart", core=near) as rest,
            serving(installed, "gateway", core=near) as line,
            _obvious(folder, near) as obvious,
        ):
            bench = Bench(
                fleet, folder, {"named": rest, "anonymous": line, "console": rest, "obvious": obvious}, far
            )
            for kind in BESIDE.keys() | BESIDE.values():
                bench.round(kind)  # to warm up
            found = _compare(bench, rounds)
            calm = line_of("order", bench.calm(CALM * found["order"]).kinds["order"], CALM_S)
        whole = _all_there(fleet, bench, folder / "obvious.db")
    tail = calm.ms[2] / calm.ms[0]
    print(f"{HEAD}\n{told(calm, 'orders at 70 %')}\np99 is {tail:.1f} times p50 (goal under {MOST_TAIL:.0f})")
    return int(not whole or tail >= MOST_TAIL or bool(found["missed"]))


if __name__ == "__main__":
    raise SystemExit(main())

"""One node beside two on the same PostgreSQL, in turns: what is taken a second, and what it costs whom.

A PostgreSQL of its own whose commits are durable, an installation on it, two real `headend serve`, and the
generator of tests/load in a process of its own, which keeps so many requests on their way at each node. Every
order is signed and rated, every fragment has a token of its own; afterwards the books are closed.

A machine of two cores is full with one node, its database and the generator: a second node finds nothing
left to run on, and what is measured then is the machine. So all is played again with nodes that are held to a
share of a core, the same for one node as for each of two, and so small that the rest suffices for the others.
That is how the software grows; a node is stopped whatever locks it holds, as by the limit of a control group.

    python -m benchmarks.nodes [--rounds 3] [--part 0.2] [--calm] [--waits] [--sizes] [--json FILE]

NODES_FOLDER says where the server's files are (usually in memory, where a sync costs nothing).
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from benchmarks.nodes.database import SIDES, Database, Waits, postgres
from benchmarks.nodes.figures import Found, Pair, Size, record
from benchmarks.nodes.rounds import Bench
from tests.load.books import Books, told
from tests.load.field import Extent, Field
from tests.load.figures import HEAD
from tests.load.figures import told as line_told
from tests.load.fleet import enrol
from tests.load.serving import serving

GOAL = 1.4
SENT = {"order": 500, "batch": 5, "fragment": 1_000}
"""How many requests of each kind are sent in a round."""
BATCH_BOXES = 100
CALM, CALM_S = 0.7, 10.0


@contextmanager
def laid_out(database: Database) -> Iterator[tuple[Bench, list[Books]]]:
    """Two nodes on a database, and boxes before them; the books are closed into the list when it is left."""
    closed: list[Books] = []
    with tempfile.TemporaryDirectory(prefix="stb-nodes-") as name:
        folder = Path(name)
        (folder / "b").mkdir()
        fleet = enrol(folder, SENT["order"] + BATCH_BOXES, {side: database.place(side) for side in SIDES})
        first = fleet.installation.folder
        second = fleet.installation.make_node(folder / "b" / "headend").folder
        with serving(first, "serve") as a, serving(second, "serve") as b:
            nodes = {name: [a.url, b.url] for name in ("named", "anonymous")}
            field = Field(fleet, folder, Extent(), nodes, {"a": a, "b": b})
            bench = Bench(field, database, SENT)
            yield bench, closed
            bench.all_boxes()
            field.settle()
        closed.append(field.clerk.close())


def tell(pair: Pair) -> None:
    """A line for one node and one for two."""
    for nodes, rate in ((1, pair.one), (2, pair.two)):
        figures = (rate.node_us, rate.database_us, rate.generator_us)
        each = "".join(f"{one:11,.0f}" for one in figures)
        print(
            f"{pair.kind:10}{nodes:6}{pair.part or 1:6.2f}{rate.a_second:10,.0f}{each}{rate.cores:7.2f}",
            end="",
        )
        print(f"{pair.ratio:8.2f}{pair.per_cpu:9.2f}" if nodes == 2 else "", flush=True)  # noqa: PLR2004


def _measure(bench: Bench, asked: argparse.Namespace) -> list[Pair]:
    for kind in asked.kinds:
        for _ in range(2):
            bench.round(kind, 2)  # to warm up
    print(
        f"{'':10}{'nodes':>6}{'core':>6}{'a second':>10}{'node us':>11}{'database':>11}{'generator':>11}"
        f"{'cores':>7}{'ratio':>8}{'per CPU':>9}"
    )
    pairs = []
    for part in (0.0, asked.part):
        for kind in asked.kinds:
            pairs.append(bench.compare(kind, asked.rounds, part))
            tell(pairs[-1])
    return pairs


def _calm(bench: Bench, pairs: list[Pair]) -> None:
    print(f"\none node at {CALM:.0%} of what it took\n{HEAD}")
    for pair in pairs:
        if not pair.part and pair.kind != "batch":
            print(line_told(bench.calm(pair.kind, CALM * pair.one.a_second, CALM_S)), flush=True)


def _sizes(database: Database, side: str) -> dict[str, Size]:
    database.tidy(side)
    found = database.sizes(side)
    print(f"\n{side}: rows, bytes a row, with indexes")
    for name, size in found.items():
        print(f"  {name:24}{size.rows:10,}{size.row_bytes:10,.0f}{size.whole_bytes:10,.0f}")
    return found


def main() -> int:
    """Measure; 1 if a goal is missed, something was deadlocked, or something acknowledged is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nodes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", type=float, default=0.2, help="of a core for each node, in the second half")
    parser.add_argument("--kinds", nargs="*", choices=list(SENT), default=list(SENT))
    parser.add_argument("--calm", action="store_true", help="latencies at 70 %% of one node's rate too")
    parser.add_argument("--waits", action="store_true", help="what the server's processes wait for too")
    parser.add_argument("--sizes", action="store_true", help="bytes of a row too")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    asked = parser.parse_args()
    with postgres() as database:
        with laid_out(database) as (bench, books):
            with Waits(database) if asked.waits else nullcontext() as waits:
                pairs = _measure(bench, asked)
            if asked.calm:
                _calm(bench, pairs)
        deadlocks = database.deadlocks()
        sizes = {side: _sizes(database, side) for side in SIDES} if asked.sizes else {}
    if waits is not None:
        waits.tell()
    print(f"deadlocks {deadlocks}\n{told(books[0])}")
    scaled = [pair for pair in pairs if pair.part]
    for pair in scaled:
        print(f"{pair.kind}: two nodes of {pair.part} core take {pair.ratio:.2f} times one (goal {GOAL})")
    if asked.json:
        record(Found(pairs, sizes), asked.json)
    return int(bool(deadlocks or books[0].faults) or any(pair.ratio < GOAL for pair in scaled))


if __name__ == "__main__":
    raise SystemExit(main())

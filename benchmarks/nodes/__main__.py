"""One node beside two on the same PostgreSQL, in turns: what is taken a second, and what it costs whom.

A PostgreSQL of its own whose commits are durable, an installation on it, two real `headend serve`, and the
generator of tests/load in a process of its own, which keeps so many requests on their way at each node. Every
order is signed and rated, every fragment has a token of its own; afterwards the books are closed.

A machine of two cores is full with one node, its database and the generator: a second node finds nothing left
to run on, and what is measured then is the machine. So each round is also played with a quota: every node has
the same small part of a core, one node or two, and the rest is enough for the others. That tells how the
software grows; a node is stopped by its quota whatever locks it holds, as by that of a control group.

    python -m benchmarks.nodes [--rounds 4] [--part 0.2] [--calm] [--waits] [--sizes] [--json FILE]

NODES_FOLDER says where the server's files are (usually in memory, where a sync costs nothing).
"""

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.nodes.database import SIDES, Database, Waits, postgres
from benchmarks.nodes.rounds import Bench, Rate, middle
from tests.load.books import Books, told
from tests.load.field import Extent, Field
from tests.load.figures import HEAD, Line
from tests.load.figures import told as line_told
from tests.load.fleet import enrol
from tests.load.serving import serving

GOAL = 1.4
SENT = {"order": 500, "batch": 5, "fragment": 1_000}
"""How many requests of each kind are sent in a round."""
BATCH_BOXES = 100
CALM, CALM_S = 0.7, 10.0


@dataclass(frozen=True)
class Pair:
    """Medians of one kind's rounds: one node, two, and of each turn two by one."""

    kind: str
    part: float
    one: Rate
    two: Rate
    ratio: float
    of_servers: float


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


def compare(bench: Bench, kind: str, rounds: int, part: float) -> Pair:
    """Rounds at one node and at two, in turns; each turn begins with the other."""
    turns: list[tuple[Rate, Rate]] = []
    for turn in range(rounds):
        order = (1, 2) if turn % 2 == 0 else (2, 1)
        found = {nodes: bench.round(kind, nodes, part) for nodes in order}
        turns.append((found[1], found[2]))
    return Pair(
        kind,
        part,
        middle([one for one, _ in turns]),
        middle([two for _, two in turns]),
        median(two.a_second / one.a_second for one, two in turns),
        median(one.servers_us / two.servers_us for one, two in turns),
    )


def tell(pair: Pair) -> None:
    """A line for one node and one for two."""
    for nodes, rate in ((1, pair.one), (2, pair.two)):
        figures = (rate.node_us, rate.database_us, rate.generator_us)
        each = "".join(f"{one:11,.0f}" for one in figures)
        print(
            f"{pair.kind:10}{nodes:6}{pair.part or 1:6.2f}{rate.a_second:10,.0f}{each}{rate.cores:7.2f}",
            end="",
        )
        print(f"{pair.ratio:8.2f}{pair.of_servers:9.2f}" if nodes == 2 else "", flush=True)  # noqa: PLR2004


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
            pairs.append(compare(bench, kind, asked.rounds, part))
            tell(pairs[-1])
    return pairs


def _calm(bench: Bench, pairs: list[Pair]) -> list[Line]:
    print(f"\none node at {CALM:.0%} of what it took\n{HEAD}")
    lines = []
    for pair in pairs:
        if not pair.part and pair.kind != "batch":
            lines.append(bench.calm(pair.kind, CALM * pair.one.a_second, CALM_S))
            print(line_told(lines[-1]), flush=True)
    return lines


def _sizes(database: Database, side: str) -> dict[str, tuple[int, int, int]]:
    database.tidy(side)
    found = database.sizes(side)
    print(f"\n{side}: rows, bytes a row, with indexes")
    for name, (rows, own, whole) in found.items():
        print(f"  {name:24}{rows:10,}{own / rows:10,.0f}{whole / rows:10,.0f}")
    return found


def main() -> int:
    """Measure; 1 if a goal is missed, something was deadlocked, or something acknowledged is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nodes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
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
            lines = _calm(bench, pairs) if asked.calm else []
        deadlocks = database.deadlocks()
        sizes = {side: _sizes(database, side) for side in SIDES} if asked.sizes else {}
    if waits is not None:
        waits.tell()
    print(f"deadlocks {deadlocks}\n{told(books[0])}")
    scaled = [pair for pair in pairs if pair.part]
    for pair in scaled:
        print(f"{pair.kind}: two nodes of {pair.part} core take {pair.ratio:.2f} times one (goal {GOAL})")
    if asked.json:
        report = {"pairs": [asdict(pair) for pair in pairs], "calm": [asdict(line) for line in lines]}
        asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(report | {"sizes": sizes})))
    return int(bool(deadlocks or books[0].faults) or any(pair.ratio < GOAL for pair in scaled))


if __name__ == "__main__":
    raise SystemExit(main())

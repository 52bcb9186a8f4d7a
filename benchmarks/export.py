"""How fast batches are closed and rendered, against the bare read of the same rows in the same run.

`python -m benchmarks.export [--rows N]` prints rates and ratios, and exits 1 when a goal is missed. Rates are
this machine's; the goals are ratios, each figure the best of several turns taken in alternation. What counts
is the processor's time, so that neighbours on the machine disturb little.
"""

import argparse
import csv
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from headend.billing import exports, ledger
from headend.billing.formats import jsonl
from headend.billing.formats.registry import format_named
from headend.billing.rows import Batch, Entry
from headend.billing.sqlite import SqliteBilling
from headend.billing.store import BillingTx
from shared.named import GENESIS

ROWS = 200_000
TURNS = 5
NOW_MS = 1_760_000_000_000
GOALS = (
    ("JSON Lines", "SQLite read", 0.6),
    ("CSV", "raw CSV writer", 0.5),
    ("chained and signed", "plain JSON Lines", 0.75),
    ("closed", "plain JSON Lines", 0.5),
)


class _UndoneError(Exception):
    """Closes nothing, so that the next turn can close it again."""


@dataclass(frozen=True)
class Books:
    """A ledger of so many invented entries in a database of its own."""

    store: SqliteBilling
    rows: int
    key: Ed25519PrivateKey

    def fill(self) -> None:
        """Insert the entries, chained as the books chain them."""
        marks = ", ".join("?" * len(Entry.__struct_fields__))
        sql = f"INSERT INTO entries VALUES ({marks})"
        self.store.storage.write(lambda db: db.executemany(sql, _entries(self.rows)))

    def close(self) -> Batch:
        """Close the batch, for good."""
        return self.store.write(lambda tx: exports.close_batch(tx, NOW_MS))

    def closed(self) -> None:
        """Close the batch, its Merkle tree included, and undo it."""

        def work(tx: BillingTx) -> None:
            exports.close_batch(tx, NOW_MS)
            raise _UndoneError

        with suppress(_UndoneError):
            self.store.write(work)

    def plain(self, batch: Batch) -> None:
        """The same JSON Lines, header and trailer included, without any hash."""
        jsonl.header(batch)
        for rows in jsonl.some_rows(self.store.read(), 1, self.rows):
            jsonl.lines(rows)
        jsonl.trailer(self.store.read(), batch)

    def read(self) -> None:
        """The bare read: tuples of all columns."""
        for _ in self.store.read().entry_rows(1, self.rows):
            pass

    def raw_csv(self) -> None:
        """The csv module's writer, straight from the database."""
        with Path(os.devnull).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(self.store.read().entry_rows(1, self.rows))

    def chained_and_signed(self, batch: Batch) -> None:
        """JSON Lines with the running hash, and the signed head that names it."""
        self.rendered("jsonl", batch)()
        exports.signed_head(batch, self.key)

    def rendered(self, name: str, batch: Batch) -> Callable[[], None]:
        """A format's rendering, with its check that the batch is what was closed."""

        def work() -> None:
            for _ in format_named(name).render(self.store.read(), batch):
                pass

        return work


def _entries(count: int) -> Iterator[tuple[Any, ...]]:
    last, last_hash, proof = 0, GENESIS, f"{'a' * 64}:{'b' * 64}"
    for number in range(count):
        draft = ledger.Draft(
            kind="usage",
            account=f"acc-{number % 5000}",
            ref=f"bx{number % 5000:016x}/1/{number}",
            month="2026-10",
            text="film",
            currency="EUR",
            vat_bp=2100,
            proof=proof,
            at_ms=NOW_MS + number,
            amounts=ledger.usage(499),
        )
        entry = ledger.chained(draft, last, last_hash)
        last, last_hash = entry.entry, entry.hash
        yield structs.astuple(entry)


def best_of(works: dict[str, Callable[[], None]]) -> dict[str, float]:
    """The least seconds that each of these took; they take turns, so that a busy moment hits all alike."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(TURNS):
        for name, work in works.items():
            start = process_time()
            work()
            best[name] = min(best[name], process_time() - start)
    return best


def measure(rows: int, folder: Path) -> dict[str, float]:
    """Seconds by what was done, over that many entries."""
    books = Books(SqliteBilling(folder / "billing.db"), rows, Ed25519PrivateKey.generate())
    try:
        books.fill()
        closed = best_of({"closed": books.closed})
        batch = books.close()
        rendered: dict[str, Callable[[], None]] = {
            "SQLite read": books.read,
            "plain JSON Lines": partial(books.plain, batch),
            "JSON Lines": books.rendered("jsonl", batch),
            "chained and signed": partial(books.chained_and_signed, batch),
            "raw CSV writer": books.raw_csv,
            "CSV": books.rendered("csv", batch),
        }
        return best_of(rendered) | closed
    finally:
        books.store.close()


def main() -> int:
    """Measure, print, and say by the exit code whether every goal is met."""
    parser = argparse.ArgumentParser(description="How fast batches are closed and rendered.")
    parser.add_argument("--rows", type=int, default=ROWS)
    rows = parser.parse_args().rows
    with TemporaryDirectory() as folder:
        seconds = measure(rows, Path(folder))
    print(f"{rows:,} entries of {len(Entry.__struct_fields__)} columns")
    for name, taken in seconds.items():
        print(f"  {name:20} {rows / taken:12,.0f} a second")
    missed = 0
    for name, against, goal in GOALS:
        ratio = seconds[against] / seconds[name]
        met = ratio >= goal
        missed += not met
        print(f"  {name} / {against}: {ratio:.2f} (goal {goal}) {'met' if met else 'MISSED'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

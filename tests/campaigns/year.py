"""A year of a town with every fault switched on, and then the whole of its books gone over.

    python -m tests.campaigns.year --households 40 --weeks 53

The town is the simulator's: real boxes, real processes, lines that lose, double and delay, SIGKILLs, an
adversary, boxes that change hands. What it leaves is closed, exported and proven order by order; then
subscribers have their titles erased, and every proof, batch and sum is gone over again.
"""

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from headend.app import open_headend
from headend.billing import checker, erasure, exports
from headend.billing.formats.registry import format_named
from headend.billing.proofs import check_proof
from headend.billing.proving import prove
from headend.billing.reconcile import reconcile
from headend.billing.rows import Entry
from headend.billing.side import BillingSide
from headend.installation import Installation
from simulator.invariants import lost_and_doubled
from simulator.report import Report
from simulator.world import Setup, World

FORMATS = ("jsonl", "csv", "ubl")


@dataclass
class Found:
    """What going over the books has found."""

    lines: list[tuple[str, bool, str]]

    def say(self, sentence: str, *, holds: bool, found: str) -> None:
        """Note one sentence, whether it holds, and the figures."""
        self.lines.append((sentence, holds, found))

    @property
    def holds(self) -> bool:
        """Whether every sentence does."""
        return all(holds for _, holds, _ in self.lines)


def prove_all(billing: BillingSide) -> tuple[int, list[str]]:
    """Prove every order of every batch, and check each proof with the public key alone."""
    look, key = billing.store.read(), billing.setup.billing_key
    last = look.last_batch()
    refs = [entry.ref for entry in usage(billing, 0 if last is None else last.last_entry)]
    wrong = []
    for ref in refs:
        box, epoch, seq = ref.rsplit("/", 2)
        link, annex = look.link(box, int(epoch), int(seq)), look.annex(box, int(epoch), int(seq))
        title = None if annex is None else (annex.salt, annex.offer)
        proven = check_proof(prove(look, ref, key), key.public_key(), link.envelope, title)
        if proven.ref != ref:
            wrong.append(ref)
    return len(refs), wrong


def usage(billing: BillingSide, last: int) -> list[Entry]:
    """The entries by which orders were posted, as far as batches go."""
    return [entry for entry in billing.store.read().entries(1, last) if entry.kind == "usage"]


def rendered(billing: BillingSide, folder: Path) -> dict[str, bytes]:
    """All files of all batches, written anew."""
    folder.mkdir()
    look, key = billing.store.read(), billing.setup.billing_key
    forms = [format_named(name) for name in FORMATS]
    for batch in list(look.batches()):
        list(exports.write_batch(look, batch.batch, key, folder, forms))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def go_over(billing: BillingSide, folder: Path, when: str, found: Found) -> dict[str, bytes]:
    """Everything that must hold of the books, once."""
    sums = reconcile(billing.store.read())
    found.say(
        f"{when}: the books close",
        holds=sums.closes and sums.ledger_sum == 0 and sums.entries == sums.entries_in_batches,
        found=f"{sums.received} orders, {sums.entries} entries, {sums.entries_in_batches} in batches",
    )
    files = rendered(billing, folder)
    checked, _ = checker.check_folder(folder, billing.setup.billing_key.public_key(), checker.Taken())
    verdicts = Counter(one.verdict.value for one in checked)
    found.say(f"{when}: every batch verifies", holds=set(verdicts) == {"ok"}, found=str(dict(verdicts)))
    proven, wrong = prove_all(billing)
    found.say(f"{when}: every order is proven", holds=not wrong and proven > 0, found=f"{proven} proofs")
    return files


def erase_some(billing: BillingSide, found: Found) -> None:
    """Every third subscriber asks for erasure, bought titles too."""
    accounts = [account.account for account in billing.store.read().accounts()][::3]
    for account in accounts:
        billing.store.write(
            lambda tx, account=account: erasure.erase(
                tx, account, "campaign", billing.now_ms(), give_up_bought=True
            )
        )
    look = billing.store.read()
    left = [
        order.ref
        for account in accounts
        for order in look.orders_of(account)
        if look.annex(order.box, order.epoch, order.seq) is not None and order.state.value == "billed"
    ]
    found.say(
        "erased titles are gone", holds=not left, found=f"{len(accounts)} subscribers, {len(left)} left"
    )


def play(folder: Path, households: int, weeks: int, seed: int) -> Found:
    """Play the town, then go over its books twice."""
    setup = Setup(
        folder=folder / "play",
        boxes_folder=folder / "boxes",
        seed=seed,
        households=households,
        weeks=weeks,
        faults="harsh",
    )
    said = [""]

    def progress(what: str, part: float) -> None:
        if what != said[0]:
            said[0] = what
            print(f"{part:6.1%}  {what}", flush=True)

    found = Found([])
    world = World(setup, progress)
    try:
        outcome = world.play()
        report = Report(outcome)
        lost, doubled = lost_and_doubled(report.books, outcome.account)
        found.say(
            "nothing is lost, nothing doubled",
            holds=not lost and not doubled,
            found=f"{len(outcome.account.placed)} placed, {len(lost)} lost, {len(doubled)} doubled, "
            f"{len(outcome.killed)} kills of processes, {outcome.account.kills} of agents",
        )
        for one in report.invariants:
            found.say(one.sentence, holds=one.holds, found=one.found)
        installation = Installation(outcome.headend.folder)
    finally:
        world.stop()
    headend = open_headend(installation, ("billing",))
    try:
        before = go_over(headend.billing, folder / "before", "after a year", found)
        erase_some(headend.billing, found)
        after = go_over(headend.billing, folder / "after", "after erasures", found)
        found.say(
            "batches are the same bytes after erasures", holds=before == after, found=f"{len(before)} files"
        )
    finally:
        headend.close()
    return found


def main() -> int:
    """Play a year; 1 if anything that must hold did not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--households", type=int, default=40)
    parser.add_argument("--weeks", type=int, default=53)
    parser.add_argument("--seed", type=int, default=2006)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stb-year-", ignore_cleanup_errors=True) as folder:
        found = play(Path(folder), asked.households, asked.weeks, asked.seed)
    for sentence, holds, figures in found.lines:
        print(f"{'holds ' if holds else 'BROKEN'}  {sentence}: {figures}")
    return int(not found.holds)


if __name__ == "__main__":
    sys.exit(main())

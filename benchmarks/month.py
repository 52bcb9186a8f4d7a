"""A month of many orders, billed and closed: how long it takes, and that memory does not grow with them.

Each step runs in a process of its own, so that its peak memory is its own: the town is written by one, billed
by the next, closed and rendered by the last. Compare the peaks of a small month with those of a large one.

    python -m benchmarks.month --orders 1000000
"""

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from headend.billing import exports
from headend.billing.charging import post_usage
from headend.billing.formats import jsonl
from headend.billing.invoices import raise_month
from headend.billing.reconcile import reconcile
from headend.billing.rows import Account, Box, Link, OrderRow, OrderState
from headend.billing.sqlite import SqliteBilling
from headend.billing.store import BillingTx
from shared.clock import to_ms
from shared.named import AccountId, BoxId
from shared.system_clock import SystemClock
from shared.weeks import Month

ORDERS_AN_ACCOUNT = 10
AT_A_TIME = 200
"""Accounts written in one transaction."""
OCTOBER = Month(2026, 10)
START_MS = to_ms(datetime(2026, 10, 1, 12, tzinfo=UTC))
DAY_MS = 86_400_000
BILLED_MS = START_MS + 33 * DAY_MS
MOST_GROWTH = 1.25
"""A large month's peak may be so many times a small month's: caches fill, nothing more."""


def _account(number: int) -> Account:
    return Account(
        account=AccountId(f"acc-{number:07}"),
        zone="Europe/Amsterdam",
        country="NL",
        postal_area="1011",
        language="nl",
        spending_limit_cents=None,
        created_ms=START_MS,
    )


def _order(account: Account, box: str, seq: int) -> tuple[Link, OrderRow]:
    at = START_MS + seq * 2 * DAY_MS
    digest = hashlib.sha256(f"{box}/{seq}".encode()).hexdigest()
    link = Link(BoxId(box), 1, seq, digest, "order", b"{}", digest, at)
    row = OrderRow(
        box=BoxId(box),
        epoch=1,
        seq=seq,
        account=account.account,
        state=OrderState.RATED,
        reason="",
        kind="film",
        display="film",
        price_cents=199 + 100 * (seq % 4),
        currency="EUR",
        vat_bp=2100,
        placed_ms=at,
        effective_ms=at,
        received_ms=at,
        title_hash=digest,
        month=str(OCTOBER),
        promotion="",
        category="",
        credit_cents=0,
        credited_cents=0,
        invoice=None,
    )
    return link, row


def _fill_account(tx: BillingTx, number: int) -> None:
    account, box = _account(number), BoxId(f"bx{number:016x}")
    tx.add_account(account)
    tx.put_box(Box(box, f"SN-{number}", "key", account.account, 1, START_MS))
    for seq in range(1, ORDERS_AN_ACCOUNT + 1):
        link, row = _order(account, box, seq)
        tx.add_link(link, row.effective_ms)
        tx.add_order(row)
        post_usage(tx, row, link, row.received_ms)


def fill(store: SqliteBilling, orders: int) -> dict[str, int]:
    """Write a month of received orders, without signatures: billing is what is measured."""
    accounts = orders // ORDERS_AN_ACCOUNT
    for first in range(0, accounts, AT_A_TIME):
        numbers = range(first, min(first + AT_A_TIME, accounts))

        def work(tx: BillingTx, numbers: range = numbers) -> None:
            for number in numbers:
                _fill_account(tx, number)

        store.write(work)
    return {"orders": accounts * ORDERS_AN_ACCOUNT}


def bill(store: SqliteBilling, _: int) -> dict[str, int]:
    """Raise the month's bills."""
    return {"bills": raise_month(store, OCTOBER, BILLED_MS)}


def close(store: SqliteBilling, _: int) -> dict[str, int]:
    """Close the batch, render it, and see that the books close."""
    batch = store.write(lambda tx: exports.close_batch(tx, BILLED_MS))
    look = store.read()
    size = sum(len(chunk) for chunk in jsonl.FORMAT.render(look, batch))
    if not reconcile(look).closes:
        raise SystemExit("the books do not close")
    return {"entries": batch.last_entry, "bytes": size}


STEPS: dict[str, Callable[[SqliteBilling, int], dict[str, int]]] = {
    "fill": fill,
    "bill": bill,
    "close": close,
}


def step(name: str, folder: Path, orders: int) -> None:
    """One step in this process; prints what it did, its seconds and its peak memory in KiB."""
    clock = SystemClock()
    store = SqliteBilling(folder / "billing.db", checkpoints=True)
    began = clock.monotonic()
    done = STEPS[name](store, orders)
    seconds = clock.monotonic() - began
    store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({**done, "seconds": round(seconds, 2), "peak_kib": peak}))


def measure(orders: int) -> dict[str, dict[str, float]]:
    """A month of so many orders, step by step, each in a process of its own."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="stb-month-") as folder:
        for name in STEPS:
            command = [sys.executable, "-m", "benchmarks.month", "--step", name, "--folder", folder]
            done = subprocess.run(
                [*command, "--orders", str(orders)], capture_output=True, text=True, check=True
            )
            found[name] = json.loads(done.stdout)
    return found


def main() -> int:
    """Measure a small and a large month; 1 if memory grew with the orders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=200_000)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.step:
        step(asked.step, asked.folder, asked.orders)
        return 0
    small, large = measure(asked.orders // 10), measure(asked.orders)
    print(f"{'step':8}{'orders':>12}{'seconds':>10}{'a second':>12}{'peak MiB':>10}{'small MiB':>11}")
    grew = False
    for name, found in large.items():
        rate = asked.orders / max(found["seconds"], 0.01)
        before = small[name]["peak_kib"]
        print(
            f"{name:8}{asked.orders:12,}{found['seconds']:10.1f}{rate:12,.0f}"
            f"{found['peak_kib'] / 1024:10.1f}{before / 1024:11.1f}"
        )
        grew |= found["peak_kib"] > MOST_GROWTH * before
    print("memory grew with the orders" if grew else "memory does not grow with the orders")
    return int(grew)


if __name__ == "__main__":
    raise SystemExit(main())

"""How fast billing's pages answer over a filled database, and how much they send.

    python -m benchmarks.console.answers --file /tmp/billing.db

Each page is made through its part with a visit, a few times to warm up, then many times; what is told is the
95th of 100 in milliseconds and the bytes of the page without its frame. Exits 1 if one is over the goal.
"""

import argparse
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.console.orders import NOW_MS
from headend.billing import exports
from headend.billing.lists import Chosen, ChosenBills
from headend.billing.pages.desk import Desk
from headend.billing.pages.offered import make_deeds, make_pages
from headend.billing.pages.tiles import tiles
from headend.billing.proving import prove
from headend.billing.rows import OrderState
from headend.billing.sqlite import SqliteBilling
from headend.kit.jobs import Slot
from headend.kit.language import language_of
from headend.kit.side import Page, Visit
from shared.clock import from_ms
from shared.system_clock import SystemClock

MOST_MS, MOST_BYTES = 200.0, 250 * 1024
WARM, TIMES = 3, 20
Asked = tuple[str, dict[str, str]]


def desk_over(store: SqliteBilling) -> Desk:
    """The desk of the filled database at its present."""
    key = Ed25519PrivateKey.generate()
    return Desk(
        store=store,
        now_ms=lambda: NOW_MS,
        prove=lambda look, ref: prove(look, ref, key),
        head_of=lambda batch: exports.own_head(batch, key),
        signed_head=lambda batch: exports.signed_head(batch, key),
        random_bytes=secrets.token_bytes,
        next_bills=lambda: Slot("2026-11", from_ms(NOW_MS)),
    )


def visit_of(args: dict[str, str]) -> Visit:
    """Somebody from billing, asking."""
    return Visit("", args, "erin", "billing", language_of("nl", ZoneInfo("Europe/Amsterdam")), "token")


def asked(store: SqliteBilling) -> Iterator[Asked]:
    """Every page, with the arguments that make it work most."""
    look = store.read()
    months = sorted({cell.month for cell in look.order_cells()})
    old, new = months[1], months[-1]
    _, order = look.orders_page(Chosen(OrderState.BILLED), None, 1)[0]
    _, bill = look.bills_page(ChosenBills(kind="invoice"), None, 1)[0]
    account, box = {"account": bill.account}, {"box": order.box}
    for chosen in _order_choices(old, new, account, box):
        yield "orders", chosen
    deep, _ = look.orders_page(Chosen(), None, 1)[0]
    yield "orders", {"before": str(deep // 2)}
    yield "orders", {"before": str(deep // 2), "state": "billed", "display": "film"}
    yield "order", {"ref": order.ref}
    yield "account", account
    for chosen in (
        {},
        account,
        {"month": old},
        {"kind": "credit-note"},
        {"month": old, "kind": "credit-note"},
    ):
        yield "invoices", chosen
    yield "invoice", {"number": bill.number}
    yield "disputes", {}
    yield "disputes", {"state": "decided"}
    yield "dispute", {"number": "1"}
    yield "suspense", {}
    yield "suspense", {"reason": "price-mismatch"}
    for path in ("exports", "export-keys", "reconciliation", "boxes", "alarms"):
        yield path, {}
    yield "export", {"batch": "3"}
    yield "reconciliation", {"month": old}
    yield "boxes", {"heard": "silent", "agent": "1.4.0"}
    yield "boxes", {"agent": ""}
    yield "box", box
    yield "alarms", {"kind": "gap"}


def _order_choices(old: str, new: str, *held: dict[str, str]) -> Iterator[dict[str, str]]:
    yield {}
    states = [{}, *({"state": state.value} for state in OrderState)]
    for month in ({}, {"month": old}, {"month": new}):
        for state in states:
            for display in ({}, {"display": "film"}, {"display": "game"}):
                if {**month, **state, **display}:
                    yield {**month, **state, **display}
    for one in held:
        yield one
        yield {**one, "state": "billed", "month": old, "display": "film"}


def measure(desk: Desk) -> Iterator[tuple[str, float, int]]:
    """Each page's name, its 95th of 100 in milliseconds, and its bytes; the overview's tiles too."""
    parts = {part.path: part for part in make_pages(desk)}
    find = next(deed for deed in make_deeds(desk) if deed.path == "find")
    for path, args in asked(desk.store):
        said = " ".join(f"{name}={value}" for name, value in args.items())
        yield f"{path} {said}", *_timed(lambda path=path, args=args: parts[path].render(visit_of(args)))
    yield "find acc-01", *_timed(lambda: find.do(visit_of({"text": "acc-01"})))
    yield "tiles", *_timed(lambda: tiles(desk, visit_of({})))


def _timed(work: object) -> tuple[float, int]:
    clock, times, made = SystemClock(), [], None
    for turn in range(WARM + TIMES):
        began = clock.monotonic()
        made = work()  # type: ignore[operator] # a call without arguments
        if turn >= WARM:
            times.append((clock.monotonic() - began) * 1000)
    inside = made.inside if isinstance(made, Page) else str(made)
    return sorted(times)[int(0.95 * (len(times) - 1))], len(inside.encode())


def main() -> int:
    """Measure, print the slowest first, and say by the exit code whether every page meets the goal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--file", type=Path, required=True)
    store = SqliteBilling(parser.parse_args().file)
    found = sorted(measure(desk_over(store)), key=lambda one: -one[1])
    store.close()
    missed = 0
    for name, milliseconds, size in found:
        over = milliseconds > MOST_MS or size > MOST_BYTES
        missed += over
        print(f"{milliseconds:9.1f} ms {size / 1024:8.1f} KiB  {name}{'  OVER' if over else ''}")
    print(f"{len(found)} pages, {missed} over {MOST_MS:.0f} ms or {MOST_BYTES // 1024} KiB")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

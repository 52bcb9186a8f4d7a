"""What may never happen, judged from outside: the headend's own faces beside the truth."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headend.disclosure import TABLE, DisclosureError, Kind, Purpose, Recipient, clear
from shared.register import profile
from simulator.resident import Account
from simulator.world import Outcome

NOT_PAID = ("zero-rated", "credited", "suspended", "rejected")
"""The states of an order that nobody pays."""
PARTS = ("gross", "net", "vat", "rounding")


@dataclass(frozen=True)
class Invariant:
    """One sentence that must hold, and what was found."""

    sentence: str
    holds: bool
    found: str


@dataclass(frozen=True)
class Books:
    """What the headend tells of orders: its list, its reconciliation, its bills, its export."""

    orders: list[dict[str, Any]]
    sums: dict[str, Any]
    invoices: list[dict[str, Any]]
    verdicts: list[dict[str, Any]]
    usage: Counter[str]

    @classmethod
    def of(cls, outcome: Outcome, exports: Path) -> "Books":
        """Close the export, write it, verify it, and read everything as an operator would."""
        headend, folder = outcome.headend, str(outcome.headend.folder)
        headend.command("export", "close", folder)
        headend.command("export", "write", folder, "1", str(exports))
        key = headend.command("export", "key", folder).strip()
        many = ("--limit", "100000000")
        return cls(
            orders=headend.asked("order", "list", folder, *many),
            sums=headend.asked("reconcile", folder),
            invoices=headend.asked("invoice", "list", folder, *many),
            verdicts=headend.asked("export", "verify", str(exports), "--key", key),
            usage=_usage(exports),
        )


def _usage(exports: Path) -> Counter[str]:
    rows = (
        json.loads(line)
        for path in sorted(exports.glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    )
    return Counter(row["ref"] for row in rows if row.get("kind") == "usage")


def lost_and_doubled(books: Books, account: Account) -> tuple[list[str], list[str]]:
    """Orders that an agent said yes to and that the headend does not have; and orders booked twice."""
    known = {order["ref"] for order in books.orders}
    return (
        [order.ref for order in account.placed if order.ref not in known],
        [ref for ref, times in books.usage.items() if times > 1],
    )


def judge(outcome: Outcome, books: Books) -> list[Invariant]:
    """Every invariant that can be seen from outside."""
    return [*_billing(outcome, books), *_anonymity(outcome), *_releases(outcome), _adversary(outcome)]


def _billing(outcome: Outcome, books: Books) -> list[Invariant]:
    lost, doubled = lost_and_doubled(books, outcome.account)
    in_flight = books.sums["in_flight"]
    shown = {one.ref: (one.price_cents, one.credit_cents) for one in outcome.account.placed}
    wrong = [bill["number"] for bill in books.invoices if not adds_up(bill, shown)]
    reduced = sum(line["kind"] == "promotion" for bill in books.invoices for line in bill["lines"])
    held = [one for one in books.verdicts if one["verdict"] == "ok"]
    return [
        Invariant(
            "every order placed is at the headend once",
            not lost and not doubled and not in_flight,
            f"{len(outcome.account.placed)} placed; "
            f"lost {len(lost)}, doubled {len(doubled)}, in flight {in_flight}",
        ),
        Invariant("the books close", bool(books.sums["closes"]), f"{books.sums['received']} orders received"),
        Invariant(
            "every bill is the sum of the prices that the screen showed",
            not wrong,
            f"{len(books.invoices)} bills, {reduced} lines of promotions, {len(wrong)} wrong",
        ),
        not_paid(outcome.account, books),
        whose(outcome.account, books),
        Invariant(
            "the export verifies with the public key alone",
            bool(books.verdicts) and len(held) == len(books.verdicts),
            f"{sum(one['entries'] for one in held)} entries in {len(held)} batches",
        ),
    ]


def not_paid(account: Account, books: Books) -> Invariant:
    """What became of the orders that failed or were stopped in time."""
    stands = {order["ref"]: order["state"] for order in books.orders}
    paid = [ref for ref in account.unpaid if stands.get(ref) not in NOT_PAID]
    told = Counter(account.unpaid.values())
    return Invariant(
        "what failed, or was stopped within its preview, is not paid",
        not paid,
        f"{told['failed']} failed, {told['stopped']} stopped; paid {len(paid)}",
    )


def whose(account: Account, books: Books) -> Invariant:
    """Whether each order stands under the account that its box was bound to when it was placed."""
    billed = {order["ref"]: order["account"] for order in books.orders}
    wrong = [order.ref for order in account.placed if billed.get(order.ref) != order.account]
    return Invariant(
        "an order is the account's that its box was bound to",
        not wrong,
        f"{account.moved} boxes moved, {account.resold} resold; wrong {len(wrong)}",
    )


def adds_up(bill: dict[str, Any], shown: dict[str, tuple[int, int]]) -> bool:
    """Whether a bill or credit note is the sum of its parts, and of what the screens showed.

    `shown` is each order's price and what a promotion took off it, in cents. A bill has a line for either, a
    credit note one for what is left of the order: the town's corrections are whole ones.
    """
    lines, groups = bill["lines"], bill["groups"]
    total = sum(line["cents"] for line in lines)
    parts = bill["net"] + bill["vat"] + bill["rounding"]
    told = [sum(group[name] for group in groups) == bill[name] for name in PARTS]
    return bool(bill["gross"] == total == parts) and all(told) and _as_shown(bill, shown)


def _as_shown(bill: dict[str, Any], shown: dict[str, tuple[int, int]]) -> bool:
    charged: dict[str, list[int]] = {}
    for line in bill["lines"]:
        place = charged.setdefault(line["order_ref"], [0, 0])
        place[line["kind"] == "promotion"] += line["cents"]
    whole = bill["kind"] == "credit-note"
    return all(
        charged[ref] == ([price - credit, 0] if whole else [price, -credit])
        for ref, (price, credit) in shown.items()
        if ref in charged
    )


def _anonymity(outcome: Outcome) -> list[Invariant]:
    stored = b"".join(
        path.read_bytes() for path in sorted(outcome.headend.folder.glob("analytics.db*")) if path.is_file()
    )
    boxes = {order.box for order in outcome.account.placed}
    seen = [box for box in boxes if box.encode() in stored or bytes.fromhex(box[2:]) in stored]
    return [
        Invariant(
            "no box stands in the analytics database",
            not seen,
            f"{len(boxes)} box ids searched in {len(stored):,} bytes",
        ),
        Invariant(
            "who refuses, sends nothing",
            outcome.account.sent_while_refused == 0,
            f"{outcome.account.sent_while_refused} fragments of refused weeks",
        ),
    ]


def _releases(outcome: Outcome) -> list[Invariant]:
    headend, folder = outcome.headend, str(outcome.headend.folder)
    released = [one["week"] for one in headend.asked("release", "list", folder) if one["state"] == "released"]
    same = all(_drawn_once(outcome, week) for week in released[-1:])
    budget = headend.asked("budget", "explain", folder)["budget"]
    spent = sum(week["rho_micro"] for week in budget["weeks"])
    cost = profile(outcome.setup.profile).rho_micro * len(released)
    over = _more_than_issued(outcome, released)
    return [
        Invariant("asking again gives the same release", same, "the last was asked for again"),
        Invariant(
            "the budget has paid for each release, once", spent == cost, f"rho {spent / 1_000_000:.4f} spent"
        ),
        Invariant("no more fragments than tokens", not over, ", ".join(over) or "in every measure"),
        Invariant(
            "nothing can be cleared for an advertiser", _no_advertiser(), "every kind and purpose tried"
        ),
    ]


def _drawn_once(outcome: Outcome, week: str) -> bool:
    headend, folder = outcome.headend, str(outcome.headend.folder)
    before = headend.command("release", "show", folder, week)
    headend.command("release", "run", folder, week)
    return before == headend.command("release", "show", folder, week)


def _more_than_issued(outcome: Outcome, released: list[str]) -> list[str]:
    if not released:
        return []
    estimates = outcome.headend.asked("popularity", str(outcome.headend.folder), "--window", "quarter")
    return [measure["name"] for measure in estimates["measures"] if measure["accepted"] > measure["issued"]]


def _no_advertiser() -> bool:
    for kind in Kind:
        for purpose in Purpose:
            try:
                clear(b"", kind, Recipient.ADVERTISER, purpose)
            except DisclosureError:
                continue
            return False
    return not any(recipient is Recipient.ADVERTISER for _, recipient, _ in TABLE)


def _adversary(outcome: Outcome) -> Invariant:
    failed = [attempt.what for attempt in outcome.attempts if not attempt.held]
    return Invariant(
        "the adversary meets what it should",
        not failed,
        ", ".join(failed) or f"{len(outcome.attempts)} attempts",
    )

"""Orders: where each stands, what waits for a person, what is being disputed, and whether the books close."""

from dataclasses import asdict
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from headend.billing import disputes, suspense
from headend.billing.pages.amounts import amount
from headend.billing.rating import Reason
from headend.billing.reconcile import by_month, missing, recounted
from headend.billing.reconcile import reconcile as sums_of
from headend.billing.rows import Dispute, DisputeState, OrderRow, OrderState
from headend.billing.side import BillingSide
from headend.billing.suspense import Correction, Decision
from headend.cli.common import billing_of, folder_argument, json_option, print_json, print_table, told
from shared.clock import from_ms

why_option = click.option("--why", required=True)
who_option = click.option("--who", required=True, help="The operator who decides.")


@click.group()
def order() -> None:
    """Orders, and those that wait for a person."""


@order.command("list")
@folder_argument
@click.option("--state", type=click.Choice([state.value for state in OrderState]))
@click.option("--account", "account_name")
@click.option("--limit", default=50, show_default=True)
@json_option
@told
def order_list(
    folder: Path, state: str | None, account_name: str | None, limit: int, *, as_json: bool
) -> None:
    """List orders, newest first; `--state suspended` is the suspense queue with reason, age and value."""
    with billing_of(folder) as billing:
        wanted = OrderState(state) if state else None
        rows = list(billing.store.read().orders(wanted, account_name, limit))
        now_ms = billing.now_ms()
    if as_json:
        print_json([asdict(row) | {"ref": row.ref} for row in rows])
        return
    columns = ["order", "account", "state", "reason", "price", "age"]
    lines = [
        [
            row.ref,
            row.account or "",
            row.state.value,
            row.reason,
            amount(row.price_cents, row.currency),
            f"{(now_ms - row.received_ms) // 3_600_000} h",
        ]
        for row in rows
    ]
    print_table(columns, lines)


def _decision(billing: BillingSide, why: str, who: str) -> Decision:
    return Decision(why, who, billing.now_ms())


def _outcome(deed: str, row: OrderRow) -> str:
    if row.state is OrderState.SUSPENDED or row.reason == Reason.DELIVERY_REPORT:
        return f"read again {row.ref}: {row.state}, {row.reason}"
    return f"{deed} {row.ref}: {row.state}, {amount(row.payable, row.currency)}"


@order.command("readmit")
@folder_argument
@click.argument("ref")
@why_option
@who_option
@told
def order_readmit(folder: Path, ref: str, why: str, who: str) -> None:
    """Bill a suspended order at the price that was shown."""
    with billing_of(folder) as billing:
        row = billing.store.write(lambda tx: suspense.readmit(tx, ref, _decision(billing, why, who)))
    click.echo(_outcome("readmitted", row))


@order.command("correct")
@folder_argument
@click.argument("ref")
@click.option("--offer", nargs=2, type=(str, int), help="The offer that was meant, and its version.")
@click.option("--price", type=int, help="A lower price, in cents; never more than was shown.")
@click.option("--account", help="Whose order it was, where the box was bound to nobody.")
@why_option
@who_option
@told
def order_correct(
    folder: Path,
    ref: str,
    offer: tuple[str, int] | None,
    price: int | None,
    account: str | None,
    why: str,
    who: str,
) -> None:
    """Bill a suspended order as corrected."""
    correction = Correction(offer, price, account)
    with billing_of(folder) as billing:
        row = billing.store.write(
            lambda tx: suspense.correct(tx, ref, correction, _decision(billing, why, who))
        )
    click.echo(_outcome("corrected", row))


@order.command("reject")
@folder_argument
@click.argument("ref")
@why_option
@who_option
@told
def order_reject(folder: Path, ref: str, why: str, who: str) -> None:
    """Decide that a suspended order is never billed."""
    with billing_of(folder) as billing:
        billing.store.write(lambda tx: suspense.reject(tx, ref, _decision(billing, why, who)))
    click.echo(f"rejected {ref}")


@click.group()
def dispute() -> None:
    """Subscribers' objections to lines of their bills."""


@dispute.command("open")
@folder_argument
@click.argument("number")
@click.argument("ref")
@why_option
@told
def dispute_open(folder: Path, number: str, ref: str, why: str) -> None:
    """Open a dispute about the order REF on bill NUMBER."""
    with billing_of(folder) as billing:
        found = billing.store.write(lambda tx: disputes.open_dispute(tx, number, ref, why, billing.now_ms()))
        day = _last_day(found, billing.setup.zone)
    click.echo(f"dispute {found.dispute} is to be decided by {day}")


@dispute.command("uphold")
@folder_argument
@click.argument("dispute_number", type=int)
@click.option("--cents", type=int, help="Credit only this much of the line.")
@who_option
@told
def dispute_uphold(folder: Path, dispute_number: int, cents: int | None, who: str) -> None:
    """Decide for the subscriber, with a credit note."""
    with billing_of(folder) as billing:
        found = billing.store.write(
            lambda tx: disputes.uphold(tx, dispute_number, cents, who, billing.now_ms())
        )
    click.echo(f"dispute {dispute_number} upheld with {found.note}")


@dispute.command("dismiss")
@folder_argument
@click.argument("dispute_number", type=int)
@why_option
@who_option
@told
def dispute_dismiss(folder: Path, dispute_number: int, why: str, who: str) -> None:
    """Decide that the line stands."""
    with billing_of(folder) as billing:
        billing.store.write(lambda tx: disputes.dismiss(tx, dispute_number, why, who, billing.now_ms()))
    click.echo(f"dispute {dispute_number} dismissed")


@dispute.command("list")
@folder_argument
@click.option("--state", type=click.Choice([state.value for state in DisputeState]))
@click.option("--account", "account_name")
@json_option
@told
def dispute_list(folder: Path, state: str | None, account_name: str | None, *, as_json: bool) -> None:
    """List disputes, the nearest deadline first."""
    with billing_of(folder) as billing:
        wanted = DisputeState(state) if state else None
        rows = list(billing.store.read().disputes(wanted, account_name))
        now_ms, zone = billing.now_ms(), billing.setup.zone
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = ["dispute", "bill", "order", "state", "decide by", "note"]
    print_table(columns, [_dispute_line(row, now_ms, zone) for row in rows])


def _last_day(row: Dispute, zone: ZoneInfo) -> str:
    """The last day on which a dispute can be decided in time."""
    return from_ms(row.deadline_ms - 1).astimezone(zone).date().isoformat()


def _dispute_line(row: Dispute, now_ms: int, zone: ZoneInfo) -> list[str]:
    by = _last_day(row, zone)
    late = row.state is DisputeState.OPEN and row.deadline_ms < now_ms
    return [
        str(row.dispute),
        row.number,
        row.order_ref,
        row.state.value,
        by + (" LATE" if late else ""),
        row.note or "",
    ]


@click.command()
@folder_argument
@click.option("--by", type=click.Choice(["all", "month", "box"]), default="all", show_default=True)
@json_option
@told
def reconcile(folder: Path, by: str, *, as_json: bool) -> None:
    """Say where every order stands, or what is missing by box; exit 1 if the books do not close.

    Orders and entries are counted anew: the sums that the console shows have to agree.
    """
    with billing_of(folder) as billing:
        look = billing.store.read()
        sums, months, gaps = sums_of(look), by_month(look), list(missing(look))
        differing = recounted(look)
    if as_json:
        told_all = asdict(sums) | {"closes": sums.closes, "differing": differing}
        told_all |= {"months": [asdict(month) | {"received": month.received} for month in months]}
        print_json(told_all | {"missing": [asdict(gap) for gap in gaps]})
    elif by == "month":
        states = [state.value for state in OrderState]
        rows = [
            [month.month, *(f"{month.orders.get(state, 0):,}" for state in states), f"{month.received:,}"]
            for month in months
        ]
        print_table(["month", *states, "received"], rows)
    elif by == "box":
        rows = [
            [gap.box, str(gap.epoch), str(gap.first), str(gap.last), from_ms(gap.since_ms).isoformat()]
            for gap in gaps
        ]
        print_table(["box", "epoch", "from", "to", "since"], rows)
    else:
        print_table(["what", "figure"], [[name, f"{value:,}"] for name, value in asdict(sums).items()])
    if not as_json:
        _tell_verdict(differing, closes=sums.closes)
    if differing or not sums.closes:
        raise SystemExit(1)


def _tell_verdict(differing: list[str], *, closes: bool) -> None:
    for fault in differing:
        click.echo(f"the running sums differ from a recount: {fault}")
    click.echo("the books close" if closes and not differing else "the books DO NOT close")

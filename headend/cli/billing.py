"""Accounts, catalogue, orders, bills, export."""

import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from headend.billing import accounts as subscribers
from headend.billing import checker, exports, suspense
from headend.billing.catalogue import publish_catalogue, read_offers
from headend.billing.invoices import as_shown, raise_month
from headend.billing.pages import amount
from headend.billing.reconcile import reconcile as sums_of
from headend.billing.store import Account, BillingTx, OrderState
from headend.cli.common import billing_of, folder_argument, json_option, print_json, print_table, told
from headend.disclosure import Kind, Purpose, Recipient, clear
from headend.kit.files import write_file
from shared import dsse
from shared.clock import from_ms
from shared.named import AccountId
from shared.weeks import Month

MANY = 1_000_000


@click.group()
def account() -> None:
    """Subscribers and their boxes."""


@account.command("add")
@folder_argument
@click.argument("name")
@click.option("--postal-area", default="", help="Where the boxes stand; decides the region.")
@click.option("--zone", default="Europe/Amsterdam", show_default=True)
@click.option("--country", default="NL", show_default=True)
@click.option("--spending-limit", type=int, help="Cents a month that raise an alarm.")
@told
def account_add(
    folder: Path, name: str, postal_area: str, zone: str, country: str, spending_limit: int | None
) -> None:
    """Add one account."""
    with billing_of(folder) as billing:
        new = Account(AccountId(name), zone, country, postal_area, spending_limit, billing.now_ms())
        billing.store.write(lambda tx: _add(tx, [new], billing.now_ms()))
    click.echo(f"added account {name}")


@account.command("import")
@folder_argument
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@told
def account_import(folder: Path, file: Path) -> None:
    """Add all accounts of a CSV (account,postal_area,zone,country), or none."""
    with billing_of(folder) as billing:
        found = subscribers.read_accounts(file.read_text(), billing.now_ms())
        billing.store.write(lambda tx: _add(tx, found, billing.now_ms()))
    click.echo(f"added {len(found)} accounts")


def _add(tx: BillingTx, new: list[Account], now_ms: int) -> None:
    standing = {account.account for account in tx.accounts()}
    for one in new:
        subscribers.check_account(one)
        if one.account in standing:
            raise subscribers.BadAccountError(f"account {one.account!r} stands already")
        tx.add_account(one)
        tx.add_audit(now_ms, "command line", "account added", one.account, one.country)


@account.command("code")
@folder_argument
@click.argument("names", nargs=-1, required=True)
@click.option("--box", help="Renew this box: a new key and a new epoch.")
@click.option("--count", default=1, show_default=True, help="Codes for each account.")
@json_option
@told
def account_code(folder: Path, names: tuple[str, ...], box: str | None, count: int, *, as_json: bool) -> None:
    """Make one-time codes by which boxes enrol; `-` reads account names from standard input."""
    wanted = sys.stdin.read().split() if names == ("-",) else list(names)
    with billing_of(folder) as billing:
        made = billing.store.write(
            lambda tx: {
                name: [
                    subscribers.add_code(tx, name, box, billing.now_ms(), os.urandom) for _ in range(count)
                ]
                for name in wanted
            }
        )
    if as_json:
        print_json(made)
    else:
        for name, codes in made.items():
            click.echo(f"{name}\t{' '.join(codes)}")


@account.command("list")
@folder_argument
@json_option
@told
def account_list(folder: Path, *, as_json: bool) -> None:
    """List accounts with their boxes."""
    with billing_of(folder) as billing:
        look = billing.store.read()
        boxes = dict(look.accounts_with_boxes())
        rows = [{**asdict(one), "boxes": list(boxes.get(one.account, ()))} for one in look.accounts()]
    if as_json:
        print_json(rows)
    else:
        columns = ["account", "country", "postal_area", "boxes"]
        shown = [row | {"boxes": len(row["boxes"])} for row in rows]
        print_table(columns, [[str(row[name]) for name in columns] for row in shown])


@click.group()
def catalogue() -> None:
    """Offers: films and games, their prices and terms."""


@catalogue.command("publish")
@folder_argument
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@told
def catalogue_publish(folder: Path, file: Path) -> None:
    """Check FILE (JSON or CSV), sign it, and put it in force as the next version."""
    offers = read_offers(file.read_bytes(), file.suffix.lstrip("."))
    with billing_of(folder) as billing:
        key = billing.setup.catalogue_key
        version, _ = billing.store.write(lambda tx: publish_catalogue(tx, offers, key, billing.now_ms()))
    click.echo(f"catalogue version {version} with {len(offers)} offers is in force")


@catalogue.command("show")
@folder_argument
@told
def catalogue_show(folder: Path) -> None:
    """Print the signed catalogue that is in force."""
    with billing_of(folder) as billing:
        found = billing.store.read().catalogue()
    if found is None:
        raise click.ClickException("no catalogue has been published")
    click.echo(found[1].decode())


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


@order.command("readmit")
@folder_argument
@click.argument("ref")
@click.option("--why", required=True)
@click.option("--who", required=True, help="The operator who decides.")
@told
def order_readmit(folder: Path, ref: str, why: str, who: str) -> None:
    """Bill a suspended order at the price that was shown."""
    with billing_of(folder) as billing:
        billing.store.write(lambda tx: suspense.readmit(tx, ref, why, who, billing.now_ms()))
    click.echo(f"readmitted {ref}")


@order.command("reject")
@folder_argument
@click.argument("ref")
@click.option("--why", required=True)
@click.option("--who", required=True, help="The operator who decides.")
@told
def order_reject(folder: Path, ref: str, why: str, who: str) -> None:
    """Decide that a suspended order is never billed."""
    with billing_of(folder) as billing:
        billing.store.write(lambda tx: suspense.reject(tx, ref, why, who, billing.now_ms()))
    click.echo(f"rejected {ref}")


@click.group()
def invoice() -> None:
    """Bills and credit notes."""


@invoice.command("list")
@folder_argument
@click.option("--account", "account_name")
@click.option("--limit", default=50, show_default=True)
@json_option
@told
def invoice_list(folder: Path, account_name: str | None, limit: int, *, as_json: bool) -> None:
    """List bills and credit notes, newest first."""
    with billing_of(folder) as billing:
        rows = list(billing.store.read().invoices(account_name, limit))
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = ["number", "account", "month", "net", "vat", "total"]
    lines = [
        [row.number, row.account, row.month, amount(row.net), amount(row.vat), amount(row.gross)]
        for row in rows
    ]
    print_table(columns, lines)


@invoice.command("show")
@folder_argument
@click.argument("number")
@json_option
@told
def invoice_show(folder: Path, number: str, *, as_json: bool) -> None:
    """Show one bill as the subscriber sees it."""
    with billing_of(folder) as billing:
        look = billing.store.read()
        found = look.invoice(number)
        if found is None:
            raise click.ClickException(f"no invoice {number}")
        shown, zone = as_shown(look, found), billing.setup.zone
    bill = clear(shown, Kind.INVOICE, Recipient.SUBSCRIBER, Purpose.BILLING).payload
    if as_json:
        print_json(bill)
        return
    click.echo(f"{bill.kind} {bill.number}   account {bill.account}   month {bill.month}")
    rows = [
        [
            from_ms(line.placed_ms).astimezone(zone).strftime("%d %b %Y %H:%M"),
            line.text + (" (from an earlier month)" if line.late else ""),
            amount(line.cents, bill.currency),
        ]
        for line in bill.lines
    ]
    rows += [["", "net", amount(bill.net)], ["", "VAT", amount(bill.vat)]]
    rows += [["", "rounding", amount(bill.rounding)]] if bill.rounding else []
    print_table(["ordered", "what", "price"], [*rows, ["", "to pay", amount(bill.gross)]])


@invoice.command("raise")
@folder_argument
@click.argument("month")
@told
def invoice_raise(folder: Path, month: str) -> None:
    """Raise the bills of a month that is over, ahead of its job; whoever has one gets no second."""
    wanted = Month.parse(month)
    with billing_of(folder) as billing:
        if billing.setup.clock.now() < wanted.end(billing.setup.zone):
            raise click.ClickException(f"{month} is not over")
        raised = raise_month(billing.store, wanted, billing.now_ms())
    click.echo(f"raised {raised} bills")


@click.command()
@folder_argument
@json_option
@told
def reconcile(folder: Path, *, as_json: bool) -> None:
    """Say where every order stands; exit 1 if the books do not close."""
    with billing_of(folder) as billing:
        sums = sums_of(billing.store.read())
    if as_json:
        print_json(asdict(sums) | {"closes": sums.closes})
    else:
        print_table(["what", "figure"], [[name, f"{value:,}"] for name, value in asdict(sums).items()])
        click.echo("the books close" if sums.closes else "the books DO NOT close")
    if not sums.closes:
        raise SystemExit(1)


@click.group()
def export() -> None:
    """Closed, numbered, signed batches for the billing system."""


@export.command("close")
@folder_argument
@told
def export_close(folder: Path) -> None:
    """Close the next batch over everything posted since the last one."""
    with billing_of(folder) as billing:
        batch = billing.store.write(lambda tx: exports.close_batch(tx, billing.now_ms()))
    click.echo(f"closed batch {batch.batch}: entries {batch.first_entry} to {batch.last_entry}")


@export.command("write")
@folder_argument
@click.argument("number", type=int)
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@told
def export_write(folder: Path, number: int, target: Path) -> None:
    """Write a closed batch's files to TARGET; the same bytes whenever it is asked for."""
    target.mkdir(parents=True, exist_ok=True)
    with billing_of(folder) as billing:
        files = exports.render(billing.store.read(), number, billing.setup.billing_key)
        cleared = clear(files, Kind.EXPORT_BATCH, Recipient.BILLING_SYSTEM, Purpose.BILLING)
        now_ms = billing.now_ms()
        billing.store.write(
            lambda tx: tx.add_audit(now_ms, "command line", "export written", str(number), cleared.recipient)
        )
    for name, content in cleared.payload.all():
        write_file(target / name, content)
        click.echo(str(target / name))


@export.command("key")
@folder_argument
@told
def export_key(folder: Path) -> None:
    """Print the public key that a receiver checks batches with."""
    with billing_of(folder) as billing:
        click.echo(dsse.public_to_text(billing.setup.billing_key.public_key()))


@export.command("verify")
@click.argument("files", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--key", required=True, help="The public key, as `headend export key` prints it.")
@json_option
@told
def export_verify(files: Path, key: str, *, as_json: bool) -> None:
    """Check all batches in the folder FILES with the public key alone; exit 1 if one does not hold."""
    found = checker.check_folder(files, dsse.public_from_text(key))
    if as_json:
        print_json([asdict(one) for one in found])
    else:
        print_table(
            ["batch", "verdict", "entries", "words"],
            [[one.name, one.verdict.value, str(one.entries), one.words] for one in found],
        )
    if not found or any(one.verdict is not checker.Verdict.OK for one in found):
        raise SystemExit(1)

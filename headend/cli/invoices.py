"""Bills, credit notes, and both as documents."""

from dataclasses import asdict
from pathlib import Path

import click

from headend.billing import credits as corrections
from headend.billing.documents.document import InvoiceLine
from headend.billing.documents.gather import gather
from headend.billing.documents.ubl import ubl
from headend.billing.invoices import as_shown, raise_month
from headend.billing.pages.amounts import amount
from headend.cli.common import billing_of, folder_argument, json_option, print_json, print_table, told
from headend.disclosure import Kind, Purpose, Recipient, clear
from headend.kit.files import write_file
from shared.clock import from_ms
from shared.weeks import Month


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
    if bill.refers_to:
        click.echo(f"corrects {bill.refers_to}")
    rows = [
        [
            from_ms(line.placed_ms).astimezone(zone).strftime("%d %b %Y %H:%M"),
            _words(line),
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


def _words(line: InvoiceLine) -> str:
    if line.kind == "promotion":
        return f"promotion: {line.text}"
    return line.text + (" (from an earlier month)" if line.late else "")


@invoice.command("write")
@folder_argument
@click.argument("number")
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@told
def invoice_write(folder: Path, number: str, target: Path) -> None:
    """Write a bill or credit note to TARGET as PDF/A-3 with its EN 16931 UBL attached and beside it."""
    from headend.billing.documents.pdf import pdf

    target.mkdir(parents=True, exist_ok=True)
    with billing_of(folder) as billing:
        look = billing.store.read()
        found = look.invoice(number)
        if found is None:
            raise click.ClickException(f"no invoice {number}")
        machine = ubl(gather(look, found, titles=False))
        page = pdf(gather(look, found, titles=True), machine)
        files = clear({".xml": machine, ".pdf": page}, Kind.INVOICE, Recipient.SUBSCRIBER, Purpose.BILLING)
        now_ms = billing.now_ms()
        billing.store.write(
            lambda tx: tx.add_audit(now_ms, "command line", "invoice written", number, files.recipient)
        )
    for suffix, content in files.payload.items():
        write_file(target / f"{number}{suffix}", content)
        click.echo(str(target / f"{number}{suffix}"))


@invoice.command("credit")
@folder_argument
@click.argument("number")
@click.option(
    "--line", "lines", multiple=True, nargs=2, type=(str, int), help="An order on it, and cents of it."
)
@click.option("--why", required=True)
@click.option("--who", required=True, help="The operator who decides.")
@click.option("--dry-run", is_flag=True, help="Only show what the credit note would say.")
@told
def invoice_credit(
    folder: Path, number: str, lines: tuple[tuple[str, int], ...], why: str, who: str, *, dry_run: bool
) -> None:
    """Credit a bill: the lines that are named, or all that is left of it."""
    with billing_of(folder) as billing:
        now_ms = billing.now_ms()
        wanted = dict(lines) or None
        note = billing.store.write(
            lambda tx: (
                corrections.draft_note(tx, number, wanted, now_ms)
                if dry_run
                else corrections.credit_by(tx, number, wanted, (why, who, now_ms))
            )
        )
    said = "would credit" if dry_run else f"{note.number} credits"
    click.echo(
        f"{said} {amount(note.gross, note.currency)} of {number}: net {amount(note.net)}, "
        f"VAT {amount(note.vat)}, rounding {amount(note.rounding)}"
    )

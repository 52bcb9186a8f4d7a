"""Accounts and boxes."""

import os
import sys
from dataclasses import asdict
from pathlib import Path

import click

from headend.billing import accounts as subscribers
from headend.billing.rows import Account
from headend.billing.store import BillingTx
from headend.cli.common import billing_of, folder_argument, json_option, print_json, print_table, told
from headend.cli.rights import account_archive, account_erase
from shared.clock import from_ms
from shared.named import AccountId

who_option = click.option("--who", required=True, help="The operator who decides.")


@click.group()
def account() -> None:
    """Subscribers and their boxes."""


@account.command("add")
@folder_argument
@click.argument("name")
@click.option("--postal-area", default="", help="Where the boxes stand; decides the region.")
@click.option("--zone", default="Europe/Amsterdam", show_default=True)
@click.option("--country", default="NL", show_default=True)
@click.option("--language", type=click.Choice(subscribers.LANGUAGES), default="nl", show_default=True)
@click.option("--spending-limit", type=int, help="Cents a month that raise an alarm.")
@told
def account_add(
    folder: Path,
    name: str,
    postal_area: str,
    zone: str,
    country: str,
    language: str,
    spending_limit: int | None,
) -> None:
    """Add one account."""
    with billing_of(folder) as billing:
        new = Account(
            account=AccountId(name),
            zone=zone,
            country=country,
            postal_area=postal_area,
            language=language,
            spending_limit_cents=spending_limit,
            created_ms=billing.now_ms(),
        )
        billing.store.write(lambda tx: _add(tx, [new], billing.now_ms()))
    click.echo(f"added account {name}")


@account.command("import")
@folder_argument
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@told
def account_import(folder: Path, file: Path) -> None:
    """Add all accounts of a CSV (account,postal_area,zone,country,language), or none."""
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


account.add_command(account_archive)
account.add_command(account_erase)


@click.group()
def box() -> None:
    """Set-top boxes: whose they are and were."""


@box.command("move")
@folder_argument
@click.argument("name")
@click.argument("account_name")
@who_option
@told
def box_move(folder: Path, name: str, account_name: str, who: str) -> None:
    """Bind a box to another account from now on; what it ordered before stays with the old one."""
    with billing_of(folder) as billing:
        billing.store.write(lambda tx: subscribers.move_box(tx, name, account_name, who, billing.now_ms()))
    click.echo(f"box {name} is bound to {account_name}")


@box.command("release")
@folder_argument
@click.argument("name")
@who_option
@told
def box_release(folder: Path, name: str, who: str) -> None:
    """End a box's binding, as it is given back or resold; a code for its next account enrols it anew."""
    with billing_of(folder) as billing:
        billing.store.write(lambda tx: subscribers.release_box(tx, name, who, billing.now_ms()))
    click.echo(f"box {name} is released")


@box.command("show")
@folder_argument
@click.argument("name")
@json_option
@told
def box_show(folder: Path, name: str, *, as_json: bool) -> None:
    """Show a box: whose it is and was, and what is missing of its chains since when."""
    with billing_of(folder) as billing:
        look = billing.store.read()
        found = look.box(name)
        bindings = look.bindings(name)
        ends = [end for end in look.chain_ends() if end.box == name]
        zone = billing.setup.zone
    if as_json:
        print_json(
            asdict(found)
            | {"bindings": bindings, "chains": [asdict(end) | {"missing": end.missing} for end in ends]}
        )
        return

    def when(ms: int) -> str:
        return from_ms(ms).astimezone(zone).strftime("%Y-%m-%d %H:%M") if ms else ""

    click.echo(f"box {found.box}   serial {found.serial}   epoch {found.epoch}")
    print_table(["since", "account"], [[when(ms), account or "nobody"] for ms, account in bindings])
    print_table(
        ["epoch", "stored", "told", "missing", "since"],
        [
            [str(end.epoch), str(end.last_seq), str(end.told_seq), str(end.missing), when(end.gap_ms)]
            for end in ends
        ],
    )

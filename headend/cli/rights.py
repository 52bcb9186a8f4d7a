"""Subscribers' rights: an archive of all that is kept about an account, erasure, and what time takes away."""

from dataclasses import asdict
from pathlib import Path

import click

from headend.billing import erasure, retention
from headend.cli.common import billing_of, folder_argument, json_option, print_json, print_table, told
from headend.kit.files import write_file
from shared.clock import from_ms

who_option = click.option("--who", required=True, help="The operator who answers the request.")


@click.command("archive")
@folder_argument
@click.argument("account")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--who", default="command line", show_default=True, help="The operator who answers the request."
)
@click.option("--proofs/--no-proofs", default=True, help="With a proof of each order; takes a while.")
@told
def account_archive(folder: Path, account: str, file: Path, who: str, *, proofs: bool) -> None:
    """Write everything that billing has about ACCOUNT to FILE, a ZIP to be given to its subscriber."""
    from headend.billing.archive import Extras, archive

    with billing_of(folder) as billing:
        prove = billing.prove_closed if proofs else None
        whole = archive(billing.store, account, Extras(who, billing.now_ms(), prove))
    write_file(file, whole.payload)
    click.echo(f"{file}: {len(whole.payload):,} bytes, for the {whole.recipient} only")


@click.command("erase")
@folder_argument
@click.argument("account")
@who_option
@click.option(
    "--give-up-bought", is_flag=True, help="Also titles that were bought; played again, they cost again."
)
@click.option("--dry-run", is_flag=True, help="Only say what would go and what would stay.")
@json_option
@told
def account_erase(
    folder: Path, account: str, who: str, *, give_up_bought: bool, dry_run: bool, as_json: bool
) -> None:
    """Erase the titles of ACCOUNT that may go now, and say what stays, why, and until when."""
    with billing_of(folder) as billing:
        now_ms = billing.now_ms()
        if dry_run:
            look = billing.store.read()
            done = erasure.plan_erasure(look, account, now_ms, give_up_bought=give_up_bought)
        else:
            done = billing.store.write(
                lambda tx: erasure.erase(tx, account, who, now_ms, give_up_bought=give_up_bought)
            )
    if as_json:
        print_json(asdict(done) | {"titles": done.titles, "done": not dry_run})
    else:
        click.echo(erasure.told(done, done=not dry_run), nl=False)


@click.group("retention")
def retention_group() -> None:
    """What is forgotten when its period is over; the worker does it every day."""


@retention_group.command("run")
@folder_argument
@json_option
@told
def retention_run(folder: Path, *, as_json: bool) -> None:
    """Forget now what is due, without waiting for the day's run."""
    with billing_of(folder) as billing:
        now_ms = billing.now_ms()
        gone = retention.forget_due(billing.store, now_ms, billing.setup.zone)
        billing.store.write(lambda tx: retention.record(tx, gone, now_ms))
    if as_json:
        print_json(gone)
    else:
        print_table(["forgotten", "number"], [[name, f"{n:,}"] for name, n in gone.items()])


@retention_group.command("show")
@folder_argument
@json_option
@told
def retention_show(folder: Path, *, as_json: bool) -> None:
    """Say what a run would forget now, what is due next and when, and what is held."""
    with billing_of(folder) as billing:
        zone = billing.setup.zone
        found = retention.outlook(billing.store.read(), billing.now_ms(), zone)
    if as_json:
        print_json(found)
        return

    def day(ms: int | None) -> str:
        return from_ms(ms).astimezone(zone).date().isoformat() if ms else "never yet"

    rows = [
        ["signed messages due now", f"{found.messages:,}"],
        ["titles due now", f"{found.titles:,}"],
        ["messages within their period", f"{found.waiting:,}"],
        ["the first of them is due", "no date" if found.next_ms is None else day(found.next_ms)],
        *([f"held: {reason}", f"{n:,}"] for reason, n in found.held.items()),
        ["tax period over before", day(found.tax_ms)],
        ["books emptied before", day(found.emptied_ms)],
    ]
    print_table(["what", "figure"], rows)

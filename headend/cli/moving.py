"""Moving an installation to PostgreSQL."""

import secrets
from pathlib import Path

import click

from headend.cli.common import folder_argument, json_option, print_json, print_table, told
from headend.installation import ALL_SIDES, Installation
from headend.kit.engine import check_driver

DONE = """Every row is there and the same; installation.toml names the new databases.
The old files are kept as *.db.moved, and nothing opens them. Look around (`headend reconcile`, `headend audit
verify`), start the headend, take a first backup, then delete them: titles that are erased live on in them."""


@click.command()
@folder_argument
@click.option("--to", help="postgresql://host/name, with {side} where the sides' names differ.")
@click.option("--side", "sides", type=click.Choice(ALL_SIDES), multiple=True, help="Only this side.")
@click.option("--chunk", default=5_000, show_default=True, type=click.IntRange(1), help="Rows at a time.")
@click.option("--give-up", is_flag=True, help="Let a move that has begun go, and use the files again.")
@json_option
@told
def migrate(
    folder: Path, to: str | None, sides: tuple[str, ...], chunk: int, *, give_up: bool, as_json: bool
) -> None:
    """Move the databases of FOLDER, which nobody may serve meanwhile, from files to PostgreSQL.

    If it is cut short, start it again as before: it goes on where it stopped.
    """
    check_driver()
    from headend.moving import move  # the driver is an extra

    installation = Installation(folder)
    if give_up:
        click.echo(f"{', '.join(move.give_up(installation))}: the files are in use again")
        return
    if to is None:
        raise click.UsageError("--to says where")
    targets = move.targets_of(to, sides or installation.sides)
    order = move.Order(targets, secrets.token_hex(16), chunk)
    found = move.move(installation, order, _tell)
    if as_json:
        print_json(found)
        return
    rows = [
        [f"{side}.{one.table}", str(one.rows), one.sha256] for side, same in found.items() for one in same
    ]
    if rows:
        print_table(["table", "rows", "sha256"], rows)
    click.echo(DONE)


def _tell(side: str, table: str, rows: int) -> None:
    click.echo(f"{side} {table} {rows}", err=True)

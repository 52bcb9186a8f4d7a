"""Sides served apart: a folder for each, and what passes between them."""

from pathlib import Path

import click

from headend import apart as folders
from headend.cli.common import folder_argument, told
from headend.exchange import publish_offered
from headend.installation import ALL_SIDES, Installation


@click.command()
@folder_argument
@click.argument("target", type=click.Path(path_type=Path, exists=False))
@click.option("--sides", required=True, help="Such as billing,console; or exchange alone, for the root key.")
@told
def apart(folder: Path, target: Path, sides: str) -> None:
    """Make TARGET, a new folder with some sides of FOLDER, to be served apart.

    FOLDER stays as it is and must not be served again: its parts go on from here.
    """
    wanted = tuple(sides.split(","))
    if wanted != (folders.EXCHANGE,) and not set(wanted) <= set(ALL_SIDES):
        raise click.UsageError(f"--sides takes {', '.join(ALL_SIDES)}, or {folders.EXCHANGE} alone")
    folders.set_apart(Installation(folder), target, wanted)
    click.echo(f"made {target} with {', '.join(wanted)}")


@click.command()
@folder_argument
@told
def exchange(folder: Path) -> None:
    """Make the directories for which sides that are served apart have offered their keys, and end.

    FOLDER has the root key (`headend apart --sides exchange`); a timer starts this every minute.
    """
    for week in publish_offered(Installation(folder)):
        click.echo(f"made the directory of {week}")

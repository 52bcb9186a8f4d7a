"""The week's directory: what all boxes are told."""

from pathlib import Path

import click

from headend.cli.common import folder_argument, opened, told
from shared.weeks import Week


@click.group()
def directory() -> None:
    """The signed file that says, week by week, what a box may send and how."""


@directory.command("publish")
@folder_argument
@click.argument("week")
@told
def directory_publish(folder: Path, week: str) -> None:
    """Publish a week's directory ahead of its job; one that stands stays as it is."""
    with opened(folder, "billing", "analytics") as headend:
        envelope = headend.publish(Week.parse(week))
    click.echo(f"the directory of {week} stands: {len(envelope):,} bytes")


@directory.command("show")
@folder_argument
@click.argument("week")
@told
def directory_show(folder: Path, week: str) -> None:
    """Print a published directory, as both sides serve it."""
    with opened(folder, "billing") as headend:
        assert headend.billing is not None  # noqa: S101 (it was asked for)
        envelope = headend.billing.store.read().directory(str(Week.parse(week)))
    if envelope is None:
        raise click.ClickException(f"no directory of {week} has been published")
    click.echo(envelope.decode())

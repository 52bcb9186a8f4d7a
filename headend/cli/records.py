"""What is written about the processing, for the controller to complete: Markdown on standard output."""

from pathlib import Path

import click

from headend.cli.common import folder_argument, told
from headend.installation import Installation
from headend.records.dpia import assessment
from headend.records.printed import printed_notice
from headend.records.processing import processing_record
from shared.words import LANGUAGES


@click.group()
def records() -> None:
    """Records of the processing, made from what the system declares; a lawyer must check them."""


@records.command("processing")
@folder_argument
@told
def records_processing(folder: Path) -> None:
    """Print the record of processing activities (GDPR article 30), in English."""
    click.echo(processing_record(Installation(folder).settings), nl=False)


@records.command("dpia")
@folder_argument
@told
def records_dpia(folder: Path) -> None:
    """Print a draft of the impact assessment (GDPR article 35), in English."""
    click.echo(assessment(Installation(folder).settings), nl=False)


@records.command("notice")
@folder_argument
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
@told
def records_notice(folder: Path, language: str) -> None:
    """Print the notice as households read it, with whom to ask."""
    click.echo(printed_notice(Installation(folder).settings, language), nl=False)

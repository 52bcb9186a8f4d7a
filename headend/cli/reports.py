"""Popularity on the terminal, reports as files, and what the command line has handed out."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from headend.analytics.estimates import MeasureEstimate
from headend.analytics.figures import CellEstimate
from headend.analytics.publication import REPORT_FORMS
from headend.analytics.reports import ReportFile
from headend.analytics.store import Disclosure
from headend.analytics.tables import delivered
from headend.analytics.trend import PANEL, Trend
from headend.analytics.windows import WINDOWS
from headend.analytics.wording import HEADS, Wording
from headend.cli.analytics import analytics_of
from headend.cli.common import folder_argument, json_option, plain, print_json, print_table, told
from headend.kit.files import write_file
from headend.kit.language import LANGUAGES, N_, language_of
from shared.clock import from_ms, to_ms

_PUBLIC = 0o644
_HASH_SHOWN = 16
_HEADS = (N_("cell"), N_("ranks"), N_("panel"), N_("all boxes"), N_("change, panel"), N_("withheld"))


window_option = click.option(
    "--window", type=click.Choice(list(WINDOWS)), default="four", show_default=True, help="How many weeks."
)
until_option = click.option("--until", help="The last week of the window; the newest if not said.")
language_option = click.option(
    "--language",
    type=click.Choice(list(LANGUAGES)),
    default="en",
    show_default=True,
    help="The language of sentences and names.",
)


@click.command()
@folder_argument
@window_option
@until_option
@language_option
@json_option
@told
def popularity(folder: Path, window: str, until: str | None, language: str, *, as_json: bool) -> None:
    """Print the estimates of a window of weeks, with 95 % intervals; panel and all boxes told apart."""
    with analytics_of(folder) as analytics:
        said = language_of(language, analytics.setup.zone)
        cleared = analytics.download("report", "json", _asked(window, until), said)
    words = Wording(said)
    found = msgspec.json.decode(cleared.payload, type=ReportFile)
    if as_json:
        print_json(found.estimates)
        return
    weeks = found.estimates.weeks
    profile = found.estimates.profile
    click.echo(words.text("weeks {weeks}, profile {profile}", weeks=words.span(weeks), profile=profile))
    for sentence in (*found.summary, *found.remarks):
        click.echo(sentence)
    for measure in (*found.estimates.measures, *found.estimates.summed):
        _print_measure(measure, found.trends[:1], words)


def _asked(window: str, until: str | None) -> dict[str, str]:
    return {"window": window} | ({"until": until} if until else {})


def _print_measure(measure: MeasureEstimate, trends: Sequence[Trend], words: Wording) -> None:
    head = words.text(
        "{table}, {weeks}: {tokens} tokens delivered",
        table=words.title(measure.name),
        weeks=words.span(measure.weeks),
        tokens=delivered(measure, words),
    )
    click.echo(f"\n{head}")
    rows = []
    for group in measure.groups:
        for sentence in group.ranking:
            click.echo(f"{words.value(group.region)}: {sentence}" if group.region else sentence)
        rows += [_row(measure, group.region, cell, trends, words) for cell in group.cells]
    print_table([words.text(name) for name in _HEADS], rows)


def _row(
    measure: MeasureEstimate, region: str, cell: CellEstimate, trends: Sequence[Trend], words: Wording
) -> list[str]:
    ranks = str(cell.rank_low) if cell.rank_low == cell.rank_high else f"{cell.rank_low}-{cell.rank_high}"
    changes = [trend.change(measure.name, region, cell.values, PANEL) for trend in trends]
    figures = [
        ", ".join(
            f"{words.text(HEADS[name])} {words.interval(of[name], words.teller(name))}"
            for name in HEADS
            if name in of
        )
        for of in (cell.panel, cell.all_boxes)
    ]
    moved = ", ".join(
        f"{words.text(HEADS[name])} {words.text(one.arrow.value)}"
        for change in changes
        for name, one in change.items()
    )
    return [words.label(cell), ranks, *figures, moved, cell.withheld]


@click.command()
@folder_argument
@window_option
@until_option
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The folder that the files are written to; made if it is not there.",
)
@language_option
@told
def report(folder: Path, window: str, until: str | None, target: Path, language: str) -> None:
    """Write a window's report for the operator's audience research: HTML to print, CSV and JSON.

    Each file is noted with its SHA-256 before it is written; `headend disclosures` shows the notes.
    """
    with analytics_of(folder) as analytics:
        args = _asked(window, until)
        said = language_of(language, analytics.setup.zone)
        made = [analytics.publication.file("report", form, args, said) for form in REPORT_FORMS]
        target.mkdir(parents=True, exist_ok=True)
        for cleared, name in made:
            analytics.store.add_disclosure(
                Disclosure(
                    at_ms=to_ms(analytics.setup.clock.now()),
                    kind=str(cleared.kind),
                    recipient=str(cleared.recipient),
                    purpose=str(cleared.purpose),
                    sha256=hashlib.sha256(cleared.payload).hexdigest(),
                    what=name,
                )
            )
            write_file(target / name, cleared.payload, _PUBLIC)
            click.echo(str(target / name))


@click.command()
@folder_argument
@json_option
@told
def disclosures(folder: Path, *, as_json: bool) -> None:
    """List what the command line has handed out of the figures: when, what, to whom, what for."""
    with analytics_of(folder) as analytics:
        found = analytics.store.disclosures()
    if as_json:
        print_json([plain(one) for one in found])
        return
    rows = [
        [
            from_ms(one.at_ms).isoformat(timespec="seconds"),
            one.what,
            one.kind,
            one.recipient,
            one.purpose,
            one.sha256[:_HASH_SHOWN],
        ]
        for one in found
    ]
    print_table(["at", "file", "kind", "to", "for", "SHA-256 begins"], rows)

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
from headend.analytics.tables import HEADS, label, teller, with_interval
from headend.analytics.trend import PANEL, Trend
from headend.analytics.windows import WINDOWS
from headend.cli.analytics import analytics_of
from headend.cli.common import folder_argument, json_option, plain, print_json, print_table, told
from headend.kit.files import write_file
from shared.clock import from_ms, to_ms

_PUBLIC = 0o644
_HASH_SHOWN = 16


window_option = click.option(
    "--window", type=click.Choice(list(WINDOWS)), default="four", show_default=True, help="How many weeks."
)
until_option = click.option("--until", help="The last week of the window; the newest if not said.")


@click.command()
@folder_argument
@window_option
@until_option
@json_option
@told
def popularity(folder: Path, window: str, until: str | None, *, as_json: bool) -> None:
    """Print the estimates of a window of weeks, with 95 % intervals; panel and all boxes told apart."""
    with analytics_of(folder) as analytics:
        cleared = analytics.download("report", "json", _asked(window, until))
    found = msgspec.json.decode(cleared.payload, type=ReportFile)
    if as_json:
        print_json(found.estimates)
        return
    weeks = found.estimates.weeks
    click.echo(f"weeks {weeks[0]} to {weeks[-1]}, profile {found.estimates.profile}")
    for sentence in (*found.summary, *found.remarks):
        click.echo(sentence)
    for measure in (*found.estimates.measures, *found.estimates.summed):
        _print_measure(measure, found.trends[:1])


def _asked(window: str, until: str | None) -> dict[str, str]:
    return {"window": window} | ({"until": until} if until else {})


def _print_measure(measure: MeasureEstimate, trends: Sequence[Trend]) -> None:
    told_weeks = f", {measure.weeks[0]} to {measure.weeks[-1]}"
    click.echo(f"\n{measure.name}{told_weeks}: {measure.accepted} of {measure.issued} tokens delivered")
    rows = []
    for group in measure.groups:
        for sentence in group.ranking:
            click.echo(f"{group.region}: {sentence}" if group.region else sentence)
        rows += [_row(measure, group.region, cell, trends) for cell in group.cells]
    print_table(["cell", "ranks", "panel", "all boxes", "change, panel", "withheld"], rows)


def _row(measure: MeasureEstimate, region: str, cell: CellEstimate, trends: Sequence[Trend]) -> list[str]:
    ranks = str(cell.rank_low) if cell.rank_low == cell.rank_high else f"{cell.rank_low}-{cell.rank_high}"
    changes = [trend.change(measure.name, region, cell.values, PANEL) for trend in trends]
    figures = [
        ", ".join(f"{name} {with_interval(of[name], teller(name))}" for name in HEADS if name in of)
        for of in (cell.panel, cell.all_boxes)
    ]
    moved = ", ".join(f"{name} {one.arrow.value}" for change in changes for name, one in change.items())
    return [label(cell), ranks, *figures, moved, cell.withheld]


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
@told
def report(folder: Path, window: str, until: str | None, target: Path) -> None:
    """Write a window's report for the operator's audience research: HTML to print, CSV and JSON.

    Each file is noted with its SHA-256 before it is written; `headend disclosures` shows the notes.
    """
    with analytics_of(folder) as analytics:
        args = _asked(window, until)
        made = [analytics.publication.file("report", form, args) for form in REPORT_FORMS]
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

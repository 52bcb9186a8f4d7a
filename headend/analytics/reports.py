"""A window as a file to hand out: a report to read and print, and the same as CSV and JSON with its proof.

The same window gives the same bytes whenever it is asked for, as long as the releases are the same: no
moment and no name of an operator stands in them. A report holds what its releases tell and their manifests.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec
from msgspec import Struct

from headend.analytics import views
from headend.analytics.estimates import Estimates, MeasureEstimate
from headend.analytics.figures import CellEstimate, GroupEstimate
from headend.analytics.intervals import Figure
from headend.analytics.published import sha256
from headend.analytics.store import StoredRelease
from headend.analytics.tables import measure_view, plain
from headend.analytics.told import Told
from headend.analytics.trend import ALL_BOXES, PANEL, Change, Trend
from headend.analytics.windows import WINDOW_LABELS
from shared import dsse
from shared.weeks import Week

CHECKING = (
    "Each week's release is a table of noisy values and a manifest that is signed; both never change. To "
    "check a week: the SHA-256 of its manifest file is the one listed here; the manifest is a DSSE envelope "
    "of type application/vnd.stb-telemetry.manifest+json, signed (Ed25519) with the key of the operator's "
    "analytics side, whose public half the operator hands out; its payload states the SHA-256 of the table. "
    "All figures of this report follow from those tables alone."
)
_ESTIMATE_COLUMNS = (
    *("first_week", "last_week", "simulated", "measure", "region", "cell", "of", "figure"),
    *("low", "value", "high", "rank_low", "rank_high", "withheld", "reading"),
)
_COLUMNS = (
    *("record", "first_week", "last_week", "simulated", "measure", "region", "cell", "of", "figure"),
    *("low", "value", "high", "rank_low", "rank_high", "withheld", "text"),
)
"""Of a report's CSV. `record` says what a row is: a figure, a change, a remark, a reading or a manifest."""


class Proof(Struct, frozen=True):
    """One week's signed manifest, its exact text, with its SHA-256 and that of the table that it is of."""

    week: str
    manifest_sha256: str
    table_sha256: str
    key_id: str
    manifest: str


class ReportFile(Struct, frozen=True):
    """A report as JSON; `checking` says how the manifests are checked."""

    window: str
    guarantee: str
    summary: list[str]
    readings: list[str]
    remarks: list[str]
    estimates: Estimates
    trends: list[Trend]
    checking: str
    manifests: list[Proof]


def as_html(told: Told) -> bytes:
    """One page that needs nothing beside it, for reading and for A4 paper; it holds no script."""
    found = told.estimates
    page = views.render(
        "report.html",
        told=told,
        estimates=found,
        window=WINDOW_LABELS[told.chosen.window],
        dates=_dates(found.weeks),
        measures=measure_views(told),
        changed=_changed(told),
        proofs=[proof_of(release) for release in told.chosen.releases],
        checking=CHECKING,
    )
    return page.encode()


def as_json(told: Told) -> bytes:
    """The report for programs, with the signed manifests inside."""
    file = ReportFile(
        window=told.chosen.window,
        guarantee=told.guarantee,
        summary=told.summary,
        readings=told.readings,
        remarks=told.remarks,
        estimates=without_withheld(told.estimates),
        trends=told.trends,
        checking=CHECKING,
        manifests=[proof_of(release) for release in told.chosen.releases],
    )
    return msgspec.json.encode(file)


def as_csv(told: Told) -> bytes:
    """The report for spreadsheets: one table, in which a row's `record` says what it is."""
    found = told.estimates
    head = [found.weeks[0], found.weeks[-1], found.simulated]
    texts = [
        ("guarantee", [told.guarantee]),
        ("summary", told.summary),
        ("reading", told.readings),
        ("remark", told.remarks),
    ]
    rows: list[list[object]] = [
        [record, *head, *[""] * 11, text] for record, sentences in texts for text in sentences
    ]
    rows += [["figure", *line[:-1], ""] for line in estimate_lines(found)]
    rows += [["change", *line] for trend in told.trends for line in _change_lines(found, trend)]
    for release in told.chosen.releases:
        proof = proof_of(release)
        text = f"manifest SHA-256 {proof.manifest_sha256}, table SHA-256 {proof.table_sha256}"
        rows.append(["manifest", proof.week, proof.week, found.simulated, *[""] * 11, text])
    return _csv(_COLUMNS, rows)


def estimates_csv(found: Estimates) -> bytes:
    """The estimates alone, a row for each figure."""
    return _csv(_ESTIMATE_COLUMNS, estimate_lines(found))


def measure_views(told: Told) -> list[dict[str, object]]:
    """The measures as page and report show them."""
    return [
        measure_view(measure, told.estimates, told.trends) | {"plain": plain(measure, told.profile)}
        for measure in told.measures
    ]


def without_withheld(found: Estimates) -> Estimates:
    """The estimates as they are handed out: what is withheld has no figures."""

    def cell(one: CellEstimate) -> CellEstimate:
        return msgspec.structs.replace(one, panel={}, all_boxes={}) if one.withheld else one

    def group(one: GroupEstimate) -> GroupEstimate:
        return msgspec.structs.replace(one, cells=[cell(each) for each in one.cells])

    def measure(one: MeasureEstimate) -> MeasureEstimate:
        return msgspec.structs.replace(one, groups=[group(each) for each in one.groups])

    return msgspec.structs.replace(
        found,
        measures=[measure(each) for each in found.measures],
        summed=[measure(each) for each in found.summed],
    )


def proof_of(release: StoredRelease) -> Proof:
    """A release's manifest with its hashes; the key's id is the envelope's own hint, for finding the key."""
    return Proof(
        str(release.week),
        sha256(release.manifest),
        sha256(release.table),
        _key_id(release.manifest),
        release.manifest.decode("utf-8", "replace"),
    )


def _key_id(manifest: bytes) -> str:
    try:
        return dsse.read(manifest).keyid
    except dsse.MalformedEnvelopeError:
        return ""


def _dates(weeks: Sequence[str]) -> str:
    first, last = Week.parse(weeks[0]).monday(), Week.parse(weeks[-1]).plus(1).monday()
    return f"Monday {first:%-d %B %Y}, 02:00, to Monday {last:%-d %B %Y}, 02:00"


def _changed(told: Told) -> str:
    return views.span(told.trends[0].against) if told.trends else ""


# CSV.


def _csv(columns: Sequence[str], rows: Iterator[list[object]] | list[list[object]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode()


def estimate_lines(found: Estimates) -> Iterator[list[object]]:
    """A row for each figure of each cell, and one for each withheld cell."""
    for measure in chain(found.measures, found.summed):
        for group in measure.groups:
            for cell in group.cells:
                yield from _lines(found, measure, group, cell)


def _lines(
    found: Estimates, measure: MeasureEstimate, group: GroupEstimate, cell: CellEstimate
) -> Iterator[list[object]]:
    head = [measure.weeks[0], measure.weeks[-1], found.simulated, measure.name, group.region]
    head.append(" / ".join(cell.values) or "all")
    tail = [cell.rank_low, cell.rank_high, cell.withheld]
    if cell.withheld:
        yield [*head, "", "", "", "", "", *tail, ""]
        return
    for whose, figures, reading in (
        (PANEL, cell.panel, found.panel_is),
        (ALL_BOXES, cell.all_boxes, found.all_boxes_is),
    ):
        for name, one in figures.items():
            yield [*head, whose, name, *_rounded(one), *tail, reading]


def _change_lines(found: Estimates, trend: Trend) -> Iterator[list[object]]:
    against = f"against {views.span(trend.against)}"
    for measure in trend.measures:
        for cell in measure.cells:
            head = [found.weeks[0], found.weeks[-1], found.simulated, measure.name, cell.region]
            head.append(" / ".join(cell.values) or "all")
            for whose, changes in ((PANEL, cell.panel), (ALL_BOXES, cell.all_boxes)):
                for name, one in changes.items():
                    yield [*head, whose, name, *_rounded(one), "", "", "", f"{one.arrow.value} {against}"]


def _rounded(one: Figure | Change) -> list[str]:
    return [f"{bound:.6g}" for bound in (one.low, one.value, one.high)]

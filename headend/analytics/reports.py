"""A window as a file to hand out: a report to read and print, and the same as CSV and JSON with its proof.

Sentences are in the language that is asked for; the keys of CSV and JSON, and the names of cells in them, are
the same in all. The same window and language give the same bytes whenever it is asked for, as long as the
releases are the same: no moment and no name of an operator stands in them. A report holds what its releases
tell and their manifests.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import chain

import msgspec
from msgspec import Struct

from headend.analytics.estimates import Estimates, MeasureEstimate
from headend.analytics.figures import CellEstimate, GroupEstimate
from headend.analytics.intervals import Figure
from headend.analytics.published import sha256
from headend.analytics.sentences import Sentences
from headend.analytics.store import StoredRelease
from headend.analytics.tables import Tables, plain
from headend.analytics.told import Told
from headend.analytics.trend import ALL_BOXES, PANEL, Arrow, Change, Trend
from headend.analytics.windows import WINDOW_LABELS
from headend.analytics.wording import Wording
from headend.kit.language import N_, Language
from headend.kit.pages import render
from headend.kit.side import Visit
from shared import dsse
from shared.weeks import Week

CHECKING = N_(
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


_AGAINST = {
    Arrow.UP: N_("up against {weeks}"),
    Arrow.DOWN: N_("down against {weeks}"),
    Arrow.UNCLEAR: N_("no clear change against {weeks}"),
}


class Proof(Struct, frozen=True):
    """One week's signed manifest, its exact text, with its SHA-256 and that of the table that it is of."""

    week: str
    manifest_sha256: str
    table_sha256: str
    key_id: str
    manifest: str


class ReportFile(Struct, frozen=True):
    """A report as JSON, its sentences in `language`; `checking` says how the manifests are checked."""

    window: str
    language: str
    guarantee: str
    summary: list[str]
    readings: list[str]
    remarks: list[str]
    estimates: Estimates
    trends: list[Trend]
    checking: str
    manifests: list[Proof]


def as_html(told: Told, language: Language) -> bytes:
    """One page that needs nothing beside it, for reading and for A4 paper; it holds no script."""
    words = Wording(language)
    said = Sentences(told, words)
    page = render(
        "headend.analytics",
        "report.html",
        Visit("", {}, "", "", language),
        told=told,
        said=said,
        estimates=told.estimates,
        span=words.span(told.estimates.weeks),
        window=_capital(words.text(WINDOW_LABELS[told.chosen.window])),
        first=language.date(Week.parse(told.estimates.weeks[0]).monday()),
        last=language.date(Week.parse(told.estimates.weeks[-1]).plus(1).monday()),
        measures=measure_views(told, words),
        proofs=[proof_of(release) for release in told.chosen.releases],
        checking=words.text(CHECKING),
    )
    return page.encode()


def as_json(told: Told, language: Language) -> bytes:
    """The report for programs, with the signed manifests inside."""
    words = Wording(language)
    said = Sentences(told, words)
    file = ReportFile(
        window=told.chosen.window,
        language=language.code,
        guarantee=said.guarantee,
        summary=said.summary,
        readings=said.readings,
        remarks=said.remarks,
        estimates=handed_out(told.estimates, words),
        trends=told.trends,
        checking=words.text(CHECKING),
        manifests=[proof_of(release) for release in told.chosen.releases],
    )
    return msgspec.json.encode(file)


def as_csv(told: Told, language: Language) -> bytes:
    """The report for spreadsheets: one table, in which a row's `record` says what it is."""
    words = Wording(language)
    said, found = Sentences(told, words), told.estimates
    head = [found.weeks[0], found.weeks[-1], found.simulated]
    texts = [
        ("guarantee", [said.guarantee]),
        ("summary", said.summary),
        ("reading", said.readings),
        ("remark", said.remarks),
    ]
    rows: list[list[object]] = [
        [record, *head, *[""] * 11, text] for record, sentences in texts for text in sentences
    ]
    rows += [["figure", *line[:-1], ""] for line in estimate_lines(found, words)]
    rows += [["change", *line] for trend in told.trends for line in _change_lines(found, trend, words)]
    for release in told.chosen.releases:
        proof = proof_of(release)
        text = f"manifest SHA-256 {proof.manifest_sha256}, table SHA-256 {proof.table_sha256}"
        rows.append(["manifest", proof.week, proof.week, found.simulated, *[""] * 11, text])
    return _csv(_COLUMNS, rows)


def estimates_csv(found: Estimates, language: Language) -> bytes:
    """The estimates alone, a row for each figure."""
    return _csv(_ESTIMATE_COLUMNS, estimate_lines(found, Wording(language)))


def estimates_json(found: Estimates, language: Language) -> bytes:
    """The estimates alone, for programs."""
    return msgspec.json.encode(handed_out(found, Wording(language)))


def measure_views(told: Told, words: Wording) -> list[dict[str, object]]:
    """All tables as the report shows them."""
    tables = Tables(words, told.estimates, told.trends)
    return [tables.view(one) | {"plain": plain(one, told.profile, words)} for one in told.tables]


def only_of(found: Estimates, table: str) -> Estimates:
    """The estimates of one table alone; none if there is no such."""
    return msgspec.structs.replace(
        found,
        measures=[one for one in found.measures if one.name == table],
        summed=[one for one in found.summed if one.name == table],
    )


def handed_out(found: Estimates, words: Wording) -> Estimates:
    """The estimates as they are handed out: what is withheld has no figures, sentences are in a language."""

    def cell(one: CellEstimate) -> CellEstimate:
        if not one.withheld:
            return one
        return msgspec.structs.replace(one, withheld=words.text(one.withheld), panel={}, all_boxes={})

    def group(one: GroupEstimate) -> GroupEstimate:
        cells = [cell(each) for each in one.cells]
        return msgspec.structs.replace(
            one, withheld=words.text(one.withheld), cells=cells, ranking=words.ranking(one)
        )

    def measure(one: MeasureEstimate) -> MeasureEstimate:
        groups = [group(each) for each in one.groups]
        return msgspec.structs.replace(one, share_of=words.text(one.share_of), groups=groups)

    return msgspec.structs.replace(
        found,
        panel_is=words.text(found.panel_is),
        all_boxes_is=words.text(found.all_boxes_is),
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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# CSV.


def _csv(columns: Sequence[str], rows: Iterator[list[object]] | list[list[object]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(rows)
    return out.getvalue().encode()


def estimate_lines(found: Estimates, words: Wording) -> Iterator[list[object]]:
    """A row for each figure of each cell, and one for each withheld cell."""
    for measure in chain(found.measures, found.summed):
        for group in measure.groups:
            for cell in group.cells:
                yield from _lines(found, measure, group.region, cell, words)


def _lines(
    found: Estimates, measure: MeasureEstimate, region: str, cell: CellEstimate, words: Wording
) -> Iterator[list[object]]:
    head = [measure.weeks[0], measure.weeks[-1], found.simulated, measure.name, region]
    head.append(" / ".join(cell.values) or "all")
    tail = [cell.rank_low, cell.rank_high, words.text(cell.withheld)]
    if cell.withheld:
        yield [*head, "", "", "", "", "", *tail, ""]
        return
    for whose, figures, reading in (
        (PANEL, cell.panel, words.text(found.panel_is)),
        (ALL_BOXES, cell.all_boxes, words.text(found.all_boxes_is)),
    ):
        for name, one in figures.items():
            yield [*head, whose, name, *_rounded(one), *tail, reading]


def _change_lines(found: Estimates, trend: Trend, words: Wording) -> Iterator[list[object]]:
    weeks = words.span(trend.against)
    for measure in trend.measures:
        for cell in measure.cells:
            head = [found.weeks[0], found.weeks[-1], found.simulated, measure.name, cell.region]
            head.append(" / ".join(cell.values) or "all")
            for whose, changes in ((PANEL, cell.panel), (ALL_BOXES, cell.all_boxes)):
                for name, one in changes.items():
                    text = words.text(_AGAINST[one.arrow], weeks=weeks)
                    yield [*head, whose, name, *_rounded(one), "", "", "", text]


def _rounded(one: Figure | Change) -> list[str]:
    return [f"{bound:.6g}" for bound in (one.low, one.value, one.high)]

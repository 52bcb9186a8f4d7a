"""Popularity as people see it: the windows to choose from, the page parts, and the downloads.

Everything here is computed from stored releases; before a week's release nothing of it can be seen.
"""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import msgspec

from headend.analytics import views
from headend.analytics.budget import explain, statement
from headend.analytics.estimates import (
    Estimates,
    MeasureEstimate,
    NoReleasesError,
    SeriesBrokenError,
    estimate,
)
from headend.analytics.figures import CellEstimate, GroupEstimate
from headend.analytics.intervals import Figure
from headend.analytics.published import read_table
from headend.analytics.store import AnalyticsStore, StoredRelease
from headend.disclosure import Cleared, Kind, Purpose, Recipient, clear
from headend.kit.side import Attachment, Download, PagePart
from shared.errors import StbError
from shared.register import Profile, profile
from shared.weeks import NotAWeekError, Week

ROLES = frozenset({"analyst", "privacy-officer"})
WINDOWS = {"week": 1, "four": 4, "quarter": 13}
WINDOW_LABELS = {"week": "one week", "four": "four weeks", "quarter": "a quarter (13 weeks)"}
DEFAULT_WINDOW = "four"
MEDIA_TYPES = {
    ("estimates", "csv"): "text/csv; charset=utf-8",
    ("estimates", "json"): "application/json",
    ("release", "json"): "application/json",
    ("manifest", "json"): "application/json",
}
"""What can be downloaded: (kind, format) and its content type."""
_COLUMNS = (
    *("first_week", "last_week", "simulated", "measure", "region", "cell", "of", "figure"),
    *("low", "value", "high", "rank_low", "rank_high", "withheld", "reading"),
)


class NoSuchDownloadError(StbError):
    """There is no such download, window or week."""


@dataclass(frozen=True)
class Chosen:
    """A window that was asked for: its releases, oldest first, and what was asked."""

    window: str
    until: str
    choices: list[str]
    releases: list[StoredRelease]

    @property
    def short(self) -> str:
        """What to say if there are fewer weeks than were asked for."""
        asked = WINDOWS[self.window]
        if len(self.releases) >= asked:
            return ""
        return f"Of the {asked} weeks asked for, {len(self.releases)} follow each other without a gap."


class Publication:
    """Page parts and downloads over one store; `prefix` is where the console serves downloads."""

    def __init__(self, store: AnalyticsStore, next_week: Callable[[], Week], prefix: str) -> None:
        self._store = store
        self._next_week = next_week
        self._prefix = prefix

    def pages(self) -> list[PagePart]:
        """The page parts that analytics offers to the console."""
        return [
            PagePart("popularity", "Popularity", ROLES, self.popularity),
            PagePart("releases", "Releases and budget", ROLES, self.releases),
        ]

    def downloads(self) -> list[Download]:
        """The files that analytics offers to the console; their arguments are those of the pages."""
        return [
            Download(f"popularity/{kind}.{form}", f"{kind.capitalize()} ({form.upper()})", ROLES, make)
            for kind, form in MEDIA_TYPES
            for make in [partial(self._attachment, kind, form)]
        ]

    def choose(self, args: dict[str, str]) -> Chosen:
        """The window that a query asks for, by `window` and `until`; unknown words choose the usual.

        It ends with the newest release not after `until`, and goes back as far as weeks follow each other.
        """
        window = args.get("window", DEFAULT_WINDOW)
        window = window if window in WINDOWS else DEFAULT_WINDOW
        known = self._store.releases()
        last = _week(args.get("until", ""))
        until = [release for release in known if last is None or release.week <= last]
        taken: list[StoredRelease] = []
        for release in reversed(until):
            if len(taken) == WINDOWS[window] or (taken and taken[-1].week.weeks_since(release.week) != 1):
                break
            taken.append(release)
        choices = [str(release.week) for release in reversed(known)]
        return Chosen(window, str(taken[0].week) if taken else "", choices, taken[::-1])

    def popularity(self, args: dict[str, str]) -> str:
        """The page of estimates with charts and tables."""
        chosen = self.choose(args)
        frame = {"windows": _window_choices(), "choices": chosen.choices, "prefix": self._prefix}
        frame |= {"window": chosen.window, "until": chosen.until}
        try:
            found = _estimates(chosen)
        except (NoReleasesError, SeriesBrokenError) as refusal:
            return views.render("popularity.html", refusal=f"Nothing to show: {refusal}.", **frame)
        taken = profile(found.profile)
        return views.render(
            "popularity.html",
            refusal="",
            estimates=found,
            simulated=found.simulated,
            span=views.span(found.weeks),
            short=chosen.short,
            guarantee=statement(taken).plain,
            measures=[views.measure_view(measure, taken) for measure in found.measures],
            query=f"window={chosen.window}&until={chosen.until}",
            **frame,
        )

    def releases(self, args: dict[str, str]) -> str:  # noqa: ARG002 (every page part takes the query)
        """The page of weeks, their state, the guarantee and the budget."""
        taken = self._profile()
        spendings = self._store.spendings()
        cap = self._store.installation().cap_micro
        return views.render(
            "releases.html",
            statement=statement(taken),
            delta="1e-9",
            budget=explain(spendings, self._next_week(), taken, cap),
            weeks=views.week_views(self._store.states(), spendings),
            prefix=self._prefix,
        )

    def download(self, kind: str, form: str, args: dict[str, str]) -> Cleared[bytes]:
        """A download for the operator's audience research, let through by the disclosure table.

        Args:
            kind: estimates, release or manifest.
            form: csv or json.
            args: `window` and `until`; a release and a manifest are those of the week `until`.

        Raises:
            NoSuchDownloadError: there is none like that.
        """
        if (kind, form) not in MEDIA_TYPES:
            raise NoSuchDownloadError(f"no download {kind}.{form}")
        chosen = self.choose(args)
        if not chosen.releases or args.get("until", chosen.until) != chosen.until:
            raise NoSuchDownloadError("there is no release of that week")
        if kind != "estimates":
            last = chosen.releases[-1]
            return _clear(last.table if kind == "release" else last.manifest, Kind.RELEASE)
        try:
            found = _estimates(chosen)
        except SeriesBrokenError as error:
            raise NoSuchDownloadError(str(error)) from error
        content = _csv(found) if form == "csv" else msgspec.json.encode(without_withheld(found))
        return _clear(content, Kind.ESTIMATES)

    def _attachment(self, kind: str, form: str, args: dict[str, str]) -> Attachment:
        cleared = self.download(kind, form, args)
        chosen = self.choose(args)
        span = chosen.until if kind != "estimates" else f"{chosen.releases[0].week}-{chosen.until}"
        return Attachment(cleared, f"{kind}-{span}.{form}", MEDIA_TYPES[kind, form])

    def _profile(self) -> Profile:
        return profile(self._store.installation().profile)


def without_withheld(found: Estimates) -> Estimates:
    """The estimates as they are handed out: what is withheld has no figures."""

    def cell(one: CellEstimate) -> CellEstimate:
        return msgspec.structs.replace(one, panel={}, all_boxes={}) if one.withheld else one

    def group(one: GroupEstimate) -> GroupEstimate:
        return msgspec.structs.replace(one, cells=[cell(each) for each in one.cells])

    def measure(one: MeasureEstimate) -> MeasureEstimate:
        return msgspec.structs.replace(one, groups=[group(each) for each in one.groups])

    return msgspec.structs.replace(found, measures=[measure(each) for each in found.measures])


def _estimates(chosen: Chosen) -> Estimates:
    return estimate([read_table(release.table) for release in chosen.releases])


def _clear(content: bytes, kind: Kind) -> Cleared[bytes]:
    return clear(content, kind, Recipient.OPERATOR, Purpose.GENRE_POPULARITY)


def _week(text: str) -> Week | None:
    try:
        return Week.parse(text)
    except NotAWeekError:
        return None


def _window_choices() -> list[dict[str, str]]:
    return [{"name": name, "label": label} for name, label in WINDOW_LABELS.items()]


def _csv(found: Estimates) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for measure in found.measures:
        for group in measure.groups:
            for cell in group.cells:
                writer.writerows(_lines(found, measure, group, cell))
    return out.getvalue().encode()


def _lines(
    found: Estimates, measure: MeasureEstimate, group: GroupEstimate, cell: CellEstimate
) -> Iterator[list[object]]:
    head = [found.weeks[0], found.weeks[-1], found.simulated, measure.name, group.region]
    head.append(" / ".join(cell.values) or "all")
    tail = [cell.rank_low, cell.rank_high, cell.withheld]
    if cell.withheld:
        yield [*head, "", "", "", "", "", *tail, ""]
        return
    for whose, figures, reading in (
        ("panel", cell.panel, found.panel_is),
        ("all boxes", cell.all_boxes, found.all_boxes_is),
    ):
        for name, one in figures.items():
            yield [*head, whose, name, *_rounded(one), *tail, reading]


def _rounded(one: Figure) -> list[str]:
    return [f"{bound:.6g}" for bound in (one.low, one.value, one.high)]

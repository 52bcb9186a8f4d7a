"""Popularity as people see it: the windows to choose from, the page parts, and the downloads.

Everything here is computed from stored releases; before a week's release nothing of it can be seen.
"""

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from headend.analytics import reports, views
from headend.analytics.budget import explain, statement
from headend.analytics.estimates import NoReleasesError
from headend.analytics.store import AnalyticsStore
from headend.analytics.told import Told, tell
from headend.analytics.windows import WINDOW_LABELS, Chosen, choose
from headend.disclosure import Cleared, Kind, Purpose, Recipient, clear
from headend.kit.language import N_
from headend.kit.side import Attachment, Download, Group, PagePart, Visit
from shared.errors import StbError
from shared.register import Profile, profile
from shared.weeks import Week

ROLES = frozenset({"analyst", "privacy-officer"})
MEDIA_TYPES = {
    ("report", "html"): "text/html; charset=utf-8",
    ("report", "csv"): "text/csv; charset=utf-8",
    ("report", "json"): "application/json",
    ("estimates", "csv"): "text/csv; charset=utf-8",
    ("estimates", "json"): "application/json",
    ("release", "json"): "application/json",
    ("manifest", "json"): "application/json",
}
"""What can be downloaded: (kind, format) and its content type."""
REPORT_FORMS = tuple(form for kind, form in MEDIA_TYPES if kind == "report")
OF_A_WEEK = frozenset({"release", "manifest"})
"""The kinds that are of one week, the window's last; the others are of the window."""


class NoSuchDownloadError(StbError):
    """There is no such download, window or week."""


class Publication:
    """Page parts and downloads over one store; `prefix` is where the console serves downloads."""

    def __init__(self, store: AnalyticsStore, next_week: Callable[[], Week], prefix: str) -> None:
        self._store = store
        self._next_week = next_week
        self._prefix = prefix

    def pages(self) -> list[PagePart]:
        """The page parts that analytics offers to the console."""
        return [
            PagePart("popularity", N_("Popularity"), ROLES, self.popularity, Group.POPULARITY),
            PagePart("releases", N_("Releases and budget"), ROLES, self.releases, Group.POPULARITY),
        ]

    def downloads(self) -> list[Download]:
        """The files that analytics offers to the console; their arguments are those of the pages."""
        return [
            Download(f"popularity/{kind}.{form}", f"{kind.capitalize()} ({form.upper()})", ROLES, make)
            for kind, form in MEDIA_TYPES
            for make in [partial(self.attachment, kind, form)]
        ]

    def choose(self, args: Mapping[str, str]) -> Chosen:
        """The window that a query asks for; see `windows.choose`."""
        states = self._store.states()
        return choose(self._store.releases(), args, lambda week: views.why_missing(states.get(week)))

    def popularity(self, visit: Visit) -> str:
        """The page of estimates with charts and tables."""
        chosen = self.choose(visit.args)
        frame = {"windows": _window_choices(), "choices": chosen.choices, "prefix": self._prefix}
        frame |= {"window": chosen.window, "until": chosen.until}
        try:
            told = tell(chosen)
        except NoReleasesError as refusal:
            return views.render("popularity.html", refusal=f"Nothing to show: {refusal}.", **frame)
        return views.render(
            "popularity.html",
            refusal="",
            estimates=told.estimates,
            simulated=told.estimates.simulated,
            span=told.span,
            short=chosen.short,
            guarantee=told.guarantee,
            summary=told.summary,
            readings=told.readings,
            remarks=told.remarks,
            measures=reports.measure_views(told),
            changed=views.span(told.trends[0].against) if told.trends else "",
            query=f"window={chosen.window}&until={chosen.until}",
            **frame,
        )

    def releases(self, visit: Visit) -> str:  # noqa: ARG002 (every page part takes the visit)
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

    def download(self, kind: str, form: str, args: Mapping[str, str]) -> Cleared[bytes]:
        """A download for the operator's audience research, let through by the disclosure table.

        Args:
            kind: report, estimates, release or manifest.
            form: html, csv or json.
            args: `window` and `until`; a release and a manifest are those of the week `until`.

        Raises:
            NoSuchDownloadError: there is none like that.
        """
        return self._cleared(kind, form, args)[0]

    def attachment(self, kind: str, form: str, visit: Visit) -> Attachment:
        """A download with the name of its file; raises as `download` does."""
        cleared, name = self.file(kind, form, visit.args)
        return Attachment(cleared, name, MEDIA_TYPES[kind, form])

    def file(self, kind: str, form: str, args: Mapping[str, str]) -> tuple[Cleared[bytes], str]:
        """Likewise, as what has been cleared and the file's name."""
        cleared, chosen = self._cleared(kind, form, args)
        span = chosen.until if kind in OF_A_WEEK else f"{chosen.releases[0].week}-{chosen.until}"
        return cleared, f"{kind}-{span}.{form}"

    def _cleared(self, kind: str, form: str, args: Mapping[str, str]) -> tuple[Cleared[bytes], Chosen]:
        if (kind, form) not in MEDIA_TYPES:
            raise NoSuchDownloadError(f"no download {kind}.{form}")
        chosen = self.choose(args)
        if not chosen.releases or args.get("until", chosen.until) != chosen.until:
            raise NoSuchDownloadError("there is no release of that week")
        if kind in OF_A_WEEK:
            last = chosen.releases[-1]
            return _clear(last.table if kind == "release" else last.manifest, Kind.RELEASE), chosen
        return _clear(_written(kind, form, tell(chosen)), Kind.ESTIMATES), chosen

    def _profile(self) -> Profile:
        return profile(self._store.installation().profile)


def _written(kind: str, form: str, told: Told) -> bytes:
    if kind == "report":
        return {"html": reports.as_html, "csv": reports.as_csv, "json": reports.as_json}[form](told)
    if form == "csv":
        return reports.estimates_csv(told.estimates)
    return msgspec.json.encode(reports.without_withheld(told.estimates))


def _clear(content: bytes, kind: Kind) -> Cleared[bytes]:
    return clear(content, kind, Recipient.OPERATOR, Purpose.GENRE_POPULARITY)


def _window_choices() -> list[dict[str, str]]:
    return [{"name": name, "label": label} for name, label in WINDOW_LABELS.items()]

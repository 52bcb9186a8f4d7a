"""Popularity as people see it: the page parts and the downloads that analytics offers to the console.

Everything here is computed from stored releases; before a week's release nothing of it can be seen.
"""

from collections.abc import Callable, Mapping
from functools import partial
from zoneinfo import ZoneInfo

from headend.analytics import reports
from headend.analytics.popularity_pages import PopularityPages
from headend.analytics.privacy_pages import PrivacyPages
from headend.analytics.release_pages import ReleasePages, ledger
from headend.analytics.shelf import Shelf
from headend.analytics.store import AnalyticsStore
from headend.analytics.told import Told
from headend.analytics.trend_pages import TrendPages
from headend.analytics.views import VIEWS
from headend.analytics.windows import Chosen
from headend.disclosure import Cleared, Kind, Purpose, Recipient, clear
from headend.kit.language import N_, Language, language_of
from headend.kit.side import Attachment, Download, Group, PagePart, Visit
from shared.errors import StbError
from shared.register import Profile, in_force, profile
from shared.weeks import Week

ROLES = frozenset({"analyst", "privacy-officer"})
OFFICER = frozenset({"privacy-officer"})
CSV, JSON = "text/csv; charset=utf-8", "application/json"
MEDIA_TYPES = {
    ("report", "html"): "text/html; charset=utf-8",
    ("report", "csv"): CSV,
    ("report", "json"): JSON,
    ("estimates", "csv"): CSV,
    ("estimates", "json"): JSON,
    ("release", "json"): JSON,
    ("manifest", "json"): JSON,
}
"""What can be downloaded of a window: (kind, format) and its content type."""
REPORT_FORMS = tuple(form for kind, form in MEDIA_TYPES if kind == "report")
OF_A_WEEK = frozenset({"release", "manifest"})
"""The kinds that are of one week, the window's last; the others are of the window."""
TITLES = {
    "report": N_("Report"),
    "estimates": N_("Estimates"),
    "release": N_("Release"),
    "manifest": N_("Signed manifest"),
}


class NoSuchDownloadError(StbError):
    """There is no such download, window or week."""


class Publication:
    """Page parts and downloads over one store; `next_week` is the week to be released next."""

    def __init__(self, store: AnalyticsStore, next_week: Callable[[], Week]) -> None:
        self._store = store
        self._next_week = next_week
        self.shelf = Shelf(store)
        self.popularity = PopularityPages(self.shelf, self.in_force)
        self.trends = TrendPages(self.shelf)
        self.weeks = ReleasePages(store, self.shelf, next_week, self.in_force)
        self.privacy = PrivacyPages(store, self.shelf, self.in_force)

    def in_force(self) -> Profile:
        """The profile as the week to be released next takes it."""
        return in_force(profile(self._store.installation().profile), self._next_week().monday())

    def pages(self) -> list[PagePart]:
        """The page parts that analytics offers to the console."""
        genre, *others = VIEWS
        return [
            PagePart(
                genre.path, N_("Popularity"), ROLES, partial(self.popularity.page, genre), Group.POPULARITY
            ),
            *(PagePart(one.path, one.title, ROLES, partial(self.popularity.page, one)) for one in others),
            PagePart("trends", N_("Trends"), ROLES, self.trends.trends, Group.POPULARITY),
            PagePart("releases", N_("Releases"), ROLES, self.weeks.releases, Group.POPULARITY),
            PagePart("measures", N_("Measures"), ROLES, self.privacy.measures, Group.PRIVACY),
            PagePart("budget", N_("Budget"), ROLES, self.weeks.budget, Group.PRIVACY),
            PagePart("consent", N_("Consent rate"), OFFICER, self.privacy.consent, Group.PRIVACY),
            PagePart("directories", N_("Directories"), ROLES, self.privacy.directories, Group.PRIVACY),
        ]

    def downloads(self) -> list[Download]:
        """The files that analytics offers to the console; their arguments are those of the pages."""
        windows = [
            Download(f"popularity/{kind}.{form}", TITLES[kind], ROLES, partial(self.attachment, kind, form))
            for kind, form in MEDIA_TYPES
        ]
        return [
            *windows,
            Download("popularity/trend.csv", N_("One series by week"), ROLES, self._trend),
            Download("budget/ledger.csv", N_("Budget ledger"), ROLES, self._ledger),
            Download("consent/weeks.csv", N_("Consent rate by week"), OFFICER, self._consent),
        ]

    # --- windows
    def choose(self, args: Mapping[str, str]) -> Chosen:
        """The window that a query asks for; see `windows.choose`."""
        return self.shelf.choose(args)

    def download(
        self, kind: str, form: str, args: Mapping[str, str], language: Language | None = None
    ) -> Cleared[bytes]:
        """A download for the operator's audience research, let through by the disclosure table.

        Args:
            kind: report, estimates, release or manifest.
            form: html, csv or json.
            args: `window` and `until`; a release and a manifest are those of the week `until`. `table` is the
                one table that estimates are of.
            language: Of the sentences in reports and estimates; English if not said.

        Raises:
            NoSuchDownloadError: there is none like that.
        """
        return self.file(kind, form, args, language)[0]

    def attachment(self, kind: str, form: str, visit: Visit) -> Attachment:
        """A download with the name of its file; raises as `download` does."""
        cleared, name = self.file(kind, form, visit.args, visit.language)
        return Attachment(cleared, name, MEDIA_TYPES[kind, form])

    def file(
        self, kind: str, form: str, args: Mapping[str, str], language: Language | None = None
    ) -> tuple[Cleared[bytes], str]:
        """Likewise, with the file's name, which tells the language if it is not English."""
        if (kind, form) not in MEDIA_TYPES:
            raise NoSuchDownloadError(f"no download {kind}.{form}")
        chosen = self.choose(args)
        if not chosen.releases or args.get("until", chosen.until) != chosen.until:
            raise NoSuchDownloadError("there is no release of that week")
        if kind in OF_A_WEEK:
            last = chosen.releases[-1]
            content = last.table if kind == "release" else last.manifest
            return _clear(content, Kind.RELEASE), f"{kind}-{chosen.until}.{form}"
        return self._window(kind, form, args, language or self._english())

    def _window(
        self, kind: str, form: str, args: Mapping[str, str], language: Language
    ) -> tuple[Cleared[bytes], str]:
        told, table = self.shelf.tell(args), args.get("table", "")
        weeks = told.estimates.weeks
        parts = [kind, *([table] if table and kind == "estimates" else []), weeks[0], weeks[-1]]
        parts += [language.code] if language.code != "en" else []
        return _clear(
            _written(kind, form, told, table, language), Kind.ESTIMATES
        ), f"{'-'.join(parts)}.{form}"

    def _english(self) -> Language:
        return language_of("en", ZoneInfo(self._store.installation().zone))

    # --- what is drawn over time
    def _trend(self, visit: Visit) -> Attachment:
        content, name = self.trends.file(visit)
        suffix = "" if visit.language.code == "en" else f"-{visit.language.code}"
        return Attachment(_clear(content, Kind.ESTIMATES), f"{name}{suffix}.csv", CSV)

    def _ledger(self, visit: Visit) -> Attachment:  # noqa: ARG002 (every download takes the visit)
        """What each week cost; the signed manifests of the weeks tell the same."""
        spendings = self._store.spendings()
        lines = ["week,rho_micro,rho_micro_in_53_weeks"]
        lines += [
            f"{one.week},{one.rho_micro},{one.together_micro}" for one in ledger(spendings, len(spendings))
        ]
        return Attachment(_clear("\n".join([*lines, ""]).encode(), Kind.RELEASE), "budget.csv", CSV)

    def _consent(self, visit: Visit) -> Attachment:  # noqa: ARG002 (every download takes the visit)
        """Who took part; the released tables and totals tell the same."""
        return Attachment(_clear(self.privacy.consent_file(), Kind.RELEASE), "consent.csv", CSV)


def _written(kind: str, form: str, told: Told, table: str, language: Language) -> bytes:
    if kind == "report":
        return {"html": reports.as_html, "csv": reports.as_csv, "json": reports.as_json}[form](told, language)
    found = reports.only_of(told.estimates, table) if table else told.estimates
    if not found.measures and not found.summed:
        raise NoSuchDownloadError("there is no such table")
    return {"csv": reports.estimates_csv, "json": reports.estimates_json}[form](found, language)


def _clear(content: bytes, kind: Kind) -> Cleared[bytes]:
    return clear(content, kind, Recipient.OPERATOR, Purpose.GENRE_POPULARITY)

"""What every console page stands in: who looks, what the sides offer, how a page is drawn."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import chain
from pathlib import Path
from zoneinfo import ZoneInfo

from flask import g, request, url_for

from headend.console.access import Access, Signed
from headend.console.entrance import Entrance
from headend.console.factors import Factors
from headend.console.operators import Operators
from headend.console.running import Running
from headend.console.store import ConsoleStore, Role
from headend.kit import pages
from headend.kit.http import Tally
from headend.kit.jobs import JobState
from headend.kit.language import LANGUAGES, N_, Language, language_of
from headend.kit.side import Deed, Download, Group, PagePart, Search, Side, Tile, Visit
from shared.clock import Clock, to_ms

log = logging.getLogger(__name__)

ROLE_TITLES = {
    Role.BILLING: N_("Billing"),
    Role.ANALYST: N_("Analyst"),
    Role.PRIVACY_OFFICER: N_("Privacy officer"),
    Role.ADMIN: N_("Admin"),
}
SIDE_TITLES = {"billing": N_("Billing"), "analytics": N_("Popularity"), "console": N_("Console")}
LANGUAGE_COOKIE = "console-language"
STYLE_VERSION = hashlib.sha256(
    files("headend.console").joinpath("static/console.css").read_bytes()
).hexdigest()[:16]


@dataclass(frozen=True)
class Settings:
    """How this console was set up; the installation's clock may be steered, the real one never is.

    `real_clock` rules sign-ins and lockouts. `secure_cookies` is for serving behind TLS; without it the
    console answers on loopback only. Times on pages are of `zone`, those of the audit are real and in UTC.
    `keys` is the folder of the console's own keys; `name` is what operators' devices call this console.
    """

    real_clock: Clock
    installation_clock: Clock
    simulated: bool
    secure_cookies: bool
    zone: ZoneInfo
    keys: Path
    name: str = "Headend console"


@dataclass
class Frame:
    """The console's parts, and what the composition root has handed over from the sides."""

    settings: Settings
    store: ConsoleStore
    access: Access
    entrance: Entrance
    factors: Factors
    operators: Operators
    tally: Tally
    random_bytes: Callable[[int], bytes]
    sides: list[Side] = field(default_factory=list)
    jobs: Callable[[], list[JobState]] = field(default=list)
    running: Running = field(init=False)

    def __post_init__(self) -> None:
        self.running = Running(self.settings.installation_clock, self._jobs_now)

    def _jobs_now(self) -> list[JobState]:
        # The sides are offered after the frame has been made.
        return self.jobs()

    def menu(self, role: Role) -> list[tuple[Group, list[PagePart]]]:
        """The pages for a role by the groups of the menu; groups with none are left out."""
        shown = [page for side in self.sides for page in side.pages if role in page.roles]
        grouped = [(group, [page for page in shown if page.group is group]) for group in Group]
        return [(group, found) for group, found in grouped if found]

    def search(self, role: Role) -> Search | None:
        """What answers the search box of a role."""
        offered = chain(*(side.searches for side in self.sides))
        return next((search for search in offered if role in search.roles), None)

    def page(self, path: str) -> PagePart | None:
        """The page part of that path, whoever may see it."""
        return next((page for page in chain(*(s.pages for s in self.sides)) if page.path == path), None)

    def download(self, path: str) -> Download | None:
        """The download of that path, whoever may have it."""
        return next((file for file in chain(*(s.downloads for s in self.sides)) if file.path == path), None)

    def deed(self, path: str) -> Deed | None:
        """The deed of that path, whoever may do it."""
        return next((deed for deed in chain(*(s.deeds for s in self.sides)) if deed.path == path), None)

    def tiles_by_side(self, visit: Visit) -> list[tuple[str, list[Tile]]]:
        """The overview's figures for who looks, under their sides' titles."""
        offered = [(side.name, _tiles(side, visit)) for side in self.sides]
        return [
            (visit.language.text(SIDE_TITLES.get(name, name.capitalize())), tiles)
            for name, tiles in offered
            if tiles
        ]

    def language(self) -> Language:
        """The language of this request: chosen before, else the first that the browser asks for."""
        chosen = request.cookies.get(LANGUAGE_COOKIE, "")
        if chosen not in LANGUAGES:
            chosen = request.accept_languages.best_match(list(LANGUAGES)) or "en"
        return language_of(chosen, self.settings.zone)

    def visit(self, path: str) -> Visit:
        """Who asks in this request, for what, and with what."""
        sent = request.form if request.method == "POST" else request.args
        return self._visit(path, {name: value for name, value in sent.to_dict().items() if name != "csrf"})

    def _visit(self, path: str, args: dict[str, str]) -> Visit:
        signed: Signed | None = g.get("signed")
        return Visit(
            path=path,
            args=args,
            who=signed.operator.name if signed else "",
            role=signed.operator.role if signed else "",
            language=self.language(),
            csrf=signed.sign_in.csrf if signed else "",
        )

    def show(self, template: str, title: str, **values: object) -> str:
        """A whole page; templates escape whatever they are given, and `title` is a message."""
        signed: Signed | None = g.get("signed")
        visit = self._visit("", {})  # a form that is too large is never read
        now = self.settings.installation_clock.now() if self.settings.simulated else None
        return pages.render(
            "headend.console",
            f"console/{template}",
            visit,
            title=visit.language.text(title),
            signed=signed,
            csrf=visit.csrf,
            menu=self.menu(signed.operator.role) if signed else [],
            search=self.search(signed.operator.role) if signed else None,
            role_titles=ROLE_TITLES,
            languages=LANGUAGES,
            simulated=self.settings.simulated,
            installation_ms=None if now is None else to_ms(now),
            utc=visit.language.utc,
            here=request.path,
            again=request.full_path.rstrip("?") if request.method == "GET" else "/console/",
            url_for=url_for,
            style_version=STYLE_VERSION,
            **values,
        )


def current() -> Signed:
    """Who is signed in; only for pages behind the guard."""
    signed: Signed = g.signed
    return signed


def _tiles(side: Side, visit: Visit) -> list[Tile]:
    try:
        return side.tiles(visit)
    except Exception:
        # The overview is where trouble is looked for: one side's must not hide the others' figures.
        log.exception("the tiles of %s failed", side.name)
        words = visit.language
        title = words.text(SIDE_TITLES.get(side.name, side.name.capitalize()))
        return [Tile(title, words.text("no answer"), words.text("see the log"), alarm=True)]

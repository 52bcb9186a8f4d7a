"""What every console page stands in: who looks, what the sides offer, how a page is drawn."""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from itertools import chain

from flask import g, render_template

from headend.console.access import Access, Signed
from headend.console.operators import Operators
from headend.console.store import ConsoleStore, Role
from headend.kit.jobs import Slot
from headend.kit.side import Download, PagePart, Side, Tile
from shared.clock import Clock, from_ms

log = logging.getLogger(__name__)

ROLE_TITLES = {
    Role.BILLING: "Billing",
    Role.ANALYST: "Analyst",
    Role.PRIVACY_OFFICER: "Privacy officer",
    Role.ADMIN: "Admin",
}
_SIDE_TITLES = {"billing": "Billing", "analytics": "Popularity", "console": "Console"}
STYLE_VERSION = hashlib.sha256(
    files("headend.console").joinpath("static/console.css").read_bytes()
).hexdigest()[:16]


@dataclass(frozen=True)
class Settings:
    """How this console was set up; the installation's clock may be steered, the real one never is."""

    real_clock: Clock
    installation_clock: Clock
    simulated: bool
    secure_cookies: bool


@dataclass
class Frame:
    """The console's parts, and what the composition root has handed over from the sides."""

    settings: Settings
    store: ConsoleStore
    access: Access
    operators: Operators
    random_bytes: Callable[[int], bytes]
    sides: list[Side] = field(default_factory=list)
    jobs: Callable[[], list[tuple[str, Slot]]] = field(default=list)

    def pages_by_side(self, role: Role) -> list[tuple[str, list[PagePart]]]:
        """The page parts for a role under their sides' titles; sides with none are left out."""
        offered = [(side.name, [page for page in side.pages if role in page.roles]) for side in self.sides]
        return [(side_title(name), pages) for name, pages in offered if pages]

    def page(self, path: str) -> PagePart | None:
        """The page part of that path, whoever may see it."""
        return next((page for page in chain(*(s.pages for s in self.sides)) if page.path == path), None)

    def download(self, path: str) -> Download | None:
        """The download of that path, whoever may have it."""
        return next((file for file in chain(*(s.downloads for s in self.sides)) if file.path == path), None)

    def tiles_by_side(self, role: Role) -> list[tuple[str, list[Tile]]]:
        """The overview's figures for a role under their sides' titles."""
        offered = [(side_title(side.name), _tiles(side, role)) for side in self.sides]
        return [(title, tiles) for title, tiles in offered if tiles]

    def show(self, template: str, title: str, **values: object) -> str:
        """A whole page; templates escape whatever they are given."""
        signed: Signed | None = g.get("signed")
        return render_template(
            f"console/{template}",
            title=title,
            signed=signed,
            csrf=signed.sign_in.csrf if signed else "",
            menu=self.pages_by_side(signed.operator.role) if signed else [],
            role_titles=ROLE_TITLES,
            simulated=self.settings.simulated,
            installation_time=self.settings.installation_clock.now() if self.settings.simulated else None,
            moment=moment,
            instant=instant,
            style_version=STYLE_VERSION,
            **values,
        )


def current() -> Signed:
    """Who is signed in; only for pages behind the guard."""
    signed: Signed = g.signed
    return signed


def side_title(name: str) -> str:
    """A side's name as the menu shows it."""
    return _SIDE_TITLES.get(name, name.capitalize())


def moment(ms: int) -> str:
    """Unix milliseconds as a person reads them, in UTC.

    >>> moment(0)
    '1970-01-01 00:00:00'
    """
    return from_ms(ms).strftime("%Y-%m-%d %H:%M:%S")


def instant(at: datetime) -> str:
    """An instant in UTC, to the minute."""
    return at.strftime("%Y-%m-%d %H:%M")


def _tiles(side: Side, role: Role) -> list[Tile]:
    try:
        return side.tiles(frozenset({role}))
    except Exception:
        # The overview is where trouble is looked for: one side's must not hide the others' figures.
        log.exception("the tiles of %s failed", side.name)
        return [Tile(side_title(side.name), "no answer", "see the log", alarm=True)]

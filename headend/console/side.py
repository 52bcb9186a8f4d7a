"""The console as the composition root serves it."""

import logging
import os
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

from flask import Blueprint, g
from werkzeug.exceptions import HTTPException

from headend.console.access import Access
from headend.console.door import Door
from headend.console.frame import Frame, Settings
from headend.console.guard import Guard
from headend.console.operators import Operators
from headend.console.pages import AUDIT_ROLES, Pages, told
from headend.console.people import People
from headend.console.sqlite import SqliteConsole
from headend.console.store import Action, Role
from headend.kit.http import RefusedError, Tally
from headend.kit.jobs import Slot
from headend.kit.side import Side, Tile
from shared.clock import Clock
from shared.errors import StbError

log = logging.getLogger(__name__)
_DAY_MS = timedelta(days=1) // timedelta(milliseconds=1)


OWN_PATHS = frozenset({"audit", "password", "people", "sign-in", "sign-out", "static"})


class PathTakenError(StbError):
    """A side offers a page or a download at a path that is another's or the console's own."""


class ConsoleSide:
    """The console with its store; `operators` is for the command line too."""

    def __init__(
        self, store: SqliteConsole, settings: Settings, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.store = store
        self.operators = Operators(store, settings.real_clock, random_bytes)
        self._tally = Tally()
        self._access = Access(store, settings.real_clock, random_bytes)
        self._frame = Frame(settings, store, self._access, self.operators, random_bytes)
        self.side = Side(
            name="console",
            blueprints=(self._blueprint(),),
            jobs=[],
            pages=[],
            tiles=self._tiles,
            metrics=self._metrics,
            ready=self._ready,
            close=store.close,
        )
        self._frame.sides = [self.side]

    def offer(self, sides: list[Side], jobs_overview: Callable[[], list[tuple[str, Slot]]]) -> None:
        """Take the other sides' pages, downloads and tiles, and what tells of jobs.

        Raises:
            PathTakenError: two of them have one path, or one has a path of the console's own.
        """
        all_sides = [side for side in sides if side.name != self.side.name] + [self.side]
        _check_paths(
            [page.path for side in all_sides for page in side.pages]
            + [file.path for side in all_sides for file in side.downloads]
        )
        self._frame.sides = all_sides
        self._frame.jobs = jobs_overview

    def _ready(self) -> None:
        self.store.read().operators()

    def _blueprint(self) -> Blueprint:
        blueprint = Blueprint(
            "console",
            "headend.console",
            url_prefix="/console",
            template_folder="templates",
            static_folder="static",
        )
        guard = Guard(self._frame)
        guard.install(blueprint)
        Door(self._frame, guard).install(blueprint)
        People(self._frame).install(blueprint)
        Pages(self._frame).install(blueprint)
        blueprint.register_error_handler(StbError, self._refuse)
        blueprint.register_error_handler(HTTPException, self._fail)
        return blueprint

    def _refuse(self, error: StbError) -> tuple[str, HTTPStatus]:
        self._tally.add(error.name if isinstance(error, RefusedError) else "refused")
        sentence, status = told(error)
        return self._error_page(sentence, status)

    def _fail(self, error: HTTPException) -> tuple[str, HTTPStatus]:
        status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        return self._error_page(status.description or status.phrase, status)

    def _error_page(self, sentence: str, status: HTTPStatus) -> tuple[str, HTTPStatus]:
        # The guard itself may have refused, before it knew who is there.
        g.setdefault("signed", None)
        return self._frame.show("error.html", status.phrase, sentence=sentence), status

    def _tiles(self, roles: frozenset[str]) -> list[Tile]:
        if not roles & AUDIT_ROLES:
            return []
        refused = self.store.read().count_audit(Action.SIGN_IN_REFUSED, self._access.now_ms() - _DAY_MS)
        tiles = [Tile("Sign-ins refused", f"{refused:,}", "in 24 hours", alarm=refused >= 5)]  # noqa: PLR2004 (as many as lock one operator out)
        if Role.ADMIN in roles:
            people = self.operators.list_operators()
            enabled = sum(not operator.disabled for operator in people)
            tiles.insert(0, Tile("Operators", f"{enabled:,}", f"{len(people) - enabled:,} disabled"))
        return tiles

    def _metrics(self) -> list[tuple[str, dict[str, str], float]]:
        return [
            ("headend_refused_total", {"side": "console", "name": name}, n)
            for name, n in self._tally.snapshot().items()
        ]


def make_console(
    path: Path,
    *,
    real_clock: Clock,
    installation_clock: Clock,
    simulated: bool,
    secure_cookies: bool,
    checkpoints: bool = False,
) -> ConsoleSide:
    """The console over the database at `path`, which is made if there is none.

    `real_clock` rules sign-ins and lockouts; `installation_clock` may be a steered one. `secure_cookies`
    is for serving behind TLS; without it the console answers on loopback only.

    Raises:
        WrongStampError: the database belongs to a simulated installation and this is none, or vice versa.
    """
    store = SqliteConsole(path, simulated=simulated, checkpoints=checkpoints)
    settings = Settings(real_clock, installation_clock, simulated, secure_cookies)
    return ConsoleSide(store, settings)


def _check_paths(paths: list[str]) -> None:
    taken = {path for path in paths if paths.count(path) > 1 or path.split("/")[0] in OWN_PATHS}
    if taken:
        raise PathTakenError(f"taken: {', '.join(sorted(taken))}")

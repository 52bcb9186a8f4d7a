"""The console as the composition root serves it."""

import os
from collections.abc import Callable

from flask import Blueprint

from headend.console.access import Access, length_ms
from headend.console.auditing import AUDIT_ROLES, Auditing
from headend.console.door import Door
from headend.console.engines import open_store
from headend.console.entrance import Entrance
from headend.console.error_pages import ErrorPages
from headend.console.factors import Factors
from headend.console.frame import Frame, Settings
from headend.console.guard import Guard
from headend.console.operators import Operators
from headend.console.pages import Pages
from headend.console.people import People
from headend.console.registers import Registers
from headend.console.second_factor import Seals
from headend.console.sql import SqlConsole
from headend.console.store import Action, Role
from headend.console.yourself import Yourself
from headend.kit.engine import Place
from headend.kit.http import Tally
from headend.kit.jobs import JobState
from headend.kit.pages import address
from headend.kit.side import Side, Tile, Visit
from shared.errors import StbError

_DAY_MS = length_ms(days=1)
OWN_PATHS = frozenset({"language", "password", "second-factor", "sign-in", "sign-ins", "sign-out", "static"})


class PathTakenError(StbError):
    """A side offers a page or a download at a path that is another's or the console's own."""


class ConsoleSide:
    """The console with its store; `operators` and `auditing` are for the command line too."""

    def __init__(
        self, store: SqlConsole, settings: Settings, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.store = store
        clock = settings.real_clock
        self.operators = Operators(store, clock, random_bytes)
        self.auditing = Auditing(store, clock)
        self._tally = Tally()
        self._access = Access(store, clock, random_bytes)
        factors = Factors(store, Seals(store.shelf(settings.keys), random_bytes), clock, random_bytes)
        self._frame = Frame(
            settings,
            store,
            self._access,
            Entrance(store, factors, clock, random_bytes),
            factors,
            self.operators,
            self._tally,
            random_bytes,
        )
        people = People(self.operators, factors, self._tally, random_bytes)
        self.side = Side(
            name="console",
            blueprints=(self._blueprint(),),
            jobs=[],
            pages=[
                *Registers().pages(),
                *people.pages(),
                *self.auditing.pages(),
                *self._frame.running.pages(),
            ],
            deeds=[*people.deeds(), *self.auditing.deeds()],
            tiles=self._tiles,
            measured=store.measured,
            metrics=self._metrics,
            ready=self._ready,
            close=store.close,
        )
        self._frame.sides = [self.side]

    def offer(self, sides: list[Side], jobs_overview: Callable[[], list[JobState]]) -> None:
        """Take the other sides' pages, downloads and tiles, and what tells of jobs.

        Raises:
            PathTakenError: two of them have one path, or one has a path of the console's own.
        """
        all_sides = [side for side in sides if side.name != self.side.name] + [self.side]
        _check_paths(
            [page.path for side in all_sides for page in side.pages]
            + [file.path for side in all_sides for file in side.downloads]
        )
        _check_paths([deed.path for side in all_sides for deed in side.deeds])
        self._frame.sides = all_sides
        self._frame.jobs = jobs_overview

    def _ready(self) -> None:
        self.store.read().operators()

    def _blueprint(self) -> Blueprint:
        blueprint = Blueprint(
            "console",
            "headend.console",
            url_prefix="/console",
            static_folder="static",
        )
        guard = Guard(self._frame)
        guard.install(blueprint)
        Door(self._frame, guard).install(blueprint)
        Yourself(self._frame, guard).install(blueprint)
        Pages(self._frame, self.auditing.looks).install(blueprint)
        ErrorPages(self._frame).install(blueprint)
        return blueprint

    def _tiles(self, visit: Visit) -> list[Tile]:
        if visit.role not in AUDIT_ROLES:
            return []
        words = visit.language
        look, since = self.store.read(), self._access.now_ms() - _DAY_MS
        refused = look.count_audit(Action.SIGN_IN_REFUSED, since)
        copied = look.count_audit(Action.COOKIE_COPIED, since)
        tiles = [
            Tile(
                words.text("Sign-ins refused"),
                words.number(refused),
                words.text("in 24 hours"),
                alarm=refused >= 5,  # noqa: PLR2004 (as many as lock one operator out)
                href=address("audit", action=Action.SIGN_IN_REFUSED.value),
            )
        ]
        if copied:
            note = words.text("in 24 hours; each may be a stolen sign-in")
            href = address("audit", action=Action.COOKIE_COPIED.value)
            tiles.append(
                Tile(words.text("Old cookies used"), words.number(copied), note, alarm=True, href=href)
            )
        if visit.role == Role.ADMIN:
            people = self.operators.list_operators()
            disabled = sum(operator.disabled for operator in people)
            note = words.plural("{n} disabled", "{n} disabled", disabled)
            value = words.number(len(people) - disabled)
            tiles.insert(0, Tile(words.text("Operators"), value, note, href=address("people")))
        return tiles

    def _metrics(self) -> list[tuple[str, dict[str, str], float]]:
        return [
            ("headend_refused_total", {"side": "console", "name": name}, n)
            for name, n in self._tally.snapshot().items()
        ]


def make_console(place: Place, settings: Settings, *, checkpoints: bool = False) -> ConsoleSide:
    """The console over the database at `place`, which is made if there is none.

    Raises:
        WrongStampError: the database belongs to a simulated installation and this is none, or vice versa.
    """
    store = open_store(place, simulated=settings.simulated, checkpoints=checkpoints)
    return ConsoleSide(store, settings)


def _check_paths(paths: list[str]) -> None:
    taken = {path for path in paths if paths.count(path) > 1 or path.split("/")[0] in OWN_PATHS}
    if taken:
        raise PathTakenError(f"taken: {', '.join(sorted(taken))}")

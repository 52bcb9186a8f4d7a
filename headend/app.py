"""The composition root: the only room that knows that billing and analytics both exist.

It builds one, two or three sides into one Flask application, publishes the week's directory from billing's
token keys and analytics' sealing key, and hands the box totals over through the disclosure table.
"""

import gc
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask, Response, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from headend import directories, monitoring
from headend.analytics.line import Line
from headend.analytics.side import AnalyticsSide
from headend.analytics.side import Setup as AnalyticsSetup
from headend.billing.side import BillingSide
from headend.billing.side import Setup as BillingSetup
from headend.console.frame import Settings as ConsoleSettings
from headend.console.side import ConsoleSide, make_console
from headend.disclosure import Kind, Purpose, Recipient, clear
from headend.exchange import DIRECTORY_LEAD_WEEKS, AnalyticsApart, BillingApart, signed_totals
from headend.installation import ALL_SIDES, BILLING_KEY, CATALOGUE_KEY, DIRECTORY_KEY, Installation
from headend.kit.admission import Admission, Urgency
from headend.kit.http import MOST_READ, RefusedError, problem, problem_answer
from headend.kit.jobs import Job, Jobs, Slot, Ticker, week_slot
from headend.kit.metering import RequestMeter
from headend.kit.process import wait_for_lock, watch_parent
from headend.kit.reception import Reception
from headend.kit.runs import Run
from headend.kit.side import Side
from headend.kit.storage import StorageError
from shared import dsse
from shared.directory import region_in
from shared.errors import StbError
from shared.system_clock import SystemClock
from shared.weeks import Week

T = TypeVar("T")
log = logging.getLogger(__name__)

FOLDER_VARIABLE = "HEADEND_FOLDER"
SIDES_VARIABLE = "HEADEND_SIDES"
SECURE_VARIABLE = "HEADEND_SECURE_COOKIES"
APART_VARIABLE = "HEADEND_GATEWAY_APART"
TICK_SECONDS = 5.0
SIMULATED_TICK_SECONDS = 0.05
METER = "headend requests"
"""Under which the application keeps what counts its requests."""
BOUNDS = {Urgency.READS: 64, Urgency.TOKENS: 128, Urgency.FRAGMENTS: 256, Urgency.ORDERS: 512}
"""With so many requests in flight, those of an urgency are refused; 512 orders are half a second's work."""
URGENCIES = (
    ("/billing/v1/chain", Urgency.ORDERS),
    ("/billing/v1/enrol", Urgency.ORDERS),
    ("/analytics/ohttp", Urgency.FRAGMENTS),
    ("/billing/v1/tokens", Urgency.TOKENS),
    ("/billing/", Urgency.READS),
    ("/analytics/", Urgency.READS),
)
"""How urgent what boxes and receivers ask is; operators' pages and what watches the process always get in."""


@dataclass
class Headend:
    """An installation with its sides built, before anything is served."""

    installation: Installation
    billing: BillingSide | None = None
    analytics: AnalyticsSide | None = None
    console: ConsoleSide | None = None
    jobs: Jobs = field(init=False)
    admission: Admission = field(default_factory=lambda: Admission(BOUNDS))

    def __post_init__(self) -> None:
        self.jobs = Jobs(list(self._all_jobs()), self.installation.clock(), self._turn)

    def sides(self) -> list[Side]:
        """The sides that were built."""
        return [built.side for built in (self.billing, self.analytics, self.console) if built is not None]

    def _all_jobs(self) -> Iterable[Job]:
        if self.billing is not None and self.analytics is not None:
            yield Job("directory", self._next_directory, self._publish_slot, partial(self._last, "directory"))
            yield from self.billing.side.jobs
            yield Job("totals", self._next_totals, self._hand_totals, partial(self._last, "totals"))
            yield from self.analytics.side.jobs
        else:
            yield from self._jobs_apart()

    def _jobs_apart(self) -> Iterable[Job]:
        if self.billing is not None:
            yield from BillingApart(self.billing, self.installation).jobs()
        if self.analytics is not None:
            yield from AnalyticsApart(self.analytics, self.installation).jobs()
        if self.console is not None:
            yield from self.console.side.jobs

    @contextmanager
    def _turn(self) -> Iterator[bool]:
        """The turn of every side that is here, or none."""
        with ExitStack() as held:
            stores = [built.store for built in (self.billing, self.analytics) if built is not None]
            yield all(held.enter_context(store.turn()) for store in stores)

    def close(self) -> None:
        """Let go of every database."""
        for side in self.sides():
            side.close()

    # --- the directory
    def publish(self, week: Week) -> bytes:
        """The week's directory, made and stored at both sides if there is none; always the same bytes.

        Raises:
            ValueError: one of the two sides is not here.
        """
        if self.billing is None or self.analytics is None:
            raise ValueError("a directory needs billing and analytics")
        store = self.billing.store
        envelope = store.read().directory(str(week))
        if envelope is None:
            made = directories.make_directory(
                self.installation.settings,
                week,
                self.billing.token_keys(week),
                self.analytics.key_config(week),
                self.installation.key(DIRECTORY_KEY),
            )
            store.write(lambda tx: tx.put_directory(str(week), made))
            envelope = store.read().directory(str(week)) or made
        self.analytics.accept_directory(clear(envelope, Kind.DIRECTORY, Recipient.BOXES, Purpose.PROTOCOL))
        return envelope

    def _next_directory(self) -> Slot:
        return self._next("directory", lambda week: week.plus(-DIRECTORY_LEAD_WEEKS))

    def _next(self, job: str, due: Callable[[Week], Week]) -> Slot:
        assert self.billing is not None  # noqa: S101 (only planned where billing is)
        done = self.billing.store.read().last_slot(job)
        zone = self.installation.zone
        return week_slot(done, self.installation.first_week, lambda week: due(week).start(zone))

    def _last(self, job: str) -> Run | None:
        assert self.billing is not None  # noqa: S101 (only planned where billing is)
        return self.billing.store.read().last_run(job)

    def _publish_slot(self, slot: Slot) -> None:
        self.publish(Week.parse(slot.name))
        self._done("directory", slot)

    def _done(self, job: str, slot: Slot) -> None:
        assert self.billing is not None  # noqa: S101 (only planned where billing is)
        now_ms = self.billing.now_ms()
        self.billing.store.write(lambda tx: tx.claim(job, slot.name, now_ms))

    # --- the box totals
    def _next_totals(self) -> Slot:
        return self._next("totals", lambda week: week.plus(2))

    def _hand_totals(self, slot: Slot) -> None:
        assert self.billing is not None  # noqa: S101 (only planned where both are)
        assert self.analytics is not None  # noqa: S101 (only planned where both are)
        if self.analytics.store.totals(Week.parse(slot.name)) is not None:
            # Handed over by a node that did not live to note it; this one's own figures could be others.
            self._done("totals", slot)
            return
        key = self.installation.key(BILLING_KEY)
        # The file is what is handed over, also after a crash between the two: never figures drawn anew.
        envelope = signed_totals(self.billing, self.installation, Week.parse(slot.name))
        stated = dsse.verify(envelope, dsse.PayloadType.TOTALS, key.public_key())
        self.analytics.accept_totals(
            clear(stated, Kind.BOX_TOTALS, Recipient.ANALYTICS, Purpose.EXTRAPOLATION)
        )
        self._done("totals", slot)


def open_headend(
    installation: Installation, sides: tuple[str, ...] = ALL_SIDES, *, serving: bool = False
) -> Headend:
    """Build the sides of an installation; `serving` is the one worker, which checkpoints."""
    installation.check_user()
    installation.check_sides(sides)
    headend = Headend(
        installation,
        billing=_billing(installation, serving=serving) if "billing" in sides else None,
        analytics=_analytics(installation, serving=serving) if "analytics" in sides else None,
        console=_console(installation, serving=serving) if "console" in sides else None,
    )
    if headend.console is not None:
        headend.console.offer(headend.sides(), headend.jobs.overview)
    return headend


def _billing(installation: Installation, *, serving: bool) -> BillingSide:
    setup = BillingSetup(
        database=installation.place("billing"),
        keys=installation.keys_of("billing"),
        clock=installation.clock(),
        zone=installation.zone,
        taken=installation.profile,
        first_week=installation.first_week,
        catalogue_key=installation.key(CATALOGUE_KEY),
        billing_key=installation.key(BILLING_KEY),
        region_of=partial(region_in, installation.settings.areas),
        simulated=installation.settings.simulated,
    )
    return BillingSide(setup, checkpoints=serving)


def _analytics(installation: Installation, *, serving: bool, is_gateway: bool = False) -> AnalyticsSide:
    apart = os.environ.get(APART_VARIABLE) == "1" and not is_gateway
    setup = AnalyticsSetup(
        database=installation.place("analytics"),
        keys=installation.keys_of("analytics"),
        clock=installation.clock(),
        zone=installation.zone,
        profile=installation.profile,
        directory_key=installation.public(DIRECTORY_KEY),
        first_week=installation.first_week,
        simulated=installation.settings.simulated,
        spawn_release=lambda week: spawn_release(installation.folder, week),
        archive=installation.folder / "releases",
        gateway_apart=apart,
    )
    # Of two processes that write to one file only one may checkpoint it.
    return AnalyticsSide(setup, checkpoints=serving and not apart)


def _console(installation: Installation, *, serving: bool) -> ConsoleSide:
    settings = ConsoleSettings(
        real_clock=SystemClock(),
        installation_clock=installation.clock(),
        simulated=installation.settings.simulated,
        secure_cookies=os.environ.get(SECURE_VARIABLE) == "1",
        zone=installation.zone,
        keys=installation.keys_of("console"),
        name=f"Headend console, {installation.settings.issuer}",
    )
    return make_console(installation.place("console"), settings, checkpoints=serving)


def spawn_release(folder: Path, week: Week) -> None:
    """Draw a week's release in a process of its own, which dies with this one.

    Raises:
        CalledProcessError: it ended with an error; what it said is in the log.
    """
    command = [sys.executable, "-m", "headend", "release", "run", "--spawned", str(folder), str(week)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 (our own program)
    if done.returncode != 0:
        log.error("release %s: %s", week, done.stderr.strip()[-2000:])
        done.check_returncode()


class _App(Flask):
    """Flask, but that its log tells of a request that failed no path: an id may stand in it."""

    def log_exception(self, exc_info: Any) -> None:  # noqa: ANN401 (what Flask hands over)
        """Log what failed, by the route's template."""
        log.error("a request failed: %s %s", request.method, monitoring.route(), exc_info=exc_info)


def create_app(headend: Headend) -> Flask:
    """The Flask application over the sides that were built."""
    app = _App("headend", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_READ
    sides = headend.sides()
    for side in sides:
        for blueprint in side.blueprints:
            app.register_blueprint(blueprint)
    app.register_error_handler(RefusedError, problem)
    app.register_error_handler(StorageError, _storage_problem)
    app.register_error_handler(HTTPException, _http_problem)
    app.extensions[METER] = monitoring.watch(
        app, headend.installation, sides, headend.jobs, headend.admission
    )
    if headend.console is not None:
        app.add_url_rule("/", "front", lambda: redirect("/console/"))
    return app


def urgency_of(path: str) -> Urgency | None:
    """How urgent a request is by its path; None for what is never refused for want of a place."""
    return next((urgency for start, urgency in URGENCIES if path.startswith(start)), None)


def _storage_problem(error: StorageError) -> Response:
    log.error("storage: %s", error)
    return problem_answer("storage", HTTPStatus.SERVICE_UNAVAILABLE, "The database did not take it")


def _http_problem(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or 500)
    return problem_answer(status.phrase.lower().replace(" ", "-"), status, status.phrase)


def _or_one_line(build: Callable[[], T]) -> Callable[[], T]:
    """What granian's worker loads; what keeps it from serving is one line of the log, not a traceback."""

    @wraps(build)
    def load() -> T:
        try:
            return build()
        except StbError as error:
            log.critical("cannot serve: %s", error)
            raise SystemExit(1) from None

    return load


@_or_one_line
def served() -> Reception:
    """What granian's worker loads: the lock, the sides, the ticker, the application behind its reception.

    Raises:
        SystemExit: it cannot be served: another process does, its database is newer, a key is missing.
    """
    watch_parent()
    installation = Installation(Path(os.environ[FOLDER_VARIABLE]))
    wait_for_lock(installation.lock)
    sides = tuple(os.environ.get(SIDES_VARIABLE, ",".join(ALL_SIDES)).split(","))
    headend = open_headend(installation, sides, serving=True)
    every = SIMULATED_TICK_SECONDS if installation.settings.simulated else TICK_SECONDS
    turn = threading.Lock()

    def tick() -> None:
        with turn:
            headend.jobs.run_due()
            for side in headend.sides():
                side.flush()

    Ticker(tick, every).start()
    app = create_app(headend)
    if os.environ.get(SECURE_VARIABLE) == "1":
        # One proxy stands in front; without it these headers are anybody's to write.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)  # type: ignore[method-assign] # Flask's own way
    hatches = {path: hatch for side in headend.sides() for path, hatch in side.hatches.items()}
    side_of = {path: side.name for side in headend.sides() for path in side.hatches}
    meter: RequestMeter = app.extensions[METER]

    def answered(path: str, status: int, seconds: float) -> None:
        meter.answered(side_of[path], path, "POST", status, seconds)
        if os.environ.get(monitoring.ACCESS_VARIABLE) == "1":
            monitoring.log_access(side_of[path], path, "POST", status, seconds)

    return Reception(app, hatches, headend.admission, urgency_of, answered)


@_or_one_line
def served_gateway() -> Line:
    """What granian's worker loads for `headend gateway`: analytics alone, and of it the anonymous line alone.

    Raises:
        SystemExit: it cannot be served, as above.
    """
    watch_parent()
    installation = Installation(Path(os.environ[FOLDER_VARIABLE]))
    wait_for_lock(installation.gateway_lock)
    line = _analytics(installation, serving=True, is_gateway=True).line()
    gc.freeze()  # what is built now stays: the collector need not go over it again and again
    return line

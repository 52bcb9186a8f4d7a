"""A running agent: everything around its core is loaded, its socket answered, and time passes.

The scheduler only ticks. What an order or an answer gives the agent to do is done at once.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from box_agent.app import ANONYMOUS_LINE, NAMED_LINE, ORDERS, Agent
from box_agent.bell import Bell
from box_agent.core import Core
from box_agent.front import Front
from box_agent.lines import HttpAnonymousLine, HttpNamedLine
from box_agent.local_socket import perform
from box_agent.service import Service
from box_agent.settings import BadSettingsError, BoxSettings, read_settings
from box_agent.sources.running import start_sources
from box_agent.starting import DAMAGED, Handed, Places, Started, begin, refuse
from box_agent.store import DamagedStoreError
from shared.clock import Clock
from shared.errors import StbError
from shared.system_clock import SteeredClock, SystemClock

TICK_SECONDS = 60
ANONYMOUS_TICK_SECONDS = 120
"""Rarer, since a fragment's moment matters to nobody within minutes."""
REST_TICK_SECONDS = 180
SPOKEN_S = 60
"""An agent that was spoken to so lately does not rest."""
SEEN_S = 180
"""Nor does one that took an event so lately: what plays gives a sign of life each minute."""
STOPPED, DAMAGE = 0, 3
_LOG = logging.getLogger("box_agent")


def run(config: str) -> int:
    """Run an agent whose settings say where its files are; answers with the exit status."""
    handed = Handed.taken()
    try:
        settings = read_settings(Path(config), os.environ)
        return begin(
            places_of(settings), clock_of(settings), handed, lambda started: _serve(settings, started)
        )
    except StbError as error:
        return refuse(error)


def carry_on(config: str, places: Places, started: Started) -> int:
    """Run an agent that takes events already, until SIGTERM or SIGINT.

    Raises:
        BadSettingsError: the settings are wrong, or place its files elsewhere than the environment did.
    """
    settings = read_settings(Path(config), os.environ)
    if places_of(settings) != places or settings.steered_clock is not None:
        raise BadSettingsError("the settings contradict the environment")
    return _serve(settings, started)


def clock_of(settings: BoxSettings) -> Clock:
    """The clock that the settings name."""
    return SystemClock() if settings.steered_clock is None else SteeredClock(settings.steered_clock)


def places_of(settings: BoxSettings) -> Places:
    """Where the settings put the agent's files."""
    return Places(settings.state_dir, str(settings.socket()), str(settings.consent_witness()))


def _serve(settings: BoxSettings, started: Started) -> int:
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it tells each of its ticks
    stop, bell = threading.Event(), Bell()

    def end() -> None:
        stop.set()
        bell.ring()

    bell.on_signals((signal.SIGTERM, signal.SIGINT), end)
    service = build(settings, started.core, started.front, bell.ring)
    sources = start_sources(settings, service.report, started.core.clock)
    service.sources = sources.counts
    ticker = _Ticker(service, Path(settings.state_dir), end)
    _LOG.info("ready")
    _tick_until(stop, bell, ticker, Rest(settings, started, service))
    sources.stop()
    if ticker.damaged:
        return DAMAGE
    try:
        service.close()
    except DamagedStoreError:
        ticker.note_damage()
        return DAMAGE
    return STOPPED


def build(
    settings: BoxSettings, core: Core, front: Front, stirred: Callable[[], None] = lambda: None
) -> Service:
    """A service over the real lines, opened to the front."""
    lines = (
        HttpNamedLine(settings.headend_url, settings.ca_file),
        HttpAnonymousLine(settings.relay_url, settings.ca_file),
    )
    service = Service(
        lambda given: Agent(settings, given, core.clock, core=core),
        lines,
        front,
        steered=settings.steered_clock is not None,
        stirred=stirred,
    )
    front.open(lambda line: perform(service, line))
    return service


class _Ticker:
    """Ticks the service; what the store's fault stops is tried again at the next tick.

    A damaged file cannot be mended while it is in use: the agent ends, and its next start does that.
    """

    def __init__(self, service: Service, state: Path, end: Callable[[], None]) -> None:
        self._service = service
        self._state = state
        self._end = end
        self.damaged = False
        self.at = SystemClock().monotonic()

    def __call__(self, *paths: str) -> None:
        if paths == NAMED_LINE:
            self.at = SystemClock().monotonic()
        try:
            self._service.tick(*paths)
        except DamagedStoreError:
            self.note_damage()
        except StbError as error:
            _LOG.warning("the tick failed: %s", type(error).__name__)

    def note_damage(self) -> None:
        """Leave word for the next start, and end."""
        _LOG.error("the store is damaged")
        self.damaged = True
        (self._state / DAMAGED).touch()
        self._end()


class Rest:
    """What an agent does when there is nothing to do: it begins anew without what it has loaded.

    Cryptography, TLS and an HTTP client are needed for some seconds a day, and never given back by a process
    that imported them. `exec` gives them back; the lock, the socket and every connection go on.
    """

    def __init__(self, settings: BoxSettings, started: Started, service: Service) -> None:
        self._rest_s = settings.rest_minutes * 60 if settings.steered_clock is None else 0
        self._started = started
        self._service = service

    def take(self) -> None:
        """Begin anew, if something heavy has been loaded, nothing is due soon and nobody is speaking."""
        if not self._rest_s or not any(name in sys.modules for name in _HEAVY):
            return
        if (
            self._started.core.recorder.idle_s() < SEEN_S
            or self._started.front.idle_s() < SPOKEN_S
            or not self._nothing_due()
        ):
            return
        sockets = self._started.listener.hand_over()
        if sockets is None:
            return
        try:
            self._service.close()
            Handed(self._started.lock.held, sockets).give()
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 (this very program again)
        except (OSError, StbError) as error:
            _LOG.warning("no rest: %s", type(error).__name__)
            self._started.listener.take_back()

    def _nothing_due(self) -> bool:
        clock = self._started.core.clock
        due = self._service.next_due()
        return due is None or (due - clock.now()).total_seconds() > self._rest_s


_HEAVY = ("cryptography", "requests")


def _beats() -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    # Each line by itself, so that nothing anonymous leaves because something named did.
    for line, seconds in ((NAMED_LINE, TICK_SECONDS), (ANONYMOUS_LINE, ANONYMOUS_TICK_SECONDS)):
        # A beat of its own would be a box's mark: what it sends keeps it for days.
        yield line, {"trigger": "interval", "seconds": seconds, "jitter": seconds}


def _tick_until(stop: threading.Event, bell: Bell, tick: _Ticker, rest: Rest) -> None:
    from apscheduler.schedulers.background import BackgroundScheduler

    clock = SystemClock()
    scheduler = BackgroundScheduler(timezone="UTC")
    for line, beat in _beats():
        scheduler.add_job(
            tick, args=line, id=line[0], max_instances=1, coalesce=True, misfire_grace_time=None, **beat
        )
    scheduler.start()
    bell.ring()  # what fell due while the box was off
    while not stop.is_set():
        if bell.listen(REST_TICK_SECONDS):
            if not stop.is_set():
                tick(*ORDERS)
        else:
            rest.take()
        # A wall clock that is set back would stop the scheduler until it has caught up.
        if clock.monotonic() - tick.at > 3 * TICK_SECONDS:
            for line, beat in _beats():
                scheduler.reschedule_job(line[0], **beat)
    scheduler.shutdown(wait=False)

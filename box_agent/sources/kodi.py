"""Kodi over JSON-RPC on TCP: connects, listens, asks, and connects again. The thinking is in `kodi_player`.

A player that disappears without a word is noticed because it no longer answers: it is asked each minute.
If the socket closes, what was on ended then; if answers stay away, it ended at the last sign of life.
"""

import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from box_agent.chance import RandomBelow, full_jitter
from box_agent.consent import JUMP_MS
from box_agent.sources.json_stream import JsonStream
from box_agent.sources.kodi_player import KodiPlayer
from box_agent.sources.source import Report
from shared.clock import Clock, to_ms

CONNECT_SECONDS = 5.0
LOOK_SECONDS = 30.0
"""How long a set clock may go unnoticed while nothing arrives."""
BACKOFF_MS = 1_000
MOST_BACKOFF_MS = 8_000
"""What is played while nobody listens is lost up to here; an attempt costs next to nothing."""
_PIECE = 65_536
_LOG = logging.getLogger(__name__)


class Kodi:
    """One Kodi at `address` (host and port). See `Source`.

    `make` gives a player's state for each connection.
    """

    def __init__(
        self, address: tuple[str, int], make: Callable[[], KodiPlayer], clock: Clock, below: RandomBelow
    ) -> None:
        self._address = address
        self._make = make
        self._clock = clock
        self._below = below
        self._line: socket.socket | None = None
        self._counts: Counter[str] = Counter(connected=0, unreadable=0, ignored=0, reconnects=0, unanswered=0)

    def run(self, report: Report, stop: threading.Event) -> None:
        """Watch it until told to stop."""
        threading.Thread(target=self._interrupt, args=(stop,), daemon=True, name="kodi-stop").start()
        failed = 0
        while not stop.is_set():
            heard = self._once(report, stop)
            failed = 0 if heard else failed + 1
            self._counts["reconnects"] += heard
            wait_ms = full_jitter(failed, BACKOFF_MS, MOST_BACKOFF_MS, self._below)
            stop.wait(wait_ms / 1000)

    def counts(self) -> Mapping[str, int]:
        """See `Source`; also whether it is `connected`, and how often it was given up, `unanswered`."""
        return dict(self._counts)

    def _once(self, report: Report, stop: threading.Event) -> bool:
        try:
            line = self._line = socket.create_connection(self._address, timeout=CONNECT_SECONDS)
        except OSError:
            return False
        with line:
            if line.getsockname() == line.getpeername():  # nobody listens, and TCP met itself
                return False
            _LOG.info("kodi is there")
            self._counts["connected"] = 1
            try:
                return _Connection(line, self._make(), self._clock, report).run(stop, self._counts)
            finally:
                self._counts["connected"] = 0

    def _interrupt(self, stop: threading.Event) -> None:
        """End the waiting for bytes when told to stop, so that it need not look up now and then."""
        stop.wait()
        if self._line is not None:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)


class _Connection:
    def __init__(self, line: socket.socket, player: KodiPlayer, clock: Clock, report: Report) -> None:
        self._line = line
        self._player = player
        self._clock = clock
        self._report = report
        self._stream = JsonStream()
        self._heard_ms = 0

    def run(self, stop: threading.Event, counts: Counter[str]) -> bool:
        """Listen until it ends; answers whether anything was heard."""
        began_ms = self._heard_ms = self._now()
        self._player.connected(began_ms)
        try:
            self._listen(stop)
        except TimeoutError:
            counts["unanswered"] += 1
            self._player.lost(self._heard_ms)
        except OSError:
            self._player.lost(self._now())
        else:
            self._player.lost(self._now())
        self._tell()
        counts["unreadable"] += self._stream.unreadable
        counts["ignored"] += self._player.ignored
        return self._heard_ms > began_ms

    def _listen(self, stop: threading.Event) -> None:
        """Until told to stop or the other end closes.

        Raises:
            TimeoutError: it no longer answers, or takes nothing.
            OSError: the connection broke.
        """
        before = self._now(), self._clock.monotonic()
        while not stop.is_set():
            for question in self._player.questions.unsent():
                self._line.settimeout(CONNECT_SECONDS)
                self._line.sendall(msgspec.json.encode(question))
            piece = self._heard()
            if piece == b"":
                return
            before = self._watch_the_clock(*before)
            for message in self._stream.feed(piece or b""):
                self._player.take(message, before[0])
            if self._player.gone(before[0]):
                raise TimeoutError
            self._player.tick(before[0])
            self._tell()

    def _heard(self) -> bytes | None:
        """What has arrived; None if nothing has, empty if the other end has closed."""
        due_ms = self._player.due_ms() - self._now()
        self._line.settimeout(min(LOOK_SECONDS, max(0.001, due_ms / 1000)))
        try:
            piece = self._line.recv(_PIECE)
        except TimeoutError:
            return None
        self._heard_ms = max(self._heard_ms, self._now())
        return piece

    def _watch_the_clock(self, before_ms: int, monotonic: float) -> tuple[int, float]:
        """Across a jump of the wall clock nothing can be reckoned: end what runs, and ask anew."""
        now, running = self._now(), self._clock.monotonic()
        expected = before_ms + round((running - monotonic) * 1000)
        if abs(now - expected) > JUMP_MS:
            self._player.lost(min(expected, now))
            self._player.connected(now)
            self._heard_ms = now
        return now, running

    def _tell(self) -> None:
        for event in self._player.events():
            self._report(event)

    def _now(self) -> int:
        return to_ms(self._clock.now())

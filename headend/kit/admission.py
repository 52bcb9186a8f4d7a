"""Who is let in when more is asked than can be done: the most urgent longest, the least urgent not at all.

Requests in flight are counted, large ones by their size. Each urgency has its own bound: once so many are in
flight, a request of that urgency is refused at once. A box comes again by itself, and an early refusal costs
less than a late answer that nobody waits for any more. What is refused has changed nothing.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from http import HTTPStatus

from headend.kit.http import RefusedError


class Urgency(IntEnum):
    """Kinds of work for boxes and receivers, in the order in which they are refused: the lowest goes first.

    READS: heartbeats, catalogues, directories, exports: the same again an hour later loses nothing.
    TOKENS: a week's blind tokens, asked for more than a day before they are needed.
    FRAGMENTS: a box sends each at most four times, within the week.
    ORDERS: money, and enrolments, beside which somebody stands and waits.
    """

    READS = 0
    TOKENS = 1
    FRAGMENTS = 2
    ORDERS = 3


RETRY_AFTER_S = 30
"""Seconds after which a refused client without a plan of its own may come again; boxes draw theirs."""


WEIGHED_BYTES = 2048
"""A body counts for one more request with each of these: a hundred orders are as much work as they are."""


class BusyError(RefusedError):
    """More is asked than can be done: come again later."""

    name = "busy"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class Admission:
    """Counts what is in flight, and refuses above each urgency's bound; safe between threads."""

    def __init__(self, bounds: Mapping[Urgency, int]) -> None:
        self._bounds = dict(bounds)
        self._lock = threading.Lock()
        self._in_flight = 0
        self._refused: Counter[Urgency] = Counter()

    @contextmanager
    def admitted(self, urgency: Urgency, size: int = 0) -> Iterator[None]:
        """Work within, on a body of so many bytes.

        Raises:
            BusyError: as much is in flight as this urgency bears.
        """
        weight = 1 + size // WEIGHED_BYTES
        with self._lock:
            if self._in_flight >= self._bounds[urgency]:
                self._refused[urgency] += 1
                raise BusyError
            self._in_flight += weight
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= weight

    def refused(self) -> dict[Urgency, int]:
        """How many requests of each urgency have been refused since the process began."""
        with self._lock:
            return {urgency: self._refused[urgency] for urgency in Urgency}

    def in_flight(self) -> int:
        """How much is in flight: requests, the large ones counted by their size."""
        return self._in_flight

    def samples(self) -> list[tuple[str, dict[str, str], float]]:
        """What has been refused since the process began, and what is in flight, for Prometheus."""
        shed: list[tuple[str, dict[str, str], float]] = [
            ("headend_shed_total", {"urgency": urgency.name.lower()}, count)
            for urgency, count in self.refused().items()
        ]
        return [*shed, ("headend_requests_in_flight", {}, self.in_flight())]

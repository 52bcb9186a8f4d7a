"""Hands a source's events to the agent; consent given in the middle of a film counts from then."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping

from box_agent.events import Event, Item
from shared.errors import StbError

_LOG = logging.getLogger(__name__)
_RATES = {"pause": 0.0, "resume": 1.0}


class Reporter:
    """A source's way to the agent. `report` answers whether the agent kept the event.

    What the agent refuses, or fails at, is counted and never reaches the source.
    """

    def __init__(self, report: Callable[[Event], bool]) -> None:
        self._report = report
        self._counts: Counter[str] = Counter()
        self._on: dict[str, tuple[Item, float, bool]] = {}

    def __call__(self, event: Event) -> None:
        """Report one event.

        If what it belongs to is not kept, since consent was not given yet or withdrawn meanwhile, that begins
        with this event, and not before.
        """
        kept = self._kept(event)
        self._counts["kept" if kept else "not_kept"] += 1
        if event.event == "play" and event.item is not None:
            self._on[event.tuner] = (event.item, 1.0 if event.rate is None else event.rate, kept)
        elif event.event == "standby":
            self._on.clear()
        elif event.event == "stop":
            self._on.pop(event.tuner, None)
        elif event.tuner in self._on:
            self._catch_up(event, kept=kept)

    def counts(self) -> Mapping[str, int]:
        """How many events were `kept`, `not_kept` and `refused`, and at how many the agent `failed`."""
        return dict(self._counts)

    def _catch_up(self, event: Event, *, kept: bool) -> None:
        item, rate, known = self._on[event.tuner]
        rate = _RATES.get(event.event, rate if event.rate is None else event.rate)
        known = known and kept
        if kept and not known:
            began = Event(
                event="play",
                item=item,
                rate=rate,
                tuner=event.tuner,
                by="box",
                at_ms=event.at_ms,
                seq=event.seq,
            )
            known = self._kept(began)
        self._on[event.tuner] = (item, rate, known)

    def _kept(self, event: Event) -> bool:
        try:
            return self._report(event)
        except StbError:
            self._counts["refused"] += 1
        except Exception as error:  # noqa: BLE001 (a full disk must not end the watching)
            self._counts["failed"] += 1
            _LOG.error("an event was lost: %s", type(error).__name__)
        return False

"""The sources that the settings name, each in a thread, and the guide's loading in another."""

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from box_agent.chance import RandomBytes
from box_agent.events import Event
from shared.clock import Clock

if TYPE_CHECKING:
    from box_agent.guide.categories import Categories
    from box_agent.guide.guide import Guide
    from box_agent.settings import BoxSettings
    from box_agent.sources.source import Source

JOIN_SECONDS = 10.0


class Running:
    """What runs beside the agent, until it is stopped."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._counts: dict[str, Callable[[], Mapping[str, Any]]] = {}

    def begin(
        self, name: str, run: Callable[[threading.Event], None], counts: Callable[[], Mapping[str, Any]]
    ) -> None:
        """Run something in a thread of its own."""
        self._counts[name] = counts
        thread = threading.Thread(target=run, args=(self._stop,), daemon=True, name=name)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Let everything end, and wait for it: what a player showed ends with the agent."""
        self._stop.set()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)

    def counts(self) -> dict[str, Mapping[str, Any]]:
        """How each of them goes, by name."""
        return {name: counts() for name, counts in self._counts.items()}


def start_sources(
    settings: "BoxSettings",
    report: Callable[[Event], bool],
    clock: Clock,
    random_bytes: RandomBytes = os.urandom,
) -> Running:
    """Start what the settings name; with none of it named nothing is imported and no thread is made.

    Raises:
        BadCategoriesError: the list of categories that the settings name is no such list.
    """
    running = Running()
    named = {name: make for name, make in _SOURCES.items() if getattr(settings, name) is not None}
    if not named and settings.guide_file is None:
        return running
    categories = _categories(settings)
    for name, make in named.items():
        _watch(running, name, make(settings, categories, clock, random_bytes), report)
    if settings.guide_file is not None:
        guide = _guide(settings, categories, clock)
        running.begin("guide", guide.run, guide.counts)
    return running


def _watch(running: Running, name: str, source: "Source", report: Callable[[Event], bool]) -> None:
    from box_agent.sources.reporter import Reporter

    reporter = Reporter(report)
    running.begin(
        name, lambda stop: source.run(reporter, stop), lambda: {**source.counts(), **reporter.counts()}
    )


def _categories(settings: "BoxSettings") -> "Categories":
    from box_agent.guide.categories import Categories

    return Categories(Path(settings.guide_categories) if settings.guide_categories else None)


def _guide(settings: "BoxSettings", categories: "Categories", clock: Clock) -> "Guide":
    from box_agent.guide.guide import Guide
    from box_agent.guide.store import GuideStore

    return Guide(Path(settings.guide_file or ""), GuideStore.of(settings), categories, clock)


def _kodi(
    settings: "BoxSettings", categories: "Categories", clock: Clock, random_bytes: RandomBytes
) -> "Source":
    from box_agent.chance import below
    from box_agent.sources.kodi import Kodi
    from box_agent.sources.kodi_item import KodiItems
    from box_agent.sources.kodi_player import KodiPlayer

    items = KodiItems(categories, settings.timezone(), random_bytes(16))
    return Kodi(settings.kodi_address(), lambda: KodiPlayer(items), clock, below(random_bytes))


# The table of sources: the entry of the settings that asks for one, and what makes it.
_SOURCES: dict[str, Callable[["BoxSettings", "Categories", Clock, RandomBytes], "Source"]] = {"kodi": _kodi}

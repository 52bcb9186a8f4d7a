"""What all boxes of a played week share: keys, signed directories, a catalogue, and how the agent ticks.

The keys are real and the headend's own: the adversary holds every private half.
"""

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from unittest.mock import patch

from box_agent import running as program
from box_agent.app import ANONYMOUS_LINE
from box_agent.bell import Bell
from headend.analytics.keys import AnalyticsKeys
from headend.billing.signer import RsaSigner
from headend.directories import make_directory
from headend.kit.shelf import FolderShelf
from shared.clock import to_ms
from shared.dsse import public_to_text
from shared.ohttp import Gateway
from shared.register import profile
from shared.weeks import Week
from simulator.evenings import Evenings
from simulator.guide import Guide
from simulator.offers import Title, make_titles, open_shop
from simulator.town import Town
from tests.box_agent.fakes import sign_catalogue
from tests.headend.analytics.builders import DIRECTORY_KEY, SETTINGS, WEEK, ZONE
from tests.simulator.seeded import seeded

START, END, CLOSES = (to_ms(one) for one in (WEEK.start(ZONE), WEEK.end(ZONE), WEEK.closes(ZONE)))
SEED = 41
FILMS, GAMES = 60, 10


@dataclass(frozen=True)
class Ticks:
    """How the agent's own process ticks: every so many ms, each tick late by up to `jitter_ms`."""

    every_ms: int
    jitter_ms: int


@dataclass(frozen=True, eq=False)
class Place:
    """Plain values, so that it can be handed to another process."""

    keys: Path
    boxes: Path
    signers: dict[str, bytes]
    directories: dict[str, bytes]
    catalogue: bytes
    directory_pin: str
    ticks: Ticks
    town: int
    unplugged: bool

    def signer(self, measure: str) -> RsaSigner:
        return _signer(self.signers[measure])

    def gateway(self, week: Week = WEEK) -> Gateway:
        return _gateway(self.keys, week)


@lru_cache
def _signer(pem: bytes) -> RsaSigner:
    return RsaSigner.from_pem(pem)


@lru_cache
def _gateway(folder: Path, week: Week) -> Gateway:
    return AnalyticsKeys(FolderShelf(folder)).gateway(week)


@lru_cache(maxsize=1)
def titles() -> list[Title]:
    return make_titles(seeded(SEED), FILMS, GAMES, START - 10 * 86_400_000)


@lru_cache(maxsize=1)
def genres() -> dict[str, str | None]:
    return {title.offer.offer: title.offer.genre for title in titles()}


@lru_cache(maxsize=1)
def evenings() -> Evenings:
    return Evenings(Guide(SEED, ZONE), open_shop(titles()))


@lru_cache(maxsize=1)
def town(size: int) -> Town:
    return Town(SEED, size)


def make_place(folder: Path, boxes: Path, size: int, *, unplugged: bool) -> Place:
    """Make the keys and sign two weeks' directories, as the composition root does."""
    keys = AnalyticsKeys(FolderShelf(folder / "keys" / "analytics"))
    signers = new_signers()
    spki = {name: signer.public_spki for name, signer in signers.items()}
    directories = {
        str(week): make_directory(SETTINGS, week, spki, keys.key_config(week), DIRECTORY_KEY)
        for week in (WEEK, WEEK.plus(1))
    }
    return Place(
        keys=folder / "keys" / "analytics",
        boxes=boxes,
        signers={name: signer.to_pem() for name, signer in signers.items()},
        directories=directories,
        catalogue=sign_catalogue(*(title.offer for title in titles())),
        directory_pin=public_to_text(DIRECTORY_KEY.public_key()),
        ticks=ticks(),
        town=size,
        unplugged=unplugged,
    )


@lru_cache(maxsize=1)
def new_signers() -> dict[str, RsaSigner]:
    """One key a measure, made once a process: making them takes a while."""
    return {measure.name: RsaSigner.generate() for measure in profile("small").measures}


def ticks() -> Ticks:
    """What the program really asks of its scheduler for the anonymous line."""
    asked: dict[str, int] = {}

    class Scheduler:
        def __init__(self, **_: object) -> None: ...

        def add_job(self, *_: object, args: tuple[str, ...], **words: int) -> None:
            if args == ANONYMOUS_LINE:
                asked.update(words)

        def start(self) -> None: ...

        def shutdown(self, **_: object) -> None: ...

    stop = threading.Event()
    stop.set()
    with patch("apscheduler.schedulers.background.BackgroundScheduler", Scheduler):
        program._tick_until(stop, Bell(), None, None)
    return Ticks(1_000 * asked["seconds"], 1_000 * (asked.get("jitter") or 0))

"""A week of many boxes, and what the adversary holds of it: books, wire and the whole analytics database."""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from headend.analytics.side import AnalyticsSide
from headend.disclosure import Kind, Purpose, Recipient, clear
from shared.clock import ManualClock, from_ms, to_ms
from tests.headend.analytics.builders import WEEK, make_setup
from tests.linkage.boxes import Trace, play_box
from tests.linkage.place import START, Place, make_place
from tests.linkage.reading import Opened, open_sealed

BATCH = 100
Control = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True)
class Held:
    """What the adversary holds; `where` is each nonce's place in the database file, `frame` in its log."""

    place: Place
    traces: list[Trace]
    opened: list[Opened]
    where: dict[bytes, int]
    frame: dict[bytes, int]

    @property
    def by_box(self) -> dict[int, Trace]:
        return {trace.number: trace for trace in self.traces}


@contextmanager
def folders() -> Iterator[tuple[Path, Path]]:
    """A folder for keys and database, and one in memory for the boxes' stores."""
    memory = Path("/dev/shm")  # noqa: S108 (a private folder is made in it)
    root = Path(tempfile.mkdtemp(prefix="linkage-", dir=memory if memory.is_dir() else None))
    try:
        yield root, root / "boxes"
    finally:
        shutil.rmtree(root)


def play(
    boxes: int,
    workers: int = 1,
    control: Control | None = None,
    *,
    counted: bool = True,
    unplugged: bool = False,
) -> Held:
    """Play a week; `control` is entered in each worker and changes the product there.

    Where it changes what is sent to something that no gateway takes, `counted` is False. With
    `unplugged` some boxes are without current at night, or for days.
    """
    with folders() as (root, state):
        place = make_place(root, state, boxes, unplugged=unplugged)
        chunk = max(1, boxes // (4 * workers))
        if workers == 1:
            traces = _play_some(place, control, range(boxes))
        else:
            parts = [range(start, min(start + chunk, boxes)) for start in range(0, boxes, chunk)]
            with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
                played = list(pool.map(partial(_play_some, place, control), parts))
            traces = [trace for part in played for trace in part]
        gateway = place.gateway()
        opened = sorted(
            (
                open_sealed(gateway, trace.number, at_ms, sealed, whole=counted)
                for trace in traces
                for at_ms, sealed in trace.sent
            ),
            key=lambda one: one.at_ms,
        )
        where, frame = _count(place, root, opened) if counted else ({}, {})
        return Held(place, traces, opened, where, frame)


def _play_some(place: Place, control: Control | None, numbers: range) -> list[Trace]:
    if control is None:
        return [play_box(place, number) for number in numbers]
    with control():
        return [play_box(place, number) for number in numbers]


def _count(place: Place, root: Path, opened: list[Opened]) -> tuple[dict[bytes, int], dict[bytes, int]]:
    """Let analytics count what came, in its order; look at all bytes of the database after each batch."""
    clock = ManualClock(from_ms(START))
    side = AnalyticsSide(make_setup(root, clock, keys=place.keys, database=root / "analytics.db"))
    envelope = place.directories[str(WEEK)]
    side.accept_directory(clear(envelope, Kind.DIRECTORY, Recipient.BOXES, Purpose.PROTOCOL))
    frame: dict[bytes, int] = {}
    for start in range(0, len(opened), BATCH):
        for one in opened[start : start + BATCH]:
            clock.advance_to(max(from_ms(one.at_ms), clock.now()))
            side.intake.answer(one.sealed)
        for nonce, place_ in _places(root / "analytics.db-wal").items():
            frame.setdefault(nonce, place_)
    accepted = {one.measure: one.count for one in side.store.accepted()}
    assert sum(accepted.values()) == len(opened), "each fragment was counted"
    side.close()
    assert to_ms(clock.now()) > START
    return _places(root / "analytics.db"), frame


_SPENT = re.compile(re.escape(str(WEEK).encode()) + rb"(.{32})", re.DOTALL)


def _places(path: Path) -> dict[bytes, int]:
    """Where in a file what follows the week's name stands: a row of spent tokens is week and nonce."""
    if not path.exists():
        return {}
    return {found[1]: found.start() for found in _SPENT.finditer(path.read_bytes())}

"""A box for one input: a copied state directory, two clocks that can part, and a look at its store.

Made in memory where there is a place for it: what is looked for is not the disk's.
"""

import atexit
import copy
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random

from shared.notice import notice_version
from tests.box_agent.fakes import (
    START,
    Bench,
    FakeRelay,
    TwoClocks,
    offer,
    promotion,
    settings,
    sign_catalogue,
)
from tests.fuzz.door import STORE_NAME, Door

STARTS = ("consenting", "enrolled", "fresh")
"""How far a box has come; the first is taken where none is said."""
Tables = dict[str, list[tuple[object, ...]]]


class FuzzBox:
    """One box in a folder of its own, with everything around it."""

    def __init__(self, folder: Path, start: str) -> None:
        made, bench = _template(start)
        shutil.copytree(made, folder, dirs_exist_ok=True)
        self._settings = settings(folder)
        self.clock = TwoClocks(START)
        # What the named line's other end has kept is as old as the copied store.
        self._lines = (copy.deepcopy(bench.headend), FakeRelay(self.clock))
        self.door = self._open()
        self._store = sqlite3.connect(folder / STORE_NAME, isolation_level=None)
        self._names = [
            name for (name,) in self._store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]

    def version(self) -> int:
        """A number that changes when the agent has committed something."""
        return int(self._store.execute("PRAGMA data_version").fetchone()[0])

    def tables(self) -> Tables:
        """Everything that is in the store."""
        return {name: self._store.execute(f"SELECT * FROM {name}").fetchall() for name in self._names}

    def restart(self) -> None:
        """Stop the agent and start it again on what it has kept."""
        self.door.close()
        self.door = self._open()

    def close(self) -> None:
        """Stop it."""
        self.door.close()
        self._store.close()

    def _open(self) -> Door:
        # An input says what happens, and nothing else does.
        return Door(self._settings, self._lines, self.clock, Random(0).randbytes)


@contextmanager
def fuzz_box(start: str) -> Iterator[FuzzBox]:
    """A box for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="stb-fuzz-", dir=_memory()) as name:
        box = FuzzBox(Path(name), start)
        try:
            yield box
        finally:
            box.close()


@cache
def _template(start: str) -> tuple[Path, Bench]:
    """A state directory to copy, made once: migrating a store takes longer than running an input."""
    folder = Path(tempfile.mkdtemp(prefix="stb-fuzz-template-", dir=_memory()))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    bench = Bench(folder / "state")
    bench.headend.catalogue = sign_catalogue(offer(preview_minutes=5), offer("film-2"), promotion())
    if start in STARTS[:2]:
        bench.enrol()
    if start == STARTS[0]:
        bench.agent.set_consent(granted=True, notice=notice_version(), how="test")
    bench.agent.tick()
    bench.agent.close()
    return folder / "state", bench


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (a private folder is made in it)

"""A filled installation on files, made once for all tests of a process, and copies of it to be moved."""

import secrets
import shutil
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from headend.analytics.store import Contribution
from headend.app import open_headend
from headend.billing.erasure import erase
from headend.installation import Installation
from headend.moving.move import Order, move
from shared.weeks import Week
from tests import engines, filled
from tests.builders import HOUR, SigningBox, account

SIDES = tuple(engines.SCHEMAS)
OPEN = Week(2026, 47)
"""A week whose fragments are being counted; of the week after it nothing has come yet."""


class Original:
    """An installation with a box of its own, in a folder that is only copied."""

    def __init__(self, folder: Path) -> None:
        self.folder = filled.make(folder, weeks=3)
        with headend_of(self.folder) as headend:
            store = headend.billing.store
            store.write(lambda tx: tx.add_account(account("nl-9999", created_ms=filled.OCTOBER_MS)))
            self._box = SigningBox(store, "nl-9999", issued_ms=filled.OCTOBER_MS, serial="SN-9999").enrolled()
            self._box.submit(self._box.order(price_cents=399), now_ms=filled.NOW_MS)
            store.write(self._tokens)
            store.write(lambda tx: erase(tx, "nl-0005", "dana", filled.NOW_MS))
            headend.analytics.store.count([fragment(OPEN, n) for n in range(40)])

    def _tokens(self, tx) -> None:
        tx.draw_reporting(str(OPEN), {"nl-9999": self._box.box})
        tx.add_grant(str(OPEN), "nl-9999", "genre", "00" * 32, b"\x00\xff\n\\N\t" * 40)

    def copy(self, to: Path) -> tuple[Path, SigningBox]:
        shutil.copytree(self.folder, to)
        return to, replace(self._box, sent=[])


def fragment(week: Week, n: int) -> Contribution:
    return Contribution(week, "genre", 1 + n % 7, 1, 0, n.to_bytes(32, "big"))


@contextmanager
def headend_of(folder: Path):
    headend = open_headend(Installation(folder))
    try:
        yield headend
    finally:
        headend.close()


def targets(*sides):
    return {side: engines.make(f"moved_{side}_{secrets.token_hex(6)}") for side in sides or SIDES}


def quiet(side, table, rows):
    """Hears of progress and says nothing."""


def start(folder, to, heard=quiet, at_once=5_000, name="a-move"):
    return move(Installation(folder), Order(to, name, at_once), heard)


def later(box: SigningBox, store) -> int:
    """The box's next order, taken by another store; gives the order's place."""
    box.store = store
    box.submit(box.order(price_cents=399, at_ms=filled.NOW_MS + HOUR), now_ms=filled.NOW_MS + HOUR)
    return box.seq

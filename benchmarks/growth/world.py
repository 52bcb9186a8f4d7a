"""Installations of several sizes, with the same keys, weeks and catalogue."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.console import releases, town
from benchmarks.gateway import ISSUER
from benchmarks.growth.fill import Books, fast, fill_counters
from benchmarks.growth.sized import (
    CLOSED,
    CONSENTING,
    NOW,
    NOW_MS,
    RUNNING,
    TAIL,
    TAKEN,
    WEEK_MS,
    ZONE,
    Size,
)
from headend.analytics.published import sha256
from headend.analytics.store import StoredTotals
from headend.app import Headend, open_headend
from headend.billing import exports
from headend.billing.catalogue import publish_catalogue
from headend.installation import CATALOGUE_KEY, Installation, Settings
from shared import dsse
from shared.named import Offer
from shared.register import profile
from shared.system_clock import ClockSteerer
from shared.totals import BoxTotals

MOST_WEEKS = 104
PROFILE = "small"
DONE = {
    "directory": str(RUNNING.plus(1)),
    "draw": str(RUNNING),
    "totals": str(CLOSED),
    "forget-tokens": str(CLOSED.plus(-1)),
    "invoices": "2026-10",
    "gaps": "2026-11-23",
    "retention": "2026-11-23",
}
"""The turns of the jobs that were done last: whoever serves such an installation finds nothing due."""


@dataclass
class World:
    """A served installation of some size; its boxes all sign with one key."""

    size: Size
    headend: Headend
    key: Ed25519PrivateKey
    chance: Random
    asked: int = 0

    def next_asking(self, times: int) -> list[int]:
        """Boxes that have not asked for this week's tokens yet; they lie as random as boxes' ids."""
        self.asked += times
        return list(range(self.asked - times, self.asked))

    def bytes_of(self, side: str) -> int:
        """The size of a side's database."""
        return self.headend.installation.database(side).stat().st_size


def template(folder: Path, sold: list[Offer]) -> Installation:
    """An empty installation whose weeks are published and whose catalogue is in force."""
    clock = folder / "clock"
    ClockSteerer(clock, NOW)
    settings = Settings(
        issuer=ISSUER,
        zone=ZONE,
        profile=PROFILE,
        country="NL",
        first_week=str(CLOSED.plus(-MOST_WEEKS)),
        simulated=True,
        clock=str(clock),
        regions=(),
        areas={},
    )
    made = Installation.create(folder / "template", settings)
    headend = open_headend(made)
    for week in (CLOSED, TAKEN, RUNNING):
        headend.publish(week)
    valid_ms = NOW_MS - (MOST_WEEKS + 2) * WEEK_MS
    key, billing = made.key(CATALOGUE_KEY), headend.billing
    assert billing is not None  # noqa: S101 (all sides were opened)
    billing.store.write(lambda tx: publish_catalogue(tx, sold, key, valid_ms))
    headend.close()
    return made


def build(folder: Path, size: Size, key: Ed25519PrivateKey) -> World:
    """An installation of that size in `folder`, which holds the template, opened as the one that serves."""
    sold = town.offers(NOW_MS - (MOST_WEEKS + 2) * WEEK_MS)
    if not (folder / "template").exists():
        template(folder, sold)
    place = folder / f"{size.boxes}-{size.weeks}"
    shutil.copytree(folder / "template", place)
    installation = Installation(place)
    _fill(installation, size, key, sold)
    headend = open_headend(installation, serving=True)
    _finish(headend, size)
    return World(size, headend, key, Random(f"{size.boxes}/{size.weeks}"))


def _fill(installation: Installation, size: Size, key: Ed25519PrivateKey, sold: list[Offer]) -> None:
    books = fast(installation.database("billing"))
    Books(books, size, dsse.public_to_text(key.public_key()), sold).fill()
    counters = fast(installation.database("analytics"))
    fill_counters(counters, size)
    books.close()
    counters.close()


def _finish(headend: Headend, size: Size) -> None:
    """What the sides' own code writes quickly enough: past releases, box totals, a closed batch."""
    billing, analytics = headend.billing, headend.analytics
    assert billing is not None and analytics is not None  # noqa: S101, PT018 (all sides were opened)
    releases.fill(analytics.store, CLOSED.plus(-size.weeks), size.weeks, PROFILE)
    asked = max(round(CONSENTING * size.boxes), profile(PROFILE).min_accounts)
    payload = msgspec.json.encode(
        BoxTotals(
            week=str(CLOSED),
            boxes={"none": size.boxes},
            accounts_drawn=size.boxes,
            accounts_asked=asked,
            issued={one.name: asked for one in profile(PROFILE).measures},
        )
    )
    analytics.store.accept_totals(CLOSED, StoredTotals(payload, sha256(payload)))
    analytics.store.forget(CLOSED.plus(-1), NOW_MS)
    for job, slot in DONE.items():
        billing.store.write(lambda tx, job=job, slot=slot: tx.claim(job, slot, NOW_MS))
    last, _ = billing.store.read().last_entry()
    if last > TAIL:
        billing.store.write(lambda tx: exports.close_batch(tx, NOW_MS, last - TAIL))

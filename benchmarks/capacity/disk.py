"""Bytes on disk of a row of each kind, indexes and half-empty pages included, from filled databases.

SQLite says how many pages each table and index has (dbstat). What is kept while an order's title may be, and
what is kept after it, are told apart by two towns, of which one has as many weeks more.
"""

import sqlite3
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.console import releases
from benchmarks.growth.sized import NOW_MS, SIGNED_WEEKS, Size
from benchmarks.growth.world import World, build
from headend.analytics.budget import cap_micro
from headend.analytics.sqlite import SqliteStore
from headend.analytics.store import Installation
from headend.billing.formats import jsonl
from headend.console.sqlite import SqliteConsole
from headend.console.store import Action, AuditLine, ConsoleTx
from shared.register import profile, profile_names
from shared.weeks import Week

BOXES = 2_000
LINES = 20_000
RELEASED = 26
ORDER = ("orders", "annex")
MONEY = ("entries", "invoices", "invoice_lines", "invoice_vat")
BOX = ("boxes", "bindings", "epochs", "sightings")


def tables(path: Path) -> dict[str, int]:
    """Bytes of each table with its indexes."""
    db = sqlite3.connect(path)
    try:
        rows = db.execute(
            "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_master USING (name) GROUP BY tbl_name"
        )
        return dict(rows.fetchall())
    finally:
        db.close()


def _of(found: dict[str, int], names: tuple[str, ...]) -> int:
    return sum(found[name] for name in names)


def billing(folder: Path) -> dict[str, float]:
    """Bytes of what billing keeps."""
    key = Ed25519PrivateKey.generate()
    worlds = [build(folder, Size(BOXES, weeks), key) for weeks in (SIGNED_WEEKS, 2 * SIGNED_WEEKS)]
    young, old = (tables(world.headend.installation.database("billing")) for world in worlds)
    entry = _entry(worlds[0])
    look = worlds[0].headend.billing.store.read()
    issued = sum(look.issued("2026-W47")[2].values())
    for world in worlds:
        world.headend.close()
    times = BOXES * SIGNED_WEEKS
    found = {
        "account": young["accounts"] / BOXES,
        "box": _of(young, BOX) / BOXES,
        "grant": young["grants"] / issued,
        "reporting": young["reporting"] / (2 * round(0.9 * BOXES)),
        "export entry": entry,
    }
    for name, held in (("message", ("chain",)), ("order", ORDER), ("money", MONEY)):
        found[f"{name}, young"] = _of(young, held) / times
        found[f"{name}, old"] = (_of(old, held) - _of(young, held)) / times
    return found


def _entry(world: World) -> float:
    look = world.headend.billing.store.read()
    batch = look.last_batch()
    size = sum(len(piece) for piece in jsonl.FORMAT.render(look, batch))
    return size / (batch.last_entry - batch.first_entry + 1)


def console(folder: Path) -> dict[str, float]:
    """Bytes of a line of the console's audit."""
    store = SqliteConsole(folder / "console.db", simulated=True)

    def work(tx: ConsoleTx) -> None:
        for at in range(LINES):
            account = f"acc-{at % 5000:08}"
            tx.write_audit(AuditLine(NOW_MS + at, "erin", Action.LOOKED, "account", account, account))

    store.write(work)
    store.close()
    return {"audit line": _of(tables(folder / "console.db"), ("audit", "audit_about")) / LINES}


def analytics(folder: Path) -> dict[str, float]:
    """Bytes of a spent nonce, and of what is kept of a released week for ever, by profile."""
    world = build(folder, Size(100_000, 1), Ed25519PrivateKey.generate())
    spent = sum(one.count for one in world.headend.analytics.store.accepted() if one.week == Week(2026, 47))
    found = {"nonce": tables(world.headend.installation.database("analytics"))["spent"] / spent}
    world.headend.close()
    simulated = True
    for name in profile_names():
        path = folder / f"{name}.db"
        store = SqliteStore(path)
        first = Week(2026, 1)
        store.stamp(Installation(simulated, name, releases.ZONE, first, cap_micro(profile(name))))
        releases.fill(store, first, RELEASED, name)
        store.close()
        held = tables(path)
        found[f"released week, {name}"] = (
            _of(held, ("releases", "directories", "totals", "budget")) / RELEASED
        )
    return found


def measured() -> dict[str, float]:
    """All of them."""
    found: dict[str, float] = {}
    for measure in (billing, console, analytics):
        with tempfile.TemporaryDirectory(prefix="stb-disk-") as folder:
            found |= measure(Path(folder))
    return {name: round(value, 1) for name, value in found.items()}

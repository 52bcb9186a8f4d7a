import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from box_agent.store import Store
from headend.billing import exports, orders
from headend.billing.formats.registry import format_named
from headend.billing.sqlite import SqliteBilling
from tests.builders import CATALOGUE_KEY, NOW_MS, SigningBox, billing_store
from tests.campaigns.points import Points, watch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def points() -> Any:
    passed = Points()

    def slowly(point: str) -> None:
        if point == "before COMMIT":
            time.sleep(0.05)  # so that an answer that does not wait comes first
        passed(point)

    undo = watch(slowly)
    yield passed.passed
    undo()


def campaign(*options: str) -> str:
    command = [sys.executable, "-m", "tests.campaigns.kill", "--short", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_killed_at_a_write_point_and_again_in_recovery_a_life_comes_to_the_same() -> None:
    assert "0 faults" in campaign()


def test_a_box_that_is_killed_loses_no_order_and_no_more_viewing_than_stated_whatever_its_clock_says() -> (
    None
):
    assert "0 faults" in campaign("--life", "agent", "--life", "agent-lying")


@pytest.mark.parametrize(
    ("life", "points_at"), [("box", "INTO (chain|orders)|UPDATE head"), ("headend", "INTO (orders|annex)")]
)
def test_an_order_is_whole_or_not_there_wherever_its_writing_is_cut_off(life: str, points_at: str) -> None:
    assert "0 faults" in campaign("--life", life, "--at", points_at)


@pytest.mark.sqlite(why="its settings")
@pytest.mark.parametrize("name", ["journal_mode", "synchronous"])
def test_the_writing_connections_sync_before_they_answer(tmp_path: Path, name: str) -> None:
    """Kill -9 is not power loss: that a commit is on the disk is this setting's doing (2 is FULL)."""
    wanted = {"journal_mode": "wal", "synchronous": 2}[name]
    store = billing_store(tmp_path)
    assert store.storage.write(lambda db: db.execute(f"PRAGMA {name}").fetchone()[0]) == wanted
    store.close()
    box = Store(tmp_path / "box.sqlite")
    assert box.connection().execute(f"PRAGMA {name}").fetchone()[0] == wanted
    box.park()


@pytest.mark.sqlite(why="its connections are watched")
def test_an_order_is_acknowledged_after_its_commit(tmp_path: Path, points: list[str]) -> None:
    store = billing_store(tmp_path)
    box = SigningBox(store).enrolled()
    envelope = box.order()
    del points[:]
    orders.take(store, [envelope], NOW_MS)
    assert points[-1] == "after COMMIT"
    assert sum(point.startswith("before INSERT INTO orders") for point in points) == 1
    store.close()


def test_a_batch_s_files_are_synced_then_renamed_then_their_folder_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = _with_a_batch(tmp_path)
    told: list[tuple[str, str]] = []
    sync, rename = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        told.append(("sync", Path(f"/proc/self/fd/{descriptor}").readlink().name))
        sync(descriptor)

    def replace(source: Any, target: Any) -> None:
        told.append(("rename", f"{Path(source).name} {Path(target).name}"))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    folder = tmp_path / "exported"
    folder.mkdir()
    forms = (format_named("jsonl"), format_named("csv"))
    args = (CATALOGUE_KEY, folder, forms)
    written = [path.name for path in exports.write_batch(store.read(), 1, *args)]
    beside = {name: f".{name}.{os.getpid()}.new" for name in written}
    assert told == [
        step
        for name in written
        for step in (("sync", beside[name]), ("rename", f"{beside[name]} {name}"), ("sync", "exported"))
    ]
    assert written[-1] == "BILL-00000001.sig.json", "the head comes last: it says that the rest is there"
    store.close()


def test_the_campaign_itself_tells_a_life_that_came_out_otherwise() -> None:
    code = (
        "from tests.campaigns.kill import Plan, trial, undisturbed; wanted, points = undisturbed('box');"
        "assert any('INSERT INTO chain' in point for point in points);"
        "print(len(trial(Plan('box', ()), wanted).faults), len(trial(Plan('box', ()), 'other').faults))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "0 1\n"


def _with_a_batch(folder: Path) -> SqliteBilling:
    store = billing_store(folder)
    box = SigningBox(store).enrolled()
    box.submit(box.order())
    store.write(lambda tx: exports.close_batch(tx, NOW_MS))
    return store

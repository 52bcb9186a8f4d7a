"""Sides served apart, each from a folder of its own, with files in between."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from headend import exchange
from headend.__main__ import main
from headend.apart import ApartError, set_apart
from headend.app import open_headend
from headend.doctor.examine import examine
from headend.exchange import GRACE, SPOOL_VARIABLE, ExchangeError, publish_offered
from headend.installation import DIRECTORY_KEY, Installation, InstallationError
from shared.clock import from_ms
from shared.system_clock import ClockSteerer
from shared.weeks import Week
from tests.builders import SETTINGS, account
from tests.engines import OVER_POSTGRES

pytestmark = pytest.mark.usefixtures("few_token_keys")

W41, W42 = Week(2026, 41), Week(2026, 42)
ROOT_KEY = f"keys/{'/'.join(DIRECTORY_KEY)}.pem"
START = datetime(2026, 9, 28, 0, 5, tzinfo=UTC)  # five minutes after the first directory was due
PARTS = {
    "billing": ("billing", "console"),
    "analytics": ("analytics", "console"),
    "exchange": ("exchange",),
}


class Apart:
    """An installation in three folders, with one clock and one exchange."""

    def __init__(self, folder):
        self.clock = ClockSteerer(folder / "clock", START)
        settings = replace(SETTINGS, simulated=True, clock=str(folder / "clock"))
        self.whole = Installation.create(folder / "whole", settings)
        open_headend(self.whole).close()
        self.at = {}
        for name, sides in PARTS.items():
            set_apart(self.whole, folder / name, sides)
            self.at[name] = Installation(folder / name)
        self.billing = open_headend(self.at["billing"], self.at["billing"].sides)
        self.analytics = open_headend(self.at["analytics"], self.at["analytics"].sides)
        # The process that draws a release is tested elsewhere; here it is drawn in this one.
        self.drawn = []
        self.analytics.analytics.setup = replace(self.analytics.analytics.setup, spawn_release=self.draw)

    def draw(self, week):
        self.drawn.append(week)
        self.analytics.analytics.release(week)

    def turn(self, times=2):
        """Each process at its work, as often as it takes for what one has made to reach the others."""
        for _ in range(times):
            self.billing.jobs.run_due()
            self.analytics.jobs.run_due()
            publish_offered(self.at["exchange"])

    def directories(self, week):
        store = self.analytics.analytics.store
        stored = store.directory(week)
        return self.billing.billing.store.read().directory(str(week)), stored and stored.envelope

    def close(self):
        self.billing.close()
        self.analytics.close()


@pytest.fixture
def apart(tmp_path, monkeypatch):
    monkeypatch.setenv(SPOOL_VARIABLE, str(tmp_path / "spool"))
    made = Apart(tmp_path)
    yield made
    made.close()


def failing(headend):
    return [job.name for job in headend.jobs.overview() if job.failed]


def test_both_sides_get_the_same_directory_and_none_fails_while_it_waits(apart):
    apart.turn(1)
    assert apart.directories(W41) == (None, None)
    assert (failing(apart.billing), failing(apart.analytics)) == ([], [])
    apart.turn(1)
    billing, analytics = apart.directories(W41)
    assert billing is not None
    assert billing == analytics


def test_a_week_goes_from_directory_to_totals_and_release_in_its_order(apart):
    apart.turn()
    for hours in (2, 3):
        apart.clock.set(W41.closes(apart.whole.zone) + timedelta(minutes=hours))
        apart.turn()
    store = apart.analytics.analytics.store
    assert store.totals(W41) is not None
    assert apart.drawn == [W41]
    assert store.state(W41) == "below-floor"
    assert failing(apart.billing) == failing(apart.analytics) == []
    billing, analytics = apart.directories(Week(2026, 43))
    assert billing is not None
    assert billing == analytics


def test_a_release_waits_for_its_totals_and_says_so_after_an_hour(apart):
    apart.turn()
    for week in (W41, W42):
        apart.clock.set(week.start(apart.whole.zone) + timedelta(minutes=5))
        apart.turn()
    closes = W41.closes(apart.whole.zone)
    apart.clock.set(closes + timedelta(minutes=1))
    apart.analytics.jobs.run_due()
    assert (apart.drawn, failing(apart.analytics)) == ([], [])
    apart.clock.set(closes + GRACE)
    apart.analytics.jobs.run_due()
    assert {"totals", "release"} <= set(failing(apart.analytics))
    assert apart.analytics.analytics.store.state(W41) == "open"
    apart.turn()
    assert apart.analytics.analytics.store.state(W41) == "below-floor"
    assert failing(apart.analytics) == []


def test_no_folder_has_what_another_needs_to_itself(apart, tmp_path):
    apart.turn()
    held = {
        name: {
            str(path.relative_to(tmp_path / name)) for path in (tmp_path / name).rglob("*") if path.is_file()
        }
        for name in PARTS
    }
    assert not [path for path in held["billing"] if "analytics" in path or "keys/root" in path]
    assert not [path for path in held["analytics"] if "billing.db" in path or "keys/billing/" in path]
    assert held["exchange"] == {
        "installation.toml",
        "sides",
        ROOT_KEY,
        *(f"keys/{name}.pub" for name in ("directory", "catalogue", "billing")),
    }
    for name, missing in (("billing", "analytics"), ("analytics", "billing")):
        with pytest.raises(InstallationError, match=f"{missing} is elsewhere"):
            open_headend(apart.at[name], ("billing", "analytics"))
        with pytest.raises(InstallationError, match="no usable key"):
            apart.at[name].key(DIRECTORY_KEY)


def test_what_is_offered_holds_nothing_of_an_account_or_a_box(apart):
    apart.billing.billing.store.write(lambda tx: tx.add_account(account("acc-particular")))
    apart.turn()
    apart.clock.set(W41.closes(apart.whole.zone))
    apart.turn()
    files = [path for path in exchange.spool_of(apart.whole).folder.rglob("*") if path.is_file()]
    assert len(files) >= 7
    assert not [path for path in files if b"acc-particular" in path.read_bytes()]


def test_keys_that_billing_has_not_offered_are_not_taken_from_another_directory(apart):
    apart.turn(1)
    apart.billing.billing.keys.destroy(W41)
    apart.billing.billing.keys.signer.cache_clear()
    apart.turn(1)
    assert "directory" in failing(apart.billing)
    assert apart.directories(W41)[0] is None


def test_a_directory_of_another_root_key_is_refused_at_both_sides(apart, tmp_path):
    other = Installation.create(tmp_path / "other", apart.whole.settings)
    shutil.copy(other.folder / ROOT_KEY, apart.at["exchange"].folder / ROOT_KEY)
    apart.turn()
    assert "directory" in failing(apart.billing)
    assert "directory" in failing(apart.analytics)
    assert apart.directories(W41) == (None, None)


def test_what_is_offered_in_another_form_is_refused_with_its_name(apart):
    spool = exchange.spool_of(apart.whole)
    apart.analytics.jobs.run_due()
    spool.put("billing", "token-keys-2026-W41.json", b"")
    for offered in (b"", b"[]", b'{"genre": 7}', msgspec.json.encode({"hobbies": b"key"}), b" " * (2 << 20)):
        (spool.folder / "billing" / "token-keys-2026-W41.json").write_bytes(offered)
        with pytest.raises(ExchangeError, match=r"token-keys-2026-W41\.json"):
            publish_offered(apart.at["exchange"])
    assert spool.get("root", "directory-2026-W41.json") is None


OWNERS = {"billing": 61001, "analytics": 61002, "root": 61003}
"""A user for each part of the exchange."""


@contextmanager
def as_user(uid, umask=0o077):
    """Work as a service does: as a user of its own if this is root, and under its unit's umask."""
    before = os.umask(umask)
    if os.getuid() == 0:
        os.setegid(uid)
        os.seteuid(uid)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
            os.setegid(0)
        os.umask(before)


@pytest.fixture
def spool():
    """An exchange as the units' tmpfiles make it: read by all, each part written by its own user."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for side, uid in OWNERS.items():
            (folder / side).mkdir()
            if os.getuid() == 0:
                os.chown(folder / side, uid, uid)
        yield exchange.Spool(folder)


def test_each_sides_user_reads_what_the_others_have_laid_down_under_the_units_umask(spool):
    for side, uid in OWNERS.items():
        with as_user(uid):
            spool.put(side, "week-2026-W41", side.encode())
    for uid in OWNERS.values():
        with as_user(uid):
            assert [spool.get(side, "week-2026-W41") for side in OWNERS] == [
                b"billing",
                b"analytics",
                b"root",
            ]
    for path in spool.folder.rglob("week-*"):
        assert path.stat().st_mode & 0o777 == 0o644


def test_a_folder_that_a_side_makes_in_the_exchange_may_be_read_by_the_others(tmp_path):
    with as_user(os.getuid()):
        exchange.Spool(tmp_path / "spool").put("billing", "x", b"")
    for folder in (tmp_path / "spool", tmp_path / "spool" / "billing"):
        assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can be another user")
def test_what_the_exchange_does_not_let_one_read_or_write_is_told_in_a_sentence(spool):
    with as_user(OWNERS["billing"]):
        spool.put("billing", "week-2026-W41", b"")
        with pytest.raises(ExchangeError, match=r"root/week-2026-W41 cannot be written: Permission denied"):
            spool.put("root", "week-2026-W41", b"")
        (spool.folder / "billing" / "week-2026-W41").chmod(0o600)
    with as_user(OWNERS["root"]):
        with pytest.raises(ExchangeError, match=r"billing/week-2026-W41 cannot be read: Permission denied"):
            spool.get("billing", "week-2026-W41")
        (spool.folder / "root").chmod(0)
        with pytest.raises(ExchangeError, match=r"root cannot be read: Permission denied"):
            list(spool.weeks("root", "week-", ""))


@pytest.mark.sqlite(why="without --database a backup is restored into files")
@pytest.mark.parametrize("name", PARTS)
def test_a_backup_of_a_part_is_restored_to_that_part(apart, tmp_path, name):
    apart.turn()
    (tmp_path / "pass").write_text("correct horse battery")
    words = ["--passphrase-file", str(tmp_path / "pass")]
    for command in (
        ["backup", str(apart.at[name].folder), str(tmp_path / "copy"), *words],
        ["restore", str(tmp_path / "copy"), str(tmp_path / "again"), *words],
    ):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.output
    again = Installation(tmp_path / "again")
    assert again.sides == PARTS[name]
    databases = {path.stem for path in (tmp_path / "copy").glob("*.db")}
    assert databases == set(PARTS[name]) - {"exchange"}
    for key in ("directory", "billing"):
        assert again.public(("root", key)) == apart.at[name].public(("root", key))
    if name != "exchange":
        headend = open_headend(again, again.sides)
        assert {job.name for job in headend.jobs.overview()} >= {"offer-keys", "directory"}
        headend.close()


def test_the_doctor_finds_each_part_in_order(apart):
    apart.turn()
    apart.clock.set(from_ms(int(START.timestamp() * 1000)))
    for name in ("billing", "analytics"):
        found = examine(apart.at[name].folder, apart.at[name].sides)
        broken = [one.check for one in found if one.verdict == "broken"]
        if OVER_POSTGRES:  # of the tests' own role, which sees every database, it rightly complains
            broken = [check for check in broken if not check.endswith(".role")]
        assert broken == []


def test_a_folder_that_stands_is_refused(tmp_path):
    whole = Installation.create(tmp_path / "whole", SETTINGS)
    (tmp_path / "there").mkdir()
    with pytest.raises(ApartError):
        set_apart(whole, tmp_path / "there", ("billing",))


@pytest.mark.sqlite(why="several processes may serve what is on a server")
def test_an_installation_that_is_served_is_refused(tmp_path):
    whole = Installation.create(tmp_path / "whole", SETTINGS)
    lock = whole.lock()
    with pytest.raises(InstallationError):
        set_apart(whole, tmp_path / "new", ("billing",))
    os.close(lock)
    assert not (tmp_path / "new").exists()

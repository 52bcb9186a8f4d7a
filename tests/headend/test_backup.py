"""Backups taken while boxes order, restored elsewhere: to the cent, and boxes carry on against them."""

import base64
import os
import secrets
import shutil
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import psycopg
import pytest
from click.testing import CliRunner

from headend.__main__ import main
from headend.analytics.published import sha256
from headend.analytics.store import Contribution, StoredTotals, WeekState
from headend.app import open_headend
from headend.billing.accounts import add_code, enrol
from headend.billing.catalogue import publish_catalogue
from headend.billing.issuing import draw_reporting_boxes
from headend.billing.orders import take
from headend.billing.reconcile import raise_gap_alarms, reconcile, recounted
from headend.billing.refusals import UnknownEpochError, WeekHeldError
from headend.installation import CATALOGUE_KEY, Installation
from headend.kit import postgres_dump
from shared import tokens
from shared.directory import challenge
from shared.named import MeasureRequest, TokenAsk, encode
from shared.system_clock import ClockSteerer
from shared.totals import BoxTotals
from shared.weeks import Week
from tests import engines
from tests.builders import DAY, NOW, NOW_MS, SigningBox, account, offer
from tests.builders import SETTINGS as DECIDED
from tests.clusters import programs

SIDES = tuple(engines.SCHEMAS)
BOXES, FILMS = 3, 1_000
WEEK = Week(2026, 41)


@pytest.fixture(autouse=True)
def _programs(monkeypatch):
    """The programs that are as new as the server of these tests."""
    if "TEST_POSTGRES" not in os.environ:
        monkeypatch.setenv("PATH", str(programs()), prepend=os.pathsep)


@pytest.fixture
def opened():
    """Opens installations, which are closed at the end."""
    with ExitStack() as stack:
        yield lambda installation: stack.enter_context(closing(open_headend(installation)))


@pytest.fixture(params=["files", "postgresql"])
def installation(request, tmp_path):
    databases = {}
    if request.param == "postgresql" or engines.OVER_POSTGRES:
        databases = {side: engines.fresh(side) for side in SIDES}
    made = Installation.create(tmp_path / "headend", replace(DECIDED, databases=databases))
    (tmp_path / "passphrase").write_text("correct horse")
    return made


def run(*words, code=0):
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.output


def address():
    mark = secrets.token_hex(4)
    made = [engines.make(f"back_{side}_{mark}") for side in SIDES]
    return made[0].replace("back_billing", "back_{side}")


def restored(tmp_path, backup, *more):
    words = ["restore", backup, tmp_path / "again", "--passphrase-file", tmp_path / "passphrase", *more]
    if (backup / "billing.dump").exists():
        words += ["--database", address()]
    run(*words)
    return Installation(tmp_path / "again")


def settle(headend):
    """Boxes that are enrolled, and a catalogue."""
    store, key = headend.billing.store, headend.installation.key(CATALOGUE_KEY)
    films = [offer(f"film-{n}") for n in range(FILMS)]
    store.write(lambda tx: publish_catalogue(tx, films, key, NOW_MS))
    boxes = []
    for n in range(BOXES):
        store.write(lambda tx, n=n: tx.add_account(account(f"acc-{n}")))
        boxes.append(SigningBox(store, f"acc-{n}", serial=f"SN-{n}").enrolled())
    return boxes


def place(box):
    """A box's next order, of a film that it has not ordered yet; gives what is acknowledged."""
    return box.submit(box.order(f"film-{box.seq % FILMS}")).ack


class Load:
    """Boxes that order, each in a thread of its own, until they are told to stop."""

    def __init__(self, boxes):
        self._over, self.begun = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._order, args=(box,)) for box in boxes]

    def _order(self, box):
        while not self._over.is_set():
            assert place(box) == box.seq
            self._over.wait(0.002)
            if box.seq > 5:
                self.begun.set()

    def __enter__(self):
        for one in self._threads:
            one.start()
        assert self.begun.wait(30)
        return self

    def __exit__(self, *_):
        self._over.set()
        for one in self._threads:
            one.join()


def wait_for_more(boxes):
    """Until every box has placed some more orders."""
    wanted = [box.seq + 3 for box in boxes]
    until = time.monotonic() + 30
    while any(box.seq < seq for box, seq in zip(boxes, wanted, strict=True)):
        assert time.monotonic() < until
        time.sleep(0.005)


def send_again(box, store):
    """What a box does whose headend acknowledges less than before: it sends what it has kept."""
    box.store = store
    ack = place(box)
    lost = box.seq - 1 - ack
    while ack < box.seq:
        ack = box.submit(*box.sent[ack : ack + 100]).ack
    return lost


def test_a_backup_taken_under_load_reconciles_elsewhere_and_boxes_carry_on(installation, opened, tmp_path):
    headend = opened(installation)
    boxes, config = settle(headend), headend.analytics.key_config(WEEK)
    with Load(boxes):
        said = run(
            "backup", installation.folder, tmp_path / "copy", "--passphrase-file", tmp_path / "passphrase"
        )
        wait_for_more(boxes)
    headend.close()
    kind = "dump" if installation.settings.databases else "db"
    assert said.split()[:2] == [f"billing.{kind}", f"analytics.{kind}"]
    assert said.split()[-2:] == ["installation.toml", "keys.enc"]
    assert installation.backed_up() is not None
    found = restored(tmp_path, tmp_path / "copy")
    old, new = installation.settings.databases, found.settings.databases
    assert new.keys() == old.keys()
    assert not set(new.values()) & set(old.values())
    assert not list(found.folder.glob("*.dump"))
    again = opened(found)
    assert again.analytics.key_config(WEEK) == config
    look = again.billing.store.read()
    before = reconcile(look)
    assert before.closes
    assert recounted(look) == []
    assert 0 < before.received < sum(box.seq for box in boxes)
    lost = sum(send_again(box, again.billing.store) for box in boxes)
    after = reconcile(again.billing.store.read())
    assert lost > 0
    assert (after.received, after.in_flight) == (sum(box.seq for box in boxes), 0)
    assert after.not_yet_due_cents == 499 * after.received
    assert after.closes
    assert recounted(again.billing.store.read()) == []


def token_requests(headend, box, week, number):
    """A box's request for so many tokens of a measure, blinded anew each time."""
    (spki, *_) = headend.billing.keys.public(("genre",), week)
    digest = challenge(headend.installation.settings.issuer, "genre", week).digest()
    blinded = [
        tokens.blind(tokens.prepare(digest, spki, secrets.token_bytes(32)), spki) for _ in range(number)
    ]
    asked = [MeasureRequest("genre", base64.b64encode(one.request).decode()) for one in blinded]
    return box.sign(encode(TokenAsk(box=box.box, week=str(week), requests=asked)))


def test_what_was_granted_after_a_backup_is_not_granted_again_unless_nothing_can_have_been(
    installation, opened, tmp_path
):
    headend = opened(installation)
    (box, *_) = settle(headend)
    week = Week.of(datetime.now(UTC), headend.installation.zone)
    headend.publish(week)
    draw_reporting_boxes(headend.billing.store, week, lambda _: 0, NOW_MS)
    (tmp_path / "passphrase").write_text("correct horse")
    run("backup", installation.folder, tmp_path / "copy", "--passphrase-file", tmp_path / "passphrase")
    quota = headend.installation.profile.measure("genre").quota
    assert len(headend.billing.issuer.grant(token_requests(headend, box, week, quota)).responses) == quota
    headend.close()
    again = opened(restored(tmp_path, tmp_path / "copy"))
    with pytest.raises(WeekHeldError):
        again.billing.issuer.grant(token_requests(again, box, week, 1))
    again.close()
    assert f"no new tokens for {week}, as before" in run("hold-tokens", tmp_path / "again")
    shutil.rmtree(tmp_path / "again")
    moved = opened(restored(tmp_path, tmp_path / "copy", "--stopped"))
    assert moved.billing.issuer.grant(token_requests(moved, box, week, quota))


def test_a_backup_of_postgresql_is_not_restored_onto_anything(tmp_path):
    made = Installation.create(
        tmp_path / "headend", replace(DECIDED, databases={side: engines.fresh(side) for side in SIDES})
    )
    (tmp_path / "passphrase").write_text("correct horse")
    run("backup", made.folder, tmp_path / "copy", "--passphrase-file", tmp_path / "passphrase")
    words = ("restore", tmp_path / "copy", tmp_path / "again", "--passphrase-file", tmp_path / "passphrase")
    assert "--database says where" in run(*words, code=1)
    assert "of its own" in run(*words, "--database", "postgresql://host/one", code=1)
    for told in ("postgresql://me:secret@host/stb_{side}", "postgresql://host/stb_{side}?password=secret"):
        assert "no place for a password" in run(*words, "--database", told, code=1)
    to = address()
    with psycopg.connect(to.replace("{side}", "console")) as full:
        full.execute("CREATE TABLE somebodys (n INTEGER)")
    assert "holds tables already" in run(*words, "--database", to, code=1)
    assert not (tmp_path / "again").exists()


def test_without_the_servers_programs_a_backup_says_what_is_missing(tmp_path, monkeypatch):
    nowhere = {side: f"postgresql://nowhere.example/{side}" for side in SIDES}
    made = Installation.create(tmp_path / "headend", DECIDED).place_at(nowhere)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres_dump, "DEBIAN", tmp_path)
    assert "postgresql-client" in run("backup", made.folder, tmp_path / "copy", code=1)


def test_a_password_is_not_seen_among_the_arguments(tmp_path, monkeypatch):
    spy = tmp_path / "bin" / "pg_dump"
    spy.parent.mkdir()
    spy.write_text('#!/bin/sh\necho "$PGPASSWORD | $*" >&2; exit 1\n')
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", str(spy.parent), prepend=os.pathsep)
    with pytest.raises(postgres_dump.DumpError) as refused:
        postgres_dump.dump("postgresql://me:secret@host/name", tmp_path / "a.dump")
    password, _, arguments = str(refused.value).partition(" | ")
    assert password.endswith("secret")
    assert "secret" not in arguments
    assert not (tmp_path / "a.dump").exists()


# --- to one moment


DRAWN = datetime(2026, 10, 26, 4, 0, tzinfo=UTC)
"""When the week has closed."""


def count(headend):
    """What a week needs to be released, as if enough boxes had asked."""
    headend.publish(WEEK)
    names = [measure.name for measure in headend.installation.profile.measures]
    totals = BoxTotals(
        week=str(WEEK),
        boxes={"none": 800},
        accounts_drawn=500,
        accounts_asked=400,
        issued=dict.fromkeys(names, 400),
    )
    store, payload = headend.analytics.store, msgspec.json.encode(totals)
    store.accept_totals(WEEK, StoredTotals(payload, sha256(payload)))
    store.count([Contribution(WEEK, "genre", 1 + n % 5, 1, 0, n.to_bytes(32, "big")) for n in range(50)])


def test_a_server_restored_to_a_moment_reconciles_draws_nothing_again_and_boxes_carry_on(
    clusters, opened, tmp_path
):
    live, again = clusters
    clock = ClockSteerer(tmp_path / "clock", NOW)
    for side in SIDES:
        live.ask(f"CREATE DATABASE {side}")
    installation = Installation.create(
        tmp_path / "headend",
        replace(
            DECIDED,
            simulated=True,
            clock=str(tmp_path / "clock"),
        ),
    ).place_at({side: live.url(side) for side in SIDES})
    headend = opened(installation)
    boxes = settle(headend)
    count(headend)
    with Load(boxes):
        live.base_backup()
        wait_for_more(boxes)
        moment = live.ask("SELECT clock_timestamp()")
        wait_for_more(boxes)
    clock.set(DRAWN)
    drawn = headend.analytics.release(WEEK)
    assert drawn.state is WeekState.RELEASED
    live.archive_all()
    headend.close()
    live.stop()
    again.restore(live, moment)

    shutil.copytree(installation.folder, tmp_path / "again")
    found = Installation(tmp_path / "again").place_at({side: again.url(side) for side in SIDES})
    headend = opened(found)
    before = reconcile(headend.billing.store.read())
    assert before.closes
    assert recounted(headend.billing.store.read()) == []
    assert 0 < before.received < sum(box.seq for box in boxes)
    # 1. The week was drawn after the moment: its release is taken from the folder, and costs what it cost.
    assert headend.analytics.store.state(WEEK) is WeekState.OPEN
    assert headend.analytics.release(WEEK).release == drawn.release
    profile = headend.installation.profile
    assert sum(one.rho_micro for one in headend.analytics.store.spendings()) == profile.rho_micro
    # 2. Boxes send what they have kept, and nothing is billed twice or lost.
    assert sum(send_again(box, headend.billing.store) for box in boxes) > 0
    after = reconcile(headend.billing.store.read())
    assert (after.received, after.in_flight) == (sum(box.seq for box in boxes), 0)
    assert after.not_yet_due_cents == 499 * after.received
    assert after.closes
    assert recounted(headend.billing.store.read()) == []


def test_what_a_box_no_longer_has_is_a_gap_that_is_seen_and_raises_an_alarm(opened, tmp_path):
    installation = Installation.create(tmp_path / "headend", DECIDED)
    (tmp_path / "passphrase").write_text("correct horse")
    headend = opened(installation)
    (box, *_) = settle(headend)
    place(box)
    words = ("--passphrase-file", tmp_path / "passphrase")
    run("backup", installation.folder, tmp_path / "copy", *words)
    for _ in range(3):
        place(box)
    headend.close()
    again = opened(restored(tmp_path, tmp_path / "copy"))
    box.store = store = again.billing.store
    assert place(box) == 1
    assert (reconcile(store.read()).in_flight, reconcile(store.read()).boxes_with_gaps) == (4, 1)
    assert store.write(lambda tx: raise_gap_alarms(tx, NOW_MS + 2 * DAY)) == 1
    # The operator enrols the box anew: a new epoch, and it goes on.
    box.issued_ms = NOW_MS
    box.enrolled(renew=box.box)
    assert place(box) == 1
    assert reconcile(store.read()).in_flight == 4


def test_a_box_that_was_enrolled_anew_after_the_moment_gets_its_epoch_again_and_sends_it(opened, tmp_path):
    installation = Installation.create(tmp_path / "headend", DECIDED)
    (tmp_path / "passphrase").write_text("correct horse")
    headend = opened(installation)
    (box, *_) = settle(headend)
    run("backup", installation.folder, tmp_path / "copy", "--passphrase-file", tmp_path / "passphrase")
    box.enrolled(renew=box.box)
    place(box)
    headend.close()
    store = opened(restored(tmp_path, tmp_path / "copy")).billing.store
    with pytest.raises(UnknownEpochError):
        take(store, box.sent, NOW_MS)
    code = store.write(lambda tx: add_code(tx, "acc-0", box.box, NOW_MS, secrets.token_bytes))
    again = enrol(store, box.enrolment(code), NOW_MS, secrets.token_bytes)
    assert (again.box, again.epoch) == (box.box, 2)
    assert take(store, box.sent, NOW_MS).ack == 1

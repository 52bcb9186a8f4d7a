"""Billing as the composition root serves it: what a heartbeat leaves behind, what the console is offered."""

import pytest
from flask import Flask

from headend.app import open_headend
from headend.installation import Installation
from headend.kit.http import MalformedError
from shared.named import GENESIS, Acknowledgement, Heartbeat, encode, read
from tests.builders import NOW_MS, SETTINGS, SigningBox, account


@pytest.fixture
def billing(tmp_path):
    headend = open_headend(Installation.create(tmp_path / "stb", SETTINGS), ["billing"])
    yield headend.billing
    headend.close()


def test_a_heartbeat_tells_that_a_box_is_there_and_what_it_runs(billing):
    billing.store.write(lambda tx: tx.add_account(account()))
    box = SigningBox(billing.store).enrolled()
    beat = Heartbeat(box=box.box, epoch=1, last_seq=2, last_hash=GENESIS, sent_ms=NOW_MS, agent="box 1.6.0")
    app = Flask("test")
    app.register_blueprint(billing.side.blueprints[0])
    answer = app.test_client().post(
        "/billing/v1/heartbeat", data=box.sign(encode(beat)), content_type="application/json"
    )
    assert answer.status_code == 200
    look = billing.store.read()
    assert look.sighting(box.box).agent == "box 1.6.0"
    assert [gap.missing for gap in look.gaps()] == [2]


def test_the_console_is_offered_what_billing_has(billing):
    paths = [part.path for part in billing.side.pages]
    assert {"orders", "suspense", "exports", "reconciliation", "boxes"} <= set(paths)
    assert len(billing.side.deeds) == len({deed.path for deed in billing.side.deeds})
    assert {"proofs/order.json", "exports/batch"} <= {file.path for file in billing.side.downloads}


def test_what_comes_through_a_hatch_is_answered_each_by_itself(billing):
    billing.store.write(lambda tx: tx.add_account(account()))
    box = SigningBox(billing.store).enrolled()
    beat = Heartbeat(box=box.box, epoch=1, last_seq=0, last_hash=GENESIS, sent_ms=NOW_MS, agent="box 1.6.0")
    hatches = billing.side.hatches
    good, bad = hatches["/billing/v1/heartbeat"].answer([box.sign(encode(beat)), b"{}"])
    assert (good[0], read(good[2], Acknowledgement).ack) == (200, 0)
    assert bad[0] == 400
    first, none = hatches["/billing/v1/chain"].answer([b'{"envelopes":[%b]}' % box.order(), b"no submission"])
    assert (first[0], read(first[2], Acknowledgement).ack) == (200, 1)
    assert none[0] == 400
    assert billing.tally.snapshot() == {"malformed": 2}


@pytest.mark.parametrize(("agent", "status"), [("box 1.6.0", 200), ("box\0", 400)])
def test_a_heartbeat_with_a_zero_character_is_refused_as_malformed(billing, agent, status):
    billing.store.write(lambda tx: tx.add_account(account()))
    box = SigningBox(billing.store).enrolled()
    beat = Heartbeat(box=box.box, epoch=1, last_seq=0, last_hash=GENESIS, sent_ms=NOW_MS, agent=agent)
    app = Flask("test")
    app.register_blueprint(billing.side.blueprints[0])
    answer = app.test_client().post(
        "/billing/v1/heartbeat", data=box.sign(encode(beat)), content_type="application/json"
    )
    assert answer.status_code == status


def test_a_serial_with_a_zero_character_enrols_nothing(billing):
    billing.store.write(lambda tx: tx.add_account(account()))
    with pytest.raises(MalformedError):
        SigningBox(billing.store, serial="SN\0").enrolled()
    assert list(billing.store.read().boxes()) == []

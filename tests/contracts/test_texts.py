"""Texts that not every database keeps (U+0000, half of a surrogate pair), at every door, over both engines.

What is wrong with one message of a group stays with it: whoever was checked together with it gets an answer.
"""

from dataclasses import replace
from http import HTTPStatus

import pytest

from headend.app import create_app, open_headend
from headend.billing.rows import OrderState
from headend.console import passwords
from headend.console.store import Role
from headend.installation import Installation
from shared import dsse
from shared.named import GENESIS, Heartbeat, TokenAsk, encode
from tests import engines
from tests.builders import NOW_MS, SETTINGS, SigningBox, account
from tests.headend.console.conftest import PASSWORD, Visitor

CHAIN, BEAT = "/billing/v1/chain", "/billing/v1/heartbeat"
ODD = ("a%00b", "%ED%A0%80", "9" * 40)
"""A zero character, half of a surrogate pair, and a number beyond any column."""
ARGUMENTS = (
    ("account", "before", "until", "window", "month", "state", "kind", "reason", "seen", "display", "action"),
    ("number", "ref", "box", "batch", "week", "year", "series", "format", "name", "operator", "from", "text"),
    ("step", "why", "who", "cents", "price", "offer", "version", "whole", "scope", "received", "place", "do"),
)
"""What pages and forms take, no more at once than the console lets through."""
BOXES_OF_NOBODY = ("x\0", "\0", "bx" + "0" * 15 + "\0", "b" * 20_000, "", "bx0000000000000000\n")


@pytest.fixture(params=["sqlite", "postgresql"])
def headend(request, tmp_path, monkeypatch):
    monkeypatch.setattr(passwords, "METHOD", "scrypt:1024:8:1")
    passwords.decoy.cache_clear()
    databases = {}
    if request.param == "postgresql":
        fresh = request.getfixturevalue("fresh")
        databases = {side: fresh(side) for side in engines.SCHEMAS}
    headend = open_headend(Installation.create(tmp_path / "headend", replace(SETTINGS, databases=databases)))
    headend.billing.store.write(lambda tx: tx.add_account(account()))
    yield headend
    headend.close()
    passwords.decoy.cache_clear()


@pytest.fixture
def box(headend):
    return SigningBox(headend.billing.store).enrolled()


def submission(*envelopes):
    return b'{"envelopes":[%b]}' % b",".join(envelopes)


def beat_of(box):
    return Heartbeat(box=box.box, epoch=1, last_seq=0, last_hash=GENESIS, sent_ms=NOW_MS, agent="box 1.6.0")


@pytest.mark.parametrize("keyid", BOXES_OF_NOBODY, ids=lambda one: repr(one[:20]))
def test_a_key_id_that_is_no_boxs_id_is_an_unknown_box_and_holds_up_nobody(headend, box, keyid):
    hatches = headend.billing.side.hatches
    stranger = SigningBox(headend.billing.store, box=keyid)
    forged = dsse.sign(b"{}", dsse.PayloadType.NAMED, stranger.key, keyid)
    groups = {
        CHAIN: (submission(box.order()), submission(forged)),
        BEAT: (box.sign(encode(beat_of(box))), forged),
    }
    for path, (good, bad) in groups.items():
        for group, wanted in (((good, bad, good), [200, 403, 200]), ((bad,), [403])):
            answers = hatches[path].answer(list(group))
            assert [status for status, _, _ in answers] == wanted
            assert b"unknown-box" in answers[wanted.index(403)][2]
    app = create_app(headend).test_client()
    for path, body in ((CHAIN, submission(forged)), (BEAT, forged), ("/billing/v1/tokens", forged)):
        answer = app.post(path, data=body, content_type="application/json")
        assert (answer.status_code, b"unknown-box" in answer.data) == (403, True)


@pytest.mark.parametrize("field", ["offer", "promotion"])
def test_an_authentic_order_with_a_zero_character_is_acknowledged_and_waits_on_every_engine(
    headend, box, field
):
    odd = box.order(**{"promotion": "autumn", "promotion_version": 1, field: "film\0one"})
    ((status, _, _),) = headend.billing.side.hatches[CHAIN].answer([submission(odd, box.order())])
    assert status is HTTPStatus.OK
    assert [(box.stored(seq).state, box.stored(seq).reason) for seq in (1, 2)] == [
        (OrderState.SUSPENDED, "unreadable"),
        (OrderState.SUSPENDED, "unknown-offer"),
    ]
    assert headend.billing.reconciliation().closes


def test_what_goes_wrong_with_one_heartbeat_is_that_heartbeats_outcome_only(headend, box, monkeypatch):
    other = SigningBox(headend.billing.store, serial="SN-2").enrolled()
    transaction = type(headend.billing.store.write(lambda tx: tx))
    hear = transaction.hear

    def breaks(tx, name, agent, now_ms):
        if name == other.box:
            raise RuntimeError("a fault of ours")
        hear(tx, name, agent, now_ms)

    monkeypatch.setattr(transaction, "hear", breaks)
    beats = [one.sign(encode(beat_of(one))) for one in (box, other, box)]
    answers = headend.billing.side.hatches[BEAT].answer(beats)
    assert [status for status, _, _ in answers] == [200, 503, 200]
    assert headend.billing.store.read().sighting(box.box).agent == "box 1.6.0"


def test_a_token_request_for_an_odd_week_or_measure_is_refused(headend, box):
    app = create_app(headend).test_client()
    for week, measure in (("2026-W41", "genre\0"), ("٢٠٢٦-W41", "genre"), ("2026-W41", "é")):
        ask = TokenAsk(box=box.box, week=week, requests=[{"measure": measure, "request": "AAAA"}])
        answer = app.post("/billing/v1/tokens", data=box.sign(encode(ask)), content_type="application/json")
        assert 400 <= answer.status_code < 500


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_text_in_an_address_or_an_argument_breaks_no_page(headend, odd):
    app, wrong = create_app(headend), {}
    for path in ("/billing/v1/directory/", "/analytics/directory/", "/billing/export/v1/batches/1/"):
        assert 400 <= app.test_client().get(path + odd).status_code < 500
    queries = [f"{odd}=1", *("&".join(f"{name}={odd}" for name in names) for names in ARGUMENTS)]
    for role in Role:
        headend.console.operators.add_operator(role.value, role.value, PASSWORD, must_change=False)
        visitor = Visitor(app.test_client())
        assert visitor.sign_in(role.value).status_code == 303
        for method, path in offered(headend, role):
            for query in queries:
                answer = asked(visitor, method, path, query)
                if answer.status_code >= 500:
                    wrong[f"{method} {path} {query}"] = answer.status_code
    assert wrong == {}


def offered(headend, role):
    """Methods and paths of all that a role may open or do."""
    for side in headend.sides():
        gets = [("GET", one) for one in (*side.pages, *side.downloads)]
        posts = [("POST", one) for one in side.deeds]
        yield from ((method, one.path) for method, one in gets + posts if role.value in one.roles)


def asked(visitor, method, path, query):
    if method == "GET":
        return visitor.get(f"/{path}?{query}")
    token = visitor.get("/password").text.split('name="csrf" value="')[1].split('"')[0]
    kind = "application/x-www-form-urlencoded"
    return visitor.client.post(f"/console/{path}", data=f"csrf={token}&{query}", content_type=kind)

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared import named
from shared.named import (
    GENESIS,
    MAX_ENVELOPES,
    AccountId,
    BoxId,
    Catalogue,
    Delivery,
    Enrol,
    Evidence,
    Heartbeat,
    MeasureRequest,
    Offer,
    Order,
    Promotion,
    Submission,
    TokenAsk,
    UnreadableMessageError,
    encode,
    payload_hash,
    read,
    read_chained,
    read_head,
    title_hash,
)

EVIDENCE = Evidence(pin_verified=True, consent_immediate_supply=True, confirmation_shown=True)
PLACE = {"box": BoxId("bx01"), "epoch": 1, "seq": 7, "prev": GENESIS}
ORDER = Order(
    **PLACE,
    offer="film-1",
    offer_version=2,
    price_cents=499,
    currency="EUR",
    vat_bp=2100,
    placed_ms=1_791_000_000_000,
    salt="0" * 32,
    evidence=EVIDENCE,
)
DELIVERY = Delivery(**PLACE, order_seq=6, outcome="failed", at_ms=1_791_000_000_000)
BEAT = Heartbeat(box="bx01", epoch=1, last_seq=7, last_hash=GENESIS, sent_ms=0, agent="box-agent/1")
ENROL = Enrol(code="A" * 20, serial="SN-1", public_key="A" * 43 + "=")
ASK = TokenAsk(box="bx01", week="2026-W41", requests=[MeasureRequest("genre", "AAAA")])
OFFER = Offer(
    offer="film-1",
    version=1,
    kind="film",
    mode="rent",
    title="A Film",
    genre="film-comedy",
    price_cents=499,
    currency="EUR",
    vat_bp=2100,
    window_hours=48,
    display="class",
    valid_from_ms=0,
)
PROMOTION = Promotion(
    promotion="welcome",
    version=3,
    category="welcome",
    kinds=["film"],
    credit_cents=200,
    currency="EUR",
    per_account=1,
    valid_from_ms=0,
    valid_to_ms=1,
)
CATALOGUE = Catalogue(version=1, issued_ms=0, offers=[OFFER])
NEW_CATALOGUE = Catalogue(
    version=2, issued_ms=0, offers=[replace(OFFER, preview_minutes=5)], promotions=[PROMOTION]
)
REDUCED = replace(ORDER, promotion="welcome", promotion_version=3, credit_cents=200)
STOPPED = replace(DELIVERY, outcome="stopped")
MESSAGES = {
    "order": ORDER,
    "reduced order": REDUCED,
    "delivery": DELIVERY,
    "stopped": STOPPED,
    "heartbeat": BEAT,
    "enrol": ENROL,
    "token ask": ASK,
    "catalogue": CATALOGUE,
    "catalogue with promotions": NEW_CATALOGUE,
}
OLD_FIELDS = {
    "order": ["offer", "offer_version", "price_cents", "currency", "vat_bp", "placed_ms", "salt", "evidence"],
    "delivery": ["order_seq", "outcome", "at_ms"],
}
"""What messages of version 1 have besides their place in the chain."""


def changed(message, **fields):
    return json.dumps({**json.loads(encode(message)), **fields}).encode()


def without(message, name):
    plain = json.loads(encode(message))
    del plain[name]
    return json.dumps(plain).encode()


each = pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)


@each
def test_a_message_survives_its_bytes(message):
    assert read(encode(message), type(message)) == message


@each
def test_a_message_is_written_without_white_space_its_type_first(message):
    raw = encode(message)
    assert b" " not in raw.replace(b"A Film", b"")
    if not isinstance(message, Catalogue):
        assert raw.startswith(b'{"type":"')


@each
def test_an_unknown_field_is_refused(message):
    with pytest.raises(UnreadableMessageError):
        read(changed(message, advertiser="x"), type(message))


@each
def test_a_missing_field_is_refused(message):
    for field in msgspec.structs.fields(message):
        if field.required:
            with pytest.raises(UnreadableMessageError):
                read(without(message, field.encode_name), type(message))


@each
def test_what_is_no_json_is_refused(message):
    for raw in (b"", b"\xff", b"[" * 100_000, encode(message)[:-1]):
        with pytest.raises(UnreadableMessageError):
            read(raw, type(message))


@pytest.mark.parametrize(
    "fields",
    [
        {"box": ""},
        {"box": "x" * 65},
        {"epoch": 0},
        {"seq": 0},
        {"seq": 1.5},
        {"seq": 2**60},
        {"prev": "0" * 63},
        {"prev": "G" * 64},
        {"price_cents": -1},
        {"price_cents": 4.99},
        {"price_cents": "499"},
        {"price_cents": 10_000_001},
        {"currency": "eur"},
        {"currency": "EUR\n"},
        {"vat_bp": 10_001},
        {"placed_ms": -1},
        {"placed_ms": 10**18},
        {"salt": "00"},
        {"evidence": {"pin_verified": True}},
        {"evidence": None},
        {"type": "invoice"},
        {"v": 3},
        {"v": 0},
        {"credit_cents": -1},
        {"promotion": ""},
        {"promotion": "welcome"},
        {"promotion_version": 1},
    ],
    ids=str,
)
def test_an_order_out_of_bounds_is_unreadable(fields):
    with pytest.raises(UnreadableMessageError):
        read_chained(changed(ORDER, **fields))


def of_version_1(message):
    plain = json.loads(encode(message))
    kept = ["type", "box", "epoch", "seq", "prev", *OLD_FIELDS[plain["type"]]]
    return json.dumps({name: plain[name] for name in kept} | {"v": 1}).encode()


@pytest.mark.parametrize("message", [ORDER, DELIVERY], ids=lambda message: type(message).__name__)
def test_the_version_before_is_read_as_it_was_written(message):
    assert read_chained(of_version_1(message)) == replace(message, v=1)


@pytest.mark.parametrize("message", [REDUCED, STOPPED], ids=lambda message: type(message).__name__)
def test_a_message_of_version_1_cannot_say_what_version_2_brought(message):
    assert read_chained(encode(message)) == message
    with pytest.raises(UnreadableMessageError):
        read_chained(changed(message, v=1))


@pytest.mark.parametrize("version", [-1, 0, 3, 99])
@pytest.mark.parametrize("message", [BEAT, ENROL, ASK], ids=lambda message: type(message).__name__)
def test_other_versions_are_not_spoken(message, version):
    assert read(changed(message, v=1), type(message)) == replace(message, v=1)
    with pytest.raises(UnreadableMessageError):
        read(changed(message, v=version), type(message))


def test_a_catalogue_without_promotions_and_previews_says_nothing_that_version_1_does_not_know():
    plain = json.loads(encode(CATALOGUE))
    assert set(plain) == {"version", "issued_ms", "offers"}
    assert "preview_minutes" not in plain["offers"][0]
    assert set(json.loads(encode(NEW_CATALOGUE))) == {"version", "issued_ms", "offers", "promotions"}


@pytest.mark.parametrize(
    "fields",
    [
        {"category": "gift"},
        {"kinds": []},
        {"kinds": ["series"]},
        {"credit_cents": 0},
        {"per_account": 0},
        {"valid_to_ms": None},
    ],
    ids=str,
)
def test_a_promotion_out_of_bounds_is_refused(fields):
    with pytest.raises(UnreadableMessageError):
        read(changed(PROMOTION, **fields), Promotion)


def test_a_promotion_takes_off_its_credit_or_the_whole_price():
    assert (PROMOTION.takes_off(499), PROMOTION.takes_off(200), PROMOTION.takes_off(150)) == (200, 200, 150)


@pytest.mark.parametrize("fields", [{"outcome": "perhaps"}, {"order_seq": 0}, {"at_ms": None}], ids=str)
def test_a_delivery_out_of_bounds_is_unreadable(fields):
    with pytest.raises(UnreadableMessageError):
        read_chained(changed(DELIVERY, **fields))


def test_a_chained_message_says_which_it_is():
    assert read_chained(encode(ORDER)) == ORDER
    assert read_chained(encode(DELIVERY)) == DELIVERY
    with pytest.raises(UnreadableMessageError):
        read_chained(encode(BEAT))


def test_the_place_in_the_chain_is_read_whatever_else_is_said():
    head = read_head(changed(ORDER, v=9, type="gift", price_cents="free", gift={"to": [1, 2]}))
    assert (head.v, head.type) == (9, "gift")
    assert (head.box, head.epoch, head.seq, head.prev) == ("bx01", 1, 7, GENESIS)


@pytest.mark.parametrize(
    "fields", [{"box": ""}, {"epoch": "1"}, {"seq": 0}, {"seq": None}, {"prev": ""}, {"v": "one"}], ids=str
)
def test_a_message_without_a_place_has_no_head(fields):
    with pytest.raises(UnreadableMessageError):
        read_head(changed(ORDER, **fields))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_no_value_of_an_unknown_field_hides_the_place(value):
    assert read_head(changed(ORDER, unknown=value)).seq == 7


def test_a_submission_keeps_envelopes_byte_for_byte():
    raw = b'{"envelopes":[{"b":1,  "a":2},{"c" :3}]}'
    assert [bytes(one) for one in read(raw, Submission).envelopes] == [b'{"b":1,  "a":2}', b'{"c" :3}']


@pytest.mark.parametrize("count", [0, MAX_ENVELOPES + 1])
def test_a_submission_is_neither_empty_nor_boundless(count):
    with pytest.raises(UnreadableMessageError):
        read(b'{"envelopes":[' + b",".join([b"{}"] * count) + b"]}", Submission)


@pytest.mark.parametrize("fields", [{"week": "2026-41"}, {"week": "W41"}, {"requests": []}], ids=str)
def test_an_asking_for_no_week_or_nothing_is_refused(fields):
    with pytest.raises(UnreadableMessageError):
        read(changed(ASK, **fields), TokenAsk)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_the_next_prev_changes_with_any_byte(one, other):
    assert (payload_hash(one) == payload_hash(other)) == (one == other)


def test_the_title_hash_hides_the_offer_behind_its_salt():
    assert title_hash("00" * 16, "film-1") != title_hash("01" * 16, "film-1")
    assert title_hash("00" * 16, "film-1") != title_hash("00" * 16, "film-2")


def test_ids_are_kept_apart_by_type_and_cost_nothing():
    assert AccountId("a") == "a"
    assert named.PROTOCOL_VERSION == 2

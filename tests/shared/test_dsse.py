import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from shared import dsse
from shared.dsse import PayloadType

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
PUBLIC = KEY.public_key()


def envelope(payload: bytes = b'{"a":1}') -> bytes:
    return dsse.sign(payload, PayloadType.NAMED, KEY, dsse.key_id(PUBLIC))


def respell(**changes: object) -> bytes:
    parsed = json.loads(envelope())
    return json.dumps(parsed | changes, separators=(",", ":")).encode()


def test_the_encoding_that_is_signed_is_the_example_of_the_standard() -> None:
    assert (
        dsse.pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.binary(max_size=300), st.sampled_from(PayloadType))
def test_what_was_signed_comes_back(payload: bytes, kind: PayloadType) -> None:
    signed = dsse.sign(payload, kind, KEY, "k")
    assert dsse.verify(signed, kind, PUBLIC) == payload
    assert signed == dsse.sign(payload, kind, KEY, "k")


def test_an_envelope_is_compact_and_in_declared_order() -> None:
    assert json.dumps(json.loads(envelope()), separators=(",", ":")).encode() == envelope()
    assert envelope().startswith(
        b'{"payload":"eyJhIjoxfQ==","payloadType":"application/vnd.stb-telemetry.named+json"'
    )


def test_hint_and_type_can_be_looked_at_before_the_key_is_known() -> None:
    looked = dsse.read(envelope())
    assert (looked.keyid, looked.payload_type) == (dsse.key_id(PUBLIC), PayloadType.NAMED)


def test_another_key_is_refused() -> None:
    with pytest.raises(dsse.BadSignatureError):
        dsse.verify(envelope(), PayloadType.NAMED, OTHER.public_key())


def test_an_envelope_of_one_type_is_never_taken_for_another() -> None:
    for kind in PayloadType:
        if kind is not PayloadType.NAMED:
            with pytest.raises(dsse.WrongPayloadTypeError):
                dsse.verify(envelope(), kind, PUBLIC)


def test_a_relabelled_envelope_is_refused() -> None:
    with pytest.raises(dsse.BadSignatureError):
        dsse.verify(respell(payloadType=str(PayloadType.EXPORT)), PayloadType.EXPORT, PUBLIC)


def test_a_changed_payload_is_refused() -> None:
    with pytest.raises(dsse.BadSignatureError):
        dsse.verify(respell(payload="eyJhIjoyfQ=="), PayloadType.NAMED, PUBLIC)


def test_no_changed_byte_outside_the_hint_gets_through() -> None:
    good = envelope()
    hint = good.index(dsse.key_id(PUBLIC).encode())
    for at in (at for at in range(len(good)) if not hint <= at < hint + 16):
        with pytest.raises(dsse.DsseError):
            dsse.verify(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :], PayloadType.NAMED, PUBLIC)


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"[" * 5000,
        envelope() + b" ",
        envelope().replace(b":", b": ", 1),
        envelope().replace(b'{"payload":', b'{"payload":"eA==","payload":', 1),
        envelope().replace(b"application/vnd", b"application\\/vnd", 1),
        envelope().replace(b"fQ==", b"fR==", 1),  # the same bytes in another spelling
        envelope().replace(b"fQ==", b"fQ", 1),
        envelope().replace(b"fQ==", b"fQ=\\n=", 1),
        respell(signatures=[]),
        respell(signatures=json.loads(envelope())["signatures"] * 2),
        respell(signatures=[{"keyid": "k", "sig": "AAAA"}]),
        respell(more=1),
        respell(payload=None),
        respell(payload="ü"),
    ],
)
def test_what_is_no_envelope_of_this_profile_is_refused(bad: bytes) -> None:
    with pytest.raises(dsse.MalformedEnvelopeError):
        dsse.read(bad)
    with pytest.raises(dsse.MalformedEnvelopeError):
        dsse.verify(bad, PayloadType.NAMED, PUBLIC)


def test_an_envelope_over_the_limit_is_refused_and_at_the_limit_is_not() -> None:
    good = envelope()
    assert dsse.verify(good, PayloadType.NAMED, PUBLIC, limit=len(good))
    with pytest.raises(dsse.MalformedEnvelopeError):
        dsse.verify(good, PayloadType.NAMED, PUBLIC, limit=len(good) - 1)
    with pytest.raises(dsse.MalformedEnvelopeError):
        dsse.read(envelope(bytes(dsse.DEFAULT_LIMIT)))


def test_a_public_key_survives_text() -> None:
    text = dsse.public_to_text(PUBLIC)
    assert dsse.public_from_text(text) == PUBLIC
    assert len(text) == 44


@pytest.mark.parametrize("text", ["", "AAAA", "not base64", dsse.public_to_text(PUBLIC)[:-1] + "!"])
def test_text_that_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(dsse.BadPublicKeyError):
        dsse.public_from_text(text)


def test_a_key_id_is_sixteen_hex_digits_and_differs_between_keys() -> None:
    assert dsse.key_id(PUBLIC) == "56475aa75463474c"
    assert dsse.key_id(PUBLIC) != dsse.key_id(OTHER.public_key())

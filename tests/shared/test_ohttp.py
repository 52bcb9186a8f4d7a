import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from shared import bhttp, ohttp
from shared.ohttp import Gateway, KeyConfig

VECTOR = json.loads((Path(__file__).parent.parent / "vectors" / "rfc9458_appendix_a.json").read_text())
KEY = X25519PrivateKey.from_private_bytes(bytes.fromhex(VECTOR["gateway_private_key"]))
GATEWAY = Gateway(KEY, 1)
NONCE = bytes(range(16))


def vector(name: str) -> bytes:
    return bytes.fromhex(VECTOR[name])


def changed(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]


def test_the_example_of_the_standard_comes_out_byte_for_byte() -> None:
    config = KeyConfig.decode(vector("key_config"))
    request = vector("binary_http_request")
    sealed, client = ohttp.encapsulate_request(
        config, request, lambda _: vector("client_ephemeral_private_key")
    )
    assert sealed == vector("encapsulated_request")
    opened, server = GATEWAY.open_request(sealed)
    assert opened == request
    assert bhttp.decode_request(opened) == bhttp.Request("GET", "https", "example.com", "/")
    answer = server.seal_response(vector("binary_http_response"), vector("response_nonce"))
    assert answer == vector("encapsulated_response")
    assert client.open_response(answer) == vector("binary_http_response")
    assert bhttp.decode_response(client.open_response(answer)) == bhttp.Response(200)


def test_the_key_configuration_of_the_standard_survives() -> None:
    config = KeyConfig.decode(vector("key_config"))
    assert config == KeyConfig(1, KEY.public_key().public_bytes_raw(), ((1, 1), (1, 3)))
    assert config.encode() == vector("key_config")


@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 255))
def test_question_and_answer_pass_and_grow_by_a_fixed_size(
    question: bytes, answer: bytes, key_id: int
) -> None:
    gateway = Gateway(X25519PrivateKey.generate(), key_id)
    sealed, client = ohttp.encapsulate_request(KeyConfig.decode(gateway.config.encode()), question)
    opened, server = gateway.open_request(sealed)
    response = server.seal_response(answer, NONCE)
    assert (opened, client.open_response(response)) == (question, answer)
    assert len(sealed) == len(question) + ohttp.REQUEST_OVERHEAD == len(question) + 55
    assert len(response) == len(answer) + ohttp.RESPONSE_OVERHEAD == len(answer) + 32


def test_a_retry_sealed_afresh_shares_neither_share_nor_ciphertext() -> None:
    first, _ = ohttp.encapsulate_request(GATEWAY.config, b"same")
    second, _ = ohttp.encapsulate_request(GATEWAY.config, b"same")
    assert first[7:39] != second[7:39]
    assert first[39:] != second[39:]


def test_a_changed_byte_in_any_part_of_a_request_is_refused() -> None:
    sealed, _ = ohttp.encapsulate_request(GATEWAY.config, b"question")
    expected = {0: ohttp.WrongKeyError} | dict.fromkeys(range(1, 7), ohttp.WrongSuiteError)
    for at in range(len(sealed)):
        with pytest.raises(expected.get(at, ohttp.SealError)):
            GATEWAY.open_request(changed(sealed, at))


def test_a_request_for_another_key_of_the_same_id_is_refused() -> None:
    other = Gateway(X25519PrivateKey.generate(), 1)
    sealed, _ = ohttp.encapsulate_request(other.config, b"question")
    with pytest.raises(ohttp.SealError):
        GATEWAY.open_request(sealed)


def test_a_request_with_a_share_of_low_order_is_refused() -> None:
    sealed, _ = ohttp.encapsulate_request(GATEWAY.config, b"question")
    with pytest.raises(ohttp.SealError):
        GATEWAY.open_request(sealed[:7] + bytes(32) + sealed[39:])


def test_a_gateway_key_of_low_order_is_refused_by_the_client() -> None:
    with pytest.raises(ohttp.SealError):
        ohttp.encapsulate_request(KeyConfig(1, bytes(32)), b"question")


@pytest.mark.parametrize("length", [0, 1, 7, 39, 54])
def test_a_request_that_is_too_short_is_refused(length: int) -> None:
    sealed, _ = ohttp.encapsulate_request(GATEWAY.config, b"")
    with pytest.raises(ohttp.TruncatedError):
        GATEWAY.open_request(sealed[:length])


def test_a_changed_byte_in_any_part_of_an_answer_is_refused() -> None:
    sealed, client = ohttp.encapsulate_request(GATEWAY.config, b"question")
    answer = GATEWAY.open_request(sealed)[1].seal_response(b"answer", NONCE)
    for at in range(len(answer)):
        with pytest.raises(ohttp.SealError):
            client.open_response(changed(answer, at))
    for length in (0, 16, 31):
        with pytest.raises(ohttp.TruncatedError):
            client.open_response(answer[:length])
    with pytest.raises(ohttp.SealError):
        client.open_response(answer[:-1])
    assert client.open_response(answer) == b"answer"


def test_an_answer_to_another_request_is_refused() -> None:
    first, _ = ohttp.encapsulate_request(GATEWAY.config, b"question")
    _, second_client = ohttp.encapsulate_request(GATEWAY.config, b"question")
    answer = GATEWAY.open_request(first)[1].seal_response(b"answer", NONCE)
    with pytest.raises(ohttp.SealError):
        second_client.open_response(answer)


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_response_nonce_of_another_length_is_refused(length: int) -> None:
    sealed, _ = ohttp.encapsulate_request(GATEWAY.config, b"question")
    _, server = GATEWAY.open_request(sealed)
    with pytest.raises(ohttp.TruncatedError):
        server.seal_response(b"answer", bytes(length))


def test_a_key_configuration_of_any_other_length_is_refused() -> None:
    encoded = GATEWAY.config.encode()
    assert len(encoded) == 41
    for bad in [*(encoded[:end] for end in range(41)), encoded + b"\x00", encoded + bytes(4)]:
        with pytest.raises(ohttp.TruncatedError):
            KeyConfig.decode(bad)
    with pytest.raises(ohttp.TruncatedError):
        KeyConfig.decode(encoded[:35] + b"\x00\x05" + encoded[37:] + b"\x00")


def test_a_key_configuration_of_another_suite_is_refused() -> None:
    encoded = GATEWAY.config.encode()
    with pytest.raises(ohttp.WrongSuiteError):
        KeyConfig.decode(changed(encoded, 2))
    with pytest.raises(ohttp.WrongSuiteError):
        KeyConfig.decode(changed(encoded, 40))
    with pytest.raises(ohttp.WrongSuiteError):
        KeyConfig(1, bytes(32), ())


@pytest.mark.parametrize(("key_id", "size"), [(-1, 32), (256, 32), (0, 31), (0, 33)])
def test_a_key_configuration_that_cannot_be_written_is_refused(key_id: int, size: int) -> None:
    with pytest.raises(ohttp.TruncatedError):
        KeyConfig(key_id, bytes(size))


def test_a_list_of_configurations_survives_and_others_are_passed_over() -> None:
    ours = (GATEWAY.config, KeyConfig(2, bytes(range(32)), ((1, 3), (1, 1))))
    foreign = b"\x00\x05" + b"\x09\x00\x10ab"
    encoded = ohttp.encode_configs(ours)
    assert encoded[:2] == b"\x00\x29"
    assert ohttp.decode_configs(foreign + encoded) == ours
    with pytest.raises(ohttp.WrongSuiteError):
        ohttp.decode_configs(foreign)
    with pytest.raises(ohttp.WrongSuiteError):
        ohttp.decode_configs(b"")


def test_a_list_that_is_cut_short_is_refused() -> None:
    with pytest.raises(ohttp.TruncatedError):
        ohttp.decode_configs(ohttp.encode_configs((GATEWAY.config,)) + b"\x00\x06" + b"\x09\x00\x10ab")
    encoded = ohttp.encode_configs((GATEWAY.config,))
    for end in range(1, len(encoded)):
        with pytest.raises(ohttp.TruncatedError):
            ohttp.decode_configs(encoded[:end])

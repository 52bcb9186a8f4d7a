import json
import os
from pathlib import Path
from typing import Any

import gmpy2
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from headend.billing.signer import BlindedMessageError, RsaSigner, Signer, SigningFaultError
from shared import tokens

VECTORS = Path(__file__).parent.parent.parent / "vectors"
RFC9474 = json.loads((VECTORS / "test_vectors_rfc9474.json").read_text())
RFC9578 = [
    pytest.param({name: bytes.fromhex(text) for name, text in vector.items()}, id=f"{language}-{number}")
    for language in ("go", "rust")
    for number, vector in enumerate(json.loads((VECTORS / f"pub_verif_rfc9578.{language}.json").read_text()))
]
SIGNER = RsaSigner.generate()


def rfc9474_key(vector: dict[str, Any]) -> rsa.RSAPrivateKey:
    p, q, n, e, d = (int(vector[name], 16) for name in ("p", "q", "n", "e", "d"))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, n)
    )
    return numbers.private_key()


def pem(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize("vector", RFC9578)
def test_the_vectors_of_rfc_9578_are_signed_byte_for_byte(vector: dict[str, bytes]) -> None:
    signer = RsaSigner.from_pem(vector["skS"])
    assert signer.public_spki == vector["pkS"]
    request = tokens.TokenRequest.decode(vector["token_request"])
    assert request.truncated_key_id == tokens.truncated_key_id(tokens.token_key_id(signer.public_spki))
    assert signer.blind_sign(request.blinded) == vector["token_response"]


@pytest.mark.parametrize("vector", RFC9474, ids=lambda vector: vector["name"])
def test_the_vectors_of_rfc_9474_are_signed_byte_for_byte(vector: dict[str, Any]) -> None:
    signer = RsaSigner(rfc9474_key(vector))
    assert signer.blind_sign(bytes.fromhex(vector["blinded_msg"])).hex() == vector["blind_sig"]


def test_a_signer_issues_a_token_without_seeing_it() -> None:
    signer: Signer = SIGNER
    spki = signer.public_spki
    waiting = tokens.blind(tokens.prepare(bytes(32), spki, os.urandom(32)), spki)
    token = tokens.finalize(waiting, spki, signer.blind_sign(waiting.request[3:]))
    tokens.verify_token(token, tokens.read_token_key(spki))
    assert token.nonce not in waiting.request


def test_the_same_message_gets_the_same_answer_whatever_the_second_blinding() -> None:
    assert len({SIGNER.blind_sign(bytes(255) + b"\x02") for _ in range(4)}) == 1


@pytest.mark.parametrize("length", [0, 255, 257])
def test_a_blinded_message_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(tokens.WrongLengthError):
        SIGNER.blind_sign(bytes(length))


def test_a_blinded_message_not_smaller_than_the_modulus_is_refused() -> None:
    modulus = tokens.read_token_key(SIGNER.public_spki).public_numbers().n
    for message in (modulus, modulus + 1, (1 << 2048) - 1):
        with pytest.raises(BlindedMessageError):
            SIGNER.blind_sign(message.to_bytes(256, "big"))
    assert SIGNER.blind_sign((modulus - 1).to_bytes(256, "big")) == (modulus - 1).to_bytes(256, "big")


@pytest.mark.parametrize("part", ["_dp", "_dq", "_q_inverse"])
def test_a_fault_in_the_power_is_withheld(part: str) -> None:
    faulty = RsaSigner.from_pem(SIGNER.to_pem())
    setattr(faulty, part, getattr(faulty, part) + gmpy2.mpz(2))
    with pytest.raises(SigningFaultError):
        faulty.blind_sign(bytes(255) + b"\x02")


def test_the_message_is_blinded_once_more_before_the_power(monkeypatch: pytest.MonkeyPatch) -> None:
    bases: list[int] = []
    power = RsaSigner._power
    monkeypatch.setattr(RsaSigner, "_power", lambda self, base: bases.append(int(base)) or power(self, base))
    for _ in range(2):
        SIGNER.blind_sign(bytes(255) + b"\x02")
    assert len({*bases, 2}) == 3


def test_a_key_survives_its_file() -> None:
    again = RsaSigner.from_pem(SIGNER.to_pem())
    assert again.public_spki == SIGNER.public_spki
    assert again.blind_sign(bytes(256)) == SIGNER.blind_sign(bytes(256))


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"-----BEGIN PRIVATE KEY-----\n",
        SIGNER.to_pem()[:-200],
        pem(ed25519.Ed25519PrivateKey.generate()),
        pem(rsa.generate_private_key(65_537, 3072)),
        pem(rsa.generate_private_key(3, 2048)),
        pem(rsa.generate_private_key(65_537, 2048), b"secret"),
    ],
)
def test_a_file_that_is_no_token_key_is_refused(bad: bytes) -> None:
    with pytest.raises(tokens.BadTokenKeyError):
        RsaSigner.from_pem(bad)

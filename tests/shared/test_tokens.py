import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import tokens
from shared.tokens import PendingToken, Token, TokenChallenge, TokenRequest

VECTORS = Path(__file__).parent.parent / "vectors"
RFC9474 = json.loads((VECTORS / "test_vectors_rfc9474.json").read_text())
RFC9578 = [
    pytest.param({name: bytes.fromhex(text) for name, text in vector.items()}, id=f"{language}-{number}")
    for language in ("go", "rust")
    for number, vector in enumerate(json.loads((VECTORS / f"pub_verif_rfc9578.{language}.json").read_text()))
]
KEY = rsa.generate_private_key(65_537, 2048)
SPKI = tokens.token_key_spki(KEY.public_key())
OTHER_SPKI = tokens.token_key_spki(rsa.generate_private_key(65_537, 2048).public_key())
DIGEST = TokenChallenge("issuer.example", bytes(32), "origin.example").digest()
GENUINE = RFC9578[0].values[0]


def raw_sign(blinded: bytes, key: rsa.RSAPrivateKey = KEY) -> bytes:
    numbers = key.private_numbers()
    signed = pow(int.from_bytes(blinded, "big"), numbers.d, numbers.public_numbers.n)
    return signed.to_bytes(256, "big")


def pending() -> PendingToken:
    return tokens.blind(tokens.prepare(DIGEST, SPKI, bytes(range(32))), SPKI)


def genuine() -> tuple[Token, bytes]:
    return Token.decode(GENUINE["token"]), GENUINE["pkS"]


def changed(raw: bytes, at: int, bit: int = 1) -> bytes:
    return raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]


def source(*drawn: bytes) -> Callable[[int], bytes]:
    """A source of randomness that gives what it was told to, and only in the lengths asked for."""
    waiting = list(drawn)

    def random_bytes(count: int) -> bytes:
        given_bytes = waiting.pop(0)
        assert len(given_bytes) == count
        return given_bytes

    return random_bytes


def challenge_of(encoded: bytes) -> TokenChallenge:
    issuer_end = 4 + int.from_bytes(encoded[2:4], "big")
    context_end = issuer_end + 1 + encoded[issuer_end]
    origin = encoded[context_end + 2 :]
    return TokenChallenge(
        encoded[4:issuer_end].decode(), encoded[issuer_end + 1 : context_end], origin.decode()
    )


@pytest.mark.parametrize("vector", RFC9578)
def test_the_vectors_of_rfc_9578_come_out_byte_for_byte(vector: dict[str, bytes]) -> None:
    challenge = challenge_of(vector["token_challenge"])
    assert challenge.encode() == vector["token_challenge"]
    token_input = tokens.prepare(challenge.digest(), vector["pkS"], vector["nonce"])
    waiting = tokens.blind(token_input, vector["pkS"], source(vector["salt"], vector["blind"]))
    assert waiting.request == vector["token_request"]
    assert TokenRequest.decode(waiting.request).encode() == vector["token_request"]
    token = tokens.finalize(waiting, vector["pkS"], vector["token_response"])
    assert token.encode() == vector["token"]
    assert Token.decode(vector["token"]) == token
    assert (waiting.nonce, waiting.key_id) == (vector["nonce"], tokens.token_key_id(vector["pkS"]))
    tokens.verify_token(token, tokens.read_token_key(vector["pkS"]))


@pytest.mark.parametrize("vector", RFC9474, ids=lambda vector: vector["name"])
def test_the_vectors_of_rfc_9474_come_out_in_all_four_variants(vector: dict[str, Any]) -> None:
    n = int(vector["n"], 16)
    numbers = RSAPublicNumbers(int(vector["e"], 16), n)
    factor = pow(int(vector["inv"], 16), -1, n)
    message, salt = bytes.fromhex(vector["input_msg"]), bytes.fromhex(vector["salt"])
    assert message.hex() == vector["msg_prefix"] + vector["msg"]
    if "encoded_msg" in vector:
        assert tokens._pss_encode(message, n.bit_length() - 1, salt).hex() == vector["encoded_msg"]
    blinded, inverse = tokens.blind_message(numbers, message, salt, factor)
    assert blinded.hex() == vector["blinded_msg"]
    assert inverse == int(vector["inv"], 16)
    unblinded = tokens.unblind_signature(numbers, bytes.fromhex(vector["blind_sig"]), inverse)
    assert unblinded.hex() == vector["sig"]


@settings(max_examples=20)
@given(nonce=st.binary(min_size=32, max_size=32), issuer=st.text("abc.", min_size=1), origin=st.text("abc.,"))
def test_a_token_survives_its_whole_life(nonce: bytes, issuer: str, origin: str) -> None:
    challenge = TokenChallenge(issuer, b"", origin)
    waiting = tokens.blind(tokens.prepare(challenge.digest(), SPKI, nonce), SPKI)
    kept = PendingToken.from_bytes(waiting.to_bytes())
    assert kept == waiting
    token = tokens.finalize(kept, SPKI, raw_sign(TokenRequest.decode(kept.request).blinded))
    spent = tokens.parse_authorization(tokens.authorization_header(token))
    assert spent == token
    assert (spent.nonce, spent.challenge_digest) == (nonce, challenge.digest())
    tokens.verify_token(spent, KEY.public_key())


def test_the_lengths_are_those_of_the_standard() -> None:
    waiting = pending()
    token = tokens.finalize(waiting, SPKI, raw_sign(waiting.request[3:]))
    assert (len(waiting.request), len(token.encode()), len(waiting.to_bytes())) == (259, 354, 613)
    assert len(SPKI) == 342


def test_the_same_input_is_blinded_differently_each_time() -> None:
    assert pending().request != pending().request


def test_what_must_stay_secret_is_not_shown() -> None:
    assert repr(pending()) == "PendingToken()"


def test_an_answer_by_another_key_is_refused() -> None:
    waiting = pending()
    other = rsa.generate_private_key(65_537, 2048)
    with pytest.raises(tokens.BadTokenError):
        tokens.finalize(waiting, SPKI, raw_sign(waiting.request[3:], other))


def test_a_changed_answer_is_refused() -> None:
    waiting = pending()
    answer = raw_sign(waiting.request[3:])
    for at in (0, 1, 128, 255):
        with pytest.raises(tokens.BadTokenError):
            tokens.finalize(waiting, SPKI, changed(answer, at))


@pytest.mark.parametrize("length", [0, 255, 257])
def test_an_answer_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(tokens.WrongLengthError):
        tokens.finalize(pending(), SPKI, bytes(length))


def test_a_token_cannot_be_finished_or_blinded_under_another_key() -> None:
    waiting = pending()
    with pytest.raises(tokens.UnknownKeyError):
        tokens.finalize(waiting, OTHER_SPKI, raw_sign(waiting.request[3:]))
    with pytest.raises(tokens.UnknownKeyError):
        tokens.blind(waiting.token_input, OTHER_SPKI)


def test_a_changed_byte_in_any_part_of_a_token_is_refused() -> None:
    token, spki = genuine()
    key = tokens.read_token_key(spki)
    tokens.verify_token(token, key)
    for at in range(2, tokens.TOKEN_BYTES):
        with pytest.raises(tokens.BadTokenError):
            tokens.verify_token(Token.decode(changed(token.encode(), at)), key)
    for at in (0, 1):
        with pytest.raises(tokens.WrongTokenTypeError):
            Token.decode(changed(token.encode(), at))


def test_a_token_is_refused_under_another_key() -> None:
    with pytest.raises(tokens.BadTokenError):
        tokens.verify_token(genuine()[0], KEY.public_key())


@pytest.mark.parametrize("length", [0, 2, 353, 355])
def test_a_token_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(tokens.WrongLengthError):
        Token.decode(GENUINE["token"][:length].ljust(length, b"\x00"))


def test_a_request_of_another_length_or_type_is_refused() -> None:
    request = pending().request
    for bad in (b"", request[:-1], request + b"\x00"):
        with pytest.raises(tokens.WrongLengthError):
            TokenRequest.decode(bad)
    with pytest.raises(tokens.WrongTokenTypeError):
        TokenRequest.decode(changed(request, 1))


def test_a_damaged_pending_token_is_refused() -> None:
    stored = pending().to_bytes()
    for bad in (b"", stored[:-1], stored + b"\x00"):
        with pytest.raises(tokens.WrongLengthError):
            PendingToken.from_bytes(bad)
    for at in (257, 355):
        with pytest.raises(tokens.WrongTokenTypeError):
            PendingToken.from_bytes(changed(stored, at))
    with pytest.raises(tokens.UnknownKeyError):
        PendingToken.from_bytes(changed(stored, 356))


def test_input_of_wrong_length_or_type_is_not_blinded() -> None:
    token_input = pending().token_input
    with pytest.raises(tokens.WrongLengthError):
        tokens.blind(token_input[:-1], SPKI)
    with pytest.raises(tokens.WrongTokenTypeError):
        tokens.blind(changed(token_input, 1), SPKI)
    for digest, nonce in ((DIGEST[1:], bytes(32)), (DIGEST, bytes(31))):
        with pytest.raises(tokens.WrongLengthError):
            tokens.prepare(digest, SPKI, nonce)


def test_the_key_is_written_as_the_vectors_write_it() -> None:
    numbers = tokens.read_token_key(GENUINE["pkS"]).public_numbers()
    assert tokens.token_key_spki(numbers) == GENUINE["pkS"]
    assert tokens.truncated_key_id(tokens.token_key_id(GENUINE["pkS"])) == GENUINE["token_request"][2]


def test_a_key_that_is_not_a_token_key_is_refused() -> None:
    plain = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    at_fault = [b"", plain, SPKI[:-1], SPKI + b"\x00", changed(SPKI, 66), changed(SPKI, -1 % 342)]
    at_fault += [changed(SPKI, at) for at in range(81)]
    at_fault += [changed(SPKI, 81, 0x80), changed(SPKI, 336)]  # modulus too small, modulus even
    for bad in at_fault:
        with pytest.raises(tokens.BadTokenKeyError):
            tokens.read_token_key(bad)
        with pytest.raises(tokens.BadTokenKeyError):
            tokens.prepare(DIGEST, bad, bytes(32))


@pytest.mark.parametrize(("exponent", "bits"), [(3, 2048), (65_537, 3072), (65_537, 1024)])
def test_a_key_of_another_size_or_exponent_is_not_written(exponent: int, bits: int) -> None:
    with pytest.raises(tokens.BadTokenKeyError):
        tokens.token_key_spki(RSAPublicNumbers(exponent, (1 << bits) - 1))


def test_the_blinding_factor_is_drawn_again_when_out_of_range() -> None:
    assert tokens.draw_below(251, source(b"\x00", b"\xfb", b"\xff", b"\x07")) == 7
    assert {tokens.draw_below(5, source(bytes([top << 5]))) for top in (1, 2, 3, 4)} == {1, 2, 3, 4}


def test_a_broken_source_of_randomness_is_noticed() -> None:
    with pytest.raises(tokens.BlindingError):
        tokens.blind(pending().token_input, SPKI, bytes)


def test_a_factor_that_cannot_be_undone_is_refused() -> None:
    numbers = KEY.public_key().public_numbers()
    for factor in (0, KEY.private_numbers().p, numbers.n + 1):
        with pytest.raises(tokens.BlindingError):
            tokens.blind_message(numbers, b"m", bytes(48), factor)


@pytest.mark.parametrize(
    ("issuer", "context", "origin"),
    [("", b"", ""), ("ü", b"", ""), ("a", bytes(31), ""), ("a", b"", "ü"), ("a" * 65_536, b"", "")],
)
def test_a_challenge_that_cannot_be_written_is_refused(issuer: str, context: bytes, origin: str) -> None:
    with pytest.raises(tokens.BadChallengeError):
        TokenChallenge(issuer, context, origin)


def test_every_part_of_a_challenge_changes_its_digest() -> None:
    whole = TokenChallenge("a", bytes(32), "b")
    others = [
        TokenChallenge("c", bytes(32), "b"),
        TokenChallenge("a", b"", "b"),
        TokenChallenge("a", bytes(32)),
    ]
    assert len({challenge.digest() for challenge in (whole, *others)}) == 4


def test_a_header_is_read_quoted_and_unquoted_in_any_case_of_the_scheme() -> None:
    token, _ = genuine()
    header = tokens.authorization_header(token)
    assert header.startswith('PrivateToken token="AAK')
    for spelling in (header, header.replace('"', ""), header.replace("PrivateToken", "privatetoken")):
        assert tokens.parse_authorization(spelling) == token


def test_a_header_that_is_something_else_is_refused() -> None:
    good = tokens.authorization_header(genuine()[0])
    text = base64.urlsafe_b64encode(genuine()[0].encode()).decode()
    bad = ["", "PrivateToken", f"Bearer {text}", good[:-1], good + ", max-age=1", good + good, f"{good}\n"]
    bad += [good.replace("A", "+", 1), good.replace("A", "ü", 1), "PrivateToken token=AAA", good + "x" * 2000]
    for header in bad:
        with pytest.raises(tokens.BadHeaderError):
            tokens.parse_authorization(header)
    with pytest.raises(tokens.WrongLengthError):
        tokens.parse_authorization("PrivateToken token=AAAA")
    with pytest.raises(tokens.WrongTokenTypeError):
        tokens.parse_authorization(good.replace('"AAK', '"AAM'))

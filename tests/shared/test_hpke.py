import os
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization import PublicFormat as Public
from hypothesis import given
from hypothesis import strategies as st
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

from shared import hpke

SUITE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES128_GCM)
# RFC 9180, appendix A.1.1
INFO = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
EPHEMERAL = bytes.fromhex("52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736")
ENC = bytes.fromhex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431")
RECEIVER = X25519PrivateKey.from_private_bytes(
    bytes.fromhex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8")
)
PLAINTEXT = b"Beauty is truth, truth beauty"
CIPHERTEXTS = [
    "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
    "af2d7e9ac9ae7e270f46ba1f975be53c09f8d875bdc8535458c2494e8a6eab251c03d0c22a56b8ca42c2063b84",
    "498dfcabd92e8acedc281e85af1cb4e3e31c7dc394a1ca20e173cb72516491588d96a19ad4a683518973dcc180",
]
EXPORTS = {
    b"": "3853fe2b4035195a573ffc53856e77058e15d9ea064de3e59f4961d0095250ee",
    b"\x00": "2e8f0b54673c7029649d4eb9d5e33bf1872cf76d623ff164ac185da9e88c21a5",
    b"TestContext": "e9e43065102c3836401bed8c3c3c75ae46be1639869391d62c61f1ec7af54931",
}


def fixed(raw: bytes) -> Callable[[int], bytes]:
    return lambda _: raw


def ends() -> tuple[hpke.SenderContext, hpke.ReceiverContext]:
    enc, sender = hpke.setup_sender(RECEIVER.public_key(), INFO, fixed(EPHEMERAL))
    return sender, hpke.setup_receiver(enc, RECEIVER, INFO)


def private_pem(key: X25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: X25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, Public.SubjectPublicKeyInfo)


def test_the_vector_of_the_standard_is_sealed_opened_and_exported() -> None:
    enc, sender = hpke.setup_sender(RECEIVER.public_key(), INFO, fixed(EPHEMERAL))
    receiver = hpke.setup_receiver(enc, RECEIVER, INFO)
    assert enc == ENC
    for number, ciphertext in enumerate(CIPHERTEXTS):
        aad = b"Count-%d" % number
        assert sender.seal(aad, PLAINTEXT).hex() == ciphertext
        assert receiver.open(aad, bytes.fromhex(ciphertext)) == PLAINTEXT
    for context, exported in EXPORTS.items():
        assert sender.export(context, 32).hex() == receiver.export(context, 32).hex() == exported


@given(st.binary(max_size=200), st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 100))
def test_another_implementation_opens_what_ours_sealed(
    plaintext: bytes, aad: bytes, info: bytes, length: int
) -> None:
    private = X25519PrivateKey.generate()
    enc, sender = hpke.setup_sender(private.public_key(), info)
    theirs = SUITE.create_recipient_context(enc, KEMKey.from_pem(private_pem(private)), info)
    for _ in range(3):
        assert theirs.open(sender.seal(aad, plaintext), aad) == plaintext
    assert theirs.export(aad, length) == sender.export(aad, length)


@given(st.binary(max_size=200), st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 100))
def test_ours_opens_what_another_implementation_sealed(
    plaintext: bytes, aad: bytes, info: bytes, length: int
) -> None:
    private = X25519PrivateKey.generate()
    theirs_public = KEMKey.from_pem(public_pem(private.public_key()))
    enc, theirs = SUITE.create_sender_context(theirs_public, info)
    receiver = hpke.setup_receiver(enc, private, info)
    for _ in range(3):
        assert receiver.open(aad, theirs.seal(plaintext, aad)) == plaintext
    assert theirs.export(aad, length) == receiver.export(aad, length)


def test_two_seals_of_the_same_text_share_nothing() -> None:
    first_enc, first = hpke.setup_sender(RECEIVER.public_key(), INFO)
    second_enc, second = hpke.setup_sender(RECEIVER.public_key(), INFO)
    assert first_enc != second_enc
    assert first.seal(b"", PLAINTEXT) != second.seal(b"", PLAINTEXT)


def test_another_key_is_refused() -> None:
    enc, sender = hpke.setup_sender(RECEIVER.public_key(), INFO)
    with pytest.raises(hpke.OpenError):
        hpke.setup_receiver(enc, X25519PrivateKey.generate(), INFO).open(b"", sender.seal(b"", PLAINTEXT))


def test_another_info_is_refused() -> None:
    enc, sender = hpke.setup_sender(RECEIVER.public_key(), INFO)
    with pytest.raises(hpke.OpenError):
        hpke.setup_receiver(enc, RECEIVER, INFO + b"!").open(b"", sender.seal(b"", PLAINTEXT))


def test_a_changed_byte_is_refused_and_does_not_move_the_sequence() -> None:
    sender, receiver = ends()
    sealed = sender.seal(b"aad", PLAINTEXT)
    for at in range(len(sealed)):
        with pytest.raises(hpke.OpenError):
            receiver.open(b"aad", sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :])
    with pytest.raises(hpke.OpenError):
        receiver.open(b"other", sealed)
    with pytest.raises(hpke.OpenError):
        receiver.open(b"aad", b"")
    assert receiver.open(b"aad", sealed) == PLAINTEXT


def test_a_ciphertext_out_of_sequence_is_refused() -> None:
    sender, receiver = ends()
    sender.seal(b"", b"first")
    with pytest.raises(hpke.OpenError):
        receiver.open(b"", sender.seal(b"", b"second"))


@pytest.mark.parametrize("enc", [b"", bytes(31), bytes(33), bytes(32), b"\x01" + bytes(31)])
def test_an_encapsulated_key_of_wrong_length_or_low_order_is_refused(enc: bytes) -> None:
    with pytest.raises(hpke.BadShareError):
        hpke.setup_receiver(enc, RECEIVER, INFO)


def test_a_public_key_of_low_order_is_refused() -> None:
    with pytest.raises(hpke.BadShareError):
        hpke.setup_sender(X25519PublicKey.from_public_bytes(bytes(32)), INFO, os.urandom)


def test_the_nonces_never_wrap() -> None:
    sender, receiver = ends()
    sender._sequence = receiver._sequence = (1 << 96) - 2
    assert receiver.open(b"", sender.seal(b"", b"last")) == b"last"
    with pytest.raises(hpke.ExhaustedError):
        sender.seal(b"", b"one too many")
    with pytest.raises(hpke.ExhaustedError):
        receiver.open(b"", bytes(16))


def test_the_exporter_has_a_limit() -> None:
    sender, receiver = ends()
    assert sender.export(b"", 8160) == receiver.export(b"", 8160)
    for length in (-1, 8161):
        with pytest.raises(hpke.ExhaustedError):
            sender.export(b"", length)

"""A client written from the RFCs and docs/protocol.md alone gets a token and delivers a fragment.

Nothing of `shared` or `box_agent` is used here: HPKE is pyhpke's, the rest stands on this page. So a change
of the wire that the documents do not tell breaks this test.
"""

import base64
import hashlib
import hmac
import json
import secrets
import struct
from datetime import timedelta

import pytest
import requests
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

from tests.town import START

pytestmark = [pytest.mark.promise, pytest.mark.journey]

NAMED = "application/vnd.stb-telemetry.named+json"
WEEK, MEASURE, MEASURE_NUMBER = "2026-W41", "genre", 1
INNER_SIZE = 768


def b64(raw):
    return base64.b64encode(raw).decode()


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


class Signer:
    """DSSE (secure-systems-lab) with an Ed25519 key."""

    def __init__(self):
        self.key = Ed25519PrivateKey.generate()
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.public, self.keyid = b64(raw), hashlib.sha256(raw).hexdigest()[:16]

    def envelope(self, message, keyid):
        payload = compact(message)
        signed = b"DSSEv1 %d %s %d %s" % (len(NAMED), NAMED.encode(), len(payload), payload)
        signature = {"keyid": keyid, "sig": b64(self.key.sign(signed))}
        return compact({"payload": b64(payload), "payloadType": NAMED, "signatures": [signature]})


def verified(envelope, key, kind):
    found = json.loads(envelope)
    payload = base64.b64decode(found["payload"])
    assert found["payloadType"] == kind
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key))
    public.verify(base64.b64decode(found["signatures"][0]["sig"]), signed)
    return json.loads(payload)


# RFC 9577: the challenge; RFC 9578: the token; RFC 9474: blinding.


def challenge_digest(issuer, measure, week):
    origin = f"{measure}.{week.lower()}.invalid".encode()
    name = issuer.encode()
    raw = (
        b"\x00\x02" + struct.pack(">H", len(name)) + name + b"\x00" + struct.pack(">H", len(origin)) + origin
    )
    return hashlib.sha256(raw).digest()


def mgf1(seed, length):
    blocks = (hashlib.sha384(seed + struct.pack(">I", n)).digest() for n in range(length // 48 + 1))
    return b"".join(blocks)[:length]


def pss_encode(message, salt, bits):
    size = (bits + 7) // 8
    digest = hashlib.sha384(b"\0" * 8 + hashlib.sha384(message).digest() + salt).digest()
    block = b"\0" * (size - len(salt) - 48 - 2) + b"\x01" + salt
    masked = bytearray(a ^ b for a, b in zip(block, mgf1(digest, len(block)), strict=True))
    masked[0] &= 0xFF >> (8 * size - bits)
    return bytes(masked) + digest + b"\xbc"


class BlindToken:
    """One RFC 9578 token of type 2 on its way."""

    def __init__(self, spki, digest):
        # The key is id-RSASSA-PSS; its numbers are read from the RSAPublicKey within the bit string.
        at = spki.index(b"\x02\x82\x01\x01\x00")
        self.modulus = int.from_bytes(spki[at + 5 : at + 5 + 256], "big")
        self.key_id = hashlib.sha256(spki).digest()
        self.input = b"\x00\x02" + secrets.token_bytes(32) + digest + self.key_id
        encoded = int.from_bytes(pss_encode(self.input, secrets.token_bytes(48), 2047), "big")
        blind = 2 + secrets.randbelow(self.modulus - 2)
        self.inverse = pow(blind, -1, self.modulus)
        blinded = encoded * pow(blind, 65537, self.modulus) % self.modulus
        self.request = b"\x00\x02" + self.key_id[-1:] + blinded.to_bytes(256, "big")

    def finish(self, response):
        signature = int.from_bytes(response, "big") * self.inverse % self.modulus
        authenticator = signature.to_bytes(256, "big")
        numbers = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

        RSAPublicNumbers(65537, self.modulus).public_key().verify(
            authenticator, self.input, numbers, hashes.SHA384()
        )
        return self.input + authenticator


# RFC 9292 and RFC 9458.


def varint(number):
    return bytes([number]) if number < 64 else struct.pack(">H", number | 0x4000)


def field(raw):
    return varint(len(raw)) + raw


def binary_request(token, fragment):
    headers = (
        (b"authorization", b'PrivateToken token="' + base64.urlsafe_b64encode(token) + b'"'),
        (b"content-type", b"application/vnd.stb-telemetry.fragment"),
    )
    lines = b"".join(field(name) + field(value) for name, value in headers)
    control = field(b"POST") + field(b"https") + field(b"analytics.invalid") + field(b"/fragment")
    request = b"\x00" + control + field(lines) + field(fragment) + b"\x00"
    return request + b"\x00" * (INNER_SIZE - len(request))


class Oblivious:
    """RFC 9458 on pyhpke: X25519, HKDF-SHA256, AES-128-GCM."""

    def __init__(self, config):
        self.key_id, public = config[0], config[3:35]
        self.suite = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES128_GCM)
        self.header = struct.pack(">BHHH", self.key_id, 0x20, 1, 1)
        jwk = {"kty": "OKP", "crv": "X25519", "x": base64.urlsafe_b64encode(public).decode().rstrip("=")}
        self.public = KEMKey.from_jwk(jwk)

    def seal(self, request):
        info = b"message/bhttp request\x00" + self.header
        self.enc, self.context = self.suite.create_sender_context(self.public, info=info)
        return self.header + self.enc + self.context.seal(request)

    def open(self, answer):
        secret = self.context.export(b"message/bhttp response", 16)
        nonce, sealed = answer[:16], answer[16:]
        prk = hmac.digest(self.enc + nonce, secret, "sha256")

        def expand(info, length):
            return hmac.digest(prk, info + b"\x01", "sha256")[:length]

        return AESGCM(expand(b"key", 16)).decrypt(expand(b"nonce", 12), sealed, b"")


def post(url, body, kind="application/json"):
    answer = requests.post(url, body, headers={"Content-Type": kind}, timeout=30)
    assert answer.ok, answer.text
    return answer


def test_a_client_from_the_documents_gets_a_token_and_delivers_a_fragment(installation):
    named, pins = f"{installation.headend.url}/billing/v1", installation.pins()
    signer = Signer()
    enrolment = {"type": "enrol", "v": 1, "code": installation.code("third-party"), "serial": "TP-1"}
    enrolment["public_key"] = signer.public
    box = post(f"{named}/enrol", signer.envelope(enrolment, signer.keyid)).json()["box"]

    installation.move_to(START + timedelta(days=4))
    raw = requests.get(f"{named}/directory/{WEEK}", timeout=30).content
    directory = verified(raw, pins["directory_key"], "application/vnd.stb-telemetry.directory+json")
    keys = {key["measure"]: base64.b64decode(key["token_key"]) for key in directory["token_keys"]}
    blind = BlindToken(keys[MEASURE], challenge_digest(pins["issuer"], MEASURE, WEEK))
    wanted = [{"measure": MEASURE, "request": b64(blind.request)}]
    ask = {"type": "token-ask", "v": 1, "box": box, "week": WEEK, "requests": wanted}
    granted = post(f"{named}/tokens", signer.envelope(ask, box)).json()
    token = blind.finish(base64.b64decode(granted["responses"][0]))
    assert len(token) == 354

    installation.move_to(START + timedelta(days=11))
    relayed = requests.get(f"{installation.relay.url}/directory/{WEEK}", timeout=30).content
    assert relayed == raw, "both lines say the same"
    fragment = struct.pack(">BBHBHB", 1, MEASURE_NUMBER, 2026, 41, 4, 1)
    oblivious = Oblivious(base64.b64decode(directory["ohttp_keys"]))
    sealed = oblivious.seal(binary_request(token, fragment))
    answer = post(f"{installation.relay.url}/ohttp", sealed, "message/ohttp-req")
    assert oblivious.open(answer.content).startswith(b"\x01\x40\xc8"), "a binary HTTP answer of status 200"
    accepted = {
        name: n for name, n in installation.headend.metrics().items() if name.startswith("headend_accepted")
    }
    assert [n for n in accepted.values() if n] == [1]

"""No byte of the anonymous path, on the wire or at rest, tells of a box, an account or a title."""

import base64
import re
import zlib

import pytest

from headend.analytics.keys import AnalyticsKeys
from headend.installation import Installation
from headend.kit.shelf import FolderShelf
from shared.anonymous import FRAGMENT_SIZE
from shared.bhttp import decode_request
from shared.ohttp import OhttpError
from shared.weeks import Week
from tests import engines
from tests.promises.needles import Needles

pytestmark = pytest.mark.promise

IDENTITIES = {
    "boxes": ("box", "serial", "public_key"),
    "accounts": ("account",),
    "codes": ("code_hash",),
    "chain": ("hash", "envelope_hash"),
    "orders": ("title_hash", "invoice"),
    "annex": ("offer", "title", "salt"),
    "invoices": ("number",),
    "entries": ("ref", "hash"),
    "grants": ("request_hash", "response"),
    "bindings": ("account",),
    "disputes": ("order_ref",),
    "batches": ("hash", "root"),
    "export_keys": ("key_hash",),
}
SHORTEST_TITLE = 8


def identities(folder):
    """Every value of billing's that names a box, an account, an order, a title or a token request."""
    values = set()
    with engines.raw(Installation(folder).place("billing")) as database:
        for table, columns in IDENTITIES.items():
            for column in columns:
                for (value,) in database.execute(f"SELECT DISTINCT {column} FROM {table}"):
                    if not value or (column == "title" and len(value) < SHORTEST_TITLE):
                        continue  # a title such as "Sports" is also a genre's name
                    values |= spellings(value)
    return values


def spellings(value):
    """A stored value as bytes; what is text for bytes (hex, base64) also as the bytes it stands for."""
    if isinstance(value, bytes):
        return {value}
    found = {value.encode()}
    bare = value.removeprefix("bx")
    if re.fullmatch(r"([0-9a-f]{2}){8,}", bare):
        found.add(bytes.fromhex(bare))
    if re.fullmatch(r"[A-Za-z0-9+/]{43}=", value):
        found.add(base64.b64decode(value))
    return found


def at_rest(folder):
    """All bytes of the analytics side, its releases too."""
    stored = engines.on_disk(Installation(folder).place("analytics"))
    return stored + b"".join(path.read_bytes() for path in sorted((folder / "releases").glob("*")))


def taped(tape):
    """The recorded messages of the anonymous line: (label, bytes)."""
    raw, place, found = tape.read_bytes(), 0, []
    while match := re.compile(rb"\n--- (.+) (\d+)\n").match(raw, place):
        end = match.end() + int(match[2])
        found.append((match[1].decode(), raw[match.end() : end]))
        place = end
    return found


def opened(town):
    """The insides of every sealed request that crossed the relay."""
    gateway = AnalyticsKeys(FolderShelf(town.keys)).gateway(Week(2026, 41))
    found = []
    for label, message in taped(town.tape):
        body = message.partition(b"\r\n\r\n")[2]
        if "box" in label or "inbound" in label or message.startswith(b"POST /ohttp"):
            try:
                found.append(gateway.open_request(body)[0])
            except OhttpError:
                continue
    return found


@pytest.fixture(scope="module")
def needles(town):
    values = identities(town.folder)
    assert len(values) > 5_000, "the town has boxes, accounts, orders and titles to look for"
    return Needles(values)


@pytest.mark.journey
def test_nothing_of_billing_stands_in_the_analytics_database(town, needles):
    assert needles.found_in(at_rest(town.folder)) == set()


@pytest.mark.journey
def test_nothing_of_billing_crosses_the_anonymous_line(town, needles):
    assert len(taped(town.tape)) > 1_000
    assert needles.found_in(town.tape.read_bytes()) == set()


@pytest.mark.journey
def test_nothing_of_billing_stands_inside_the_sealed_requests(town, needles):
    inner = opened(town)
    assert len(inner) > 300
    assert needles.found_in(b"\n".join(inner)) == set()
    assert all(len(decode_request(one).body) == FRAGMENT_SIZE for one in inner)


def test_the_end_of_a_timestamp_is_not_taken_for_the_number_of_an_account():
    stamps = [b'{"a":%s"valid_ms":1791000003123}' % (b" " * n) for n in range(3)]
    look = Needles({b"A000006"})
    assert any(b"EwMDAwMD" in base64.b64encode(one) for one in stamps), "they look alike"
    assert [look.found_in(base64.b64encode(one)) for one in stamps] == [set()] * 3


PLANTS = {
    "raw": lambda value: value,
    "hex": lambda value: value.hex().encode(),
    "base64": base64.b64encode,
    "base64 one byte on": lambda value: base64.b64encode(b"x" + value),
    "base64 two bytes on": lambda value: base64.b64encode(b"xy" + value),
    "base64 for addresses": base64.urlsafe_b64encode,
    "base32": base64.b32encode,
    "base32 three bytes on": lambda value: base64.b32encode(b"xyz" + value),
    "decimal": lambda value: str(int.from_bytes(value, "big")).encode(),
    "utf-16": lambda value: value.decode("latin-1").encode("utf-16-le"),
    "deflated": lambda value: zlib.compress(b"padding " * 20 + value),
    "deflated base64": lambda value: zlib.compress(base64.b64encode(value) * 3),
}
LEAKS = {
    "a box": b"bx0123456789abcdef",
    "a box's bytes": bytes.fromhex("0123456789abcdef"),
    "an account": b"A000123",
    "a serial": b"SN-41-123-0",
    "a title": b"A Very Particular Film",
    "an order": b"bx0123456789abcdef/1/7",
}


@pytest.mark.parametrize("dress", PLANTS)
@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found_in_every_dress(leak, dress):
    noise = bytes((place * 197 + 31) % 256 for place in range(997))
    value = LEAKS[leak]
    assert Needles({value}).found_in(noise + PLANTS[dress](value) + noise)


def test_where_nothing_is_planted_nothing_is_found():
    noise = bytes((place * 197 + 31) % 256 for place in range(9_973))
    assert not Needles(LEAKS.values()).found_in(noise)

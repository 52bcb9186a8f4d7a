"""What is done to well-formed input: to a JSON value, and to its bytes."""

import json
from random import Random
from typing import Any

NUMBERS: tuple[object, ...] = (
    *(0, 1, -1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30),
    *(0.0, -0.0, 0.5, 1.0, 1e-320, 1e308, -1e308),
)
TEXTS = (
    "",
    " ",
    "x" * 40,
    "x" * 200,
    "\x00",
    "é",
    "\U0001f4fa",
    "\u202e",
    "\ufeff",
    "1",
    "-1",
    "null",
    "../x",
)
OTHERS: tuple[object, ...] = (None, True, False, [], {}, [[]], {"": {}}, ["x", 1])
_SPLICES = (
    *(b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\\ud800", b"\\u0000", b"1e999", b"NaN", b"-", b'"', b"\\"),
    *(b"{", b"}", b"[" * 3000, b'{"a":' * 1200, b" ", b"\r", b"\t", b",", b":", b"0" * 400, b"9" * 400),
)
_DEEPEST = 6


def damaged(value: Any, random: Random) -> Any:
    """A value with one thing in it changed: a member lost, doubled, renamed, or another value."""
    if not isinstance(value, dict | list) or not value or random.random() < 0.1:
        return random.choice(NUMBERS) if _likely_number(value, random) else _other(random)
    if isinstance(value, list):
        at = random.randrange(len(value))
        return [*value[:at], damaged(value[at], random), *value[at + 1 :]]
    name = random.choice(list(value))
    changed = dict(value)
    match random.randrange(6):
        case 0:
            del changed[name]
        case 1:
            changed[random.choice(TEXTS)] = _other(random)
        case 2:
            changed[name + random.choice(("s", "\x00", " "))] = changed.pop(name)
        case _:
            changed[name] = damaged(value[name], random)
    return changed


def _likely_number(value: object, random: Random) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and random.random() < 0.8


def encoded(value: object, random: Random) -> bytes:
    """A value as JSON, spelled in one of several ways."""
    separators = random.choice(((",", ":"), (", ", ": "), (" ,\t", " :  ")))
    text = json.dumps(value, ensure_ascii=random.random() < 0.5, separators=separators)
    return text.encode("utf-8", "surrogatepass")


def scrambled(raw: bytes, random: Random) -> bytes:
    """Bytes with something in them lost, changed, repeated or put in."""
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        start = random.randrange(len(raw) + 1)
        end = min(len(raw), start + random.choice((1, 1, 2, 8, 64)))
        match random.randrange(5):
            case 0:
                raw = raw[:start] + raw[end:]
            case 1:
                raw = raw[:start] + random.choice(_SPLICES) + raw[end:]
            case 2:
                raw = raw[:start]
            case 3:
                raw = raw[:end] + raw[start:end] * random.choice((1, 3, 50)) + raw[end:]
            case _:
                raw = raw[:start] + random.randbytes(end - start) + raw[end:]
    return raw


def _other(random: Random, depth: int = 0) -> object:
    if depth < _DEEPEST and random.random() < 0.1:
        return {random.choice(TEXTS): _other(random, depth + 1)}
    return random.choice(random.choice((NUMBERS, TEXTS, OTHERS)))

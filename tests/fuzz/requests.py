"""Well-formed requests to the agent, and events as a player may tell them."""

from collections.abc import Callable
from random import Random
from typing import Any

from shared.notice import notice_version

Request = dict[str, Any]

_TUNERS = ("", "", "", "b")
_KINDS = ("live", "live", "recording", "catchup", "vod")
_REFS = ("a", "a", "b", "c")
_MARKS = ("pause", "resume", "seek", "key", "wake", "progress", "progress", "stop", "standby", "tune")
_RATES = (0, 0.5, 1, 1, 1.0, 2, -1)
_PINS = ("2580", "2580", "0000", "258", "x" * 33, "")
_LANGUAGES = ("en", "nl", "fr", "de")
_LATE_MS = 3_600_000
_EARLY_MS = 6 * 60_000
_OFTEN = 0.8
_YES = 0.6


def event(random: Random, now_ms: int) -> Request:
    """A player's event, at about this time."""
    told: Request = {"event": random.choice(("play", "play", "rate", *_MARKS))}
    if told["event"] == "play" or (told["event"] == "tune" and random.random() < 0.5):
        told["item"] = _item(random)
    if told["event"] == "rate" or random.random() < 0.1:
        told["rate"] = random.choice(_RATES)
    if random.random() < 0.4:
        told["at_ms"] = now_ms + random.randint(-_LATE_MS, 0) + random.choice((0, _EARLY_MS))
    if random.random() < 0.1:
        told["seq"] = random.randrange(4)
    if random.random() < 0.2:
        told["by"] = random.choice(("user", "box"))
    if tuner := random.choice(_TUNERS):
        told["tuner"] = tuner
    return told


def request(random: Random, now_ms: int) -> Request:
    """A request of any kind; half of them report an event."""
    if random.random() < 0.55:
        return {"op": "event", "event": event(random, now_ms)}
    name = random.choice((*_OTHERS, *_ACTS))
    return {"op": name} | _OTHERS[name](random)


def _item(random: Random) -> Request:
    item: Request = {"kind": random.choice(_KINDS), "ref": random.choice(_REFS)}
    if random.random() < 0.5:
        item["genre"] = random.choice((67, 0x18, 255, 0, "other", "film-or-drama"))
    if random.random() < 0.2:
        item["broadcast_day"] = random.choice(("2026-10-04", "2026-10-05", "1970-01-01", "9999-12-31"))
    if random.random() < 0.1:
        item["channel"] = random.choice(("npo1", "", "x" * 128))
    return item


def _order(random: Random) -> Request:
    given = {
        name: random.random() < 0.95
        for name in ("pin_verified", "consent_immediate_supply", "confirmation_shown")
    }
    found: Request = {"offer": random.choice(("film-1", "film-2", "none")), "evidence": given}
    if random.random() < 0.3:
        found["promotion"] = random.choice(("welcome", "none"))
    return found


def _answer(random: Random) -> Request:
    notice = notice_version() if random.random() < _OFTEN else random.randrange(4)
    return {"granted": random.random() < _YES, "notice": notice} | _shown(random)


def _shown(random: Random) -> Request:
    found: Request = {"how": random.choice(("screen", "x" * 64, "x" * 65))}
    if random.random() < 0.3:
        found["language"] = random.choice(_LANGUAGES)
    return found


def _delivery(random: Random) -> Request:
    outcome = random.choice(("confirmed", "failed", "stopped", "eaten"))
    return {"order": random.choice((1, 1, 2, 3, 0, -1)), "outcome": outcome}


def _nothing(random: Random) -> Request:
    del random
    return {}


_ACTS = ("order", "delivery", "delivery", "set-consent", "set-consent", "reminded", "sent", "tick")
"""What changes the box's state comes more often than what shows it."""
_OTHERS: dict[str, Callable[[Random], Request]] = {
    "order": _order,
    "delivery": _delivery,
    "set-consent": _answer,
    "reminded": _shown,
    "set-pin": lambda random: {"new": random.choice(_PINS), "old": random.choice(_PINS)},
    "reset-pin": _nothing,
    "sent": lambda random: {"pin": random.choice(_PINS)},
    "enrol": lambda random: {"code": random.choice(("code-1234", "short", "x" * 65))},
    "consent": _nothing,
    "notice": lambda random: {"language": random.choice(_LANGUAGES)},
    "offers": _nothing,
    "promotions": _nothing,
    "orders": _nothing,
    "status": _nothing,
    "tick": _nothing,
}

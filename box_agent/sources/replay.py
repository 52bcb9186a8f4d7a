"""A recorded session of a player, told again with its own clock. Pure: lines in, instants and events out.

A line is a JSON object with `t` (Unix seconds). Of Kodi it has `dir` ("send" or "recv") and `msg`; the
agent's own form has `event`, as docs/box.md describes one.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from box_agent.events import BadEventError, Event, read_event
from box_agent.sources.kodi_player import KodiPlayer
from shared.errors import StbError

MAX_LINE = 1024**2


class BadRecordingError(StbError):
    """A line of a recorded session is of no form that is known; the message says which."""


def replay(lines: Iterable[str | bytes], player: KodiPlayer) -> Iterator[tuple[int, Event]]:
    """Each event with the instant at which it was known, Unix milliseconds.

    The player is one that asks nothing by itself. Answers that the recording holds are used; where they are
    missing, what Kodi told by itself has to do.

    Raises:
        BadRecordingError: a line is of another form.
    """
    heard_ms = now_ms = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        now_ms, found = _read(line, number)
        if "event" in found:
            yield now_ms, _event(found["event"], now_ms, number)
            continue
        if player.gone(now_ms):  # the recording goes on, its player had not
            player.lost(heard_ms)
        _take(player, found, now_ms, number)
        if found["dir"] == "recv":
            heard_ms = now_ms
        yield from ((now_ms, event) for event in player.events())
    player.lost(heard_ms)
    yield from ((now_ms, event) for event in player.events())


def _take(player: KodiPlayer, found: dict[str, Any], now_ms: int, number: int) -> None:
    message = found.get("msg")
    if found.get("dir") not in {"send", "recv"} or not isinstance(message, dict):
        raise BadRecordingError(f"line {number}: no event, and no message that was sent or received")
    if found["dir"] == "recv":
        player.take(message, now_ms)
    elif isinstance(message.get("id"), int):
        player.heard(message["id"], str(message.get("method")), now_ms)


def _read(line: str | bytes, number: int) -> tuple[int, dict[str, Any]]:
    if len(line) > MAX_LINE:
        raise BadRecordingError(f"line {number}: more than {MAX_LINE} characters")
    try:
        found = msgspec.json.decode(line)
        return round(float(found["t"]) * 1000), found
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadRecordingError(f"line {number}: {error}") from error
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise BadRecordingError(f"line {number}: no time `t`") from error


def _event(told: object, now_ms: int, number: int) -> Event:
    if not isinstance(told, dict):
        raise BadRecordingError(f"line {number}: the event is no object")
    try:
        return read_event({"at_ms": now_ms, **told})
    except BadEventError as error:
        raise BadRecordingError(f"line {number}: {error}") from error

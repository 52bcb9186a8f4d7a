"""A Kodi for the fuzzer: what it shows, what it says of it, and what was really viewed.

It says what Kodi 20.1 was seen to say: a zap is told by the new channel's OnPlay alone, the picture comes a
second after the intent, and questions are answered with what is on.
"""

import json
from datetime import UTC, datetime
from typing import Any

from shared.clock import from_ms

DWELL_MS = 15_000
PICTURE_MS = 1_000
_DAY_MS = 86_400_000
Message = dict[str, Any]


class KodiWorld:
    """One screen. `viewed` has the truth: how long each item was on at normal speed, in order."""

    def __init__(self) -> None:
        self.on: Message | None = None
        self.speed = 1
        self.viewed: list[int] = []
        self._told: Message = {}
        self._since_ms: int | None = None
        self._seen_ms = 0

    def intend(self, told: Message, now_ms: int) -> bytes:
        """Somebody chose something else: what was on ends, and Kodi says only what comes."""
        self._end(now_ms)
        self._told = told
        return _notified("Player.OnPlay", told, 1)

    def picture(self, now_ms: int) -> bytes:
        """It is on the screen."""
        self.on, self.speed = _answer_for(self._told, now_ms), 1
        self._since_ms, self._seen_ms = now_ms, 0
        return _notified("Player.OnAVStart", self._told, 1)

    def run_at(self, speed: int, now_ms: int) -> bytes:
        """Somebody paused it, or wound it, or let it go on."""
        if self.on is None:
            return b""
        self._credit(now_ms)
        self.speed = speed
        self._since_ms = now_ms if speed == 1 else None
        names = {0: "Player.OnPause", 1: "Player.OnResume"}
        return _notified(names.get(speed, "Player.OnSpeedChanged"), self._told, speed)

    def stop(self, now_ms: int) -> bytes:
        """Somebody stopped it."""
        if self.on is None:
            return b""
        self._end(now_ms)
        message = {"item": self._told, "end": False}
        return json.dumps({"jsonrpc": "2.0", "method": "Player.OnStop", "params": {"data": message}}).encode()

    def answer(self, question: Message) -> Message:
        """What it answers."""
        method, result = question["method"], {}
        if method == "Player.GetActivePlayers":
            result = [{"playerid": 1, "playertype": "internal", "type": "video"}] if self.on else []
        elif method == "Player.GetItem":
            result = {"item": self.on} if self.on else {}
        elif method == "Player.GetProperties":
            result = {"speed": self.speed}
        return {"id": question["id"], "jsonrpc": "2.0", "result": result}

    def truth(self, now_ms: int) -> list[int]:
        """How long each item was viewed until now, in milliseconds; surfing left out."""
        running = self._seen_ms + (now_ms - self._since_ms if self._since_ms is not None else 0)
        found = [*self.viewed, *([running] if self.on else [])]
        return [one for one in found if one >= DWELL_MS]

    def _credit(self, now_ms: int) -> None:
        if self._since_ms is not None:
            self._seen_ms += now_ms - self._since_ms

    def _end(self, now_ms: int) -> None:
        if self.on is not None:
            self._credit(now_ms)
            self.viewed.append(self._seen_ms)
        self.on, self._since_ms, self._seen_ms = None, None, 0


def film(number: int) -> Message:
    """A film of the library, as notifications tell it."""
    return {"id": number, "type": "movie"}


def channel(number: int) -> Message:
    """A live channel."""
    return {"channeltype": "tv", "id": number, "title": f"TV {number}", "type": "channel"}


def _answer_for(told: Message, now_ms: int) -> Message:
    if told["type"] == "movie":
        return {**told, "genre": ["Comedy"], "label": "a film", "mediapath": f"/films/{told['id']}.mkv"}
    return {
        **told,
        "genre": ["News"],
        "channel": told["title"],
        "label": told["title"],
        "mediapath": f"pvr://channels/tv/All/{told['id']}.pvr",
        "starttime": _time(now_ms - now_ms % _DAY_MS),
        "endtime": _time(now_ms - now_ms % _DAY_MS + 2 * _DAY_MS),
    }


def _time(at_ms: int) -> str:
    at: datetime = from_ms(at_ms).astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _notified(method: str, told: Message, speed: int) -> bytes:
    found = {"item": told, "player": {"playerid": 1, "speed": speed}}
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": {"data": found}}).encode()

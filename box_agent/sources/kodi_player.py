"""Kodi's notifications and answers to player events. Pure: messages and instants in, events out.

What Kodi does (20.1, measured): a zap is told by the new channel's OnPlay alone. OnPlay is intent, OnAVStart
the picture, and viewing counts from the picture; now and then the picture is told first. Nothing is told when
one programme follows another, so its end is waited for and the next one asked for. OnAVChange is noise. Which
item it is, is asked once the picture is there; what then comes late is still dated right.
"""

from typing import Any

from box_agent.events import Event
from box_agent.sources.kodi_item import KodiItems
from box_agent.sources.kodi_questions import ITEM, PLAYERS, SPEED, KodiQuestions, Question
from box_agent.sources.kodi_screen import KodiScreen, Opening, Told, name_of

POLL_MS = 60_000
BOUNDARY_MS = 2_000
"""So long after a programme's end the next one is asked for; Kodi takes a second to see it itself."""
BEHIND_MS = 10_000
"""How often it is asked for while Kodi still shows the one that should have ended: viewing may be paused."""
RETRY_MS = 1_000
TRIES = 5
KEY_MS = 15_000
"""Holding the volume key says once in this time that somebody is there."""
FOLLOWS_MS = 10_000
"""What begins so soon after the end of something nobody chose: the next of a list."""
EARLY_MS = 2_000
"""A file may have its picture before its OnPlay is told; so long after, that is the same start."""
MAX_RATE = 1000
_NEVER_MS = 253402300799999


class KodiPlayer:
    """What one Kodi does; `events` and `questions` are emptied by whoever holds it."""

    def __init__(self, items: KodiItems, *, asking: bool = True) -> None:
        self.questions = KodiQuestions(asking=asking)
        self.ignored = 0
        self._screen = KodiScreen(items)
        self._state = 0
        self._polled = False
        self._early: tuple[tuple[str, ...], int] | None = None
        self._poll_ms = self._ask_ms = _NEVER_MS
        self._key_ms = self._ended_ms = -_NEVER_MS
        self._notified = {
            "Player.OnPlay": self._on_play,
            "Player.OnAVStart": self._on_av_start,
            "Player.OnPause": self._on_speed,
            "Player.OnResume": self._on_speed,
            "Player.OnSpeedChanged": self._on_speed,
            "Player.OnSeek": self._on_seek,
            "Player.OnStop": self._on_stop,
            "Application.OnVolumeChanged": self._on_key,
            "Input.OnInputRequested": self._on_key,
            "System.OnQuit": self._on_quit,
            "System.OnRestart": self._on_quit,
            "System.OnSleep": self._on_quit,
            "System.OnWake": self._on_wake,
        }
        self._answers = {PLAYERS: self._told_players, ITEM: self._told_item, SPEED: self._told_speed}

    def connected(self, now_ms: int) -> None:
        """Begin: ask what is on already."""
        self.questions.configure(now_ms)
        self._poll(now_ms)

    def lost(self, at_ms: int) -> None:
        """The connection has gone; what was on ends at the last sign of life."""
        self._screen.settle()
        self._screen.end("standby", at_ms, by_box=True)
        self._move_on()
        self.questions.forget()
        self._poll_ms = _NEVER_MS

    def take(self, message: dict[str, Any], now_ms: int) -> None:
        """A notification or an answer; what is of another form, or says nothing, is ignored and counted."""
        method = message.get("method")
        if method is None:
            self._answered(message, now_ms)
        elif isinstance(method, str) and method in self._notified:
            params = message.get("params")
            self._notified[method](_part(params, "data"), now_ms)
        else:
            self.ignored += 1

    def tick(self, now_ms: int) -> None:
        """Ask what is due to be asked."""
        if now_ms >= self._poll_ms:
            self._poll(now_ms)
        if now_ms >= self._ask_ms:
            self._ask_ms = _NEVER_MS
            self.questions.item(now_ms, self._state)

    def due_ms(self) -> int:
        """When `tick` has something to do, or an answer is overdue."""
        return min(self._poll_ms, self._ask_ms, self.questions.overdue_ms())

    def gone(self, now_ms: int) -> bool:
        """Whether it has not answered for too long."""
        return now_ms >= self.questions.overdue_ms()

    def heard(self, number: int, method: str, now_ms: int) -> None:
        """Somebody else asked this on the same connection; its answer is taken as well."""
        self.questions.put_by_another(number, Question(method, now_ms, self._state))

    def events(self) -> list[Event]:
        """The events since this was last called, in order."""
        return self._screen.taken()

    # What Kodi tells by itself.

    def _on_play(self, found: Told, now_ms: int) -> None:
        item = _part(found, "item")
        if item.get("type") == "picture":
            self.ignored += 1
            return
        early, self._early = self._early, None
        if early is not None and early[0] == name_of(item) and now_ms - early[1] <= EARLY_MS:
            self._screen.sign("key", now_ms, by_box=self._follows(now_ms))  # whoever chose it is there
            return
        self._finish("stop", now_ms, by_box=self._follows(now_ms))
        self._screen.rate = _speed(found, 1.0)
        if item.get("type") == "song" or item.get("channeltype") == "radio":
            self.ignored += 1
        else:
            number = _part(found, "player").get("playerid")
            self._screen.opening = Opening({**item, "playerid": number}, self._follows(now_ms))

    def _on_av_start(self, found: Told, now_ms: int) -> None:
        item, opening = _part(found, "item"), self._screen.opening
        if opening is None:
            if item.get("type") in ("song", "picture") or self._is_on(item):
                self.ignored += 1
                return
            self._finish("stop", now_ms, by_box=self._follows(now_ms))
            self._screen.rate = _speed(found, 1.0)
            self._early = name_of(item), now_ms
            opening = Opening(item, self._follows(now_ms))
        self._screen.opening = opening._replace(pictured_ms=now_ms)
        self.questions.item(now_ms, self._state)

    def _is_on(self, item: Told) -> bool:
        showing = self._screen.showing
        return showing is not None and (showing.told is None or name_of(showing.told) == name_of(item))

    def _follows(self, now_ms: int) -> bool:
        return now_ms - self._ended_ms <= FOLLOWS_MS

    def _on_speed(self, found: Told, now_ms: int) -> None:
        self._screen.speed(_speed(found, self._screen.rate), now_ms, by_box=False)

    def _on_seek(self, _found: Told, now_ms: int) -> None:
        self._screen.sign("seek", now_ms, by_box=False)

    def _on_key(self, _found: Told, now_ms: int) -> None:
        if abs(now_ms - self._key_ms) >= KEY_MS:
            self._key_ms = now_ms
            self._screen.sign("key", now_ms, by_box=False)

    def _on_stop(self, found: Told, now_ms: int) -> None:
        current = self._screen.opening or self._screen.showing
        if current is not None and current.told and name_of(current.told) != name_of(_part(found, "item")):
            self._poll(now_ms)  # it ends what has been followed by something else already; make sure
            return
        by_box = found.get("end") is True
        if by_box:
            self._ended_ms = now_ms
        self._finish("stop", now_ms, by_box=by_box)

    def _on_quit(self, _found: Told, now_ms: int) -> None:
        self._finish("standby", now_ms, by_box=False)

    def _on_wake(self, _found: Told, now_ms: int) -> None:
        self._poll(now_ms)

    # What it answers.

    def _answered(self, message: dict[str, Any], now_ms: int) -> None:
        question = self.questions.answered(message.get("id"))
        if question is None:
            self.ignored += 1
        elif question.method in self._answers and question.state == self._state:
            self._answers[question.method](message.get("result"), now_ms)

    def _told_players(self, result: object, now_ms: int) -> None:
        if not isinstance(result, list):
            return
        showing = self._screen.showing
        if any(isinstance(one, dict) and one.get("type") == "video" for one in result):
            self._polled = True
            self.questions.speed(now_ms, self._state)
            self.questions.item(now_ms, self._state)
        elif showing is not None:
            self._finish("stop", showing.confirmed_ms, by_box=True)  # nobody told when it ended

    def _told_speed(self, result: object, now_ms: int) -> None:
        rate = _speed({"player": result}, self._screen.rate)
        if rate != self._screen.rate:
            self._screen.speed(rate, now_ms, by_box=True)

    def _told_item(self, result: object, now_ms: int) -> None:
        told, opening = _part(result, "item"), self._screen.opening
        if opening is not None and opening.pictured_ms is None:
            return
        if _says_something(told):
            self._screen.answered(told, now_ms)
            self._live_on(now_ms)
        elif opening is not None:
            self._again(opening, now_ms)

    def _again(self, opening: Opening, now_ms: int) -> None:
        """Kodi has no answer yet; ask again, and after some time do with what it told by itself."""
        self._screen.opening = opening._replace(tries=opening.tries + 1)
        if opening.tries < TRIES:
            self._ask_ms = now_ms + RETRY_MS
        else:
            self._screen.settle()

    def _live_on(self, now_ms: int) -> None:
        """What is on has just been confirmed: say so once a poll, and look at the programme's end again."""
        showing = self._screen.showing
        if showing is None:
            return
        if showing.shown.ends_ms:
            ahead = now_ms < showing.shown.ends_ms
            self._ask_ms = showing.shown.ends_ms + BOUNDARY_MS if ahead else now_ms + BEHIND_MS
        if self._polled and self._screen.rate:
            self._screen.sign("progress", now_ms, by_box=True)
        self._polled = False

    def _finish(self, event: str, at_ms: int, *, by_box: bool) -> None:
        self._screen.settle()
        self._screen.end(event, at_ms, by_box=by_box)
        self._move_on()

    def _move_on(self) -> None:
        """Answers to what was asked before tell nothing any more."""
        self._state += 1
        self._ask_ms = _NEVER_MS
        self._screen.rate = 1.0

    def _poll(self, now_ms: int) -> None:
        self._poll_ms = now_ms + POLL_MS
        self.questions.players(now_ms, self._state)


def _part(found: object, name: str) -> Told:
    part = found.get(name) if isinstance(found, dict) else None
    return part if isinstance(part, dict) else {}


def _says_something(told: Told) -> bool:
    return told.get("type", "unknown") != "unknown" or any(
        told.get(one) for one in ("mediapath", "file", "label")
    )


def _speed(found: Told, before: float) -> float:
    speed = _part(found, "player").get("speed")
    return float(speed) if isinstance(speed, int | float) and abs(speed) < MAX_RATE else before

"""The questions that are put to Kodi over JSON-RPC, and which of them still wait for an answer. Pure."""

from typing import Any, NamedTuple

from box_agent.sources.kodi_item import ASKED

ANSWER_MS = 20_000
"""A player that has not answered for so long is taken for gone."""
VIDEO_PLAYER = 1
"""Kodi's number for it; notifications of catch-up say -1, but it is asked by 1."""
PLAYERS = "Player.GetActivePlayers"
ITEM = "Player.GetItem"
SPEED = "Player.GetProperties"
CONFIGURE = "JSONRPC.SetConfiguration"
_NEVER_MS = 253402300799999
# Of what nothing is made: a library scan or a busy add-on would only wake the box.
_QUIET = dict.fromkeys(("AudioLibrary", "VideoLibrary", "Playlist", "PVR", "Other"), False)


class Question(NamedTuple):
    """One that was asked: when, and in which state of the player, so that a late answer is known as such."""

    method: str
    asked_ms: int
    state: int


class KodiQuestions:
    """What is to be sent, and what is waited for; nothing of one's own where only listening is possible."""

    def __init__(self, *, asking: bool = True) -> None:
        self._asking = asking
        self._number = 0
        self._unsent: list[dict[str, Any]] = []
        self._open: dict[int, Question] = {}

    def configure(self, now_ms: int) -> None:
        """Have Kodi leave out notifications of which nothing is made."""
        self._ask(CONFIGURE, {"notifications": _QUIET}, Question(CONFIGURE, now_ms, 0))

    def players(self, now_ms: int, state: int) -> None:
        """Which players are at work."""
        self._ask(PLAYERS, {}, Question(PLAYERS, now_ms, state))

    def item(self, now_ms: int, state: int) -> None:
        """What is played."""
        params = {"playerid": VIDEO_PLAYER, "properties": list(ASKED)}
        self._ask(ITEM, params, Question(ITEM, now_ms, state))

    def speed(self, now_ms: int, state: int) -> None:
        """How fast."""
        params = {"playerid": VIDEO_PLAYER, "properties": ["speed"]}
        self._ask(SPEED, params, Question(SPEED, now_ms, state))

    def put_by_another(self, number: int, question: Question) -> None:
        """A question of somebody else whose answer will be heard: in a recorded session."""
        self._open[number] = question

    def unsent(self) -> list[dict[str, Any]]:
        """The questions to send now."""
        found, self._unsent = self._unsent, []
        return found

    def answered(self, number: object) -> Question | None:
        """The question that this answers, if there is one."""
        return self._open.pop(number, None) if isinstance(number, int) else None

    def overdue_ms(self) -> int:
        """When the oldest one has waited for too long."""
        return min((one.asked_ms + ANSWER_MS for one in self._open.values()), default=_NEVER_MS)

    def forget(self) -> None:
        """Wait for nothing more: the connection is gone."""
        self._unsent.clear()
        self._open.clear()

    def _ask(self, method: str, params: dict[str, Any], question: Question) -> None:
        if not self._asking:
            return
        self._number += 1
        self._open[self._number] = question
        self._unsent.append({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})

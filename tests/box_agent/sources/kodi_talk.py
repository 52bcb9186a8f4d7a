"""What Kodi says, in the forms that Kodi 20.1 was seen to use, and a player to say it to."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from box_agent.guide.categories import Categories
from box_agent.sources.kodi_item import KodiItems
from box_agent.sources.kodi_player import KodiPlayer

ZONE = ZoneInfo("Europe/Amsterdam")
NINE = int(datetime(2026, 11, 22, 9, tzinfo=UTC).timestamp() * 1000)
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000
CATEGORIES = Categories()
FILM = {"id": 1, "type": "movie"}
FILE = {"title": "film.mp4", "type": "movie"}


def channel(number, name="EEN"):
    return {"channeltype": "tv", "id": number, "title": name, "type": "channel"}


def programme(number, start_ms, end_ms, *genres, name="EEN"):
    """What Player.GetItem answers of a live channel."""
    return {
        "channel": name,
        "channeltype": "tv",
        "genre": list(genres) or ["Other / Unknown"],
        "id": number,
        "label": name,
        "mediapath": f"pvr://channels/tv/All%20channels/0@pvr.iptvsimple_{number}.pvr",
        "starttime": told_time(start_ms),
        "endtime": told_time(end_ms),
        "type": "channel",
    }


def told_time(at_ms):
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def items(key=b"key"):
    return KodiItems(CATEGORIES, ZONE, key)


class Talk:
    """A player and its clock: `say` notifies; questions are answered with what is `on` until it is None."""

    def __init__(self):
        self.player = KodiPlayer(items())
        self.now = NINE
        self.on = None
        self.speed = 1
        self.events = []
        self.asked = []

    def connect(self):
        self.player.connected(self.now)
        return self._settle()

    def wait(self, span_ms):
        """Let time pass; whatever is due is asked at its moment, and answered at once."""
        until = self.now + span_ms
        while self.player.due_ms() <= until:
            self.now = max(self.now, self.player.due_ms())
            self.player.tick(self.now)
            self._settle()
        self.now = until
        return self

    def say(self, method, item=None, speed=1, **more):
        found = {"item": item, "player": {"playerid": 1, "speed": speed}} if item is not None else {}
        found |= more
        message = {"jsonrpc": "2.0", "method": method, "params": {"data": found, "sender": "xbmc"}}
        self.player.take(message, self.now)
        return self._settle()

    def play(self, told, answer):
        """A new item, intended and a second later on the screen."""
        self.say("Player.OnPlay", told)
        self.wait(SECOND)
        self.on = answer
        return self.say("Player.OnAVStart", told)

    def lost(self, at_ms):
        self.player.lost(at_ms)
        return self._settle()

    def _settle(self):
        while questions := self.player.questions.unsent():
            for question in questions:
                self.asked.append(question["method"])
                self.player.take(
                    {"id": question["id"], "jsonrpc": "2.0", **self.answer(question["method"])}, self.now
                )
        self.events += self.player.events()
        return self

    def answer(self, method):
        if method == "Player.GetActivePlayers":
            players = [{"playerid": 1, "playertype": "internal", "type": "video"}]
            return {"result": players if self.on else []}
        if method == "Player.GetItem":
            return {"result": {"item": self.on}} if self.on else {"error": {"code": -32100}}
        if method == "Player.GetProperties":
            return {"result": {"speed": self.speed}}
        return {"result": {}}

    def told(self, *names):
        """(event, seconds after nine) of the named events, or of all but progress."""
        return [
            (one.event, (one.at_ms - NINE) / SECOND)
            for one in self.events
            if (one.event in names if names else one.event != "progress")
        ]

    def items(self):
        return [one.item for one in self.events if one.event == "play"]

"""An evening before a real Kodi: what is done to it, and what was viewed by the doer's clock and guide."""

import time
from collections import Counter
from typing import NamedTuple

from box_agent.sessions import DWELL_MS
from tests.kodi import media
from tests.kodi.agent import RunningAgent
from tests.kodi.player import Kodi, Screen

FILMS = {
    "Het Testbeeld": (2006, ["Comedy", "Drama"], "film-drama"),
    "Het Toetsbeeld": (2007, ["Documentary"], "news"),
}
CHANNELS = {"een.be": "EEN", "npo1.nl": "NPO1"}
TOPICS = {
    # what the guide says of a programme, and the genre that this is
    "een.be": (
        ("Nieuws", "news"),
        ("Voetbal", "sports"),
        ("Kookprogramma", "leisure"),
        ("Tekenfilm", "children"),
    ),
    "npo1.nl": (("Soap", "film-drama"), ("Quiz", "show"), ("Documentaire", "news"), ("Popmuziek", "music")),
}
BACK_SLOTS = 40


class Viewed(NamedTuple):
    """A stretch of one item, in Unix seconds; `number` is the same before and after a pause."""

    number: int
    kind: str
    genre: str
    start: float
    end: float


class Evening:
    """One Kodi, one agent, and the truth. On every channel programmes last `slot` seconds, `slots` of them.

    One begins `lead` seconds after the guide is written, which is when Kodi has started.
    """

    def __init__(self, folder, slot, slots, lead=0):
        self.folder, self.slot, self._slots, self._lead = folder, slot, slots, lead
        self.truth = []
        self._now, self._number = None, 0
        self.screen = self.kodi = self.agent = None
        self.first = 0
        clip = media.clip(folder)
        stream = media.repeated(clip, folder / "stream.ts", 3600)
        for title, (year, genres, _) in FILMS.items():
            media.film(clip, folder / "films", title, year, genres, 900)
        media.playlist(folder / "tv.m3u", [(i, n, stream) for i, n in CHANNELS.items()], str(stream))

    def begin(self):
        """Start everything; the agent first, as a box does."""
        home = self.folder / "home"
        home.mkdir()
        self.screen = Screen()
        self.kodi = Kodi(home, self.screen, self.folder / "tv.m3u", self.folder / "tv.xml")
        self.agent = RunningAgent(self.folder, self.kodi.port)
        self.kodi.start()
        self.films = self.kodi.add_films(self.folder / "films", len(FILMS))
        self.first = int(time.time()) + self._lead - (BACK_SLOTS + 2) * self.slot
        media.guide(self.folder / "tv.xml", CHANNELS.items(), list(self._programmes()))
        self.kodi.enable_television(len(CHANNELS))
        self.channels = {name: one["channelid"] for name, one in self.kodi.channels().items()}
        self._await_agent()

    def end(self):
        """Stop everything that was started."""
        for one in (self.agent, self.kodi, self.screen):
            if one is not None:
                one.stop()

    # What is done.

    def film(self, title):
        """Play a film of the library."""
        self._open("vod", FILMS[title][2], movieid=self.films[title])

    def channel(self, guide_id):
        """Tune to a channel."""
        self._open("live", guide_id, channelid=self.channels[CHANNELS[guide_id]])

    def zap(self, guide_id):
        """Likewise, by the key."""
        self._close()
        self.kodi.ask("Input.ExecuteAction", action="channelup")
        self._now = self._item("live", guide_id)

    def catch_up(self, guide_id):
        """Play the last programme of a channel that is over."""
        self._close()
        broadcast = self.kodi.past(CHANNELS[guide_id])[-1]
        at = (
            time.mktime(time.strptime(broadcast["starttime"] + " UTC", "%Y-%m-%d %H:%M:%S %Z"))
            - time.timezone
        )
        self._open("catchup", self._topic(guide_id, at)[1], broadcastid=broadcast["broadcastid"])

    def watch(self, seconds):
        """Let time pass."""
        time.sleep(seconds)

    def pause(self, seconds):
        """Pause for so long; what is paused is not viewed."""
        self._toggle()
        before = self._now
        self._close()
        time.sleep(seconds)
        self._toggle()
        self._now = (*before[:3], time.time())

    def fast(self, seconds):
        """Trick play for so long; that is not viewed either."""
        before = self._now
        self.kodi.ask("Player.SetSpeed", playerid=1, speed=4)
        self._close()
        time.sleep(seconds)
        self.kodi.ask("Player.SetSpeed", playerid=1, speed=1)
        self._now = (*before[:3], time.time())

    def seek(self, seconds):
        """Jump."""
        self.kodi.ask("Player.Seek", playerid=1, value={"seconds": seconds})

    def stop(self):
        """Stop playing."""
        self.kodi.ask("Player.Stop", playerid=1)
        self._close()

    def hang(self, seconds):
        """Let Kodi hang right after a sign of life; when it has been given up, somebody starts it again."""
        self.kodi.ask("Application.SetVolume", volume="increment")
        time.sleep(0.2)
        self.kodi.freeze()
        self._close()
        time.sleep(seconds)
        self.kodi.kill()
        self.restart()

    def crash(self):
        """Kill -9."""
        self.kodi.kill()
        self._close()

    def restart(self):
        """Start Kodi again."""
        self.kodi.start()
        self.kodi.await_channels(len(CHANNELS))
        self.channels = {name: one["channelid"] for name, one in self.kodi.channels().items()}
        self._await_agent()

    def left_of_slot(self):
        """Seconds until the next programme begins."""
        return self.slot - (time.time() - self.first) % self.slot

    def watch_until_left(self, seconds):
        """Let time pass until the next programme begins in so many seconds."""
        time.sleep((self.left_of_slot() - seconds) % self.slot)

    # What was viewed, and what the agent says.

    def viewed(self):
        """The truth by item: live stretches are cut where the guide's programmes end; surfing is left out."""
        found = []
        for one in self.truth:
            found += self._cut(one) if one.kind == "live" else [one]
        joined = []
        for one in found:
            if joined and joined[-1][0].number == one.number and one.kind != "live":
                joined[-1].append(one)  # paused, and gone on with
            else:
                joined.append([one])
        return [parts for parts in joined if _seconds(parts) * 1000 >= DWELL_MS]

    def differences(self, seconds):
        """Sentences on each item in which the agent's sessions differ by more than so many seconds."""
        told = self.agent.sessions()
        wanted = self.viewed()
        lines = (
            [f"{len(wanted)} items were viewed, the agent has {len(told)}"]
            if len(told) != len(wanted)
            else []
        )
        for parts, one in zip(wanted, told, strict=False):
            says = (one.item.kind, one.item.genre_name(), one.viewed_ms() / 1000, one.stretches[0][0] / 1000)
            was = (parts[0].kind, parts[0].genre, _seconds(parts), parts[0].start)
            if says[:2] != was[:2] or any(
                abs(a - b) > seconds for a, b in zip(says[2:], was[2:], strict=True)
            ):
                lines.append(f"viewed {was}, the agent says {says}")
        return lines

    def minute_differences(self):
        """Clock minutes by genre: the truth's, and the agent's where they differ."""
        truth, told = Counter(self._minutes()), Counter(one.genre for one in self.agent.minutes())
        return {name: (truth[name], told[name]) for name in truth | told if abs(truth[name] - told[name]) > 0}

    def _minutes(self):
        shares = {}
        for parts in self.viewed():
            for one in parts:
                for number in range(int(one.start // 60), int(one.end // 60) + 1):
                    seconds = min(one.end, number * 60 + 60) - max(one.start, number * 60)
                    shares.setdefault(number, Counter())[id(parts), one.genre] += seconds
        for number in sorted(shares):
            if sum(shares[number].values()) >= 30:
                yield max(shares[number], key=shares[number].get)[1]

    def _await_agent(self):
        until = time.monotonic() + 30
        while not self.agent.ask(op="status")["result"]["sources"]["kodi"]["connected"]:
            assert time.monotonic() < until
            time.sleep(0.1)

    def _open(self, kind, what, **item):
        self._close()
        self.kodi.ask("Player.Open", item=item)
        self._now = self._item(kind, what)

    def _item(self, kind, what):
        self._number += 1
        return self._number, kind, what, self._pictured()

    def _pictured(self):
        """Wait until Kodi plays: whoever sits there counts from the picture."""
        until = time.monotonic() + 15
        while time.monotonic() < until:
            found = self.kodi.ask("Player.GetActivePlayers")
            if found:
                return time.time()
            time.sleep(0.05)
        raise AssertionError("no picture")

    def _close(self):
        now, self._now = self._now, None
        if now is not None:
            self.truth.append(Viewed(*now, time.time()))

    def _toggle(self):
        self.kodi.ask("Player.PlayPause", playerid=1)

    def _programmes(self):
        for guide_id in CHANNELS:
            for number in range(BACK_SLOTS + self._slots):
                start = self.first + number * self.slot
                word, _ = self._topic(guide_id, start)
                yield guide_id, start, start + self.slot, f"{word} {number}", [word]

    def _topic(self, guide_id, at):
        topics = TOPICS[guide_id]
        return topics[int((at - self.first) // self.slot) % len(topics)]

    def _cut(self, one):
        start = one.start
        while start < one.end:
            number = (start - self.first) // self.slot
            end = min(one.end, self.first + (number + 1) * self.slot)
            yield Viewed(one.number, "live", self._topic(one.genre, start)[1], start, end)
            start = end


def _seconds(parts):
    return sum(one.end - one.start for one in parts)

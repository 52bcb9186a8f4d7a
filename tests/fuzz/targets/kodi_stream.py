"""What Kodi says on its socket: `box_agent.sources`, from bytes to what the agent believes.

A part is bytes that arrive, or one of these: `@chunk N` (in what pieces bytes arrive), `@wait MS`, `@film N`,
`@channel N`, `@speed N`, `@stop`, `@volume` (what somebody does; Kodi tells it), `@drop` (the connection is
lost and made again), `@mute` (no further question is answered), `@on JSON` (what is answered to be on).

Where nothing but what somebody does, and messages that mean nothing, is in the input, the minutes have to be
those that were viewed, to the millisecond. Whatever is in it, they lie within the time that has passed, every
event is of the form that docs/box.md gives, and what is waited for stays bounded.
"""

import json
from contextlib import suppress
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random

from box_agent.events import pack, read_event
from box_agent.guide.categories import Categories
from box_agent.sources.json_stream import JsonStream
from box_agent.sources.kodi_item import KodiItems
from box_agent.sources.kodi_player import KodiPlayer
from box_agent.sources.reporter import Reporter
from shared.clock import to_ms
from tests.box_agent.fakes import ZONE
from tests.fuzz.boxes import STARTS, FuzzBox, fuzz_box
from tests.fuzz.engine import Fault, Parts
from tests.fuzz.kodi_world import PICTURE_MS, KodiWorld, channel, film
from tests.fuzz.mutations import damaged, encoded, scrambled

MOST_WAIT_MS = 170 * 60_000
"""All waits of an input together: below the three hours after which nobody is taken to be there."""
MOST_OPEN = 64
"""Questions that wait for an answer at once."""
MOST_EVENTS = 2_000
_RECORDED = Path(__file__).parents[2] / "box_agent" / "data" / "kodi_session.jsonl"
_ACTS = (
    b"@film 1",
    b"@film 2",
    b"@channel 1",
    b"@channel 2",
    b"@speed 0",
    b"@speed 1",
    b"@speed 4",
    b"@stop",
)
_MEANINGLESS = (
    b'{"jsonrpc":"2.0","method":"GUI.OnScreensaverActivated","params":{"data":{}}}',
    b'{"jsonrpc":"2.0","method":"VideoLibrary.OnUpdate","params":{"data":{"item":{"id":7,"type":"movie"}}}}',
    b'{"jsonrpc":"2.0","method":"Player.OnAVChange","params":{"data":{"item":{"id":1,"type":"movie"}}}}',
    b'{"id":99999,"jsonrpc":"2.0","result":{"item":{"id":5,"type":"movie","label":"x"}}}',
    b'{"method":5}',
    b'{"method":"Player.OnPlay"',
    b"{}",
    b"  \r\n",
    b"nonsense",
    b'{"a":"}{"}',
    b'{"a":"\\"}{"}',
    b"{]",
    b'{"x":' + b"[" * 80 + b"]" * 80 + b"}",
    b'{"n":1e999}',
)
_WHOLE = tuple(one for one in _MEANINGLESS if one.count(b"{") == one.count(b"}") or b'"}{"' in one)
_TIMES = ("9999-12-31 23:59:59", "0001-01-01 00:00:00", "2026-10-05 04:00:00", "", "20261005", "x")
_PATHS = ("pvr://guide/0001/2026-10-05 04:00:00.epg", "pvr://recordings/tv/a_20261005_040000.ts", "/a", "")


class KodiStream:
    """Sessions from what a household does to what no Kodi would say."""

    name = "kodi"

    def draw(self, random: Random) -> list[bytes]:
        """See `Target`."""
        wild = random.random() < 0.6
        parts = [b"@chunk %d" % random.choice((1, 3, 50, 10**6))]
        for _ in range(random.choice((3, 10, 25))):
            choice = random.random()
            if choice < 0.4:
                parts.append(random.choice(_ACTS))
            elif choice < 0.7:
                parts.append(b"@wait %d" % random.choice((200, 5_000, 15_000, 61_000, 700_000, 3_000_000)))
            elif choice < 0.75:
                parts.append(b"@volume")
            elif wild:
                parts.append(_wild(random))
            else:
                parts.append(random.choice(_WHOLE))
        return parts

    def run(self, parts: Parts) -> None:
        """See `Target`."""
        with fuzz_box(STARTS[0]) as box:
            _Watch(box).live(parts)


def _wild(random: Random) -> bytes:
    choice = random.random()
    if choice < 0.1:
        return random.choice((b"@drop", b"@mute", *_MEANINGLESS))
    if choice < 0.4:
        item = _item(random)
        return b"@on " + encoded(damaged(item, random) if random.random() < 0.7 else item, random)
    message = random.choice(_messages()) if random.random() < 0.6 else _answer(random)
    for _ in range(random.choice((0, 1, 1, 3))):
        message = damaged(message, random)
    raw = encoded(message, random)
    return (scrambled(raw, random) if random.random() < 0.2 else raw).lstrip(b"@")


def _answer(random: Random) -> dict[str, object]:
    """An answer to one of the first questions, whatever that was."""
    speed = {"speed": random.choice((0, 1, 2))}
    results: tuple[object, ...] = ({"item": _item(random)}, [{"type": "video"}], [], speed)
    return {"id": random.randrange(1, 12), "jsonrpc": "2.0", "result": random.choice(results)}


def _item(random: Random) -> dict[str, object]:
    """What Kodi may say is on."""
    return {
        "id": random.choice((1, 2, 2, -1, 0, 10**200, "x" * 200, [])),
        "type": random.choice(("channel", "movie", "unknown", "song", "episode", "musicvideo")),
        "label": "x",
        "channel": "TV 1",
        "genre": random.choice((["News"], [], "News", ["x" * 300])),
        "starttime": random.choice(_TIMES),
        "endtime": random.choice(_TIMES),
        "mediapath": random.choice(_PATHS),
    }


@cache
def _messages() -> list[dict[str, object]]:
    """What a real Kodi said in the recorded session."""
    lines = (json.loads(line) for line in _RECORDED.read_text().splitlines())
    return [line["msg"] for line in lines if line["dir"] == "recv"]


class _Watch:
    """One input, played to a source that is held as `box_agent.sources.kodi` holds it, but for the socket."""

    def __init__(self, box: FuzzBox) -> None:
        self._box = box
        self._world = KodiWorld()
        self._reporter = Reporter(box.door.report)
        self._began_ms = self._heard_ms = self._now()
        self._waited_ms = 0
        self._events = 0
        self._chunk = 10**6
        self._muted = self._wild = False
        self._connect()

    def live(self, parts: Parts) -> None:
        for part in parts:
            if part.startswith(b"@"):
                self._happen(*part.partition(b" ")[::2])
            else:
                self._wild |= part not in _WHOLE
                self._hear(part)
        self._check()

    def _happen(self, word: bytes, told: bytes) -> None:
        number = int(told) if told.removeprefix(b"-").isdigit() and len(told) < 9 else 0
        world, now = self._world, self._now()
        if word == b"@chunk":
            self._chunk = max(1, number)
        elif word == b"@wait":
            self._wait(max(0, number))
        elif word in {b"@film", b"@channel"}:
            self._hear(world.intend((film if word == b"@film" else channel)(number), now))
            self._wait(PICTURE_MS)
            self._hear(world.picture(self._now()))
        elif word == b"@speed":
            self._hear(world.run_at(number, now))
        elif word == b"@stop":
            self._hear(world.stop(now))
        elif word == b"@volume":
            self._hear(b'{"jsonrpc":"2.0","method":"Application.OnVolumeChanged","params":{"data":{}}}')
        else:
            self._wild = True
            self._muted |= word == b"@mute"
            if word == b"@on":
                self._put_on(told)
            self._lose() if word == b"@drop" else None

    def _put_on(self, told: bytes) -> None:
        """Have Kodi answer with this, as far as it is anything."""
        with suppress(ValueError, RecursionError):
            self._world.on = json.loads(told)
            self._wait(PICTURE_MS)
            self._hear(b'{"jsonrpc":"2.0","method":"Player.OnAVStart","params":{"data":{}}}')

    def _wait(self, span_ms: int) -> None:
        """Let time pass; what is due meanwhile is asked at its moment."""
        span_ms = min(span_ms, MOST_WAIT_MS - self._waited_ms)
        self._waited_ms += span_ms
        until = self._now() + span_ms
        while (due := self._player.due_ms()) <= until:
            self._box.clock.advance(timedelta(milliseconds=max(1, due - self._now())))
            if self._now() >= until:
                break
            self._turn()
        self._box.clock.advance(timedelta(milliseconds=max(0, until - self._now())))

    def _hear(self, raw: bytes) -> None:
        for at in range(0, len(raw), self._chunk):
            self._heard_ms = self._now()
            for message in self._stream.feed(raw[at : at + self._chunk]):
                self._player.take(message, self._now())
        self._turn()

    def _turn(self) -> None:
        """What the connection does after it has heard something, or waited long enough."""
        if self._player.gone(self._now()):
            self._lose()
        self._player.tick(self._now())
        while not self._muted and (questions := self._player.questions.unsent()):
            for question in questions:
                answer = json.dumps(self._world.answer(question)).encode()
                for message in JsonStream().feed(answer):
                    self._player.take(message, self._now())
        self._tell()

    def _connect(self) -> None:
        self._stream = JsonStream()
        self._player = KodiPlayer(_items())
        self._player.connected(self._now())
        self._turn()

    def _lose(self) -> None:
        self._player.lost(self._heard_ms)
        self._tell()
        self._connect()

    def _tell(self) -> None:
        for event in self._player.events():
            self._events += 1
            if read_event(pack(event)) != event:
                raise Fault("an event is not what it is read as", repr(event))
            if not self._began_ms <= (event.at_ms or 0) <= self._now():
                raise Fault("an event lies outside the time that has passed", repr(event))
            self._reporter(event)
        if len(self._player.questions._open) > MOST_OPEN or self._events > MOST_EVENTS:
            raise Fault("what is waited for grows without bound")

    def _check(self) -> None:
        found = [one.viewed_ms() for one in self._box.door.believed()]
        if sum(found) > self._now() - self._began_ms:
            raise Fault("more is viewed than time has passed", str(found))
        counts = self._reporter.counts()
        if counts.get("failed") or counts.get("refused"):
            raise Fault("the agent cannot take what the source tells", str(counts))
        wanted = self._world.truth(self._now())
        if not self._wild and found != wanted:
            raise Fault("wrong minutes", f"{found} where {wanted} was viewed")

    def _now(self) -> int:
        return to_ms(self._box.clock.now())


@cache
def _items() -> KodiItems:
    return KodiItems(Categories(), ZONE, b"key")

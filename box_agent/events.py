"""What the box's player tells the agent, in the shape of Firebolt's media events; see docs/box.md."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from shared.errors import StbError
from shared.genres import GENRES, detail_of_dvb, general_detail, genre_of_dvb
from shared.named import Milliseconds

MAX_EVENT = 4096


class BadEventError(StbError):
    """An event of another form than docs/box.md says; nothing was recorded."""


class Item(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is played. `ref` tells two items apart on this box; it is deleted with the week.

    `genre` is a DVB content descriptor byte or the name of a viewing genre. `channel` is the guide's id of a
    channel: where the guide knows what was on, its genre counts instead.
    """

    kind: Literal["live", "recording", "catchup", "vod"]
    genre: Annotated[int, Meta(ge=0, le=255)] | Annotated[str, Meta(max_length=32)] = "other"
    broadcast_day: date | None = None
    ref: Annotated[str, Meta(max_length=128)] = ""
    channel: Annotated[str, Meta(max_length=128)] = ""

    def __post_init__(self) -> None:
        if isinstance(self.genre, str) and self.genre not in GENRES:
            raise ValueError(f"no genre {self.genre!r}")

    def genre_name(self) -> str:
        """Its viewing genre, one of `shared.genres.GENRES`."""
        return genre_of_dvb(self.genre) if isinstance(self.genre, int) else self.genre

    def detail_name(self) -> str:
        """Its detail, one of `shared.genres.DETAILS`; a name tells its genre in general only."""
        return detail_of_dvb(self.genre) if isinstance(self.genre, int) else general_detail(self.genre)


EventName = Literal[
    "play", "pause", "resume", "rate", "seek", "stop", "tune", "standby", "wake", "key", "progress"
]


class Event(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One event. `by` is "box" where the software acted by itself: the next programme, the next episode.

    `seq` is the player's own counter, if it has one: it puts events of one millisecond in order.
    """

    v: Literal[1] = 1
    event: EventName
    at_ms: Milliseconds | None = None
    seq: Annotated[int, Meta(ge=0, le=2**53)] = 0
    item: Item | None = None
    rate: float | None = None
    tuner: Annotated[str, Meta(max_length=32)] = ""
    by: Literal["user", "box"] = "user"

    def __post_init__(self) -> None:
        if self.event == "play" and self.item is None:
            raise ValueError("play needs an item")
        if self.event == "rate" and self.rate is None:
            raise ValueError("rate needs a rate")


_ONE = msgspec.json.Decoder(Event)
_MANY = msgspec.json.Decoder(list[Event])
_ENCODER = msgspec.json.Encoder()
# A zap that reports "stop" and "play" in one millisecond must not end what it began.
_RANKS = {"stop": 0, "standby": 1, "wake": 2, "play": 3, "tune": 4}


def read_event(raw: bytes | dict[str, object]) -> Event:
    """Read one event, strictly.

    Raises:
        BadEventError: unknown field, name or genre, a missing item or rate, or a value out of bounds.
    """
    try:
        if isinstance(raw, dict):
            return msgspec.convert(raw, Event)
        if len(raw) > MAX_EVENT:
            raise BadEventError(f"an event has at most {MAX_EVENT} bytes")
        return _ONE.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadEventError(str(error)) from error


def ordered_before(event: Event) -> tuple[int, int, int, bytes]:
    """What events are sorted by: time, the player's counter, then ends before beginnings."""
    return event.at_ms or 0, event.seq, _RANKS.get(event.event, len(_RANKS)), _ENCODER.encode(event)


def pack(event: Event) -> bytes:
    """The form in which an event is stored."""
    return _ENCODER.encode(event)


def unpack(stored: list[bytes]) -> list[Event]:
    """Stored events again; one decoding for all, since a week has hundreds."""
    return _MANY.decode(b"[" + b",".join(stored) + b"]")

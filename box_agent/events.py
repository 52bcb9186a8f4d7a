"""What the box's player tells the agent, in the shape of Firebolt's media events; see docs/box.md.

Read by hand and not with msgspec: an agent takes events before it has imported that. See `box_agent.lean`.
"""

from __future__ import annotations

import json
from datetime import date

from box_agent.lean import NamedTuple
from shared.errors import StbError
from shared.genres import GENRES, detail_of_dvb, general_detail, genre_of_dvb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_EVENT = 4096
KINDS = ("live", "recording", "catchup", "vod")
EVENTS = ("play", "pause", "resume", "rate", "seek", "stop", "tune", "standby", "wake", "key", "progress")
ALIVE = "alive"
"""The recorder's own event: something is on as far as it knows. No player can tell it."""
BY_USER, BY_BOX = "user", "box"
_BY = (BY_USER, BY_BOX)
_VERSION = 1
_LAST_MS = 253402300799999
"""The end of the year 9999, as `shared.named.Milliseconds` has it."""
_MAX_SEQ = 2**53
_MAX_BYTE = 255
_MAX_REF = 128
_MAX_TUNER = 32
_MAX_RATE = 1024
SILENCE_MS = 5 * 60_000
"""A player that reports progress each minute and is silent for longer than this is gone."""


class BadEventError(StbError):
    """An event of another form than docs/box.md says; nothing was recorded."""


class Item(NamedTuple):
    """What is played. `ref` tells two items apart on this box; it is deleted with the week.

    `genre` is a DVB content descriptor byte or the name of a viewing genre. `channel` is the guide's id of a
    channel: where the guide knows what was on, its genre counts instead.
    """

    kind: str
    genre: int | str = "other"
    broadcast_day: date | None = None
    ref: str = ""
    channel: str = ""

    def genre_name(self) -> str:
        """Its viewing genre, one of `shared.genres.GENRES`."""
        return genre_of_dvb(self.genre) if isinstance(self.genre, int) else self.genre

    def detail_name(self) -> str:
        """Its detail, one of `shared.genres.DETAILS`; a name tells its genre in general only."""
        return detail_of_dvb(self.genre) if isinstance(self.genre, int) else general_detail(self.genre)


class Event(NamedTuple):
    """One event. `by` is "box" where the software acted by itself: the next programme, the next episode.

    `at_ms` is Unix milliseconds; `seq` is the player's own counter, if it has one: it puts events of one
    millisecond in order.
    """

    event: str
    at_ms: int | None = None
    seq: int = 0
    item: Item | None = None
    rate: float | None = None
    tuner: str = ""
    by: str = BY_USER


# A zap that reports "stop" and "play" in one millisecond must not end what it began.
_RANKS = {"stop": 0, "standby": 1, "wake": 2, "play": 3, "tune": 4}


def read_event(raw: object) -> Event:
    """Read one event, strictly: its JSON, or what that holds.

    Raises:
        BadEventError: unknown field, name or genre, a missing item or rate, or a value out of bounds.
    """
    if isinstance(raw, bytes):
        if len(raw) > MAX_EVENT:
            raise BadEventError(f"an event has at most {MAX_EVENT} bytes")
        raw = read_json(raw)
    try:
        return _event(_fields(raw, _EVENT_FIELDS, "an event"))
    except UnicodeEncodeError as error:
        raise BadEventError("a text is no Unicode") from error


def read_json(raw: bytes) -> object:
    """JSON (RFC 8259), without the infinities and lone surrogates that Python's reader lets pass.

    Raises:
        BadEventError: it is none.
    """
    try:
        return json.loads(raw.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise BadEventError(str(error)) from error


def ordered_before(event: Event) -> tuple[int, int, int, bytes]:
    """What events are sorted by: time, the player's counter, then ends before beginnings."""
    return event.at_ms or 0, event.seq, _RANKS.get(event.event, len(_RANKS)), pack(event)


def as_told(event: Event) -> dict[str, object]:
    """An event as a player would tell it: JSON's own types, defaults left out."""
    found = _without_defaults(event, _EVENT_DEFAULTS)
    if event.item is not None:
        item = _without_defaults(event.item, _ITEM_DEFAULTS)
        if event.item.broadcast_day is not None:
            item["broadcast_day"] = event.item.broadcast_day.isoformat()
        found["item"] = item
    return found


def pack(event: Event) -> bytes:
    """The form in which an event is stored."""
    return json.dumps(as_told(event), separators=(",", ":")).encode()


def unpack(stored: Iterable[bytes]) -> list[Event]:
    """Stored events again; one reading for all, since a week has hundreds."""
    return [_stored(found) for found in json.loads(b"[" + b",".join(stored) + b"]")]


def _stored(found: dict[str, object]) -> Event:
    # Checked before it was stored; older versions stored `v` too.
    found.pop("v", None)
    item = found.get("item")
    if isinstance(item, dict):
        if "broadcast_day" in item:
            item["broadcast_day"] = date.fromisoformat(item["broadcast_day"])
        found["item"] = Item(**item)
    return Event(**found)  # type: ignore[arg-type] # as `pack` wrote it


def _without_defaults(one: Event | Item, defaults: dict[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in zip(one._fields, one, strict=True)
        if value != defaults.get(name, _NONE)
    }


_NONE = object()
_EVENT_DEFAULTS: dict[str, object] = dict(Event._field_defaults)
_ITEM_DEFAULTS: dict[str, object] = dict(Item._field_defaults)


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is no number")


def _fields(raw: object, readers: dict[str, Callable[[object], object]], what: str) -> dict[str, object]:
    if not isinstance(raw, dict):
        raise BadEventError(f"{what} is an object")
    found = {}
    for name, value in raw.items():
        reader = readers.get(name)
        if reader is None:
            raise BadEventError(f"{what} has no {name!r:.40}")
        try:
            found[name] = reader(value)
        except _WrongError as error:
            raise BadEventError(f"{name}: {error}") from None
    return found


def _event(found: dict[str, object]) -> Event:
    found.pop("v", None)
    if "event" not in found:
        raise BadEventError("an event has a name")
    event = Event(**found)  # type: ignore[arg-type] # each was read by its reader
    if event.event == "play" and event.item is None:
        raise BadEventError("play needs an item")
    if event.event == "rate" and event.rate is None:
        raise BadEventError("rate needs a rate")
    return event


class _WrongError(Exception):
    """A value of another form; told with the name of its field."""


def _one_of(allowed: tuple[object, ...]) -> Callable[[object], object]:
    def read(value: object) -> object:
        if type(value) is not type(allowed[0]) or value not in allowed:
            raise _WrongError(f"is one of {', '.join(map(str, allowed))}")
        return value

    return read


def _whole(most: int, *, maybe: bool = False) -> Callable[[object], object]:
    def read(value: object) -> object:
        if maybe and value is None:
            return None
        if type(value) is not int or not 0 <= value <= most:
            raise _WrongError(f"is a whole number from 0 to {most}")
        return value

    return read


def _text(most: int) -> Callable[[object], object]:
    def read(value: object) -> object:
        if not isinstance(value, str) or len(value) > most:
            raise _WrongError(f"is a text of at most {most} characters")
        value.encode()
        return value

    return read


def _rate(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or type(value) is bool or not -_MAX_RATE <= value <= _MAX_RATE:
        raise _WrongError(f"is a number from -{_MAX_RATE} to {_MAX_RATE}")
    return float(value)


def _genre(value: object) -> object:
    if type(value) is int and 0 <= value <= _MAX_BYTE:
        return value
    if not isinstance(value, str) or value not in GENRES:
        raise _WrongError("is a DVB byte or the name of a viewing genre")
    return value


def _day(value: object) -> date | None:
    if value is None:
        return None
    try:
        # The one form of RFC 3339; `fromisoformat` takes others too.
        if isinstance(value, str) and len(value) == len("2006-01-01") and value[4] == value[7] == "-":
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise _WrongError("is a date such as 2006-01-31")


def _item(value: object) -> Item | None:
    if value is None:
        return None
    found = _fields(value, _ITEM_FIELDS, "an item")
    if "kind" not in found:
        raise BadEventError("an item has a kind")
    return Item(**found)  # type: ignore[arg-type] # each was read by its reader


_ITEM_FIELDS: dict[str, Callable[[object], object]] = {
    "kind": _one_of(KINDS),
    "genre": _genre,
    "broadcast_day": _day,
    "ref": _text(_MAX_REF),
    "channel": _text(_MAX_REF),
}
_EVENT_FIELDS: dict[str, Callable[[object], object]] = {
    "v": _one_of((_VERSION,)),
    "event": _one_of(EVENTS),
    "at_ms": _whole(_LAST_MS, maybe=True),
    "seq": _whole(_MAX_SEQ),
    "item": _item,
    "rate": _rate,
    "tuner": _text(_MAX_TUNER),
    "by": _one_of(_BY),
}

"""What Kodi says it plays, as an item of viewing. Pure.

Measured with Kodi 20.1: `Player.GetItem` gives a live channel the programme's genre, start and end, and
moves on to the next by itself; catch-up and recordings are told by the path that they were opened from; all
of Kodi's times there are UTC.
"""

import re
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from box_agent.events import Item
from box_agent.guide.categories import UNDEFINED, Categories
from shared.clock import to_ms
from shared.weeks import viewing_day

ASKED = ("genre", "file", "mediapath", "channel", "channeltype", "starttime", "endtime")
"""The properties to ask `Player.GetItem` for."""
_FORM = "%Y-%m-%d %H:%M:%S"
_CATCHUP_PLAYER = -1
"""The number of the player in the notifications of some catch-up; where there is no path, it has to do."""
_GUIDE, _RECORDINGS = "pvr://guide/", "pvr://recordings/"
_RECORDED_AT = re.compile(r"(\d{8})_(\d{6})")
_MUSIC_VIDEO = 0x60
_MAX_CHANNEL = 128
_MOST_NUMBER = 2**53
_LAST_YEAR = 9998
"""A moment in the year after has no local time everywhere, and nobody recorded anything then."""
_NOT_VIEWING = frozenset({"song", "picture"})


class Shown(NamedTuple):
    """An item on the screen; of a live one its programme's bounds in Unix milliseconds, 0 if not known."""

    item: Item
    starts_ms: int = 0
    ends_ms: int = 0
    channel: str = ""


class KodiItems:
    """Kodi's answers to items. `key` is secret chance: it makes references that tell nothing of a file."""

    def __init__(self, categories: Categories, zone: ZoneInfo, key: bytes) -> None:
        self._categories = categories
        self._zone = zone
        self._key = key

    def shown(self, told: dict[str, Any]) -> Shown | None:
        """The item of an answer of `Player.GetItem`; None if it is no viewing: music, pictures, radio."""
        kind = _text(told, "type")
        if kind in _NOT_VIEWING or _text(told, "channeltype") == "radio":
            return None
        if kind == "channel":
            return self._live(told)
        path = _text(told, "mediapath") or _text(told, "file")
        if path.startswith(_GUIDE) or (not path and told.get("playerid") == _CATCHUP_PLAYER):
            return Shown(self._later("catchup", told, path))
        if path.startswith(_RECORDINGS):
            return Shown(self._later("recording", told, path))
        return Shown(self._from_library(kind, told, path))

    def _live(self, told: dict[str, Any]) -> Shown:
        starts_ms, ends_ms = _ms(told, "starttime"), _ms(told, "endtime")
        number, label = _number(told), _text(told, "channel") or _text(told, "label")
        channel = f"ch{self._ref(label) if number is None else number}"
        code = self._categories.code(_texts(told, "genre"))
        # Without a genre of Kodi's own our guide is asked, by the only name of the channel that Kodi tells.
        name = label[:_MAX_CHANNEL]
        asked = "" if code else name
        if not starts_ms < ends_ms:
            return Shown(Item(kind="live", genre=code, ref=channel, channel=asked), channel=name)
        ref = f"{channel}@{starts_ms // 1000}"
        return Shown(Item(kind="live", genre=code, ref=ref, channel=asked), starts_ms, ends_ms, name)

    def _later(self, kind: Literal["catchup", "recording"], told: dict[str, Any], path: str) -> Item:
        starts_ms = _ms(told, "starttime") or _ms_in(path)
        day = viewing_day(datetime.fromtimestamp(starts_ms / 1000, UTC), self._zone) if starts_ms else None
        code = self._categories.code(_texts(told, "genre"))
        return Item(kind=kind, genre=code, broadcast_day=day, ref=self._ref(path or _text(told, "label")))

    def _from_library(self, kind: str, told: dict[str, Any], path: str) -> Item:
        number, texts = _number(told), _texts(told, "genre")
        if kind == "movie":
            code = self._categories.film_code(texts)
        else:
            code = self._categories.code(texts) if texts else UNDEFINED
        if kind == "musicvideo":
            code = code or _MUSIC_VIDEO
        known = number is not None and kind not in {"", "unknown"}
        ref = f"{kind[:16]}-{number}" if known else self._ref(f"{path}\n{_text(told, 'label')}")
        return Item(kind="vod", genre=code, ref=ref)

    def _ref(self, text: str) -> str:
        return blake2b(text.encode("utf-8", "surrogatepass"), key=self._key, digest_size=8).hexdigest()


def _number(told: dict[str, Any]) -> int | None:
    """Kodi's number for it, if it is one: a reference is short, whatever a player says."""
    found = told.get("id")
    return found if isinstance(found, int) and 0 < found < _MOST_NUMBER else None


def _text(told: dict[str, Any], name: str) -> str:
    found = told.get(name)
    return found if isinstance(found, str) else ""


def _texts(told: dict[str, Any], name: str) -> list[str]:
    found = told.get(name)
    listed = found if isinstance(found, list) else [found]
    return [one for one in listed if isinstance(one, str)]


def _ms(told: dict[str, Any], name: str) -> int:
    return _parsed(_text(told, name), _FORM)


def _ms_in(path: str) -> int:
    """When a recording was made, from its path; the last moment in it counts."""
    found = _RECORDED_AT.findall(path)
    return _parsed("".join(found[-1]), "%Y%m%d%H%M%S") if found else 0


def _parsed(text: str, form: str) -> int:
    try:
        at = datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return 0
    return max(0, to_ms(at)) if at.year <= _LAST_YEAR else 0

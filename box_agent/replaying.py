"""`box-agent replay FILE`: what a recorded session of a player amounts to. Needs no agent and no settings."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from box_agent.guide.categories import Categories
from box_agent.sessions import clock_minutes, viewing_sessions
from box_agent.sources.kodi_item import KodiItems
from box_agent.sources.kodi_player import KodiPlayer
from box_agent.sources.replay import BadRecordingError, replay
from shared.clock import from_ms
from shared.errors import StbError

_KEY = b"recorded"  # references are not shown, so that nobody need keep it


class UnknownZoneError(StbError):
    """There is no such time zone."""


def replayed(path: Path, zone_name: str) -> dict[str, Any]:
    """The viewing sessions of a recording, and its clock minutes by genre.

    Raises:
        BadRecordingError: the file cannot be read, or a line is of another form.
        UnknownZoneError: no time zone of that name.
    """
    zone = _zone(zone_name)
    player = KodiPlayer(KodiItems(Categories(), zone, _KEY), asking=False)
    events = list(replay(_lines(path), player))
    end_ms = max((now_ms for now_ms, _ in events), default=0)
    sessions = viewing_sessions([event for _, event in events], end_ms)
    minutes = Counter(minute.genre for minute in clock_minutes(sessions, zone))
    return {
        "sessions": [
            {
                "from": from_ms(one.stretches[0][0]).astimezone(zone).isoformat(timespec="seconds"),
                "kind": one.item.kind,
                "genre": one.item.genre_name(),
                "minutes": round(one.viewed_ms() / 60_000, 1),
            }
            for one in sessions
            if one.stretches
        ],
        "clock_minutes": dict(minutes.most_common()),
    }


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from file
    except OSError as error:
        raise BadRecordingError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadRecordingError(f"{path} is not UTF-8") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownZoneError(f"no time zone {name!r}") from error

"""Alarms that stand on the box until somebody looks; each path has its own, none is sent anywhere."""

from datetime import datetime

from box_agent.store import Door
from shared.clock import to_ms

_RAISE = {
    "named": "INSERT INTO named_alarms VALUES (?, ?, ?, 1) ON CONFLICT (name)"
    " DO UPDATE SET last_ms = excluded.last_ms, times = times + 1",
    "anonymous": "INSERT INTO anonymous_alarms VALUES (?, ?, ?, 1) ON CONFLICT (name)"
    " DO UPDATE SET last_ms = excluded.last_ms, times = times + 1",
}
_STANDING = {
    "named": "SELECT name FROM named_alarms ORDER BY name",
    "anonymous": "SELECT name FROM anonymous_alarms ORDER BY name",
}


class Alarms:
    """One path's alarms, by name: `named` or `anonymous`."""

    def __init__(self, door: Door, path: str) -> None:
        self._door = door
        self._path = path

    def sound(self, name: str, at: datetime) -> None:
        """Raise an alarm; one that stands already is counted."""
        self._door.write(_RAISE[self._path], (name, to_ms(at), to_ms(at)))

    def standing(self) -> list[str]:
        """The names of all alarms."""
        return [name for (name,) in self._door.rows(_STANDING[self._path])]

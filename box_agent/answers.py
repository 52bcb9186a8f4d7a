"""The agent's answers as a person reads them: tables and sentences in the household's language.

What has no form of its own here is told by its fields, one a line, so that nothing is kept back.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from box_agent.phrases import Phrases, phrases_of
from shared.clock import from_ms
from shared.words import words_of

_GAP = "  "
_CENTS = 100


class Reader:
    """Whom an answer is told to: in which language, and in which zone the clock on the wall is."""

    def __init__(self, language: str, zone: ZoneInfo) -> None:
        self.language = language
        self.phrases: Phrases = phrases_of(language)
        self._zone = zone

    def told(self, op: str, result: Any) -> str:  # noqa: ANN401 (whatever the operation answers)
        """An operation's result in words."""
        tell = _TELL.get(op)
        return tell(self, result) if tell else self.fields(result)

    def refused(self, name: str, detail: str) -> str:
        """A refusal: a sentence, then its name and its detail for whoever looks after the box."""
        sentence = self.phrases.error(name)
        return f"{sentence} ({name}: {detail})" if sentence else f"{name}: {detail}"

    def fields(self, found: object, indent: str = "") -> str:
        """Any answer, field by field."""
        if isinstance(found, dict):
            return "\n".join(self._field(name, value, indent) for name, value in found.items())
        if isinstance(found, list):
            return "\n\n".join(self.fields(one, indent) for one in found) or indent + self.value("", None)
        return indent + self.value("", found)

    def value(self, name: str, found: object) -> str:
        """One value, as it is written here."""
        if found is None or isinstance(found, bool):
            return self.phrases.state({True: "yes", False: "no", None: "none"}[found])
        if isinstance(found, int) and name.endswith("_ms"):
            return self.time(found)
        return self._iso(found) if isinstance(found, str) else str(found)

    def time(self, at_ms: int) -> str:
        """An instant by the clock on the wall."""
        return f"{from_ms(at_ms).astimezone(self._zone):%Y-%m-%d %H:%M}"

    def table(self, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
        """Rows under their heads, in columns."""
        lines = [[self.phrases.label(head) for head in heads], *(list(row) for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            _GAP.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    def _field(self, name: str, value: object, indent: str) -> str:
        label = indent + self.phrases.label(name)
        if isinstance(value, dict | list) and value:
            return f"{label}:\n{self._nested(name, value, indent + _GAP)}"
        return f"{label}: {self.value(name, value or None if isinstance(value, dict | list) else value)}"

    def _nested(self, name: str, value: dict[str, object] | list[object], indent: str) -> str:
        if name == "alarms" and isinstance(value, list):
            return "\n".join(indent + self.phrases.alarm(str(one)) for one in value)
        return self.fields(value, indent)

    def _iso(self, found: str) -> str:
        try:
            instant = datetime.fromisoformat(found)
        except ValueError:
            return self.phrases.state(found)
        # A day or a week is no instant, and is written as it is.
        return found if instant.tzinfo is None else f"{instant.astimezone(self._zone):%Y-%m-%d %H:%M}"


def _consent(reader: Reader, found: dict[str, Any]) -> str:
    name = "consent_given" if found["granted"] else "consent_withdrawn"
    if not found["granted"] and not found["since_ms"]:
        name = "consent_refused"
    times = {"since": reader.time(found["since_ms"]), "reminded": reader.time(found["reminded_ms"])}
    return reader.phrases.sentences[name].format(notice=found["notice"], **times)


def _recorded(reader: Reader, found: dict[str, list[dict[str, Any]]]) -> str:
    sentences = reader.phrases.sentences
    parts = []
    if found["viewed"]:
        rows = [(one["day"], str(one["minutes"]), one["words"]) for one in found["viewed"]]
        parts.append(f"{sentences['viewed']}\n\n{reader.table(('day', 'minutes', 'what'), rows)}")
    if found["ordered"]:
        rows_ordered = [(one["day"], one["words"]) for one in found["ordered"]]
        parts.append(f"{sentences['ordered']}\n\n{reader.table(('day', 'what'), rows_ordered)}")
    return "\n\n".join(parts) or sentences["nothing_recorded"]


def _waiting(reader: Reader, found: dict[str, list[dict[str, Any]]]) -> str:
    sentences, state = reader.phrases.sentences, reader.phrases.state
    told = sentences["nothing_waiting"]
    if found["fragments"]:
        rows = [(one["week"], str(one["tries"]), one["words"]) for one in found["fragments"]]
        told = f"{sentences['fragments']}\n\n{reader.table(('week', 'tries', 'fact'), rows)}\n\n"
        told += sentences["moments"]
    tokens = [
        (one["week"], state(one["state"]), str(one["pending"]), str(one["ready"]), state(one["directory"]))
        for one in found["tokens"]
    ]
    return f"{told}\n\n{reader.table(('week', 'state', 'pending', 'ready', 'directory'), tokens)}"


def _sent(reader: Reader, found: list[dict[str, Any]]) -> str:
    if not found:
        return reader.phrases.sentences["nothing_sent"]
    rows = [
        (reader.value("at", one["at"]), one["week"], reader.phrases.state(one["outcome"]), one["words"])
        for one in found
    ]
    return reader.table(("at", "week", "outcome", "fact"), rows)


def _orders(reader: Reader, found: list[dict[str, Any]]) -> str:
    if not found:
        return reader.phrases.sentences["no_orders"]
    words = words_of(reader.language)
    rows = [
        (
            reader.time(one["placed_ms"]),
            one["title"],
            f"{one['currency']} {words.figure((one['price_cents'] - one['credit_cents']) / _CENTS, 2)}",
            reader.time(one["until_ms"]) if one["until_ms"] else "",
            reader.phrases.state(one["outcome"] or ("acknowledged" if one["acknowledged"] else "kept")),
        )
        for one in found
    ]
    return reader.table(("at", "title", "price", "until", "standing"), rows)


def _done(reader: Reader, _found: None) -> str:
    return reader.phrases.sentences["done"]


_TELL: dict[str, Callable[[Reader, Any], str]] = {
    "consent": _consent,
    "set-consent": _consent,
    "reminded": _consent,
    "notice": lambda _reader, found: str(found["text"]).rstrip(),
    "recorded": _recorded,
    "waiting": _waiting,
    "sent": _sent,
    "orders": _orders,
    "set-pin": _done,
    "reset-pin": _done,
    "wipe": _done,
}

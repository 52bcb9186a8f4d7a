"""XMLTV read as a stream, by expat itself: constant memory however long the file.

What a guide has no need of is refused, since the file may come from anywhere: entity declarations of any
kind, deep nesting, a tag or an attribute without end, long texts. A document type may be named, as every
real file does; nothing is ever fetched for it. Times and categories are as `xmltv.dtd` says.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple
from xml.parsers import expat

from box_agent.guide.unpacked import BadGuideError
from box_agent.guide.xmltv_time import xmltv_ms

MAX_DEPTH = 32
MAX_TOKEN = 1024**2
"""So many bytes may one tag or one attribute have."""
MAX_TEXT = 1000
MAX_CHANNEL = 128
MAX_CATEGORIES = 32
MAX_PROGRAMME_MS = 48 * 3_600_000
_TEXTS = {"channel": "display-name", "programme": "category"}


class Listed(NamedTuple):
    """One programme as the file has it; without an end it lasts until the channel's next one."""

    channel: str
    start_ms: int
    end_ms: int | None
    categories: tuple[str, ...]


class Named(NamedTuple):
    """One of a channel's names."""

    channel: str
    name: str


def read_xmltv(chunks: Iterable[bytes], skipped: Counter[str]) -> Iterator[Listed | Named]:
    """The channels' names and the programmes, in the file's order; what is skipped is counted by reason.

    Raises:
        BadGuideError: it is no XMLTV, not well-formed, or holds what a guide may not.
    """
    reader = _Reader(skipped)
    fed = 0
    for chunk in chunks:
        reader.feed(chunk)
        fed += len(chunk)
        if fed - max(reader.position(), 0) > MAX_TOKEN:
            raise BadGuideError(f"a tag of more than {MAX_TOKEN} bytes")
        yield from reader.taken()
    reader.finish()
    yield from reader.taken()


class _Reader:
    def __init__(self, skipped: Counter[str]) -> None:
        self._skipped = skipped
        self._found: list[Listed | Named] = []
        self._depth = 0
        self._attributes: dict[str, str] = {}
        self._wanted: str | None = None
        self._texts: list[str] = []
        self._pieces: list[str] = []
        self._length = 0
        parser = self._parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.EntityDeclHandler = _no_entity
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def feed(self, chunk: bytes) -> None:
        self._parse(chunk, last=False)

    def finish(self) -> None:
        self._parse(b"", last=True)

    def position(self) -> int:
        return self._parser.CurrentByteIndex

    def taken(self) -> list[Listed | Named]:
        found, self._found = self._found, []
        return found

    def _parse(self, chunk: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            raise BadGuideError(f"not well-formed: {error}") from error
        except (LookupError, ValueError) as error:
            raise BadGuideError(f"an encoding that cannot be read: {error}") from error

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and name != "tv":
            raise BadGuideError(f"the root is {name[:20]!r}, not 'tv'")
        if self._depth > MAX_DEPTH:
            raise BadGuideError(f"nested deeper than {MAX_DEPTH}")
        if self._depth == 2:  # noqa: PLR2004 (what the root holds)
            self._attributes, self._texts, self._wanted = attributes, [], _TEXTS.get(name)
        elif name == self._wanted and self._depth == 3:  # noqa: PLR2004 (what a channel or a programme holds)
            self._pieces, self._length = [], 0
            self._parser.CharacterDataHandler = self._text

    def _text(self, text: str) -> None:
        self._length += len(text)
        if self._length <= MAX_TEXT:
            self._pieces.append(text)

    def _end(self, name: str) -> None:
        if self._depth == 3 and name == self._wanted:  # noqa: PLR2004
            self._parser.CharacterDataHandler = None
            self._keep("".join(self._pieces).strip())
        elif self._depth == 2:  # noqa: PLR2004
            if name == "programme":
                self._programme()
            elif name == "channel":
                self._channel()
        self._depth -= 1

    def _keep(self, text: str) -> None:
        if self._length > MAX_TEXT:
            self._skipped["long-text"] += 1
        elif text and len(self._texts) < MAX_CATEGORIES:
            self._texts.append(text)

    def _channel(self) -> None:
        channel = self._attributes.get("id", "")
        if not 0 < len(channel) <= MAX_CHANNEL:
            self._skipped["bad-channel"] += 1
            return
        self._found += [Named(channel, text) for text in self._texts if len(text) <= MAX_CHANNEL]

    def _programme(self) -> None:
        channel = self._attributes.get("channel", "")
        start_ms = xmltv_ms(self._attributes.get("start", ""))
        stop = self._attributes.get("stop")
        end_ms = None if stop is None else xmltv_ms(stop)
        reason = _fault(channel, start_ms, end_ms, stop)
        if reason is None and start_ms is not None:
            self._found.append(Listed(channel, start_ms, end_ms, tuple(self._texts)))
        else:
            self._skipped[reason or "bad-time"] += 1


def _fault(channel: str, start_ms: int | None, end_ms: int | None, stop: str | None) -> str | None:
    if not 0 < len(channel) <= MAX_CHANNEL:
        return "bad-channel"
    if start_ms is None or (stop is not None and end_ms is None):
        return "bad-time"
    if end_ms is None:
        return None
    if end_ms <= start_ms:
        return "stop-before-start"
    return "too-long" if end_ms - start_ms > MAX_PROGRAMME_MS else None


def _no_entity(*_declared: object) -> None:
    raise BadGuideError("it declares entities")

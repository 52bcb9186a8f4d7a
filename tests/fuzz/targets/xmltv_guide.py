"""A programme guide in XMLTV: read in pieces of any size, packed or not, and loaded into the box's store.

A part is a piece of the file; they are joined. `@chunk N` says in what pieces it is read, `@gzip` packs it,
`@cut N` takes so many bytes off the packed file.
"""

import gzip
import os
import re
import tempfile
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from random import Random
from xml.sax.saxutils import escape, quoteattr

from box_agent.guide.categories import MAX_UNMAPPED, Categories
from box_agent.guide.guide import WINDOW_MS, Guide
from box_agent.guide.store import GUIDE_NAME, GuideStore
from box_agent.guide.unpacked import BadGuideError, unpacked
from box_agent.guide.xmltv import Listed, Named, read_xmltv
from shared.clock import ManualClock, to_ms
from tests.fuzz.engine import Fault, Parts
from tests.fuzz.mutations import TEXTS, scrambled
from tests.fuzz.xmltv_model import Broadcast, broadcasts, on_air

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
REASONS = {"bad-channel", "bad-time", "stop-before-start", "too-long", "long-text", "outside-window"}
_COLON = re.compile(rb"<[^>]*:")
_CHANNELS = ("a", "a", "b", "npo1.nl", "x" * 128, "x" * 129, "")
_CATEGORIES = ("Football", "Film", "Nieuws", "film - comedy", "Kinder", "no such", "x" * 1001, "a&b<c", "é/ü")
_ODD_TIMES = ("", "2026", "202611", "20261131", "20261122246000", "99991231235959 -0100", "x")
_HEADS = (b"", b'<?xml version="1.0" encoding="UTF-8"?>', b'<?xml version="1.0" encoding="ISO-8859-1"?>')
_ODD_HEADS = (
    b'<?xml version="1.0" encoding="utf-7"?>',
    b'<?xml version="1.0" encoding="none"?>',
    b'<!DOCTYPE tv SYSTEM "xmltv.dtd">',
    b'<!DOCTYPE tv [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>',
    b'<!DOCTYPE tv [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>',
    b"\xff\xfe<\x00",
    b"\xef\xbb\xbf",
    b"<a>" * 40,
    b"<!--" + b"x" * 5000 + b"-->",
)
_SAID = "the reader and the tree differ"


class XmltvGuide:
    """Files from whole to broken."""

    name = "xmltv"

    def draw(self, random: Random) -> list[bytes]:
        """See `Target`."""
        odd = random.random()
        parts = [f"@chunk {random.choice((1, 7, 100, 10**6))}".encode(), random.choice(_HEADS)]
        parts += [random.choice(_ODD_HEADS)] if odd < 0.2 else []
        parts += [b"<tv>", *(_element(random) for _ in range(random.choice((0, 1, 3, 12)))), b"</tv>"]
        if odd > 0.7:
            at = random.randrange(1, len(parts))
            parts[at] = scrambled(parts[at], random)
        if random.random() < 0.3:
            parts.append(b"@gzip")
            parts += [b"@cut %d" % random.randrange(1, 40)] if random.random() < 0.3 else []
        return parts

    def run(self, parts: Parts) -> None:
        """See `Target`."""
        raw = b"".join(part for part in parts if not part.startswith(b"@"))
        told = {word: number for word, _, number in (part.partition(b" ") for part in parts)}
        size = max(1, int(told.get(b"@chunk", b"0") or 0))
        whole, pieces = _read([raw]), _read([raw[at : at + size] for at in range(0, len(raw), size)])
        if whole != pieces:
            raise Fault("pieces of another size are read otherwise", f"{pieces} instead of {whole}")
        _check_read(whole, raw)
        packed = gzip.compress(raw, mtime=0) if b"@gzip" in told else raw
        if b"@cut" in told and b"@gzip" in told:
            packed = packed[: -int(told[b"@cut"] or 1)]
            whole = None
        _check_loaded(packed, whole)


def _element(random: Random) -> bytes:
    if random.random() < 0.15:
        names = "".join(f"<display-name>{escape(one)}</display-name>" for one in random.sample(TEXTS[4:9], 2))
        return f"<channel id={quoteattr(random.choice(_CHANNELS))}>{names}</channel>".replace(
            "\0", ""
        ).encode()
    start = NOW + timedelta(minutes=random.randrange(-600, 600))
    stop = start + timedelta(minutes=random.choice((0, -5, 30, 30, 60, 90, 2880, 2881)))
    ends = f' stop="{_time(random, stop)}"' if random.random() < 0.8 else ""
    words = "".join(
        f"<category lang='nl'>{escape(_category(random))}</category>" for _ in range(random.randrange(3))
    )
    title = "<title>t<b>x</b></title>" if random.random() < 0.3 else ""
    channel = quoteattr(random.choice(_CHANNELS))
    begin = f'<programme start="{_time(random, start)}"{ends} channel={channel}>'
    return f"{begin}{title}{words}</programme>".encode()


def _category(random: Random) -> str:
    return random.choice(_CATEGORIES) if random.random() < 0.4 else f"word {random.randrange(10**9)}"


def _time(random: Random, at: datetime) -> str:
    choice = random.random()
    if choice < 0.1:
        return random.choice(
            ("", "2026", "202611", "20261131", "20261122246000", "99991231235959 -0100", "x")
        )
    if choice < 0.2:
        return at.strftime("%Y%m%d%H%M")
    hours = random.choice((0, 1, 2, -5))
    local = (at + timedelta(hours=hours)).strftime("%Y%m%d%H%M%S")
    return (
        f"{local} {'-' if hours < 0 else '+'}{abs(hours):02}00"
        if hours
        else f"{local}{random.choice(('', ' UTC'))}"
    )


def _read(chunks: list[bytes]) -> list[Listed | Named] | None:
    """What the reader gives; None where it refuses the file."""
    skipped: Counter[str] = Counter()
    try:
        found = list(read_xmltv(chunks, skipped))
    except BadGuideError:
        return None
    if set(skipped) - REASONS:
        raise Fault("a reason without a name", str(skipped))
    return found


def _check_read(found: list[Listed | Named] | None, raw: bytes) -> None:
    if b"<!ENTITY" in raw:
        if found is not None:
            raise Fault("entities are taken")
        return
    wanted = broadcasts(raw)
    if found is None:
        if wanted and not _may_be_refused(raw):
            raise Fault("a good file is refused", repr(raw[:300]))
        return
    if wanted is None:
        if _COLON.search(raw):
            return  # XML 1.0 lets a name begin with one; the reader beside it minds namespaces, ours does not
        raise Fault("a broken file is taken", repr(raw[:300]))
    listed = [Broadcast(*one) for one in found if isinstance(one, Listed)]
    if listed != wanted:
        raise Fault(_SAID, f"{listed} where the file says {wanted}")


def _may_be_refused(raw: bytes) -> bool:
    return raw.count(b"<") > 60 and b"<a><a>" in raw


def _check_loaded(packed: bytes, wanted: list[Listed | Named] | None) -> None:
    """Load it over a guide that is there: it takes its place, or nothing changes."""
    with tempfile.TemporaryDirectory(prefix="stb-fuzz-", dir=_memory()) as name:
        file, store = Path(name) / "guide.xml", GuideStore(Path(name) / GUIDE_NAME)
        guide = Guide(file, store, _categories(), ManualClock(NOW))
        if wanted is None:
            _put(file, b'<tv><programme start="20261122120000" stop="20261122130000" channel="a"/></tv>', 1)
            guide.look(threading.Event())
        before = _on(store, "a")
        _put(file, packed, 2)
        taken = guide.look(threading.Event())
        if taken != (wanted is not None):
            raise Fault(
                "taken is not what it could be read as", f"taken: {taken}; {list(_unpacked(packed))[:1]}"
            )
        if wanted is None:
            if _on(store, "a") != before:
                raise Fault("a refused guide changes the one that is there")
            return
        listed = [Broadcast(*one) for one in wanted if isinstance(one, Listed)]
        _check_on_air(store, listed)
        if len(_categories().unmapped) > MAX_UNMAPPED + 1:
            raise Fault("unmapped texts grow without bound", str(len(_categories().unmapped)))


def _check_on_air(store: GuideStore, told: list[Broadcast]) -> None:
    now_ms = to_ms(NOW)
    wanted = on_air(told, _categories().code, range(now_ms - WINDOW_MS, now_ms + WINDOW_MS))
    for channel, seconds in wanted.items():
        found = {
            second: code
            for start, end, code in _on(store, channel)
            for second in range(start - start % 15, end, 15)
            if second >= start
        }
        if found != seconds:
            raise Fault("another programme is on than the file says", f"{channel}: {_on(store, channel)}")


def _on(store: GuideStore, channel: str) -> list[tuple[int, int, int]]:
    now_ms = to_ms(NOW)
    found = store.programmes(channel, now_ms - WINDOW_MS, now_ms + WINDOW_MS)
    rows = [(one.start_ms // 1000, one.end_ms // 1000, one.code) for one in found]
    if any(end > start for (_, end, _), (start, _, _) in pairwise(rows)):
        raise Fault("two programmes at once", str(rows))
    return rows


def _put(file: Path, raw: bytes, number: int) -> None:
    file.write_bytes(raw)
    os.utime(file, ns=(number, number))


def _unpacked(packed: bytes) -> list[bytes]:
    try:
        return list(unpacked(BytesIO(packed)))
    except BadGuideError as error:
        return [str(error).encode()]


@cache
def _categories() -> Categories:
    """One for the whole run, as in an agent: what it remembers has to stay within bounds."""
    return Categories()


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (a private folder is made in it)

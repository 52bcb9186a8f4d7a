"""JSON objects one after another without a delimiter, from bytes that arrive in pieces.

Every byte is looked at once, whatever the pieces; no more than one object of at most `MAX_OBJECT` bytes is
held. What is no object, is larger or nests deeper is skipped up to where it ends, and counted.
"""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

MAX_OBJECT = 1024**2
MAX_DEPTH = 64
_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')
_BLANK = b" \t\r\n"


class JsonStream:
    """The decoder of one connection; `unreadable` counts what was skipped."""

    def __init__(self) -> None:
        self.unreadable = 0
        self._held = bytearray()
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._skipping = False

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """The objects that are complete with this piece."""
        start = at = 0
        while at < len(piece):
            if self._depth == 0:
                start = at = self._next_start(piece, at)
                if at == len(piece):
                    break
            at = self._advance(piece, at)
            if self._depth == 0:
                self._hold(piece[start:at])
                yield from self._complete()
                start = at
        if self._depth:
            self._hold(piece[start:])

    def _next_start(self, piece: bytes, at: int) -> int:
        """Where the next object begins; what lies before it is noise."""
        found = piece.find(b"{", at)
        end = len(piece) if found < 0 else found
        if piece[at:end].strip(_BLANK):
            self.unreadable += 1
        return end

    def _advance(self, piece: bytes, at: int) -> int:
        """Past the next byte that matters, or to the end of the piece."""
        if self._escaped:
            self._escaped = False
            return at + 1
        match = (_INSIDE if self._quoted else _OUTSIDE).search(piece, at)
        if match is None:
            return len(piece)
        self._meet(match[0])
        return match.end()

    def _meet(self, mark: bytes) -> None:
        if mark == b"\\":
            self._escaped = True
        elif mark == b'"':
            self._quoted = not self._quoted
        elif mark in b"{[":
            self._depth += 1
            self._skipping |= self._depth > MAX_DEPTH
        else:
            self._depth -= 1

    def _hold(self, piece: bytes) -> None:
        if len(self._held) + len(piece) > MAX_OBJECT:
            self._skipping = True
        if self._skipping:
            self._held.clear()
        else:
            self._held += piece

    def _complete(self) -> Iterator[dict[str, Any]]:
        skipped, self._skipping = self._skipping, False
        raw, self._held = bytes(self._held), bytearray()
        if not skipped:
            try:
                found = msgspec.json.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                skipped = True
            else:
                yield found
        self.unreadable += skipped

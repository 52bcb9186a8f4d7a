"""Looks for values in bytes, whatever their dress: raw, hex, base64, base32, decimal, UTF-16, deflated."""

import base64
import re
import zlib
from collections import defaultdict

SHORTEST = 6
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")
MOST_INFLATED = 8 * 1024 * 1024


def dressed(value: bytes) -> dict[str, set[bytes]]:
    """Every form of a value that is looked for, by the name of the form."""
    number = int.from_bytes(value, "big")
    forms = {
        "raw": {value},
        "hex": {value.hex().encode(), value.hex().upper().encode()},
        "base64": set(),
        "base32": set(),
        "decimal": {str(number).encode(), str(int.from_bytes(value, "little")).encode()},
        "utf-16": {value.decode("latin-1").encode("utf-16-le"), value.decode("latin-1").encode("utf-16-be")},
    }
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + value)
        whole = coded[(offset * 8 + 5) // 6 : (offset + len(value)) * 8 // 6]
        forms["base64"] |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}
    for offset in range(5):
        coded = base64.b32encode(b"\0" * offset + value)
        forms["base32"].add(coded[(offset * 8 + 4) // 5 : (offset + len(value)) * 8 // 5])
    return forms


class Needles:
    """Many values, found in one pass over the bytes."""

    def __init__(self, values):
        self._by_start = defaultdict(list)
        for value in values:
            for form, looks in dressed(value).items():
                for look in looks:
                    if len(look) >= SHORTEST:
                        self._by_start[look[:SHORTEST]].append((look, form, value))

    def found_in(self, content: bytes) -> set[tuple[str, bytes]]:
        """(form, value) of every value that stands in the bytes, or in a stream deflated within them."""
        found = self._look(content)
        for stream in inflated(content):
            found |= {(f"deflated {form}", value) for form, value in self._look(stream)}
        return found

    def _look(self, content):
        starts = self._by_start
        return {
            (form, value)
            for place in range(len(content) - SHORTEST + 1)
            if (window := content[place : place + SHORTEST]) in starts
            for look, form, value in starts[window]
            if content.startswith(look, place)
            and (form != "base64" or value in decoded(content, place, len(look)))
        }


def decoded(content: bytes, place: int, length: int) -> bytes:
    """What base64 around a place stands for, however it is aligned.

    A form leaves out the characters that the value shares with its neighbours: of seven bytes that may be a
    whole one, and then the end of a timestamp looks like the number of an account.
    """
    found = b""
    for start in range(place - 4, place + 1):
        text = content[max(0, start) : place + length + 4].translate(_STANDARD)
        run = re.match(rb"[A-Za-z0-9+/]*", text)[0]
        found += b"|" + base64.b64decode(run[: len(run) // 4 * 4])
        if len(run) % 4 > 1:
            found += base64.b64decode(run[len(run) // 4 * 4 :] + b"=" * (-len(run) % 4))
    return found


_STANDARD = bytes.maketrans(b"-_", b"+/")


def inflated(content: bytes):
    """Every zlib or gzip stream that begins somewhere in the bytes."""
    for match in _ZLIB.finditer(content):
        wanted = zlib.decompressobj(wbits=47)  # zlib or gzip, whichever the header says
        try:
            stream = wanted.decompress(content[match.start() :], MOST_INFLATED)
        except zlib.error:
            continue
        if len(stream) >= SHORTEST:
            yield stream

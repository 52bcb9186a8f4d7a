"""Binary HTTP messages of known length, RFC 9292: the letter that is put into a seal.

Strict where a reader has a choice: no messages of indeterminate length, no informational responses, no
trailers, lower-case field names, printable ASCII. Lenient only where the standard says so: a length may be
spelt longer than needed (RFC 9000 section 16), and empty sections at the end may be missing (section 3.8).
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from shared.errors import StbError

DEFAULT_LIMIT = 65_536  # bytes of a whole message, padding included
MAX_FIELDS = 32
_REQUEST = 0
_RESPONSE = 1
_FIRST_FINAL_STATUS = 200
_LAST_STATUS = 599

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - RFC 9110 calls a word of a header a token
_METHOD = re.compile(_TOKEN)
_SCHEME = re.compile(r"[a-z][a-z0-9+.\-]*")
_AUTHORITY = re.compile(r"[!-~]*")
_PATH = re.compile(r"/[!-~]*")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(r"(?:[!-~](?:[\t -~]*[!-~])?)?")

Headers = tuple[tuple[str, str], ...]


class BhttpError(StbError):
    """A binary HTTP message was refused."""


class TruncatedMessageError(BhttpError):
    """The message ends where a length or its bytes should stand."""


class WrongFramingError(BhttpError):
    """The message is not of the kind expected: indeterminate length, or an answer for a question."""


class PaddingError(BhttpError):
    """What follows the message is not all zeros."""


class MalformedMessageError(BhttpError):
    """A part of the message is not what this profile of the standard allows."""


class TooLargeError(BhttpError):
    """The message has too many bytes or fields, or does not fit into the size it shall be padded to."""


class Request(NamedTuple):
    """A request; text is printable ASCII and field names are lower-case."""

    method: str
    scheme: str
    authority: str
    path: str
    headers: Headers = ()
    body: bytes = b""


class Response(NamedTuple):
    """A final response, status 200 to 599."""

    status: int
    headers: Headers = ()
    body: bytes = b""


def encode_request(request: Request, size: int | None = None) -> bytes:
    """Answer with the message (RFC 9292 section 3.1), padded with zeros to `size` bytes if given.

    Raises:
        MalformedMessageError: A part is not allowed.
        TooLargeError: It has too many fields or does not fit into `size`.
    """
    _check_request(request)
    control = b"".join(_block(part.encode("ascii")) for part in request[:4])
    return _pad(_varint(_REQUEST) + control + _sections(request.headers, request.body), size)


def encode_response(response: Response, size: int | None = None) -> bytes:
    """Answer with the message (RFC 9292 section 3.1), padded with zeros to `size` bytes if given.

    Raises:
        MalformedMessageError: A part is not allowed.
        TooLargeError: It has too many fields or does not fit into `size`.
    """
    _check_status(response.status)
    control = _varint(response.status)
    return _pad(_varint(_RESPONSE) + control + _sections(response.headers, response.body), size)


def decode_request(message: bytes, limit: int = DEFAULT_LIMIT) -> Request:
    """Read a request of known length.

    Args:
        message: The bytes, padding included.
        limit: The largest message taken, in bytes.

    Raises:
        TooLargeError: The message is over the limit, or has more than 32 fields.
        WrongFramingError: It is no request of known length.
        TruncatedMessageError: It ends inside a part.
        MalformedMessageError: A part is not allowed.
        PaddingError: Something else than zeros follows.
    """
    reader = _open(message, limit, _REQUEST)
    method, scheme, authority, path = (_text(reader.block()) for _ in range(4))
    headers, body = _read_sections(reader)
    request = Request(method, scheme, authority, path, headers, body)
    _check_request(request)
    return request


def decode_response(message: bytes, limit: int = DEFAULT_LIMIT) -> Response:
    """Read a response of known length; raises what `decode_request` raises."""
    reader = _open(message, limit, _RESPONSE)
    status = reader.varint()
    _check_status(status)
    headers, body = _read_sections(reader)
    return Response(status, headers, body)


class _Reader:
    """A place in a message, which moves on as it is read."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._at = 0

    def rest(self) -> bytes:
        return self._message[self._at :]

    def at_end(self) -> bool:
        return self._at == len(self._message)

    def take(self, count: int) -> bytes:
        taken = self._message[self._at : self._at + count]
        if len(taken) != count:
            raise TruncatedMessageError("the message ends inside a part")
        self._at += count
        return taken

    def varint(self) -> int:
        """Read a variable-length integer (RFC 9000 section 16); its top two bits say how long it is."""
        first = self.take(1)[0]
        tail = self.take((1 << (first >> 6)) - 1)
        return int.from_bytes(bytes([first & 0x3F]) + tail, "big")

    def block(self) -> bytes:
        return self.take(self.varint())

    def section(self) -> bytes:
        """Read a block that section 3.8 lets a sender leave out at the end."""
        return b"" if self.at_end() else self.block()


def _open(message: bytes, limit: int, framing: int) -> _Reader:
    if len(message) > limit:
        raise TooLargeError(f"the message is larger than {limit} bytes")
    reader = _Reader(message)
    if reader.varint() != framing:
        raise WrongFramingError("the message is not of the kind and framing expected")
    return reader


def _read_sections(reader: _Reader) -> tuple[Headers, bytes]:
    headers = _read_fields(reader.section())
    body = reader.section()
    if reader.section():
        raise MalformedMessageError("trailers are not used here")
    if reader.rest().strip(b"\x00"):
        raise PaddingError("padding is zeros only")
    return headers, body


def _read_fields(section: bytes) -> Headers:
    reader = _Reader(section)
    headers: list[tuple[str, str]] = []
    while not reader.at_end():
        headers.append((_text(reader.block()), _text(reader.block())))
        if len(headers) > MAX_FIELDS:
            raise TooLargeError(f"a message has at most {MAX_FIELDS} fields")
    _check_headers(headers)
    return tuple(headers)


def _sections(headers: Headers, body: bytes) -> bytes:
    if len(headers) > MAX_FIELDS:
        raise TooLargeError(f"a message has at most {MAX_FIELDS} fields")
    _check_headers(headers)
    lines = b"".join(_block(name.encode("ascii")) + _block(value.encode("ascii")) for name, value in headers)
    return _block(lines) + _block(body) + _block(b"")


def _pad(message: bytes, size: int | None) -> bytes:
    if size is None:
        return message
    if len(message) > size:
        raise TooLargeError(f"the message does not fit into {size} bytes")
    return message.ljust(size, b"\x00")


def _varint(value: int) -> bytes:
    for power, bits in enumerate((6, 14, 30, 62)):
        if value < 1 << bits:
            return (value | power << (8 << power) - 2).to_bytes(1 << power, "big")
    raise TooLargeError("a length has at most 62 bits")


def _block(raw: bytes) -> bytes:
    return _varint(len(raw)) + raw


def _text(raw: bytes) -> str:
    try:
        return raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise MalformedMessageError("text is printable ASCII") from error


def _match(pattern: re.Pattern[str], text: str, what: str) -> None:
    if pattern.fullmatch(text) is None:
        raise MalformedMessageError(f"the {what} is not allowed")


def _check_request(request: Request) -> None:
    _match(_METHOD, request.method, "method")
    _match(_SCHEME, request.scheme, "scheme")
    _match(_AUTHORITY, request.authority, "authority")
    _match(_PATH, request.path, "path")


def _check_headers(headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        _match(_NAME, name, "field name")
        _match(_VALUE, value, "field value")


def _check_status(status: int) -> None:
    if not _FIRST_FINAL_STATUS <= status <= _LAST_STATUS:
        raise MalformedMessageError("a status is 200 to 599; informational responses are not used here")

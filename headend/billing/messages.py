"""What a stored message says, as far as this version can read it."""

from headend.billing.rows import Link
from shared import dsse
from shared.named import Chained, UnreadableMessageError, read_chained


def readable(payload: bytes) -> Chained | None:
    """A chained message of a version that is spoken; None of any other."""
    try:
        return read_chained(payload)
    except UnreadableMessageError:
        return None


def message_of(link: Link) -> Chained | None:
    """A stored message; None if it cannot be read, or its signed bytes are gone."""
    return None if link.envelope is None else readable(dsse.read(link.envelope).unverified_payload)

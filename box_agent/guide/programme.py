"""What the guide says of one stretch of one channel."""

from typing import NamedTuple


class Programme(NamedTuple):
    """A programme from `start_ms` up to but not with `end_ms`, Unix milliseconds.

    `code` is a DVB content descriptor byte (EN 300 468, table 29); 0 where the guide does not say.
    """

    start_ms: int
    end_ms: int
    code: int

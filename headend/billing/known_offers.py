"""Offers that have been looked up before: a version of an offer never changes, so it is read once.

Only what is committed is remembered. Within a transaction an offer may stand that is undone with it, and
another be published under the same version later: what only the transaction knows is asked of it each time.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec

from headend.billing.rows import NotFoundError
from headend.kit.engine import Connection
from shared.named import Offer

MOST: Final = 4_096
"""Versions of offers that are held in memory, the latest used: about 4 MB."""
SQL: Final = "SELECT terms FROM offers WHERE offer = ? AND version = ?"


def read_offer(connection: Connection, offer: str, version: int) -> Offer | None:
    """One version of an offer as it stands in the database."""
    row = connection.execute(SQL, (offer, version)).fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=Offer)


class KnownOffers:
    """The offers that a store has committed; `look` gives a connection that sees nothing else."""

    def __init__(self, look: Callable[[], Connection]) -> None:
        self._look = look
        self._committed = lru_cache(maxsize=MOST)(self._read)  # what raises is not remembered

    def _read(self, offer: str, version: int) -> Offer:
        found = read_offer(self._look(), offer, version)
        if found is None:
            raise NotFoundError(f"no offer {offer!r} of version {version}")
        return found

    def seen_by(self, connection: Connection, offer: str, version: int) -> Offer | None:
        """One version of an offer as a transaction or a look over `connection` sees it."""
        try:
            return self._committed(offer, version)
        except NotFoundError:
            return read_offer(connection, offer, version)

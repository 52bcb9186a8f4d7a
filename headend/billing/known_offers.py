"""Offers that have been looked up before: a version of an offer never changes, so it is read once.

Only what is committed is remembered. Within a transaction an offer may stand that is undone with it, and
another be published under the same version later: what only the transaction knows is asked of it each time.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from headend.kit.engine import Connection
from shared.named import Offer

MOST: Final = 4_096
"""Versions of offers that are held in memory: about 4 MB."""
SQL: Final = "SELECT terms FROM offers WHERE offer = ? AND version = ?"


def read_offer(connection: Connection, offer: str, version: int) -> Offer | None:
    """One version of an offer as it stands in the database."""
    row = connection.execute(SQL, (offer, version)).fetchone()
    return None if row is None else msgspec.json.decode(row[0], type=Offer)


class KnownOffers:
    """The offers that a store has committed.

    `settled` gives, of a connection that asks, the one to read over that sees nothing but what is committed;
    None if that would be another than this, and waiting for it could end in a circle.
    """

    def __init__(self, settled: Callable[[Connection], Connection | None]) -> None:
        self._settled = settled
        self._known: dict[tuple[str, int], Offer] = {}

    def seen_by(self, connection: Connection, offer: str, version: int) -> Offer | None:
        """One version of an offer as a transaction or a look over `connection` sees it."""
        known = self._known.get((offer, version))
        if known is not None:
            return known
        settled = self._settled(connection)
        found = None if settled is None else read_offer(settled, offer, version)
        if found is not None:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[offer, version] = found
            return found
        return None if settled is connection else read_offer(connection, offer, version)

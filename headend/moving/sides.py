"""What each side's move needs beside its tables."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from headend.analytics.engines import open_store as open_analytics
from headend.analytics.postgres import SCHEMA as ANALYTICS
from headend.analytics.store import WeekState
from headend.billing.auditing import follow_audit
from headend.billing.engines import open_store as open_billing
from headend.billing.ledger import entry_hash
from headend.billing.postgres import SCHEMA as BILLING
from headend.billing.postgres import STANDING_WEEKS
from headend.billing.reconcile import reconcile, recounted
from headend.billing.store import BillingTx
from headend.console.engines import open_store as open_console
from headend.console.postgres import SCHEMA as CONSOLE
from headend.installation import Installation
from headend.kit.chain import follow
from headend.kit.engine import Connection, Place
from headend.kit.postgres_schema import Schema
from shared.named import GENESIS


@dataclass(frozen=True)
class MovedSide:
    """A side: its tables on PostgreSQL, and how what it keeps is checked.

    `faults` brings a database to its newest schema, whatever engine it is on, and says what does not hold;
    `initial` are tables that have a row in an empty database; `weeks` asks the file for weeks that must have
    their parts although nothing is in them.
    """

    schema: Schema
    faults: Callable[[Place, Installation], list[str]]
    initial: tuple[str, ...] = ()
    weeks: str = ""

    @property
    def name(self) -> str:
        """The side's name."""
        return self.schema.side

    def weeks_in(self, source: Connection, table: str) -> list[str]:
        """The weeks of which the target's `table` needs a part."""
        found = {week for (week,) in source.execute(f"SELECT DISTINCT week FROM {table}")}
        if self.weeks:
            found |= {week for (week,) in source.execute(self.weeks)}
        return sorted(found)


def _billing_faults(place: Place, _: Installation) -> list[str]:
    store = open_billing(place)
    try:
        return list(_faults_of_books(store.read()))
    finally:
        store.close()


def _faults_of_books(look: BillingTx) -> Iterator[str]:
    if (broken := _broken_entry(look)) is not None:
        yield f"entry {broken} of the ledger does not follow the one before"
    verdict = follow_audit(look)
    if verdict.broken is not None:
        yield f"line {verdict.broken} of billing's audit is broken"
    yield from recounted(look)
    if not reconcile(look).closes:
        yield "the books do not close"


def _broken_entry(look: BillingTx) -> int | None:
    last, before = 0, GENESIS
    for entry in look.entries(1, look.last_entry()[0]):
        # What the tax period has let go is emptied, and no longer hashes to what it said.
        changed = entry.account != "" and entry_hash(entry) != entry.hash
        if entry.entry != last + 1 or entry.prev_hash != before or changed:
            return last + 1
        last, before = entry.entry, entry.hash
    return None


def _analytics_faults(place: Place, _: Installation) -> list[str]:
    """Nothing there follows from anything else: that every row is the same says all."""
    open_analytics(place).close()
    return []


def _console_faults(place: Place, installation: Installation) -> list[str]:
    store = open_console(place, simulated=installation.settings.simulated)
    try:
        broken = follow(store.read().audit_chain()).broken
    finally:
        store.close()
    return [] if broken is None else [f"line {broken} of the console's audit is broken"]


MOVED: Final = {
    side.schema.side: side
    for side in (
        MovedSide(BILLING, _billing_faults, initial=("ledger_sums",), weeks=STANDING_WEEKS),
        MovedSide(
            ANALYTICS,
            _analytics_faults,
            # Fragments of an open week are counted into its parts without asking whether these stand.
            weeks=f"SELECT week FROM weeks WHERE state = '{WeekState.OPEN}'",
        ),
        MovedSide(CONSOLE, _console_faults),
    )
}
"""The sides that have a database, by name."""

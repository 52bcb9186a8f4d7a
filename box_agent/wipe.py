"""Destroys what this box knows of its household: before a resale, or because the household wants it.

What was viewed, queued and sent goes in any case. Orders, their chain and the box's identity are the proof of
what is billed, and stay; they go too where `everything` is said, and only once the headend has all of them.
"""

from collections.abc import Iterable
from pathlib import Path

from box_agent.consent import Shown
from box_agent.core import DAMAGED_COPY, Core
from box_agent.dues import unacknowledged
from box_agent.store import ANONYMOUS_TABLES, NAMED_TABLES, Door, StoreError, remove_files
from shared.errors import StbError

# By the store's own groups, so that a new table goes too.
_PROOF = frozenset({"consent", "consent_log"})
_HOUSEHOLD = ANONYMOUS_TABLES - _PROOF


class UnacknowledgedOrdersError(StbError):
    """Orders would be lost that the headend does not have yet."""


class NotOverwrittenError(StbError):
    """Everything is deleted, but traces of it may still stand in the file: wipe again."""


def wipe(core: Core, shown: Shown, *, everything: bool) -> None:
    """Withdraw the consent, delete it all in one transaction, and leave no trace of it in the files.

    Doing it again changes nothing, and makes good what could not be overwritten.

    Raises:
        UnacknowledgedOrdersError: `everything`, but the headend does not have all orders; nothing was done.
        BadConsentError: see `Shown.check`; nothing was done.
        StoreError: the store takes nothing; the consent is withdrawn.
        NotOverwrittenError: all is deleted, and there is no room to overwrite it.
    """
    named = core.store.door(NAMED_TABLES)
    if everything and unacknowledged(named):
        raise UnacknowledgedOrdersError("orders wait to be acknowledged; wipe again when they are")
    # By itself and first: from here on a power cut leaves a box without consent.
    core.consent.withdraw(shown, core.clock.now())
    core.recorder.forget()
    with core.store.transaction():
        _empty(core.door, ANONYMOUS_TABLES if everything else _HOUSEHOLD)
        if everything:
            _empty(named, NAMED_TABLES)
    if everything:
        core.consent.forget()
    drop_damaged_copy(Path(core.store.path))
    try:
        core.store.scrub()
    except StoreError as error:
        raise NotOverwrittenError(f"all is deleted, but may still be found in the file: {error}") from error


def drop_damaged_copy(store: Path, before_ms: int | None = None) -> None:
    """Delete the store that this one was salvaged from (see `box_agent.salvage`), with the viewing in it.

    With `before_ms` (Unix milliseconds) only if it was last written before that.
    """
    copy = Path(f"{store}{DAMAGED_COPY}")
    if before_ms is not None and copy.exists() and copy.stat().st_mtime_ns // 1_000_000 >= before_ms:
        return
    remove_files(copy)


def _empty(door: Door, tables: Iterable[str]) -> None:
    for table in sorted(tables):
        door.write(f"DELETE FROM {table}")  # noqa: S608 (a name of our own schema)

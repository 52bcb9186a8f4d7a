"""Destroys what this box knows of its household: before a resale, or because the household wants it.

What was viewed, queued and sent goes in any case. Orders, their chain and the box's identity are the proof of
what is billed, and stay; they go too where `everything` is said, and only once the headend has all of them.
"""

from pathlib import Path

from box_agent.consent import Shown
from box_agent.core import DAMAGED_COPY, Core
from box_agent.dues import unacknowledged
from box_agent.store import NAMED_TABLES, StoreError
from shared.errors import StbError

_HOUSEHOLD = (
    "DELETE FROM viewing",
    "DELETE FROM ordered",
    "DELETE FROM rolled",
    "DELETE FROM outbox",
    "DELETE FROM wallet",
    "DELETE FROM directories",
    "DELETE FROM sentlog",
    "DELETE FROM pin",
    "DELETE FROM anonymous_alarms",
)
_PROOF = ("DELETE FROM consent", "DELETE FROM consent_log")
_BOX = (
    "DELETE FROM identity",
    "DELETE FROM head",
    "DELETE FROM chain",
    "DELETE FROM orders",
    "DELETE FROM catalogue",
    "DELETE FROM duties",
    "DELETE FROM asks",
    "DELETE FROM named_alarms",
)


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
        for statement in (*_HOUSEHOLD, *(_PROOF if everything else ())):
            core.door.write(statement)
        for statement in _BOX if everything else ():
            named.write(statement)
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
    for suffix in ("", "-wal", "-shm"):
        Path(f"{store}{DAMAGED_COPY}{suffix}").unlink(missing_ok=True)

"""What a self-test asks on the named line: what is published, and a sign of life."""

from datetime import datetime
from email.utils import parsedate_to_datetime

from box_agent.checks.step import CheckSkippedError
from box_agent.identity import Identity, NotEnrolledError
from box_agent.inspection import ReadOnlyStore
from box_agent.lines import HttpNamedLine, NamedLine, RefusedError
from box_agent.published import MAX_CATALOGUE, Pinned, open_directory
from box_agent.store import NAMED_TABLES
from box_agent.submission import heartbeat
from shared.clock import from_ms
from shared.dsse import PayloadType, public_from_text, verify
from shared.named import Acknowledgement, Catalogue, read
from shared.weeks import Week

NOT_PUBLISHED = "not-published"
"""What the headend says of what is not there yet; see docs/protocol.md."""


def catalogue(line: NamedLine, key: str) -> tuple[datetime, str]:
    """The catalogue can be fetched, and is signed by the pinned key; answers with when it was issued."""
    raw = _published(line, "catalogue", "nothing is published yet: the operator publishes a catalogue first")
    payload = verify(raw, PayloadType.CATALOGUE, public_from_text(key), limit=MAX_CATALOGUE)
    found = read(payload, Catalogue)
    return from_ms(found.issued_ms), f"version {found.version}, {len(found.offers)} offers"


def directory(line: NamedLine, week: Week, pinned: Pinned) -> tuple[bytes, str]:
    """The week's directory can be fetched, and everything in it is as this box has pinned it."""
    none = f"nothing is published yet for {week}: the installation's first week has not begun"
    raw = _published(line, f"directory/{week}", none)
    found = open_directory(raw, pinned, week)
    return raw, f"{week}, profile {found.profile.name}, {len(raw)} bytes"


def _published(line: NamedLine, path: str, none: str) -> bytes:
    try:
        return line.get(path).body
    except RefusedError as refusal:
        if refusal.name != NOT_PUBLISHED:
            raise
        raise CheckSkippedError(none) from refusal


def sign_of_life(line: NamedLine, store: ReadOnlyStore, now: datetime) -> tuple[None, str]:
    """A heartbeat of this box is taken; it says what the next one would say."""
    door = store.door(NAMED_TABLES)
    identity = Identity(door)
    try:
        who = identity.enrolment()
    except NotEnrolledError as error:
        raise CheckSkippedError("this box has not been enrolled") from error
    message = heartbeat(door, who, now)
    try:
        answer = read(line.post("heartbeat", identity.sign(message)).body, Acknowledgement)
    finally:
        store.park()
    missing = message.last_seq - answer.ack
    return None, f"{who.box}, epoch {who.epoch}; " + (
        f"{missing} messages are on their way" if missing > 0 else "nothing is missing"
    )


def time_told(line: HttpNamedLine) -> datetime | None:
    """What time it is at the other end, if that says so.

    Raises:
        LineDownError: no answer.
    """
    told = line.told_date()
    try:
        return parsedate_to_datetime(told) if told else None
    except ValueError:
        return None

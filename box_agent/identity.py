"""Who this box is on the named line: an Ed25519 key made here, and what enrolment gave it.

The key lies in the store, whose file only its owner may read. The anonymous path cannot reach it.
"""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from msgspec import Struct

from box_agent.lines import NamedLine
from box_agent.store import Door
from shared.dsse import PayloadType, key_id, public_to_text, sign
from shared.errors import StbError
from shared.named import GENESIS, Enrol, Enrolled, encode, read


class NotEnrolledError(StbError):
    """This box has not been enrolled: nobody could be billed."""


class PendingOrdersError(StbError):
    """A new enrolment would strand orders that the headend has not acknowledged."""


@dataclass(frozen=True)
class Enrolment:
    """The box's id, and the epoch that its chain runs in."""

    box: str
    epoch: int


class Identity:
    """The key and the enrolment; reads the store each time, so that an idle agent holds no key."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def enrolment(self) -> Enrolment:
        """Who this box is.

        Raises:
            NotEnrolledError: nobody yet.
        """
        row = self._door.row("SELECT box, epoch FROM identity WHERE box IS NOT NULL")
        if row is None:
            raise NotEnrolledError("this box has not been enrolled")
        return Enrolment(*row)

    def sign(self, message: Struct) -> bytes:
        """A message of the named line as a DSSE envelope; the key id is the box's id.

        Raises:
            NotEnrolledError: it has none yet.
        """
        return sign(encode(message), PayloadType.NAMED, self._key(), self.enrolment().box)

    def enrol(self, line: NamedLine, code: str, serial: str) -> Enrolment:
        """Bring the key to the headend with the code that the subscriber was given.

        An answer that got lost can be asked for again: the key stays the same.

        Raises:
            PendingOrdersError: orders of the present enrolment are not acknowledged yet.
            LineDownError: no answer.
            RefusedError: the headend does not take this code or key.
            UnreadableMessageError: the answer has another form.
        """
        if self._door.row("SELECT 1 FROM head WHERE acked < seq"):
            raise PendingOrdersError("orders wait to be acknowledged; enrol again when they are")
        key = self._key()
        public = key.public_key()
        message = Enrol(code=code, serial=serial, public_key=public_to_text(public))
        answer = line.post("enrol", sign(encode(message), PayloadType.NAMED, key, key_id(public)))
        found = read(answer.body, Enrolled)
        self._become(Enrolment(found.box, found.epoch))
        return self.enrolment()

    def _become(self, found: Enrolment) -> None:
        with self._door.transaction():
            row = self._door.row("SELECT box, epoch FROM identity")
            if row == (found.box, found.epoch):
                return
            self._door.write("UPDATE identity SET box = ?, epoch = ?", (found.box, found.epoch))
            self._door.write(
                "INSERT OR REPLACE INTO head (id, epoch, seq, hash, acked) VALUES (1, ?, 0, ?, 0)",
                (found.epoch, GENESIS),
            )

    def _key(self) -> Ed25519PrivateKey:
        row = self._door.row("SELECT private_key FROM identity")
        if row is not None:
            found = load_der_private_key(row[0], password=None)
            if isinstance(found, Ed25519PrivateKey):
                return found
        key = Ed25519PrivateKey.generate()
        raw = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        self._door.write("INSERT INTO identity (id, private_key) VALUES (1, ?)", (raw,))
        return key

"""Accounts and boxes: who pays, and how a box becomes known by a one-time code."""

import csv
import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo, available_timezones

from headend.billing.laws import COUNTRIES
from headend.billing.refusals import UnknownCodeError
from headend.billing.rows import Account, Alarm, Box, NotFoundError, new_box_id
from headend.billing.store import BillingStore, BillingTx
from headend.kit.http import MalformedError
from shared import dsse
from shared.errors import StbError
from shared.named import AccountId, Enrol, Enrolled, read

CODE_DAYS = 30
_CODE_MS = CODE_DAYS * 86_400_000
LANGUAGES = ("nl", "fr", "en")
COLUMNS = ("account", "postal_area", "zone", "country", "language")


class BadAccountError(StbError):
    """An account's particulars are not usable; the message says which row and why."""


def code_hash(code: str) -> str:
    """What is stored of a one-time code."""
    return hashlib.sha256(b"stb-telemetry enrolment code\x00" + code.encode()).hexdigest()


def check_account(account: Account) -> Account:
    """Refuse what could not be billed.

    Raises:
        BadAccountError: an empty or overlong id, a text that cannot be printed, an unknown zone, country or
            language.
    """
    if not 1 <= len(account.account) <= 64:  # noqa: PLR2004 (as in shared.named.Name)
        raise BadAccountError("an account id has 1 to 64 characters")
    if not account.account.isprintable() or account.account != account.account.strip():
        raise BadAccountError(f"account id {account.account!r} must be printable, without spaces around it")
    if not account.postal_area.isprintable():
        raise BadAccountError(f"postal area {account.postal_area!r} must be printable")
    if account.zone not in available_timezones():
        raise BadAccountError(f"unknown zone {account.zone!r}")
    if account.country not in COUNTRIES:
        raise BadAccountError(f"unknown country {account.country!r}; there are {', '.join(COUNTRIES)}")
    if account.language not in LANGUAGES:
        raise BadAccountError(f"unknown language {account.language!r}; there are {', '.join(LANGUAGES)}")
    ZoneInfo(account.zone)
    return account


def read_accounts(text: str, now_ms: int) -> list[Account]:
    """Read a CSV of accounts with a header row: account, postal_area, zone, country, language.

    Raises:
        BadAccountError: naming every bad row; nothing is half imported.
    """
    reader = csv.DictReader(io.StringIO(text))
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise BadAccountError(f"the first row must be {','.join(COLUMNS)}")
    accounts, faults, seen = [], [], set()
    for number, row in enumerate(reader, 2):
        try:
            account = check_account(_account_of(row, now_ms))
            if account.account in seen:
                raise BadAccountError(f"account {account.account!r} stands there twice")  # noqa: TRY301 (one list of faults)
            seen.add(account.account)
            accounts.append(account)
        except BadAccountError as error:
            faults.append(f"row {number}: {error}")
    if faults:
        raise BadAccountError("\n".join(faults))
    return accounts


def _account_of(row: dict[str, str | None], now_ms: int) -> Account:
    if None in row.values() or None in row:
        raise BadAccountError(f"expected {len(COLUMNS)} columns")
    values = {name: str(row[name]).strip() for name in COLUMNS}
    return Account(
        account=AccountId(values["account"]),
        zone=values["zone"],
        country=values["country"],
        postal_area=values["postal_area"],
        language=values["language"],
        spending_limit_cents=None,
        created_ms=now_ms,
    )


def add_code(
    tx: BillingTx, account: str, box: str | None, now_ms: int, random_bytes: Callable[[int], bytes]
) -> str:
    """Make a one-time enrolment code for an account, or to give a box of it a new key and epoch.

    A box that was released may be renewed for any account: it was resold. The code ends when the box's
    binding changes. Only the code's hash is stored.

    Raises:
        NotFoundError: no such account, or no such box in it.
    """
    tx.account(account)
    if box is not None and not _may_renew(tx.box(box), account):
        raise NotFoundError(f"account {account!r} has no box {box!r}; release it first if it was resold")
    code = random_bytes(10).hex().upper()
    # However the clock was set, a code is of no earlier moment than the binding that it was made under.
    made_ms = now_ms if box is None else max(now_ms, _bound_since(tx, box))
    tx.add_code(code_hash(code), account, box, made_ms + _CODE_MS)
    return code


def _may_renew(box: Box, account: str) -> bool:
    return box.account == account or box.released_ms is not None


def _bound_since(tx: BillingTx, box: str) -> int:
    """When a box's binding changed last: to another account, or to none."""
    from_ms, _ = tx.bindings(box)[-1]
    return from_ms


def move_box(tx: BillingTx, box: str, account: str, who: str, now_ms: int) -> None:
    """Bind a box to another account from now on; what it ordered before stays with the old one.

    Raises:
        NotFoundError: no such box or account.
        BadAccountError: it is bound to that account, or has been released.
    """
    found = tx.box(box)
    tx.account(account)
    if found.released_ms is not None:
        raise BadAccountError(f"box {box!r} has been released; make a code to enrol it anew")
    if found.account == account:
        raise BadAccountError(f"box {box!r} is bound to {account!r} already")
    tx.bind_box(box, account, now_ms)
    tx.add_audit(now_ms, who, "box moved", box, f"from {found.account} to {account}")


def release_box(tx: BillingTx, box: str, who: str, now_ms: int) -> None:
    """End a box's binding, as it is given back or resold: what it orders from now on waits in suspense.

    Raises:
        NotFoundError: no such box.
        BadAccountError: it has been released before.
    """
    found = tx.box(box)
    if found.released_ms is not None:
        raise BadAccountError(f"box {box!r} has been released")
    tx.release_box(box, now_ms)
    tx.add_audit(now_ms, who, "box released", box, f"from {found.account}")


def enrol(
    store: BillingStore, envelope: bytes, now_ms: int, random_bytes: Callable[[int], bytes]
) -> Enrolled:
    """Enrol the box that signed this with the key that it brings.

    1. It is signed by that key. 2. The code is known. 3. Unused, or used by this key: asking again gives the
    same answer. 4. If unused it has not expired, and the box that it was made for, if any, is bound as it
    was then.

    Raises:
        MalformedError: no envelope, another form, or not signed by the key that it brings.
        UnknownCodeError: the code is unknown, expired, ended or used by another key.
    """
    message = _read_enrol(envelope)
    return store.write(lambda tx: _enrol(tx, message, now_ms, random_bytes))


def _read_enrol(envelope: bytes) -> Enrol:
    try:
        message = read(dsse.read(envelope).unverified_payload, Enrol)
        dsse.verify(envelope, dsse.PayloadType.NAMED, dsse.public_from_text(message.public_key))
    except StbError as error:
        raise MalformedError("no enrolment signed by the key that it brings") from error
    return message


def _enrol(tx: BillingTx, message: Enrol, now_ms: int, random_bytes: Callable[[int], bytes]) -> Enrolled:
    digest = code_hash(message.code)
    found = tx.code(digest)
    if found is None:
        raise UnknownCodeError("unknown code")
    account, renewed, expires_ms, used_by = found
    if used_by is not None:
        if used_by != message.public_key:
            raise UnknownCodeError("used by another key")
        box = tx.box_of_code(digest)
        return Enrolled(box.box, box.epoch)
    if now_ms >= expires_ms:
        raise UnknownCodeError("expired")
    if renewed is not None:
        old = tx.box(renewed)
        if not _may_renew(old, account) or expires_ms - _CODE_MS < _bound_since(tx, renewed):
            raise UnknownCodeError("its box has been bound elsewhere since")
        box = replace(
            old, public_key=message.public_key, account=account, epoch=old.epoch + 1, enrolled_ms=now_ms
        )
    else:
        _look_at_serial(tx, message.serial, account, now_ms)
        name = new_box_id(random_bytes)
        box = Box(name, message.serial, message.public_key, account, 1, now_ms)
    tx.put_box(box)
    tx.use_code(digest, message.public_key, box.box)
    tx.add_audit(now_ms, "box", "enrolled", box.box, f"epoch {box.epoch}")
    return Enrolled(box.box, box.epoch)


def _look_at_serial(tx: BillingTx, serial: str, account: str, now_ms: int) -> None:
    """A device that is bound to another account still: enrolled all the same, and somebody looks."""
    for box in tx.boxes_with_serial(serial):
        if box.account != account:
            detail = f"serial enrolled for {account} while bound to {box.account}"
            tx.raise_alarm(Alarm("wrong-binding", box.box, box.account, detail, now_ms), None)

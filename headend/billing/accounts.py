"""Accounts and boxes: who pays, and how a box becomes known by a one-time code."""

import csv
import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from zoneinfo import ZoneInfo, available_timezones

from headend.billing.refusals import UnknownCodeError
from headend.billing.store import Account, BillingStore, BillingTx, Box, NotFoundError
from headend.kit.http import MalformedError
from shared import dsse
from shared.errors import StbError
from shared.named import AccountId, BoxId, Enrol, Enrolled, read

CODE_DAYS = 30
_DAY_MS = 86_400_000
COUNTRIES = ("NL", "BE")
COLUMNS = ("account", "postal_area", "zone", "country")


class BadAccountError(StbError):
    """An account's particulars are not usable; the message says which row and why."""


def code_hash(code: str) -> str:
    """What is stored of a one-time code."""
    return hashlib.sha256(b"stb-telemetry enrolment code\x00" + code.encode()).hexdigest()


def check_account(account: Account) -> Account:
    """Refuse what could not be billed.

    Raises:
        BadAccountError: an empty or overlong id, an unknown zone or country.
    """
    if not 1 <= len(account.account) <= 64:  # noqa: PLR2004 (as in shared.named.Name)
        raise BadAccountError("an account id has 1 to 64 characters")
    if account.zone not in available_timezones():
        raise BadAccountError(f"unknown zone {account.zone!r}")
    if account.country not in COUNTRIES:
        raise BadAccountError(f"unknown country {account.country!r}; there are {', '.join(COUNTRIES)}")
    ZoneInfo(account.zone)
    return account


def read_accounts(text: str, now_ms: int) -> list[Account]:
    """Read a CSV of accounts with a header row: account, postal_area, zone, country.

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
        spending_limit_cents=None,
        created_ms=now_ms,
    )


def add_code(
    tx: BillingTx, account: str, box: str | None, now_ms: int, random_bytes: Callable[[int], bytes]
) -> str:
    """Make a one-time enrolment code for an account, or to give a box of it a new key and epoch.

    Only its hash is stored.

    Raises:
        NotFoundError: no such account, or no such box in it.
    """
    tx.account(account)
    if box is not None and tx.box(box).account != account:
        raise NotFoundError(f"account {account!r} has no box {box!r}")
    code = random_bytes(10).hex().upper()
    tx.add_code(code_hash(code), account, box, now_ms + CODE_DAYS * _DAY_MS)
    return code


def enrol(
    store: BillingStore, envelope: bytes, now_ms: int, random_bytes: Callable[[int], bytes]
) -> Enrolled:
    """Enrol the box that signed this with the key that it brings.

    1. It is signed by that key. 2. The code is known and not expired. 3. Unused, or used by this key:
    asking again gives the same answer.

    Raises:
        MalformedError: no envelope, another form, or not signed by the key that it brings.
        UnknownCodeError: the code is unknown, expired or used by another key.
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
        box = replace(old, public_key=message.public_key, epoch=old.epoch + 1, enrolled_ms=now_ms)
    else:
        name = BoxId("bx" + random_bytes(8).hex())
        box = Box(name, message.serial, message.public_key, account, 1, now_ms)
    tx.put_box(box)
    tx.use_code(digest, message.public_key, box.box)
    tx.add_audit(now_ms, "box", "enrolled", box.box, f"epoch {box.epoch}")
    return Enrolled(box.box, box.epoch)

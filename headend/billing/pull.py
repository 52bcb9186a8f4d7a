"""The pull interface: with a key of its own, a receiver lists batches, fetches them and acknowledges.

Whatever leaves passes the disclosure table with the key's recipient, and every download is audited under the
key's name. Files are streamed; one that turns out to have changed breaks off, and its hash fits nothing.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask import Blueprint, Response, request
from msgspec import Struct

from headend.billing import exports, heads, receivers
from headend.billing.documents.document import BadDocumentError
from headend.billing.documents.gather import NoSellerError
from headend.billing.formats.registry import (
    BatchChangedError,
    Format,
    NoSuchFormatError,
    format_named,
    formats,
)
from headend.billing.refusals import (
    BatchChangedRefusal,
    NoSuchBatchRefusal,
    NoSuchFormatRefusal,
    ScopeError,
    UnknownKeyError,
    UnwritableBatchError,
)
from headend.billing.rows import Batch, ExportKey
from headend.billing.store import BillingStore, BillingTx
from headend.disclosure import DisclosureError, Kind, Purpose, Recipient, clear
from headend.kit.http import MalformedError, RefusedError, Tally, body_of, json_answer, problem
from shared.named import Hash

PREFIX = "/billing/export/v1"
JSON = "application/json"
MAX_WORDS = 1024
"""Bytes of an acknowledgement."""
_NUMBER = "<int(min=1, max=99999999):number>"
_BEARER = "Bearer "
_T = TypeVar("_T")


class Acknowledging(Struct, frozen=True, forbid_unknown_fields=True):
    """A receiver's word: the SHA-256 of the batch's JSON Lines, as it computed it."""

    sha256: Hash


def make_pull(
    store: BillingStore, signer_key: Ed25519PrivateKey, clock_now_ms: Callable[[], int], tally: Tally
) -> Blueprint:
    """The pull interface as a blueprint under `PREFIX`; refusals are counted in `tally` by name."""
    return _Pull(store, signer_key, clock_now_ms, tally).blueprint()


class _Pull:
    def __init__(
        self,
        store: BillingStore,
        signer_key: Ed25519PrivateKey,
        clock_now_ms: Callable[[], int],
        tally: Tally,
    ) -> None:
        self._store = store
        self._key = signer_key
        self._now_ms = clock_now_ms
        self._tally = tally

    def blueprint(self) -> Blueprint:
        blueprint = Blueprint("billing-export", __name__, url_prefix=PREFIX)
        routes: tuple[tuple[str, str, Callable[..., Response]], ...] = (
            ("GET", "/batches", self._batches),
            ("GET", f"/batches/{_NUMBER}", self._head),
            ("GET", f"/batches/{_NUMBER}/<name>", self._file),
            ("PUT", f"/batches/{_NUMBER}/acknowledgement", self._acknowledge),
        )
        for method, path, answer in routes:
            blueprint.add_url_rule(path, answer.__name__.strip("_"), answer, methods=[method])
        blueprint.register_error_handler(RefusedError, self._refuse)
        return blueprint

    def _refuse(self, refusal: RefusedError) -> Response:
        self._tally.add(refusal.name)
        answer = problem(refusal)
        if isinstance(refusal, UnknownKeyError):
            answer.headers["WWW-Authenticate"] = "Bearer"  # RFC 6750 section 3
        return answer

    def _batches(self) -> Response:
        look = self._store.read()
        key = receivers.holder(look, _presented(), receivers.READ)
        batches = [_listed(look, batch, key.name) for batch in look.batches()]
        answer = {"formats": list(formats()), "batches": batches}
        return json_answer(msgspec.json.encode(_cleared(answer, Kind.EXPORT_BATCH, key)))

    def _head(self, number: int) -> Response:
        look = self._store.read()
        key = receivers.holder(look, _presented(), receivers.READ)
        batch = _closed(look, number)
        head = _cleared(exports.signed_head(batch, self._key), Kind.EXPORT_BATCH, key)
        self._note(key, batch, "head")
        return json_answer(head)

    def _file(self, number: int, name: str) -> Response:
        look = self._store.read()
        key = receivers.holder(look, _presented(), receivers.READ)
        batch, form = _closed(look, number), _format(name)
        tag = f"{batch.hash}-{form.name}"
        if request.if_none_match.contains(tag):
            answer = Response(status=304)
        else:
            pieces = _cleared(_begun(form, look, batch), form.kind, key)
            self._note(key, batch, form.name)
            answer = Response(pieces, content_type=form.content_type)
            file = f"{heads.name_of(number)}{form.suffix}"
            answer.headers["Content-Disposition"] = f"attachment; filename={file}"
        answer.set_etag(tag)
        answer.headers["Cache-Control"] = "private, no-cache"
        return answer

    def _acknowledge(self, number: int) -> Response:
        look = self._store.read()
        key = receivers.holder(look, _presented(), receivers.ACKNOWLEDGE)
        batch, said = _closed(look, number), _said(body_of(JSON, MAX_WORDS))
        now_ms = self._now_ms()
        stands = self._store.write(lambda tx: receivers.acknowledge(tx, batch, key.name, said.sha256, now_ms))
        answer = {"batch": stands.batch, "sha256": stands.sha256, "acknowledged_ms": stands.at_ms}
        return json_answer(msgspec.json.encode(_cleared(answer, Kind.EXPORT_BATCH, key)))

    def _note(self, key: ExportKey, batch: Batch, what: str) -> None:
        now_ms, who = self._now_ms(), f"key {key.name}"
        detail = f"{what} to {key.recipient}"
        self._store.write(lambda tx: tx.add_audit(now_ms, who, "export downloaded", str(batch.batch), detail))


def _presented() -> str | None:
    """The key in the request (RFC 6750 section 2.1); not in its address, which ends in logs."""
    sent = request.headers.get("Authorization", "")
    return sent.removeprefix(_BEARER) if sent.startswith(_BEARER) else None


def _listed(look: BillingTx, batch: Batch, name: str) -> dict[str, object]:
    acknowledged = [said.at_ms for said in look.acknowledgements(batch.batch) if said.name == name]
    return {
        "batch": batch.batch,
        "first_entry": batch.first_entry,
        "last_entry": batch.last_entry,
        "closed_ms": batch.closed_ms,
        "sha256": batch.hash,
        "acknowledged_ms": acknowledged[0] if acknowledged else None,
    }


def _closed(look: BillingTx, number: int) -> Batch:
    try:
        return exports.closed(look, number)
    except exports.NoSuchBatchError as error:
        raise NoSuchBatchRefusal("never closed") from error


def _format(name: str) -> Format:
    try:
        return format_named(name)
    except NoSuchFormatError as error:
        raise NoSuchFormatRefusal("no such format") from error


def _cleared(payload: _T, kind: Kind, key: ExportKey) -> _T:
    if key.recipient != Recipient.BILLING_SYSTEM:
        raise ScopeError("this key's recipient gets no exports")
    try:
        return clear(payload, kind, Recipient.BILLING_SYSTEM, Purpose.BILLING).payload
    except DisclosureError as error:
        raise ScopeError("may not leave to this key's recipient") from error


def _begun(form: Format, look: BillingTx, batch: Batch) -> Iterator[bytes]:
    """The file's pieces, the first one made already: what cannot be written at all is still refused."""
    pieces = form.render(look, batch)
    try:
        first = next(pieces)
    except BatchChangedError as error:
        raise BatchChangedRefusal("changed") from error
    except (NoSellerError, BadDocumentError) as error:
        raise UnwritableBatchError("cannot be written") from error
    return chain([first], pieces)


def _said(body: bytes) -> Acknowledging:
    try:
        return msgspec.json.decode(body, type=Acknowledging)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError("no acknowledgement") from error

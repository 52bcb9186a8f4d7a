"""The anonymous line's end: sealed fragments in, sealed answers of one size out, and the week's directory.

No id, body or cell is logged or kept here; refusals are counted by name over all weeks.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from flask import Blueprint, Response, request

from headend.analytics.intake import FragmentRefusedError, OpenWeek, Refusal, check, open_week
from headend.analytics.keys import AnalyticsKeys
from headend.analytics.store import AnalyticsStore, Contribution, Counted, StoredDirectory
from headend.kit.http import RefusedError, Tally, TooLargeError, WrongTypeError, body_of, problem
from headend.kit.shelf import KeyFileError
from headend.kit.storage import StorageError
from headend.kit.together import ClosedError, Together
from shared.anonymous import INNER_ANSWER_SIZE, INNER_REQUEST_SIZE
from shared.bhttp import Response as InnerAnswer
from shared.bhttp import encode_response
from shared.clock import Clock
from shared.ohttp import (
    REQUEST_MEDIA_TYPE,
    REQUEST_OVERHEAD,
    RESPONSE_MEDIA_TYPE,
    RESPONSE_NONCE_BYTES,
    OhttpError,
    ServerContext,
    WrongSuiteError,
)
from shared.weeks import NotAWeekError, Week

SEALED_SIZE = INNER_REQUEST_SIZE + REQUEST_OVERHEAD
"""Bytes of every sealed request; one size, so that size tells nothing."""
DIRECTORY_TYPE = "application/json"
GROUP_LIMIT = 128
"""Fragments in one commit."""
IMMUTABLE = "public, max-age=31536000, immutable"
_COUNTED = encode_response(InnerAnswer(int(HTTPStatus.OK)), INNER_ANSWER_SIZE)


class WrongSizeError(RefusedError):
    """A sealed request has another size than all sealed requests have."""

    name = "wrong-size"


class UnknownKeyError(RefusedError):
    """The sealed request names a key of no open week."""

    name = "unknown-key"


class UnknownSuiteError(RefusedError):
    """The sealed request is of another suite than the directory's."""

    name = "unknown-suite"


class BrokenSealError(RefusedError):
    """The seal does not open."""

    name = "broken-seal"


class NotStoredError(RefusedError):
    """The database could not take the fragment; it may be sent again."""

    name = "not-stored"
    status = HTTPStatus.SERVICE_UNAVAILABLE


class NoDirectoryError(RefusedError):
    """There is no directory for that week."""

    name = "no-directory"
    status = HTTPStatus.NOT_FOUND


class OpenWeeks:
    """The weeks whose seals can be opened, by key id; read from the store when one is not known yet.

    A directory never changes, so what is held here cannot be stale but in one way: the week may be done.
    That is refused by time, and by the state that is asked in the counting transaction.
    """

    def __init__(self, store: AnalyticsStore, keys: AnalyticsKeys) -> None:
        self._store = store
        self._keys = keys
        self._lock = threading.Lock()
        self._weeks: dict[int, OpenWeek] = {}

    def by_key_id(self, key_id: int) -> OpenWeek | None:
        """The open week whose ISO number is `key_id`."""
        known = self._weeks.get(key_id)
        return known if known is not None else self._load().get(key_id)

    def refresh(self) -> None:
        """Take what another process has published; let go of weeks that are done or have lost their key."""
        with self._lock:
            self._weeks = {n: one for n, one in self._weeks.items() if self._keys.stands(one.week)}
        self._load()

    def reload(self) -> None:
        """Look at the store again at the next question."""
        with self._lock:
            self._weeks = {}

    def _load(self) -> dict[int, OpenWeek]:
        with self._lock:
            found = {}
            for stored in self._store.open_directories():
                known = self._weeks.get(stored.week.number)
                if known is None or known.week != stored.week:  # unknown key ids must stay cheap to refuse
                    known = self._open(stored)
                if known is not None:
                    found[stored.week.number] = known
            self._weeks = found
            return found

    def _open(self, stored: StoredDirectory) -> OpenWeek | None:
        try:
            return open_week(stored, self._keys.gateway(stored.week))
        except KeyFileError:
            return None  # its key is forgotten: nothing sealed for it can be opened


@dataclass(frozen=True)
class Proved:
    """A fragment that steps 1 to 4 have let through, and what its answer is sealed with."""

    contribution: Contribution
    context: ServerContext


class Intake:
    """Takes sealed fragments; safe between threads, and fastest when many ask at once."""

    def __init__(
        self,
        store: AnalyticsStore,
        weeks: OpenWeeks,
        clock: Clock,
        tally: Tally,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._weeks = weeks
        self._clock = clock
        self._tally = tally
        self._random_bytes = random_bytes
        self._together: Together[bytes, bytes] = Together(self.answer_all, GROUP_LIMIT)

    def answer(self, sealed: bytes) -> bytes:
        """Take a sealed fragment and give the sealed answer; it is counted, durably, before this returns.

        Proved in this order, and nothing is kept of what fails:

        1. The request has the one size, and is of the directory's suite.
        2. The seal opens with the key of an open week, and inside is exactly a POST of one fragment to the
           one address, with one token and no other header.
        3. The week is open: its directory is known, it is over, and it has not closed.
        4. The token is genuine: its key belongs to (measure, week), its challenge is the one computed here,
           the fragment says the same measure and week, its cell is in the grid and its value fits.
        5. The token is unspent. If it is spent, the answer is the first one's again.
        6. The fragment is counted. Steps 5 and 6 are one transaction, which also asks the week's state.

        The caller owes nothing but the size limit on what it reads from the network.

        Raises:
            RefusedError: steps 1 and 2, where there is no seal to answer under; or the database failed.
        """
        try:
            return self._together.ask(sealed)
        except (StorageError, ClosedError) as error:
            raise NotStoredError from error

    def answer_all(self, group: list[bytes]) -> list[bytes | RefusedError]:
        """The same for several at once, in one transaction: each one's answer, or its refusal.

        Raises:
            StorageError: the database failed, and nothing of the group was counted.
        """
        proofs = [self._prove(sealed) for sealed in group]  # 1 to 4
        proved = [proof for proof in proofs if isinstance(proof, Proved)]
        verdicts = iter(self._store.count([proof.contribution for proof in proved]))  # 5 and 6
        return [self._tell(proof, next(verdicts)) if isinstance(proof, Proved) else proof for proof in proofs]

    def close(self) -> None:
        """Answer what is waiting, then take nothing more."""
        self._together.close()

    def _prove(self, sealed: bytes) -> Proved | bytes | RefusedError:
        """Steps 1 to 4: what may be counted, else the sealed refusal, else why there is no seal to answer."""
        if len(sealed) != SEALED_SIZE:  # 1
            return WrongSizeError()
        week = self._weeks.by_key_id(sealed[0])  # 2
        if week is None:
            return UnknownKeyError()
        try:
            inner, context = _open(week, sealed)
        except RefusedError as refusal:
            return refusal
        try:
            return Proved(check(inner, week, self._clock.now()), context)  # 2, 3 and 4
        except FragmentRefusedError as refused:
            return self._refuse(context, refused)

    def _tell(self, proved: Proved, verdict: Counted) -> bytes:
        if verdict is Counted.TOO_LATE:
            return self._refuse(proved.context, FragmentRefusedError(Refusal.WEEK_CLOSED))
        if verdict is Counted.DUPLICATE:
            self._tally.add(verdict)
        return self._seal(proved.context, _COUNTED)

    def _refuse(self, context: ServerContext, refused: FragmentRefusedError) -> bytes:
        self._tally.add(refused.reason)
        inner = InnerAnswer(refused.status, (), refused.reason.encode())
        return self._seal(context, encode_response(inner, INNER_ANSWER_SIZE))

    def _seal(self, context: ServerContext, inner: bytes) -> bytes:
        return context.seal_response(inner, self._random_bytes(RESPONSE_NONCE_BYTES))


def _open(week: OpenWeek, sealed: bytes) -> tuple[bytes, ServerContext]:
    try:
        return week.gateway.open_request(sealed)
    except WrongSuiteError as error:
        raise UnknownSuiteError from error
    except OhttpError as error:
        raise BrokenSealError from error


def make_blueprint(store: AnalyticsStore, intake: Intake | None, tally: Tally) -> Blueprint:
    """The two addresses of the anonymous line: `POST /ohttp` and `GET /directory/<week>`.

    Without an intake only the second: fragments are taken by the gateway's own process (`headend gateway`).
    """
    blueprint = Blueprint("analytics", __name__, url_prefix="/analytics")
    if intake is not None:
        take = intake

        @blueprint.post("/ohttp")
        def ohttp() -> Response:
            return Response(take.answer(_sealed_body()), content_type=RESPONSE_MEDIA_TYPE)

    @blueprint.get("/directory/<week>")
    def directory(week: str) -> Response:
        return Response(
            directory_of(store, week), content_type=DIRECTORY_TYPE, headers={"Cache-Control": IMMUTABLE}
        )

    @blueprint.errorhandler(RefusedError)
    def refused(refusal: RefusedError) -> Response:
        tally.add(refusal.name)
        return problem(refusal)

    return blueprint


def _sealed_body() -> bytes:
    return body_of(REQUEST_MEDIA_TYPE, SEALED_SIZE, request)


def directory_of(store: AnalyticsStore, week: str) -> bytes:
    """The signed bytes of a week's directory.

    Raises:
        NoDirectoryError: there is none.
    """
    try:
        stored = store.directory(Week.parse(week))
    except NotAWeekError as error:
        raise NoDirectoryError from error
    if stored is None:
        raise NoDirectoryError
    return stored.envelope


OUTER_REFUSALS: tuple[type[RefusedError], ...] = (
    WrongSizeError,
    UnknownKeyError,
    UnknownSuiteError,
    BrokenSealError,
    NotStoredError,
    NoDirectoryError,
    TooLargeError,
    WrongTypeError,
)
"""Every way to be refused outside the seal; those within are `Refusal`."""

"""Issuing tokens: the reporting box of an account gets, for each measure and week, at most the quota.

The issuer signs blindly (RFC 9474, RFC 9578): it knows who asked, and nothing of what the tokens will be
spent on. The key binds a token to its measure and week.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from zoneinfo import ZoneInfo

from headend.billing.orders import authenticate
from headend.billing.refusals import (
    BoxMismatchError,
    NotReportingError,
    QuotaError,
    UndeclaredMeasureError,
    WeekHeldError,
    WrongTokenKeyError,
    WrongWeekError,
)
from headend.billing.rows import Box
from headend.billing.signer import BlindedMessageError, RsaSigner, Signer
from headend.billing.store import BillingStore, BillingTx
from headend.kit.engine import Shelf
from headend.kit.http import MalformedError
from shared.clock import Clock
from shared.named import AccountId, TokenAsk, TokenGrant, UnreadableMessageError, read
from shared.register import Profile, in_force
from shared.tokens import TokenError, TokenRequest, token_key_id, truncated_key_id
from shared.weeks import NotAWeekError, Week

DRAW, FORGET, HOLD = "draw", "forget-tokens", "hold-tokens"
"""The jobs by whose records it is known which weeks are drawn, which are forgotten, and which are held."""
AT_A_TIME = 1_000
"""Accounts that are drawn or forgotten in one transaction: some milliseconds, in which others wait."""


class TokenKeys:
    """The private keys of measures and weeks."""

    def __init__(self, shelf: Shelf, new: Callable[[], RsaSigner] = RsaSigner.generate) -> None:
        self._shelf = shelf
        self._new = new
        self.signer = lru_cache(maxsize=128)(self._load)

    def _load(self, measure: str, week: Week) -> Signer:
        pem = self._shelf.get(_name(measure, week))
        if pem is None:
            raise WrongWeekError("no key of that week")
        return RsaSigner.from_pem(pem)

    def of(self, measure: str, week: Week) -> Signer:
        """The key of a measure and week.

        Raises:
            WrongWeekError: there is none, or none any more.
        """
        return self.signer(measure, week)

    def make(self, measures: Iterable[str], week: Week) -> dict[str, Signer]:
        """The keys of a week's measures, made where there are none; made once, whoever asks.

        Of a key id a request carries one byte only (RFC 9578 section 6.1), so no two keys of a week share it:
        one that would is thrown away and made anew.
        """
        found: dict[str, Signer] = {}
        for measure in measures:
            taken = {_carried(signer) for signer in found.values()}
            if self._shelf.get(_name(measure, week)) is None:
                self._shelf.put_once(_name(measure, week), self._generate(taken).to_pem())
            found[measure] = self.signer(measure, week)
        return found

    def _generate(self, taken: set[int]) -> RsaSigner:
        while _carried(signer := self._new()) in taken:
            continue
        return signer

    def public(self, measures: Iterable[str], week: Week) -> list[bytes]:
        """The public keys of a week's measures, as far as they have been made (SubjectPublicKeyInfo, DER)."""
        made = [measure for measure in measures if self._shelf.get(_name(measure, week)) is not None]
        return [self.signer(measure, week).public_spki for measure in made]

    def destroy(self, week: Week) -> None:
        """Remove a week's keys."""
        self._shelf.remove(f"token-{week}-")
        self.let_go()

    def let_go(self) -> None:
        """Hold no key in memory any longer; what still stands is read again when it is asked for."""
        self.signer.cache_clear()


def _name(measure: str, week: Week) -> str:
    return f"token-{week}-{measure}.pem"


def _carried(signer: Signer) -> int:
    """The byte of its key's id that a request carries."""
    return truncated_key_id(token_key_id(signer.public_spki))


@dataclass(frozen=True)
class Issuer:
    """What issuing needs: the week's clock and zone, the keys, and the profile with its quotas."""

    store: BillingStore
    keys: TokenKeys
    clock: Clock
    zone: ZoneInfo
    taken: Profile

    def grant(self, envelope: bytes) -> TokenGrant:
        """Sign what a box asks for.

        1. The box signed it. 2. Each measure is declared and the request names its key. 3. The box is its
        account's reporting box of the week. 4. The same request gets the same answer, also when its week
        is over or held; a new one only in its week and within the quota. All or nothing.

        Raises:
            RefusedError: the first of these that does not hold.
        """
        box, payload = authenticate(self.store.read(), envelope)
        ask = self._read(payload, box)
        requests = [(one.measure, self._request(one.measure, one.request, ask.week)) for one in ask.requests]
        known = self._known(box, ask.week, requests)
        if not all(digest in known for _, (digest, _) in requests):
            self._check_open(self.store.read(), ask.week)
        signed = {
            digest: known.get(digest) or self._sign(measure, ask.week, blinded)
            for measure, (digest, blinded) in requests
        }
        return self.store.write_beside(lambda tx: self._record(tx, box, ask.week, requests, signed))

    @staticmethod
    def _read(payload: bytes, box: Box) -> TokenAsk:
        try:
            ask = read(payload, TokenAsk)
        except UnreadableMessageError as error:
            raise MalformedError("no token request") from error
        if ask.box != box.box:
            raise BoxMismatchError("signed by another box than it speaks for")
        return ask

    def _request(self, measure: str, text: str, week: str) -> tuple[str, bytes]:
        if measure not in {one.name for one in in_force(self.taken, _week(week).monday()).measures}:
            raise UndeclaredMeasureError("not a measure of that week")
        try:
            request = TokenRequest.decode(base64.b64decode(text, validate=True))
        except (TokenError, binascii.Error) as error:
            raise MalformedError("no token request") from error
        key_id = token_key_id(self.keys.of(measure, _week(week)).public_spki)
        if request.truncated_key_id != truncated_key_id(key_id):
            raise WrongTokenKeyError("another key")
        return hashlib.sha256(request.blinded).hexdigest(), request.blinded

    def _sign(self, measure: str, week: str, blinded: bytes) -> bytes:
        try:
            return self.keys.of(measure, _week(week)).blind_sign(blinded)
        except BlindedMessageError as error:
            raise MalformedError("out of range") from error

    def _known(self, box: Box, week: str, requests: list[tuple[str, tuple[str, bytes]]]) -> dict[str, bytes]:
        look = self.store.read()
        self._check_reporting(look, box, week)
        known: dict[str, bytes] = {}
        for measure in {measure for measure, _ in requests}:
            known.update(look.grants(week, box.account, measure))
            self._check_quota(look, box, week, measure, requests)
        return known

    def _check_open(self, tx: BillingTx, week: str) -> None:
        if week != str(Week.of(self.clock.now(), self.zone)):
            raise WrongWeekError("not the running week")
        if tx.last_slot(HOLD) == week:
            raise WeekHeldError("what was signed for that week is not known any more")

    @staticmethod
    def _check_reporting(tx: BillingTx, box: Box, week: str) -> None:
        if tx.reporting_box(week, box.account) != box.box:
            raise NotReportingError("not drawn this week")

    def _check_quota(
        self, tx: BillingTx, box: Box, week: str, measure: str, requests: list[tuple[str, tuple[str, bytes]]]
    ) -> None:
        granted = {digest for digest, _ in tx.grants(week, box.account, measure)}
        asked = {digest for name, (digest, _) in requests if name == measure}
        if len(granted | asked) > self.taken.measure(measure).quota:
            raise QuotaError("the quota is used up")

    def _record(
        self,
        tx: BillingTx,
        box: Box,
        week: str,
        requests: list[tuple[str, tuple[str, bytes]]],
        signed: dict[str, bytes],
    ) -> TokenGrant:
        self._check_reporting(tx, box, week)
        answers: list[str] = []
        for measure, (digest, _) in requests:
            self._check_quota(tx, box, week, measure, requests)
            granted = dict(tx.grants(week, box.account, measure))
            if digest not in granted:
                self._check_open(tx, week)
                tx.add_grant(week, box.account, measure, digest, signed[digest])
            answers.append(base64.b64encode(granted.get(digest, signed[digest])).decode())
        return TokenGrant(answers)


def _week(text: str) -> Week:
    try:
        return Week.parse(text)
    except NotAWeekError as error:
        raise WrongWeekError("no such week") from error


def draw_reporting_boxes(store: BillingStore, week: Week, below: Callable[[int], int], now_ms: int) -> int:
    """Draw one box of every account for the week, uniformly, whatever its owner consented to.

    `below(n)` gives a uniform number from 0 to n - 1. Some accounts at a time, so that nobody waits for all
    of them: what was drawn before stands, so to go on after a crash is to begin anew, and the week is
    recorded as drawn with the last of them. Once it is, nothing is drawn. Gives the number of accounts.
    """
    drawn, last = 0, ""

    def some(tx: BillingTx) -> list[AccountId]:
        if (tx.last_slot(DRAW) or "") >= str(week):
            return []
        found = tx.some_with_boxes(last, AT_A_TIME)
        tx.draw_reporting(str(week), {account: boxes[below(len(boxes))] for account, boxes in found})
        if not found:
            tx.claim(DRAW, str(week), now_ms)
        return [account for account, _ in found]

    while names := store.write(some):
        drawn, last = drawn + len(names), names[-1]
    return drawn


def hold_tokens(store: BillingStore, week: Week, now_ms: int) -> bool:
    """Sign nothing new for the running week, since what was signed for it is not known any more.

    So it is after a restore to an earlier moment: whoever had tokens since would get as many again, and of
    an account with several boxes another one might be drawn. Held, a week's releases stay within the quota;
    accounts that had not asked before that moment are missing from it. Tells whether it is held only now.
    """
    return store.write(lambda tx: tx.claim(HOLD, str(week), now_ms))


def forget_tokens(store: BillingStore, week: Week, now_ms: int) -> None:
    """Forget who reported in a week and what was signed for it, some at a time, and record it as done."""

    def some(tx: BillingTx) -> bool:
        more = tx.forget_tokens(str(week), AT_A_TIME)
        if not more:
            tx.claim(FORGET, str(week), now_ms)
        return more

    while store.write(some):
        continue


def below(limit: int) -> int:
    """A uniform number from 0 to `limit` - 1 from the system's randomness."""
    return secrets.randbelow(limit)

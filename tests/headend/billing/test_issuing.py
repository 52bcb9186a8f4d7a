import base64
import secrets
from collections import Counter
from itertools import chain, pairwise
from zoneinfo import ZoneInfo

import pytest

from headend.billing import issuing, refusals
from headend.billing.issuing import Issuer, TokenKeys, draw_reporting_boxes, hold_tokens
from headend.billing.signer import RsaSigner
from headend.kit.http import MalformedError
from headend.kit.shelf import FolderShelf
from shared import tokens
from shared.clock import ManualClock
from shared.directory import challenge
from shared.named import MeasureRequest, TokenAsk, encode
from shared.register import profile
from shared.weeks import Week
from tests.builders import NOW, NOW_MS, SigningBox, account

WEEK = Week(2026, 41)
ZONE = ZoneInfo("Europe/Amsterdam")


@pytest.fixture
def issuer(store, box, tmp_path):
    keys = TokenKeys(FolderShelf(tmp_path))
    keys.make(("genre", "viewing", "ordered-genre"), WEEK)
    draw_reporting_boxes(store, WEEK, lambda _: 0, NOW_MS)
    return Issuer(store, keys, ManualClock(NOW), ZONE, profile("small"))


def pending(issuer, measure="genre", week=WEEK):
    spki = issuer.keys.signer(measure, week).public_spki
    digest = challenge("issuer", measure, week).digest()
    return tokens.blind(tokens.prepare(digest, spki, secrets.token_bytes(32)), spki)


def ask(box, *requests, week="2026-W41", measure="genre"):
    coded = [MeasureRequest(measure, base64.b64encode(raw).decode()) for raw in requests]
    return box.sign(encode(TokenAsk(box=box.box, week=week, requests=coded)))


def test_a_reporting_box_gets_a_token_that_verifies(issuer, box):
    blinded = pending(issuer)
    grant = issuer.grant(ask(box, blinded.request))
    spki = issuer.keys.signer("genre", WEEK).public_spki
    token = tokens.finalize(blinded, spki, base64.b64decode(grant.responses[0]))
    tokens.verify_token(token, tokens.read_token_key(spki))


def test_asked_again_for_the_same_it_gives_the_same_answer(issuer, box):
    envelope = ask(box, pending(issuer).request)
    assert issuer.grant(envelope) == issuer.grant(envelope)


def test_it_signs_no_more_than_the_quota_whatever_box_or_epoch_asks(issuer, store, box):
    issuer.grant(ask(box, pending(issuer).request))
    with pytest.raises(refusals.QuotaError):
        issuer.grant(ask(box, pending(issuer).request))
    renewed = SigningBox(store).enrolled(renew=box.box)
    with pytest.raises(refusals.QuotaError):
        issuer.grant(ask(renewed, pending(issuer).request))


def test_two_requests_beyond_the_quota_are_refused_whole(issuer, store, box):
    with pytest.raises(refusals.QuotaError):
        issuer.grant(ask(box, pending(issuer).request, pending(issuer).request))
    assert store.read().issued("2026-W41") == (1, 0, {})


def test_another_box_of_the_household_gets_none(issuer, store, box):
    second = SigningBox(store).enrolled()
    with pytest.raises(refusals.NotReportingError):
        issuer.grant(ask(second, pending(issuer).request))


def test_tokens_are_issued_in_their_week_only(issuer, box):
    with pytest.raises(refusals.WrongWeekError):
        issuer.grant(ask(box, pending(issuer).request, week="2026-W42"))
    issuer.clock.advance_to(WEEK.end(ZONE))
    with pytest.raises(refusals.WrongWeekError):
        issuer.grant(ask(box, pending(issuer).request))


def test_what_was_signed_is_given_again_after_the_week_so_that_a_lost_answer_costs_nothing(issuer, box):
    envelope = ask(box, pending(issuer).request)
    first = issuer.grant(envelope)
    issuer.clock.advance_to(WEEK.end(ZONE))
    assert issuer.grant(envelope) == first


def test_a_held_week_gives_what_was_signed_and_nothing_new_and_the_next_one_is_as_usual(issuer, store, box):
    envelope = ask(box, pending(issuer).request)
    first = issuer.grant(envelope)
    store.write(lambda tx: tx.add_account(account("acc-2")))
    late = SigningBox(store, "acc-2", serial="SN-2").enrolled()
    store.write(lambda tx: tx.draw_reporting(str(WEEK), {"acc-2": late.box}))
    assert hold_tokens(store, WEEK, NOW_MS)
    assert not hold_tokens(store, WEEK, NOW_MS)
    with pytest.raises(refusals.WeekHeldError):
        issuer.grant(ask(late, pending(issuer).request))
    assert store.read().grants(str(WEEK), "acc-2", "genre") == []
    assert issuer.grant(envelope) == first
    issuer.clock.advance_to(WEEK.end(ZONE))
    issuer.keys.make(("genre",), WEEK.plus(1))
    draw_reporting_boxes(store, WEEK.plus(1), lambda _: 0, NOW_MS)
    assert issuer.grant(ask(late, pending(issuer, week=WEEK.plus(1)).request, week=str(WEEK.plus(1))))


def test_a_week_that_is_held_while_a_token_is_being_signed_gives_none(issuer, store, box, monkeypatch):
    sign = issuer._sign

    def hold_meanwhile(*words):
        hold_tokens(store, WEEK, NOW_MS)
        return sign(*words)

    monkeypatch.setattr(Issuer, "_sign", lambda _, *words: hold_meanwhile(*words))
    with pytest.raises(refusals.WeekHeldError):
        issuer.grant(ask(box, pending(issuer).request))
    assert store.read().grants(str(WEEK), "acc-1", "genre") == []


def test_a_measure_that_the_profile_does_not_take_is_refused(issuer, box):
    with pytest.raises(refusals.UndeclaredMeasureError):
        issuer.grant(ask(box, pending(issuer).request, measure="genre-region"))


def test_a_request_for_another_key_is_refused(issuer, box):
    request = bytearray(pending(issuer).request)
    request[2] ^= 1
    with pytest.raises(refusals.WrongTokenKeyError):
        issuer.grant(ask(box, bytes(request)))


def test_a_request_of_the_wrong_length_or_a_blinded_message_out_of_range_is_refused(issuer, store, box):
    with pytest.raises(MalformedError):
        issuer.grant(ask(box, pending(issuer).request[:-1]))
    request = pending(issuer).request
    with pytest.raises(MalformedError):
        issuer.grant(ask(box, request[:3] + b"\xff" * 256))
    assert store.read().issued("2026-W41")[2] == {}


def test_a_request_that_the_box_did_not_sign_is_refused(issuer, store, box):
    stranger = SigningBox(store, box=box.box)
    with pytest.raises(refusals.WrongSignatureError):
        issuer.grant(ask(stranger, pending(issuer).request))


def test_a_box_that_replaces_the_reporting_box_in_mid_week_gets_no_second_quota(issuer, store, box):
    issuer.grant(ask(box, pending(issuer).request))
    new = SigningBox(store).enrolled()
    draw_reporting_boxes(store, WEEK, lambda n: n - 1, NOW_MS)
    with pytest.raises(refusals.NotReportingError):
        issuer.grant(ask(new, pending(issuer).request))
    assert len(store.read().grants("2026-W41", "acc-1", "genre")) == 1


def test_a_measure_past_its_review_date_gets_no_tokens(issuer, box):
    late = Week(2032, 1)
    issuer.keys.make(["genre"], late)
    issuer.clock.advance_to(late.start(ZONE))
    request = TokenAsk(
        box=box.box,
        week=str(late),
        requests=[MeasureRequest("genre", base64.b64encode(pending(issuer).request).decode())],
    )
    with pytest.raises(refusals.UndeclaredMeasureError):
        issuer.grant(box.sign(encode(request)))


def test_keys_of_a_week_never_share_the_byte_that_a_request_carries(tmp_path):
    first = RsaSigner.generate()
    row = chain([first, first, first], iter(RsaSigner.generate, None))
    keys = TokenKeys(FolderShelf(tmp_path), lambda: next(row)).make(
        ["genre", "viewing", "ordered-genre"], WEEK
    )
    carried = [tokens.truncated_key_id(tokens.token_key_id(one.public_spki)) for one in keys.values()]
    assert len(set(carried)) == 3


def test_the_first_draw_of_a_week_stands(store, box):
    SigningBox(store).enrolled()
    draw_reporting_boxes(store, WEEK, lambda _: 0, NOW_MS)
    first = store.read().reporting_box("2026-W41", "acc-1")
    draw_reporting_boxes(store, WEEK, lambda n: n - 1, NOW_MS)
    assert store.read().reporting_box("2026-W41", "acc-1") == first


class CutShortError(Exception):
    """The headend stopped."""


class Stopping:
    """A store that stops before one of its transactions, and counts what each changed."""

    def __init__(self, over, before):
        self.over, self.left, self.counts = over, before, []

    def write(self, work):
        if not self.left:
            raise CutShortError
        self.left -= 1
        found = self.over.write(work)
        self.counts.append(self.over.read().issued("2026-W41")[0])
        return found


@pytest.fixture
def town(store, box, monkeypatch):
    """Five accounts, of which one has three boxes, drawn and forgotten two at a time."""
    monkeypatch.setattr(issuing, "AT_A_TIME", 2)
    for number in range(2, 6):
        store.write(lambda tx, number=number: tx.add_account(account(f"acc-{number}")))
        for _ in range(3 if number == 3 else 1):
            SigningBox(store, account=f"acc-{number}", serial=f"SN-{number}").enrolled()
    return store


def test_a_draw_that_was_cut_short_goes_on_and_what_was_drawn_stands(town):
    first = Stopping(town, 2)
    with pytest.raises(CutShortError):
        draw_reporting_boxes(first, WEEK, lambda _: 0, NOW_MS)
    assert town.read().last_slot("draw") is None
    drawn = {name: town.read().reporting_box(str(WEEK), name) for name in ("acc-1", "acc-2", "acc-3")}
    assert None not in drawn.values()
    assert town.read().reporting_box(str(WEEK), "acc-5") is None

    again = Stopping(town, 99)
    draw_reporting_boxes(again, WEEK, lambda n: n - 1, NOW_MS)
    assert {name: town.read().reporting_box(str(WEEK), name) for name in drawn} == drawn
    assert town.read().issued(str(WEEK))[0] == 5
    assert town.read().last_slot("draw") == str(WEEK)


def test_a_draw_takes_some_accounts_at_a_time_and_every_box_of_each(town):
    asked = []
    store = Stopping(town, 99)
    assert draw_reporting_boxes(store, WEEK, lambda n: asked.append(n) or 0, NOW_MS) == 5
    assert sorted(asked) == [1, 1, 1, 1, 3]
    assert max(after - before for before, after in pairwise([0, *store.counts])) <= 2


def test_a_week_that_is_drawn_is_drawn_for_nobody_who_comes_after(town):
    draw_reporting_boxes(town, WEEK, issuing.below, NOW_MS)
    town.write(lambda tx: tx.add_account(account("acc-9")))
    SigningBox(town, account="acc-9").enrolled()
    assert draw_reporting_boxes(town, WEEK, issuing.below, NOW_MS) == 0
    assert town.read().reporting_box(str(WEEK), "acc-9") is None


@pytest.mark.sqlite(why="on a server a week's part goes as a whole")
def test_a_week_is_forgotten_some_accounts_at_a_time_and_recorded_with_the_last(town):
    draw_reporting_boxes(town, WEEK, issuing.below, NOW_MS)
    for number in range(5):  # more than two of one account
        town.write(lambda tx, n=number: tx.add_grant(str(WEEK), "acc-1", "genre", f"r{n}", b"signed"))
    town.write(lambda tx: tx.add_grant(str(WEEK), "acc-4", "genre", "r", b"signed"))
    with pytest.raises(CutShortError):
        issuing.forget_tokens(Stopping(town, 2), WEEK, NOW_MS)
    assert town.read().last_slot("forget-tokens") is None
    assert town.read().issued(str(WEEK))[0] == 1
    issuing.forget_tokens(town, WEEK, NOW_MS)
    assert town.read().issued(str(WEEK)) == (0, 0, {})
    assert town.read().last_slot("forget-tokens") == str(WEEK)


def test_boxes_by_area_are_those_that_are_bound(town):
    areas = {one.account: one.postal_area for one in town.read().accounts()}
    assert town.read().boxes_by_area() == [("1011", 7)]
    town.write(lambda tx: tx.add_account(account("acc-6", postal_area="2000")))
    other = SigningBox(town, account="acc-6").enrolled()
    assert town.read().boxes_by_area() == [("1011", 7), ("2000", 1)]
    town.write(lambda tx: tx.release_box(other.box, NOW_MS))
    counted = Counter()
    for name, boxes in town.read().accounts_with_boxes():
        counted[areas[name]] += len(boxes)
    assert town.read().boxes_by_area() == sorted(counted.items())


def test_every_box_of_a_household_is_drawn_as_often(store, box):
    others = [SigningBox(store).enrolled() for _ in range(2)]
    drawn = dict.fromkeys([box.box, *(other.box for other in others)], 0)
    for number in range(300):
        week = WEEK.plus(number)
        draw_reporting_boxes(store, week, issuing.below, NOW_MS)
        drawn[store.read().reporting_box(str(week), "acc-1")] += 1
    assert all(50 < count < 150 for count in drawn.values())


def test_a_key_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    keys = TokenKeys(FolderShelf(tmp_path))
    first = keys.make(["genre"], WEEK)["genre"].public_spki
    assert TokenKeys(FolderShelf(tmp_path)).make(["genre"], WEEK)["genre"].public_spki == first
    assert next(tmp_path.glob("token-*.pem")).stat().st_mode & 0o777 == 0o600

"""The product made worse, in the test only: the same adversary has to see each of these leaks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

from box_agent import outbox, refill, rollup
from box_agent.chance import RandomBelow, RandomBytes
from box_agent.outbox import Outbox
from box_agent.sealing import Sealed
from shared import tokens
from shared.anonymous import FRAGMENT_AUTHORITY, FRAGMENT_PATH, FRAGMENT_TYPE, NONE_CELL, Fragment
from shared.bhttp import Request, encode_request
from shared.clock import to_ms
from shared.ohttp import KeyConfig, encapsulate_request
from shared.register import Grid, Measure
from shared.tokens import PendingToken, Token, authorization_header
from shared.weeks import Week
from tests.linkage.boxes import Life


@contextmanager
def no_delays() -> Iterator[None]:
    """All fragments leave when the week is rolled up."""
    with patch.object(Outbox, "_moment", lambda _self, _week, now: to_ms(now)):
        yield


@contextmanager
def one_moment() -> Iterator[None]:
    """One moment is drawn for a box, in place of one for each fragment."""
    real = Outbox._moment

    def moment(self: Outbox, week: Week, now: object) -> int:
        drawn = vars(self).setdefault("drawn_once", {})
        return drawn.setdefault(str(week), real(self, week, now))

    with patch.object(Outbox, "_moment", moment):
        yield


@contextmanager
def on_the_beat() -> Iterator[None]:
    """A box does everything at whole ticks from its start on, never a moment later."""

    def ticked(self: Life, at_ms: int) -> int:
        return at_ms + (self._phase - at_ms) % self._place.ticks.every_ms

    with patch.object(Life, "_ticked", ticked):
        yield


@contextmanager
def no_blinding() -> Iterator[None]:
    """The blinding factor is 1: the issuer signs what it can read."""

    def blind(token_input: bytes, spki: bytes, random_bytes: RandomBytes) -> PendingToken:
        return tokens._blind_with(token_input, spki, random_bytes(tokens.SALT_BYTES), 1)

    with patch.object(refill, "blind", blind):
        yield


@contextmanager
def no_padding() -> Iterator[None]:
    """What carries nothing is shorter, and nothing is padded."""

    def seal(fragment: Fragment, token: bytes, config: bytes, random_bytes: RandomBytes) -> Sealed:
        header = authorization_header(Token.decode(token))
        headers = (("authorization", header), ("content-type", FRAGMENT_TYPE))
        body = b"" if fragment.cell == NONE_CELL else fragment.encode()
        request = Request("POST", "https", FRAGMENT_AUTHORITY, FRAGMENT_PATH, headers, body)
        return Sealed(*encapsulate_request(KeyConfig.decode(config), encode_request(request), random_bytes))

    with patch.object(outbox, "seal_fragment", seal):
        yield


@contextmanager
def no_none() -> Iterator[None]:
    """What carries nothing is not sent."""
    real = rollup.draw

    def draw(found: rollup.Contribution, week: Week, random_below: RandomBelow) -> list[Fragment]:
        return [one for one in real(found, week, random_below) if one.cell != NONE_CELL]

    with patch.object(rollup, "draw", draw):
        yield


@contextmanager
def exact_minutes() -> Iterator[None]:
    """Volumes are told to the minute, and not in sixteenths that are rounded at random."""
    with patch.object(rollup, "sixteenths", lambda minutes, volume, _random_below: min(minutes, volume)):
        yield


def one_minute_for_all(
    measures: Sequence[tuple[Measure, Grid]], week: Week, viewed: rollup.Viewed, random_below: RandomBelow
) -> list[Fragment]:
    """A week's fragments if one minute were drawn for a box, and told by every measure."""
    if not viewed.minutes:
        return rollup.fragments(measures, week, viewed, random_below)
    minute = viewed.minutes[random_below(len(viewed.minutes))]
    run = [minute._replace(number=minute.number + step) for step in range(rollup.REACH_MINUTES)]
    return rollup.fragments(measures, week, rollup.Viewed(run, viewed.ordered, viewed.region), random_below)

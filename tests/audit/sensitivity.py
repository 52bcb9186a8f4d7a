"""How far can one account move the exact counters of a week? By experiment on the real intake.

An account's fragments of one week are replaced by `none`, and the counters compared: by what the honest agent
makes of the worst weeks that can be viewed, and by what a tampered agent makes of the tokens that it got.
Tokens are real and are spent through the sealed line; the account's other boxes have none, and can only spend
what was spent, or nothing at all.
"""

import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from box_agent.chance import below
from box_agent.rollup import Viewed, fragments
from headend.analytics.noise import sensitivity
from shared.anonymous import NONE_CELL, Fragment
from shared.dayparts import DAYPARTS
from shared.directory import challenge
from shared.genres import GENRES, ORDERED_GENRES, SHIFT_CLASSES
from shared.register import SIXTEENTHS, Grid, Kind, Measure, Profile, profile, profile_names
from shared.tokens import Token, token_key_id
from tests.audit.bounds import Verdict
from tests.audit.panels import FIRST_MINUTE, Panel, Run, minute, viewed
from tests.headend.analytics.builders import (
    ISSUER,
    SETTINGS,
    WEEK,
    Town,
    fragment_request,
    make_town,
    over,
    spki,
    token_private_key,
)

Cells = dict[tuple[str, int], tuple[int, int]]
_WEEK_MINUTES = 10_080
_ACCEPTED = 200


def worst_weeks() -> Iterator[Viewed]:
    """Weeks at the edge of what can be viewed: nothing, everything, one thing only, all things alike."""
    region = SETTINGS.regions[0]
    yield viewed([], region)
    live, evening = SHIFT_CLASSES[0], DAYPARTS[4]
    for length in (2, 3, 112, 1_800, 4_800, _WEEK_MINUTES):
        run = Run(FIRST_MINUTE, length, minute(0, GENRES[0], live, evening))
        yield viewed([run], region, ORDERED_GENRES)
    for length in (3, 113, _WEEK_MINUTES // len(GENRES)):
        yield viewed(
            [
                Run(FIRST_MINUTE + place * (length + 1), length, minute(0, genre, live, evening))
                for place, genre in enumerate(GENRES)
            ],
            region,
            ORDERED_GENRES[:1],
        )


def panel_weeks(boxes: int, seed: int = 2006) -> Iterator[Viewed]:
    """Ordinary weeks of an invented panel."""
    panel = Panel(seed, boxes, SETTINGS.regions)
    for box in panel.boxes:
        yield panel.week(box, 0)


def honest(taken: Profile, week: Viewed) -> list[Fragment]:
    """What the agent sends for a week."""
    grids = [(measure, Grid(measure, SETTINGS.regions)) for measure in taken.measures]
    return fragments(grids, WEEK, week, below(os.urandom))


def tampered(taken: Profile) -> Iterator[list[Fragment]]:
    """All tokens into one cell, at the greatest and at the least value there is; and each into its own."""
    for measure in taken.measures:
        size = Grid(measure, SETTINGS.regions).size
        values = (0, SIXTEENTHS) if measure.kind is Kind.TIMED else (1,)
        for value in values:
            yield [Fragment(measure.number, WEEK, size, value)] * measure.quota
            spread = [Fragment(measure.number, WEEK, 1 + at % size, value) for at in range(measure.quota)]
            yield spread


def counters_of(sent: Iterable[Fragment], taken: Profile) -> Cells:
    """What fragments add to the counters, by enumeration."""
    by_number = {measure.number: measure for measure in taken.measures}
    found: Cells = {}
    for one in sent:
        if one.cell == NONE_CELL:
            continue
        measure = by_number[one.measure_number]
        rest = SIXTEENTHS - one.value if measure.kind is Kind.TIMED else 0
        amount, rests = found.get((measure.name, one.cell), (0, 0))
        found[measure.name, one.cell] = amount + one.value, rests + rest
    return found


def distance(one: Cells, other: Cells, measure: Measure) -> float:
    """The L2 distance of a measure's counters."""
    cells = {cell for cell in one.keys() | other.keys() if cell[0] == measure.name}
    nothing = (0, 0)
    moved = [
        a - b for cell in cells for a, b in zip(one.get(cell, nothing), other.get(cell, nothing), strict=True)
    ]
    return math.hypot(*moved)


def tampered_bound(measure: Measure) -> float:
    """What a tampered box can move a release by: B, or 16 B in a timed measure."""
    return measure.quota * (SIXTEENTHS if measure.kind is Kind.TIMED else 1.0)


def token(taken: Profile, measure: Measure) -> Token:
    """A genuine token of any profile's measure, signed without the blinding."""
    digest = challenge(ISSUER, measure.name, WEEK).digest()
    blank = Token(os.urandom(32), digest, token_key_id(spki(measure.name, taken.name)), bytes(256))
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    signed = token_private_key(measure.number).sign(blank.signed_part(), pss, hashes.SHA384())
    return replace(blank, authenticator=signed)


class Account:
    """An account whose reporting box got its quota of tokens of every measure; its other boxes got none."""

    def __init__(self, town: Town, taken: Profile) -> None:
        self.town, self.taken = town, taken
        self.measures = {measure.number: measure for measure in taken.measures}
        self.unspent = {m.number: [token(taken, m) for _ in range(m.quota)] for m in taken.measures}
        self.spent: dict[int, list[Token]] = {number: [] for number in self.unspent}

    def report(self, sent: list[Fragment]) -> list[int]:
        """Spend a token for each fragment, and what is left on `none`; gives the answers' statuses."""
        left = {number: len(tokens) for number, tokens in self.unspent.items()}
        for one in sent:
            left[one.measure_number] -= 1
        nothing = [
            Fragment(number, WEEK, NONE_CELL, 0) for number, count in left.items() for _ in range(count)
        ]
        return [self._send(one) for one in [*sent, *nothing]]

    def _send(self, one: Fragment) -> int:
        paid = self.unspent[one.measure_number].pop()
        self.spent[one.measure_number].append(paid)
        return self.town.send(fragment_request(one, paid)).status

    def push_on(self) -> list[int]:
        """What the account's other boxes can try: tokens spent, of another measure, made up, or none."""
        statuses = []
        numbers = list(self.measures)
        for number, tokens in self.spent.items():
            value = SIXTEENTHS if self.measures[number].kind is Kind.TIMED else 1
            again = Fragment(number, WEEK, 1, value)
            other = self.spent[numbers[numbers.index(number) - 1]][0]
            made_up = replace(tokens[0], nonce=os.urandom(32))
            statuses += [
                self.town.send(fragment_request(again, paid)).status
                for paid in (tokens[0], other, made_up, None)
            ]
        return statuses


def on_the_line(taken: Profile, sent: list[Fragment]) -> tuple[Cells, Cells]:
    """The counters of a town before and after an account spent all its tokens, and then tried for more."""
    with tempfile.TemporaryDirectory() as folder:
        town = make_town(Path(folder), profile=taken)
        try:
            town.publish()
            town.clock.advance_to(over())
            _all_taken(Account(town, taken).report(honest(taken, next(panel_weeks(1)))))
            before = town.counters()
            account = Account(town, taken)
            _all_taken(account.report(sent))
            account.push_on()
            return before, town.counters()
        finally:
            town.side.close()


def _all_taken(statuses: list[int]) -> None:
    if set(statuses) != {_ACCEPTED}:
        raise AssertionError(f"fragments of genuine tokens were refused: {statuses}")


def audit(boxes: int = 2_000) -> Iterator[Verdict]:
    """Every profile: honest agents by enumeration and on the line, tampered ones on the line."""
    for name in profile_names():
        taken = profile(name)
        yield _enumerated(taken, boxes)
        yield _sent(taken, [[]], "none, and boxes without tokens", lambda _measure: 0.0)
        yield _sent(taken, [honest(taken, week) for week in worst_weeks()], "honest", sensitivity)
        yield _sent(taken, list(tampered(taken)), "tampered", tampered_bound)


def _enumerated(taken: Profile, boxes: int) -> Verdict:
    worst = dict.fromkeys(taken.measures, 0.0)
    for week in (*worst_weeks(), *panel_weeks(boxes)):
        moved = counters_of(honest(taken, week), taken)
        worst = {one: max(most, distance(moved, {}, one)) for one, most in worst.items()}
    return _verdict(taken, worst, "honest, enumerated", sensitivity)


def _sent(taken: Profile, weeks: list[list[Fragment]], how: str, bound) -> Verdict:
    worst = dict.fromkeys(taken.measures, 0.0)
    for sent in weeks:
        before, after = on_the_line(taken, sent)
        worst = {one: max(most, distance(after, before, one)) for one, most in worst.items()}
    return _verdict(taken, worst, f"{how}, on the line", bound)


def _verdict(taken: Profile, worst: dict[Measure, float], how: str, bound) -> Verdict:
    holds = all(most <= bound(measure) * (1 + 1e-12) for measure, most in worst.items())
    found = ", ".join(f"{one.name} {most:.1f} of {bound(one):.1f}" for one, most in worst.items())
    return Verdict("sensitivity", f"{taken.name}: {how}", holds, found)

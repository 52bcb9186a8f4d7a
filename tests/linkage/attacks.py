"""The scores by which fragments are laid beside boxes, and beside each other.

Each answers with a whole number, a bin of what was looked at; which bins betray something, the judge learns.
None looks at what a fragment says, but for those in `content.py`.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from math import log2

from shared.tokens import read_token_key, token_key_id
from tests.linkage.boxes import DAY, HOUR, Trace
from tests.linkage.place import END, Place
from tests.linkage.reading import Opened
from tests.linkage.world import Held


def log_bin(distance_ms: int) -> int:
    """A distance, four bins to each doubling: fine where things are close, which is where they betray."""
    return int(4 * log2(1 + abs(distance_ms)))


class Seen:
    """The adversary's notes on a week, so that each is made once."""

    def __init__(self, held: Held) -> None:
        self.held = held
        self.boxes = held.by_box
        self.rank = {one.token.nonce: rank for rank, one in enumerate(held.opened)}
        order = sorted(held.traces, key=lambda trace: trace.asked)
        self.asked_rank = {trace.number: rank / len(order) for rank, trace in enumerate(order)}
        self.named = {trace.number: sorted(trace.named) for trace in held.traces}

    @cached_property
    def period(self) -> int:
        """How often an agent ticks: public."""
        return self.held.place.ticks.every_ms

    def nearest(self, times: Sequence[int], at_ms: int) -> int:
        place = bisect_left(times, at_ms)
        return min((abs(one - at_ms) for one in times[max(0, place - 1) : place + 1]), default=30 * DAY)

    @lru_cache(maxsize=200_000)  # noqa: B019 (lives as long as the notes do)
    def returned(self, number: int) -> tuple[int, ...]:
        """When a box was heard again after more than a day of silence."""
        times = self.named[number]
        return tuple(late for early, late in pairwise(times) if late - early > DAY + HOUR)


# --- a fragment and a box

Match = Callable[[Seen, Opened, Trace], int]


def since_asking(_: Seen, one: Opened, box: Trace) -> int:
    return (one.at_ms - box.asked) // (3 * HOUR)


def since_enrolment(_: Seen, one: Opened, box: Trace) -> int:
    return (one.at_ms - box.enrolled) // (6 * HOUR)


def asking_late_and_arrival(_: Seen, one: Opened, box: Trace) -> int:
    """Who asks on the last day may be rolled up late."""
    late = min(9, max(0, (END - box.asked) // (3 * HOUR)))
    return late * 100 + min(99, (one.at_ms - END) // (3 * HOUR))


def nearest_contact(seen: Seen, one: Opened, box: Trace) -> int:
    return log_bin(seen.nearest(seen.named[box.number], one.at_ms))


def after_silence(seen: Seen, one: Opened, box: Trace) -> int:
    """How long after a box came back."""
    back = [at for at in seen.returned(box.number) if at <= one.at_ms + HOUR // 60]
    return log_bin(one.at_ms - back[-1]) if back else -1


def sent_in_silence(seen: Seen, one: Opened, box: Trace) -> int:
    """Whether a box was silent on the named line for long around the arrival: then it was probably off."""
    times = seen.named[box.number]
    place = bisect_left(times, one.at_ms)
    before = times[place - 1] if place else one.at_ms - DAY
    after = times[place] if place < len(times) else one.at_ms + DAY
    return min(100, (after - before) // (2 * HOUR))


def beat(seen: Seen, one: Opened, box: Trace) -> int:
    """Whether both come on the same beat of a ticking clock."""
    phases = [(at - one.at_ms) % seen.period for at in seen.named[box.number][-24:]]
    return min(min(phase, seen.period - phase) for phase in phases) // 10 if phases else -1


def beat_of_most(seen: Seen, one: Opened, box: Trace) -> int:
    """Likewise, over all that a box said: the middle of the distances."""
    phases = sorted((at - one.at_ms + seen.period // 2) % seen.period for at in seen.named[box.number])
    return phases[len(phases) // 2] // 20 if phases else -1


def nearest_order(seen: Seen, one: Opened, box: Trace) -> int:
    return log_bin(seen.nearest(tuple(at for at, _ in box.orders), one.at_ms)) if box.orders else -1


def order_s_hour(_: Seen, one: Opened, box: Trace) -> int:
    if not box.orders:
        return -1
    apart = [abs(at % DAY - one.at_ms % DAY) for at, _ in box.orders]
    return min(min(gap, DAY - gap) for gap in apart) // HOUR


def asking_order(seen: Seen, one: Opened, box: Trace) -> int:
    return int(20 * (seen.rank[one.token.nonce] / len(seen.rank) - seen.asked_rank[box.number]))


def database_order(seen: Seen, one: Opened, box: Trace) -> int:
    """Where the spent token stands in the file, against when the box asked."""
    where = seen.held.where.get(one.token.nonce, 0) / max(1, *seen.held.where.values(), 1)
    return int(20 * (where - seen.asked_rank[box.number]))


def nonce_and_blinded(_: Seen, one: Opened, box: Trace) -> int:
    found = int.from_bytes(one.token.nonce, "big") ^ int.from_bytes(box.blinded[one.measure][:32], "big")
    return found.bit_count() // 4


def blinding_factor(seen: Seen, one: Opened, box: Trace) -> int:
    """What the blinding factor must have been if this token came of this box's asking (RFC 9474).

    With r = blind signature / signature, r to the e is blinded message / message: it is so for every token
    and every asking under one key, which is why the signature is blind. So there is always such an r, and
    all that could betray anything is how it looks.
    """
    key = _public(seen.held.place, one.measure)
    blind_signature = int.from_bytes(box.signed[one.measure], "big")
    signature = int.from_bytes(one.token.authenticator, "big")
    factor = blind_signature * pow(signature, -1, key.n) % key.n
    message = pow(signature, key.e, key.n)
    fits = pow(factor, key.e, key.n) * message % key.n == int.from_bytes(box.blinded[one.measure], "big")
    return (1 if fits else 0) * 100 + (32 - (factor >> (2_048 - 32)).bit_length()) * (1 if factor > 1 else -1)


def key_and_asking(seen: Seen, one: Opened, box: Trace) -> int:
    """Which key signed, and whether this box asked for a token of it."""
    spki = seen.held.place.signer(one.measure).public_spki
    return (2 if one.token.key_id == token_key_id(spki) else 0) + (one.measure in box.blinded)


def size_and_orders(_: Seen, one: Opened, box: Trace) -> int:
    """Sizes and headers, against whether the box ordered anything in the week."""
    said = hashlib.sha256(repr((len(one.sealed), one.headers, one.inner_size)).encode()).digest()[0]
    return 1_000 * said + 10 * one.fragment.measure_number + any(at < END for at, _ in box.orders)


def count_and_orders(seen: Seen, one: Opened, box: Trace) -> int:
    """That there is a fragment of this measure at all, against whether the box ordered anything."""
    return 10 * one.fragment.measure_number + any(at < END for at, _ in box.orders)


MATCHES: dict[str, Match] = {
    "arrival, since the asking for tokens": since_asking,
    "arrival, since the enrolment": since_enrolment,
    "arrival, of those who asked late": asking_late_and_arrival,
    "arrival, to the nearest heartbeat or other contact": nearest_contact,
    "arrival, after the box had been silent": after_silence,
    "arrival, while the box was silent": sent_in_silence,
    "arrival, on the beat of the box's ticks": beat,
    "arrival, on the middle of its beats": beat_of_most,
    "arrival, to the nearest order": nearest_order,
    "arrival, hour of day of the orders": order_s_hour,
    "order of arrival and of asking": asking_order,
    "place in the database file and order of asking": database_order,
    "nonce and blinded message": nonce_and_blinded,
    "blinding factor": blinding_factor,
    "key id and asking": key_and_asking,
    "size and headers, and orders": size_and_orders,
    "number of fragments, and orders": count_and_orders,
}


# --- two fragments

Pair = Callable[[Seen, Opened, Opened], int]


def apart(_: Seen, one: Opened, other: Opened) -> int:
    return log_bin(one.at_ms - other.at_ms)


def days_apart(_: Seen, one: Opened, other: Opened) -> int:
    return abs(one.at_ms - other.at_ms) // (6 * HOUR)


def both_late(_: Seen, one: Opened, other: Opened) -> int:
    early, late = sorted((one.at_ms - END, other.at_ms - END))
    return 30 * (early // (6 * HOUR)) + late // (6 * HOUR)


def same_beat(seen: Seen, one: Opened, other: Opened) -> int:
    phase = (one.at_ms - other.at_ms) % seen.period
    return min(phase, seen.period - phase) // 10


def hour_of_day(_: Seen, one: Opened, other: Opened) -> int:
    gap = abs(one.at_ms % DAY - other.at_ms % DAY)
    return min(gap, DAY - gap) // (HOUR // 2)


def ranks_apart(seen: Seen, one: Opened, other: Opened) -> int:
    return log_bin(seen.rank[one.token.nonce] - seen.rank[other.token.nonce])


def places_apart(seen: Seen, one: Opened, other: Opened) -> int:
    return log_bin(seen.held.where.get(one.token.nonce, 0) - seen.held.where.get(other.token.nonce, 0))


def frames_apart(seen: Seen, one: Opened, other: Opened) -> int:
    return log_bin(seen.held.frame.get(one.token.nonce, 0) - seen.held.frame.get(other.token.nonce, 0))


def nonces_apart(_: Seen, one: Opened, other: Opened) -> int:
    found = int.from_bytes(one.token.nonce, "big") ^ int.from_bytes(other.token.nonce, "big")
    return found.bit_count() // 4


def signatures_apart(_: Seen, one: Opened, other: Opened) -> int:
    found = int.from_bytes(one.token.authenticator[:32], "big") ^ int.from_bytes(
        other.token.authenticator[:32], "big"
    )
    return found.bit_count() // 4


def seals_apart(_: Seen, one: Opened, other: Opened) -> int:
    """The key that each was sealed with for once, which would come again if it were not."""
    found = int.from_bytes(one.sealed[7:39], "big") ^ int.from_bytes(other.sealed[7:39], "big")
    return found.bit_count() // 4 if found else -1


def same_form(_: Seen, one: Opened, other: Opened) -> int:
    forms = {(len(found.sealed), found.headers, found.inner_size) for found in (one, other)}
    return len(forms)


PAIRS: dict[str, Pair] = {
    "time between arrivals": apart,
    "days between arrivals": days_apart,
    "both early, both late": both_late,
    "on one beat": same_beat,
    "hour of day": hour_of_day,
    "order of arrival": ranks_apart,
    "places in the database file": places_apart,
    "places in the database's log": frames_apart,
    "nonces": nonces_apart,
    "signatures": signatures_apart,
    "sealing keys": seals_apart,
    "size and headers": same_form,
}


@lru_cache
def _public(place_signers: Place, measure: str) -> object:
    return read_token_key(place_signers.signer(measure).public_spki).public_numbers()

"""Chance: whole numbers drawn uniformly from injected random bytes, and the moments drawn with them."""

from collections.abc import Callable

RandomBytes = Callable[[int], bytes]
RandomBelow = Callable[[int], int]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def below(random_bytes: RandomBytes) -> RandomBelow:
    """A function that draws uniformly from 0 to n - 1 (n at least 1), by rejection: no bias."""

    def random_below(limit: int) -> int:
        bits = (limit - 1).bit_length()
        size = (bits + 7) // 8
        while True:
            drawn = int.from_bytes(random_bytes(size), "big") >> (size * 8 - bits)
            if drawn < limit:
                return drawn

    return random_below


def moment(start_ms: int, end_ms: int, random_below: RandomBelow) -> int:
    """A uniformly random millisecond of [start, end); the start itself if nothing is left."""
    return start_ms + random_below(max(1, end_ms - start_ms))


def full_jitter(tries: int, base_ms: int, most_ms: int, random_below: RandomBelow) -> int:
    """How long to wait after the `tries`-th failure: uniform up to base · 2^tries, at most `most_ms`.

    Waiting anything between nothing and the bound keeps a town of boxes from coming back at once.
    """
    return random_below(min(most_ms, base_ms << min(tries, 30)) + 1)

"""`make kodi`: ten minutes before the real Kodi, and what the agent says of them; status 1 if it differs."""

import sys
import tempfile
import time
from pathlib import Path

from tests.kodi.evening import Evening

SLOT = 75
SECONDS = 2.0
"""An item's start and its length may differ by so much: Kodi takes its time to show a picture."""


def main():
    with tempfile.TemporaryDirectory(prefix="kodi-") as folder:
        evening = Evening(Path(folder), SLOT, slots=30, lead=60)
        try:
            evening.begin()
            spend(evening)
        finally:
            evening.end()
        return told(evening)


def spend(evening):
    evening.film("Het Testbeeld")
    evening.watch(20)
    evening.pause(20)
    evening.watch(20)
    evening.seek(120)
    evening.watch(5)
    evening.fast(6)
    evening.watch(20)
    evening.channel("een.be")
    evening.watch(SLOT * 2 + 30)
    for seconds in (3, 2, 4, 2):
        evening.zap("npo1.nl")
        evening.watch(seconds)
        evening.zap("een.be")
        evening.watch(seconds)
    evening.zap("npo1.nl")
    evening.watch(SLOT + 30)
    evening.stop()
    evening.catch_up("een.be")
    evening.watch(40)
    evening.film("Het Toetsbeeld")
    evening.watch(30)
    evening.hang(85)
    evening.channel("een.be")
    evening.watch(35)
    evening.crash()
    evening.watch(5)
    evening.restart()
    evening.film("Het Testbeeld")
    evening.watch(40)
    evening.stop()


def told(evening):
    sessions = evening.agent.sessions()
    print(f"{'viewed':32} {'s':>7}   {'agent':32} {'s':>7}")
    for parts, one in zip(evening.viewed(), sessions, strict=False):
        was = f"{clock(parts[0].start)} {parts[0].kind} {parts[0].genre}"
        says = f"{clock(one.stretches[0][0] / 1000)} {one.item.kind} {one.item.genre_name()}"
        seconds = sum(part.end - part.start for part in parts)
        print(f"{was:32} {seconds:7.1f}   {says:32} {one.viewed_ms() / 1000:7.1f}")
    wrong = evening.differences(SECONDS)
    minutes = evening.minute_differences()
    wrong += [
        f"{genre}: {a} clock minutes, the agent has {b}"
        for genre, (a, b) in minutes.items()
        if abs(a - b) > 1
    ]
    print("\n".join(wrong) or f"no item differs by more than {SECONDS} s, no genre by more than a minute")
    return 1 if wrong else 0


def clock(seconds):
    return time.strftime("%H:%M:%S", time.gmtime(seconds))


if __name__ == "__main__":
    sys.exit(main())

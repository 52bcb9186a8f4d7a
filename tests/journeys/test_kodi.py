"""A short evening before the real Kodi 20, headless; `make kodi` runs a long one."""

import pytest

from tests.kodi.evening import Evening
from tests.kodi.programs import require

SLOT = 24
DWELL = 16
"""Seconds of an item that are certainly no surfing."""
LEAD = 46
"""Seconds until a programme is to end: after the film, the zaps and the programme itself."""


@pytest.mark.journey
def test_what_the_agent_says_of_a_real_kodi_is_what_was_played(tmp_path):
    require()
    evening = Evening(tmp_path, SLOT, slots=40, lead=LEAD)
    try:
        evening.begin()
        evening.film("Het Testbeeld")
        evening.watch(8)
        evening.seek(60)
        evening.pause(3)
        evening.watch(8)
        evening.watch_until_left(DWELL + 5)
        evening.channel("een.be")
        evening.watch(2)
        evening.zap("npo1.nl")
        evening.watch(evening.left_of_slot() + DWELL)
        evening.stop()
        evening.catch_up("een.be")
        evening.watch(DWELL)
        evening.crash()
        evening.watch(1)
    finally:
        evening.end()
    assert evening.differences(seconds=2.0) == []
    assert len(evening.viewed()) == 4  # the film, two programmes of a channel, one of the archive
    # A minute of two items that are about as long may be the one's or the other's.
    assert all(abs(was - told) <= 1 for was, told in evening.minute_differences().values())
    events = evening.agent.events()
    (boundary,) = [one for one in events if one.event == "play" and one.by == "box"]
    assert boundary.at_ms == int(boundary.item.ref.partition("@")[2]) * 1000
    assert not any("beeld" in str(event).lower() for event in events)

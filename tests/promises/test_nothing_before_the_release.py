"""Nothing per cell is visible before the release, to nobody."""

import pytest

from shared.genres import GENRES
from simulator.processes import ProcessError

pytestmark = [pytest.mark.promise, pytest.mark.journey]

OPEN_WEEK = "2026-W42"


def test_an_open_week_is_counted_but_neither_shown_nor_handed_out(town):
    metrics = town.outcome.headend.metrics()
    counted = [n for name, n in metrics.items() if "accepted" in name and OPEN_WEEK in name]
    assert sum(counted) > 0, "fragments of the open week have arrived"
    for words in (("release", "show"), ("popularity",)):
        until = (OPEN_WEEK,) if words == ("release", "show") else ("--until", OPEN_WEEK)
        with pytest.raises(ProcessError, match="no release"):
            town.outcome.headend.command(*words, str(town.folder), *until)


def test_metrics_tell_no_cell(town):
    names = " ".join(town.outcome.headend.metrics())
    assert not [genre for genre in GENRES if f'"{genre}"' in names]
    assert "cell" not in names.replace("cell-outside-grid", "")

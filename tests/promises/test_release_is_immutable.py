"""Asking again gives the same release; it never changes and never gets fresh noise."""

import pytest

from headend.installation import Installation
from tests import engines

pytestmark = [pytest.mark.promise, pytest.mark.journey]

WEEK = "2026-W41"


def test_drawing_again_gives_the_same_bytes(town):
    headend, folder = town.outcome.headend, str(town.folder)
    for words in (("release", "show", folder, WEEK), ("release", "show", folder, WEEK, "--manifest")):
        before = headend.command(*words)
        headend.command("release", "run", folder, WEEK)
        assert headend.command(*words) == before


def test_the_database_refuses_to_change_or_forget_a_release(town):
    place = Installation(town.folder).place("analytics")
    for change in ("UPDATE releases SET week = '2026-W01'", "DELETE FROM releases", "DELETE FROM budget"):
        with engines.raw(place) as database, pytest.raises(engines.REFUSED):
            database.execute(change)

"""Asking again gives the same release; it never changes and never gets fresh noise."""

import sqlite3

import pytest

pytestmark = [pytest.mark.promise, pytest.mark.journey]

WEEK = "2026-W41"


def test_drawing_again_gives_the_same_bytes(town):
    headend, folder = town.outcome.headend, str(town.folder)
    for words in (("release", "show", folder, WEEK), ("release", "show", folder, WEEK, "--manifest")):
        before = headend.command(*words)
        headend.command("release", "run", folder, WEEK)
        assert headend.command(*words) == before


def test_the_database_refuses_to_change_or_forget_a_release(town):
    database = sqlite3.connect(town.folder / "analytics.db")
    for change in ("UPDATE releases SET manifest = x'00'", "DELETE FROM releases", "DELETE FROM budget"):
        with pytest.raises(sqlite3.IntegrityError):
            database.execute(change)
    database.close()

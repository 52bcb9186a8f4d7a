import shutil
from dataclasses import replace
from datetime import UTC, datetime
from unittest import mock

import pytest

from headend.app import ALL_SIDES as SIDES
from headend.app import open_headend
from headend.doctor import examine as examining
from headend.doctor.patient import Patient as Looked
from headend.doctor.sqlite import open_sqlite
from headend.installation import Installation
from shared.system_clock import ClockSteerer
from tests import filled
from tests.builders import SETTINGS

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def healthy(tmp_path_factory):
    """An installation with orders, bills and operators, all of whose jobs are done; nobody serves it."""
    folder = tmp_path_factory.mktemp("healthy")
    ClockSteerer(folder / "clock", NOW)
    settings = replace(SETTINGS, simulated=True, clock=str(folder / "clock"), first_week="2026-W48")
    made = Installation.create(folder / "headend", settings)
    headend = open_headend(made)
    with mock.patch.dict(filled.DONE, clear=True):
        filled.fill_billing(headend)
    headend.console.operators.add_operator("adam", "admin", "correct horse battery", must_change=False)
    headend.jobs.run_due()
    headend.close()
    return made.folder


class Patient:
    """A copy of it, to damage and to ask about."""

    def __init__(self, folder):
        self.folder = folder

    def ask(self, check, *, thorough=False):
        """What one check finds, asked alone: how bad it is, and what it says."""
        looked = Looked(self.folder, SIDES, open_sqlite, thorough=thorough)
        found = examining._ask(check, examining.checks(SIDES)[check], looked)
        looked.close()
        assert found.says
        assert bool(found.do) == (found.verdict != "fine")
        return found.verdict, found.says

    def all(self, sides=SIDES, **options):
        return examining.examine(self.folder, sides, **options)

    def bad(self, **options):
        return {one.check: one.verdict for one in self.all(**options) if one.verdict != "fine"}


@pytest.fixture
def patient(healthy, tmp_path):
    return Patient(shutil.copytree(healthy, tmp_path / "patient"))

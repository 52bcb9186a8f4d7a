import shutil

import pytest

from headend.app import ALL_SIDES as SIDES
from headend.doctor import examine as examining
from headend.doctor.patient import Patient as Looked
from headend.doctor.sqlite import open_sqlite


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

import pytest

from box_agent.checks import named
from box_agent.checks.step import Steps
from box_agent.lines import RefusedError
from box_agent.published import Pinned
from tests.box_agent.fakes import ISSUER, PIN, W41, ZONE

PINNED = Pinned(PIN, ISSUER, str(ZONE))


class Refusing:
    """A headend that refuses by that name whatever it is asked for."""

    def __init__(self, name, status=404):
        self._refusal = RefusedError(name, status)

    def get(self, _path):
        raise self._refusal


def taken(line):
    """What the self-test says of catalogue and directory."""
    steps = Steps()
    steps.take("named line", "catalogue", lambda: named.catalogue(line, "a key"))
    steps.take("named line", "directory", lambda: named.directory(line, W41, PINNED))
    return steps


def test_before_anything_is_published_a_box_is_not_at_fault_and_is_told_what_is_missing():
    steps = taken(Refusing("not-published"))
    assert [(one.verdict, one.detail) for one in steps.taken] == [
        ("skipped", "nothing is published yet: the operator publishes a catalogue first"),
        ("skipped", "nothing is published yet for 2026-W41: the installation's first week has not begun"),
    ]
    assert not steps.failed


@pytest.mark.parametrize(("name", "status"), [("not-found", 404), ("busy", 503)])
def test_any_other_refusal_fails(name, status):
    steps = taken(Refusing(name, status))
    assert {one.verdict for one in steps.taken} == {"failed"}

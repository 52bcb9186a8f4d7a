import pytest

from tests.mutants import agent_plants, node_plants, plants, privacy_plants
from tests.mutants.planting import ROOT, DoesNotApplyError, changed, judge
from tests.mutants.plants import Change, Mutant

MUTANTS = (*plants.MUTANTS, *privacy_plants.MUTANTS, *agent_plants.MUTANTS, *node_plants.MUTANTS)
FAST = ("a file is renamed before it is synced", "the window's end is inclusive")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_planted_bug_has_its_place_in_the_source_and_its_tests(mutant: Mutant) -> None:
    sources: dict[str, str] = {}
    for change in mutant.changes:
        source = sources.get(change.file) or (ROOT / change.file).read_text()
        sources[change.file] = changed(source, change)
        compile(sources[change.file], change.file, "exec")
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / path).read_text() if name else (ROOT / path).is_file()


@pytest.mark.parametrize("name", FAST)
def test_a_planted_bug_is_caught(name: str) -> None:
    mutant = next(one for one in MUTANTS if one.name == name)
    verdict = judge(mutant)
    assert verdict.caught_by is not None, verdict.fault


def test_a_change_that_breaks_nothing_survives() -> None:
    change = Change("headend/kit/files.py", "PRIVATE = 0o600", "PRIVATE = 0o0600")
    verdict = judge(Mutant("nothing", (change,), ("tests/shared/test_money.py",)))
    assert (verdict.caught_by, verdict.fault) == (None, "")


def test_a_bug_whose_place_is_gone_is_told() -> None:
    with pytest.raises(DoesNotApplyError, match="does not apply"):
        changed("a = 1", Change("a.py", "b = 1", "b = 2"))
    gone = Mutant("gone", (Change("headend/kit/files.py", "no such text", ""),), ())
    assert "does not apply" in judge(gone).fault

"""The town's report, and what its truth says of the figures."""

import io
import json

import pytest
from click.testing import CliRunner
from rich.console import Console

from simulator.__main__ import main
from simulator.ranking import rank

pytestmark = pytest.mark.journey


def test_the_report_tells_everything_and_everything_held(town):
    told = json.loads(json.dumps(town.report.as_json(), default=str))
    assert told["holds"] is True
    assert told["orders"]["lost"] == told["orders"]["doubled"] == []
    assert told["releases"][0]["state"] == "released"
    assert len(told["popularity"]) == 11
    assert told["viewing"]["truth_minutes"] > 100_000


def test_most_intervals_hold_the_truth(town):
    shown = [row for row in town.report.popularity() if row["panel"] is not None]
    assert len(shown) >= 3
    # Each misses once in twenty; that half of them miss would be another matter.
    assert sum(not row["inside"] for row in shown) <= max(2, len(shown) // 2)


def test_the_panel_of_the_truth_is_the_one_that_was_counted(town):
    metrics = town.outcome.headend.asked("popularity", str(town.folder), "--window", "week")
    accepted = {measure["name"]: measure["accepted"] for measure in metrics["measures"]}
    panel = town.outcome.account.truth["2026-W41", "genre"].panel
    # The adversary's token is counted too, and an answer may have been lost for good.
    assert 0 <= accepted["genre"] - panel <= 5


def test_a_person_can_read_it(town):
    page = io.StringIO()
    town.report.show(Console(file=page, width=110))
    for words in (
        "Reconciliation",
        "lost 0, doubled 0",
        "film-drama",
        "epsilon 1.88",
        "What must always hold",
    ):
        assert words in page.getvalue()


def test_the_ranking_follows_the_towns_taste():
    usual, sporty = rank(3, 60, ""), rank(3, 60, "sports=30")
    assert max(usual.truth, key=usual.truth.get) != "sports"
    assert max(sporty.truth, key=sporty.truth.get) == "sports"


@pytest.mark.parametrize(
    "words", [["--faults", "nonsense"], ["--taste", "opera=2"], ["--profile", "huge"]], ids=str
)
def test_wrong_words_are_refused_before_anything_is_built(words, tmp_path):
    done = CliRunner().invoke(main, ["--out", str(tmp_path / "out"), "--boxes", "3", "--weeks", "1", *words])
    assert done.exit_code != 0
    assert not (tmp_path / "out" / "headend").exists()

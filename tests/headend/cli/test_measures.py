import json

import pytest
from click.testing import CliRunner

from headend.__main__ import main
from headend.installation import Installation
from headend.records import lint
from shared.words import LANGUAGES
from tests.builders import SETTINGS


def run(*words):
    return CliRunner().invoke(main, words)


@pytest.fixture
def folder(tmp_path):
    Installation.create(tmp_path / "headend", SETTINGS)
    return str(tmp_path / "headend")


def test_lint_finds_nothing_wrong_and_says_so(monkeypatch):
    # Reviews come near as the years pass; what is tried here is the command, not the calendar.
    monkeypatch.setattr(lint, "RULES", tuple(one for one in lint.RULES if "reviews" not in one.__name__))
    assert run("measures", "lint").output == "nothing wrong\n"
    done = run("measures", "lint", "--json")
    assert (done.exit_code, json.loads(done.output)) == (0, [])


def test_lint_fails_with_a_line_for_each_thing_that_is_wrong(monkeypatch):
    def broken(_case):
        yield "measure genre has no owner"

    monkeypatch.setattr(lint, "RULES", (broken,))
    done = run("measures", "lint")
    assert (done.exit_code, done.output) == (1, "broken: measure genre has no owner\n1 wrong\n")
    done = run("measures", "lint", "--json")
    assert (done.exit_code, json.loads(done.output)) == (
        1,
        [{"rule": "broken", "text": "measure genre has no owner"}],
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_measure_is_explained_for_each_profile_that_takes_it(language):
    done = run("measures", "explain", "viewing", "--language", language)
    assert done.exit_code == 0
    assert [line for line in done.output.splitlines() if line and not line.startswith(" ")] == [
        "viewing (small)",
        "viewing (regional)",
        "viewing (national)",
    ]


def test_a_profile_is_explained_with_its_measures_for_scripts_too():
    assert "genre-detail (national)" in run("measures", "explain", "national").output
    (found,) = json.loads(run("measures", "explain", "national", "--json").output)
    assert (found["profile"], found["rho_micro"], len(found["measures"])) == ("national", 5000, 7)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("titles",), "titles: there are genre, "),
        (("genre-detail", "--profile", "small"), "genre-detail: No profile takes it."),
    ],
)
def test_what_is_not_taken_is_refused_in_a_line(words, said):
    done = run("measures", "explain", *words)
    assert done.exit_code == 1
    assert said in done.output


def test_cost_is_printed_for_people_and_for_scripts():
    assert (
        "genre-detail   one-minute      1     0.00050   31.6"
        in run("measures", "cost", "--profile", "national").output
    )
    found = json.loads(run("measures", "cost", "--json").output)
    assert [one["measure"] for one in found["measures"]] == ["genre", "viewing", "ordered-genre"]
    assert found["guarantee"]["spans"][0]["weeks"] == 1


@pytest.mark.parametrize(
    ("words", "title"),
    [
        (("processing",), "# Record of processing activities"),
        (("dpia",), "# Data protection impact assessment (draft)"),
        (("notice",), "# What this box can tell, if you allow it"),
        (("notice", "--language", "fr"), "# Ce que ce décodeur peut dire, si vous l'acceptez"),
    ],
    ids=" ".join,
)
def test_a_record_is_printed_for_an_installation(folder, words, title):
    done = run("records", words[0], folder, *words[1:])
    assert done.exit_code == 0
    assert done.output.startswith(title)


def test_a_record_of_no_installation_is_refused_in_a_line(tmp_path):
    done = run("records", "dpia", str(tmp_path))
    assert done.exit_code == 1
    assert "is no installation" in done.output

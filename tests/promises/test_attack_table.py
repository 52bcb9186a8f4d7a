"""Every attack in the threat model is carried out by a test, or falls under a limit that is stated there."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from headend.analytics.gateway import UnknownKeyError
from headend.analytics.intake import Refusal
from shared.anonymous import Fragment
from shared.bhttp import decode_response
from tests.headend.analytics.builders import WEEK, closed, fragment_request, make_town, over, token

pytestmark = pytest.mark.promise

HOUSE = Path(__file__).parents[2]
PAGE = (HOUSE / "docs" / "threat-model.md").read_text()
TRIED = (
    "token key",
    "sealing key",
    "challenge",
    "region",
    "register",
    "quota",
    "relay address",
    "clock",
    "time, order or count",
    "withholding answers",
    "ordered genre",
    "rare cells",
    "small regions",
    "differencing",
    "averaging",
    "poisoning",
    "false accounts",
    "replaying",
    "opting out and back in",
    "another member of the household",
)
"""What has been tried against others, or could be here: an attack of the table has to name each."""


def section(title):
    match = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match, title
    return match[1]


def table():
    """Attack and what shows it, by row."""
    rows = [
        line.split(" | ") for line in section("Attacks and answers").splitlines() if line.startswith("| ")
    ]
    assert rows[0][0] == "| attack"
    return {row[0].removeprefix("| "): (len(row), row[-1].removesuffix(" |")) for row in rows[1:]}


def limits():
    return set(re.findall(r"^(\d+)\. ", section("Stated limits"), re.MULTILINE))


@pytest.mark.parametrize("attack", table())
def test_an_attack_has_its_test_or_its_limit(attack):
    columns, shown = table()[attack]
    files, named = re.findall(r"`([^`]+)`", shown), re.findall(r"limit (\d+)", shown)
    assert columns == 4
    assert files or named, "neither a test nor a limit"
    assert re.sub(r"`[^`]+`|limit \d+|[, ]", "", shown) == "", "nothing else stands there"
    assert set(named) <= limits()
    for name in files:
        assert re.search(r"^(async )?def test_", (HOUSE / name).read_text(), re.MULTILINE), name


def test_what_could_be_tried_stands_in_the_table():
    attacks = " ".join(table())
    assert [words for words in TRIED if words not in attacks] == []


def test_limits_are_numbered_one_after_another():
    found = re.findall(r"^(\d+)\. ", section("Stated limits"), re.MULTILINE)
    assert found == [str(number + 1) for number in range(len(found))]


# --- a row that has its test nowhere else


@pytest.fixture
def town(tmp_path):
    made = make_town(tmp_path)
    made.publish()
    made.clock.advance_to(over())
    yield made
    made.side.close()


def test_a_fragment_replayed_after_its_nonce_was_forgotten_is_never_counted_again(town):
    sealed, context = town.seal(fragment_request(Fragment(1, WEEK, 3, 1), token("genre")))
    assert decode_response(context.open_response(town.side.intake.answer(sealed))).status == 200
    key = town.setup.keys / f"ohttp-{WEEK}.key"
    held = dict(town.side.weeks._weeks)

    town.hand_totals(asked=10, issued=10)  # below the floor: done without a release
    town.clock.advance_to(closed() + timedelta(hours=1))
    town.side.release(WEEK)
    prune = next(job for job in town.side.side.jobs if job.name == "prune")
    prune.run(prune.next_slot())
    before = town.rows()
    assert before["spent"] == []
    assert not key.exists()

    with pytest.raises(UnknownKeyError):
        town.side.intake.answer(sealed)

    town.side.weeks._weeks = held  # a process that still has the key in memory judges the time
    answer = decode_response(context.open_response(town.side.intake.answer(sealed)))
    assert (answer.status, answer.body) == (403, Refusal.WEEK_CLOSED.encode())
    assert town.rows() == before

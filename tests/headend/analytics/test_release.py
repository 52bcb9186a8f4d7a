import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner

from headend.__main__ import main
from headend.analytics import release as release_room
from headend.analytics.budget import MICRO, left_micro, weeks_around
from headend.analytics.published import BadReleaseError, read_manifest, read_table, sha256, verify_release
from headend.analytics.release import TotalsMissingError, WeekNotClosedError
from headend.analytics.store import Spending, WeekState
from shared.dsse import public_to_text
from shared.register import Measure, profile, register_hash
from shared.weeks import Week
from tests import engines
from tests.headend.analytics.builders import WEEK, Town, closed, make_town, over


@pytest.fixture
def due_town(open_town: Town) -> Town:
    """A town whose first week has closed with a few fragments."""
    for cell in (1, 1, 1, 2):
        open_town.send_genre(cell)
    open_town.send_genre(0)
    open_town.hand_totals()
    open_town.clock.advance_to(closed())
    return open_town


def test_a_release_covers_every_cell_of_every_measure(due_town: Town) -> None:
    outcome = due_town.side.release(WEEK)
    assert outcome.state is WeekState.RELEASED
    assert outcome.release is not None
    table = read_table(outcome.release.table)
    assert [(one.name, len(one.amounts), len(one.rests)) for one in table.measures] == [
        ("genre", 11, 0),
        ("viewing", 1, 1),
        ("ordered-genre", 18, 0),
    ]
    assert table.accepted == {"genre": 5, "viewing": 0, "ordered-genre": 0}
    assert table.boxes == {"north": 500, "south": 300}
    assert table.simulated


def test_empty_cells_get_noise_too(due_town: Town) -> None:
    outcome = due_town.side.release(WEEK)
    assert outcome.release is not None
    ordered = read_table(outcome.release.table).measures[2]
    assert any(ordered.amounts)


def test_the_noise_lies_on_the_exact_sums(due_town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[int]] = {}

    def watched(measure: Measure, counters: list[int]) -> list[int]:
        seen[measure.name] = counters
        return [count + 1 for count in counters]

    monkeypatch.setattr(release_room, "add_noise", watched)
    due_town.side.release(WEEK)
    assert seen["genre"] == [3, 1, *[0] * 9]
    assert seen["viewing"] == [0, 0]
    assert seen["ordered-genre"] == [0] * 18


def test_the_manifest_states_what_was_done_and_is_signed(due_town: Town) -> None:
    release = due_town.side.release(WEEK).release
    assert release is not None
    key = due_town.side.keys.manifest_key().public_key()
    manifest, _ = verify_release(release.manifest, release.table, key)
    directory = due_town.side.store.directory(WEEK)
    totals = due_town.side.store.totals(WEEK)
    assert directory is not None
    assert totals is not None
    assert manifest.directory_sha256 == directory.sha256 == sha256(directory.envelope)
    assert manifest.totals_sha256 == totals.sha256
    assert manifest.register == register_hash()
    assert (manifest.week, manifest.profile, manifest.simulated) == ("2026-W41", "small", True)
    assert (manifest.rho_micro, manifest.budget_spent_micro) == (12_500, 12_500)
    genre = manifest.measures[0]
    assert (genre.issued, genre.accepted, genre.quota) == (400, 5, 1)
    assert genre.sigma == pytest.approx((1 / (2 * genre.rho_micro / MICRO)) ** 0.5)
    assert manifest.measures[1].noise_scale == pytest.approx(16 * manifest.measures[1].sigma)


def test_a_changed_table_or_manifest_is_seen(due_town: Town) -> None:
    release = due_town.side.release(WEEK).release
    assert release is not None
    key = due_town.side.keys.manifest_key().public_key()
    with pytest.raises(BadReleaseError):
        verify_release(release.manifest, release.table.replace(b'"genre"', b'"Genre"', 1), key)
    with pytest.raises(BadReleaseError):
        read_manifest(release.manifest.replace(b'"sig":"', b'"sig":"A'), key)


def test_asking_again_gives_the_same_bytes_and_spends_nothing(due_town: Town) -> None:
    first = due_town.side.release(WEEK)
    before = due_town.rows()
    assert due_town.side.release(WEEK) == first
    assert due_town.rows() == before
    assert sum(one.rho_micro for one in due_town.side.store.spendings()) == 12_500


def test_a_week_that_is_not_closed_is_not_drawn(open_town: Town) -> None:
    open_town.hand_totals()
    before = open_town.rows()
    with pytest.raises(WeekNotClosedError):
        open_town.side.release(WEEK)
    assert open_town.rows() == before


def test_a_week_without_totals_waits(open_town: Town) -> None:
    open_town.send_genre(1)
    open_town.clock.advance_to(closed())
    before = open_town.rows()
    with pytest.raises(TotalsMissingError):
        open_town.side.release(WEEK)
    assert open_town.rows() == before


def test_below_the_floor_nothing_is_released_or_spent_and_counters_are_gone(open_town: Town) -> None:
    open_town.send_genre(1)
    open_town.hand_totals(asked=299)
    open_town.clock.advance_to(closed())
    outcome = open_town.side.release(WEEK)
    assert (outcome.state, outcome.release) == (WeekState.BELOW_FLOOR, None)
    assert open_town.rows()["counters"] == []
    assert open_town.rows()["budget"] == []
    assert open_town.side.store.releases() == []


def test_a_week_without_directory_ends_without_a_release(town: Town) -> None:
    town.clock.advance_to(closed())
    assert town.side.release(WEEK).state is WeekState.NO_DIRECTORY


@pytest.mark.parametrize(
    ("distance", "state"),
    [
        (-53, WeekState.RELEASED),
        (-52, WeekState.OVER_BUDGET),
        (52, WeekState.OVER_BUDGET),
        (53, WeekState.RELEASED),
    ],
)
def test_a_week_that_shares_53_weeks_with_it_bears_on_a_release_and_no_other(
    due_town: Town, distance: int, state: WeekState
) -> None:
    spent = Spending(WEEK.plus(distance), "genre", 53 * 12_500 - 12_499)
    due_town.side.store.at_release_desk(lambda desk: desk.spend(spent))
    outcome = due_town.side.release(WEEK)
    assert outcome.state is state
    if outcome.release is not None:
        key = due_town.side.keys.manifest_key().public_key()
        told = read_manifest(outcome.release.manifest, key).budget_spent_micro
        assert told == spent.rho_micro + 12_500  # of every week there ever was


def test_what_is_left_is_read_from_a_ledger_of_any_shape_as_brute_force_counts_it(town: Town) -> None:
    chance = Random(53)  # noqa: S311 (seeded, to be the same each time)
    costs = dict.fromkeys(range(-400, 400), 0)
    lines = []
    for distance in sorted(chance.sample(range(-200, 200), k=150)):
        for measure in ("genre", "minutes", "reach")[: chance.randrange(1, 4)]:
            lines.append(Spending(WEEK.plus(distance), measure, chance.randrange(1, 40)))
            costs[distance] += lines[-1].rho_micro
    store = town.side.store
    store.at_release_desk(lambda desk: [desk.spend(line) for line in lines])
    assert store.at_release_desk(lambda desk: desk.spent_micro()) == sum(costs.values())
    for distance in range(-210, 210, 7):
        week = WEEK.plus(distance)
        near = store.at_release_desk(lambda desk, week=week: desk.spendings_between(*weeks_around(week)))
        assert near == [line for line in lines if abs(line.week.weeks_since(week)) <= 52]
        windows = [range(first, first + 53) for first in range(distance - 52, distance + 1)]
        dearest = max(sum(costs[one] for one in window) for window in windows)
        assert left_micro(near, week, 10_000) == 10_000 - dearest


def test_what_the_budget_does_not_cover_is_never_drawn(due_town: Town) -> None:
    spent = Spending(WEEK.plus(1), "genre", 53 * 12_500 - 12_499)
    due_town.side.store.at_release_desk(lambda desk: desk.spend(spent))
    outcome = due_town.side.release(WEEK)
    assert (outcome.state, outcome.release) == (WeekState.OVER_BUDGET, None)
    assert due_town.side.store.spendings() == [spent]
    assert due_town.rows()["counters"] == []


def test_a_failure_while_drawing_changes_nothing(due_town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_measure: object, _counters: object) -> list[int]:
        raise RuntimeError

    before = due_town.rows()
    monkeypatch.setattr(release_room, "add_noise", fails)
    with pytest.raises(RuntimeError):
        due_town.side.release(WEEK)
    assert due_town.rows() == before


def restored(town: Town, folder: Path) -> Town:
    """A town whose database is one of before the release, beside the archive of after it."""
    folder.mkdir()
    copy = engines.copied(town.setup.database, folder / "analytics.db")
    town.side.release(WEEK)
    other = make_town(folder, database=copy, archive=town.setup.archive, keys=town.setup.keys)
    other.clock.advance_to(closed())
    return other


def test_after_a_restore_the_archived_release_is_taken_back_unchanged(due_town: Town, tmp_path: Path) -> None:
    other = restored(due_town, tmp_path / "restored")
    assert other.side.store.release(WEEK) is None
    assert other.side.release(WEEK).release == due_town.side.store.release(WEEK)
    assert other.side.store.spendings() == due_town.side.store.spendings()
    other.side.close()


def test_after_a_restore_a_week_is_not_drawn_again_though_its_table_is_lost(
    due_town: Town, tmp_path: Path
) -> None:
    other = restored(due_town, tmp_path / "restored")
    (tmp_path / "releases" / f"{WEEK}.table.json").unlink()
    outcome = other.side.release(WEEK)
    assert (outcome.state, outcome.release) == (WeekState.DRAWN_BEFORE, None)
    assert other.side.store.spendings() == due_town.side.store.spendings()
    other.side.close()


def test_a_manifest_that_cannot_be_read_still_forbids_to_draw(due_town: Town, tmp_path: Path) -> None:
    (tmp_path / "releases").mkdir()
    (tmp_path / "releases" / f"{WEEK}.manifest.json").write_bytes(b"torn")
    outcome = due_town.side.release(WEEK)
    assert outcome.state is WeekState.DRAWN_BEFORE
    assert sum(one.rho_micro for one in due_town.side.store.spendings()) == 12_500


def test_another_weeks_files_are_not_taken_for_this_weeks(due_town: Town, tmp_path: Path) -> None:
    due_town.side.release(WEEK)
    for kind in ("manifest", "table"):
        source = tmp_path / "releases" / f"{WEEK}.{kind}.json"
        (tmp_path / "releases" / f"{WEEK.plus(1)}.{kind}.json").write_bytes(source.read_bytes())
    due_town.clock.advance_to(closed(WEEK.plus(1)))
    assert due_town.side.release(WEEK.plus(1)).state is WeekState.DRAWN_BEFORE


PROGRAM = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from datetime import datetime
    from headend.analytics import release as room
    from tests.headend.analytics.builders import WEEK, closed, make_town
    place = sys.argv[3]
    town = make_town(Path(sys.argv[1]), database=place if "://" in place else Path(place))
    town.clock.advance_to(closed())
    if sys.argv[2] == "hang":
        import time
        def hang(measure, counters):
            if measure.name == "ordered-genre":
                print("drawing", flush=True)
                time.sleep(60)
            return counters
        room.add_noise = hang
    print(town.side.release(WEEK).release.manifest.hex())
    """
)


def run_apart(town: Town, folder: Path, how: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PROGRAM, str(folder), how, str(town.setup.database)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path.cwd())


def test_two_processes_that_race_draw_once(due_town: Town, tmp_path: Path) -> None:
    due_town.side.store.close()
    runs = [run_apart(due_town, tmp_path, "draw") for _ in range(3)]
    answers = {run.communicate(timeout=60)[0] for run in runs}
    assert len(answers) == 1
    again = make_town(tmp_path, database=due_town.setup.database)
    assert len(again.side.store.spendings()) == 3
    assert [release.manifest.hex() + "\n" for release in again.side.store.releases()] == list(answers)
    again.side.close()


def test_a_release_killed_while_drawing_leaves_nothing_and_can_be_drawn_again(
    due_town: Town, tmp_path: Path
) -> None:
    before = due_town.rows()
    run = run_apart(due_town, tmp_path, "hang")
    assert run.stdout is not None
    assert run.stdout.readline() == "drawing\n"
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    assert due_town.rows() == before
    assert due_town.side.release(WEEK).state is WeekState.RELEASED


def test_a_release_cut_short_after_its_commit_is_archived_when_asked_again(
    due_town: Town, tmp_path: Path
) -> None:
    release = due_town.side.release(WEEK).release
    assert release is not None
    manifest = tmp_path / "releases" / f"{WEEK}.manifest.json"
    manifest.unlink()
    due_town.side.release(WEEK)
    assert manifest.read_bytes() == release.manifest


@pytest.mark.parametrize("name", ["regional", "national"])
def test_the_larger_profiles_are_released_whole(tmp_path: Path, name: str) -> None:
    town = make_town(tmp_path, profile=profile(name))
    town.publish()
    town.clock.advance_to(over())
    town.hand_totals(asked=profile(name).min_accounts)
    town.clock.advance_to(closed())
    release = town.side.release(WEEK).release
    assert release is not None
    sizes = {one.name: len(one.cells) for one in read_table(release.table).measures}
    assert sizes["genre-region"] == 22
    assert sizes["genre-shift"] == 66
    assert sum(spending.rho_micro for spending in town.side.store.spendings()) == profile(name).rho_micro
    town.side.close()


def test_a_years_releases_stay_within_the_cap(town: Town) -> None:
    weeks = [WEEK.plus(week) for week in range(3)]
    for week in weeks:
        town.publish(week)
        town.hand_totals(week)
        town.clock.advance_to(closed(week))
        assert town.side.release(week).state is WeekState.RELEASED
    assert town.side.store.last_done("release") == Week(2026, 43)
    spent = [dataclasses.astuple(one)[2] for one in town.side.store.spendings()]
    assert sum(spent) == 3 * 12_500


def test_a_reader_checks_a_release_with_the_public_key_alone(due_town: Town, tmp_path: Path) -> None:
    outcome = due_town.side.release(WEEK)
    assert outcome.release is not None
    manifest, table = tmp_path / "manifest.json", tmp_path / "table.json"
    manifest.write_bytes(outcome.release.manifest)
    table.write_bytes(outcome.release.table)
    key = public_to_text(due_town.side.keys.manifest_key().public_key())
    words = ["release", "verify", str(manifest), str(table), "--key", key]
    good = CliRunner().invoke(main, words)
    assert good.exit_code == 0
    assert "2026-W41: genuine, profile small" in good.output
    table.write_bytes(outcome.release.table.replace(b'"accepted"', b'"acceptec"'))
    changed = CliRunner().invoke(main, words)
    assert changed.exit_code != 0
    assert "not the one that the manifest was signed for" in changed.output

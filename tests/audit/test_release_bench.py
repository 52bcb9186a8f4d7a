import pytest

from benchmarks import release


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "REGIONS", 4)
    monkeypatch.setattr(release, "TURNS", 1)


def test_counters_are_the_sums_of_all_contributions() -> None:
    declared, grid = release.measure()
    found = release.counters(declared.name, release.rows(1_000, grid.size))
    assert len(found) == grid.size == 44
    assert sum(one.amount + one.rest for one in found) == 16 * 1_000


def test_ours_releases_two_counters_a_cell() -> None:
    assert release.ours(1_000)() == 44
    assert release.one_process("ours", 1_000)["cells"] == 44


def test_a_goal_that_is_missed_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"seconds": 1.0, "peak MiB": 50.0}
    assert release.compare(figures, figures) == 0
    assert release.compare(figures, {"seconds": 0.1, "peak MiB": 50.0}) == 1
    assert "MISSED" in capsys.readouterr().out


def test_without_the_yardstick_ours_is_printed_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "find_spec", lambda _name: None)
    monkeypatch.setattr(release, "measured", release.one_process)
    monkeypatch.setattr("sys.argv", ["release", "--rows", "1000"])
    assert release.main() == 0
    assert release.YARDSTICK in capsys.readouterr().out

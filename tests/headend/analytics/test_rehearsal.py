import pytest
from click.testing import CliRunner

from headend.__main__ import main
from headend.analytics.rehearsal import Invented, RehearsalError, invented_shares, rehearse
from shared.register import profile
from shared.weeks import Week

WEEK = Week(2026, 41)
REGIONS = ("north", "south")


def test_a_rehearsal_gives_the_figures_that_a_panel_of_that_size_would() -> None:
    panel = Invented(profile("small"), (), 20_000, 40_000, 4)
    found = rehearse(panel, WEEK).measure("genre")
    shares = invented_shares(profile("small").measure("genre"), ())
    for cell, share in zip(found.groups[0].cells, shares, strict=True):
        one = cell.panel["share"]
        assert abs(one.value - share) < 5 * one.half_width / 1.96, "noise and nothing else, five sigmas"


@pytest.mark.parametrize("name", ["small", "regional", "national"])
def test_every_profile_can_be_rehearsed(name: str) -> None:
    found = rehearse(Invented(profile(name), REGIONS, 60_000, 100_000, 1), WEEK)
    assert [measure.name for measure in found.measures] == [one.name for one in profile(name).measures]
    assert found.simulated


@pytest.mark.parametrize(
    "panel",
    [
        Invented(profile("small"), (), 0, 10, 4),
        Invented(profile("small"), (), 11, 10, 4),
        Invented(profile("small"), (), 10, 10, 0),
        Invented(profile("small"), (), 10, 10, 54),
        Invented(profile("regional"), (), 10, 10, 4),
    ],
    ids=str,
)
def test_a_rehearsal_that_cannot_be_is_refused(panel: Invented) -> None:
    with pytest.raises(RehearsalError):
        rehearse(panel, WEEK)


def test_the_command_spends_nothing_and_leaves_no_trace(tmp_path) -> None:
    folder = tmp_path / "headend"
    assert CliRunner().invoke(main, ["init", str(folder)]).exit_code == 0
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    said = CliRunner().invoke(main, ["release", "rehearse", str(folder), "--reporting", "640", "--json"])
    assert said.exit_code == 0
    assert '"film-drama"' in said.output
    assert {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()} == before

"""The page's figures are what the model makes of the recorded ones; nothing is measured here."""

from xml.etree import ElementTree as ET

import pytest

from benchmarks.capacity import measured, model, page, plots, recorded, tables
from benchmarks.capacity.arrivals import Curve
from benchmarks.capacity.boxes import KINDS, NAMED
from benchmarks.capacity.measured import Measured
from benchmarks.capacity.recorded import Growth
from benchmarks.growth.sized import SIGNED_WEEKS, Size
from benchmarks.growth.turns import Cost
from benchmarks.growth.units import jobs

BINS = 2016
WEEK_S = 604_800


@pytest.fixture
def flat() -> model.Model:
    """A hundred boxes of fifty accounts, each of which asks for everything once a week, evenly."""
    counts = [100 if at % BINS == 0 else 0 for at in range(BINS)]
    even = Curve(100, 50, 0.25, dict.fromkeys(KINDS, counts), dict.fromkeys(KINDS, [0] * BINS))
    disk = dict.fromkeys(
        [
            *("account", "box", "grant", "reporting", "export entry", "nonce"),
            *(f"{what}, {age}" for what in ("message", "order", "money") for age in ("young", "old")),
            "released week, national",
        ],
        10.0,
    )
    cpu = dict.fromkeys(
        [*KINDS, "token request", "token", "fragment apart", "handshake", "signature"], 1000.0
    )
    wire = dict.fromkeys([*KINDS, "token request", "token", "handshake", "offer"], 100.0)
    costs = [Cost("an account's bill", Size(boxes, 1), boxes, 0.0, 1.0) for boxes in (10, 1000)]
    return model.Model(Measured("", "", cpu, wire, disk), even, Growth(costs, []))


def test_the_pages_tables_are_those_of_the_recorded_figures():
    text = page.PAGE.read_text()
    assert page.filled(text, page.made()) == text


def test_a_table_without_a_place_is_refused():
    with pytest.raises(page.NoMarksError):
        page.filled("no marks", {"needs": "table"})


def test_cores_are_the_busiest_hours_work_over_the_share_that_may_be_busy(flat):
    busiest = 100 / 100 / 12 / 300  # one bin of twelve has all of the week
    assert flat.requests(1, "heartbeat") == pytest.approx(busiest)
    assert flat.cores(1_000_000, "heartbeat") == pytest.approx(1_000_000 * busiest * 0.001 / 0.6)
    assert flat.one_process("heartbeat") == pytest.approx(0.6 / (busiest * 0.001))
    assert flat.front(1000) == pytest.approx(len(NAMED) * 1000 * busiest * 0.001 / 0.6)


def test_a_request_for_tokens_costs_itself_and_each_token(flat):
    assert flat.quota == 17
    assert flat.cpu_us("tokens") == 18_000
    assert flat.wire("tokens") == 1900
    assert flat.signatures(100) == pytest.approx(17 * flat.requests(100, "tokens"))


def test_the_profile_scales_fragments_and_tokens(flat):
    small = model.Model(flat.measured, flat.curve, flat.growth, "small")
    assert small.a_week("fragment") == pytest.approx(3 / 17)
    assert small.cpu_us("tokens") == 4000
    assert small.nonces(100) == pytest.approx(3 / 17 * flat.nonces(100))


def test_titles_are_on_disk_while_they_may_be_and_the_books_stay(flat):
    week = 3 * 10 + 2 * 10 + 10  # three messages, two orders, one of them for money
    fixed = 10 + 0.5 * 10 + 17 * 10 * model.GRANT_WEEKS + 0.5 * 10 * model.REPORTING_WEEKS
    assert flat.billing(1, 1) == pytest.approx(fixed + week)
    assert flat.billing(1, SIGNED_WEEKS + 5) == pytest.approx(fixed + (SIGNED_WEEKS + 5) * week)


def test_what_analytics_keeps_does_not_know_how_many_boxes_there_are(flat):
    assert flat.kept(52) == 520
    assert flat.nonces(200) == 2 * flat.nonces(100) == 2000


def test_a_job_takes_as_long_as_measured_in_the_largest_town(flat):
    assert flat.job("an account's bill", 2_000) == pytest.approx(2.0)
    assert flat.bills(1000) == 0.25 * 500


@pytest.mark.parametrize(
    ("value", "told"), [(0, "0"), (0.1234, "0.123"), (12.34, "12.3"), (123.4, "123"), (12_345, "12,345")]
)
def test_figures_have_as_many_digits_as_count(value, told):
    assert tables.figure(value) == told


def test_sizes_and_spans_are_told_in_their_own_units():
    assert [tables.size(one) for one in (10, 1500, 2.5e9, 3e15)] == ["10 B", "1.5 kB", "2.5 GB", "3,000 TB"]
    assert [tables.span(one) for one in (30, 300, 9000)] == ["30 s", "5 min", "2.5 h"]


def test_what_is_recorded_can_be_read_and_has_every_figure_that_the_model_asks_for():
    assert set(recorded.arrivals().usual.answered) == set(KINDS)
    for found in (recorded.growth().boxes, recorded.growth().weeks):
        assert {unit.name for unit in jobs()} < {one.unit for one in found}
    assert measured.read().machine


def test_the_arrival_curve_is_written_as_it_is_read(tmp_path):
    found = recorded.arrivals()
    recorded.record(found, tmp_path / "arrivals.json")
    assert recorded.arrivals(tmp_path / "arrivals.json") == found


def test_figures_are_written_as_they_are_read(tmp_path):
    path = tmp_path / "measured.toml"
    path.write_text(measured._toml(measured.read()))
    assert measured.read(path) == measured.read()


def test_plots_are_files_of_their_own_on_white_paper(tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "FOLDER", tmp_path)
    drawn = plots.write()
    assert len(drawn) == 7
    for path in drawn:
        found = ET.parse(path).getroot()  # noqa: S314 (made here)
        assert float(found.get("width")) > 0
        assert float(found.get("height")) > 0
        assert found.find("{http://www.w3.org/2000/svg}rect").get("fill") == "#ffffff"


def test_the_plots_in_the_documentation_are_those_of_the_recorded_figures(tmp_path, monkeypatch):
    held = plots.FOLDER
    monkeypatch.setattr(plots, "FOLDER", tmp_path)
    for path in plots.write():
        assert (held / path.name).read_text() == path.read_text(), path.name

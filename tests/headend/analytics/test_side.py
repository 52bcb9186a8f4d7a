from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headend.analytics.store import WeekState
from headend.directories import make_directory
from headend.disclosure import DisclosureError, Kind, Purpose, Recipient, clear
from headend.kit.jobs import Jobs
from headend.kit.shelf import KeyFileError
from headend.kit.storage import StorageError
from shared.directory import BadDirectoryError
from shared.dsse import BadSignatureError, PayloadType, key_id, sign
from shared.totals import BadTotalsError, read_totals
from tests.builders import visit
from tests.headend.analytics.builders import DIRECTORY_KEY, SETTINGS, WEEK, Town, closed, spki, working_town


def directory_of(town: Town, *, key: Ed25519PrivateKey = DIRECTORY_KEY, **changes: object) -> bytes:
    keys = {measure.name: spki(measure.name) for measure in town.setup.profile.measures}
    ohttp = changes.pop("ohttp", town.side.key_config(WEEK))
    assert isinstance(ohttp, bytes)
    return make_directory(replace(SETTINGS, **changes), WEEK, keys, ohttp, key)


def accept(town: Town, envelope: bytes) -> None:
    town.side.accept_directory(clear(envelope, Kind.DIRECTORY, Recipient.BOXES, Purpose.PROTOCOL))


def test_a_directory_signed_by_another_key_is_refused(town: Town) -> None:
    with pytest.raises(BadSignatureError):
        accept(town, directory_of(town, key=Ed25519PrivateKey.generate()))
    assert town.side.store.directory(WEEK) is None


@pytest.mark.parametrize(
    "change",
    [{"zone": "Europe/London"}, {"ohttp": b"\x29" + bytes(40)}],
)
def test_a_directory_that_does_not_fit_the_installation_is_refused(
    town: Town, change: dict[str, object]
) -> None:
    with pytest.raises(BadDirectoryError):
        accept(town, directory_of(town, **change))
    assert town.side.store.directory(WEEK) is None


def test_a_directory_with_a_key_that_was_never_made_here_is_refused(town: Town) -> None:
    envelope = directory_of(town)
    town.side.keys.forget(WEEK)
    with pytest.raises(KeyFileError):
        accept(town, envelope)


@pytest.mark.parametrize("payload", [b"[]", b"{}", b'{"week":"2026-W99"}', b"\xff", b'{"week":"2026-W41"}'])
def test_signed_nonsense_is_no_directory(town: Town, payload: bytes) -> None:
    keyid = key_id(DIRECTORY_KEY.public_key())
    with pytest.raises(BadDirectoryError):
        accept(town, sign(payload, PayloadType.DIRECTORY, DIRECTORY_KEY, keyid))


def test_what_was_cleared_as_something_else_is_refused(town: Town) -> None:
    other = clear(b"{}", Kind.RELEASE, Recipient.PUBLIC, Purpose.GENRE_POPULARITY)
    with pytest.raises(DisclosureError):
        town.side.accept_directory(other)
    with pytest.raises(DisclosureError):
        town.side.accept_totals(other)


GOOD = {
    "v": 1,
    "week": "2026-W41",
    "boxes": {"north": 10},
    "accounts_drawn": 4,
    "accounts_asked": 3,
    "issued": {},
}


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"week": "2026-W60"},
        {"boxes": {"north": 11}},
        {"boxes": {"north": -10}},
        {"accounts_asked": 5},
        {"accounts": ["someone"]},
        {"issued": {"genre": "many"}},
    ],
)
def test_totals_of_another_form_are_refused(change: dict[str, object]) -> None:
    assert read_totals(msgspec.json.encode(GOOD))[0] == WEEK
    with pytest.raises(BadTotalsError):
        read_totals(msgspec.json.encode(GOOD | change))


def test_totals_that_are_no_json_or_too_large_are_refused() -> None:
    for payload in (b"\xff", b"[" * 5000, b" " * 70_000 + msgspec.json.encode(GOOD)):
        with pytest.raises(BadTotalsError):
            read_totals(payload)


def test_the_jobs_release_a_closed_week_and_then_forget_it(tmp_path: Path) -> None:
    town = working_town(tmp_path)
    town.publish()
    town.hand_totals()
    jobs = Jobs(town.side.side.jobs, town.clock)
    assert jobs.next_due() == closed()
    assert jobs.run_due() == 0
    town.clock.advance_to(WEEK.end(town.setup.zone))
    town.send_genre(1)
    town.clock.advance_to(closed())
    assert jobs.run_due() == 2
    assert town.side.store.state(WEEK) is WeekState.RELEASED
    assert (town.rows()["spent"], town.rows()["counters"]) == ([], [])
    assert town.accepted() == {"genre": 1}
    with pytest.raises(KeyFileError):
        town.side.keys.gateway(WEEK)
    assert jobs.next_due() == closed(WEEK.plus(1))
    assert jobs.run_due() == 0
    town.side.close()


@pytest.mark.filterwarnings("ignore")
def test_a_release_that_ends_without_result_stays_due_and_nothing_is_forgotten(open_town: Town) -> None:
    open_town.send_genre(1)
    open_town.clock.advance_to(closed())
    jobs = Jobs(open_town.side.side.jobs, open_town.clock)
    before = open_town.rows()
    assert jobs.run_due() == 0
    assert jobs.next_due() == closed()
    assert open_town.rows() == before


def test_refusals_are_stored_at_flush_and_counted_on(open_town: Town) -> None:
    open_town.side.tally.add("duplicate", 2)
    open_town.side.flush()
    open_town.side.tally.add("duplicate")
    assert open_town.side.store.tally() == {"duplicate": 2}
    assert (
        "headend_refused_total",
        {"side": "analytics", "name": "duplicate"},
        3,
    ) in open_town.side.side.metrics()


def test_a_flush_that_fails_forgets_no_count(open_town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_counts: object) -> None:
        raise StorageError("disk full")

    open_town.side.tally.add("duplicate", 2)
    with monkeypatch.context() as patched:
        patched.setattr(open_town.side.store, "add_tally", fails)
        with pytest.raises(StorageError):
            open_town.side.flush()
    assert open_town.side.tally.snapshot() == {"duplicate": 2}


def test_metrics_and_tiles_tell_participation_and_budget_but_no_cell(tmp_path: Path) -> None:
    town = working_town(tmp_path)
    town.publish()
    town.hand_totals()
    town.clock.advance_to(WEEK.end(town.setup.zone))
    town.send_genre(1)
    assert ("headend_accepted_total", {"measure": "genre", "week": "2026-W41"}, 1) in town.side.side.metrics()
    town.clock.advance_to(closed())
    assert not town.side.side.tiles(visit(role="analyst"))[0].alarm
    town.clock.advance_to(closed() + timedelta(minutes=10))
    assert town.side.side.tiles(visit(role="analyst"))[0].alarm
    Jobs(town.side.side.jobs, town.clock).run_due()
    tiles = {tile.label: tile for tile in town.side.side.tiles(visit(role="analyst"))}
    assert not tiles["Next release"].alarm
    assert tiles["Releases"].value == "1"
    assert tiles["Budget spent"].value == "1.9%"
    assert {tile.href for tile in tiles.values()} == {"/console/releases", "/console/budget"}
    assert town.side.side.tiles(visit(role="admin")) == []
    assert ("headend_budget_spent_rho", {}, 0.0125) in town.side.side.metrics()
    town.side.close()


def test_it_is_ready_while_its_database_answers(town: Town) -> None:
    town.side.side.ready()
    assert town.setup.zone == ZoneInfo("Europe/Amsterdam")

import ast
import errno
import re
import shutil
from pathlib import Path
from unittest import mock

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headend import backup
from headend.app import create_app, open_headend
from headend.backup import BackupError, back_up
from headend.billing import rows
from headend.billing.rows import ALARM_KINDS, OrderState
from headend.installation import Installation
from headend.kit.jobs import Job, Jobs, Slot
from headend.kit.metering import FAMILIES, OF_DATABASES, UnknownFamilyError, families
from tests import engines
from tests.builders import SETTINGS
from tests.headend.conftest import NOW

RESERVED = ("_sum", "_count", "_bucket", "_info", "_created", "_total")
NOT_BASE_UNITS = re.compile(r"_(ms|millis|milliseconds|minutes|hours|days|kb|mb|kib|mib|percent)(_|$)")


@pytest.fixture
def headend(healthy, tmp_path):
    made = open_headend(Installation(shutil.copytree(healthy, tmp_path / "headend")))
    yield made
    made.close()


@pytest.fixture
def client(headend):
    return create_app(headend).test_client()


def scraped(client):
    answer = client.get("/metrics")
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def samples(client, name):
    """What a family says, by its labels in the order of their names."""
    found = scraped(client)[name.removesuffix("_total")].samples
    return {
        tuple(one.labels[key] for key in sorted(one.labels)): one.value for one in found if one.name == name
    }


def used(client):
    """The application after some of everything."""
    client.get("/billing/v1/directory/2026-W48")
    client.post("/billing/v1/chain", data=b"{}", content_type="text/plain")
    client.post("/analytics/ohttp", data=b"x", content_type="message/ohttp-req")
    client.get("/console/accounts/nl-0003")
    return client


@pytest.mark.sqlite(why="what a file tells, a server does not")
def test_every_family_that_is_declared_is_served_with_its_sentence_and_kind(client, headend):
    headend.billing.store.write(lambda tx: tx.add_tally({"odd": 1}))
    found = scraped(used(client))
    told = {family.name + ("_total" if family.type == "counter" else "") for family in found.values()}
    # What only a week that has been counted has, and what only a file or only a PostgreSQL server has.
    of_files = {"headend_database_log_bytes"}
    of_servers = {"headend_database_connections", "headend_database_connections_limit"}
    elsewhere = of_files if engines.OVER_POSTGRES else of_servers
    assert set(FAMILIES) - told == {"headend_accepted_total"} | elsewhere
    for family in found.values():
        assert family.documentation.endswith(".") or not family.name.startswith("headend_")
        assert family.type in {"counter", "gauge", "histogram"}


def test_names_follow_the_practice(client):
    for family in scraped(used(client)).values():
        assert re.fullmatch(r"(headend|process|python)_[a-z][a-z0-9_]*", family.name)
        assert not NOT_BASE_UNITS.search(family.name)
        if family.name not in {"headend_build_info", "python_info"}:
            assert not family.name.endswith(RESERVED)
        for sample in family.samples:
            assert family.type != "counter" or sample.name.endswith("_total")


def test_no_label_tells_an_id_a_title_or_a_path(client, headend):
    look = headend.billing.store.read()
    secrets = {account.account for account in look.accounts()} | {box.box for box in look.boxes()}
    secrets |= {f"film-{n}" for n in range(1, 6)} | {"Paper Boats", "adam", "127.0.0.1"}
    values = {
        value
        for family in scraped(used(client)).values()
        for sample in family.samples
        for value in sample.labels.values()
    }
    assert not [one for one in secrets if any(one in value for value in values)]


def test_requests_are_counted_by_side_template_method_and_class_of_status(client):
    counts = samples(used(client), "headend_requests_total")
    for expected in (
        ("GET", "/billing/v1/directory/<week>", "billing", "2xx"),
        ("POST", "/billing/v1/chain", "billing", "4xx"),
        ("POST", "/analytics/ohttp", "analytics", "4xx"),
        ("GET", "/console/<path:path>", "console", "3xx"),
    ):
        assert counts[expected] == 1
    assert scraped(client)["headend_request_duration_seconds"].type == "histogram"


def test_what_no_route_takes_is_no_label(client):
    client.get("/nl-0003/secret")
    client.open("/healthz", method="BREW")
    counts = samples(client, "headend_requests_total")
    assert counts["GET", "unmatched", "operations", "4xx"] == 1
    assert counts["other", "unmatched", "operations", "4xx"] == 1
    assert samples(client, "headend_requests_in_progress")[()] == 1, "the scrape itself"


def test_a_request_that_fails_is_counted_logged_without_its_path_and_over(headend, caplog):
    app = create_app(headend)

    @app.get("/fails/<who>")
    def fails(who):
        raise RuntimeError("odd")

    client = app.test_client()
    assert client.get("/fails/nl-0003").status_code == 500
    assert samples(client, "headend_requests_total")["GET", "/fails/<who>", "operations", "5xx"] == 1
    assert "a request failed: GET /fails/<who>" in caplog.text
    assert "nl-0003" not in caplog.text
    assert samples(client, "headend_requests_in_progress")[()] == 1, "the scrape itself"


def test_commits_tell_their_size_and_time_by_store(client, headend):
    def committed():
        found = scraped(client)["headend_commit_group_size"].samples
        return {one.labels["store"]: one.value for one in found if one.name.endswith("_count")}

    before = committed()
    headend.billing.store.write(lambda tx: tx.add_tally({"odd": 1}))
    after = committed()
    assert (after["billing"], after["analytics"]) == (before["billing"] + 1, before["analytics"])


def test_jobs_tell_when_they_last_ran_and_what_is_late(client, headend):
    assert samples(client, "headend_job_last_success_timestamp_seconds")["gaps",] == NOW.timestamp()
    assert set(samples(client, "headend_job_overdue_seconds").values()) == {0.0}
    assert set(samples(client, "headend_job_failed").values()) == {0.0}


@pytest.mark.sqlite(why="test_backup.py backs databases on PostgreSQL up")
def test_when_the_newest_backup_was_made_is_told_and_one_that_failed_does_not_count(
    client, headend, tmp_path, monkeypatch
):
    told = "headend_backup_last_success_timestamp_seconds"
    assert set(samples(client, told).values()) == {0.0}
    with monkeypatch.context() as patch:
        patch.setattr(
            backup, "_encrypt", mock.Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
        )
        with pytest.raises(BackupError, match="No space left"):
            back_up(headend.installation, tmp_path / "copy", b"correct horse battery")
    assert set(samples(client, told).values()) == {0.0}
    assert not list(tmp_path.glob("*copy*"))
    back_up(headend.installation, tmp_path / "copy", b"correct horse battery")
    assert samples(client, told) == dict.fromkeys(
        [("analytics",), ("billing",), ("console",)], NOW.timestamp()
    )


def test_who_has_the_turn_of_the_jobs_is_told_and_when_it_last_had(headend):
    seen = []
    due = Slot("2026-W47", NOW.replace(hour=8))
    job = Job(
        "odd", lambda: due, lambda _slot: seen.append(samples(client, "headend_jobs_turn")[()]) or 1 / 0
    )
    headend.jobs = Jobs([job], headend.installation.clock())
    client = create_app(headend).test_client()
    assert samples(client, "headend_jobs_last_turn_timestamp_seconds")[()] == 0
    headend.jobs.run_due()
    assert (seen, samples(client, "headend_jobs_turn")[()]) == ([1], 0)
    assert samples(client, "headend_jobs_last_turn_timestamp_seconds")[()] == NOW.timestamp()


@pytest.mark.sqlite(why="two of the three sides are in files")
def test_a_database_on_postgresql_tells_its_size_and_the_connections_of_its_server(
    healthy, tmp_path, monkeypatch
):
    monkeypatch.setenv("HEADEND_CONSOLE_DATABASE", engines.fresh("console"))
    headend = open_headend(Installation(shutil.copytree(healthy, tmp_path / "mixed")))
    client = create_app(headend).test_client()
    size, files = samples(client, "headend_database_bytes"), samples(client, "headend_database_log_bytes")
    assert min(size.values()) > 0
    assert (size.keys() - files.keys(), len(size)) == ({("console",)}, 3)
    taken = samples(client, "headend_database_connections")["console",]
    assert 1 <= taken <= samples(client, "headend_database_connections_limit")["console",]
    with engines.raw(headend.installation.place("console")) as connection:
        name = connection.execute("SELECT current_database()").fetchone()[0]
        connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 1")
    assert samples(client, "headend_database_connections_limit")["console",] == 1
    headend.close()


def test_sizes_are_told_in_steps_so_that_no_fragment_is_seen_to_say_something(client):
    used(client)
    mib = 1 << 20
    steps = {"headend_database_bytes": mib, "headend_disk_free_bytes": mib}
    if not engines.OVER_POSTGRES:  # a server's log is its own
        steps["headend_database_log_bytes"] = 16 * mib
    for name, step in steps.items():
        assert {value % step for value in samples(client, name).values()} <= {0}


def test_a_job_that_fails_is_told(headend):
    def fails(_slot):
        raise RuntimeError("odd")

    due = Slot("2026-W47", NOW.replace(hour=8))
    headend.jobs = Jobs([Job("odd", lambda: due, fails)], headend.installation.clock())
    client = create_app(headend).test_client()
    headend.jobs.run_due()
    assert samples(client, "headend_job_failed") == {("odd",): 1}
    assert samples(client, "headend_job_overdue_seconds") == {("odd",): 3600}


def test_the_books_and_the_export_are_told(client, headend):
    from headend.billing import exports

    assert samples(client, "headend_books_close")[()] == 1
    assert samples(client, "headend_ledger_imbalance_cents")[()] == 0
    assert samples(client, "headend_orders")["suspended",] > 0
    batches = samples(client, "headend_export_batches_total")[()]
    assert samples(client, "headend_export_waiting_entries")[()] > 0
    assert samples(client, "headend_export_oldest_waiting_age_seconds")[()] > 0
    headend.billing.store.write(lambda tx: exports.close_batch(tx, headend.billing.now_ms()))
    assert samples(client, "headend_export_batches_total")[()] == batches + 1
    assert samples(client, "headend_export_waiting_entries")[()] == 0
    assert samples(client, "headend_export_oldest_waiting_age_seconds")[()] == 0


def test_every_state_of_orders_and_every_kind_of_alarm_is_told_before_there_is_one(tmp_path):
    headend = open_headend(Installation.create(tmp_path / "new", SETTINGS))
    client = create_app(headend).test_client()
    assert samples(client, "headend_orders") == {(state.value,): 0 for state in OrderState}
    assert samples(client, "headend_alarms") == {(kind,): 0 for kind in ALARM_KINDS}
    headend.close()


def test_no_alarm_is_raised_of_a_kind_that_is_not_told():
    calls = [
        (node, getattr(node.func, "id", ""))
        for path in Path(rows.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]
    kinds = [
        call.args[{"Alarm": 0, "_alarm": 1}[name]] for call, name in calls if name in {"Alarm", "_alarm"}
    ]
    assert {kind.value for kind in kinds if isinstance(kind, ast.Constant)} == set(ALARM_KINDS)


@pytest.mark.sqlite(why="it asks SQLite for its plans")
def test_a_scrape_reads_no_large_table_from_end_to_end(client, headend):
    large = {
        "orders",
        "entries",
        "chain",
        "accounts",
        "boxes",
        "epochs",
        "annex",
        "counters",
        "spent",
        "grants",
    }
    asked = []
    readers = [headend.billing.store.read()._db, headend.analytics.store.storage.read()]
    for reader in readers:
        reader.set_trace_callback(lambda sql, reader=reader: asked.append((reader, sql)))
    client.get("/metrics")
    for reader in readers:
        reader.set_trace_callback(None)
    assert len(asked) > 20
    for reader, sql in asked:
        if not sql.startswith("SELECT") or sql.endswith(
            " LIMIT 1"
        ):  # the last row of a table is found at once
            continue
        plan = reader.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
        scans = [row["detail"].split() for row in plan if row["detail"].startswith("SCAN")]
        assert not [one for one in scans if one[1] in large and "USING" not in one], sql


def test_what_stands_in_the_databases_is_told_alike_by_two_that_serve_them(headend, client):
    assert FAMILIES.keys() > OF_DATABASES
    headend.billing.store.write(lambda tx: tx.add_tally({"odd": 1}))
    other = open_headend(headend.installation)
    told = [scraped(one) for one in (client, create_app(other).test_client())]
    for name in OF_DATABASES - {"headend_database_connections"}:  # each question takes some
        one, two = (found.get(name.removesuffix("_total")) for found in told)
        assert one == two, name
    other.close()


def test_a_family_that_nobody_declared_is_refused():
    with pytest.raises(UnknownFamilyError):
        list(families([("headend_hobbies", {}, 1)]))

"""PostgreSQL refuses itself what nobody may do: changes of what is append-only, gaps, broken chains."""

import re
from pathlib import Path

import psycopg
import pytest

from headend.analytics.engines import open_store as open_analytics
from headend.billing.engines import open_store as open_billing
from headend.console.engines import open_store as open_console
from tests import engines

ROOT = Path(__file__).parents[2]
OPEN = {
    "billing": open_billing,
    "analytics": open_analytics,
    "console": lambda place: open_console(place, simulated=False),
}
APPEND_ONLY = {
    "billing": (
        *("entries", "invoices", "invoice_lines", "invoice_vat", "batches", "audit", "bindings", "sellers"),
        *("laws", "batch_sums", "verifications", "acknowledgements"),
    ),
    "analytics": ("releases", "budget", "directories", "disclosures"),
    "console": ("audit", "audit_about"),
}
"""What docs/data-model.md calls append-only."""
TABLES = [(side, table) for side, tables in APPEND_ONLY.items() for table in tables]


def told(side):
    """The sentence of the data model about what triggers guard on a side."""
    text = (ROOT / "docs" / "data-model.md").read_text()
    section = text.split(f"\n## {side.capitalize()}", 1)[1].split("\n## ", 1)[0]
    return " ".join(re.findall(r"[^.;]*(?:append-only|triggers refuse)[^.;]*[.;]", section))


@pytest.mark.parametrize("side", list(APPEND_ONLY))
def test_the_tables_are_those_that_the_data_model_names(side):
    named = set(re.findall(r"`(\w+)`", told(side)))
    assert named == set(APPEND_ONLY[side])


@pytest.fixture(scope="module")
def guarded(server):
    """One database a side in which every guarded table has a row, put there past keys and guards."""
    places = {side: engines.fresh(side) for side in OPEN}
    for side, place in places.items():
        with engines.raw(place) as connection:
            for table in APPEND_ONLY[side]:
                connection.execute("BEGIN")
                connection.execute("SET LOCAL session_replication_role = replica")
                connection.execute(_row(connection, table))
                connection.execute("COMMIT")
    yield places
    for place in places.values():
        engines.drop(place)


def _row(connection, table):
    """An INSERT of a row that fits the checks of any of these tables."""
    found = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = ? "
        "AND table_schema = current_schema() AND is_nullable = 'NO' ORDER BY ordinal_position",
        (table,),
    ).fetchall()
    values = ", ".join("1" if name in _ONE else _value(kind, at) for at, (name, kind) in enumerate(found))
    names = ", ".join(f'"{name}"' for name, _ in found)
    return f"INSERT INTO {table} ({names}) VALUES ({values})"


def _value(kind, at):
    return {"bigint": "0", "text": f"'{chr(ord('a') + at) * 64}'", "bytea": "'\\x00'"}[kind]


_ONE = {"entry", "line", "batch", "first_entry", "last_entry", "rho_micro", "entries"}


@pytest.mark.parametrize(("side", "table"), TABLES)
@pytest.mark.parametrize("attack", ["UPDATE", "DELETE", "TRUNCATE", "CASCADE"])
def test_what_is_append_only_is_neither_changed_nor_deleted_nor_emptied(guarded, side, table, attack):
    with engines.raw(guarded[side]) as connection:
        column = engines.columns_of(connection, table)[-1]
        statement = {
            "UPDATE": f'UPDATE {table} SET "{column}" = "{column}"',
            "DELETE": f"DELETE FROM {table}",
            "TRUNCATE": f"TRUNCATE {table}",
            "CASCADE": f"TRUNCATE {table} CASCADE",
        }[attack]
        # A table that another refers to is not even tried to be emptied alone.
        refused = (*engines.REFUSED, psycopg.errors.FeatureNotSupported)
        with pytest.raises(refused, match=r"append-only|referenced in a foreign key"):
            connection.execute(statement)
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 1


def test_every_table_of_billing_s_and_the_console_s_with_a_guard_is_guarded_against_truncate(guarded):
    for place in guarded.values():
        with engines.raw(place) as connection:
            kinds = connection.execute(
                "SELECT relname, bool_or(tgtype & 32 <> 0), bool_or(tgname = 'append_only') FROM pg_trigger "
                "JOIN pg_class ON pg_class.oid = tgrelid WHERE NOT tgisinternal GROUP BY 1"
            ).fetchall()
        assert [name for name, truncate, append_only in kinds if append_only and not truncate] == []


ENTRY = (
    "INSERT INTO entries (entry, kind, account, ref, month, text, currency, vat_bp, proof, at_ms, unbilled, "
    "usage, receivable, revenue, vat, rounding, prev_hash, hash) VALUES "
    "({entry}, 'usage', 'a', '{ref}', '2026-10', '', 'EUR', 0, '', 0, {cents}, -5, 0, 0, 0, 0, "
    "'{prev}', '{own}')"
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"entry": 3},
        {"entry": 1},
        {"prev": "another"},
        {"cents": 6},
        {"own": "first"},
        {"ref": "r1"},
    ],
    ids=["gap", "twice", "chain", "balance", "hash", "ref"],
)
def test_an_entry_that_leaves_a_gap_breaks_the_chain_or_the_balance_is_refused(fresh, wrong):
    right = {"entry": 2, "ref": "r2", "cents": 5, "prev": "first", "own": "second"}
    with engines.raw(fresh("billing")) as connection:
        connection.execute(ENTRY.format(entry=1, ref="r1", cents=5, prev="0", own="first"))
        with pytest.raises(engines.REFUSED):
            connection.execute(ENTRY.format(**{**right, **wrong}))
        connection.execute(ENTRY.format(**right))
        assert connection.execute("SELECT count(*), max(entry) FROM entries").fetchone() == (2, 2)


@pytest.mark.parametrize(
    "wrong",
    [{"entry": 5}, {"entry": 3, "prev": "second", "own": "third again"}, {"prev": "second"}],
    ids=["gap", "twice", "chain"],
)
def test_entries_that_come_together_follow_each_other_or_are_all_refused(fresh, wrong):
    rows = [
        {"entry": number, "ref": f"r{number}", "cents": 5, "prev": prev, "own": own}
        for number, prev, own in ((2, "first", "second"), (3, "second", "third"), (4, "third", "fourth"))
    ]
    with engines.raw(fresh("billing")) as connection:
        connection.execute(ENTRY.format(entry=1, ref="r1", cents=5, prev="0", own="first"))
        with pytest.raises(engines.REFUSED):
            connection.execute(_together([*rows[:2], rows[2] | wrong]))
        assert connection.execute("SELECT count(*) FROM entries").fetchone()[0] == 1
        connection.execute(_together(rows))
        assert connection.execute("SELECT count(*), max(entry) FROM entries").fetchone() == (4, 4)


def _together(rows):
    """One INSERT of several entries."""
    head, _, values = ENTRY.partition(" VALUES ")
    return f"{head} VALUES {', '.join(values.format(**row) for row in rows)}"

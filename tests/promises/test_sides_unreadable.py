"""On PostgreSQL no side can read what another keeps: a database and a role each, no way to another's."""

import os

import psycopg
import pytest
from psycopg import sql

from headend.billing.engines import open_store
from tests.roles import SIDES, made

pytestmark = pytest.mark.promise
PREFIX = f"u{os.getpid()}"


@pytest.fixture(scope="module")
def template(server):
    with made(server, PREFIX) as address:
        open_store(address.replace("{side}", "billing")).close()  # its tables
        yield address


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("other", SIDES)
def test_a_role_reaches_its_own_database_and_no_other(template, side, other):
    mine, theirs = template.replace("{side}", side), template.replace("{side}", other)
    url = mine.replace(f"/{PREFIX}_{side}?", f"/{PREFIX}_{other}?")
    if side == other:
        psycopg.connect(theirs).close()
        return
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(url)


def test_a_role_that_were_let_in_could_still_read_nothing(template, server):
    """Were CONNECT granted by mistake, the tables and their schema are still its owner's."""
    mine = template.replace("{side}", "analytics").replace(f"/{PREFIX}_analytics?", f"/{PREFIX}_billing?")
    grant = sql.SQL("{} CONNECT ON DATABASE {} {} {}")
    database, role = sql.Identifier(f"{PREFIX}_billing"), sql.Identifier(f"{PREFIX}_analytics")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(grant.format(sql.SQL("GRANT"), database, sql.SQL("TO"), role))
        try:
            with psycopg.connect(mine, autocommit=True) as let_in:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    let_in.execute(b"SELECT * FROM public.accounts")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    let_in.execute("CREATE TABLE public.here (x INTEGER)")
        finally:
            admin.execute(grant.format(sql.SQL("REVOKE"), database, sql.SQL("FROM"), role))

"""PostgreSQL's side of an installation: a database and a role for each side, for a superuser's psql."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import click

from headend.cli.common import told
from headend.installation import ALL_SIDES, Installation, InstallationError, databases_of
from headend.kit.engine import is_url

CONNECTIONS = 250
"""What one side may have open: two nodes of four workers, 30 each, and some for backups and the doctor."""
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_SQL = """\
-- {side}
CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS
    CONNECTION LIMIT {connections};
CREATE DATABASE {database} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
REVOKE ALL ON DATABASE {database} FROM PUBLIC;
GRANT CONNECT ON DATABASE {database} TO {role};
ALTER ROLE {role} IN DATABASE {database} SET lock_timeout = '120s';
ALTER ROLE {role} IN DATABASE {database} SET tcp_keepalives_idle = 30;
ALTER ROLE {role} IN DATABASE {database} SET tcp_keepalives_interval = 10;
ALTER ROLE {role} IN DATABASE {database} SET tcp_keepalives_count = 3;
\\connect {database}
ALTER SCHEMA public OWNER TO {role};
REVOKE ALL ON SCHEMA public FROM PUBLIC;
\\connect postgres
"""
_HEAD = """\
\\set ON_ERROR_STOP on
-- A database and a role a side, run once as a superuser by psql. No role has a password yet: give each its
-- own by psql's \\password, or let pg_hba.conf know its certificate.
"""


class Own(NamedTuple):
    """The database and the role of a side."""

    side: str
    database: str
    role: str


@click.group()
def database() -> None:
    """The databases of an installation on PostgreSQL."""


@database.command("roles")
@click.argument(
    "folder", required=False, type=click.Path(path_type=Path, exists=True, file_okay=False), default=None
)
@click.option("--database", "template", help="As for `init`: an address with {side} in it.")
@click.option(
    "--connections",
    type=click.IntRange(min=1),
    default=CONNECTIONS,
    show_default=True,
    help="How many connections each role may have: 30 for each worker of each node.",
)
@told
def database_roles(folder: Path | None, template: str | None, connections: int) -> None:
    """Print the SQL that makes a database and a role a side, each closed to the others."""
    if (folder is None) == (template is None):
        raise click.ClickException("name either the folder of an installation or a --database")
    click.echo(_HEAD)
    for one in _owns(databases_of(template) if template else _places(Installation(folder or Path()))):
        click.echo(_SQL.format(**one._asdict(), connections=connections))


def _places(installation: Installation) -> dict[str, str]:
    found = {side: installation.place(side) for side in ALL_SIDES}
    return {side: str(place) for side, place in found.items() if is_url(place)}


def _owns(places: dict[str, str]) -> list[Own]:
    """What each address names.

    Raises:
        InstallationError: a name is missing or would have to be quoted, or two sides would share one.
    """
    if not places:
        raise InstallationError("no side of this installation is on PostgreSQL")
    owns = []
    for side, url in places.items():
        at = urlsplit(url)
        own = Own(side, unquote(at.path.lstrip("/")), unquote(at.username or ""))
        if not (_NAME.fullmatch(own.database) and _NAME.fullmatch(own.role)):
            raise InstallationError(
                f"the address of {side} has to name a role and a database, by a-z, 0-9 and _"
            )
        owns.append(own)
    if len({one.database for one in owns}) < len(owns) or len({one.role for one in owns}) < len(owns):
        raise InstallationError("each side needs a database and a role of its own")
    return owns

"""The PostgreSQL server under a side's database: does it keep what it says, and who else gets at it."""

from typing import Final

from headend.doctor.findings import Answer, broken, fine, warning
from headend.doctor.patient import Patient
from headend.kit.postgres import BY_BYTES, NEAREST_LIMIT

OLDEST: Final = 14_00_00
"""The first server that has all that the tables and questions use, as `server_version_num` tells it."""
FULL: Final = 0.8
"""The part of all connections above which the next node or a backup may get none."""
OLD, TOO_OLD = 1_000_000_000, 1_800_000_000
"""Transactions since the oldest row was frozen; the server stops taking orders near 2,146,000,000."""
_SETTINGS = (
    "SELECT current_setting('synchronous_commit'), current_setting('fsync'), "
    "current_setting('full_page_writes'), pg_encoding_to_char(encoding), datcollate "
    "FROM pg_database WHERE datname = current_database()"
)
_POWERS = (
    "SELECT rolname FROM pg_roles WHERE pg_has_role(oid, 'MEMBER') AND rolname IN ('pg_read_all_data', "
    "'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')"
)
_FOREIGN = (
    "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
    "AND relkind IN ('r', 'p') AND NOT pg_has_role(relowner, 'USAGE') ORDER BY 1"
)
_REACHED = (
    "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres' "
    "AND datname <> current_database() AND has_database_privilege(datname, 'CONNECT') ORDER BY 1"
)
# More dead rows than a busy hour leaves, where they outnumber the living.
_DEAD = (
    "SELECT relname, n_dead_tup FROM pg_stat_user_tables WHERE n_dead_tup > 1000000 "
    "AND n_dead_tup > n_live_tup ORDER BY 2 DESC LIMIT 1"
)
# Behind a transaction that stands open what is dead in every table piles up.
_LONG_OPEN = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
    "AND backend_type = 'client backend' AND xact_start < now() - interval '1 hour' ORDER BY xact_start"
)
_PLAIN = (
    "SELECT inet_server_addr() IS NOT NULL AND NOT inet_server_addr() <<= inet '127.0.0.0/8' "
    "AND NOT inet_server_addr() <<= inet '::1/128' AND NOT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
)
_ARCHIVE = (
    "SELECT current_setting('archive_mode'), last_failed_time > coalesce(last_archived_time, '-infinity'), "
    "coalesce(last_archived_time, stats_reset) < now() - interval '2 hours', "
    "to_char(last_archived_time, 'YYYY-MM-DD HH24:MI'), failed_count FROM pg_stat_archiver"
)

_RAISE: Final = {
    "server": "raise max_connections",
    "database": "ALTER DATABASE … CONNECTION LIMIT",
    "role": "ALTER ROLE … CONNECTION LIMIT",
}


def durable(patient: Patient, side: str) -> Answer:
    """What is acknowledged outlives the power, and texts sort by their bytes."""
    synchronous, fsync, pages, encoding, order = patient.rows(side, _SETTINGS)[0]
    if encoding != "UTF8" or order not in BY_BYTES:
        return broken(
            f"{side}'s database is {encoding} and sorts by {order}",
            "dump it, and restore it into one made with --encoding=UTF8 --locale=C",
        )
    settings = {"synchronous_commit": synchronous, "fsync": fsync, "full_page_writes": pages}
    if off := [name for name, value in settings.items() if value == "off"]:
        says, do = f"{', '.join(off)} off: what is acknowledged may be lost", f"ALTER SYSTEM RESET {off[0]}"
        return warning(says, do) if patient.installation.settings.simulated else broken(says, do)
    return fine(f"commits are durable (synchronous_commit {synchronous}), texts are UTF-8")


def damage(patient: Patient, side: str) -> Answer:
    """No page of the database was read back otherwise than it was written."""
    failures = patient.rows(
        side, "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()"
    )[0][0]
    if failures:
        return broken(
            f"{failures} pages of {side}'s database are damaged", "fail over, or restore; test the disk"
        )
    return fine("the server keeps no page checksums" if failures is None else "no damaged page was met")


def role(patient: Patient, side: str) -> Answer:
    """The role may do what a side does in its own database, and nothing else on the server."""
    name, is_super, wide = patient.rows(
        side,
        "SELECT rolname, rolsuper, rolcreaterole OR rolreplication OR rolbypassrls "
        "FROM pg_roles WHERE rolname = current_user",
    )[0]
    if is_super:
        return broken(
            f"{name} is a superuser: it reads every database, and no guard holds it",
            f"make a role that owns {side}'s database and nothing else",
        )
    powers = [power for (power,) in patient.rows(side, _POWERS)]
    if wide or powers:
        more = ", ".join(powers) or "roles, replication or row security"
        return warning(f"{name} may do more than a side needs: {more}", f'take that from "{name}"')
    if foreign := patient.rows(side, _FOREIGN):
        return broken(
            f"{foreign[0][0]} belongs to another role: no migration can change it",
            f'ALTER TABLE "{foreign[0][0]}" OWNER TO "{name}"',
        )
    return _schema_of(patient, side, name)


def _schema_of(patient: Patient, side: str, name: str) -> Answer:
    owns = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = current_schema()"
    if patient.rows(side, owns) != [(True,)]:
        return warning(f"{name} does not own its schema", f'ALTER SCHEMA public OWNER TO "{name}"')
    return fine(f"{name} owns its tables and has no other power")


def access(patient: Patient, side: str) -> Answer:
    """Nobody else may connect to the database, and its role to no other side's."""
    open_to_all, own = patient.rows(
        side, "SELECT has_database_privilege('public', current_database(), 'CONNECT'), current_database()"
    )[0]
    if open_to_all:
        return warning(f"every role may connect to {own}", f'REVOKE CONNECT ON DATABASE "{own}" FROM PUBLIC')
    others = [one for one in patient.sides if one != side and patient.on_postgres(one)]
    here = {name for one in others for (name,) in patient.rows(one, "SELECT current_database()")}
    reached = {name for (name,) in patient.rows(side, _REACHED)}
    if strange := sorted(reached - here):
        return warning(
            f"{side}'s role may also connect to {', '.join(strange)}",
            f'REVOKE CONNECT ON DATABASE "{strange[0]}" FROM PUBLIC, or from that role',
        )
    if common := sorted(reached & here):
        return fine(f"nobody else; {side}'s role also reads {', '.join(common)}: one process serves them")
    return fine(f"{side}'s role connects to {own} alone, and nobody else does")


def line(patient: Patient, side: str) -> Answer:
    """What goes to a server on another machine is encrypted."""
    if patient.rows(side, _PLAIN) == [(True,)]:
        return warning(
            f"{side}'s database is reached in the clear",
            "sslmode=verify-full and sslrootcert= in its address",
        )
    return fine("the line to the server is this machine's own, or encrypted")


def connections(patient: Patient, side: str) -> Answer:
    """There are connections left, of those that the server, the database and the role may have."""
    whose, used, most = patient.rows(side, NEAREST_LIMIT)[0]
    says = f"{used} of the {most} connections that the {whose} may have are taken"
    if used > most * FULL:
        return warning(says, f"{_RAISE[whose]}, or let pgbouncer pool transactions")
    return fine(says)


def vacuum(patient: Patient, side: str) -> Answer:
    """What is dead is taken away, and no transaction number comes round."""
    age, is_on = patient.rows(
        side,
        "SELECT age(datfrozenxid), current_setting('autovacuum') FROM pg_database "
        "WHERE datname = current_database()",
    )[0]
    if age > OLD:
        says = (
            f"the oldest row of {side}'s database is {age} transactions old; at 2146000000 the server stops"
        )
        do = "end what holds it (old transactions, slots), then vacuumdb --freeze"
        return broken(says, do) if age > TOO_OLD else warning(says, do)
    if is_on != "on":
        return warning("autovacuum is off", "ALTER SYSTEM RESET autovacuum")
    if dead := patient.rows(side, _DEAD):
        return warning(
            f"{dead[0][0]} has {dead[0][1]} dead rows", f"VACUUM {dead[0][0]}; look for old transactions"
        )
    return _long_open(patient, side) or fine("what is dead is taken away")


def _long_open(patient: Patient, side: str) -> Answer | None:
    found = patient.rows(side, _LONG_OPEN)
    if not found:
        return None
    return warning(
        "a transaction has stood open for more than an hour", f"SELECT pg_terminate_backend({found[0][0]})"
    )


def archive(patient: Patient, side: str) -> Answer:
    """What is committed reaches an archive, and nothing makes the log pile up."""
    idle = "SELECT slot_name FROM pg_replication_slots WHERE NOT active ORDER BY 1"
    if slots := patient.rows(side, idle):
        return warning(
            f"nobody reads the slot {slots[0][0]}: the server keeps its log for it until the disk is full",
            f"bring the standby back, or SELECT pg_drop_replication_slot('{slots[0][0]}')",
        )
    mode, fails, is_late, last, count = patient.rows(side, _ARCHIVE)[0]
    if mode == "off":
        says = "the log is not archived: what came after the newest backup is lost with the server"
        simulated = patient.installation.settings.simulated
        return fine(says) if simulated else warning(says, "deploy/postgresql/archive.conf")
    if fails:
        return warning(
            f"archiving fails ({count} times), the last that went was at {last}", "the server's log says why"
        )
    if is_late:
        return warning(f"nothing was archived since {last}", "archive_timeout; the server's log")
    return fine(f"the log is archived, last at {last}")


OF_A_SIDE: Final = {
    "durable": durable,
    "damage": damage,
    "role": role,
    "access": access,
    "line": line,
    "connections": connections,
    "vacuum": vacuum,
    "archive": archive,
}

"""A side's tables on PostgreSQL: their schema, guards, weekly parts and sealed keys."""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from headend.analytics.postgres import SCHEMA as ANALYTICS
from headend.billing.postgres import SCHEMA as BILLING
from headend.billing.postgres import STANDING_WEEKS
from headend.console.postgres import SCHEMA as CONSOLE
from headend.doctor import server
from headend.doctor.findings import Answer, broken, fine, warning
from headend.doctor.patient import Patient
from headend.doctor.postgres import looked_at
from headend.kit.postgres_schema import HalfMovedError, Schema, check_declared, check_whole
from headend.kit.postgres_weeks import part_of
from headend.kit.shelf import KeyFileError
from headend.kit.storage import UndeclaredColumnError

SCHEMAS: Final[dict[str, Schema]] = {"billing": BILLING, "analytics": ANALYTICS, "console": CONSOLE}
RESTORE: Final = "restore the newest backup, and keep this database"
_TRIGGER: Final = re.compile(r"CREATE TRIGGER (\w+) .*? ON (\w+)", re.DOTALL)
_GUARDS: Final = (
    "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
    "WHERE NOT tgisinternal AND tgenabled IN ('O', 'A') AND relnamespace = current_schema()::regnamespace"
)
_PARTS: Final = "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE relkind = 'r'"
_WANTED: Final = {
    "billing": STANDING_WEEKS,
    "analytics": "SELECT week FROM weeks WHERE state = 'open' ORDER BY week",
}
_FORGOTTEN: Final = {
    "billing": "SELECT max(slot) FROM job_runs WHERE job = 'forget-tokens'",
    "analytics": "SELECT max(slot) FROM job_runs WHERE job = 'prune'",
}
"""The newest week whose parts were to be dropped."""


def opens(patient: Patient, side: str) -> Answer:
    """The server answers, is new enough, and takes what is written."""
    pooled = " through a pooler" if looked_at(patient, side).pooled else ""
    number, version, standby, size = patient.rows(
        side,
        "SELECT current_setting('server_version_num')::int, current_setting('server_version'), "
        "pg_is_in_recovery(), pg_database_size(current_database())",
    )[0]
    if number < server.OLDEST:
        return broken(f"PostgreSQL {version} is too old", "upgrade the server: pg_upgrade")
    if standby:
        return broken(
            f"{side}'s server is a standby: it takes no orders",
            "name all servers in the address, with target_session_attrs=read-write",
        )
    return fine(f"PostgreSQL {version} answers{pooled}; {size >> 20} MiB")


def schema(patient: Patient, side: str) -> Answer:
    """The schema is the one that this code knows, whole, and has no column that nobody declared."""
    done: dict[str, bool] = dict(patient.rows(side, "SELECT name, breaks FROM migrations"))
    known = [step.name for step in SCHEMAS[side].steps]
    newer = sorted(done.keys() - set(known))
    if breaking := [name for name in newer if done[name]]:
        return broken(
            f"{side}'s database is newer than this code: {', '.join(breaking)}",
            "install the version that served it last, or restore the backup made before the upgrade",
        )
    if fault := _fault(patient, side, newer):
        return fault
    if newer:
        return warning(
            f"newer code has added {', '.join(newer)} to {side}'s database",
            "finish the upgrade on every node",
        )
    if waiting := [name for name in known if name not in done]:
        return warning(
            f"{side}'s database is older: {', '.join(waiting)}", "back up, then serve: the start migrates it"
        )
    return fine(f"{side}'s database has the newest schema")


def _fault(patient: Patient, side: str, newer: list[str]) -> Answer | None:
    look = looked_at(patient, side)
    try:
        look.within(lambda raw: check_whole(raw, side))
        if not newer:
            look.within(lambda raw: check_declared(raw, side))
    except HalfMovedError as error:
        return broken(str(error), "headend migrate, as it was begun")
    except UndeclaredColumnError as error:
        return broken(f"not declared: {error}", "take the column out again; nothing undeclared is stored")
    return None


def guards(patient: Patient, side: str) -> Answer:
    """What keeps tables append-only, sums right and chains in order stands, and is not switched off."""
    wanted = {pair for step in SCHEMAS[side].steps for pair in _TRIGGER.findall(step.script)}
    if lacking := sorted(wanted - set(patient.rows(side, _GUARDS))):
        name, table = lacking[0]
        return broken(
            f"{len(lacking)} guards of {side}'s tables are gone or off, the first {name} of {table}",
            f"headend audit verify {patient.folder}; find out who did it; {RESTORE}",
        )
    return fine(f"all {len(wanted)} guards of {side}'s tables stand")


def parts(patient: Patient, side: str) -> Answer:
    """Weeks that are running have their parts; those of weeks that are forgotten are gone."""
    standing = {name for (name,) in patient.rows(side, _PARTS)}
    tables = SCHEMAS[side].partitioned
    weeks = [week for (week,) in patient.rows(side, _WANTED[side])]
    for part, week in ((part_of(table, week), week) for table in tables for week in weeks):
        if part not in standing:
            return _without(patient, side, part, week)
    forgotten = patient.rows(side, _FORGOTTEN[side])[0][0] or ""
    late = [name for name in sorted(standing) if _week_of(name) <= forgotten]
    if late:
        return broken(f"{late[0]} stands, of a week that was to be forgotten", f'DROP TABLE "{late[0]}"')
    return fine(f"{len(weeks)} weeks have their parts, and no forgotten one has")


def _without(patient: Patient, side: str, part: str, week: str) -> Answer:
    """Billing makes a part anew when it needs one; analytics when a directory is published, even again."""
    if side == "billing":
        return broken(f"there is no {part}: what billing knew of {week} is lost", RESTORE)
    return broken(
        f"there is no {part}: nothing of {week} can be taken",
        f"headend directory publish {patient.folder} {week}",
    )


def _week_of(part: str) -> str:
    """The week of a part by its name; see `part_of`."""
    return f"{part[-8:-4]}-W{part[-2:]}"


def shelf(patient: Patient, side: str) -> Answer:
    """The sealed keys open with this node's shelf.key."""
    names = [name for (name,) in patient.rows(side, "SELECT name FROM sealed_keys ORDER BY name")]
    held = patient.shelf(side)
    try:
        for name in names:
            held.get(name)
    except KeyFileError as error:
        return broken(str(error), f"copy keys/{side}/shelf.key from a node that serves, or from the backup")
    return fine(f"{len(names)} keys in {side}'s database open")


OF_A_SIDE: Final = {"opens": opens, "schema": schema, "guards": guards, "shelf": shelf}


def checks(sides: tuple[str, ...]) -> dict[str, Callable[[Patient], Answer]]:
    """All checks of databases that are PostgreSQL's, by name."""
    found: dict[str, Callable[[Patient], Answer]] = {}
    for side in sides:
        own = OF_A_SIDE | ({"parts": parts} if SCHEMAS[side].partitioned else {}) | server.OF_A_SIDE
        found |= {f"{side}.{name}": partial(_apply, check, side) for name, check in own.items()}
    return found


def _apply(check: Callable[[Patient, str], Answer], side: str, patient: Patient) -> Answer:
    return check(patient, side)

"""All checks of an installation, one after another; whatever one of them meets, the others go on."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from headend.doctor import books, files, keys, machine, sqlite, stamps, weeks
from headend.doctor.findings import Answer, Finding, Verdict, broken, warning
from headend.doctor.patient import CannotLookError, Look, Patient
from headend.kit.engine import check_driver, has_driver

Check = Callable[[Patient], Answer]

ANYWHERE: dict[str, Check] = {
    "settings": files.settings,
    "versions": machine.versions,
    "extras": machine.extras,
    "clock": machine.clock,
    "room": machine.room,
    "folder": files.folder_mode,
    "database-modes": files.database_modes,
    "key-modes": files.key_modes,
    "owners": files.owners,
    "keys": files.keys_present,
    "backup": files.backed_up,
    "served": files.served,
    "stamps": stamps.stamps,
    "jobs": weeks.jobs,
    "time": weeks.clock_goes_forward,
    "directories": weeks.directories,
}
OF_A_SIDE: dict[str, dict[str, Check]] = {
    "billing": {
        "books": books.closes,
        "sums": books.sums,
        "suspense": books.suspense,
        "gaps": books.gaps,
        "alarms": books.alarms,
        "audit": partial(books.audit, side="billing"),
        "catalogue-key": keys.catalogue_key,
        "billing-key": keys.billing_key,
        "token-keys": keys.token_keys,
        "totals": weeks.totals,
    },
    "analytics": {
        "manifest-key": keys.manifest_key,
        "week-keys": keys.week_keys,
        "releases": weeks.releases,
    },
    "console": {"audit": partial(books.audit, side="console")},
}
OF_BOTH: dict[str, Check] = {"directory-key": keys.directory_key}
"""What needs billing's database and that of analytics."""


def open_database(patient: Patient, side: str) -> Look:
    """A side's database, whichever engine it has.

    Raises:
        CannotLookError: there is none, or it cannot be opened.
    """
    if not patient.on_postgres(side):
        return sqlite.open_sqlite(patient, side)
    check_driver()
    from headend.doctor.postgres import open_postgres  # noqa: PLC0415 (the driver is an extra)

    return open_postgres(patient, side)


def checks(sides: tuple[str, ...], on_postgres: tuple[str, ...] = ()) -> dict[str, Check]:
    """The checks for these sides by name, in the order in which they are told."""
    in_files = tuple(side for side in sides if side not in on_postgres)
    found = ANYWHERE | sqlite.checks(in_files)
    if on_postgres and has_driver():
        from headend.doctor import tables  # noqa: PLC0415 (the driver is an extra)

        found |= tables.checks(on_postgres)
    for side in sides:
        found |= {f"{side}.{name}": check for name, check in OF_A_SIDE[side].items()}
    return found | (OF_BOTH if {"billing", "analytics"} <= set(sides) else {})


def examine(folder: Path, sides: tuple[str, ...], *, thorough: bool = False) -> list[Finding]:
    """Look at an installation; changes nothing, and finds something to say of anything."""
    patient = Patient(folder, sides, open_database, thorough=thorough)
    on_postgres = tuple(filter(patient.on_postgres, sides))
    try:
        return [_ask(name, check, patient) for name, check in checks(sides, on_postgres).items()]
    finally:
        patient.close()


def failed(findings: list[Finding], *, strict: bool) -> bool:
    """Whether something is broken, or, strictly, not fine."""
    bad = {Verdict.BROKEN, Verdict.WARNING} if strict else {Verdict.BROKEN}
    return any(one.verdict in bad for one in findings)


def _ask(name: str, check: Check, patient: Patient) -> Finding:
    answer = _guarded(check, patient)
    return Finding(name, answer.verdict, answer.says, answer.do)


def _guarded(check: Check, patient: Patient) -> Answer:
    try:
        return check(patient)
    except PermissionError as error:
        return warning(f"not to be read by this user: {error.filename}", "ask again as root")
    except CannotLookError as error:
        return broken(f"could not be looked at: {error}", "mend what other checks tell of first")
    except Exception as error:  # noqa: BLE001 (a damaged installation may fail in any way, and is told of)
        return broken(f"{type(error).__name__}: {error}", "mend what other checks tell of first")

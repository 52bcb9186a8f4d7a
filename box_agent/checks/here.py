"""What a self-test looks at on the box itself. It changes nothing, and works while an agent runs."""

import os
import stat
from datetime import datetime
from pathlib import Path
from typing import Any

from box_agent.checks.step import CheckFailedError, CheckSkippedError
from box_agent.client import AgentAwayError, AgentClient
from box_agent.consent import Witness
from box_agent.inspection import ReadOnlyStore, inspect
from box_agent.settings import BoxSettings
from box_agent.starting import LOCK
from box_agent.store import ANONYMOUS_TABLES, SCHEMA_VERSION
from shared.clock import Clock
from shared.notice_version import notice_version

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MIB = 1024 * 1024
LEAST_FREE = 16 * _MIB
SLOW_SYNC_S = 2.0
CLOCK_APART_S = 300
_PROBE = b"selftest\n"
_LOCKS = Path("/proc/locks")


def folder(path: Path) -> tuple[Path, str]:
    """The state directory is there, its owner's alone, and takes files."""
    if not path.exists():
        raise CheckSkippedError(f"{path} is not there: no agent has run here yet")
    return path, f"{path}, {_private(path)}"


def witness(path: Path) -> tuple[Path, str]:
    """Where the consent stands a second time can be written, and others cannot read it."""
    if not path.parent.exists():
        raise CheckSkippedError(f"{path.parent} is not there: no agent has run here yet")
    mode = _private(path) if path.exists() else "not there yet"
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise CheckFailedError(f"{path.parent} takes no files from this user")
    return path, f"{path}, {mode}"


def durable(path: Path, clock: Clock) -> tuple[float, str]:
    """A file can be made durable there, and how long that takes."""
    probe = path / f"selftest.{os.getpid()}"
    begun = clock.monotonic()
    try:
        with probe.open("xb") as file:
            file.write(_PROBE)
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)
    took = clock.monotonic() - begun
    if took > SLOW_SYNC_S:
        raise CheckFailedError(f"making a file durable takes {took:.1f} s: each order waits for that")
    return took, f"a file is durable after {took * 1000:.1f} ms"


def room(path: Path) -> tuple[int, str]:
    """There is room on the disk."""
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    if free < LEAST_FREE:
        raise CheckFailedError(f"{free // _MIB} MiB are free, {LEAST_FREE // _MIB} are needed")
    return free, f"{free // _MIB} MiB free"


def zone(settings: BoxSettings, now: datetime) -> tuple[str, str]:
    """The zone's rules are there."""
    local = now.astimezone(settings.timezone())
    return settings.zone, f"{settings.zone}, {local:%Y-%m-%d %H:%M UTC%z} now"


def store(path: Path) -> tuple[int, str]:
    """The store opens, is of a version that this agent knows, and is whole."""
    if not path.exists():
        raise CheckSkippedError("there is none yet: no agent has run here")
    found = inspect(path)
    if found.version > SCHEMA_VERSION:
        raise CheckFailedError(
            f"of version {found.version}, a newer agent's; this one knows {SCHEMA_VERSION}"
        )
    if found.verdict != "ok":
        raise CheckFailedError(f"damaged: {found.verdict}; the next start mends what it can")
    older = "" if found.version == SCHEMA_VERSION else ", upgraded at the next start"
    return found.version, f"version {found.version}{older}, whole"


def agent(settings: BoxSettings) -> tuple[bool, str]:
    """An agent answers on the socket; else none holds the lock. Answers whether one runs."""
    with AgentClient(settings.socket(), timeout_s=10) as client:
        try:
            found: dict[str, Any] = client.exchange({"op": "consent"})
        except AgentAwayError as error:
            if isinstance(error.__cause__, PermissionError):
                raise CheckSkippedError(f"{settings.socket()} is another user's") from error
            if not isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
                raise
        else:
            if not found["ok"]:
                raise CheckFailedError(f"it refuses: {found['error']}")
            return True, f"one answers on {settings.socket()}"
    if _is_held(settings.state() / LOCK):
        raise CheckFailedError(f"one holds {settings.state()} and does not listen on {settings.socket()}")
    return False, "none runs, and none holds the state directory"


def consents(settings: BoxSettings, path: Path) -> bool:
    """Whether viewing may be told of, as store and witness say; where they differ, the refusal counts."""
    if not path.exists():
        return False
    reading = ReadOnlyStore(path)
    try:
        row = reading.door(ANONYMOUS_TABLES).row("SELECT granted, notice FROM consent")
    finally:
        reading.park()
    told = Witness(settings.consent_witness()).read()
    given = row is not None and row[0] and row[1] == notice_version()
    return bool(given) and (told is None or told.granted)


def clock(now: datetime, told: datetime | None, since: datetime | None) -> tuple[None, str]:
    """The clock agrees with the headend's, and does not stand before what has been signed already."""
    if since is not None and now < since:
        raise CheckFailedError(
            f"{now:%Y-%m-%d %H:%M} UTC lies before {since:%Y-%m-%d %H:%M}, the catalogue's date"
        )
    if told is None:
        return None, f"{now:%Y-%m-%d %H:%M} UTC; the headend tells no time to compare"
    apart = (now - told).total_seconds()
    if abs(apart) > CLOCK_APART_S:
        raise CheckFailedError(f"{apart:+.0f} s from the headend's; at most {CLOCK_APART_S} are well")
    return None, f"{apart:+.0f} s from the headend's"


def _private(path: Path) -> str:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        raise CheckFailedError(f"{path} has mode {mode:04o}: others may use it")
    if not os.access(path, os.R_OK | os.W_OK):
        raise CheckFailedError(f"{path} is not this user's: run this as the agent's user")
    return f"mode {mode:04o}"


def _is_held(lock: Path) -> bool:
    """Whether somebody holds the lock, without trying to take it: an agent that starts now must get it."""
    if not lock.exists():
        return False
    inode = f":{lock.stat().st_ino}"
    return any(inode in line.split()[5] for line in _LOCKS.read_text().splitlines() if "FLOCK" in line)

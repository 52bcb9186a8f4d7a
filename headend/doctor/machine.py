"""The machine under an installation: its Python, its clock, its disk, and what is installed."""

import ctypes
import os
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from headend.doctor.findings import Answer, broken, fine, warning
from headend.doctor.patient import Patient

OLDEST_PYTHON = (3, 11)
LITTLE, TOO_LITTLE = 1 << 30, 128 << 20
"""Bytes free below which somebody should look, and below which the next backup or checkpoint may fail."""
FEW_FILES = 1000
_TIME_ERROR = 5
"""What adjtimex(2) gives for a clock that nothing keeps right."""
_TIMEX_BYTES = 512
"""More than the kernel's `struct timex` has; of zeros it asks and sets nothing."""


def versions(_patient: Patient) -> Answer:
    """Python is new enough; which versions these are."""
    python = ".".join(map(str, sys.version_info[:3]))
    try:
        own = version("stb-telemetry")
    except PackageNotFoundError:
        own = "from a checkout"
    if sys.version_info < OLDEST_PYTHON:
        return broken(f"Python {python} is too old", "install Python 3.11 or newer")
    return fine(f"headend {own} on Python {python}")


def extras(patient: Patient) -> Answer:
    """What jobs import when they need it is installed."""
    needed = {"opendp": patient.has("analytics"), "psycopg": any(map(patient.on_postgres, patient.sides))}
    lacking = [name for name, wanted in needed.items() if wanted and find_spec(name) is None]
    install = "pip install --require-hashes -r locks/headend.txt"
    if lacking:
        return broken(f"{', '.join(lacking)} is not installed, and a job will need it", install)
    if patient.has("billing") and find_spec("typst") is None:
        return warning("typst is not installed: no bill can be written as PDF", install)
    return fine("what jobs need is installed")


def clock(patient: Patient) -> Answer:
    """The machine's clock is kept right (adjtimex(2)): deadlines and the ends of weeks go by it."""
    if patient.installation.settings.simulated:
        return fine("the simulator keeps the clock")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) == _TIME_ERROR:
        return warning("nothing says that the clock is kept right", "timedatectl set-ntp true")
    return fine("the clock is kept right")


def room(patient: Patient) -> Answer:
    """There is room on the disk, in bytes and in files."""
    free = shutil.disk_usage(patient.folder).free
    held = sum(path.stat().st_size for path in patient.folder.glob("**/*.db*"))
    files = os.statvfs(patient.folder)
    said = f"{free >> 20} MiB are free, databases have {held >> 20} MiB"
    if free < TOO_LITTLE:
        return broken(said, "make room now: a full disk refuses orders (they wait on the boxes)")
    if free < max(LITTLE, held // 4):
        return warning(said, "make room, or move the folder to a larger disk")
    if files.f_files and files.f_favail < FEW_FILES:
        return warning(f"{files.f_favail} more files fit on the disk", "make room: inodes run out")
    return fine(said)


def file_system_of(folder: Path) -> str:
    """The kind of file system that a folder lies on; empty where nobody tells."""
    where = folder.resolve()
    best, kind = -1, ""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].replace("\\040", " "))
        # The longest point that leads here holds; of two on one point the later covers the earlier.
        if (where == point or point in where.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind

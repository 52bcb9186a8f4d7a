"""What an installation takes on the disk: the agent's own source, and the pinned set that it needs."""

import subprocess
import sys
from pathlib import Path

from benchmarks.weight.figures import Figure
from benchmarks.weight.flash import NotMeasuredError

ROOT = Path(__file__).parents[2]
OWN = ("box_agent", "shared")
LOCK = ROOT / "locks" / "box.txt"
MIB = 1024 * 1024
MOST_SECONDS = 300


def own() -> Figure:
    """`box_agent` and `shared` as they are installed, without compiled files."""
    total = sum(_size(ROOT / name) for name in OWN)
    return Figure("install: box_agent and shared", total / 1024, "KiB", note="source and texts")


def whole(folder: Path) -> Figure:
    """These and everything that locks/box.txt names, installed into a folder.

    Raises:
        NotMeasuredError: the registry cannot be reached, or does not have the pinned set.
    """
    target = folder / "site"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-compile",
    ]
    command += ["--require-hashes", "--target", str(target), "-r", str(LOCK)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=MOST_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise NotMeasuredError(f"the pinned set could not be installed: {error}") from error
    total = _size(target) + sum(_size(ROOT / name) for name in OWN)
    return Figure("install: with locks/box.txt", total / MIB, "MiB", note="without compiled files")


def _size(folder: Path) -> int:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sum(path.stat().st_size for path in files)

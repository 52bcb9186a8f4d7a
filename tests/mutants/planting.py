"""Planting: each bug is made in a copy of the packages, where the tests that it names have to fail.

First the same tests have to pass in a copy that nobody touched.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.plants import Change, Mutant

ROOT = Path(__file__).parents[2]
COPIED = ("box_agent", "headend", "shared", "simulator", "tests", "pyproject.toml")
MOST_SECONDS = 500
QUIET = ("-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "tests.mutants.imported")


class DoesNotApplyError(Exception):
    """The source has changed: the text that a bug replaces does not stand there exactly once."""


@dataclass(frozen=True)
class Verdict:
    """What became of one bug: which test told it, or none, and how long that took."""

    name: str
    caught_by: str | None
    seconds: float
    fault: str = ""


def changed(source: str, change: Change) -> str:
    """The source with the change made.

    Raises:
        DoesNotApplyError: the old text does not stand there exactly once.
    """
    found = source.count(change.old)
    if found != 1:
        raise DoesNotApplyError(f"does not apply: {change.file} has {found} times {change.old!r}")
    return source.replace(change.old, change.new)


def plant(mutant: Mutant, folder: Path) -> None:
    """Make a mutant's changes in a folder that holds the packages.

    Raises:
        DoesNotApplyError: see `changed`.
    """
    for change in mutant.changes:
        path = folder / change.file
        path.write_text(changed(path.read_text(), change))


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the packages and their tests, for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name).resolve()
        for part in COPIED:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / part, folder / part)
        yield folder


def run_tests(folder: Path, tests: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run these tests on the packages of a folder."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_PROFILE": "ci",
        "CAMPAIGN_EXAMPLES": "200",
        "CAMPAIGN_SHRINK": "no",
    }
    return subprocess.run(
        # A folder of its own: several runs at once clean each other's old ones away.
        [sys.executable, "-m", "pytest", *QUIET, f"--basetemp={folder / 'tests-tmp'}", *tests],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=MOST_SECONDS,
    )


def judge(mutant: Mutant) -> Verdict:
    """Plant one bug and run its tests: one of them has to fail, as a test fails and not otherwise."""
    started = time.monotonic()
    with copied() as folder:
        try:
            plant(mutant, folder)
            done = run_tests(folder, mutant.tests)
        except (DoesNotApplyError, subprocess.TimeoutExpired) as error:
            return Verdict(mutant.name, None, time.monotonic() - started, str(error))
    failed = [line[7:].partition(" - ")[0] for line in done.stdout.splitlines() if line.startswith("FAILED ")]
    seconds = time.monotonic() - started
    if done.returncode == 1 and failed:
        return Verdict(mutant.name, failed[0].partition("/")[2], seconds)
    return Verdict(mutant.name, None, seconds, "" if done.returncode == 0 else done.stdout + done.stderr)


def untouched(mutants: list[Mutant]) -> str:
    """What the same tests say of a copy that nobody touched; nothing, if they pass."""
    tests = tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests))
    with copied() as folder:
        done = run_tests(folder, tests)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def table(verdicts: list[Verdict]) -> str:
    """One line a bug: its name, which test caught it, and in how many seconds."""
    rows = [f"{one.name:<58} {one.caught_by or 'SURVIVES':<72} {one.seconds:>4.0f} s" for one in verdicts]
    faults = [f"\n{one.name}: {one.fault}" for one in verdicts if one.fault]
    return "\n".join([f"{'planted bug':<58} caught by", *rows, *faults]) + "\n"


def judge_all(mutants: Iterable[Mutant], words: list[str]) -> int:
    """Judge the bugs whose names hold one of the words, or all of them; 1 if one survives."""
    chosen = [one for one in mutants if not words or any(word in one.name for word in words)]
    if fault := untouched(chosen):
        sys.stdout.write(f"the tests fail where nothing is planted:\n{fault}\n")
        return 1
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        verdicts = list(pool.map(judge, chosen))
    survivors = sum(one.caught_by is None for one in verdicts)
    sys.stdout.write(f"{table(verdicts)}{len(verdicts) - survivors} of {len(verdicts)} caught\n")
    return 1 if survivors else 0

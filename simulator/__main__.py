"""`stb-sim`: plays a town against a real headend; `stb-sim demo` is what a new user runs first."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from shared.errors import StbError
from shared.register import profile_names
from simulator.guide import Taste
from simulator.network import PRESETS, Faults
from simulator.ranking import judge_seeds
from simulator.report import Report
from simulator.world import Outcome, Setup, World

BOXES_A_HOME = 1.7
DEMO_HOUSEHOLDS = 1000
PAGE_WIDTH = 110
ROLES = (("bella", "billing"), ("anna", "analyst"), ("paula", "privacy-officer"), ("adam", "admin"))


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--boxes", default=500, show_default=True, help="About so many boxes.")
@click.option("--weeks", default=2, show_default=True, help="Whole weeks of viewing.")
@click.option("--seed", default=2006, show_default=True, help="The same seed is the same town.")
@click.option("--profile", type=click.Choice(profile_names()), default="small", show_default=True)
@click.option("--faults", default="default", show_default=True, help=f"{', '.join(PRESETS)}, or loss=0.1,…")
@click.option("--taste", default="", help="Change the town's taste, such as sports=3,news=0.5.")
@click.option("--out", type=click.Path(path_type=Path), help="A new folder for the report and all files.")
@click.pass_context
def main(
    context: click.Context,
    boxes: int,
    weeks: int,
    seed: int,
    profile: str,
    faults: str,
    taste: str,
    out: Path | None,
) -> None:
    """Play a town of set-top boxes against a real headend, and report the truth beside it."""
    if context.invoked_subcommand is None:
        households = max(1, round(boxes / BOXES_A_HOME))
        given = {"profile": profile, "faults": faults, "taste": taste}
        _play(out, seed=seed, households=households, weeks=weeks, stay=False, given=given)


@main.command()
@click.option("--seed", default=2006, show_default=True)
@click.option("--households", default=DEMO_HOUSEHOLDS, show_default=True)
@click.option("--weeks", default=6, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="A new folder to keep everything in.")
def demo(seed: int, households: int, weeks: int, out: Path | None) -> None:
    """Bill a town's orders and publish its genre popularity, from 5 October to 23 November 2026."""
    watched = sys.stdin.isatty() and sys.stdout.isatty()
    _play(out, seed=seed, households=households, weeks=weeks, stay=watched, given={})


@main.command()
@click.option("--seeds", default=100, show_default=True)
@click.option("--households", default=DEMO_HOUSEHOLDS, show_default=True)
@click.option("--first-seed", default=1, show_default=True)
@click.option("--taste", default="")
@click.option("--at-least", default=95, show_default=True, help="Percent of seeds that must rank rightly.")
def ranking(seeds: int, households: int, first_seed: int, taste: str, at_least: int) -> None:
    """Say in how many seeds the top three genres lie above the bottom three; the same code without HTTP."""
    right = judge_seeds(range(first_seed, first_seed + seeds), households, taste, Console())
    if right * 100 < at_least * seeds:
        raise SystemExit(1)


@contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description:<12}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        yield bar


def _play(
    out: Path | None, *, seed: int, households: int, weeks: int, stay: bool, given: dict[str, str]
) -> None:
    console = Console(width=None if sys.stdout.isatty() else PAGE_WIDTH)
    if out is not None and out.exists():
        raise click.ClickException(f"{out} stands already")
    try:
        Faults.parse(given.get("faults", "default"))
        Taste.parse(given.get("taste", ""))
    except StbError as error:
        raise click.ClickException(str(error)) from error
    folder = out or Path(tempfile.mkdtemp(prefix="stb-demo-")) / "town"
    # Boxes keep their files in memory where the system offers it: thousands of them sync all the time.
    memory = Path("/dev/shm")  # noqa: S108 (a private folder is made in it)
    boxes = Path(tempfile.mkdtemp(prefix="stb-boxes-", dir=memory if memory.is_dir() else None))
    setup = Setup(folder=folder, boxes_folder=boxes, seed=seed, households=households, weeks=weeks, **given)  # type: ignore[arg-type] # texts only
    console.print(f"a town of {households:,} households, seed {seed}, {weeks} weeks; files in {folder}")
    try:
        holds = _play_in(setup, console, stay=stay)
    except StbError as error:
        raise click.ClickException(str(error)) from error
    finally:
        shutil.rmtree(boxes, ignore_errors=True)
        if out is None:
            shutil.rmtree(folder.parent, ignore_errors=True)
    if not holds:
        raise SystemExit(1)


def _play_in(setup: Setup, console: Console, *, stay: bool) -> bool:
    with _bar(console) as bar:
        task = bar.add_task("building", total=1.0)
        world = World(setup, lambda what, part: bar.update(task, description=what, completed=part))
        try:
            outcome = world.play()
        except BaseException:
            world.stop()
            raise
    try:
        report = Report(outcome)
        report.show(console)
        report.write(setup.folder / "report.json")
        console.print(
            "\n[bold green]everything held[/]" if report.holds else "\n[bold red]an invariant broke[/]"
        )
        if stay:
            _stay(outcome, console)
        return report.holds
    finally:
        world.stop()


def _stay(outcome: Outcome, console: Console) -> None:
    headend = outcome.headend
    console.print(f"\nthe console is at [bold]{headend.url}/[/] ; sign in as")
    for name, role in ROLES:
        words = ("operator", "add", str(headend.folder), name, "--role", role, "--keep-password")
        console.print(f"  {name:<6} {headend.command(*words).strip()}   ({role})")
    console.input("press Enter to stop it ")


if __name__ == "__main__":
    main()

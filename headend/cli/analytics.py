"""Releases, popularity, budget."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from headend.analytics import budget as budgets
from headend.analytics.publication import WINDOWS
from headend.analytics.side import AnalyticsSide
from headend.cli.common import folder_argument, json_option, opened, print_json, print_table, told
from headend.kit.process import die_with_parent
from shared.register import profile, profile_names
from shared.weeks import Week

PERCENT = 100


@contextmanager
def analytics_of(folder: Path) -> Iterator[AnalyticsSide]:
    """Analytics alone: its database and its keys, and no other side's."""
    with opened(folder, "analytics") as headend:
        assert headend.analytics is not None  # noqa: S101 (it was asked for)
        yield headend.analytics


@click.group()
def release() -> None:
    """Weekly releases: drawn once, never changed."""


@release.command("run")
@folder_argument
@click.argument("week")
@click.option("--spawned", is_flag=True, hidden=True, help="Die with the process that started this one.")
@told
def release_run(folder: Path, week: str, *, spawned: bool) -> None:
    """Draw a closed week's release; safe to run again, since a week is drawn once."""
    if spawned:
        die_with_parent()
    with analytics_of(folder) as analytics:
        outcome = analytics.release(Week.parse(week))
    click.echo(f"{outcome.week}: {outcome.state.value}")


@release.command("list")
@folder_argument
@json_option
@told
def release_list(folder: Path, *, as_json: bool) -> None:
    """List weeks with what has come of them."""
    with analytics_of(folder) as analytics:
        rows = [[str(week), state.value] for week, state in analytics.store.states().items()]
    if as_json:
        print_json([{"week": week, "state": state} for week, state in rows])
    else:
        print_table(["week", "state"], rows)


@release.command("show")
@folder_argument
@click.argument("week")
@click.option("--manifest", is_flag=True, help="Print the signed manifest instead of the table.")
@told
def release_show(folder: Path, week: str, *, manifest: bool) -> None:
    """Print a release's noisy table, or its signed manifest."""
    with analytics_of(folder) as analytics:
        cleared = analytics.download("manifest" if manifest else "release", "json", {"until": week})
    click.echo(cleared.payload.decode())


@click.command()
@folder_argument
@click.option("--window", type=click.Choice(list(WINDOWS)), default="four", show_default=True)
@click.option("--until", help="The last week of the window; the newest if not said.")
@json_option
@told
def popularity(folder: Path, window: str, until: str | None, *, as_json: bool) -> None:
    """Print the estimates of a window of weeks, with 95 % intervals; panel and all boxes told apart."""
    args = {"window": window} | ({"until": until} if until else {})
    with analytics_of(folder) as analytics:
        cleared = analytics.download("estimates", "json", args)
    found = msgspec.json.decode(cleared.payload)
    if as_json:
        print_json(found)
        return
    click.echo(f"weeks {found['weeks'][0]} to {found['weeks'][-1]}, profile {found['profile']}")
    for measure in found["measures"]:
        click.echo(f"\n{measure['name']}: {measure['accepted']} of {measure['issued']} tokens delivered")
        rows = [_popularity_row(cell) for group in measure["groups"] for cell in group["cells"]]
        print_table(["cell", "ranks", "panel", "all boxes", "withheld"], rows)


def _popularity_row(cell: dict[str, object]) -> list[str]:
    values, panel, everywhere = cell["values"], cell["panel"], cell["all_boxes"]
    assert isinstance(values, list)  # noqa: S101 (our own JSON)
    low, high = cell["rank_low"], cell["rank_high"]
    ranks = str(low) if low == high else f"{low}-{high}"
    return [" ".join(values) or "all", ranks, _figures(panel), _figures(everywhere), str(cell["withheld"])]


def _figures(figures: object) -> str:
    if not isinstance(figures, dict):
        return ""
    return ", ".join(f"{name} {_interval(name, figure)}" for name, figure in figures.items())


def _interval(name: str, figure: dict[str, float]) -> str:
    if "share" in name:
        low, value, high = (PERCENT * figure[key] for key in ("low", "value", "high"))
        return f"{value:.1f} % ({low:.1f} to {high:.1f})"
    return f"{figure['value']:,.0f} ({figure['low']:,.0f} to {figure['high']:,.0f})"


@click.group()
def budget() -> None:
    """The privacy budget."""


@budget.command("explain")
@folder_argument
@json_option
@told
def budget_explain(folder: Path, *, as_json: bool) -> None:
    """Say what is spent and left, what would be refused, and what the profile guarantees."""
    with analytics_of(folder) as analytics:
        stamp = analytics.store.installation()
        taken = profile(stamp.profile)
        next_week = Week.parse(analytics.side.jobs[0].next_slot().name)
        explained = budgets.explain(analytics.store.spendings(), next_week, taken, stamp.cap_micro)
    guarantee = budgets.statement(taken)
    if as_json:
        both = {"budget": msgspec.to_builtins(explained), "guarantee": msgspec.to_builtins(guarantee)}
        print_json(both)
        return
    click.echo(explained.plain)
    _print_guarantee(guarantee)


def _print_guarantee(guarantee: budgets.Statement) -> None:
    rows = [
        [str(span.weeks), f"{span.rho:.4f}", f"{span.epsilon:.2f}", f"{PERCENT * span.recognition:.1f} %"]
        for span in guarantee.spans
    ]
    print_table(["weeks", "rho", f"epsilon at {guarantee.delta:g}", "recognised at 5 % false alarms"], rows)
    click.echo(guarantee.plain)


@click.group()
def measures() -> None:
    """The register of measures."""


@measures.command("cost")
@click.option("--profile", "name", type=click.Choice(profile_names()), default="small", show_default=True)
@told
def measures_cost(name: str) -> None:
    """Print each measure of a profile with its quota, cost and noise, and what they add up to."""
    taken = profile(name)
    rows = [
        [
            measure.name,
            measure.kind.value,
            str(measure.quota),
            f"{measure.rho_micro / budgets.MICRO:.4f}",
            f"{measure.sigma:.1f}",
        ]
        for measure in taken.measures
    ]
    print_table(["measure", "kind", "quota", "rho a week", "sigma"], rows)
    _print_guarantee(budgets.statement(taken))

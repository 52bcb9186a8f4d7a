"""The register of measures: checked, explained, priced."""

from collections.abc import Iterable

import click
import msgspec

from headend.analytics import budget as budgets
from headend.cli.analytics import print_guarantee
from headend.cli.common import json_option, print_json, print_table, told
from headend.records.case import packaged
from headend.records.explain import Explained, ExplainedProfile, explain_measure, explain_profile
from headend.records.lint import lint
from shared.register import Profile, UndeclaredError, profile, profile_names
from shared.system_clock import SystemClock
from shared.words import LANGUAGES, words_of

profile_option = click.option("--profile", "name", type=click.Choice(profile_names()))
language_option = click.option(
    "--language", type=click.Choice(LANGUAGES), default="en", show_default=True, help="Of what is printed."
)


@click.group()
def measures() -> None:
    """The register of measures."""


@measures.command("lint")
@json_option
@told
def measures_lint(*, as_json: bool) -> None:
    """Go over the register: every rule that a measure, a profile and the notice must keep."""
    found = lint(packaged(SystemClock().now().date()))
    if as_json:
        print_json(msgspec.to_builtins(found))
    else:
        for problem in found:
            click.echo(f"{problem.rule}: {problem.text}")
        click.echo(f"{len(found)} wrong" if found else "nothing wrong")
    if found:
        raise SystemExit(1)


@measures.command("explain")
@click.argument("what")
@profile_option
@language_option
@json_option
@told
def measures_explain(what: str, name: str | None, language: str, *, as_json: bool) -> None:
    """Say in plain words what a measure or a profile is: what a box sends, its noise and its cost."""
    found = _explained(what, name, language)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    for one in found:
        click.echo(_page(one))


@measures.command("cost")
@click.option("--profile", "name", type=click.Choice(profile_names()), default="small", show_default=True)
@json_option
@told
def measures_cost(name: str, *, as_json: bool) -> None:
    """Print each measure of a profile with its quota, cost and noise, and what they add up to."""
    taken = profile(name)
    guarantee = budgets.statement(taken)
    if as_json:
        print_json({"measures": _costs(taken), "guarantee": msgspec.to_builtins(guarantee)})
        return
    rows = [
        [
            measure.name,
            measure.kind.value,
            str(measure.quota),
            f"{measure.rho_micro / budgets.MICRO:.5f}",
            f"{measure.sigma:.1f}",
        ]
        for measure in taken.measures
    ]
    print_table(["measure", "kind", "quota", "rho a week", "sigma"], rows)
    print_guarantee(guarantee)


def _costs(taken: Profile) -> list[dict[str, object]]:
    return [
        {
            "measure": measure.name,
            "kind": measure.kind.value,
            "quota": measure.quota,
            "rho_micro": measure.rho_micro,
            "sigma": measure.sigma,
        }
        for measure in taken.measures
    ]


def _explained(what: str, name: str | None, language: str) -> list[Explained | ExplainedProfile]:
    if what in profile_names():
        return [explain_profile(profile(what), language)]
    taking = [profile(one) for one in ([name] if name else profile_names())]
    found: list[Explained | ExplainedProfile] = [
        explain_measure(measure, one, language)
        for one in taking
        for measure in one.measures
        if measure.name == what
    ]
    if not found:
        known = words_of(language).measures
        said = words_of(language).explain.not_taken if what in known else "there are " + ", ".join(known)
        raise UndeclaredError(f"{what}: {said}")
    return found


def _page(found: Explained | ExplainedProfile) -> str:
    head = found.profile if isinstance(found, ExplainedProfile) else f"{found.measure} ({found.profile})"
    text = _paragraph(head, found.sentences)
    if isinstance(found, ExplainedProfile):
        text += "".join(_page(one) for one in found.measures)
    return text


def _paragraph(head: str, sentences: Iterable[str]) -> str:
    return "\n".join([head, *(f"  {sentence}" for sentence in sentences)]) + "\n"

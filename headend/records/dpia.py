"""A draft of the data protection impact assessment (GDPR article 35) for the anonymous figures.

Facts, risks and measures are the system's: risks.toml holds the table of docs/threat-model.md, and a test
keeps the two in step. How likely and how grave a risk is, and whether it is acceptable, the controller says.
"""

import math
import tomllib
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from headend.analytics.budget import MICRO, statement
from headend.installation import Settings
from headend.records import markdown
from headend.records.facts import facts
from headend.records.markdown import blank
from shared.notice import notice_version
from shared.register import REGION, Measure, profile, values_of
from shared.words import words_of

PERCENT = 100


class Risk(Struct, frozen=True, forbid_unknown_fields=True):
    """One attack, what answers it, what remains, and the tests that carry it out or the limit it is under."""

    attack: str
    answer: str
    remains: str
    shown_by: str


class Risks(Struct, frozen=True, forbid_unknown_fields=True):
    """The threat model's table and its stated limits."""

    risks: list[Risk]
    limits: list[str]


@cache
def risks() -> Risks:
    """The threat model as the assessment takes it."""
    text = files("headend.records").joinpath("risks.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Risks)


def assessment(settings: Settings) -> str:
    """The draft for an installation, in English, as Markdown."""
    return markdown.page(
        "Data protection impact assessment (draft)",
        markdown.LEGAL,
        f"Anonymous popularity of genres; installation `{settings.issuer}`, profile `{settings.profile}`. "
        "GDPR article 35(7); the letters are those of its list. What only the controller can say is marked.",
        "## Who assesses",
        markdown.table(
            ["", ""],
            [
                ["Controller", blank("name and contact of the operator")],
                ["Data protection officer, and the advice given (35(2))", blank("name, date, advice")],
                ["Views of households or their representatives (35(9))", blank("how asked, what they said")],
                [
                    "Why an assessment is made (35(1), 35(3))",
                    blank("new technology, scale, the authority's list"),
                ],
                ["Date, and next review (35(11))", blank("dates")],
            ],
        ),
        "## (a) What is done, and what for",
        "\n".join(f"{number}. {text}" for number, text in enumerate(facts().flow, 1)),
        _measures(settings),
        f"In a week in which fewer than {profile(settings.profile).min_accounts:,} accounts asked for tokens "
        "nothing is released. "
        f"Regions: {len(settings.regions) or 'none'}. Notice: version {notice_version()}.",
        "Persons concerned: those in households that have consented, children among them; visitors too.",
        "Legitimate interest pursued (35(7)(a)): " + blank("none, since the ground is consent; or which"),
        "## (b) Necessity and proportionality",
        markdown.items(facts().necessity),
        "Ground: consent (GDPR article 6(1)(a)), also for reading from the box what is not needed to provide "
        "the service (Directive 2002/58/EC article 5(3)).",
        "Why the figures are needed, and why less would not do: " + blank("reasons"),
        "Rights of those concerned:",
        markdown.items(facts().rights),
        "## (c) Risks, (d) measures, and what remains",
        _risks(),
        "Limits that are not answered, said so that nobody relies on them:",
        "\n".join(f"{number}. {text}" for number, text in enumerate(risks().limits, 1)),
        "## The guarantee in figures",
        _guarantee(settings),
        "## Security",
        markdown.items(
            [*facts().security, blank("measures around the system; who runs the relay, and what binds them")]
        ),
        "## Conclusion",
        "Remaining risk: " + blank("low, medium or high, and why"),
        "Prior consultation of the supervisory authority (article 36): " + blank("needed or not, and why"),
        "Decision: " + blank("who, when, under which conditions"),
    )


def _measures(settings: Settings) -> str:
    words = words_of("en")
    rows = [
        [
            f"`{measure.name}`",
            measure.words("en"),
            measure.kind.value,
            _cells(measure),
            str(measure.quota),
            f"{measure.rho_micro / MICRO:g}",
            f"{measure.sigma:.1f}",
            words.purposes[measure.purpose],
        ]
        for measure in profile(settings.profile).measures
    ]
    columns = [
        "measure",
        "what a box sends",
        "kind",
        "cells",
        "facts a week",
        "rho a week",
        "sigma",
        "what for",
    ]
    return markdown.table(columns, rows)


def _cells(measure: Measure) -> str:
    size = math.prod(len(values_of(one, ())) for one in measure.grid if one != REGION)
    return f"{size} for each region" if REGION in measure.grid else str(size)


def _risks() -> str:
    columns = ["attack", "measures", "what remains", "shown by", "likelihood and severity"]
    estimate = blank("estimate")
    return markdown.table(
        columns, [[one.attack, one.answer, one.remains, one.shown_by, estimate] for one in risks().risks]
    )


def _guarantee(settings: Settings) -> str:
    said = statement(profile(settings.profile))
    rows = [
        [str(span.weeks), f"{span.rho:g}", f"{span.epsilon:.2f}", f"{PERCENT * span.recognition:.1f} %"]
        for span in said.spans
    ]
    columns = ["weeks", "rho", f"epsilon at delta {said.delta:g}", "recognised at 5 % false alarms"]
    return (
        f"{markdown.table(columns, rows)}\n\n{said.plain} Against readers of releases, for one account's "
        "facts of one week replaced by none; replacing them by others costs up to twice rho. Never stated "
        "for a lifetime."
    )

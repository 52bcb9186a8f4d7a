"""The record of processing activities (GDPR article 30), from the registers of fields and measures.

What the system does stands in it; who does it, and with whom, only the controller can say.
"""

from headend.disclosure import TABLE
from headend.installation import Settings
from headend.records import markdown
from headend.records.facts import Activity, facts
from headend.records.markdown import blank
from shared.field_register import declared
from shared.register import profile
from shared.words import words_of


def processing_record(settings: Settings) -> str:
    """The record for an installation, in English, as Markdown."""
    return markdown.page(
        "Record of processing activities",
        markdown.LEGAL,
        f"Installation `{settings.issuer}`, country {settings.country}, profile `{settings.profile}`. "
        "GDPR article 30(1); the letters are those of its list.",
        "## (a) Controller",
        markdown.table(
            ["", ""],
            [
                ["Controller", blank("name, address, contact of the operator")],
                ["Joint controllers", blank("names and contact, or none")],
                ["Representative in the Union", blank("name and contact, or not needed")],
                ["Data protection officer", blank("name and contact")],
                [
                    "Processors",
                    blank("whoever hosts the headend; whoever runs the relay, and under which contract"),
                ],
            ],
        ),
        *(block for number, one in enumerate(facts().activities, 1) for block in _activity(number, one)),
        "## Measures taken (activity 2)",
        _measures(settings),
        "## (e) Transfers to third countries",
        "The system makes none: the headend opens no connection by itself. "
        + blank("transfers by those who host it or receive its files, with their safeguards, or none"),
        "## (g) Security",
        markdown.items(
            [
                *facts().security,
                blank("measures around the system: premises, machines, people, backups, relay"),
            ]
        ),
    )


def _activity(number: int, one: Activity) -> list[str]:
    recipients = sorted(
        (kind.value, to.value, purpose.value) for kind, to, purpose in TABLE if kind in one.kinds
    )
    handed = markdown.table(["what", "recipient", "for"], recipients) if recipients else "Nobody."
    return [
        f"## Activity {number}: {one.title}",
        f"**(b) Purpose.** {_sentence(one.purpose)} {one.note}",
        f"**(c) Persons.** {_sentence(one.subjects)} Fields, each with its purpose, ground and period (f):",
        *(f"### Fields: {place}\n\n{_fields(place)}" for place in one.places),
        f"**(d) Recipients.** {facts().recipients}",
        handed,
    ]


def _fields(place: str) -> str:
    rows = [
        [f"`{name}`", one.purpose, one.basis, one.retention, ", ".join(one.recipients), _names(one.fields)]
        for name, one in declared(place).items()
    ]
    return markdown.table(["where", "what for", "ground", "how long", "seen by", "fields"], rows)


def _names(fields: frozenset[str]) -> str:
    return ", ".join(sorted(fields))


def _measures(settings: Settings) -> str:
    words = words_of("en")
    rows = [
        [
            f"`{measure.name}`",
            measure.words("en"),
            words.purposes[measure.purpose],
            measure.owner,
            str(measure.review),
        ]
        for measure in profile(settings.profile).measures
    ]
    return markdown.table(["measure", "what a box sends", "what for", "owner", "not taken after"], rows)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."

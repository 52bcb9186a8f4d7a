"""The registers that the privacy officer answers for: every field kept or sent, and what may leave."""

from headend.disclosure import TABLE
from headend.kit import pages
from headend.kit.language import N_
from headend.kit.side import Group, Page, PagePart, Visit
from shared.field_register import declared, places

OFFICER = frozenset({"privacy-officer"})
PLACES = {
    "billing": N_("Billing's database"),
    "analytics": N_("Analytics' database"),
    "console": N_("The console's database"),
    "box": N_("The set-top box"),
    "named": N_("Messages of the named line"),
    "anonymous": N_("Messages of the anonymous line"),
}


class Registers:
    """The pages of the registers; they tell what the code enforces, from the same files."""

    def pages(self) -> list[PagePart]:
        """What is looked at."""
        return [
            PagePart("register", N_("Register of fields"), OFFICER, self.register, Group.PRIVACY),
            PagePart("disclosure", N_("What may leave"), OFFICER, self.disclosure, Group.PRIVACY),
        ]

    def register(self, visit: Visit) -> Page:
        """Every table or message of a place, with purpose, ground, period and recipients."""
        known = [place for place in PLACES if place in places()]
        place = visit.arg("place") if visit.arg("place") in known else known[0]
        inside = pages.render(
            "headend.console",
            "console/register.html",
            visit,
            titles={one: PLACES[one] for one in known},
            place=place,
            entries=list(declared(place).values()),
        )
        return Page(inside)

    def disclosure(self, visit: Visit) -> Page:
        """The closed table of what may leave, to whom and what for."""
        rows = sorted(TABLE, key=lambda row: tuple(part.value for part in row))
        inside = pages.render(
            "headend.console",
            "console/disclosure.html",
            visit,
            rows=rows,
        )
        return Page(inside)

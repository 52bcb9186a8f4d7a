"""The admin's page of operators: list, add, disable, give another role or a new password, require codes."""

from collections.abc import Callable
from http import HTTPStatus

from headend.console.factors import Factors
from headend.console.frame import ROLE_TITLES
from headend.console.operators import Operators, UnknownOperatorError
from headend.console.passwords import make_password
from headend.console.store import Role
from headend.kit import pages
from headend.kit.http import RefusedError, Tally
from headend.kit.language import N_
from headend.kit.side import Deed, Done, Group, Page, PagePart, Visit

ADMIN = frozenset({Role.ADMIN.value})


class People:
    """The page about operators, and what an admin does there."""

    def __init__(
        self, operators: Operators, factors: Factors, tally: Tally, random_bytes: Callable[[int], bytes]
    ) -> None:
        self._operators = operators
        self._factors = factors
        self._tally = tally
        self._random = random_bytes

    def pages(self) -> list[PagePart]:
        """The one page."""
        return [PagePart("people", N_("People"), ADMIN, self.people, Group.CONSOLE)]

    def deeds(self) -> list[Deed]:
        """What its forms do."""
        return [
            Deed("people", N_("Operator added"), ADMIN, self.add),
            Deed("people/change", N_("Operator changed"), ADMIN, self.change),
            Deed("people/factors", N_("Second factors required"), ADMIN, self.require),
        ]

    def people(self, visit: Visit) -> Page:
        """Who may sign in, and as what."""
        return self._list(visit, None)

    def add(self, visit: Visit) -> Page:
        """Add an operator, and show the password once."""
        name, password = visit.arg("name"), make_password(self._random)
        try:
            self._operators.add_operator(name, visit.arg("role"), password, by=visit.who)
        except RefusedError as refusal:
            return self._list(visit, refusal)
        return _made(visit, N_("Operator added"), name, password)

    def change(self, visit: Visit) -> Done | Page:
        """Do to an operator what the button says."""
        name = visit.arg("name")
        try:
            password = self._do(visit, name)
        except RefusedError as refusal:
            return self._list(visit, refusal)
        if password:
            return _made(visit, N_("Password reset"), name, password)
        return Done(pages.address("people"), f"{visit.arg('do')} {name}")

    def require(self, visit: Visit) -> Done:
        """Require a second factor of the roles that are ticked, and of no others."""
        roles = frozenset(role for role in Role if visit.arg(role.value))
        self._factors.require(roles, visit.who)
        return Done(pages.address("people"), " ".join(sorted(roles)))

    def _do(self, visit: Visit, name: str) -> str:
        operators, by = self._operators, visit.who
        match visit.arg("do"):
            case "disable":
                operators.disable(name, by)
            case "enable":
                operators.enable(name, by)
            case "role":
                operators.change_role(name, visit.arg("role"), by)
            case "reset":
                return operators.reset_password(name, by)
            case _:
                raise UnknownOperatorError("There is no such change.")
        return ""

    def _list(self, visit: Visit, refusal: RefusedError | None) -> Page:
        if refusal is not None:
            self._tally.add(refusal.name)
        inside = pages.render(
            "headend.console",
            "console/people.html",
            visit,
            operators=self._operators.list_operators(),
            since=self._factors.since(),
            required=self._factors.required(),
            roles=list(Role),
            role_titles=ROLE_TITLES,
            wrong="" if refusal is None else visit.language.refusal(refusal),
        )
        return Page(inside, status=HTTPStatus.OK if refusal is None else refusal.status)


def _made(visit: Visit, title: str, name: str, password: str) -> Page:
    inside = pages.render("headend.console", "console/made.html", visit, name=name, password=password)
    return Page(inside, title=visit.language.text(title))

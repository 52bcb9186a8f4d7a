"""The page of the console's audit: all of it for the privacy officer, people for the admin."""

from headend.console.store import Action, AuditLine, ConsoleStore, Role
from headend.kit import pages
from headend.kit.language import N_
from headend.kit.side import Group, Page, PagePart, Visit

AUDIT_ROLES = frozenset({Role.PRIVACY_OFFICER.value, Role.ADMIN.value})
ABOUT_PEOPLE = tuple(
    action for action in Action if action not in {Action.LOOKED, Action.DOWNLOADED, Action.DID}
)
"""What an admin sees of the audit: who may sign in and who did, not what they looked at."""
AUDIT_LINES = 200


class Auditing:
    """The page of the audit over one store."""

    def __init__(self, store: ConsoleStore) -> None:
        self._store = store

    def pages(self) -> list[PagePart]:
        """The one page."""
        return [PagePart("audit", N_("Audit"), AUDIT_ROLES, self.audit, Group.CONSOLE)]

    def audit(self, visit: Visit) -> Page:
        """What operators did, newest first."""
        everything = visit.role == Role.PRIVACY_OFFICER
        operator = visit.arg("operator")
        inside = pages.render(
            "headend.console",
            "console/audit.html",
            visit,
            lines=self._lines(everything=everything, operator=operator, before=visit.arg("before")),
            operator=operator,
            everything=everything,
            full=AUDIT_LINES,
        )
        return Page(inside)

    def _lines(self, *, everything: bool, operator: str, before: str) -> list[AuditLine]:
        below = (
            int(before) if before.isascii() and before.isdigit() and len(before) < len(str(2**62)) else None
        )
        actions = tuple(Action) if everything else ABOUT_PEOPLE
        return self._store.read().audit(actions, operator, below, AUDIT_LINES)

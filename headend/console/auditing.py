"""The pages of the console's audit: all of it for the privacy officer, people for the admin."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus

from headend.console.store import ALARMING, LOOKS, Action, AuditLine, ConsoleStore, Role, Sought
from headend.kit import pages
from headend.kit.chain import Verdict, follow
from headend.kit.http import RefusedError
from headend.kit.language import N_
from headend.kit.side import Deed, Done, Group, Page, PagePart, Visit
from shared.clock import Clock, to_ms

OFFICER = frozenset({Role.PRIVACY_OFFICER.value})
AUDIT_ROLES = OFFICER | {Role.ADMIN.value}
AUDIT_LINES = 100
LOOKS_SHOWN = 20
"""Lines about an account that stand under a page about it."""
AUDIT = "audit"
_LONGEST_ACCOUNT = 64


class AuditSearchError(RefusedError):
    """The audit is searched by days such as 2026-10-07 and by actions of the list."""

    name = "audit-search"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Auditing:
    """The pages of the audit over one store; `clock` is of real time."""

    def __init__(self, store: ConsoleStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._newest: tuple[int, Verdict] | None = None

    def pages(self) -> list[PagePart]:
        """The audit, and who has looked at an account."""
        return [
            PagePart(AUDIT, N_("Audit"), AUDIT_ROLES, self.audit, Group.CONSOLE),
            PagePart(f"{AUDIT}/about", N_("Who has looked at an account"), OFFICER, self.about),
        ]

    def deeds(self) -> list[Deed]:
        """Following the chain."""
        return [Deed("audit/verify", N_("Audit verified"), OFFICER, self.verify)]

    def audit(self, visit: Visit) -> Page:
        """What operators did, newest first."""
        everything = visit.role == Role.PRIVACY_OFFICER
        account = visit.arg("account")[:_LONGEST_ACCOUNT] if everything else ""
        try:
            sought = _sought(visit, account, people=not everything)
        except AuditSearchError as refusal:
            return self._page(visit, "console/audit.html", "", (), visit.language.refusal(refusal))
        return self._page(visit, "console/audit.html", account, self._store.read().audit(sought), "")

    def about(self, visit: Visit) -> Page:
        """Who has looked at an account, newest first; asking this is itself about that account."""
        account = visit.arg("account")[:_LONGEST_ACCOUNT]
        lines = self._store.read().audit(_sought(visit, account, people=False)) if account else []
        return self._page(visit, "console/about.html", account, lines, "", back=("audit", N_("Audit")))

    def looks(self, visit: Visit, account: str) -> str:
        """Who has looked at an account lately, as the end of a page about it."""
        sought = Sought(LOOKS_SHOWN, people=False, account=account)
        return pages.render(
            "headend.console",
            "console/looks.html",
            visit,
            account=account,
            lines=self._store.read().audit(sought),
            alarming=ALARMING,
            full=LOOKS_SHOWN,
        )

    def verify(self, visit: Visit) -> Done:
        """Follow the whole chain, and tell what came of it on the page."""
        verdict = self.verdict()
        self._newest = (to_ms(self._clock.now()), verdict)
        broken = "" if verdict.broken is None else f", line {verdict.broken} is broken"
        return Done(
            pages.address(visit.path.split("/")[0]), f"{verdict.lines} lines to {verdict.head}{broken}"
        )

    def verdict(self) -> Verdict:
        """What following the chain from its first line to its last finds."""
        return follow(self._store.read().audit_chain())

    def _page(
        self,
        visit: Visit,
        template: str,
        account: str,
        lines: Sequence[AuditLine],
        wrong: str,
        back: tuple[str, str] | None = None,
    ) -> Page:
        last = lines[-1] if len(lines) == AUDIT_LINES else None
        inside = pages.render(
            "headend.console",
            template,
            visit,
            lines=lines,
            account=account,
            wrong=wrong,
            everything=visit.role == Role.PRIVACY_OFFICER,
            actions=[
                action for action in Action if visit.role == Role.PRIVACY_OFFICER or action not in LOOKS
            ],
            alarming=ALARMING,
            newest=self._newest,
            full=AUDIT_LINES,
            older="" if last is None else _address(visit, f"{last.at_ms}.{last.line}"),
            first=_address(visit, "") if visit.arg("before") else "",
        )
        status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
        return Page(inside, about=(account,) if account else (), status=status, back=back)


def _address(visit: Visit, before: str) -> str:
    kept = {name: visit.arg(name) for name in ("operator", "action", "account", "from", "until")}
    return pages.address(visit.path, **kept, before=before)


def _sought(visit: Visit, account: str, *, people: bool) -> Sought:
    action = visit.arg("action")
    if action and (action not in set(Action) or (people and action in LOOKS)):
        raise AuditSearchError("There is no such action.")
    until = _day(visit.arg("until"))
    return Sought(
        AUDIT_LINES,
        people=people,
        operator=visit.arg("operator"),
        action=Action(action) if action else None,
        account=account,
        from_ms=_start(_day(visit.arg("from"))),
        until_ms=_start(None if until is None else until + timedelta(days=1)),
        before=_before(visit.arg("before")),
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise AuditSearchError("A day is written 2026-10-07.") from error


def _start(day: date | None) -> int | None:
    return None if day is None else to_ms(datetime.combine(day, time.min, tzinfo=UTC))


def _before(text: str) -> tuple[int, int] | None:
    """The moment and the number of the last line of the page before; nothing if that is not what it is."""
    moment, _, line = text.partition(".")
    digits = all(part.isascii() and part.isdigit() and len(part) < len(str(2**62)) for part in (moment, line))
    return (int(moment), int(line)) if digits else None

"""Billing's pages for the privacy officer: what is kept about somebody, retention, the audit. No title."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from headend.billing import retention
from headend.billing.auditing import follow_audit
from headend.billing.kept import kept_about
from headend.billing.pages.telling import Telling
from headend.billing.pages.worded import GROUNDS, KINDS, STATES, STAYS, UNTIL
from headend.billing.rows import NotFoundError
from headend.billing.store import BillingStore
from headend.kit import chain, pages
from headend.kit.language import N_
from headend.kit.side import Deed, Group, Page, PagePart, Search, Tile, Visit

OFFICER = frozenset({"privacy-officer"})
SEARCH = Search("subscriber", "account", N_("Account"), OFFICER)
LINES = 100
SOON_MS = 7 * 86_400_000
"""How long before a request's deadline the overview asks for attention."""
_DIGITS = 18


class Officer:
    """The pages and deeds over one store; years and days are those of `zone`."""

    def __init__(self, store: BillingStore, now_ms: Callable[[], int], zone: ZoneInfo) -> None:
        self._store = store
        self._now_ms = now_ms
        self._zone = zone

    def pages(self) -> list[PagePart]:
        """What is looked at."""
        kept = N_("What is kept about a subscriber")
        return [
            PagePart("subscriber", kept, OFFICER, self.subscriber, Group.PRIVACY),
            PagePart("retention", N_("Retention"), OFFICER, self.forgetting, Group.PRIVACY),
            PagePart("billing-audit", N_("Audit of billing"), OFFICER, self.audit, Group.PRIVACY),
        ]

    def deeds(self) -> list[Deed]:
        """What is asked for because it takes its time."""
        return [
            Deed("retention", N_("Retention"), OFFICER, self.look_ahead),
            Deed("billing-audit", N_("Audit of billing"), OFFICER, self.verify),
        ]

    def tiles(self, visit: Visit) -> list[Tile]:
        """What the officer has to see first."""
        if visit.role not in OFFICER:
            return []
        words, look = visit.language, self._store.read()
        count, nearest = look.open_requests()
        soon = nearest is not None and nearest - self._now_ms() < SOON_MS
        due = "" if nearest is None else words.text("the next by {day}", day=words.day(nearest - 1))
        run = look.last_run("retention")
        return [
            Tile(
                words.text("Open requests"),
                words.number(count),
                due,
                alarm=soon,
                href=pages.address("requests"),
            ),
            Tile(
                words.text("Last retention run"),
                words.text("never") if run is None else words.day(run.done_ms),
                words.text("what is past its period is forgotten daily"),
                href=pages.address("retention"),
            ),
        ]

    # --- what is kept about somebody
    def subscriber(self, visit: Visit) -> Page:
        """What is kept about an account, why, and until when."""
        account, look = visit.arg("account"), self._store.read()
        found, missing = None, ""
        if account:
            try:
                found = kept_about(look, account, self._now_ms())
            except NotFoundError:
                missing = visit.language.text("There is no account {account}.", account=account)
        inside = self._render(
            visit,
            "subscriber.html",
            kept=found,
            asked=account,
            missing=missing,
            stays=STAYS,
            grounds=GROUNDS,
            until=UNTIL,
            requests=look.requests(None, account, LINES) if found else [],
            lines=look.audit_lines(account, "", None, LINES) if found else [],
            kinds=KINDS,
            states=STATES,
        )
        return Page(inside, about=(account,) if found else ())

    # --- retention
    def forgetting(self, visit: Visit) -> Page:
        """What stands, what was forgotten lately, and what comes next."""
        return Page(self._forgetting(visit, None))

    def look_ahead(self, visit: Visit) -> Page:
        """What a run would forget now: goes over all that stands, so it is asked for."""
        found = retention.outlook(self._store.read(), self._now_ms(), self._zone)
        return Page(self._forgetting(visit, found))

    def _forgetting(self, visit: Visit, outlook: retention.Outlook | None) -> str:
        look = self._store.read()
        return self._render(
            visit,
            "retention.html",
            standing=look.standing(),
            runs=look.audit_lines("", "retention", None, 30),
            emptied_ms=look.horizon(retention.EMPTIED),
            outlook=outlook,
            stays=STAYS,
        )

    # --- the audit
    def audit(self, visit: Visit) -> Page:
        """Who changed what at billing, newest first."""
        return self._audit(visit, None)

    def verify(self, visit: Visit) -> Page:
        """Follow the whole chain of the audit."""
        return self._audit(visit, follow_audit(self._store.read()))

    def _audit(self, visit: Visit, verdict: chain.Verdict | None) -> Page:
        ref, who, before = visit.arg("ref"), visit.arg("who"), visit.arg("before")
        below = int(before) if before.isascii() and before.isdigit() and len(before) <= _DIGITS else None
        lines = self._store.read().audit_lines(ref, who, below, LINES)
        inside = self._render(
            visit, "audit.html", lines=lines, ref=ref, who=who, before=before, full=LINES, verdict=verdict
        )
        return Page(inside, about=(ref,) if ref else ())

    def _render(self, visit: Visit, template: str, **values: object) -> str:
        tell = Telling(visit.language)
        return pages.render("headend.billing", f"billing/officer/{template}", visit, tell=tell, **values)

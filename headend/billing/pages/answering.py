"""Pages on which subscribers' requests are received, watched and answered.

The privacy officer notes and decides them, and never sees a title. An archive holds titles, so billing makes
and hands it over, for a request that the officer noted.
"""

from collections.abc import Callable
from datetime import date, datetime, time
from functools import partial
from http import HTTPStatus
from zoneinfo import ZoneInfo

from headend.billing import requests
from headend.billing.archive import Extras, archive
from headend.billing.erasure import plan_erasure
from headend.billing.kept import kept_about
from headend.billing.pages.officer import LINES, OFFICER
from headend.billing.pages.worded import GROUNDS, KINDS, STATES, STAYS, UNTIL
from headend.billing.rows import NotFoundError, RequestKind, RequestState, SubscriberRequest
from headend.billing.store import BillingStore, BillingTx
from headend.kit import pages
from headend.kit.language import N_
from headend.kit.side import Attachment, Deed, Done, Download, Group, Page, PagePart, Visit
from shared.clock import from_ms, to_ms
from shared.errors import StbError

BILLING = frozenset({"billing"})
_DIGITS = 18


class Requests:
    """The pages and deeds over one store; `prove` gives an order's proof, or None, for archives."""

    def __init__(
        self,
        store: BillingStore,
        now_ms: Callable[[], int],
        zone: ZoneInfo,
        prove: Callable[[str], bytes | None],
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._zone = zone
        self._prove = prove

    def pages(self) -> list[PagePart]:
        """What is looked at."""
        return [
            PagePart("requests", N_("Requests of subscribers"), OFFICER, self.listed, Group.PRIVACY),
            PagePart("request", N_("Request"), OFFICER, self.request),
            PagePart("access-requests", N_("Requests for access"), BILLING, self.access, Group.BILLING),
        ]

    def deeds(self) -> list[Deed]:
        """What is done."""
        return [
            Deed("requests", N_("Requests of subscribers"), OFFICER, self.receive),
            Deed("request/extend", N_("Request"), OFFICER, self.extend),
            Deed("request/refuse", N_("Request"), OFFICER, self.refuse),
            Deed("request/answer", N_("Request"), OFFICER, self.answer),
            Deed("request/erase", N_("Request"), OFFICER, self.erase),
        ]

    def downloads(self) -> list[Download]:
        """What billing hands over."""
        return [Download("access-requests/archive.zip", N_("Archive of an account"), BILLING, self.archive)]

    def listed(self, visit: Visit) -> Page:
        """All requests, open ones by deadline, and the form to note one."""
        return self._listed(visit, "", HTTPStatus.OK)

    def _listed(self, visit: Visit, wrong: str, status: HTTPStatus) -> Page:
        rows = self._store.read().requests(None, None, LINES)
        now_ms = self._now_ms()
        today = from_ms(now_ms).astimezone(self._zone).date().isoformat()
        inside = self._render(
            visit,
            "requests.html",
            requests=rows,
            now_ms=now_ms,
            today=today,
            wrong=wrong,
            kinds=KINDS,
            states=STATES,
        )
        return Page(inside, about=tuple(row.account for row in rows), status=status)

    def receive(self, visit: Visit) -> Done | Page:
        """Note a request."""
        try:
            kind = RequestKind(visit.arg("kind"))
            at_ms = to_ms(datetime.combine(date.fromisoformat(visit.arg("received")), time(), self._zone))
        except ValueError:
            wrong = visit.language.text("Say what was asked, and on which day.")
            return self._listed(visit, wrong, HTTPStatus.UNPROCESSABLE_ENTITY)
        account, said = visit.arg("account"), (visit.who, self._now_ms())
        try:
            made = self._store.write(lambda tx: requests.receive_request(tx, account, kind, at_ms, said))
        except StbError as error:
            return self._listed(visit, visit.language.refusal(error), HTTPStatus.UNPROCESSABLE_ENTITY)
        return Done(pages.address("request", number=made.request), f"{kind} {made.request}", (made.account,))

    def request(self, visit: Visit) -> Page:
        """One request, what an erasure would do, and what can be done about it."""
        return self._request(visit, self._asked(visit), "", HTTPStatus.OK)

    def _asked(self, visit: Visit) -> SubscriberRequest:
        return self._store.read().request(_number(visit.arg("number")))

    def _request(self, visit: Visit, found: SubscriberRequest, wrong: str, status: HTTPStatus) -> Page:
        look = self._store.read()
        bought = visit.arg("give_up_bought") == "yes"
        is_open = found.state is RequestState.OPEN
        plan = None
        if is_open and found.kind is RequestKind.ERASURE:
            plan = plan_erasure(look, found.account, self._now_ms(), give_up_bought=bought)
        inside = self._render(
            visit,
            "request.html",
            request=found,
            plan=plan,
            bought=bought,
            wrong=wrong,
            is_open=is_open,
            late=is_open and self._now_ms() >= found.deadline_ms,
            kinds=KINDS,
            states=STATES,
            stays=STAYS,
            grounds=GROUNDS,
            until=UNTIL,
            stand=kept_about(look, found.account, self._now_ms()).stays,
        )
        title = visit.language.text("Request {number}", number=found.request)
        back = ("requests", N_("Requests of subscribers"))
        return Page(inside, title=title, about=(found.account,), status=status, back=back)

    def extend(self, visit: Visit) -> Done | Page:
        """Take two further months, with a reason."""
        return self._move(
            visit, lambda tx, number, said: requests.extend_request(tx, number, visit.arg("why"), said)
        )

    def refuse(self, visit: Visit) -> Done | Page:
        """Refuse a request, with a reason."""
        return self._move(
            visit, lambda tx, number, said: requests.refuse_request(tx, number, visit.arg("why"), said)
        )

    def answer(self, visit: Visit) -> Done | Page:
        """Note that a request has been answered."""
        return self._move(visit, requests.answer_request)

    def erase(self, visit: Visit) -> Done | Page:
        """Preview an erasure again with other terms, or do it."""
        if visit.arg("step") != "do":
            return self._request(visit, self._asked(visit), "", HTTPStatus.OK)
        give_up = visit.arg("give_up_bought") == "yes"
        return self._move(visit, partial(requests.erase_on_request, give_up_bought=give_up))

    def _move(self, visit: Visit, move: Callable[[BillingTx, int, tuple[str, int]], object]) -> Done | Page:
        found, said = self._asked(visit), (visit.who, self._now_ms())
        try:
            self._store.write(lambda tx: move(tx, found.request, said))
        except requests.BadRequestError as error:
            return self._request(visit, found, visit.language.refusal(error), HTTPStatus.UNPROCESSABLE_ENTITY)
        return Done(pages.address("request", number=found.request), str(found.request), (found.account,))

    # --- what billing hands over
    def access(self, visit: Visit) -> Page:
        """The open requests for access, with the archive of each."""
        found = self._store.read().requests(RequestState.OPEN, None, LINES)
        rows = [one for one in found if one.kind is RequestKind.ACCESS]
        inside = self._render(visit, "access.html", requests=rows, now_ms=self._now_ms())
        return Page(inside, about=tuple(row.account for row in rows))

    def archive(self, visit: Visit) -> Attachment:
        """The archive that an open request for access asks for.

        Raises:
            NotFoundError: no such request.
            BadRequestError: it does not ask for access, or has been decided.
        """
        found = self._asked(visit)
        if found.kind is not RequestKind.ACCESS or found.state is not RequestState.OPEN:
            raise requests.BadRequestError(N_("This request does not ask for an archive any more."))
        extras = Extras(visit.who, self._now_ms(), self._prove)
        whole = archive(self._store, found.account, extras)
        return Attachment(whole, f"archive-{found.account}.zip", "application/zip", (found.account,))

    def _render(self, visit: Visit, template: str, **values: object) -> str:
        return pages.render("headend.billing", f"billing/officer/{template}", visit, **values)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise NotFoundError(f"no request {text[:20]!r}")
    return int(text)

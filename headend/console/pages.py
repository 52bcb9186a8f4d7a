"""What the console serves: the overview, and what the sides offer: page parts, downloads, deeds.

Everything is audited: what is looked at once it is drawn and before it is sent, what leaves before a byte
does, what is done once it is done; a side keeps the audit of its own changes within its own transaction.
"""

import hashlib
import logging
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from flask import Blueprint, Response, make_response, redirect
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from headend.console.auditing import AUDIT, OFFICER
from headend.console.frame import Frame, current
from headend.console.running import JOBS_ROLES
from headend.console.store import Action
from headend.disclosure import Cleared, DisclosureError
from headend.kit.http import RefusedError
from headend.kit.language import N_
from headend.kit.side import Attachment, Deed, Download, Page, PagePart, Pieces, Visit
from headend.kit.storage import MissingRowError, StorageError
from shared.errors import StbError

T = TypeVar("T")

log = logging.getLogger(__name__)

_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_INSIDE = re.compile(r"/console/(?!/)[^\\\s]*")


class NotForRoleError(RefusedError):
    """This page is not for your role."""

    name = "not-for-role"
    status = HTTPStatus.FORBIDDEN


class NoSuchPageError(RefusedError):
    """There is no such page."""

    name = "no-such-page"
    status = HTTPStatus.NOT_FOUND


class NotClearedError(RefusedError):
    """This may not leave: disclosure has not cleared it."""

    name = "not-cleared"
    status = HTTPStatus.FORBIDDEN


def need_role(frame: Frame, roles: frozenset[str], what: str) -> None:
    """Let only those roles pass; others' attempts stand in the audit.

    Raises:
        NotForRoleError: the operator has another role.
    """
    if current().operator.role not in roles:
        frame.access.note(current(), Action.REFUSED, what, "not for this role")
        raise NotForRoleError("This page is not for your role.")


class Pages:
    """The pages over one frame; `looks` words who has looked at an account, for the officer."""

    def __init__(self, frame: Frame, looks: Callable[[Visit, str], str]) -> None:
        self._frame = frame
        self._looks = looks

    def install(self, blueprint: Blueprint) -> None:
        """Give the pages their addresses."""
        blueprint.add_url_rule("/", "overview", self.overview)
        blueprint.add_url_rule("/<path:path>", "page", self.offered)
        blueprint.add_url_rule("/<path:path>", "deed", self.deed, methods=["POST"])

    def overview(self) -> str:
        """Figures of all sides for the operator's role, what needs attention, and what runs."""
        frame = self._frame
        visit = frame.visit("")
        tiles = frame.tiles_by_side(visit)
        jobs = frame.running.lines()
        attention = [tile for _, side in tiles for tile in side if tile.alarm]
        frame.access.note(current(), Action.LOOKED, "overview")
        return frame.show(
            "overview.html",
            N_("Overview"),
            tiles=tiles,
            attention=attention,
            troubled=[job for job in jobs if job.troubled],
            jobs=jobs,
            jobs_page=visit.role in JOBS_ROLES,
        )

    def offered(self, path: str) -> AnyResponse:
        """What the sides offer at that path: a page part or a download.

        Raises:
            NoSuchPageError: no side offers either.
            NotForRoleError: it is for others.
            NotClearedError: disclosure refused the download, or it never passed disclosure.
        """
        part, file = self._frame.page(path), self._frame.download(path)
        if part is not None:
            return self._page(part)
        if file is not None:
            return self._download(file)
        raise NoSuchPageError(f"There is no page {path[:80]}.")

    def deed(self, path: str) -> AnyResponse:
        """Do what a form says.

        Raises:
            NoSuchPageError: no side offers it.
            NotForRoleError: it is for others.
        """
        deed = self._frame.deed(path)
        if deed is None:
            raise NoSuchPageError(f"There is no page {path[:80]}.")
        need_role(self._frame, deed.roles, deed.path)
        return self._do(deed)

    def _page(self, part: PagePart) -> AnyResponse:
        need_role(self._frame, part.roles, part.path)
        visit = self._frame.visit(part.path)
        shown = self._tried(part.path, visit, part.render)
        page = shown if isinstance(shown, Page) else Page(shown)
        self._frame.access.note(current(), Action.LOOKED, part.path, _told(visit), page.about)
        return self._shown(page, part.title, visit)

    def _do(self, deed: Deed) -> AnyResponse:
        visit = self._frame.visit(deed.path)
        done = self._tried(deed.path, visit, deed.do)
        if isinstance(done, Page):
            # A preview, a refusal, something shown this once; what changed stands in the side's own audit.
            if done.status >= HTTPStatus.BAD_REQUEST:
                self._frame.tally.add("form-again")
            self._frame.access.note(current(), Action.DID, deed.path, str(int(done.status)), done.about)
            return self._shown(done, deed.title, visit)
        self._frame.access.note(current(), Action.DID, deed.path, done.told, done.about)
        where = done.where if _INSIDE.fullmatch(done.where) else "/console/"
        return redirect(where, HTTPStatus.SEE_OTHER)

    def _tried(self, path: str, visit: Visit, make: Callable[[Visit], T]) -> T:
        try:
            return make(visit)
        except StbError as error:
            if not isinstance(error, StorageError) or isinstance(error, MissingRowError):
                self._frame.access.note(current(), Action.REFUSED, path, type(error).__name__)
            raise

    def _shown(self, page: Page, title: str, visit: Visit) -> AnyResponse:
        alone = len(page.about) == 1 and visit.role in OFFICER and visit.path.split("/")[0] != AUDIT
        looks = self._looks(visit, page.about[0]) if alone else ""
        inside = Markup(page.inside + looks)  # noqa: S704 (page parts promise safe HTML, see kit.side)
        heading = page.title or title
        whole = self._frame.show("page.html", heading, inside=inside, path=visit.path, back=page.back)
        return make_response(whole, page.status)

    def _download(self, file: Download) -> AnyResponse:
        need_role(self._frame, file.roles, file.path)
        visit = self._frame.visit(file.path)
        cleared, attachment = self._clear(file, visit)
        payload = cleared.payload
        detail = (
            f"{_told(visit)} {cleared.kind} to {cleared.recipient} for {cleared.purpose}, {_digest(payload)}"
        )
        # The audit is durable before a byte leaves.
        self._frame.access.note(current(), Action.DOWNLOADED, file.path, detail.strip(), attachment.about)
        body = payload if isinstance(payload, bytes) else payload()
        answer = Response(body, content_type=attachment.content_type)
        answer.headers["Content-Disposition"] = f'attachment; filename="{attachment.filename}"'
        return answer

    def _clear(self, offered: Download, visit: Visit) -> tuple[Cleared[bytes | Pieces], Attachment]:
        try:
            attachment = offered.make(visit)
        except DisclosureError as error:
            self._frame.access.note(current(), Action.REFUSED, offered.path, str(error))
            raise NotClearedError(f"This may not leave: {error}.") from error
        cleared = attachment.cleared
        if not isinstance(cleared, Cleared) or not _FILENAME.fullmatch(attachment.filename):
            self._frame.access.note(current(), Action.REFUSED, offered.path, "not cleared")
            raise NotClearedError("Disclosure has not cleared this.")
        return cleared, attachment


def _digest(payload: bytes | Pieces) -> str:
    digest = hashlib.sha256()
    for piece in (payload,) if isinstance(payload, bytes) else payload():
        digest.update(piece)
    return digest.hexdigest()


def _told(visit: Visit) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(visit.args.items()) if value)

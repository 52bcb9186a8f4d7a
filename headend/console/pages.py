"""The pages that look: overview, the sides' page parts, their downloads, the audit. Each look is audited."""

import hashlib
import logging
import re
from datetime import timedelta
from http import HTTPStatus

from flask import Blueprint, Response, request
from markupsafe import Markup

from headend.console.frame import Frame, current
from headend.console.store import Action, AuditLine, Role
from headend.disclosure import Cleared, DisclosureError
from headend.kit.http import RefusedError
from headend.kit.side import Attachment, Download, PagePart
from headend.kit.storage import StorageError
from shared.errors import StbError

log = logging.getLogger(__name__)

AUDIT_ROLES = frozenset({Role.PRIVACY_OFFICER, Role.ADMIN})
ABOUT_PEOPLE = tuple(action for action in Action if action not in {Action.LOOKED, Action.DOWNLOADED})
"""What an admin sees of the audit: who may sign in and who did, not what they looked at."""
AUDIT_LINES = 200
LATE = timedelta(minutes=10)
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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


def need_role(frame: Frame, roles: frozenset[Role] | frozenset[str], what: str) -> None:
    """Let only those roles pass; others' attempts stand in the audit.

    Raises:
        NotForRoleError: the operator has another role.
    """
    if current().operator.role not in roles:
        frame.access.note(current(), Action.REFUSED, what, "not for this role")
        raise NotForRoleError("This page is not for your role.")


class Pages:
    """The pages over one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def install(self, blueprint: Blueprint) -> None:
        """Give the pages their addresses; what is left over gets a page that says so."""
        blueprint.add_url_rule("/", "overview", self.overview)
        blueprint.add_url_rule("/audit", "audit", self.audit)
        blueprint.add_url_rule("/<path:path>", "page", self.offered)
        blueprint.add_url_rule("/<path:path>", "nowhere", self.nowhere, methods=["POST"])

    def overview(self) -> str:
        """Figures of all sides for the operator's role, and what runs next."""
        frame = self._frame
        frame.access.note(current(), Action.LOOKED, "overview")
        now = frame.settings.installation_clock.now()
        jobs = [(name, slot, slot.due < now - LATE) for name, slot in frame.jobs()]
        tiles = frame.tiles_by_side(current().operator.role)
        return frame.show(
            "overview.html", "Overview", tiles=tiles, jobs=sorted(jobs, key=lambda job: job[1].due), now=now
        )

    def offered(self, path: str) -> str | Response:
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
        return self.nowhere(path)

    def _page(self, part: PagePart) -> str:
        need_role(self._frame, part.roles, part.path)
        arguments = request.args.to_dict()
        self._frame.access.note(current(), Action.LOOKED, part.path, _told(arguments))
        inside = Markup(part.render(arguments))  # noqa: S704 (a page part promises safe HTML, see kit.side)
        return self._frame.show("page.html", part.title, inside=inside, path=part.path)

    def _download(self, file: Download) -> Response:
        need_role(self._frame, file.roles, file.path)
        arguments = request.args.to_dict()
        cleared, attachment = self._clear(file, arguments)
        digest = hashlib.sha256(cleared.payload).hexdigest()
        detail = f"{_told(arguments)} {cleared.kind} to {cleared.recipient} for {cleared.purpose}, {digest}"
        # The audit is durable before a byte leaves.
        self._frame.access.note(current(), Action.DOWNLOADED, file.path, detail.strip())
        answer = Response(cleared.payload, content_type=attachment.content_type)
        answer.headers["Content-Disposition"] = f'attachment; filename="{attachment.filename}"'
        return answer

    def audit(self) -> str:
        """What operators did, newest first: all of it for the privacy officer, people for the admin."""
        need_role(self._frame, AUDIT_ROLES, "audit")
        operator, before = request.args.get("operator", ""), request.args.get("before", "")
        self._frame.access.note(current(), Action.LOOKED, "audit", _told(request.args.to_dict()))
        everything = current().operator.role is Role.PRIVACY_OFFICER
        lines = self._audit_lines(everything=everything, operator=operator, before=before)
        return self._frame.show(
            "audit.html", "Audit", lines=lines, operator=operator, everything=everything, full=AUDIT_LINES
        )

    def nowhere(self, path: str) -> str:
        """What no page answers to.

        Raises:
            NoSuchPageError: always.
        """
        raise NoSuchPageError(f"There is no page {path[:80]}.")

    def _audit_lines(self, *, everything: bool, operator: str, before: str) -> list[AuditLine]:
        below = (
            int(before) if before.isascii() and before.isdigit() and len(before) < len(str(2**62)) else None
        )
        actions = tuple(Action) if everything else ABOUT_PEOPLE
        return self._frame.store.read().audit(actions, operator, below, AUDIT_LINES)

    def _clear(self, offered: Download, arguments: dict[str, str]) -> tuple[Cleared[bytes], Attachment]:
        try:
            attachment = offered.make(arguments)
        except DisclosureError as error:
            self._frame.access.note(current(), Action.REFUSED, offered.path, str(error))
            raise NotClearedError(f"This may not leave: {error}.") from error
        cleared = attachment.cleared
        if not isinstance(cleared, Cleared) or not _FILENAME.fullmatch(attachment.filename):
            self._frame.access.note(current(), Action.REFUSED, offered.path, "not cleared")
            raise NotClearedError("Disclosure has not cleared this.")
        return cleared, attachment


def told(error: StbError) -> tuple[str, HTTPStatus]:
    """A refusal as a page tells it: its sentence and its status; a database's own words stay in the log."""
    if isinstance(error, StorageError):
        log.error("storage: %s", error)
        return "The database did not take it; nothing was changed.", HTTPStatus.SERVICE_UNAVAILABLE
    status = error.status if isinstance(error, RefusedError) else HTTPStatus.BAD_REQUEST
    return str(error) or (type(error).__doc__ or "").split("\n")[0], status


def _told(arguments: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(arguments.items()) if value)

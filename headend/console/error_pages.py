"""What a page says in place of what was asked for: refusals, and what went wrong here; each is counted."""

import logging
from http import HTTPStatus

from flask import Blueprint, g
from werkzeug.exceptions import HTTPException

from headend.console.frame import Frame
from headend.kit.http import RefusedError
from headend.kit.language import N_, Language
from headend.kit.storage import MissingRowError, StorageError
from shared.errors import StbError

log = logging.getLogger(__name__)

TITLES = {
    HTTPStatus.FORBIDDEN: N_("Not allowed"),
    HTTPStatus.NOT_FOUND: N_("Not found"),
    HTTPStatus.INTERNAL_SERVER_ERROR: N_("Something went wrong"),
    HTTPStatus.SERVICE_UNAVAILABLE: N_("Not now"),
}
REFUSED = N_("Refused")
SENTENCES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: N_("The form is larger than any page sends."),
    HTTPStatus.INTERNAL_SERVER_ERROR: N_("This should not have happened. The log says what did."),
}
NOT_UNDERSTOOD = N_("The console does not understand this request.")


class ErrorPages:
    """The error pages over one frame."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def install(self, blueprint: Blueprint) -> None:
        """Answer whatever the blueprint's pages raise."""
        blueprint.register_error_handler(StbError, self.refused)
        blueprint.register_error_handler(HTTPException, self.failed)

    def refused(self, error: StbError) -> tuple[str, HTTPStatus]:
        """A refusal with its sentence."""
        self._frame.tally.add(error.name if isinstance(error, RefusedError) else "refused")
        sentence, status = told(error, self._frame.language())
        return self._page(sentence, status)

    def failed(self, error: HTTPException) -> tuple[str, HTTPStatus]:
        """What Flask refuses by itself, or what broke: nothing of its own words is shown."""
        status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        self._frame.tally.add(status.phrase.lower().replace(" ", "-"))
        return self._page(self._frame.language().text(SENTENCES.get(status, NOT_UNDERSTOOD)), status)

    def _page(self, sentence: str, status: HTTPStatus) -> tuple[str, HTTPStatus]:
        # The guard itself may have refused, before it knew who is there.
        g.setdefault("signed", None)
        return self._frame.show("error.html", TITLES.get(status, REFUSED), sentence=sentence), status


def told(error: StbError, words: Language) -> tuple[str, HTTPStatus]:
    """A refusal as a page tells it: its sentence and its status; a database's own words stay in the log."""
    if isinstance(error, MissingRowError):
        return words.refusal(error), HTTPStatus.NOT_FOUND
    if isinstance(error, StorageError):
        log.error("storage: %s", error)
        sentence = words.text("The database did not take it; nothing was changed.")
        return sentence, HTTPStatus.SERVICE_UNAVAILABLE
    status = error.status if isinstance(error, RefusedError) else HTTPStatus.BAD_REQUEST
    return words.refusal(error), status

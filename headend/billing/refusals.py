"""What the named line is refused for: one class a reason, with its stable name and status."""

from http import HTTPStatus

from headend.kit.http import RefusedError


class UnknownBoxError(RefusedError):
    """No box of that id is enrolled here."""

    name = "unknown-box"
    status = HTTPStatus.FORBIDDEN


class WrongSignatureError(RefusedError):
    """The signature is not that box's."""

    name = "bad-signature"
    status = HTTPStatus.FORBIDDEN


class NoPositionError(RefusedError):
    """It cannot be told where in a chain this belongs."""

    name = "no-chain-position"


class BoxMismatchError(RefusedError):
    """The message speaks for another box than the one that signed it."""

    name = "box-mismatch"
    status = HTTPStatus.FORBIDDEN


class UnknownEpochError(RefusedError):
    """This epoch was never issued to that box."""

    name = "unknown-epoch"
    status = HTTPStatus.CONFLICT


class EquivocationError(RefusedError):
    """Another message with this identity is stored already; this one is kept as evidence."""

    name = "equivocation"
    status = HTTPStatus.CONFLICT


class ForkError(RefusedError):
    """The message does not follow the stored one; it is kept as evidence."""

    name = "fork"
    status = HTTPStatus.CONFLICT


class UnknownCodeError(RefusedError):
    """The enrolment code is unknown, expired, ended or used by another key."""

    name = "unknown-code"
    status = HTTPStatus.FORBIDDEN


class NotReportingError(RefusedError):
    """Another box of this household reports this week, or none does."""

    name = "not-reporting-box"
    status = HTTPStatus.FORBIDDEN


class WrongWeekError(RefusedError):
    """Tokens are issued during their week only."""

    name = "wrong-week"
    status = HTTPStatus.CONFLICT


class WeekHeldError(RefusedError):
    """The headend was restored within that week, and signs nothing new for it."""

    name = "week-held"
    status = HTTPStatus.CONFLICT


class UndeclaredMeasureError(RefusedError):
    """The directory of that week takes no such measure."""

    name = "undeclared-measure"


class WrongTokenKeyError(RefusedError):
    """The request is for another key than the measure's of that week."""

    name = "wrong-token-key"


class QuotaError(RefusedError):
    """The account's tokens of this measure and week have been issued."""

    name = "quota-exhausted"
    status = HTTPStatus.CONFLICT


class NotPublishedError(RefusedError):
    """Nothing has been published there."""

    name = "not-published"
    status = HTTPStatus.NOT_FOUND


class UnknownKeyError(RefusedError):
    """No key that still holds was presented."""

    name = "unknown-key"
    status = HTTPStatus.UNAUTHORIZED


class ScopeError(RefusedError):
    """The key does not reach this far."""

    name = "out-of-scope"
    status = HTTPStatus.FORBIDDEN


class NoSuchBatchRefusal(RefusedError):  # noqa: N818 (headend.billing.exports has the error of that name)
    """No batch of that number has been closed."""

    name = "no-such-batch"
    status = HTTPStatus.NOT_FOUND


class NoSuchFormatRefusal(RefusedError):  # noqa: N818 (headend.billing.formats has the error of that name)
    """Batches are not written in that format."""

    name = "no-such-format"
    status = HTTPStatus.NOT_FOUND


class WrongHashError(RefusedError):
    """The hash is not that of the batch; nothing was recorded."""

    name = "wrong-hash"
    status = HTTPStatus.CONFLICT


class BatchChangedRefusal(RefusedError):  # noqa: N818 (headend.billing.formats has the error of that name)
    """The batch's entries are not those that were closed; past the tax period they are emptied."""

    name = "batch-changed"
    status = HTTPStatus.GONE


class UnwritableBatchError(RefusedError):
    """The batch cannot be written in that format as the installation stands; it may lack a seller."""

    name = "unwritable-batch"
    status = HTTPStatus.CONFLICT

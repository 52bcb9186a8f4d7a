"""The formats that there are: every module of this package but this one is a format, and says so in `FORMAT`.

To add a format, add its file; the command line, the pull interface and the signed list of files take it up.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from headend.billing import formats as package
from headend.billing.rows import Batch
from headend.billing.store import BillingTx
from headend.disclosure import Kind
from shared.errors import StbError


class NoSuchFormatError(StbError):
    """Batches are not written in a format of that name."""


class BadFormatError(StbError):
    """A file among the formats does not say what format it is, or takes another's name or suffix."""


class BatchChangedError(StbError):
    """A batch cannot be rendered as it was closed: its entries are not those that were closed.

    What is past the tax period is emptied for ever; anything else has been tampered with.
    """


@dataclass(frozen=True)
class Format:
    """One format: its name, the suffix of its files, what HTTP calls it, and how a batch is written in it.

    `render` gives the file in pieces, the same bytes whenever it is asked for, and raises BatchChangedError
    at the latest instead of ending. `kind` is what it is to the disclosure table.
    """

    name: str
    suffix: str
    content_type: str
    render: Callable[[BillingTx, Batch], Iterator[bytes]]
    kind: Kind = Kind.EXPORT_BATCH


@cache
def formats() -> dict[str, Format]:
    """Every format by its name, in order of names.

    Raises:
        BadFormatError: a file says nothing, or two say the same.
    """
    names = sorted(module.name for module in iter_modules(package.__path__))
    found = [_format_in(name) for name in names if name != "registry"]
    if min(len({one.name for one in found}), len({one.suffix for one in found})) != len(found):
        raise BadFormatError("two formats have the same name or suffix")
    return {one.name: one for one in sorted(found, key=lambda one: one.name)}


def _format_in(name: str) -> Format:
    found = getattr(import_module(f"{package.__name__}.{name}"), "FORMAT", None)
    if not isinstance(found, Format):
        raise BadFormatError(f"{name} is among the formats, and has no FORMAT")
    return found


def format_named(name: str) -> Format:
    """One format.

    Raises:
        NoSuchFormatError: there is none of that name.
    """
    if name not in formats():
        raise NoSuchFormatError(f"no format {name!r}; there are {', '.join(formats())}")
    return formats()[name]

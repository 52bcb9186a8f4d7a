"""Records for the rooms that an agent starts with. They import no `typing`, `dataclasses` or `msgspec`.

Each of those costs between a third and three times what Python's own start does, and the first event of a
box that has just got power must not wait for them. A type checker sees `typing.NamedTuple` here.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class _Fields(type):
        """Makes a named tuple of a class body's annotations, defaults and methods."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, object]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = tuple(body["__annotations__"])
            defaults = [body.pop(field) for field in fields if field in body]
            plain = namedtuple(name, fields, defaults=defaults, module=body["__module__"])  # noqa: PYI024 (that is what it is)
            return type(name, (plain,), body | {"__slots__": ()})

    class NamedTuple(metaclass=_Fields):
        """What `typing.NamedTuple` is, as far as this package uses it."""


__all__ = ["NamedTuple"]

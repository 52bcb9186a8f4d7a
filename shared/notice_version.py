"""The version of the notice that this package carries, where nothing else has to be read to know it."""

_VERSION = 2


def notice_version() -> int:
    """The version of the notice that a consent refers to; the register's file has to say the same."""
    return _VERSION

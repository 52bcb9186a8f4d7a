"""The root of every error that this project raises on purpose."""


class StbError(Exception):
    """Something was refused or could not be done; the message says what, in words for a person."""

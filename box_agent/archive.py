"""A household's archive as a file: whole or not at all, and for its owner's eyes only."""

import json
import os
from pathlib import Path

from shared.errors import StbError

STDOUT = "-"


class CannotWriteError(StbError):
    """The file cannot be written; what stood there stands there still."""


def write_archive(path: Path, archive: object) -> None:
    """Write an archive (see `Owner.archive`) durably, mode 0600.

    Raises:
        CannotWriteError: the disk is full, or the folder is not there or takes no writing.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(as_text(archive))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CannotWriteError(f"{path}: {error.strerror}") from error


def as_text(archive: object) -> str:
    """An archive as it is written: JSON that a person can read, too."""
    return json.dumps(archive, indent=2, ensure_ascii=False) + "\n"

"""A folder of its own for some sides of an installation, so that another user, or machine, serves them apart.

It holds the settings, those sides' databases and keys, and the public halves of the keys that the others
sign with. What it has stands in its file `sides`; whoever opens another side in it is refused.
"""

import os
import shutil
from pathlib import Path

from headend.backup import copy_database
from headend.installation import BILLING_KEY, CATALOGUE_KEY, DIRECTORY_KEY, SETTINGS, SIDES_FILE, Installation
from headend.kit.files import write_file
from shared.errors import StbError

EXCHANGE = "exchange"
"""What makes the directory: the root key alone, no database."""
FOLDERS = {"billing": "totals", "analytics": "releases"}
PUBLIC = 0o644


class ApartError(StbError):
    """A folder could not be made; the message says why."""


def set_apart(installation: Installation, target: Path, sides: tuple[str, ...]) -> None:
    """Make the new folder `target` with these sides, or with `exchange` alone.

    The installation stays as it is, and must not be served any more: its copy goes on.

    Raises:
        ApartError: `target` stands already.
        InstallationError: the installation is being served.
    """
    lock = installation.lock()
    try:
        target.mkdir(parents=True, mode=0o700)
    except FileExistsError as error:
        raise ApartError(f"{target} stands already") from error
    finally:
        os.close(lock)
    shutil.copy2(installation.folder / SETTINGS, target / SETTINGS)
    keys = target / "keys"
    keys.mkdir()
    for key in (DIRECTORY_KEY, CATALOGUE_KEY, BILLING_KEY):
        write_file(keys / f"{key[1]}.pub", f"{installation.public_text(key)}\n".encode(), PUBLIC)
    if sides == (EXCHANGE,):
        _copy(installation.folder / "keys" / "root", keys / "root")
    for side in sides:
        _copy(installation.keys_of(side), keys / side)
        if installation.database(side).exists():
            copy_database(installation.database(side), target / installation.database(side).name)
        _copy(installation.folder / FOLDERS.get(side, side), target / FOLDERS.get(side, side))
    write_file(target / SIDES_FILE, f"{','.join(sides)}\n".encode(), PUBLIC)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir() and not target.exists():
        shutil.copytree(source, target)

"""The folder: its settings, its keys and who may read them, and whether it is being served."""

import fcntl
import stat
from datetime import timedelta
from pathlib import Path

from headend.doctor.findings import Answer, broken, fine, warning
from headend.doctor.patient import Patient
from headend.installation import BILLING_KEY, CATALOGUE_KEY, DIRECTORY_KEY

OF_OTHERS = 0o077
SHOWN = 3
BACKUP_DUE = timedelta(hours=36)


def settings(patient: Patient) -> Answer:
    """The settings can be read, and make sense."""
    found = patient.installation.settings
    kind = "simulated" if found.simulated else "real"
    return fine(f"a {kind} installation of profile {found.profile}, {found.zone}, from {found.first_week}")


def folder_mode(patient: Patient) -> Answer:
    """Nobody but the owner may put other files in place of these."""
    mode = patient.folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        return broken("anybody may replace files in the folder", f"chmod o-w {patient.folder}")
    return fine(f"the folder has mode {stat.S_IMODE(mode):04o}")


def database_modes(patient: Patient) -> Answer:
    """Nobody but the owner may read the databases: the files are 0600, or the folder is closed to others."""
    if not patient.folder.stat().st_mode & OF_OTHERS:
        return fine("the databases stand in a folder that is its owner's alone")
    files = [path for path in sorted(patient.folder.glob("*.db*")) if path.stat().st_mode & OF_OTHERS]
    if files:
        return broken(
            f"others may read or write {', '.join(path.name for path in files[:SHOWN])}",
            f"chmod go= {patient.folder} {patient.folder}/*.db*",
        )
    return fine("database files are for their owner alone")


def key_modes(patient: Patient) -> Answer:
    """Private keys are for their owner alone: folders 0700, files 0600."""
    open_to_others = [
        path
        for side in _key_folders(patient)
        for path in (side, *sorted(side.rglob("*")))
        if path.stat().st_mode & OF_OTHERS
    ]
    if open_to_others:
        names = ", ".join(str(path.relative_to(patient.folder)) for path in open_to_others[:SHOWN])
        return broken(
            f"others may read {names}",
            f"chmod -R go= {patient.folder}/keys/*/; if anybody has, the keys have to be replaced",
        )
    return fine("keys are for their owners alone")


def owners(patient: Patient) -> Answer:
    """Keys, databases and locks belong to whom the folder belongs to, who serves it."""
    folder = patient.folder
    made = [
        *sorted((folder / "keys").rglob("*")),
        *sorted(folder.glob("*.db*")),
        *sorted(folder.glob("*lock")),
    ]
    strange = [path for path in made if path.stat().st_uid != folder.stat().st_uid]
    if strange:
        names = ", ".join(str(path.relative_to(folder)) for path in strange[:SHOWN])
        return broken(
            f"another user's than the folder: {names}",
            f"chown -R --reference={folder} {folder}; and run commands as that user",
        )
    return fine("keys, databases and locks belong to whom the folder belongs to")


def keys_present(patient: Patient) -> Answer:
    """The keys that are made once are there, and are of their kind."""
    wanted = [DIRECTORY_KEY] if patient.has("billing", "analytics") else []
    wanted += [CATALOGUE_KEY, BILLING_KEY] if patient.has("billing") else []
    for key in wanted:
        patient.installation.key(key)
    return fine(f"{len(wanted)} signing keys can be read")


def backed_up(patient: Patient) -> Answer:
    """A backup was made since the night before last."""
    at = patient.installation.backed_up()
    again = f"systemctl start stb-backup, or headend backup {patient.folder}; of several nodes one is enough"
    if at is None:
        return warning("no backup has been made from this folder", again)
    if patient.now - at > BACKUP_DUE:
        return warning(f"the newest backup is of {at:%Y-%m-%d %H:%M} UTC", again)
    return fine(f"a backup was made on {at:%Y-%m-%d %H:%M} UTC")


def served(patient: Patient) -> Answer:
    """Whether a process holds the installation now."""
    # What several nodes may serve each of them holds shared: then only who asks for it alone is refused.
    how = fcntl.LOCK_EX if patient.installation.is_shared else fcntl.LOCK_SH
    locks = [path for path in sorted(patient.folder.glob("*lock")) if _held(path, how)]
    if not locks:
        return warning("nobody serves it now", f"headend serve {patient.folder}")
    return fine(f"it is being served ({', '.join(path.name for path in locks)})")


def _held(path: Path, how: int) -> bool:
    with path.open("rb") as file:
        try:
            # At once let go: whoever starts to serve tries again for ten seconds.
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _key_folders(patient: Patient) -> list[Path]:
    return [path for path in sorted((patient.folder / "keys").iterdir()) if path.is_dir()]

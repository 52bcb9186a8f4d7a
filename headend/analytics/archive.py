"""Releases as files beside the database, so that a database restored from backup draws no week again."""

from pathlib import Path
from typing import NamedTuple

from headend.analytics.store import AnalyticsStore, StoredRelease
from headend.kit.files import write_file, write_once
from shared.weeks import Week

_MANIFEST = ".manifest.json"
_TABLE = ".table.json"
_PUBLIC = 0o644


class Found(NamedTuple):
    """What the archive has of a week; the table may be lost."""

    manifest: bytes
    table: bytes | None


class ReleaseArchive:
    """A folder with `<week>.manifest.json` and `<week>.table.json` of every release ever drawn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: set[Week] = set()

    def find(self, week: Week) -> Found | None:
        """The week's manifest, and its table if that is there; None if the week was never drawn."""
        manifest, table = self._folder / f"{week}{_MANIFEST}", self._folder / f"{week}{_TABLE}"
        if not manifest.exists():
            return None
        return Found(manifest.read_bytes(), table.read_bytes() if table.exists() else None)

    def keep_all(self, store: AnalyticsStore) -> None:
        """Write the files of every release of the store that are not here."""
        for week in store.release_weeks():
            if week not in self._kept:
                release = store.release(week)
                if release is not None:
                    self.keep(release)
                self._kept.add(week)

    def keep(self, release: StoredRelease) -> None:
        """Write a release's files, durably; a release that is there already stays as it is."""
        if (self._folder / f"{release.week}{_MANIFEST}").exists():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        write_file(self._folder / f"{release.week}{_TABLE}", release.table, _PUBLIC)
        # The manifest comes last, for it stands for the whole; the first one stays.
        write_once(self._folder / f"{release.week}{_MANIFEST}", release.manifest, _PUBLIC)

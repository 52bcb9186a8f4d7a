"""Which Debian programs these tests need: without them they are skipped, but not under CI."""

import os
import shutil
from pathlib import Path

import pytest

KODI = next(Path("/usr/lib").glob("*/kodi/kodi.bin"), Path("kodi.bin"))
ADDON = Path("/usr/share/kodi/addons/pvr.iptvsimple")


def require():
    """Skip where Kodi, its television add-on, a virtual screen or ffmpeg is missing; fail under CI."""
    missing = [name for name in ("Xvfb", "ffmpeg") if shutil.which(name) is None]
    missing += [path.name for path in (KODI, ADDON) if not path.exists()]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"not here: {', '.join(missing)}")
    assert missing == []

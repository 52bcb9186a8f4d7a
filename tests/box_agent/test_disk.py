import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_on_a_disk_that_fills_up_and_turns_read_only_no_order_is_lost_and_none_is_answered_yes_in_vain(
    tmp_path: Path,
) -> None:
    unshare = shutil.which("unshare")
    if os.geteuid() != 0 or unshare is None:
        pytest.skip("mounting a disk takes root")
    if subprocess.run([unshare, "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespace to be had here")
    command = [unshare, "-m", sys.executable, "-m", "tests.box_agent.on_a_small_disk", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "nothing lost" in done.stdout

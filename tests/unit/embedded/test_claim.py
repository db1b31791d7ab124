"""A state folder has one user at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.embedded.claim import FolderNotUsable, claimed

HOLD = (
    "import sys; from pathlib import Path; from pipeline.embedded.claim import claimed\n"
    "with claimed(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


def test_claim_makes_the_folder_and_ends_with_its_block(tmp_path: Path) -> None:
    """The same folder can be claimed again and again, one after the other."""
    folder = tmp_path / "new" / "state"
    for _ in range(2):
        with claimed(folder):
            assert folder.is_dir()


def test_claimed_folder_is_refused_to_others_until_its_owner_dies(tmp_path: Path) -> None:
    """The refusal names the folder and the process; an owner that is killed leaves no claim behind."""
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(FolderNotUsable, match=rf"^{tmp_path}: is in use by the process {owner.pid}; stop that"):
            claimed(tmp_path).__enter__()
        owner.kill()
    with claimed(tmp_path):
        pass


def test_folder_that_cannot_be_made_is_named_with_the_reason(tmp_path: Path) -> None:
    """A file is in the way."""
    (tmp_path / "file").touch()
    with pytest.raises(FolderNotUsable, match=rf"^{tmp_path}/file: must be a folder that can be written to: File exis"):
        claimed(tmp_path / "file").__enter__()

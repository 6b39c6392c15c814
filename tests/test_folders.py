import os
import stat

import pytest

from mgdemo import folders
from mgdemo.folders import FolderError, private_folder, temporary_folder
from mgdemo.settings import Settings


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there are no user ids here")
def test_two_people_on_one_machine_have_two_folders(monkeypatch):
    monkeypatch.setattr(os, "getuid", lambda: 1001)
    mine = Settings().record_dir
    monkeypatch.setattr(os, "getuid", lambda: 1002)
    assert Settings().record_dir != mine and mine.name == "mgdemo-sessions-1001"


def test_nobody_else_may_read_a_private_folder(tmp_path):
    folder = private_folder(tmp_path / "a" / "b", "SOME_VARIABLE")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert private_folder(folder, "SOME_VARIABLE") == folder and not list(folder.iterdir())


def test_a_folder_that_cannot_be_written_names_the_variable(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match=r"cannot be written \(.*\): set MGDEMO_RECORD_DIR to a folder"):
        private_folder(tmp_path / "file" / "inside", "MGDEMO_RECORD_DIR")

    def refused(**options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(folders.tempfile, "TemporaryFile", refused)  # root may write anywhere
    with pytest.raises(FolderError, match="Permission denied"):
        private_folder(tmp_path, "MGDEMO_RECORD_DIR")


def test_a_temporary_folder_carries_its_user():
    assert temporary_folder("uploads").name.startswith("mgdemo-uploads-")

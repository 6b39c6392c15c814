import importlib
import shutil
from pathlib import Path

import pytest

from mgdemo import paths


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The module as it is in an installed package."""
    folder = tmp_path / "site-packages" / "mgdemo"
    (folder / "data" / "configs").mkdir(parents=True)
    shutil.copy(paths.__file__, folder / "paths.py")
    spec = importlib.util.spec_from_file_location("installed_paths", folder / "paths.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.delenv("MGDEMO_CHECKPOINTS", raising=False)
    return module


def test_an_installed_package_finds_its_data_and_keeps_weights_in_the_users_cache(
    installed, tmp_path, monkeypatch
):
    assert tmp_path / "site-packages" / "mgdemo" / "data" / "configs" == installed.CONFIGS
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert installed.checkpoint_folder() == tmp_path / "cache" / "mgdemo" / "checkpoints"


def test_a_checkout_keeps_weights_beside_the_program(monkeypatch):
    monkeypatch.delenv("MGDEMO_CHECKPOINTS", raising=False)
    assert paths.checkpoint_folder() == Path(__file__).resolve().parent.parent / "checkpoints"
    monkeypatch.setenv("MGDEMO_CHECKPOINTS", "~/weights")
    assert paths.checkpoint_folder() == Path.home() / "weights"


def test_a_user_without_a_home_has_a_cache_among_temporary_files(installed, monkeypatch):
    def homeless(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "expanduser", homeless)
    folder = installed.checkpoint_folder()
    assert folder.name == "checkpoints" and folder.parent.name.startswith("mgdemo-cache-")

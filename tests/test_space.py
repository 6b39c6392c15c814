"""`mgdemo space push`: what goes to the Hub, and what is said if it cannot; storage of a Space."""

from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError
from huggingface_hub.utils import filter_repo_objects

from mgdemo import cli, folders
from mgdemo.paths import ROOT, checkpoint_folder
from mgdemo.settings import Settings


@pytest.fixture
def hub(monkeypatch):
    """What the Hub was asked for, by the method."""
    asked = {}

    def create_repo(self, name, **options):
        asked["create"] = {"name": name, **options}
        return f"https://huggingface.co/spaces/{name}"

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", lambda self, **options: asked.update(upload=options))
    return asked


def listed(capsys) -> dict[str, int]:
    """The sizes of the files that a dry run has printed, and its last line under ""."""
    assert cli.main(["space", "push", "ann/worlds", "--dry-run"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    sizes = {name: int(size.replace(",", "")) for size, name in (line.split(maxsplit=1) for line in lines)}
    assert last == f"{len(lines)} files, {sum(sizes.values()) / 1e6:.0f} MB, would go to ann/worlds."
    return sizes


def test_a_dry_run_lists_what_would_go_and_asks_nobody(hub, capsys):
    sizes = listed(capsys)
    assert {"app.py", "README.md", "requirements.txt", "mgdemo/ui/player/player.js"} <= set(sizes)
    assert any(name.startswith("worlds/") and name.endswith(".safetensors") for name in sizes)
    tops = {name.split("/")[0] for name in sizes}
    assert not tops & {"tests", "training", "benchmarks", ".git", ".venv", "outputs", "checkpoints", ".env"}
    assert not any("__pycache__" in name for name in sizes)
    assert sizes["app.py"] == (ROOT / "app.py").stat().st_size
    assert hub == {}


def test_what_is_sent_is_what_a_dry_run_lists(hub, capsys):
    names = set(listed(capsys))
    assert cli.main(["space", "push", "ann/worlds", "--private", "--hardware", "t4-small"]) == 0
    assert capsys.readouterr().out == "It is at https://huggingface.co/spaces/ann/worlds.\n"
    made, sent = hub["create"], hub["upload"]
    assert (made["name"], made["private"], made["space_hardware"]) == ("ann/worlds", True, "t4-small")
    assert made["space_sdk"] == "gradio" and made["exist_ok"]
    assert (sent["repo_id"], sent["repo_type"], sent["folder_path"]) == ("ann/worlds", "space", ROOT)
    there = {Path(name).parts[0] for name in names} | {"tests", "Makefile", ".gitignore"}
    files = [
        file.relative_to(ROOT).as_posix()
        for top in there
        for file in (ROOT / top, *(ROOT / top).rglob("*"))
        if file.is_file()
    ]
    patterns = {"allow_patterns": sent["allow_patterns"], "ignore_patterns": sent["ignore_patterns"]}
    assert set(filter_repo_objects(files, **patterns)) == names


def refusal(status):
    request = httpx.Request("POST", "https://huggingface.co")
    return HfHubHTTPError("no", response=httpx.Response(status, request=request))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (LocalTokenNotFoundError("no token"), "You are not logged in: run `hf auth login`"),
        (refusal(401), "The Hub does not know you: run `hf auth login`"),
        (refusal(402), "The Hub wants a payment method for this hardware"),
        (refusal(403), "You may not write to ann/worlds: give a name of your own"),
        (refusal(500), "refused ann/worlds with status 500"),
        (httpx.ConnectError("no route"), "The Hub cannot be reached (no route): try again."),
    ],
)
def test_a_refusal_is_a_sentence_with_a_cure(hub, monkeypatch, capsys, error, words):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(HfApi, "create_repo", refuse)
    assert cli.main(["space", "push", "ann/worlds"]) == 2
    assert words in capsys.readouterr().err


def test_a_space_with_storage_keeps_recordings_and_weights_there(monkeypatch, tmp_path):
    monkeypatch.setattr(folders, "DATA", tmp_path)
    monkeypatch.delenv("MGDEMO_CHECKPOINTS", raising=False)
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert Settings().record_dir.parent != tmp_path != checkpoint_folder().parent
    monkeypatch.setenv("SPACE_ID", "ann/worlds")
    assert (Settings().record_dir, checkpoint_folder()) == (tmp_path / "sessions", tmp_path / "checkpoints")
    monkeypatch.setattr(folders, "DATA", tmp_path / "none")
    assert Settings().record_dir.name.startswith("mgdemo-sessions-"), "without storage"

"""`mgdemo space push`: what goes to the Hub, and what is said if it cannot; storage of a Space."""

from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import yaml
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from mgdemo import cli, folders
from mgdemo.checkpoints import PARTS, configs, resolve
from mgdemo.paths import ROOT, checkpoint_folder
from mgdemo.settings import Settings


@pytest.fixture
def hub(monkeypatch):
    """What the Hub was asked for, by the method; `hardware` is what the Space has."""
    asked = {}
    space = SimpleNamespace(hardware=None, requested_hardware=None)

    def create_repo(self, name, **options):
        asked["create"] = {"name": name, **options}
        return f"https://huggingface.co/spaces/{name}"

    def upload_folder(self, folder_path, **options):
        sent = {file: file.read_bytes() for file in Path(folder_path).rglob("*") if file.is_file()}
        named = {file.relative_to(folder_path).as_posix(): content for file, content in sent.items()}
        asked["upload"] = {**options, "files": named}

    monkeypatch.setattr(HfApi, "create_repo", create_repo)
    monkeypatch.setattr(HfApi, "upload_folder", upload_folder)
    monkeypatch.setattr(HfApi, "get_space_runtime", lambda self, name: space)
    return SimpleNamespace(asked=asked, space=space)


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
    assert hub.asked == {}


def test_what_is_sent_is_what_a_dry_run_lists(hub, capsys):
    names = set(listed(capsys))
    assert cli.main(["space", "push", "ann/worlds", "--private", "--hardware", "t4-small"]) == 0
    assert capsys.readouterr().out == "It is at https://huggingface.co/spaces/ann/worlds.\n"
    made, sent = hub.asked["create"], hub.asked["upload"]
    assert (made["name"], made["private"], made["space_hardware"]) == ("ann/worlds", True, "t4-small")
    assert made["space_sdk"] == "gradio" and made["exist_ok"]
    assert (sent["repo_id"], sent["repo_type"]) == ("ann/worlds", "space")
    assert set(sent["files"]) == names
    for name in names - {"README.md"}:
        assert sent["files"][name] == (ROOT / name).read_bytes(), name


def pushed(hub, *options):
    """The card of a Space after a push: its head, and the text below."""
    assert cli.main(["space", "push", "ann/worlds", *options]) == 0
    _, head, text = hub.asked["upload"]["files"]["README.md"].decode().split("---\n", 2)
    return yaml.safe_load(head), text


def test_the_card_of_a_cpu_space_has_a_thumbnail_that_is_there_and_fetches_no_weights(hub):
    for hub.space.hardware in (None, "cpu-basic", "cpu-upgrade"):
        head, text = pushed(hub)
        start = "https://huggingface.co/spaces/ann/worlds/resolve/main/"
        assert head["thumbnail"].startswith(start)
        assert head["thumbnail"].removeprefix(start) in hub.asked["upload"]["files"]
        assert "preload_from_hub" not in head, "the worlds that ship need none of their many GB"
        _, ours, below = (ROOT / "README.md").read_text("utf-8").split("---\n", 2)
        assert head == yaml.safe_load(ours) | {"thumbnail": head["thumbnail"]} | (
            {"suggested_hardware": hub.space.hardware} if hub.space.hardware else {}
        )
        assert text == below


def test_a_gpu_space_fetches_the_published_weights_as_it_is_built(hub, monkeypatch, tmp_path):
    asked_for = pushed(hub, "--hardware", "t4-small")[0]
    hub.space.requested_hardware = "zero-a10g"
    there_already = pushed(hub)[0]
    assert (asked_for["suggested_hardware"], there_already["suggested_hardware"]) == ("t4-small", "zero-a10g")
    assert asked_for["preload_from_hub"] == there_already["preload_from_hub"]
    fetched = set()
    for repo, files, revision in (line.split(" ") for line in asked_for["preload_from_hub"]):
        snapshot = tmp_path / f"models--{repo.replace('/', '--')}" / "snapshots" / revision
        for file in files.split(","):  # as the Hub's library keeps them
            (snapshot / file).parent.mkdir(parents=True, exist_ok=True)
            (snapshot / file).touch()
            fetched.add(snapshot / file)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("MGDEMO_CHECKPOINTS", str(tmp_path / "none"))
    found = [resolve(config.name) for config in configs() if not config.embedded]
    assert found and {getattr(each, part) for each in found for part in PARTS} == fetched


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

import errno
import hashlib
import json
import re
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from mgdemo import checkpoints
from mgdemo import download as module
from mgdemo.checkpoints import PARTS, CheckpointError, resolve
from mgdemo.config import load_config
from mgdemo.download import download
from mgdemo.paths import CONFIGS

REPO = "Skywork/Matrix-Game-2.0"
VAE, CLIP = "Wan2.1_VAE.pth", "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth"
UNIVERSAL = "base_distilled_model/base_distill.safetensors"
DRIVING = "gta_distilled_model/gta_keyboard2dim.safetensors"
FILES = {
    UNIVERSAL: b"universal" * 9000,
    DRIVING: b"driving" * 9000,
    VAE: b"vae" * 9000,
    CLIP: b"clip" * 9000,
    "README.md": b"not needed",
}


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as a download speaks to.

    `asked`: (path, first byte) of every file request; `cut_after`: bytes of a file until the line is cut.
    """

    files, asked, revisions, status, cut_after = FILES, [], [], 200, None

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length).decode()
        repo, _, revision = self.path.removeprefix("/api/models/").partition("/paths-info/")
        assert repo == REPO
        self.revisions.append(revision)
        if self.status != 200:
            self.answer(self.status, b"no", {"X-Error-Message": "Invalid credentials"})
            return
        self.answer(200, json.dumps([self.info(f) for f in self.files if self.quoted(f) in body]).encode())

    def quoted(self, file):
        from urllib.parse import quote_plus

        return quote_plus(file)

    def info(self, file):
        content = self.files[file]
        digest = hashlib.sha256(FILES[file]).hexdigest()
        lfs = {"oid": digest, "size": len(content), "pointerSize": 100}
        return {"type": "file", "path": file, "size": len(content), "oid": digest[:40], "lfs": lfs}

    def do_GET(self):
        start = f"/{REPO}/resolve/"
        if self.path.startswith(start):  # as for all large files
            revision, _, file = self.path.removeprefix(start).partition("/")
            self.revisions.append(revision)
            self.answer(302, b"", {"Location": f"/store/{file}"})
            return
        file = self.path.removeprefix("/store/")
        start = int(re.match(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        self.asked.append((file, start))
        body = self.files[file][start:]
        sent = body if self.cut_after is None else body[: max(0, self.cut_after - start)]
        self.answer(206 if start else 200, sent, {"Content-Length": len(body)})
        self.close_connection = len(sent) < len(body)

    def answer(self, status, body, headers=()):
        self.send_response(status)
        for name, value in ({"Content-Length": len(body)} | dict(headers)).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    class Mine(Hub):
        files, asked, revisions = dict(FILES), [], []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    # The pinned hashes are those of the real files, which are not here.
    pinned = [config for config in checkpoints.configs() if not config.embedded]
    for config in pinned:
        files = {part: getattr(config.files, part) for part in PARTS}
        digests = {p: hashlib.sha256(FILES[f]).hexdigest() for p, f in files.items() if f in FILES}
        monkeypatch.setattr(config.files, "sha256", digests)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the client waits a second before each retry
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield Mine
    server.shutdown()
    server.server_close()


def test_only_the_files_of_the_mode_are_fetched_and_then_found(hub, tmp_path):
    said = []
    assert download(["gta_drive"], tmp_path, said.append) == tmp_path
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == {DRIVING, VAE, CLIP}
    assert all((tmp_path / file).read_bytes() == FILES[file] for file in (DRIVING, VAE, CLIP))
    assert said == [f"3 of 3 files to fetch from {REPO}, 0.0 GB"]
    assert resolve(tmp_path).config.mode == "gta_drive"


def test_what_is_there_is_not_fetched_again(hub, tmp_path):
    download(["gta_drive"], tmp_path)
    hub.asked.clear()
    said = []
    download(["gta_drive", "universal"], tmp_path, said.append)
    assert hub.asked == [(UNIVERSAL, 0)] and len(said) == 1
    download(["gta_drive", "universal"], tmp_path, said.append)
    assert len(hub.asked) == 1 and len(said) == 1


def test_a_cut_line_is_told_and_the_next_attempt_goes_on(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)
    hub.cut_after = 1200
    with pytest.raises(CheckpointError, match=r"run the same command again to resume") as error:
        download(["universal"], tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / UNIVERSAL).exists()
    hub.cut_after = None
    hub.asked.clear()
    download(["universal"], tmp_path)
    assert hub.asked[0] == (UNIVERSAL, 1000)
    assert (tmp_path / UNIVERSAL).read_bytes() == FILES[UNIVERSAL]
    assert not list(tmp_path.rglob("*.part"))


def test_a_part_that_got_too_long_begins_anew(hub, tmp_path):
    download(["universal"], tmp_path)
    (tmp_path / VAE).rename(tmp_path / f"{VAE}.{hashlib.sha256(FILES[VAE]).hexdigest()[:8]}.part")
    part = next(tmp_path.glob("*.part"))
    part.write_bytes(part.read_bytes() + b"too much")
    hub.asked.clear()
    download(["universal"], tmp_path)
    assert hub.asked == [(VAE, 0)] and (tmp_path / VAE).read_bytes() == FILES[VAE]


def test_a_damaged_file_is_removed_and_said(hub, tmp_path):
    hub.files[UNIVERSAL] = FILES[UNIVERSAL][:-1] + b"?"
    with pytest.raises(CheckpointError, match="arrived damaged and was removed; run the same command again"):
        download(["universal"], tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, r"refuses access .*\(401\): .* token"),
        (403, r"refuses access .*\(403\)"),
        (404, "has no Skywork"),
        (503, r"\(503\); run the same command again later"),
    ],
)
def test_refusals_name_the_cure(hub, tmp_path, status, said):
    hub.status = status
    with pytest.raises(CheckpointError, match=said) as error:
        download(["universal"], tmp_path)
    assert "\n" not in str(error.value)


def test_a_wrong_token_is_named(hub, tmp_path, monkeypatch):
    hub.status = 401
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(CheckpointError, match=r"the token in HF_TOKEN is wrong .* unset HF_TOKEN"):
        download(["universal"], tmp_path)


def test_a_file_that_the_repository_lost_is_named(hub, tmp_path):
    del hub.files[VAE]
    with pytest.raises(CheckpointError, match=f"no longer has {VAE}"):
        download(["universal"], tmp_path)


def test_without_a_line_the_sentence_says_what_else_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(CheckpointError, match=f"connection to the Hub failed .* copy the files of .*{REPO}"):
        download(["universal"], tmp_path)


def test_offline_mode_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    from huggingface_hub.utils import close_session

    close_session()
    try:
        with pytest.raises(CheckpointError, match="HF_HUB_OFFLINE is set"):
            download(["universal"], tmp_path)
    finally:
        monkeypatch.undo()
        close_session()


def test_too_little_space_is_told_before_anything_is_fetched(hub, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(CheckpointError, match=r"has 0\.0 GB free, but .*--to"):
        download(["universal"], tmp_path)
    assert not hub.asked


def test_a_disk_that_fills_up_and_a_folder_that_cannot_be_written_are_told(hub, tmp_path, monkeypatch):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"cannot be written .*--to"):
        download(["universal"], tmp_path / "file")
    monkeypatch.setattr(module, "http_get", full)
    with pytest.raises(CheckpointError, match="is full; make room"):
        download(["universal"], tmp_path)


def test_the_default_folder_is_where_checkpoints_are_looked_for(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("MGDEMO_CHECKPOINTS", str(tmp_path / "here"))
    download(["universal"])
    assert resolve("universal").transformer == tmp_path / "here" / UNIVERSAL


def test_the_pinned_revision_is_fetched_unless_another_is_asked_for(hub, tmp_path):
    pinned = load_config(CONFIGS / "universal.yaml").files
    assert re.fullmatch("[0-9a-f]{40}", pinned.revision) and set(pinned.sha256) == set(PARTS)
    download(["universal"], tmp_path / "pinned")
    assert set(hub.revisions) == {pinned.revision}
    hub.revisions.clear()
    download(["universal"], tmp_path / "newer", revision="main")
    assert set(hub.revisions) == {"main"}


def test_a_file_with_another_hash_than_the_pinned_one_is_refused(hub, tmp_path, monkeypatch):
    config = checkpoints.config_named("universal")
    monkeypatch.setitem(config.files.sha256, "vae", "0" * 64)
    with pytest.raises(CheckpointError, match=rf"another {re.escape(VAE)} than .*`--revision main`"):
        download(["universal"], tmp_path)
    assert not hub.asked
    download(["universal"], tmp_path, revision="main")
    assert resolve(tmp_path, mode="universal").vae == tmp_path / VAE

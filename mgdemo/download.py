"""Fetching published checkpoints from the Hugging Face Hub, into a folder laid out like the repository there.

The client library throws a partial file away when a download stops. Files of several GB deserve better, so
they grow here under a name of their own (`….part`) and every later attempt resumes where the last one ended.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, RepoFile, hf_hub_url
from huggingface_hub.errors import (
    HfHubHTTPError,
    HTTPError,  # pyright: ignore[reportPrivateImportUsage]
    OfflineModeIsEnabled,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers

from mgdemo.checkpoints import PARTS, CheckpointError, checkpoint_folder, configs
from mgdemo.hashes import file_sha256


@dataclass(frozen=True)
class _Source:
    repo: str
    revision: str


def download(
    modes: Iterable[str],
    to: Path | None = None,
    say: Callable[[str], None] = print,
    *,
    revision: str | None = None,
) -> Path:
    """Fetch what the published checkpoints of `modes` need into `to` (`checkpoint_folder()`), and return it.

    revision: a commit, branch or tag of the repositories; None takes the one that configs/ pins, and only
        files with the hashes that stand there.
    Files that are complete are left alone. Raises CheckpointError with a cure; what has arrived is kept.
    """
    folder = (to or checkpoint_folder()).expanduser()
    wanted: dict[_Source, dict[str, str | None]] = {}  # files and their hashes
    for files in (config.files for config in configs() if config.mode in modes and not config.embedded):
        source = _Source(files.repo, revision or files.revision)
        for part in PARTS:
            digest = None if revision else files.sha256.get(part)
            wanted.setdefault(source, {})[getattr(files, part)] = digest
    for source, files in wanted.items():
        try:
            _fetch(source, files, folder, say)
        except HfHubHTTPError as error:
            raise CheckpointError(_refusal(source, error.response.status_code)) from error
        except OfflineModeIsEnabled as error:
            raise CheckpointError("HF_HUB_OFFLINE is set, so nothing can be fetched; unset it.") from error
        except (HTTPError, OSError) as error:
            raise CheckpointError(_failure(error, folder, source.repo)) from error
    return folder


def _fetch(source: _Source, files: dict[str, str | None], folder: Path, say: Callable[[str], None]) -> None:
    infos = HfApi().get_paths_info(source.repo, list(files), revision=source.revision)
    on_hub = {info.path: info for info in infos if isinstance(info, RepoFile)}
    if gone := [file for file in files if file not in on_hub]:
        raise CheckpointError(
            f"{source.repo} no longer has {' and '.join(gone)}; correct configs/ to its new layout."
        )
    for file, digest in files.items():
        if digest and (lfs := on_hub[file].lfs) and lfs.sha256 != digest:
            raise CheckpointError(
                f"{source.repo} offers another {file} than the one that configs/ pins (SHA-256 "
                f"{lfs.sha256[:12]}…, not {digest[:12]}…). If you trust it, `--revision main` fetches it."
            )
    missing = [on_hub[file] for file in files if _size(folder / file) != on_hub[file].size]
    left = sum(info.size - min(_size(_part(folder, info)), info.size) for info in missing)
    folder.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(folder).free) < left:
        raise CheckpointError(
            f"{folder} has {free / 1e9:.1f} GB free, but {left / 1e9:.1f} GB are to come; make room, "
            "or choose another folder with --to."
        )
    if missing:
        say(f"{len(missing)} of {len(files)} files to fetch from {source.repo}, {left / 1e9:.1f} GB")
    for info in missing:
        _fetch_file(source, info, folder)


def _fetch_file(source: _Source, info: RepoFile, folder: Path) -> None:
    part, target = _part(folder, info), folder / info.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if _size(part) > info.size:
        part.unlink()
    with part.open("ab") as file:
        http_get(
            hf_hub_url(source.repo, info.path, revision=source.revision, endpoint=HfApi().endpoint),
            file,
            resume_size=file.tell(),
            headers=build_hf_headers(),
            expected_size=info.size,
            displayed_filename=info.path,
        )
    if info.lfs and file_sha256(part) != info.lfs.sha256:
        part.unlink()
        raise CheckpointError(f"{info.path} arrived damaged and was removed; run the same command again.")
    part.replace(target)


def _part(folder: Path, info: RepoFile) -> Path:
    """Where a file grows; named after its content too, so that a newer version starts over."""
    return folder / f"{info.path}.{info.blob_id[:8]}.part"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _refusal(source: _Source, status: int) -> str:
    if status in (401, 403):
        token = "the token in HF_TOKEN" if os.environ.get("HF_TOKEN") else "your access token, if any,"
        return (
            f"The Hub refuses access to {source.repo} ({status}): {token} is wrong or has no right to it; "
            "log in again with `hf auth login`, or unset HF_TOKEN, since public files need none."
        )
    if status == 404:
        return f"The Hub has no {source.repo} at revision {source.revision} (404); correct configs/."
    return f"The Hub answers with an error ({status}); run the same command again later to resume."


def _failure(error: Exception, folder: Path, repo: str) -> str:
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return f"The disk of {folder} is full; make room and run the same command again to resume."
    if isinstance(error, OSError) and error.errno:
        return f"{folder} cannot be written ({reason}); choose another folder with --to."
    return (
        f"The connection to the Hub failed ({reason}); run the same command again to resume, "
        f"or copy the files of {HfApi().endpoint}/{repo} into {folder} yourself."
    )

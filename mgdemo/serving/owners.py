"""Names that stand for visitors, in memory and beside recordings: no address can be read out of them."""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
from pathlib import Path

KEY = "owners.key"  # in the folder of recordings; without it, earlier recordings are nobody's
KEY_BYTES = 32
NAME_BYTES = 12

log = logging.getLogger(__name__)


class Owners:
    """For any thread. The key is made when it is first needed, and kept in the folder over restarts."""

    def __init__(self, folder: Path):
        self._path = folder / KEY
        self._key = b""
        self._lock = threading.Lock()

    def name(self, account: str) -> str:
        """What stands for an account, always the same; "" for "", which is nobody."""
        if not account:
            return ""
        with self._lock:
            self._key = self._key or self._kept()
        return hashlib.blake2b(account.encode(), key=self._key, digest_size=NAME_BYTES).hexdigest()

    def _kept(self) -> bytes:
        fresh = secrets.token_bytes(KEY_BYTES)
        try:
            self._path.parent.mkdir(0o700, parents=True, exist_ok=True)
            try:
                with self._path.open("xb") as file:
                    self._path.chmod(0o600)
                    file.write(fresh)
                return fresh
            except FileExistsError:
                kept = self._path.read_bytes()
                if len(kept) == KEY_BYTES:
                    return kept
                self._path.write_bytes(fresh)  # it was cut off
        except OSError:
            log.exception("%s cannot be kept: after a restart, recordings are nobody's.", self._path)
        return fresh

"""What a test asks of a device, in whichever process that is."""

import os
from pathlib import Path

from mgdemo.errors import UserError


def caller(device: str) -> tuple[str, str]:
    """The device, and the command line of the process that wants to know."""
    return device, Path(f"/proc/{os.getppid()}/cmdline").read_text()


def troubled(device: str) -> None:
    raise UserError(f"{device} is no good: use another.")

"""The logins that the page asks for, in a file of the operator's."""

from __future__ import annotations

from pathlib import Path

from mgdemo.errors import UserError


class LoginsError(UserError):
    """A file of logins that cannot be used; the message names the cure."""


def read_logins(path: Path) -> list[tuple[str, str]]:
    """Names and passwords: a line NAME:PASSWORD for each; empty lines, and those that begin with #, are left
    out. Raises LoginsError.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise LoginsError(
            f"{path} cannot be read ({error.strerror}): give another file (--auth, MGDEMO_AUTH)."
        ) from None
    except UnicodeDecodeError:
        raise LoginsError(f"{path} is not UTF-8 text: save it as UTF-8.") from None
    logins = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        name, _, password = line.partition(":")
        if not name or not password:
            raise LoginsError(f"Line {number} of {path} is not a login: write NAME:PASSWORD.")
        logins.append((name, password))
    if not logins:
        raise LoginsError(f"{path} has no logins: write a line NAME:PASSWORD for each.")
    return logins

"""Requests that this server sends to itself for a visitor: so Gradio answers calls of MCP tools.

Such a request comes from this machine, with the headers that the visitor has sent. So the gate takes the
visitor's address along, in a header that nobody else can write.
"""

from __future__ import annotations

import secrets
from hmac import compare_digest

from starlette.types import Scope

HEADER, FORWARDED = b"x-mgdemo-visitor", b"x-forwarded-for"


class OnBehalf:
    """Knows the requests of this process by a secret."""

    def __init__(self):
        self._secret = secrets.token_hex(16).encode()

    def marked(self, scope: Scope) -> Scope:
        """A visitor's request, so that what the server asks itself for it counts as that visitor's."""
        host = (scope.get("client") or ("",))[0].encode()
        kept = [each for each in scope["headers"] if each[0] not in (HEADER, FORWARDED)]
        return {**scope, "headers": [*kept, (HEADER, self._secret + b" " + host)]}

    def unmarked(self, scope: Scope) -> Scope:
        """A request as that of the visitor for whom the server sends it, if it does."""
        marks = [value for name, value in scope["headers"] if name == HEADER]
        if not marks:
            return scope
        scope = {**scope, "headers": [each for each in scope["headers"] if each[0] != HEADER]}
        secret, _, host = marks[-1].partition(b" ")
        return {**scope, "client": (host.decode(), 0)} if compare_digest(secret, self._secret) else scope

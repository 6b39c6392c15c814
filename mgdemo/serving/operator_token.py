"""Who may see and change how the service is: whoever has the operator's token."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mgdemo.serving.budget import Budgets
from mgdemo.serving.visitors import network

WRONG, WRONG_SECONDS = 10, 60  # wrong tokens at once from one address; as many again after this time


class OperatorToken:
    """Travels in the header `Authorization: Bearer …`, which no other site's page can send. "" is no token.

    refused: called with the reason of each refusal, a word.
    """

    def __init__(self, token: str, refused: Callable[[str], None]):
        self._token, self._refused = token.encode(), refused
        self._wrong = Budgets(WRONG / WRONG_SECONDS, WRONG_SECONDS)

    def refusal(self, request: Request) -> Response | None:
        """The answer to a request without the token. After too many wrong ones, the right one does not help
        either, or whoever guesses would see which it is."""
        if not self._token:
            return None
        said = request.headers.get("authorization", "").removeprefix("Bearer ").encode("latin-1")
        visitor, now = network(request.client.host if request.client else ""), time.monotonic()
        if self._wrong.spent(visitor, now):
            return _answer("Too many wrong tokens came from your address: wait a minute.", 429)
        if hmac.compare_digest(said, self._token):
            return None
        if said:
            self._refused("token")
            self._wrong.take(visitor, now)
        return _answer("This needs the operator's token.", 401)


def _answer(error: str, status: int) -> Response:
    return JSONResponse({"error": error}, status, headers={"Cache-Control": "no-store"})

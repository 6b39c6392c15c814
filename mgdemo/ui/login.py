"""Who a visitor is, for limits: a login where there is one, else the address."""

from __future__ import annotations

import os
from importlib.util import find_spec

import gradio as gr
from gradio.context import LocalContext
from gradio.routes import App
from gradio.utils import get_space
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.status import WS_1008_POLICY_VIOLATION
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from mgdemo.errors import UserError
from mgdemo.serving import Settings, SettingsError
from mgdemo.serving.visitors import account, hub_login

NEEDED = "Log in with Hugging Face first: the button is at the top of the page."


class LoginNeeded(UserError):
    """What only visitors may do who are logged in; the message says how."""


def whose(visitor: gr.Request, settings: Settings) -> str:
    """What the sessions of a visitor are counted by. Raises LoginNeeded."""
    login = visitor.username or (_hub_login(visitor) if settings.login else None)
    if settings.login and not login:
        raise LoginNeeded(NEEDED)
    return account(visitor.client.host if visitor.client else "", login)


def whoever() -> str:
    """Whose event is being handled, logged in or not; "" outside of events."""
    visitor = LocalContext.request.get(None)
    if visitor is None:
        return ""
    return account(visitor.client.host if visitor.client else "", visitor.username or _hub_login(visitor))


def whose_request(connection: HTTPConnection) -> str:
    """Whose request or WebSocket it is, logged in or not, of a route that is not one of Gradio's."""
    host = connection.client.host if connection.client else ""
    return account(host, _password_login(connection) or hub_login(connection.scope))


class LoginCheck:
    """ASGI middleware that lets nobody pass without a login where the page asks for one (`--auth`).

    For routes of ours: Gradio checks its own alone.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asks = isinstance(scope["app"], App) and scope["app"].auth is not None
        if not asks or _password_login(HTTPConnection(scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).close(WS_1008_POLICY_VIOLATION)
        else:
            await JSONResponse({"error": "Log in first: load the page again."}, 401)(scope, receive, send)


def _password_login(connection: HTTPConnection) -> str | None:
    """Who has logged in at Gradio's form, by its cookie."""
    app = connection.scope["app"]
    if not isinstance(app, App):
        return None
    names = f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}"
    tokens = (connection.cookies.get(name) for name in names)
    return next((app.tokens[token] for token in tokens if token in app.tokens), None)


def _hub_login(visitor: gr.Request) -> str | None:
    return hub_login(visitor.request.scope) if visitor.request is not None else None


def login_button(settings: Settings) -> None:
    """In the current Gradio context, if the settings ask for it. Raises SettingsError.

    Elsewhere than on a Space, Gradio would take everybody for whoever is logged in on this machine.
    """
    if not settings.login:
        return
    if get_space() is None:
        raise SettingsError("MGDEMO_LOGIN=huggingface is for a Space; elsewhere give --auth FILE.")
    if not os.environ.get("OAUTH_CLIENT_ID"):
        raise SettingsError(
            "MGDEMO_LOGIN=huggingface needs the line hf_oauth: true in the head of the Space's README.md."
        )
    if find_spec("authlib") is None or find_spec("itsdangerous") is None:
        raise SettingsError("MGDEMO_LOGIN=huggingface needs two packages: pip install authlib itsdangerous.")
    gr.LoginButton("Log in with Hugging Face", "Log out ({})", size="sm", elem_classes="login")

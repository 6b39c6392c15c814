"""Who a visitor is, for limits: a login where there is one, else the address."""

from __future__ import annotations

import os
from importlib.util import find_spec

import gradio as gr
from gradio.context import LocalContext
from gradio.utils import get_space

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

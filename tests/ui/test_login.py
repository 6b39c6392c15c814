"""Logging in with Hugging Face: for real, with a stand-in for its server."""

import base64
import contextlib
import threading
import time
from urllib.parse import urlencode, urlsplit

import pytest
import uvicorn
from joserfc import jwk, jwt
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from devtools.web_process import Script, web_process
from mgdemo import ui
from mgdemo.serving import SessionService, Settings, SettingsError
from mgdemo.serving.visitors import hub_login
from mgdemo.ui.login import NEEDED

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@contextlib.contextmanager
def hub():
    """An OpenID provider that believes whoever says a name; its address."""
    key = jwk.RSAKey.generate_key(2048, {"kid": "1"})
    nonces = {}

    async def configuration(request):
        root = str(request.base_url).rstrip("/")
        return JSONResponse(
            {
                "issuer": root,
                "authorization_endpoint": f"{root}/authorize",
                "token_endpoint": f"{root}/token",
                "jwks_uri": f"{root}/keys",
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def authorize(request):
        query = request.query_params
        nonces[query["login"]] = query["nonce"]
        back = urlencode({"code": query["login"], "state": query["state"]})
        return RedirectResponse(f"{query['redirect_uri']}&{back}")

    async def token(request):
        name, root = (await request.form())["code"], str(request.base_url).rstrip("/")
        said = {"name": name, "preferred_username": name, "profile": "", "picture": ""}
        now = int(time.time())
        claims = {
            "iss": root,
            "sub": name,
            "aud": "space",
            "iat": now,
            "exp": now + 600,
            "nonce": nonces[name],
        }
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, claims | said, key)
        answer = {"access_token": "a", "token_type": "bearer", "expires_in": 600, "scope": "openid profile"}
        return JSONResponse(answer | {"id_token": signed})

    async def keys(request):
        return JSONResponse({"keys": [key.as_dict(private=False)]})

    routes = [
        Route("/.well-known/openid-configuration", configuration),
        Route("/authorize", authorize),
        Route("/token", token, methods=["POST"]),
        Route("/keys", keys),
    ]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """The app as on a Space."""
    with hub() as provider:
        variables = {
            "SYSTEM": "spaces",
            "SPACE_ID": "ann/worlds",
            "OAUTH_CLIENT_ID": "space",
            "OAUTH_CLIENT_SECRET": "secret",
            "OAUTH_SCOPES": "openid profile",
            "OPENID_PROVIDER_URL": provider,
            "MGDEMO_LOGIN": "huggingface",
            "MGDEMO_SESSIONS": "9",
            "MGDEMO_CONNECT_SECONDS": "3600",  # they have no sockets
        }
        with web_process(tmp_path_factory.mktemp("web"), **variables) as web:
            yield web


async def log_in(script, name):
    """As a browser does it. (It would keep the cookie for https and localhost only.)"""
    cookies = ""
    address = "/login/huggingface"
    while True:
        answer = await script.client.get(address, headers={"Cookie": cookies} if cookies else {})
        if "set-cookie" in answer.headers:
            cookies = answer.headers["set-cookie"].partition(";")[0]
        if answer.status_code not in (302, 307):
            break
        address = answer.headers["location"]
        if "/authorize" in address:
            address += f"&login={name}"
        elif urlsplit(address).path == "/":
            break
    script.client.headers["Cookie"] = cookies


async def test_only_those_who_are_logged_in_play_and_limits_count_by_login(space):
    async with Script(space) as script:
        assert (await script.start())["error"] == NEEDED
        await log_in(script, "ann")
        told = [await script.start() for _ in range(3)]
        assert [bool(each.get("token")) for each in told] == [True, True, False]
        assert "already have 2 sessions running" in told[2]["error"]
    async with Script(space, "127.0.0.9") as elsewhere:
        await log_in(elsewhere, "ann")
        assert "already have 2 sessions running" in (await elsewhere.start())["error"], "the same login"
    async with Script(space) as other:
        await log_in(other, "bob")
        assert (await other.start())["token"], "the same address"


async def test_a_cookie_that_is_not_signed_is_no_login(space):
    forged = base64.b64encode(b'{"oauth_info": {"userinfo": {"preferred_username": "ann"}}}').decode()
    async with Script(space) as script:
        script.client.headers["Cookie"] = f"session={forged}.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb"
        assert (await script.start())["error"] == NEEDED


async def test_programs_have_to_log_in_as_well(space):
    async with Script(space) as script:
        calls = {
            "replay": ["universal/circle", "", 0, ""],
            "compare": [["universal/circle"], ["universal-tiny"], "", [], "meaning"],
            "report": ["a", "report.json"],
        }
        for name, data in calls.items():
            asked = await script.client.post(f"/gradio_api/call/{name}", json={"data": data})
            answer = await script.client.get(f"/gradio_api/call/{name}/{asked.json()['event_id']}")
            assert NEEDED in answer.text, name


def test_a_login_expires():
    scope = {
        "session": {"oauth_info": {"userinfo": {"preferred_username": "ann"}, "expires_at": time.time() + 9}}
    }
    assert hub_login(scope) == "ann"
    scope["session"]["oauth_info"]["expires_at"] = time.time() - 1
    assert hub_login(scope) is None and hub_login({}) is None


def test_elsewhere_than_on_a_space_it_is_refused_since_everybody_would_be_the_same(tmp_path, monkeypatch):
    service = SessionService(Settings(record_dir=tmp_path, login="huggingface"))
    with pytest.raises(SettingsError, match="give --auth FILE"):
        ui.build(service)
    monkeypatch.setenv("SYSTEM", "spaces")
    monkeypatch.setenv("SPACE_ID", "ann/worlds")
    monkeypatch.delenv("OAUTH_CLIENT_ID", raising=False)
    with pytest.raises(SettingsError, match="hf_oauth: true"):
        ui.build(service)
    service.close()

"""The container: its image holds what the page needs, and nginx in front passes on what it should."""

import asyncio
import contextlib
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import fields

import httpx
import pytest
import uvicorn
import websockets
import yaml
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from devtools.ports import free_port
from mgdemo.checkpoints import configs
from mgdemo.paths import ROOT
from mgdemo.serving import SessionService, Settings, SettingsError, operator_routes

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())


def test_the_image_holds_what_the_page_needs(tmp_path):
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for name in allowed:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tmp_path)
    code = "from mgdemo import paths, ui; demo = ui.build(); print(paths.ROOT); demo.end()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path), done.stderr


def test_the_image_sets_what_there_is_and_asks_what_is_answered(tmp_path):
    settings = {f"MGDEMO_{field.name.upper()}" for field in fields(Settings)} | {"MGDEMO_CHECKPOINTS"}
    used = set(re.findall(r"MGDEMO_\w+", DOCKERFILE)) | set(COMPOSE["services"]["mgdemo"]["environment"])
    assert used and used <= settings
    service = SessionService(Settings(record_dir=tmp_path))
    asked = re.search(r"127\.0\.0\.1:(\d+)(/\w+)", DOCKERFILE)
    assert asked[2] in [route.path for route in operator_routes(service)]
    service.close()
    assert f"GRADIO_SERVER_PORT={asked[1]}" in DOCKERFILE and f"EXPOSE {asked[1]}" in DOCKERFILE
    assert COMPOSE["services"]["mgdemo"]["expose"] == [asked[1]]
    assert f"server mgdemo:{asked[1]};" in (ROOT / "hosting" / "nginx.conf").read_text()
    assert re.search(r"^USER [1-9]\d*$", DOCKERFILE, re.MULTILINE), "not root"


def test_kubernetes_gets_one_image_the_tested_ray_and_settings_that_there_are():
    text = (ROOT / "hosting" / "kuberay.yaml").read_text()
    cluster, web, service, _ = yaml.safe_load_all(text)
    pinned = re.search(r"^ray==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert cluster["spec"]["rayVersion"] == pinned[1]
    (page,) = web["spec"]["template"]["spec"]["containers"]
    set_there = {each["name"]: each.get("value") for each in page["env"] if "MGDEMO" in each["name"]}
    settings = Settings.from_env(set_there | {"MGDEMO_TRUSTED_PROXIES": "10.244.0.0/16"})
    assert settings.engine == "ray" and settings.sessions > settings.engine_sessions > 0
    assert len(set(re.findall(r"image: (\S+)", text))) == 1
    assert f"--address={cluster['metadata']['name']}-head-svc:" in page["args"][0]
    ports = page["ports"][0]["containerPort"], service["spec"]["ports"][0]["targetPort"]
    assert set(ports) == {7860} and service["spec"]["selector"] == web["spec"]["selector"]["matchLabels"]


def test_kubernetes_keeps_figures_inside_and_believes_only_the_ingress_about_visitors():
    text = (ROOT / "hosting" / "kuberay.yaml").read_text()
    cluster, web, _, policy = yaml.safe_load_all(text)
    (page,) = web["spec"]["template"]["spec"]["containers"]
    environment = {each["name"]: each for each in page["env"]}
    secret = environment["MGDEMO_OPERATOR_TOKEN"]["valueFrom"]["secretKeyRef"]
    assert f"create secret generic {secret['name']} --from-literal={secret['key']}=" in text
    with pytest.raises(SettingsError, match="has 'PODS': give addresses or networks"):
        Settings(trusted_proxies=environment["MGDEMO_TRUSTED_PROXIES"]["value"])
    assert policy["spec"]["podSelector"] == web["spec"]["selector"] and policy["kind"] == "NetworkPolicy"
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    ingress, ray = policy["spec"]["ingress"]
    assert ingress["ports"] == [{"port": page["ports"][0]["containerPort"]}]
    (source,) = ingress["from"]
    assert source == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "INGRESS"}}}
    (source,) = ray["from"]
    labels = {"ray.io/cluster": cluster["metadata"]["name"]}
    assert source == {"podSelector": {"matchLabels": labels}}, "of this namespace, and no other pods"


def test_only_the_proxy_is_believed_and_reached_from_outside():
    (subnet,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    service, proxy = COMPOSE["services"]["mgdemo"], COMPOSE["services"]["nginx"]
    assert service["environment"]["MGDEMO_TRUSTED_PROXIES"] == subnet["subnet"]
    assert service["networks"] == proxy["networks"] == ["inside"]
    assert "ports" not in service and proxy["ports"] == ["0.0.0.0:80:80", "0.0.0.0:443:443"]
    mounted = [volume.split(":")[0] for volume in proxy["volumes"] if volume.startswith("./")]
    assert mounted and all((ROOT / name).is_file() for name in mounted)
    warm = re.search(r"-(.+)}", service["environment"]["MGDEMO_WARM"])[1]
    assert warm in {config.name for config in configs() if config.embedded}, "nothing is to be fetched for it"
    grace = int(service["stop_grace_period"].removesuffix("s"))
    assert grace >= 25, "recordings are written"
    assert service["restart"] == "unless-stopped", "also when it ends by itself, as it hangs"


@contextlib.contextmanager
def mirror():
    """The port of an app that says what has reached it."""

    async def page(request):
        return JSONResponse(dict(request.headers))

    async def live(socket):
        await socket.accept()
        await socket.send_text(json.dumps(dict(socket.headers)))
        await socket.close()

    routes = [
        Route("/{path:path}", page, methods=["GET", "POST"]),
        WebSocketRoute("/gradio_api/live/{token}", live),
    ]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.fixture
def front(tmp_path):
    """(http, https): the ports of nginx with our configuration before a mirror."""
    if not (shutil.which("nginx") and shutil.which("openssl")):
        pytest.skip("nginx or openssl is not installed")
    names = [
        "-keyout",
        tmp_path / "privkey.pem",
        "-out",
        tmp_path / "fullchain.pem",
        "-subj",
        "/CN=localhost",
    ]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names]
    subprocess.run(command, check=True, capture_output=True)
    http, https = free_port(), free_port()
    with mirror() as port:
        text = (ROOT / "hosting" / "nginx.conf").read_text()
        changes = {
            "listen 80;": f"listen 127.0.0.1:{http};",
            "listen 443 ssl;": f"listen 127.0.0.1:{https} ssl;",
            "mgdemo:7860": f"127.0.0.1:{port}",
            "/etc/nginx/tls": str(tmp_path),
            "include /etc/nginx/mime.types;": "".join(
                f"{kind}_temp_path {tmp_path};"
                for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            ),
        }
        for ours, here in changes.items():
            assert ours in text
            text = text.replace(ours, here)
        conf = tmp_path / "nginx.conf"
        conf.write_text(f"daemon off; master_process off; pid {tmp_path}/pid; error_log stderr crit;\n{text}")
        nginx = subprocess.Popen(["nginx", "-p", tmp_path, "-e", "stderr", "-c", conf])
        try:
            until = time.monotonic() + 20
            while nginx.poll() is None and time.monotonic() < until:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", https)):
                    break
            yield http, https
        finally:
            nginx.terminate()
            nginx.wait()


def test_nginx_passes_pages_and_sockets_on_and_keeps_figures_inside(front):
    http, https = front
    assert httpx.get(f"http://127.0.0.1:{http}/a?b").headers["location"] == "https://127.0.0.1/a?b"
    with httpx.Client(base_url=f"https://127.0.0.1:{https}", verify=False) as client:
        seen = client.get("/config", headers={"X-Forwarded-For": "6.6.6.6"}).json()
        assert seen["x-forwarded-for"] == "127.0.0.1", "visitors cannot choose their address"
        assert (seen["x-forwarded-proto"], seen["host"]) == ("https", f"127.0.0.1:{https}")
        for path in ("/metrics", "/readyz", "/gradio_api/live-health"):
            assert client.get(path).status_code == 404
        assert client.get("/healthz").status_code == 200
        assert client.post("/gradio_api/upload", content=bytes(43 * 2**20)).status_code == 413

    async def live() -> dict:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        url = f"wss://127.0.0.1:{https}/gradio_api/live/token"
        async with websockets.connect(url, ssl=context, origin=f"https://127.0.0.1:{https}") as socket:
            return json.loads(await socket.recv())

    seen = asyncio.run(live())
    assert seen["upgrade"] == "websocket" and seen["origin"] == f"https://{seen['host']}"

"""Who a visitor is, for limits: a login, or a network address."""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

from mgdemo.settings import Settings

LOCAL = "127.0.0.1,::1"
PRIVATE = f"{LOCAL},10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"  # a Space has only its proxy there
IPV6_NETWORK = 64  # bits of an IPv6 address: one customer has at least all that begin with them


def account(host: str, login: str | None = None) -> str:
    """What the sessions of a visitor are counted by. host: where the request comes from."""
    return f"user {login}" if login else network(host)


def hub_login(scope: Mapping[str, Any]) -> str | None:
    """Who is logged in with Hugging Face, by what Gradio keeps in the signed cookie of a request's scope."""
    kept = (scope.get("session") or {}).get("oauth_info") or {}
    if kept.get("expires_at") is not None and kept["expires_at"] < time.time():
        return None
    return kept.get("userinfo", {}).get("preferred_username") or None


def network(host: str) -> str:
    """An address without what a visitor can change at will."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False))
    return str(address)


def trust_proxies(settings: Settings, environment: MutableMapping[str, str] = os.environ) -> None:
    """Have uvicorn take visitors' addresses from what trusted proxies say; to be called before it starts."""
    if settings.trusted_proxies:
        environment["FORWARDED_ALLOW_IPS"] = settings.trusted_proxies
    elif not environment.get("FORWARDED_ALLOW_IPS"):
        environment["FORWARDED_ALLOW_IPS"] = PRIVATE if environment.get("SPACE_ID") else LOCAL


def is_trusted(host: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether connections from an address are those of a proxy, so of many visitors."""
    trusted = [each.strip() for each in environment.get("FORWARDED_ALLOW_IPS", LOCAL).split(",")]
    if "*" in trusted or host in trusted:
        return True
    try:
        address = ipaddress.ip_address(host)
        return any(address in ipaddress.ip_network(each) for each in trusted if "/" in each)
    except ValueError:
        return False


def forwarded_by_a_stranger(host: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a proxy passed a request on that is not trusted, so that all its visitors count as one."""
    forwarded = headers.get(b"x-forwarded-for", b"").decode("latin1")
    return bool(forwarded) and host not in (each.strip() for each in forwarded.split(","))

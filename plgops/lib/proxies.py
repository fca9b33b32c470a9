"""Where a request came from when proxies stand in front of the server. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

_WITH_PORT = re.compile(r"\[(?P<six>[^]]+)](:\d+)?|(?P<four>[\d.]+):\d+")


def client_address(meta: Mapping[str, Any], *, trusted: int) -> str:
    """The address of who asks: `REMOTE_ADDR`, or with `trusted` proxies in front what the outermost of them saw.

    Each proxy appends whom it saw to `X-Forwarded-For`, so with n proxies it is the n-th entry from the right;
    what stands further left was sent by the client, who may write there what he likes. Where there are fewer
    entries, or no address, the request went around a proxy, and `REMOTE_ADDR` is all that is known for sure.
    """
    remote = str(meta.get("REMOTE_ADDR") or "")
    if trusted < 1:
        return remote
    entries = [entry.strip() for entry in str(meta.get("HTTP_X_FORWARDED_FOR") or "").split(",")]
    if len(entries) < trusted:
        return remote
    seen = entries[-trusted]
    if found := _WITH_PORT.fullmatch(seen):
        seen = found["six"] or found["four"]
    try:
        return str(ipaddress.ip_address(seen))
    except ValueError:
        return remote

"""POST to an address that staff typed in: only to public hosts, no redirects, little read, and never for long.

The name is looked up once, every address found is checked, and the connection goes to the one that was checked: a
name that answers otherwise a moment later (DNS rebinding) leads nowhere else. Nothing here reads proxies or
the environment. Certificates are verified against the name.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpcore

CONNECT_WITHIN = 5.0  # seconds
ANSWER_WITHIN = 15.0  # seconds, from the look-up of the name to the end of the answer
READ_AT_MOST = 4_096  # bytes of the answer: what it says of an error
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# private, and not yet so to every Python: NAT64 within a network, and what site-local addresses were
_NOT_OPEN = (ipaddress.ip_network("64:ff9b:1::/48"), ipaddress.ip_network("fec0::/10"))


class Refused(Exception):
    """The address is none that anything is sent to; the message says why."""


class Failed(Exception):
    """Nobody answered; the message says how."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said."""

    status: int
    retry_after: str
    text: str


def check_url(url: str, *, private: bool) -> str:
    """The address without the blanks around it. Raises Refused. `private`: http and private hosts are allowed."""
    url = url.strip()
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
        raise Refused("An address has no blanks in it.")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        host.encode("idna")
    except ValueError as error:
        raise Refused("That is not an address such as https://hooks.example.com/…") from error
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise Refused("That is not an address such as https://hooks.example.com/…")
    if "@" in parts.netloc:
        raise Refused("Leave name and password out of the address.")
    if not private:
        if parts.scheme != "https":
            raise Refused("The address must begin with https://.")
        literal = _as_ip(host)
        if literal is not None and not is_public(literal):
            raise Refused(f"{host} is a private address.")
        if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
            raise Refused(f"{host} is a private name.")
    return url


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether the address is one of the open internet, whatever it is wrapped in."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or any(address in network for network in _NOT_OPEN):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def post(url: str, *, body: bytes, headers: dict[str, str], private: bool) -> Answer:
    """POST once and say what came back, whatever its status. Raises Refused and Failed."""
    url = check_url(url, private=private)
    parts = urlsplit(url)
    # httpcore wants ASCII: names as punycode; what stands behind is sent as it was typed
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    address = httpcore.URL(
        scheme=parts.scheme.encode(),
        host=(parts.hostname or "").encode("idna"),
        port=parts.port,
        target=target.encode("utf-8") if target.isascii() else _quoted(target),
    )
    until = time.monotonic() + ANSWER_WITHIN
    backend = _Checked(private=private, until=until)
    host = parts.netloc.encode("idna").decode()
    sent = {"Host": host, "Content-Length": str(len(body)), "User-Agent": "plgops", **headers}
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=_tls(), network_backend=backend, max_connections=1, max_keepalive_connections=0
            ) as pool,
            pool.stream(
                "POST",
                address,
                headers=list(sent.items()),
                content=body,
                extensions={
                    "timeout": dict.fromkeys(("connect", "pool"), CONNECT_WITHIN)
                    | dict.fromkeys(("read", "write"), ANSWER_WITHIN)
                },
            ) as response,
        ):
            text = b""
            for piece in response.iter_stream():
                text += piece
                if len(text) >= READ_AT_MOST:
                    break
            found = {name.lower(): value for name, value in response.headers}
            return Answer(
                status=response.status,
                retry_after=found.get(b"retry-after", b"").decode("latin-1"),
                text=text[:READ_AT_MOST].decode("utf-8", "replace"),
            )
    except Refused:
        raise
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise Failed(f"No answer within {ANSWER_WITHIN:.0f} seconds.") from error
    except ssl.SSLError as error:
        raise Failed(f"No safe connection: {error.reason or 'TLS failed'}.") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError) as error:
        raise Failed(_short(error)) from error


class _Checked(httpcore.NetworkBackend):
    """Connects to addresses that were checked, and lets nothing outlast the deadline."""

    def __init__(self, *, private: bool, until: float) -> None:
        self.private, self.until = private, until
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        address = _checked(host, port, private=self.private)
        stream = self._sockets.connect_tcp(address, port, timeout=_left(self.until, timeout))
        return _Hurried(stream, self.until)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        raise Refused("A socket of this machine is no address.")


class _Hurried(httpcore.NetworkStream):
    """A stream whose reads and writes end at the deadline: one that drips a byte at a time must not hold a worker."""

    def __init__(self, stream: httpcore.NetworkStream, until: float) -> None:
        self._stream, self._until = stream, until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._until, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._until, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._until, timeout))
        return _Hurried(stream, self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _checked(host: str, port: int, *, private: bool) -> str:
    """An address of this host; Refused where any of those it has is not public: which one is used is chance."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Failed(f"There is no host {host}.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise Failed(f"There is no host {host}.")
    for text in addresses:
        address = _as_ip(text)
        if not private and (address is None or not is_public(address)):
            raise Refused(f"{host} is at a private address.")
    # IPv4 first: many servers have no way out by IPv6, and only one is tried
    return min(addresses, key=lambda text: ":" in text)


def _as_ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))  # 2130706433, 0x7f.1 and 127.1 are 127.0.0.1
    except OSError:
        return None


def _left(until: float, timeout: float | None) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("The time is over.")
    return left if timeout is None else min(timeout, left)


@cache
def _tls() -> ssl.SSLContext:
    return httpcore.default_ssl_context()


def _quoted(target: str) -> bytes:
    return "".join(c if c.isascii() else "".join(f"%{b:02X}" for b in c.encode()) for c in target).encode()


def _short(error: Exception) -> str:
    words = str(error).strip().splitlines()
    return f"No connection: {words[0][:150]}" if words else "No connection."

"""Receivers for what plgops sends, on this machine: an HTTP server and a mail server that remember what they got."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What an HTTP receiver got, and how it answers: `answer(got)` gives status, headers and body."""

    url: str
    answer: Callable[[Got], tuple[int, dict[str, str], bytes]]
    got: list[Got] = field(default_factory=list)

    @property
    def ids(self) -> Counter[str]:
        """How often each message came."""
        return Counter(got.headers["webhook-id"] for got in self.got)


@contextlib.contextmanager
def receiving(answer: Callable[[Got], tuple[int, dict[str, str], bytes]] | None = None) -> Iterator[Receiver]:
    """An HTTP server on a free port of 127.0.0.1; 200 to everything unless told otherwise."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            got = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            receiver.got.append(got)
            status, headers, said = receiver.answer(got)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(said)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # who asked was killed meanwhile
                self.wfile.write(said)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/hook", answer or (lambda got: (200, {}, b"ok")))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Mailbox:
    """What a mail server got. `refuses`: address -> what it answers to it."""

    host: str
    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    refuses: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def mail_server() -> Iterator[Mailbox]:
    """A mail server on a free port of 127.0.0.1."""

    class Handler:
        async def handle_RCPT(self, server, session, envelope, address, options):
            if address in box.refuses:
                return box.refuses[address]
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server, session, envelope):
            box.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            return "250 OK"

    class AnyPort(Controller):
        def _trigger_server(self) -> None:
            self.port = self.server.sockets[0].getsockname()[1]  # it was told 0; now it listens somewhere
            super()._trigger_server()

    controller = AnyPort(Handler(), hostname="127.0.0.1", port=0)
    controller.start()
    box = Mailbox("127.0.0.1", controller.port)
    try:
        yield box
    finally:
        controller.stop()

"""What staff typed in is never a way into the machines behind plgops, and never holds a worker."""

import ipaddress
import socket
import threading
import time

import pytest

from accounts.team import safe_http
from accounts.team.safe_http import Failed, Refused, check_url, is_public, post
from tests.receivers import receiving


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "2002:7f00:1::",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "fec0::1",
        "::127.0.0.1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_these_are_not_the_open_internet(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_these_are(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x",
        "https://127.0.0.1/x",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "https://db.internal/",
        "https://printer.local/",
        "https://user:password@hooks.example.com/",
        "https://@hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "https://",
        "https://hooks.example.com:99999/",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\r\nHost: other",
        "not an address",
        "https://[::1",
    ],
)
def test_an_address_that_is_refused_when_it_is_typed(url):
    with pytest.raises(Refused):
        check_url(url, private=False)


def test_an_address_that_is_taken():
    assert check_url("  https://hooks.example.com/services/T0/B0?x=1 ", private=False).endswith("?x=1")
    assert check_url("http://127.0.0.1:8000/x", private=True) == "http://127.0.0.1:8000/x"


def _resolves(monkeypatch, *answers):
    """The name's answers, one look-up after the other."""
    left = list(answers)

    def look_up(host, port, *args, **kwargs):
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(safe_http.socket, "getaddrinfo", look_up)


def test_a_name_that_leads_to_a_private_host_is_refused_before_anything_is_sent(monkeypatch):
    with receiving() as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        _resolves(monkeypatch, ["127.0.0.1"])
        with pytest.raises(Refused, match="private"):
            post(f"https://hooks.example.com:{port}/x", body=b"{}", headers={}, private=False)
        _resolves(monkeypatch, ["1.1.1.1", "127.0.0.1"])  # which one is used would be chance
        with pytest.raises(Refused, match="private"):
            post(f"https://hooks.example.com:{port}/x", body=b"{}", headers={}, private=False)
    assert receiver.got == []


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch):
    """DNS rebinding: a second answer, a moment later, is never asked for."""
    went = []
    _resolves(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])

    def connect(self, host, port, **kwargs):
        went.append(host)
        raise safe_http.httpcore.ConnectError("as far as this test goes")

    monkeypatch.setattr(safe_http.httpcore.SyncBackend, "connect_tcp", connect)
    with pytest.raises(Failed):
        post("https://hooks.example.com/x", body=b"{}", headers={}, private=False)
    assert went == ["93.184.216.34"]


def test_a_redirect_is_an_answer_and_not_followed():
    with receiving() as inside, receiving(lambda got: (302, {"Location": inside.url}, b"")) as receiver:
        answer = post(receiver.url, body=b"{}", headers={}, private=True)
    assert answer.status == 302
    assert inside.got == []


def test_what_is_sent_and_what_comes_back():
    with receiving(lambda got: (429, {"Retry-After": "120"}, b"slow down")) as receiver:
        answer = post(f"{receiver.url}/ü?q=1", body=b'{"a":1}', headers={"webhook-id": "msg_1"}, private=True)
    assert (answer.status, answer.retry_after, answer.text) == (429, "120", "slow down")
    got = receiver.got[0]
    assert (got.path, got.body, got.headers["webhook-id"]) == ("/hook/%C3%BC?q=1", b'{"a":1}', "msg_1")
    assert got.headers["host"] == receiver.url.split("/")[2]


def test_little_of_a_long_answer_is_read():
    with receiving(lambda got: (500, {}, b"x" * 1_000_000)) as receiver:
        answer = post(receiver.url, body=b"{}", headers={}, private=True)
    assert len(answer.text) == safe_http.READ_AT_MOST


def test_nobody_there_is_said_in_words():
    with receiving() as receiver:
        url = receiver.url
    with pytest.raises(Failed, match="No connection"):
        post(url, body=b"{}", headers={}, private=True)
    with pytest.raises(Failed, match="There is no host"):
        post("http://nobody.invalid/", body=b"{}", headers={}, private=True)


def test_one_that_drips_is_cut_off(monkeypatch):
    """Each byte comes in time, the answer never ends: the deadline is of the whole."""
    monkeypatch.setattr(safe_http, "ANSWER_WITHIN", 0.5)
    listening = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip():
        connection, _ = listening.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\n")
            while not over.wait(0.05):
                try:
                    connection.sendall(b"X")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    began = time.monotonic()
    try:
        with pytest.raises(Failed, match="No answer"):
            post(f"http://127.0.0.1:{listening.getsockname()[1]}/", body=b"{}", headers={}, private=True)
    finally:
        over.set()
        listening.close()
        thread.join(2)
    assert time.monotonic() - began < 3

"""Whose address a request has, when proxies stand in front."""

import pytest

from plgops.lib.proxies import client_address

NGINX = "10.0.0.1"


@pytest.mark.parametrize(
    ("trusted", "forwarded", "expected"),
    [
        (0, "203.0.113.9", NGINX),  # nobody vouches for the header
        (1, "203.0.113.9", "203.0.113.9"),
        (1, "1.1.1.1, 203.0.113.9", "203.0.113.9"),  # the first was sent by the client
        (2, "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (2, "203.0.113.9", NGINX),  # went around a proxy
        (1, "", NGINX),
        (1, "unknown", NGINX),
        (1, "203.0.113.9:4711", "203.0.113.9"),
        (1, "[2001:db8::1]:4711", "2001:db8::1"),
        (1, "2001:DB8::0001", "2001:db8::1"),
        (-1, "203.0.113.9", NGINX),
    ],
)
def test_the_address_is_counted_from_the_right(trusted, forwarded, expected):
    assert client_address({"REMOTE_ADDR": NGINX, "HTTP_X_FORWARDED_FOR": forwarded}, trusted=trusted) == expected


def test_without_the_header_and_on_a_socket():
    assert client_address({"REMOTE_ADDR": NGINX}, trusted=1) == NGINX
    assert client_address({}, trusted=0) == ""

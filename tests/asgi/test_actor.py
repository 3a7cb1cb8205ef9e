import pytest
from starlette.authentication import BaseUser, SimpleUser, UnauthenticatedUser

from auditmw.asgi import header, scope_user
from auditmw.asgi.actor import client_address
from auditmw.errors import ConfigurationError


class OnlyDisplayed(BaseUser):
    display_name = "Carol"


class Numbered(BaseUser):
    identity = 42


def from_peer(peer, *headers):
    return {"client": peer and (peer, 1234), "headers": [(b"x-user", value) for value in headers]}


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (SimpleUser("alice"), "alice"),
        (OnlyDisplayed(), "Carol"),
        (Numbered(), "42"),
        ("bob", "bob"),
        (UnauthenticatedUser(), None),
        (BaseUser(), None),
        (object(), None),
        (None, None),
    ],
)
def test_the_user_of_the_scope_is_its_identity_or_else_its_display_name(user, name):
    assert scope_user({"user": user}) == name


def test_a_scope_without_a_user_has_none():
    assert scope_user({}) is None


@pytest.mark.parametrize("peer", ["10.0.0.7", "10.9.9.9", "::1", "::ffff:10.0.0.7"])
def test_a_header_is_believed_of_a_trusted_proxy(peer):
    assert header("X-User", trusted_proxies=["10.0.0.0/8", "::1"])(from_peer(peer, b"alice")) == "alice"


@pytest.mark.parametrize("peer", ["11.0.0.7", "::2", "testclient", None])
def test_a_header_is_not_believed_of_anybody_else(peer):
    assert header("x-user", trusted_proxies=["10.0.0.0/8", "::1"])(from_peer(peer, b"alice")) is None


def test_a_header_is_believed_of_everybody_only_if_that_is_asked_for():
    assert header("x-user", trusted_proxies=["*"])(from_peer(None, b"alice")) == "alice"
    assert header("x-user", trusted_proxies=[])(from_peer("127.0.0.1", b"alice")) is None


def test_a_header_that_comes_twice_names_nobody():
    assert header("x-user", trusted_proxies=["*"])(from_peer("::1", b"mallory", b"alice")) is None


@pytest.mark.parametrize("proxies", [["proxy.local"], ["10.0.0.0/99"], "10.0.0.7"])
def test_a_proxy_that_is_no_address_is_refused(proxies):
    with pytest.raises(ConfigurationError, match="address"):
        header("x-user", trusted_proxies=proxies)


@pytest.mark.parametrize(
    ("given", "address"),
    [("10.0.0.7", "10.0.0.7"), ("::ffff:10.0.0.7", "10.0.0.7"), ("fe80::1%eth0", "fe80::1%eth0"), ("", None)],
)
def test_an_address_has_one_form(given, address):
    assert client_address({"client": (given, 1)}) == address


def test_a_unix_socket_has_no_address():
    assert client_address({"client": None}) is None

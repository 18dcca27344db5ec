"""Lists of links cannot make this machine query its own network."""

import socket

import pytest
from download_server import QUICK, got, jpeg, listing, lost, reason, redirects, running, says

from emotune.data.build import public_address
from emotune.data.build.download import DownloadOptions, download


def test_a_private_address_is_refused_unless_allowed(server, tmp_path):
    hosts = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254", "0.0.0.0"]
    links = [server.at("/a.jpg", says(jpeg(1))).replace("127.0.0.1", host) for host in hosts]
    told = lost(download(listing(*links), tmp_path, DownloadOptions(**QUICK | {"allow_private": False})))
    assert "127.0.0.1" in told[links[0]]
    assert ["--allow-private" in told[link] for link in links] == [True] * len(hosts)
    assert not server.requests
    assert [got(tmp_path, link) for link in links[:2]] == [jpeg(1), jpeg(1)]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.255.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1",
     "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "ff0e::1", "2001:db8::1", "::ffff:127.0.0.1",
     "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::a00:1", "64:ff9b::7f00:1", "2002:7f00:1::", "2002:a00:1::1",
     "2001::1"],
)  # fmt: skip
def test_addresses_that_are_not_of_the_public_internet_are_known(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(public_address.PrivateAddressError):
        public_address.open_public_socket((family, socket.SOCK_STREAM, 0, "", (address, 80)))


@pytest.mark.parametrize("address", ["8.8.8.8", "151.101.1.140", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e"])
def test_addresses_of_the_public_internet_are_allowed(address):
    assert public_address.is_public(address)


def test_a_redirect_to_a_private_address_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(public_address, "is_public", lambda address: address == "127.0.0.1")
    with running("127.0.0.2") as inner:
        secret = inner.at("/secret.jpg", says(jpeg(1)))
        link = server.at("/a.jpg", redirects(secret))
        told = reason(tmp_path / "first", link, allow_private=False)
        assert "127.0.0.2" in told and "--allow-private" in told
        assert server.asked("/a.jpg") == 1  # not retried
        assert not inner.requests
        assert got(tmp_path / "second", link) == jpeg(1)


@pytest.mark.parametrize("public", ["", "127.0.0.3"])
def test_a_name_cannot_hide_a_private_address_among_others(server, tmp_path, monkeypatch, public):
    real = socket.getaddrinfo

    def resolve(host: str, *args: object, **options: object) -> list:
        if host != "images.example":
            return real(host, *args, **options)
        found = [real(address, *args, **options)[0] for address in ("127.0.0.3", "127.0.0.2", "127.0.0.1")]
        return found if public else found[1:]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    if public:  # but nothing listens there
        monkeypatch.setattr(public_address, "is_public", lambda address: address == public)
    link = server.at("/a.jpg", says(jpeg(1))).replace("127.0.0.1", "images.example")
    told = reason(tmp_path, link, allow_private=False, attempts=1)
    assert "private address" in told if public else told.startswith("private address 127.0.0.")
    assert not server.requests
    assert got(tmp_path, link) == jpeg(1)


def test_proxies_of_the_environment_are_used_only_where_private_addresses_are_allowed(server, tmp_path, monkeypatch):
    link = "http://10.0.0.1/a.jpg"
    server.at(link, says(jpeg(1)))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    assert reason(tmp_path, link, allow_private=False).startswith("private address 10.0.0.1")
    assert not server.requests
    assert got(tmp_path, link) == jpeg(1)
    assert server.asked(link) == 1

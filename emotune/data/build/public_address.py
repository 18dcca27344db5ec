"""Sockets to public addresses only, so that a list of links cannot make this machine query its own network."""

import socket
from ipaddress import ip_address, ip_network

__all__ = ["PrivateAddressError", "is_public", "open_public_socket"]


class PrivateAddressError(OSError):
    """A private address; its argument is the address. As an OSError it makes aiohttp try the host's other addresses."""


def open_public_socket(address_info: tuple) -> socket.socket:
    """A socket for the address that is about to be connected to, whatever name or redirect led to it.

    Args:
        address_info: The address, as `socket.getaddrinfo` returns it.

    Raises:
        PrivateAddressError: the address is not on the public internet.
    """
    family, kind, protocol, _, (address, *_) = address_info
    if not is_public(address):
        raise PrivateAddressError(address)
    return socket.socket(family, kind, protocol)


def is_public(address: str) -> bool:
    """Whether the IP address is on the public internet."""
    ip = ip_address(address)
    tunnels_ipv4 = ip.version == 6 and (ip not in ip_network("2000::/3") or ip.sixtofour)
    return ip.is_global and not ip.is_multicast and not tunnels_ipv4

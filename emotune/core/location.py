"""Paths and URLs of files: splitting them, and rejecting URLs that contain credentials."""

import re

from emotune.core.errors import InputError

__all__ = ["mask_credentials", "reject_credentials", "split_location"]

PASSWORD = re.compile(r"(?<=://)[^/@]*:(?!\d+(?:/|$))[^@]*(?=@)")
"""``user:password`` in a URL; text before an ``@`` in the path, after a port, is not a password."""
SIGNED = re.compile(r"(?<=[?&])(?:x-(?:amz|goog)-[\w-]+|awsaccesskeyid|signature|sig|\w*token|\w*key)=[^&]*", re.I)
"""Query parameters of a URL that grant access."""


def mask_credentials(location: str) -> str:
    """A location with ``***`` in the place of a password, a key or a signature.

    >>> mask_credentials("postgresql://anna:secret@host/runs")
    'postgresql://***@host/runs'
    """
    return SIGNED.sub("***", PASSWORD.sub("***", location)) if "://" in location else location


def reject_credentials(location: str) -> None:
    """Raises an error if a location contains credentials: configs, records and reports would show them to others.

    Raises:
        InputError: the URL has a password, a key or a signature, which the message masks.
    """
    masked = mask_credentials(location)
    if masked != location:
        raise InputError(
            f"{masked}: contains credentials, which reports and records would show; remove them from the URL and put "
            "them into the environment (AWS_ACCESS_KEY_ID, …), your configuration (~/.aws) or the machine's role"
        )


def split_location(location: str) -> tuple[str, str]:
    """Splits the path or URL of a file into its folder and its name.

    >>> split_location("/weights/a.npz"), split_location("s3://weights/a.npz")
    (('/weights', 'a.npz'), ('s3://weights', 'a.npz'))
    >>> split_location("/a.npz"), split_location("memory://a.npz")
    (('/', 'a.npz'), ('memory:///', 'a.npz'))
    """
    reject_credentials(location)
    scheme, mark, path = location.rpartition("://")
    folder, _, name = path.rpartition("/")
    return f"{scheme}{mark}{folder or '/'}", name

"""HTTP client for images: retries, redirects, limits per host, and the reason when there is no image."""

import asyncio
import hashlib
import re
import socket
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, replace
from urllib.parse import urljoin, urlsplit

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_result, stop_after_attempt, wait_exponential, wait_random

from emotune.core.errors import InputError
from emotune.core.host import available_cpus
from emotune.core.version import VERSION
from emotune.data.build.public_address import PrivateAddressError, open_public_socket
from emotune.data.image_io import UnreadableImageError, decode_image

__all__ = ["DownloadOptions", "DownloadResult", "ImageClient", "open_session"]

MAX_REDIRECTS = 10

IMAGE_TYPES = re.compile(r"image/|(application|binary)/octet-stream$")
"""Media types that may hold an image."""

PLACEHOLDER = re.compile(r"(photo|picture|image|file)[-_]?(unavailable|not[-_]?(available|found))|/removed\.\w+$", re.I)
"""Paths of images that stand for a missing image: Flickr's ``photo_unavailable``, Imgur's ``removed.png``."""

MAX_SILENCES = 16
"""Timeouts in a row after which a host is skipped: a dead host with many links would otherwise cost days."""

SOON = 0.0
"""Seconds to wait before a retry that may succeed at once."""

LATER = 86_400.0
"""Seconds to wait before a retry that is left to a later call, more than any call waits."""


@dataclass(frozen=True)
class DownloadOptions:
    """How images are downloaded.

    Attributes:
        concurrency: The number of simultaneous downloads.
        per_host: The number of simultaneous downloads from one host.
        timeout_s: The seconds allowed for connecting and between two chunks of data; a whole download may take 20
            times as long.
        max_bytes: The size of the largest image that is downloaded.
        attempts: The number of attempts for a link that may work after a while; a later call makes as many again.
        first_wait_s: The seconds before the second attempt; the wait doubles with each further attempt, with jitter.
        longest_wait_s: The longest wait in seconds; if a server asks for a longer one (Retry-After), the link is left
            to a later call.
        allow_private: Whether private addresses and the proxies of the environment may be used.
    """

    concurrency: int = 32
    per_host: int = 4
    timeout_s: float = 30.0
    max_bytes: int = 32 * 2**20
    attempts: int = 4
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    allow_private: bool = False

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name != "allow_private" and not value > 0:
                raise InputError(f"{name} is {value}; give a positive number")


@dataclass(frozen=True, slots=True)
class DownloadResult:
    """The outcome of a download: an image, or the reason why there is none.

    Attributes:
        url: The link.
        final_url: The address to which its redirects led.
        status: The HTTP status of the last response; 0 if there was none.
        content_type: The media type that the server gave.
        bytes: The size of the image.
        sha256: The hash of the image.
        reason: The reason why there is no image; empty if there is one.
        retry_after_s: The seconds after which another attempt may succeed; None if none will.
        from_cache: Whether the result comes from an earlier call.
    """

    url: str
    final_url: str
    status: int = 0
    content_type: str = ""
    bytes: int = 0
    sha256: str = ""
    reason: str = ""
    retry_after_s: float | None = None
    from_cache: bool = False


class _DownloadError(Exception):
    """An attempt that gave no image; its arguments are the reason and ``retry_after_s`` as in `DownloadResult`."""


def open_session(options: DownloadOptions) -> aiohttp.ClientSession:
    """A session with the timeouts and limits of the options."""
    limit_s = options.timeout_s
    return aiohttp.ClientSession(
        # An idle connection is an open file, and there may be thousands of hosts.
        connector=aiohttp.TCPConnector(
            limit=options.concurrency,
            keepalive_timeout=5,
            socket_factory=None if options.allow_private else open_public_socket,
        ),
        timeout=aiohttp.ClientTimeout(total=20 * limit_s, sock_connect=limit_s, sock_read=limit_s),
        headers={"User-Agent": f"emotune/{VERSION} (downloads a published list of images for research)"},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=options.allow_private,  # a proxy decides by itself where connections go
    )


class ImageClient:
    """Downloads images over HTTP, with retries."""

    def __init__(self, session: aiohttp.ClientSession, options: DownloadOptions) -> None:
        self._session, self._options = session, options
        # aiohttp's limit per host leaves connections idle: with several hosts it forgets to wake those that wait.
        self._hosts: dict[str | None, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(options.per_host))
        self._silences: Counter[str | None] = Counter()
        self._decoding = asyncio.Semaphore(available_cpus())  # decoding a small file may take a gigabyte of memory

    async def get(self, url: str) -> tuple[DownloadResult, bytes | None]:
        """The result for a link, and the image if there is one."""
        first_s, longest_s = self._options.first_wait_s, self._options.longest_wait_s
        growing = wait_exponential(first_s, max=longest_s) + wait_random(0, first_s)

        def is_retried(attempt: tuple[DownloadResult, bytes | None]) -> bool:
            return attempt[0].retry_after_s is not None and attempt[0].retry_after_s <= longest_s

        retrying = AsyncRetrying(
            retry=retry_if_result(is_retried),
            wait=lambda state: growing(state) + (_last_attempt(state)[0].retry_after_s or 0),
            stop=stop_after_attempt(self._options.attempts),
            retry_error_callback=_last_attempt,
        )
        return await retrying(self._attempt, url)

    async def _attempt(self, url: str) -> tuple[DownloadResult, bytes | None]:
        result, host, body, open_ended = DownloadResult(url, url), None, b"", False
        try:
            for _ in range(MAX_REDIRECTS + 1):
                host = urlsplit(result.final_url).hostname
                if urlsplit(result.final_url).scheme not in ("http", "https"):
                    raise ValueError(result.final_url)
                async with self._hosts[host]:
                    if self._silences[host] >= MAX_SILENCES:
                        raise _DownloadError(f"{host} has not responded for some time", LATER)
                    async with self._session.get(result.final_url, allow_redirects=False) as response:
                        self._silences[host] = 0
                        result = replace(result, status=response.status, content_type=response.content_type)
                        open_ended = response.content_length is None and "Transfer-Encoding" not in response.headers
                        if response.status not in (301, 302, 303, 307, 308) or "Location" not in response.headers:
                            body = await _body(response, self._options.max_bytes)
                            break
                        result = DownloadResult(url, urljoin(result.final_url, response.headers["Location"]))
            else:
                raise _DownloadError(f"more than {MAX_REDIRECTS} redirects", None)
            async with self._decoding:
                await asyncio.to_thread(decode_image, body, shorter_side=1)
            return replace(result, bytes=len(body), sha256=hashlib.sha256(body).hexdigest()), body
        except UnreadableImageError as error:
            # If the server gives no length, a broken connection looks like the end of the image.
            cut_off = open_ended and body[:1] != b"<"
            reason, retry_after_s = f"{error} (sent as {result.content_type})", SOON if cut_off else None
        except Exception as error:  # whatever one server does, the other links must still be downloaded
            self._silences[host] += isinstance(error, TimeoutError) and not result.status
            reason, retry_after_s = _explain(error, self._options)
        return replace(result, reason=reason[:300], retry_after_s=retry_after_s), None


def _last_attempt(state: RetryCallState) -> tuple[DownloadResult, bytes | None]:
    assert state.outcome is not None  # tenacity sets it before it calls back
    return state.outcome.result()


async def _body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The body of the response.

    Raises:
        _DownloadError: the response is not that of an image, or the image is too large.
    """
    if response.status != 200:
        temporary = response.status in (408, 425, 429) or response.status >= 500
        retry_after = response.headers.get("Retry-After", "0")
        retry_after_s = float(retry_after) if retry_after.isdecimal() else LATER  # otherwise it is a date
        raise _DownloadError(f"HTTP {response.status}", retry_after_s if temporary else None)
    if PLACEHOLDER.search(response.url.path):
        raise _DownloadError(f"placeholder: {response.url}", None)
    if not IMAGE_TYPES.match(response.content_type):
        raise _DownloadError(f"{response.content_type} instead of an image", None)
    body, size = bytearray(), response.content_length or 0
    while size <= max_bytes and (part := await response.content.readany()):
        body += part
        size = max(size, len(body))
    if size > max_bytes:
        raise _DownloadError(f"larger than {max_bytes} bytes", LATER)  # a later call may have another limit
    return bytes(body)


def _explain(error: Exception, options: DownloadOptions) -> tuple[str, float | None]:
    """The reason and ``retry_after_s``, as in `DownloadResult`, for an error during a download."""
    reason: str = str(error) or type(error).__name__
    retry_after_s: float | None = SOON
    match error:
        case _DownloadError(args=(reason, retry_after_s)):
            pass
        case aiohttp.ClientConnectorError(os_error=PrivateAddressError(args=(address,))):
            reason, retry_after_s = f"private address {address} (use --allow-private to allow it)", LATER
        case aiohttp.ClientConnectorError(os_error=socket.gaierror(errno=code)):
            reason, retry_after_s = f"no such host: {error.host}", LATER if code == socket.EAI_NONAME else SOON
        case aiohttp.ClientConnectorError(os_error=cause):
            reason = f"no connection to {error.host}:{error.port}: {cause.strerror or cause}"
        case TimeoutError():
            reason = f"timeout: no data for {options.timeout_s:g} s, or too slow"
        case aiohttp.ClientPayloadError():
            reason = "the response was cut off"
        case ValueError():
            reason, retry_after_s = f"not an http or https link: {error}", None
    return reason, retry_after_s

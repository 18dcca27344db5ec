"""Downloads the images of a listing: politely, each link once, and going on where an interrupted call stopped.

What became of a link is in ``<downloads>/ab/<SHA-256 of the link>.json``, written after its image, ``….image``.
"""

import asyncio
import hashlib
import json
import re
import socket
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp
from tenacity import AsyncRetrying, retry_if_result, stop_after_attempt, wait_exponential, wait_random

from emotune import __version__
from emotune.core.errors import InputError
from emotune.core.host import available_cpus
from emotune.core.storage import Folder
from emotune.data.image_io import UnreadableImageError, decode_image
from emotune.data.manifest import ExcludedImage, Problem
from emotune.data.sources.base import Listing, Url

__all__ = ["DownloadOptions", "DownloadResult", "download"]

REDIRECTS = 10
TYPES = re.compile(r"image/|(application|binary)/octet-stream$")
PLACEHOLDER = re.compile(r"(photo|image|image|file)[-_]?(unavailable|not[-_]?(available|found))|/removed\.\w+$", re.I)
"""Paths of images that say that there is no image: Flickr's ``photo_unavailable``, Imgur's ``removed.png``."""
LINKS_OF_A_PLACEHOLDER = 5  # that were all redirected to it
SILENCES = 16  # in a row, after which a host is left alone: a dead one with many links would cost days of timeouts
SOON, LATER = 0.0, 86_400.0  # seconds until something may have passed: a moment, or more than a call waits


@dataclass(frozen=True)
class DownloadOptions:
    """How images of up to ``max_bytes`` are downloaded: ``concurrency``, and ``per_host`` of these from one host.

    Attributes:
        timeout_s: For connecting, and without a byte from the server; a download in all may take 20 times as long.
        attempts: For a link that may work after a while; a later call makes as many again.
        first_wait_s: Before the second attempt; it doubles with every further one, and has jitter.
        longest_wait_s: What asks for a longer one (Retry-After) is left to a later call.
        allow_private: Whether private addresses and the proxies of the environment may be connected to.
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
                raise InputError(f"{name} is {value}; images can only be downloaded with a positive one")


@dataclass(frozen=True, slots=True)
class DownloadResult:
    """What became of a link: an image, or the reason why there is none.

    Attributes:
        url: The link.
        final_url: The address to which its redirects led.
        status: The HTTP status of the last response; 0 if there was none.
        content_type: The media type that the server gave.
        bytes: The size of the image.
        sha256: The hash of the image.
        reason: Why there is no image; empty if there is one.
        retry_after_s: Seconds after which another attempt may succeed; None if none will.
        from_cache: Whether the result is an earlier call's.
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


def download(
    listing: Listing,
    downloads: Path,
    options: DownloadOptions = DownloadOptions(),
    *,
    advance: Callable[[DownloadResult], None] = lambda outcome: None,
) -> Listing:
    """The listing with files in place of links; links that give no image are left out, each with the reason.

    ``downloads`` may serve several listings; what it has is not fetched again. ``advance`` is called once per link;
    that many of them lead to one placeholder is only seen after the last.

    Raises:
        InputError: ``downloads`` cannot be written to.
        OSError: it could at first; the disk is full, say. As at Ctrl-C, what was fetched is kept.
    """
    if not (links := {entry.image.url for entry in listing.entries if isinstance(entry.image, Url)}):
        return listing
    folder = Folder(str(downloads))
    folder.require_writable()
    outcomes, missing = {}, []
    for url in sorted(links, key=_name):  # mixes the hosts, so that no slow one holds up all others
        if earlier := _earlier(downloads, url):
            outcomes[url] = earlier
            advance(earlier)
        else:
            missing.append(url)
    try:
        asyncio.run(_fetch(missing, folder, options, outcomes, advance))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return _with_files(listing, downloads, outcomes)


def _with_files(listing: Listing, downloads: Path, outcomes: Mapping[str, DownloadResult]) -> Listing:
    led = Counter(o.final_url for o in outcomes.values() if not o.reason and o.final_url != o.url)
    entries, left_out = [], list(listing.left_out)
    for entry in listing.entries:
        if not isinstance(entry.image, Url):
            entries.append(entry)
            continue
        url = entry.image.url
        final, reason = outcomes[url].final_url, outcomes[url].reason
        if not reason and final != url and led[final] >= LINKS_OF_A_PLACEHOLDER:
            reason = f"placeholder: {led[final]} links were redirected to {final}"
        if reason:
            left_out.append(ExcludedImage(entry.source, entry.label, Problem.LOST, reason))
        else:
            entries.append(replace(entry, image=downloads / f"{_name(url)}.image"))
    return replace(listing, entries=entries, left_out=left_out)


def _name(url: str) -> str:
    """Of a link's files in the downloads folder, without suffix; 256 subfolders keep each of them small."""
    digest = hashlib.sha256(url.encode(errors="backslashreplace")).hexdigest()
    return f"{digest[:2]}/{digest}"


def _earlier(downloads: Path, url: str) -> DownloadResult | None:
    """What earlier calls found, unless there is cause to try again."""
    path = downloads / f"{_name(url)}.json"
    try:
        outcome = DownloadResult(**json.loads(path.read_bytes()))
        whole = outcome.reason or path.with_suffix(".image").stat().st_size == outcome.bytes
    except (OSError, ValueError, TypeError):
        return None
    return outcome if whole and outcome.retry_after_s is None else None


def _store(folder: Folder, outcome: DownloadResult, body: bytes | None) -> DownloadResult:
    if body is not None:
        outcome = replace(outcome, bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
        folder.write(f"{_name(outcome.url)}.image", body)
    folder.write(f"{_name(outcome.url)}.json", json.dumps(asdict(replace(outcome, from_cache=True))).encode())
    return outcome


async def _fetch(
    links: Iterable[str],
    folder: Folder,
    options: DownloadOptions,
    outcomes: dict[str, DownloadResult],
    advance: Callable,
) -> None:
    # Host names are looked up in these threads, too: a few that take long shall not hold up the writing.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(options.concurrency))
    guard, limit_s = None if options.allow_private else _public_socket, options.timeout_s
    session = aiohttp.ClientSession(
        # Connections that are kept for another link are open files, and there may be thousands of hosts.
        connector=aiohttp.TCPConnector(limit=options.concurrency, keepalive_timeout=5, socket_factory=guard),
        timeout=aiohttp.ClientTimeout(total=20 * limit_s, sock_connect=limit_s, sock_read=limit_s),
        headers={"User-Agent": f"emotune/{__version__} (downloads a published list of images for research)"},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=options.allow_private,  # a proxy decides itself where connections go
    )
    client, rest = _Client(session, options), iter(links)

    async def work() -> None:
        for url in rest:
            outcomes[url] = await asyncio.to_thread(_store, folder, *await client.get(url))
            advance(outcomes[url])

    async with session, asyncio.TaskGroup() as workers:
        for _ in range(options.concurrency):
            workers.create_task(work())


class _DownloadError(Exception):
    """An attempt gave no image. Its arguments are the reason, and ``retry_after_s`` as in `DownloadResult`."""


class _Client:
    """Gets images over HTTP, with retries."""

    def __init__(self, session: aiohttp.ClientSession, options: DownloadOptions) -> None:
        self._session, self._options = session, options
        # aiohttp's own bound per host leaves connections idle: with several hosts it forgets to wake those that wait.
        self._hosts = defaultdict(lambda: asyncio.Semaphore(options.per_host))
        self._silences = Counter()
        self._decoding = asyncio.Semaphore(available_cpus())  # a small file may fill a gigabyte while it is decoded

    async def get(self, url: str) -> tuple[DownloadResult, bytes | None]:
        first_s, longest_s = self._options.first_wait_s, self._options.longest_wait_s
        growing = wait_exponential(first_s, max=longest_s) + wait_random(0, first_s)
        retrying = AsyncRetrying(
            retry=retry_if_result(lambda got: got[0].retry_after_s is not None and got[0].retry_after_s <= longest_s),
            wait=lambda state: growing(state) + state.outcome.result()[0].retry_after_s,
            stop=stop_after_attempt(self._options.attempts),
            retry_error_callback=lambda state: state.outcome.result(),
        )
        return await retrying(self._attempt, url)

    async def _attempt(self, url: str) -> tuple[DownloadResult, bytes | None]:
        seen, host = DownloadResult(url, url), None
        try:
            for _ in range(REDIRECTS + 1):
                host = urlsplit(seen.final_url).hostname
                if urlsplit(seen.final_url).scheme not in ("http", "https"):
                    raise ValueError(seen.final_url)
                async with self._hosts[host]:
                    if self._silences[host] >= SILENCES:
                        raise _DownloadError(f"{host} has not answered for some time", LATER)
                    async with self._session.get(seen.final_url, allow_redirects=False) as got:
                        self._silences[host] = 0
                        seen = replace(seen, status=got.status, content_type=got.content_type)
                        if got.status not in (301, 302, 303, 307, 308) or "Location" not in got.headers:
                            body = await _body(got, self._options.max_bytes)
                            break
                        seen = DownloadResult(url, urljoin(seen.final_url, got.headers["Location"]))
            else:
                raise _DownloadError(f"more than {REDIRECTS} redirects", None)
            async with self._decoding:
                await asyncio.to_thread(decode_image, body, shorter_side=1)
            return seen, body
        except UnreadableImageError as error:
            cut_off = got.content_length is None and "Transfer-Encoding" not in got.headers and body[:1] != b"<"
            reason, again_s = f"{error} (sent as {seen.content_type})", SOON if cut_off else None
        except Exception as error:  # whatever one server does, the other links are still to be fetched
            self._silences[host] += isinstance(error, TimeoutError) and not seen.status
            reason, again_s = _download_error(error, self._options)
        return replace(seen, reason=reason[:300], retry_after_s=again_s), None


async def _body(got: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if got.status != 200:
        passing = got.status in (408, 425, 429) or got.status >= 500
        asked = got.headers.get("Retry-After", "0")
        again_s = float(asked) if asked.isdecimal() else LATER  # a date, then
        raise _DownloadError(f"HTTP {got.status}", again_s if passing else None)
    if PLACEHOLDER.search(got.url.path):
        raise _DownloadError(f"placeholder: {got.url}", None)
    if not TYPES.match(got.content_type):
        raise _DownloadError(f"{got.content_type} instead of an image", None)
    body, size = bytearray(), got.content_length or 0
    while size <= max_bytes and (part := await got.content.readany()):
        body += part
        size = max(size, len(body))
    if size > max_bytes:
        raise _DownloadError(f"larger than {max_bytes} bytes", LATER)  # when the limit may be another
    return bytes(body)


def _download_error(error: Exception, options: DownloadOptions) -> tuple[str, float | None]:
    """The reason, and ``retry_after_s`` as in `DownloadResult`, of an error on the way to an image's last byte."""
    reason, again_s = str(error) or type(error).__name__, SOON
    match error:
        case _DownloadError(args=(reason, again_s)):
            pass
        case aiohttp.ClientConnectorError(os_error=_PrivateAddressError(args=(address,))):
            reason, again_s = f"private address {address} (use --allow-private to allow it)", LATER
        case aiohttp.ClientConnectorError(os_error=socket.gaierror(errno=code)):
            reason, again_s = f"no such host: {error.host}", LATER if code == socket.EAI_NONAME else SOON
        case aiohttp.ClientConnectorError(os_error=why):
            reason = f"no connection to {error.host}:{error.port}: {why.strerror or why}"
        case TimeoutError():
            reason = f"timeout: nothing came for {options.timeout_s:g} s, or too slowly"
        case aiohttp.ClientPayloadError():
            reason = "the body was cut off"
        case ValueError():
            reason, again_s = f"leads to no http or https link: {error}", None
    return reason, again_s


class _PrivateAddressError(OSError):
    """Its argument is the address. An OSError, so that aiohttp tries a host's other addresses."""


def _public_socket(address_info: tuple) -> socket.socket:
    """A socket for what is about to be connected to, whatever name or redirect led there."""
    family, kind, protocol, _, (address, *_) = address_info
    if not _is_public(address):
        raise _PrivateAddressError(address)
    return socket.socket(family, kind, protocol)


def _is_public(address: str) -> bool:
    ip = ip_address(address)
    tunnels_ipv4 = ip.version == 6 and (ip not in ip_network("2000::/3") or ip.sixtofour)
    return ip.is_global and not ip.is_multicast and not tunnels_ipv4

"""Downloads the images of a listing: each link once, and resumable after an interruption.

The result for a link is kept in ``<downloads>/ab/<SHA-256 of the link>.json``, which is written after the image,
``….image``.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from emotune.core.storage import Folder
from emotune.data.build.http_client import DownloadOptions, DownloadResult, ImageClient, open_session
from emotune.data.manifest import ExcludedImage, Problem
from emotune.data.sources.base import Listing, Url

__all__ = ["DownloadOptions", "DownloadResult", "download"]

LINKS_OF_A_PLACEHOLDER = 5
"""Number of links that were redirected to one image from which on it counts as a placeholder."""


def download(
    listing: Listing,
    downloads: Path,
    options: DownloadOptions | None = None,
    *,
    on_result: Callable[[DownloadResult], None] = lambda result: None,
) -> Listing:
    """The listing with files in place of links; links without an image are left out, each with the reason.

    The function also works where an event loop is running, as in Jupyter: it then downloads in a thread of its own.

    Args:
        listing: The images, some of which are links.
        downloads: The folder for the images. It may serve several listings; what it holds is not downloaded again.
        options: How images are downloaded; None for the defaults.
        on_result: A function that is called once for each link, perhaps in another thread. It is given the result
            before it is known whether many links lead to one placeholder.

    Raises:
        InputError: ``downloads`` cannot be written to.
        OSError: ``downloads`` could be written to at first; for example, the disk is full now. As after Ctrl-C, the
            images that were downloaded are kept.
    """
    if not (links := {entry.image.url for entry in listing.entries if isinstance(entry.image, Url)}):
        return listing
    folder = Folder(str(downloads))
    folder.require_writable()
    results: dict[str, DownloadResult] = {}
    missing: list[str] = []
    for url in sorted(links, key=_file_name):  # this order mixes the hosts, so that a slow one does not delay all
        if earlier := _read_result(downloads, url):
            results[url] = earlier
            on_result(earlier)
        else:
            missing.append(url)
    try:
        _run(_download_all(missing, folder, options or DownloadOptions(), results, on_result))
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    return _with_files(listing, downloads, results)


def _run(coroutine: Coroutine[None, None, None]) -> None:
    """Runs the coroutine; in a thread of its own if this thread already runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(coroutine)
        return
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task]] = []

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None  # this is a task
        running.append((asyncio.get_running_loop(), task))
        await coroutine

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(asyncio.run, run())
        try:
            job.result()
        except KeyboardInterrupt:  # arrives in this thread only
            for loop, task in running:
                loop.call_soon_threadsafe(task.cancel)
            raise


async def _download_all(
    links: Iterable[str],
    folder: Folder,
    options: DownloadOptions,
    results: dict[str, DownloadResult],
    on_result: Callable[[DownloadResult], None],
) -> None:
    # These threads also look up host names: a few slow look-ups must not hold up the writing.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(options.concurrency))
    session, remaining = open_session(options), iter(links)
    client = ImageClient(session, options)

    async def work() -> None:
        for url in remaining:
            results[url] = await asyncio.to_thread(_store, folder, *await client.get(url))
            on_result(results[url])

    async with session, asyncio.TaskGroup() as workers:
        for _ in range(options.concurrency):
            workers.create_task(work())


def _store(folder: Folder, result: DownloadResult, image: bytes | None) -> DownloadResult:
    """Writes the image, then the result."""
    if image is not None:
        folder.write(f"{_file_name(result.url)}.image", image)
    folder.write(f"{_file_name(result.url)}.json", json.dumps(asdict(replace(result, from_cache=True))).encode())
    return result


def _read_result(downloads: Path, url: str) -> DownloadResult | None:
    """The result of an earlier call; None if there is none, or if the link should be tried again."""
    path = downloads / f"{_file_name(url)}.json"
    try:
        result = DownloadResult(**json.loads(path.read_bytes()))
        complete = result.reason or path.with_suffix(".image").stat().st_size == result.bytes
    except (OSError, ValueError, TypeError):
        return None
    return result if complete and result.retry_after_s is None else None


def _file_name(url: str) -> str:
    """The name of a link's files in the downloads folder, without suffix; 256 subfolders keep each of them small."""
    digest = hashlib.sha256(url.encode(errors="backslashreplace")).hexdigest()
    return f"{digest[:2]}/{digest}"


def _with_files(listing: Listing, downloads: Path, results: Mapping[str, DownloadResult]) -> Listing:
    """The listing with files in place of links, and without the links that gave no image or a placeholder."""
    redirected = Counter(r.final_url for r in results.values() if not r.reason and r.final_url != r.url)
    entries, left_out = [], list(listing.left_out)
    for entry in listing.entries:
        if not isinstance(entry.image, Url):
            entries.append(entry)
            continue
        url = entry.image.url
        final_url, reason = results[url].final_url, results[url].reason
        if not reason and final_url != url and redirected[final_url] >= LINKS_OF_A_PLACEHOLDER:
            reason = f"placeholder: {redirected[final_url]} links were redirected to {final_url}"
        if reason:
            left_out.append(ExcludedImage(entry.source, entry.label, Problem.LOST, reason))
        else:
            entries.append(replace(entry, image=downloads / f"{_file_name(url)}.image"))
    return replace(listing, entries=entries, left_out=left_out)

"""Links become files; each link is downloaded once and reported once."""

import asyncio
import hashlib
import io
import json

from download_server import QUICK, got, jpeg, listing, redirects, says, to_the_end_of_the_connection
from PIL import Image

from emotune.data.build.download import DownloadOptions, DownloadResult, download
from emotune.data.manifest import ExcludedImage, Problem
from emotune.data.sources.base import Entry, Listing


def test_links_become_files_in_the_listings_order_and_other_entries_stay(server, tmp_path):
    links = [server.at(f"/{number}.jpg", says(jpeg(number))) for number in range(6)]
    lost_link = server.at("/lost.jpg", says(status=404))
    own = Entry("mine", "fear", {"fear": 1}, tmp_path / "mine.jpg", group="me")
    before = listing(*links[:3], lost_link, *links[3:])
    earlier = ExcludedImage("row 7", "", Problem.VOTES, "no majority")
    before = Listing("web", before.classes, [*before.entries, own], "a test", "none", [earlier])
    after = download(before, tmp_path / "downloads", DownloadOptions(**QUICK))
    assert [entry.source for entry in after.entries] == [*links, "mine"]
    assert [entry.image.read_bytes() for entry in after.entries[:6]] == [jpeg(number) for number in range(6)]
    assert after.entries[-1] is own
    assert list(after.left_out) == [earlier, ExcludedImage(lost_link, "awe", Problem.LOST, "HTTP 404")]
    assert (after.name, after.classes, after.source, after.licence) == ("web", ("awe", "fear"), "a test", "none")


def test_a_listing_without_links_needs_no_downloads_folder(tmp_path):
    own = Listing("mine", ("awe",), [Entry("mine", "awe", {"awe": 1}, tmp_path / "mine.jpg")], "", "")
    assert download(own, tmp_path / "downloads") is own
    assert not (tmp_path / "downloads").exists()


def test_the_bytes_decide_the_type_of_an_image(server, tmp_path):
    links = [
        server.at("/a", says(jpeg(1, "PNG"), content_type="image/jpeg")),
        server.at("/b", says(jpeg(1, "GIF"), content_type="application/octet-stream")),
        server.at("/c", says(jpeg(1, "WEBP"), content_type="IMAGE/png; charset=binary")),
        server.at("/d", says(jpeg(1), content_type=None)),
        server.at("/e", to_the_end_of_the_connection(jpeg(1))),
    ]
    result = download(listing(*links), tmp_path, DownloadOptions(**QUICK))
    kinds = [Image.open(io.BytesIO(entry.image.read_bytes())).format for entry in result.entries]
    assert kinds == ["PNG", "GIF", "WEBP", "JPEG", "JPEG"]


def test_redirects_are_followed(server, tmp_path):
    server.at("/c.jpg", says(jpeg(1)))
    server.at("/b.jpg", redirects("/c.jpg"))
    assert got(tmp_path, server.at("/a.jpg", redirects("/b.jpg"))) == jpeg(1)
    (known,) = tmp_path.rglob("*.json")
    assert json.loads(known.read_text())["final_url"].endswith("/c.jpg")


def test_the_result_for_a_link_is_written_beside_its_image(server, tmp_path):
    link = server.at("/a.jpg", says(jpeg(1)))
    got(tmp_path, link)
    name = hashlib.sha256(link.encode()).hexdigest()
    assert (tmp_path / name[:2] / f"{name}.image").read_bytes() == jpeg(1)
    assert json.loads((tmp_path / name[:2] / f"{name}.json").read_text()) == {
        "url": link, "final_url": link, "status": 200, "content_type": "image/jpeg", "bytes": len(jpeg(1)),
        "sha256": hashlib.sha256(jpeg(1)).hexdigest(), "reason": "", "retry_after_s": None, "from_cache": True,
    }  # fmt: skip


def test_a_link_of_several_entries_is_fetched_once(server, tmp_path):
    link = server.at("/a.jpg", says(jpeg(1)))
    seen: list[DownloadResult] = []
    result = download(listing(link, link, link), tmp_path, DownloadOptions(**QUICK), on_result=seen.append)
    assert len({entry.image for entry in result.entries}) == 1 and len(result.entries) == 3
    assert server.asked("/a.jpg") == len(seen) == 1


def test_each_link_is_reported_once_as_downloaded_failed_or_cached(server, tmp_path):
    a, b = server.at("/a.jpg", says(jpeg(1))), server.at("/b.jpg", says(status=404))
    for earlier in (False, True):
        seen: list[DownloadResult] = []
        download(listing(a, b), tmp_path, DownloadOptions(**QUICK), on_result=seen.append)
        told = {outcome.url: (outcome.reason, outcome.bytes, outcome.from_cache) for outcome in seen}
        assert len(seen) == 2
        assert told == {a: ("", len(jpeg(1)), earlier), b: ("HTTP 404", 0, earlier)}


def test_download_works_inside_a_running_event_loop(server, tmp_path):
    links = [server.at("/a.jpg", says(jpeg(1))), server.at("/b.jpg", says(status=404))]

    async def notebook_cell() -> Listing:
        return download(listing(*links), tmp_path, DownloadOptions(**QUICK))

    result = asyncio.run(notebook_cell())
    assert [entry.image.read_bytes() for entry in result.entries] == [jpeg(1)]
    assert [row.source for row in result.left_out] == [links[1]]

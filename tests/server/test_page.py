"""Tests of the page at / in a browser. They use the keyboard, except for dropping files."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from scripts.core import clips
from tests.support.forms import VIDEO
from tests.support.serving import Server

pytestmark = pytest.mark.needs("server")

WORSE = clips.y4m(48)


@pytest.fixture
def page(server: Server, browser: Browser) -> Iterator[Page]:
    """Yield the loaded page; fail the test on script errors and requests to other hosts."""
    page = browser.new_page(viewport={"width": 1000, "height": 760})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.extend(foreign(request.url, server.url)))
    page.goto(server.url)
    yield page
    page.close()
    assert not faults, faults


def foreign(url: str, server: str) -> Iterator[str]:
    """Yield a message if the URL of a request is on another host than the server."""
    parts = urlsplit(url)
    if parts.scheme not in ("blob", "data") and parts.netloc != urlsplit(server).netloc:
        yield f"the page requested {url}"


def video(content: bytes) -> Any:
    """Return a file for Playwright's `set_input_files`."""
    return {"name": "video.y4m", "mimeType": "video/x-yuv4mpeg", "buffer": content}


def choose(page: Page, reference: bytes, distorted: bytes) -> None:
    """Choose both files, as a user does in the file dialogs."""
    page.get_by_label("Reference").set_input_files(video(reference))
    page.get_by_label("Distorted").set_input_files(video(distorted))


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until an element has the focus; fail the test if it never does."""
    for _ in range(20):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab never reaches {target}")


def test_page_shows_the_score(page: Page, server: Server) -> None:
    """The server's page shows the score and a plot of two files that were chosen by keyboard."""
    choose(page, VIDEO, WORSE)
    button = page.get_by_role("button", name="Score")
    tab_to(page, button)
    page.keyboard.press("Enter")
    score = server.score(VIDEO, WORSE)
    expect(page.get_by_role("status")).to_contain_text(f"{score:.2f}", timeout=20_000)
    expect(page.get_by_role("img")).to_be_visible()


def test_page_is_usable_by_keyboard(page: Page) -> None:
    """Tab reaches both file fields and the button of the server's page, in their order."""
    for target in (
        page.get_by_label("Reference"),
        page.get_by_label("Distorted"),
        page.get_by_role("button", name="Score"),
    ):
        tab_to(page, target)


def test_page_shows_errors(page: Page) -> None:
    """The server's page shows an error message of the server, and the next attempt succeeds."""
    choose(page, VIDEO, b"no video")
    page.get_by_role("button", name="Score").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Y4M", timeout=20_000)
    choose(page, VIDEO, WORSE)
    page.get_by_role("button", name="Score").press("Enter")
    expect(page.get_by_role("img")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("alert")).not_to_be_visible()


def test_page_accepts_dropped_files(page: Page, server: Server) -> None:
    """Two files can be dropped on the server's page together; the first is the reference."""
    page.evaluate(
        """([reference, distorted]) => {
            const transfer = new DataTransfer();
            for (const [name, base64] of [["a.y4m", reference], ["b.y4m", distorted]]) {
                const content = Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));
                transfer.items.add(new File([content], name));
            }
            for (const type of ["dragenter", "dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(type, {
                    dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        [b64encode(video).decode() for video in (VIDEO, WORSE)],
    )
    page.get_by_role("button", name="Score").press("Enter")
    score = server.score(VIDEO, WORSE)
    expect(page.get_by_role("status")).to_contain_text(f"{score:.2f}", timeout=20_000)

"""The page at /, in a browser, by the keyboard alone."""

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
    """Return the page, freshly loaded; fails the test where it complained of itself."""
    page = browser.new_page(viewport={"width": 1000, "height": 760})
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.extend(strangers(request.url, server.url)))
    page.goto(server.url)
    yield page
    page.close()
    assert not wrong, wrong


def strangers(url: str, own: str) -> Iterator[str]:
    """Yield an address that is not the server's own: the page works where no other host is."""
    there = urlsplit(url)
    if there.scheme not in ("blob", "data") and there.netloc != urlsplit(own).netloc:
        yield f"the page asks {url}"


def video(content: bytes) -> Any:
    """Return a file to choose."""
    return {"name": "video.y4m", "mimeType": "video/x-yuv4mpeg", "buffer": content}


def choose(page: Page, reference: bytes, distorted: bytes) -> None:
    """Choose both files, as the dialogue that Enter opens would."""
    page.get_by_label("Reference").set_input_files(video(reference))
    page.get_by_label("Distorted").set_input_files(video(distorted))


def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until an element has the focus; fails where the keyboard does not reach it."""
    for _ in range(20):
        if wanted.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab never reaches {wanted}")


def test_a_score_by_the_keyboard(page: Page, server: Server) -> None:
    """Two files, Tab, Enter: the score is there, and a plot of every frame."""
    choose(page, VIDEO, WORSE)
    button = page.get_by_role("button", name="Score")
    tab_to(page, button)
    page.keyboard.press("Enter")
    score = server.score(VIDEO, WORSE)
    expect(page.get_by_role("status")).to_contain_text(f"{score:.2f}", timeout=20_000)
    expect(page.get_by_role("img")).to_be_visible()


def test_everything_is_reached_by_the_keyboard(page: Page) -> None:
    """Both files and the button, in the order in which they stand."""
    for wanted in (
        page.get_by_label("Reference"),
        page.get_by_label("Distorted"),
        page.get_by_role("button", name="Score"),
    ):
        tab_to(page, wanted)


def test_an_error_is_said(page: Page) -> None:
    """What the server says is wrong is there to read, and the next try works."""
    choose(page, VIDEO, b"no video")
    page.get_by_role("button", name="Score").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Y4M", timeout=20_000)
    choose(page, VIDEO, WORSE)
    page.get_by_role("button", name="Score").press("Enter")
    expect(page.get_by_role("img")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("alert")).not_to_be_visible()


def test_files_are_dropped(page: Page, server: Server) -> None:
    """Both at once, on the page: the first is the reference."""
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

"""The report of builds (`nox -s report`) in the browser that the server's page is tested with."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

from scripts.buildkit.records import Record, Stage
from scripts.report import html as report_page

pytestmark = pytest.mark.needs("server")

BEGAN = datetime(2026, 11, 22, 17, 9, tzinfo=UTC)
PHONE = 500
LOCKED = "RUN --mount=type=cache,id=vmaf-ccache,target=/ccache,sharing=locked make"


@pytest.fixture(scope="module")
def html() -> str:
    """Return the page of two builds, in the later of which one stage waited for the other."""

    def stage(name: str, end: float) -> Stage:
        times = [[(BEGAN + timedelta(seconds=at)).isoformat() for at in (0, end)]]
        ccache = {"direct_cache_hit": 90, "cache_miss": 10}
        steps = {f"1/1 {LOCKED}": {"seconds": end, "cached": False, "spans": times}}
        return Stage(name, ["cpu"], end, cached=False, measures={"ccache": ccache}, steps=steps)

    stages = [stage("libvmaf-cpu", 118.0), stage("ffmpeg-cpu", 474.0)]
    sizes = {"vmaf:cpu": 170_000_000}
    builds = [
        Record([target], {}, "", BEGAN.isoformat(), 480.0, "built", stages, sizes, [])
        for target in ("cuda12", "cpu")
    ]
    return report_page.render(report_page.gather(builds))


@pytest.mark.parametrize("width", [1280, 390], ids=["desk", "phone"])
def test_the_report_shows(browser: Browser, html: str, width: int) -> None:
    """Light and dark: not a word on the console, no request, nothing wider than the screen."""
    grounds = set()
    page = browser.new_page(viewport={"width": width, "height": 800}, is_mobile=width < PHONE)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.set_content(html)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        bars = page.locator(".gantt tr", has_text="ffmpeg-cpu").locator("rect")
        waited, worked = (
            box["width"] for box in (bar.bounding_box() for bar in bars.all()[:2]) if box
        )
        assert worked / waited == pytest.approx((474 - 118) / 118, rel=0.05)
    page.close()
    assert len(grounds) == 2
    assert not wrong, wrong

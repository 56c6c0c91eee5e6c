"""The report of builds (`nox -s report`) in the browser that also tests the server's page."""

from datetime import timedelta

import pytest
from playwright.sync_api import Browser

from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.report import html as report_page
from tests.support.builds import STARTED, ccache

pytestmark = pytest.mark.needs("server")

PHONE = 500
LOCKED = "RUN --mount=type=cache,id=vmaf-ccache,target=/ccache,sharing=locked make"


@pytest.fixture(scope="module")
def html() -> str:
    """Return the page of two builds; in the later one a stage waited for the other."""

    def stage(name: str, end: float) -> StageRecord:
        times = [(STARTED, STARTED + timedelta(seconds=end))]
        steps = {f"1/1 {LOCKED}": StepRecord(end, cached=False, spans=times)}
        counts = ccache(90, 10)
        return StageRecord(name, ["cpu"], end, cached=False, measurements=counts, steps=steps)

    stages = [stage("libvmaf-cpu", 118.0), stage("ffmpeg-cpu", 474.0)]
    sizes = {"vmaf:cpu": 170_000_000}
    builds = [
        BuildRecord([target], {}, "", STARTED, 480.0, "built", stages, sizes, [])
        for target in ("cuda12", "cpu")
    ]
    return report_page.render(report_page.gather(builds))


@pytest.mark.parametrize("width", [1280, 390], ids=["desk", "phone"])
def test_the_report_shows(browser: Browser, html: str, width: int) -> None:
    """In both colour schemes there is no message or request, and nothing exceeds the width."""
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

"""The report of builds (`nox -s report`) in a browser."""

from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

from scripts.buildkit.records import BuildRecord, StageRecord, StepRecord
from scripts.report import html as report_page
from tests.support.builds import ccache

pytestmark = pytest.mark.needs("server")

BEGAN = datetime(2026, 11, 22, 17, 9, tzinfo=UTC)
PHONE = 500
LOCKED = "RUN --mount=type=cache,id=vmaf-ccache,target=/ccache,sharing=locked make"


@pytest.fixture(scope="module")
def html() -> str:
    """Return the page of two builds; in the later one, a stage waited for another."""

    def stage(name: str, end: float) -> StageRecord:
        step = StepRecord(end, cached=False, spans=[(BEGAN, BEGAN + timedelta(seconds=end))])
        return StageRecord(
            name,
            ["cpu"],
            end,
            cached=False,
            measurements=ccache(90, 10),
            steps={f"1/1 {LOCKED}": step},
        )

    stages = [stage("libvmaf-cpu", 118.0), stage("ffmpeg-cpu", 474.0)]
    sizes = {"vmaf:cpu": 170_000_000}
    builds = [
        BuildRecord([target], {}, "", BEGAN, 480.0, "built", stages, sizes, [])
        for target in ("cuda12", "cpu")
    ]
    return report_page.render(report_page.template_variables(builds))


@pytest.mark.parametrize("width", [1280, 390], ids=["desk", "phone"])
def test_report_renders(browser: Browser, html: str, width: int) -> None:
    """The build report fits the screen, light and dark, without requests or console messages."""
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

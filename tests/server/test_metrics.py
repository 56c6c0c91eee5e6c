"""The metrics are true: what was asked, scored and refused is what is counted."""

import re

import pytest

from scripts.core import clips
from tests.support.forms import VIDEO
from tests.support.serving import SCORE, Server, serving
from tests.support.subject import Subject

pytestmark = pytest.mark.needs("server")


def test_requests_are_counted_as_they_end(image: Subject) -> None:
    """By endpoint, method and code; scorings by their outcome; frames and seconds with them."""
    with serving(image) as server:
        before = server.metric("vmaf_http_requests_total", path="/v1/models", code="200")
        for _ in range(3):
            assert server.upload(VIDEO, VIDEO).ok
        assert server.upload(VIDEO, VIDEO[:-1]).status_code == 422
        assert server.upload(VIDEO, VIDEO, options={"x": 1}).status_code == 400
        assert server.get("/v1/models").ok
        assert server.get("/nowhere/in/particular").status_code == 404

        def requests_(path: str, code: str) -> float:
            return server.metric("vmaf_http_requests_total", path=path, code=code)

        assert requests_(SCORE, "200") == 3
        assert requests_(SCORE, "422") == 1
        assert requests_(SCORE, "400") == 1
        assert requests_("/v1/models", "200") == before + 1
        assert requests_("other", "404") == 1
        assert server.metric("vmaf_scorings_total", interface="http", outcome="ok") == 3
        assert server.metric("vmaf_scorings_total", interface="http", outcome="invalid") == 2
        assert server.metric("vmaf_scorings_total", interface="grpc") == 0
        assert server.metric("vmaf_scoring_seconds_count") == 3
        whole, part = 3 * clips.FRAMES, clips.FRAMES - 1
        assert whole <= server.metric("vmaf_frames_scored_total") <= whole + part
        assert server.metric("vmaf_scorings_running") == 0
        assert server.metric("vmaf_scorings_queued") == 0
        assert server.metric("vmaf_scratch_bytes") == 0


def test_no_request_makes_a_metric_of_its_own(server: Server) -> None:
    """A path or method of a client's choice is no label: anyone could fill the memory."""
    for number in range(20):
        server.get(f"/made-up/{number}")
    assert "made-up" not in server.get("/metrics").text


def test_the_build_is_told(server: Server, image: Subject) -> None:
    """Which server of which revision with which libvmaf, as the image says."""
    labels = image.labels
    told = {
        "version": labels["org.opencontainers.image.version"],
        "revision": labels["org.opencontainers.image.revision"],
        "libvmaf": image.manifest["libvmaf"]["version"],
    }
    assert server.metric("vmaf_build_info", **told) == 1


def test_metrics_are_prometheuss(server: Server) -> None:
    """Each line is a comment or a sample, each family has help and a type."""
    text = server.get("/metrics").text
    families = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert families == set(re.findall(r"^# HELP (\w+) ", text, re.MULTILINE))
    sample = re.compile(r"[a-zA-Z_:][\w:]*(\{.*\})? [-+\w.]+")
    for line in text.splitlines():
        assert line.startswith("# ") or sample.fullmatch(line), line

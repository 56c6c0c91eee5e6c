"""Tests of the server's Prometheus metrics."""

import re

import pytest

from scripts.core import clips
from tests.support.forms import VIDEO
from tests.support.serving import SCORE, Server, serving
from tests.support.subject import Subject

pytestmark = pytest.mark.needs("server")


def test_metrics_count_requests(image: Subject) -> None:
    """The server's metrics count requests by path and code, scorings by outcome, and frames."""
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
        complete, truncated = 3 * clips.FRAMES, clips.FRAMES - 1
        frames = server.metric("vmaf_frames_scored_total")
        assert complete <= frames <= complete + truncated
        assert server.metric("vmaf_scorings_running") == 0
        assert server.metric("vmaf_scorings_queued") == 0
        assert server.metric("vmaf_scratch_bytes") == 0


def test_metrics_have_no_labels_from_clients(server: Server) -> None:
    """Unknown paths create no time series of the metrics, which could exhaust the memory."""
    for number in range(20):
        server.get(f"/made-up/{number}")
    assert "made-up" not in server.get("/metrics").text


def test_build_info_matches_the_image(server: Server, image: Subject) -> None:
    """The metric vmaf_build_info has the image's version and revision, and libvmaf's version."""
    labels = image.labels
    expected = {
        "version": labels["org.opencontainers.image.version"],
        "revision": labels["org.opencontainers.image.revision"],
        "libvmaf": image.manifest["libvmaf"]["version"],
    }
    assert server.metric("vmaf_build_info", **expected) == 1


def test_metrics_have_the_prometheus_format(server: Server) -> None:
    """Each line of the metrics is a comment or a sample, and each metric has a help and type."""
    text = server.get("/metrics").text
    families = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))
    assert families == set(re.findall(r"^# HELP (\w+) ", text, re.MULTILINE))
    sample = re.compile(r"[a-zA-Z_:][\w:]*(\{.*\})? [-+\w.]+")
    for line in text.splitlines():
        assert line.startswith("# ") or sample.fullmatch(line), line

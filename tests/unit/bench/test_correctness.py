"""Tests of scripts/bench/correctness.py."""

import pytest

from scripts.bench import correctness
from scripts.bench.results import Result
from scripts.bench.scenarios import SCENARIOS
from scripts.bench.session import State
from scripts.core import process

STATE = State("0123456789ab", "bench-x-project", "bench-x-project")
MINE, OTHER = "vmaf_bench_0123456789ab", "vmaf_bench_ffffffffffff"


@pytest.mark.parametrize(
    ("present", "scenario", "message"),
    [
        ({MINE}, "libvmaf-c", ""),
        (set(), "unchanged", ""),
        (set(), "libvmaf-c", "contains none"),
        ({OTHER}, "libvmaf-c", f"contains {OTHER}"),
        ({MINE}, "unchanged", f"should contain no edit and contains {MINE}"),
    ],
)
def test_stale_library_is_described(present: set[str], scenario: str, message: str) -> None:
    """A library of a bench build without the edit, or with an earlier one, is stale."""
    markers = {"libvmaf": present, "libavfilter": set[str]()}
    described = correctness.stale_library(markers, SCENARIOS[scenario], STATE)
    assert message in described
    assert bool(described) == bool(message)


def test_image_is_compared_with_the_cold_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image with another digest than the cold build is compared with it file by file."""
    different: list[str] = []
    monkeypatch.setattr(correctness, "differences", lambda _one, _other: different)
    monkeypatch.setattr(correctness, "image_id", lambda image: image)
    result = Result("base", "project", "cpu")
    assert not correctness.compare_with_cold(SCENARIOS["base"], result)
    assert result.digests_equal is True
    different.append("/usr/local/bin/vmaf: content")
    assert "/usr/local/bin/vmaf" in correctness.compare_with_cold(SCENARIOS["base"], result)
    assert result.digests_equal is False


def test_equal_digests_need_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images with the same digest are equal without listing their files."""
    monkeypatch.setattr(correctness, "image_id", lambda _image: "sha256:1")
    result = Result("unchanged", "project", "cpu")
    assert not correctness.compare_with_cold(SCENARIOS["unchanged"], result)
    assert result.digests_equal is True


def test_edited_image_is_not_compared() -> None:
    """An image with an edit is not compared, as no cold build has the same inputs."""
    result = Result("libvmaf-c", "project", "cpu")
    assert not correctness.compare_with_cold(SCENARIOS["libvmaf-c"], result)
    assert result.digests_equal is None


def test_second_cold_build_is_compared_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first cold build keeps its tag, and a second cold build is compared with it."""
    monkeypatch.setattr(correctness, "differences", lambda _one, _other: ["/usr/local/bin/vmaf"])
    monkeypatch.setattr(correctness, "image_id", lambda image: image)
    tagged: list[tuple[str, ...]] = []
    monkeypatch.setattr(process, "run", lambda *command, **_: tagged.append(command))
    result = Result("cold", "project", "cpu", [500.0])
    assert not correctness.compare_with_cold(SCENARIOS["cold"], result)
    result.seconds.append(510.0)
    assert "/usr/local/bin/vmaf" in correctness.compare_with_cold(SCENARIOS["cold"], result)
    assert [command[:2] for command in tagged] == [("docker", "tag")]

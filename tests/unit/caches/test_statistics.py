"""Tests of scripts/caches/statistics.py."""

from scripts.caches import statistics
from scripts.caches.mounts import DeclaredMount
from scripts.dockerfile.parser import Mount
from tests.support.mounts import DECLARED


def test_statistics_use_the_declared_options() -> None:
    """The step that reads a cache mount's statistics has the mount's declared options."""
    options = {
        "type": "cache",
        "id": "vmaf-ccache-$TARGETARCH",
        "target": "/ccache",
        "sharing": "locked",
        "uid": "1000",
    }
    declared = [DeclaredMount(options["id"], Mount(options)), DECLARED[1]]
    lines = statistics.dockerfile(declared, as_json=False)
    assert "ARG TARGETARCH STAMP\nUSER 1000\n" in lines
    mount = "type=cache,id=vmaf-ccache-$TARGETARCH,target=/ccache,sharing=locked,uid=1000"
    assert f"RUN --mount={mount} --mount=type=bind" in lines
    directory = "/tmp/statistics/vmaf-ccache-$TARGETARCH"  # noqa: S108 - inside the step
    assert f"ccache --show-stats -vv > {directory}/ccache\n" in lines
    assert f"depcache.py --stats > {directory}/depcache\n" in lines
    assert lines.count("RUN") == 2


def test_statistics_of_sccache_are_counted() -> None:
    """For sccache, whose server forgets its statistics, the files of the mount are counted."""
    mount = Mount({"type": "cache", "target": "/sccache", "uid": "1000"})
    declared = [DeclaredMount("x", mount)]
    for as_json, end in ((False, " > /tmp/statistics/x/sccache"), (True, "tonumber)' > ")):
        lines = statistics.dockerfile(declared, as_json=as_json)
        assert "USER 1000\n" in lines
        assert "find /sccache -type f" in lines
        assert end in lines


def test_json_statistics_use_other_commands() -> None:
    """With --format json, the compiler caches print their statistics as JSON."""
    mount = Mount({"type": "cache", "target": "/ccache"})
    lines = statistics.dockerfile([DeclaredMount("x", mount)], as_json=True)
    assert "ccache --print-stats --format=json" in lines
    assert "--stats | jq" in lines

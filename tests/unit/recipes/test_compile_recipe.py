"""What the recipes that compile print about their caches, and the switch of split-config.py."""

import json
import sys
from pathlib import Path

import pytest

from scripts.core import process
from scripts.core.paths import ROOT
from scripts.dockerfile import bake
from tests.images import test_ffmpeg
from tests.support.buildx import needs_buildx

COMPILE = ROOT / "docker" / "recipes" / "compile"
CCACHE = """\
# a.c
cache_miss
direct_cache_miss
preprocessed_cache_miss
# a.c
direct_cache_hit
local_storage_hit
# b.c
direct_cache_hit
# d.c
direct_cache_hit
# c.c
preprocessed_cache_hit
direct_cache_miss
"""
"""A log as ccache 4.11 writes it: the source of a call, then the counters that it increased."""


def report(build: Path, ccache: str, depcache: str) -> list[str]:
    """Return the lines that a step prints if its caches wrote these logs."""
    recipe = (COMPILE / "compile.sh").read_text().replace("/build/", f"{build}/")
    (build / "ccache.log").write_text("direct_cache_hit\n")  # another step's, if it were there
    (build / "written").write_text(ccache)
    (build / "depcache.log").write_text(depcache)
    script = f'{recipe}\ncat {build}/written >>"$CCACHE_STATSLOG"\nreport_caches\n'
    return process.output("sh", "-euc", script).splitlines()


def measures(build: Path, ccache: str, depcache: str) -> dict[str, dict[str, int]]:
    """Return the measurements that a step prints if its caches wrote these logs."""
    lines = report(build, ccache, depcache)
    measured = [json.loads(line.removeprefix("#measure ")) for line in lines]
    return {name: counts for line in measured for name, counts in line.items()}


def test_step_prints_the_counts_of_its_own_log(tmp_path: Path) -> None:
    """A compile step counts the results in its own log by their complete names."""
    assert measures(tmp_path, CCACHE, "hit nasm\nmiss nvcc\nhit nasm\nbypass nasm\n") == {
        "ccache": {"direct_cache_hit": 3, "preprocessed_cache_hit": 1, "cache_miss": 1},
        "depcache": {"hit": 2, "miss": 1, "uncacheable": 0, "bypassed": 1},
    }


def test_step_warns_about_a_compiler_that_is_not_cached(tmp_path: Path) -> None:
    """A compile step warns if depcache cached no call of a compiler, however it cached others."""
    lines = report(tmp_path, "", "bypass nvcc\nhit nasm\nbypass nvcc\nbypass nasm\n")
    assert lines[1] == "#warning all 2 calls of nvcc bypassed depcache"
    assert sum(line.startswith("#warning") for line in lines) == 1


def test_step_without_compiler_calls_prints_no_depcache_line(tmp_path: Path) -> None:
    """A compile step always prints ccache's counts, and depcache's only if it used depcache."""
    assert measures(tmp_path, "", "") == {
        "ccache": {"direct_cache_hit": 0, "preprocessed_cache_hit": 0, "cache_miss": 0}
    }


PROXY = """#!/bin/sh
case $1 in
    start) echo URL; exit STATUS ;;
    stop) echo '#measure {"remote": {"hit": 1}}'; exit STATUS ;;
esac
"""
"""A proxy that prints a URL if the store can be used."""


def remote(build: Path, secret: str, url: str, status: int = 0) -> list[str]:
    """Return the two variables with the URL, and the lines that the step prints at its end."""
    (build / "remote.py").write_text(PROXY.replace("URL", url).replace("STATUS", str(status)))
    (build / "remote.py").chmod(0o755)
    if secret:
        (build / "secret").write_text(secret)
    recipe = (COMPILE / "compile.sh").read_text().replace("/build/", f"{build}/")
    for name, path in {
        "/run/cache/remote.py": "remote.py",
        "/run/secrets/remote-cache": "secret",
    }.items():
        assert name in recipe
        recipe = recipe.replace(name, str(build / path))
    recipe = recipe.replace("/usr/bin/python3", sys.executable)
    script = f'{recipe}\nenv | grep -E "^(CCACHE|DEPCACHE)_REMOTE" | sort || true\nreport_caches\n'
    return process.output("sh", "-euc", script).splitlines()


def test_remote_cache_is_for_both_compiler_caches(tmp_path: Path) -> None:
    """With the secret, ccache and depcache get the proxy's URL, and its counts are printed."""
    lines = remote(tmp_path, "redis://user:hidden@host", "http://127.0.0.1:1/token")
    storage, url, _, last = lines
    assert storage.startswith("CCACHE_REMOTE_STORAGE=http://127.0.0.1:1/token|layout=flat|")
    assert url == "DEPCACHE_REMOTE=http://127.0.0.1:1/token"
    assert last == '#measure {"remote": {"hit": 1}}'


@pytest.mark.parametrize(
    ("secret", "url"), [("", "http://127.0.0.1:1/token"), ("redis://host", "")]
)
@pytest.mark.parametrize("status", [0, 1])
def test_without_a_remote_cache_no_variable_is_set(
    tmp_path: Path, secret: str, url: str, status: int
) -> None:
    """Without the secret, or a store that answers, a step is as without both, and succeeds."""
    (line,) = remote(tmp_path, secret, url, status)
    assert line.startswith('#measure {"ccache"')


@pytest.mark.parametrize(
    ("value", "splits"), [("", True), ("1", True), ("0", False)], ids=["unset", "on", "off"]
)
def test_split_config_can_be_switched_off(tmp_path: Path, value: str, *, splits: bool) -> None:
    """VMAF_SPLIT_CONFIG=0 keeps the complete config.h; any other value reduces it."""
    (line,) = (
        line
        for line in (COMPILE / "ffmpeg" / "ffmpeg.sh").read_text().splitlines()
        if "/split-config.py" in line
    )
    (tmp_path / "python3").write_text("#!/bin/sh\necho split\n")
    (tmp_path / "python3").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "CROSS": ""}
    if value:
        environment["VMAF_SPLIT_CONFIG"] = value
    ran = process.run("sh", "-euc", line, env=environment)
    assert (ran.returncode, bool(ran.stdout)) == (0, splits)


def features(directory: Path, without: str, variant: str = "cpu") -> process.CompletedProcess[str]:
    """Run the part of ffmpeg.sh that makes configure's options; print the options."""
    text = (COMPILE / "ffmpeg" / "ffmpeg.sh").read_text()
    part = text[text.index("options=") : text.index("# List all files that configure could read")]
    part = part.replace("/src/configure", str(directory / "configure"))
    (directory / "configure").write_text("")
    script = f"variants={variant}\n{part}\necho $options"
    return process.run("sh", "-euc", script, env={"PATH": "/bin", "FFMPEG_WITHOUT": without})


def enabled(directory: Path, variant: str) -> set[str]:
    """Return the features that ffmpeg.sh enables for a variant."""
    words = features(directory, "", variant).stdout.split()
    return {word.removeprefix("--enable-") for word in words if word.startswith("--enable-")}


def libraries(*codecs: test_ffmpeg.Codec) -> set[str]:
    """Return configure's names of the libraries of codecs."""
    return {name for codec in codecs for name in (codec.libraries or codec.encoder).split()}


def test_features_can_be_left_out(tmp_path: Path) -> None:
    """FFMPEG_WITHOUT disables features of FFmpeg that are otherwise enabled."""
    complete, reduced = (
        features(tmp_path, without).stdout.split() for without in ("", "libjxl libsrt")
    )
    assert "--enable-libjxl" in complete
    assert "--disable-vulkan" in complete
    assert [word for word in reduced if word not in complete] == [
        "--disable-libsrt",
        "--disable-libjxl",
    ]
    assert len(complete) == len(reduced)


def test_unknown_feature_is_named(tmp_path: Path) -> None:
    """A word in FFMPEG_WITHOUT that is no feature ends the step with a message."""
    done = features(tmp_path, "libjxl libxyz")
    assert done.returncode == 1
    assert "FFMPEG_WITHOUT names 'libxyz'" in done.stderr


@pytest.mark.parametrize("feature", ["libvmaf", "gpl"])
def test_features_that_all_need_cannot_be_left_out(tmp_path: Path, feature: str) -> None:
    """FFMPEG_WITHOUT may not name libvmaf, or the licence that other features need."""
    done = features(tmp_path, feature)
    assert done.returncode == 1
    assert f"cannot leave out '{feature}'" in done.stderr


def test_features_that_tests_name_can_be_left_out(tmp_path: Path) -> None:
    """Each library that a test requires is a feature of ffmpeg.sh's list."""
    named = libraries(*test_ffmpeg.CODECS, *test_ffmpeg.ADDED_CODECS)
    named |= {*test_ffmpeg.FEATURES.values(), *test_ffmpeg.PROTOCOLS.values()}
    listed = {word.rpartition("able-")[2] for word in features(tmp_path, "").stdout.split()}
    assert named <= listed


def test_each_library_of_the_ffmpeg_image_has_a_test(tmp_path: Path) -> None:
    """A test requires each feature that vmaf:ffmpeg has and vmaf:cpu does not, but VA-API."""
    cpu, ffmpeg = (enabled(tmp_path, variant) for variant in ("cpu", "ffmpeg"))
    filters = {test_ffmpeg.FEATURES[name] for name in test_ffmpeg.ADDED_FILTERS}
    tested = libraries(*test_ffmpeg.ADDED_CODECS) | filters | set(test_ffmpeg.PROTOCOLS.values())
    assert cpu < ffmpeg
    assert ffmpeg - cpu - {"vaapi", "libdrm"} == tested


@needs_buildx
@pytest.mark.parametrize("name", ["VMAF_SPLIT_CONFIG", "FFMPEG_WITHOUT", "VMAF_LOCK"])
def test_setting_is_no_argument_unless_it_is_set(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """These settings are build arguments, and so in the cache keys, only if they are set."""
    monkeypatch.delenv(name, raising=False)
    assert name not in bake.bake_print("cpu")["target"]["cpu"]["args"]
    monkeypatch.setenv(name, "0")
    assert bake.bake_print("cpu")["target"]["cpu"]["args"][name] == "0"

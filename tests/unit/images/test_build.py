"""What the build driver decides before it starts anything."""

import re
import sys
from pathlib import Path

import pytest

from scripts.core import git
from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.images import build
from scripts.images.catalogue import Image
from scripts.images.sources import Source


def image(backends: str) -> Image:
    """Return an image that promises these backends."""
    return Image("x", "vmaf:x", "Dockerfile", "x", {"vmaf.backends": backends}, frozenset())


def source(*backends: str) -> Source:
    """Return a libvmaf tree that offers these backends."""
    return Source("libvmaf", Path("/copy"), "1.0", frozenset(backends))


def test_the_overlay_replaces_the_source_stage() -> None:
    """A given tree becomes the named context that the Dockerfile's stage gives way to."""
    made = build.overlay([source("cpu")], environment={})
    assert made["target"]["_common"]["contexts"] == {"libvmaf-source": "/copy"}
    assert "contexts" not in made["target"]["_bootstrap"]


def test_the_overlay_hands_on_proxies_and_the_ca_bundle(tmp_path: Path) -> None:
    """Both reach the images and the bootstrapped bases."""
    bundle = tmp_path / "ca.crt"
    bundle.touch()
    environment = {
        "SSL_CERT_FILE": str(bundle),
        "HTTP_PROXY": "http://proxy.example.org",
        "CARGO_HOME": str(tmp_path),
    }
    made = build.overlay([], environment=environment)
    for target in made["target"].values():
        assert target["secret"] == [f"id=ca,src={bundle}"]
        assert target["args"] == {"HTTP_PROXY": "http://proxy.example.org"}


def test_the_hosts_own_bundle_serves_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy's CA is mostly just installed on the host, and nothing points at it."""
    bundle = tmp_path / "host.crt"
    monkeypatch.setattr(build, "_BUNDLES", (str(tmp_path / "absent.crt"), str(bundle)))
    environment = {"CARGO_HOME": str(tmp_path)}
    assert build.overlay([], environment=environment)["target"]["_common"]["secret"] == []
    bundle.touch()
    secrets = build.overlay([], environment=environment)["target"]["_common"]["secret"]
    assert secrets == [f"id=ca,src={bundle}"]


def test_a_namespace_separates_the_cache_mounts_of_images_only() -> None:
    """A cold build of the images need not compile the frontend again."""
    made = build.overlay([], namespace="cold", environment={})
    assert made["target"]["_common"]["args"] == {"BUILDKIT_CACHE_MOUNT_NS": "cold"}
    assert made["target"]["_bootstrap"]["args"] == {}


def test_a_tree_without_the_backend_of_an_image_is_refused() -> None:
    """Asked for CUDA, a tree without enable_cuda must not give a CPU image of that name."""
    with pytest.raises(UserError, match="has no enable_cuda"):
        build.check_backends([image("cpu cuda")], source("cpu"))
    build.check_backends([image("cpu cuda")], source("cpu", "cuda"))
    build.check_backends([image("cpu cuda")], None)


def test_a_tree_that_offers_hip_makes_rocm6_compute_on_it() -> None:
    """The argument chooses the stage, and the label says so; without HIP neither is touched."""
    made = build.overlay([source("cpu", "cuda", "hip")], environment={})["target"]
    assert made["rocm6"] == {
        "contexts": {"libvmaf-rocm6": "target:libvmaf-hip"},
        "labels": {"vmaf.backends": "cpu hip"},
    }
    for given in ([], [source("cpu", "cuda")], [source("cpu", "sycl")]):
        made = build.overlay(given, environment={})["target"]
        assert set(made) == {"_common", "_bootstrap"}


def test_a_tree_that_offers_sycl_takes_intels_compiler() -> None:
    """Which only the vendor's image has: without it libvmaf stays on the CPU, and says so."""
    made = build.overlay([source("cpu", "sycl")], kind="vendor", environment={})["target"]
    assert made["oneapi2026"] == {
        "contexts": {"libvmaf-oneapi2026": "target:libvmaf-sycl"},
        "labels": {"vmaf.backends": "cpu sycl"},
    }
    assert "rocm6" not in made


def test_the_stages_of_a_forks_backends_exist() -> None:
    """The named context replaces a stage of the main file by a stage of Dockerfile.vendor.

    BuildKit ignores a named context that replaces no stage, and libvmaf would be the CPU's.
    """
    main = (ROOT / "docker" / "Dockerfile.production-gpu").read_text()
    vendor = (ROOT / "docker" / "Dockerfile.vendor").read_text()
    for image, backend in build.FORKS_BACKENDS.items():
        assert f"FROM libvmaf-cpu AS libvmaf-{image}\n" in main
        assert f" AS libvmaf-{backend}\n" in vendor


def test_too_little_disk_is_refused_before_the_build() -> None:
    """A remote engine's disk is not known, and not guessed."""
    with pytest.raises(UserError, match=r"3\.0 GB are free"):
        build.check_disk(3 * build.GIB)
    build.check_disk(build.NEEDED_BYTES)
    build.check_disk(None)


def test_no_layer_depends_on_the_time() -> None:
    """An ARG of that name would rebuild every later step at each commit."""
    for path in git.dockerfiles():
        text = (ROOT / path).read_text()
        assert not re.search(r"^\s*ARG\s.*SOURCE_DATE_EPOCH", text, re.MULTILINE), path


def test_a_pip_index_of_the_host_serves_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a secret, for its address may hold a password; pip's other settings are the host's own."""
    monkeypatch.setattr(build, "RECORDS", tmp_path)
    index = "https://user:word@pip.example.org/simple"
    made = build.overlay([], environment={"PIP_INDEX_URL": index, "PIP_FIND_LINKS": "/wheels"})
    settings = tmp_path / "pip.conf"
    assert f"id=pip,src={settings}" in made["target"]["_common"]["secret"]
    assert settings.read_text() == f"[global]\nindex-url = {index}\n"


def test_the_classic_builder_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before an engine is asked for; the message names the page."""
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    with pytest.raises(UserError, match=r"DOCKER_BUILDKIT=0 .*\n.*docs/rebase-notes.md"):
        build.build(["cpu"], {})


@pytest.mark.parametrize(
    ("said", "builds"),
    [
        ("failed to compute cache key: failed to get state for index 0 on [a 1/1] COPY", 2),
        ("failed to get edge: inconsistent graph state", 2),
        ("failed to receive status: rpc error: code = NotFound desc = no such job abc", 2),
        ("process did not complete successfully: exit code: 1", 1),
    ],
)
def test_a_race_of_buildkit_is_tried_once_more(
    said: str, builds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else is: a step that failed would fail again."""
    script = f"import sys; print('ERROR: failed to solve: {said}', file=sys.stderr); sys.exit(1)"
    told: list[str] = []
    monkeypatch.setattr(build, "say", told.append)
    outcome = build._follow([sys.executable, "-c", script], tmp_path / "logs" / "build.log")  # noqa: SLF001
    assert outcome.returncode == 1
    assert len(list((tmp_path / "logs").iterdir())) == builds
    assert len(told) == builds - 1

"""Tests of the bake file that adds options and settings of the machine to a build."""

import json
import re
import stat
from pathlib import Path

import pytest

from scripts.core.console import UserError
from scripts.core.paths import ROOT
from scripts.dockerfile import bake
from scripts.images import features, remote_cache
from scripts.images import overlay as overlays
from scripts.images.overlay import overlay, write_overlay
from scripts.images.sources import SourceTree


def libvmaf(*backends: str) -> SourceTree:
    """Return a libvmaf source tree with these backends."""
    return SourceTree("libvmaf", Path("/copy"), "1.0", frozenset(backends))


def test_source_tree_replaces_its_stage(tmp_path: Path) -> None:
    """A source tree override becomes the named context that replaces the Dockerfile's stage."""
    targets = overlay(tmp_path, overrides=[libvmaf("cpu")], environment={})["target"]
    assert targets["_common"]["contexts"] == {"libvmaf-source": "/copy"}
    assert "contexts" not in targets["_bootstrap"]


def test_proxies_and_ca_bundle_reach_every_target(tmp_path: Path) -> None:
    """Proxies and the CA bundle reach the images and the bootstrapped bases."""
    bundle = tmp_path / "ca.crt"
    bundle.touch()
    environment = {
        "SSL_CERT_FILE": str(bundle),
        "HTTP_PROXY": "http://proxy.example.org",
        "CARGO_HOME": str(tmp_path),
    }
    for target in overlay(tmp_path, environment=environment)["target"].values():
        assert target["secret"] == [f"id=ca,src={bundle}"]
        assert target["args"] == {"HTTP_PROXY": "http://proxy.example.org"}


def test_ca_bundle_of_the_host_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without SSL_CERT_FILE the host's CA bundle is used, where a proxy's CA is often installed."""
    bundle = tmp_path / "host.crt"
    monkeypatch.setattr(overlays, "CA_BUNDLES", (str(tmp_path / "absent.crt"), str(bundle)))
    environment = {"CARGO_HOME": str(tmp_path)}
    assert overlay(tmp_path, environment=environment)["target"]["_common"]["secret"] == []
    bundle.touch()
    secrets = overlay(tmp_path, environment=environment)["target"]["_common"]["secret"]
    assert secrets == [f"id=ca,src={bundle}"]


def test_namespace_is_not_used_for_the_bootstrap(tmp_path: Path) -> None:
    """A namespace is for the images' cache mounts; the frontend is not compiled again for it."""
    targets = overlay(tmp_path, namespace="cold", environment={})["target"]
    assert targets["_common"]["args"] == {"BUILDKIT_CACHE_MOUNT_NS": "cold"}
    assert targets["_bootstrap"]["args"] == {}


def test_hip_of_a_source_tree_is_selected_in_rocm_images(tmp_path: Path) -> None:
    """A libvmaf tree with HIP replaces libvmaf's stage of `rocm6` and `rocm7`."""
    targets = overlay(tmp_path, overrides=[libvmaf("cpu", "cuda", "hip")], environment={})["target"]
    for image, target in (("rocm6", "libvmaf-hip"), ("rocm7", "libvmaf-hip7")):
        assert targets[image] == {
            "contexts": {"libvmaf-rocm": f"target:{target}"},
            "labels": {"vmaf.backends": "cpu hip"},
        }
    for trees in ([], [libvmaf("cpu", "cuda")], [libvmaf("cpu", "sycl")]):
        targets = overlay(tmp_path, overrides=trees, environment={})["target"]
        assert set(targets) == {"_common", "_bootstrap"}


def test_sycl_of_a_source_tree_needs_the_vendor_image(tmp_path: Path) -> None:
    """A libvmaf tree's SYCL is used only with the vendor's image, which has Intel's compiler."""
    targets = overlay(
        tmp_path, overrides=[libvmaf("cpu", "sycl")], base_source="vendor", environment={}
    )["target"]
    assert targets["oneapi2026"] == {
        "contexts": {"libvmaf-oneapi2026": "target:libvmaf-sycl"},
        "labels": {"vmaf.backends": "cpu sycl"},
    }
    assert "rocm6" not in targets


def test_vulkan_of_a_source_tree_is_selected_in_vulkan(tmp_path: Path) -> None:
    """A libvmaf tree with Vulkan replaces libvmaf's stage of `vulkan`; other features nothing."""
    targets = overlay(tmp_path, overrides=[libvmaf("cpu", "vulkan", "dnn")], environment={})
    assert targets["target"].keys() == {"_common", "_bootstrap", "vulkan"}
    assert targets["target"]["vulkan"] == {
        "contexts": {"libvmaf-vulkan": "target:libvmaf-vulkan"},
        "labels": {"vmaf.backends": "cpu vulkan"},
    }


def test_stages_of_fork_backends_exist() -> None:
    """A fork's backend replaces a stage of the main file by a stage of Dockerfile.vendor.

    BuildKit ignores a named context that replaces no stage; libvmaf would then be the CPU's. The
    label of an image has room for one backend of a fork.
    """
    main = (ROOT / "docker" / "Dockerfile.production-gpu").read_text()
    vendor = (ROOT / "docker" / "Dockerfile.vendor").read_text()
    replaced = list(features.replaced(features.FEATURES, "vendor"))
    assert {name for _, _, name in replaced} == {"hip", "sycl", "vulkan"}
    for _, replacement, _ in replaced:
        assert f"FROM libvmaf-cpu AS {replacement.stage}\n" in main
        target = bake.bake_print(replacement.target)["target"][replacement.target]
        assert f" AS {target['target']}\n" in vendor
    images = [image for image, _, _ in replaced]
    assert len(images) == len(set(images))


def test_package_indexes_are_secrets(tmp_path: Path) -> None:
    """The index of pip and Go's proxy become secret files that no other user can read.

    Their addresses may contain passwords. The other settings of pip are not passed on.
    """
    index = "https://user:word@pip.example.org/simple"
    environment = {
        "PIP_INDEX_URL": index,
        "PIP_FIND_LINKS": "/wheels",
        "GOPROXY": "https://go.example.org",
    }
    secrets = overlay(tmp_path, environment=environment)["target"]["_common"]["secret"]
    assert f"id=pip,src={tmp_path / 'pip.conf'}" in secrets
    assert f"id=goproxy,src={tmp_path / 'goproxy'}" in secrets
    assert (tmp_path / "pip.conf").read_text() == f"[global]\nindex-url = {index}\n"
    assert (tmp_path / "goproxy").read_text() == "https://go.example.org"
    for name in ("pip.conf", "goproxy"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def remote_secret(directory: Path, address: str) -> str:
    """Return the secret that the overlay passes for the address of a remote cache."""
    bundle = directory / "ca.crt"
    bundle.write_text("-----BEGIN CERTIFICATE-----\n")
    environment = {"VMAF_REMOTE_CACHE": address, "SSL_CERT_FILE": str(bundle)}
    document = overlay(directory, environment=environment)
    assert address not in json.dumps(document)
    file = directory / "remote-cache"
    assert f"id=remote-cache,src={file}" in document["target"]["_common"]["secret"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    return file.read_text()


def test_address_of_the_remote_cache_is_a_secret(tmp_path: Path) -> None:
    """The address becomes a secret file, with an id that differs between builds."""
    address = "redis://user:word@cache.example.org/1?read-only&key=0123456789abcdef"
    first, again = (remote_secret(tmp_path, address).splitlines() for _ in range(2))
    assert first[0] == again[0] == address
    assert len(first) == len(again) == 2
    assert first[1].startswith("build ")
    assert first[1] != again[1]


@pytest.mark.parametrize("address", ["rediss://h", "https://h/x", "s3://a:b@h/bucket"])
def test_remote_cache_with_tls_gets_the_ca_bundle(tmp_path: Path, address: str) -> None:
    """The images that compile have no certificates, so the host's are in the secret."""
    assert remote_secret(tmp_path, address).endswith("\n-----BEGIN CERTIFICATE-----\n")


def test_address_is_what_the_proxy_in_the_step_accepts() -> None:
    """The build and the proxy accept the same schemes, attributes and lengths of keys."""
    text = (ROOT / "docker" / "compiler-cache" / "src" / "remote.py").read_text()
    (ports,) = re.findall(r"^PORTS = \{(.*)\}$", text, re.MULTILINE)
    assert set(re.findall(r'"(\w+)":', ports)) == set(remote_cache.SCHEMES)
    (known,) = re.findall(r"set\(attributes\) - \{(.*)\}:", text)
    assert set(re.findall(r'"([\w-]+)"', known)) == set(remote_cache.ATTRIBUTES)
    assert f"KEY_LENGTH = {remote_cache.KEY_LENGTH}\n" in text


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("ftp://user:hidden@host", "begins with none of"),
        ("redis://user:hidden@", "names no host"),
        ("redis://user:hidden@host:port", "is not a URL"),
        ("redis://user:hidden@host\nbuild 1", "contains white space"),
        ("http://host/?hidden=1", "has attributes other than"),
        ("http://host/?key=hidden", "less than 16 characters"),
        ("s3://user:hidden@host", "names no bucket"),
    ],
)
def test_unusable_address_is_refused(tmp_path: Path, address: str, fault: str) -> None:
    """An address that cannot be used ends the build before it starts; no message repeats it."""
    with pytest.raises(UserError) as error:
        overlay(tmp_path, environment={"VMAF_REMOTE_CACHE": address})
    assert fault in str(error.value)
    assert "hidden" not in str(error.value)


def test_overlay_is_written_where_the_caller_says(tmp_path: Path) -> None:
    """The overlay of a build and its secrets are written to a new directory of the caller's."""
    directory = tmp_path / "new"
    environment = {"GOPROXY": "https://go.example.org", "CARGO_HOME": str(tmp_path)}
    path = write_overlay(directory, environment=environment, namespace="cold")
    assert path.parent == directory
    document = json.loads(path.read_text())
    assert document["target"]["_common"]["args"]["BUILDKIT_CACHE_MOUNT_NS"] == "cold"
    assert {file.name for file in directory.iterdir()} == {path.name, "goproxy"}

"""libvmaf's stages with a tree in the shape of a fork: two libraries, and options for features."""

import json
import os
from pathlib import Path

import pytest

from scripts.contents import elf
from scripts.core import process
from scripts.core.paths import ROOT
from scripts.images import bases, sources
from scripts.images.overlay import overlay
from tests.support.buildx import needs_buildx
from tests.support.subject import docker

pytestmark = needs_buildx

FORK = ROOT / "tests" / "fixtures" / "fork"
LIBRARIES = {"libvmaf.so.3": "libvmaf.so.3.0.0", "libvmafx.so.1": "libvmafx.so.1.2.3"}
CHECK = r"""
FROM libvmaf AS linked
USER root
RUN cp -r /out/libvmaf/interface/. / \
    && echo 'int vmaf_init(void); int main(void) { return vmaf_init(); }' >/tmp/main.c \
    && gcc /tmp/main.c $(pkg-config --cflags --libs "libvmaf >= 2.0.0") -o /tmp/main
FROM scratch
COPY --from=libvmaf /out/libvmaf /
COPY --from=linked /tmp/main /main
"""
"""A Dockerfile that links a program with libvmaf's interface, as FFmpeg's configure does."""


def build(stage: str, directory: Path) -> Path:
    """Return what a stage of libvmaf has in /out/libvmaf for the fixture's tree, and the program.

    Args:
        stage: the bake target.
        directory: an empty directory.
    """
    source = bases.choose()
    tree = sources.prepare("libvmaf", str(FORK))
    output = directory / "output"
    document = overlay(directory, environment=os.environ, base_source=source, overrides=[tree])
    document["target"]["fork"] = {
        "dockerfile-inline": CHECK,
        "contexts": {"libvmaf": f"target:{stage}"},
        "output": [f"type=local,dest={output}"],
    }
    (directory / "fork.json").write_text(json.dumps(document))
    files = [f"--file={file}" for file in (*bases.OVERLAYS[source], directory / "fork.json")]
    environment = {
        **process.environment(),
        "BUILDX_NO_DEFAULT_LOAD": "1",
        "TMPDIR": str(directory),  # buildx leaves the Dockerfile there
    }
    built = docker("buildx", "bake", *files, "fork", cwd=ROOT, env=environment, timeout=600)
    assert not built.returncode, built.stderr
    return output


def read(path: Path) -> elf.Elf:
    """Return the description of an ELF file."""
    file = elf.read(str(path), path.read_bytes())
    assert file, path
    return file


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_two_libraries_have_an_interface(tmp_path: Path) -> None:
    """Each library has a stub with its SONAME and its names; the program needs the compatible one.

    The build of the fixture fails if an option is left to what is installed.
    """
    output = build("libvmaf-cpu", tmp_path)
    libraries, stubs = (output / root / "usr/local/lib" for root in ("runtime", "interface"))
    for soname, name in LIBRARIES.items():
        assert read(libraries / name).soname == read(stubs / name).soname == soname
        exported = elf.exports((libraries / name).read_bytes())
        assert exported
        assert elf.exports((stubs / name).read_bytes()) == exported
        for link in (soname, name.partition(".so")[0] + ".so"):
            assert (stubs / link).resolve() == (stubs / name).resolve()
    assert "libvmaf.so.3" in read(output / "main").needed
    manifest = json.loads((output / "manifest" / "libvmaf.json").read_text())
    assert (manifest["version"], manifest["licence"]) == ("3.9.0", "EUPL-1.2")
    assert manifest["backends"] == ["cpu"]
    assert not (output / "manifest" / "volk.json").exists()


def test_vulkan_is_built_with_subprojects_of_debian(tmp_path: Path) -> None:
    """Vulkan's sources for Meson's subprojects are Debian's, and the manifest lists them."""
    output = build("libvmaf-vulkan", tmp_path)
    library = (output / "runtime/usr/local/lib/libvmaf.so.3").read_bytes()
    assert "vmaf_vulkan_state_init" in elf.exports(library)
    manifests = {path.stem: json.loads(path.read_text()) for path in output.glob("manifest/*")}
    assert manifests["libvmaf"]["backends"] == ["cpu", "vulkan"]
    for name, package in {
        "volk": "libvulkan-volk-dev",
        "vk-mem-alloc": "libvulkan-memory-allocator-dev",
    }.items():
        assert f"Debian package {package}," in manifests[name]["source"]
        assert manifests[name]["licence"] == "MIT"

"""What the image declares about itself, and how it runs."""

import re
from pathlib import Path

import pytest

from scripts.contents import elf
from scripts.core import clips
from scripts.images.catalogue import NOT_REDISTRIBUTABLE
from tests.support.subject import LOCKED_DOWN, PREFIX, Subject, has_project_patch

ENTRY_SYMBOLS = {
    "cpu": "vmaf_init",
    "cuda": "vmaf_cuda_state_init",
    "sycl": "vmaf_sycl_state_init",
    "hip": "vmaf_hip_state_init",
    "vulkan": "vmaf_vulkan_state_init",
}
"""The function of libvmaf's interface that opens each backend."""

RUNTIMES = {"sycl": "libsycl.so.", "hip": "libamdhip64.so.", "vulkan": "libvulkan.so."}
"""The library that a backend is linked with, or that it opens, as volk does for Vulkan.

A fork of libvmaf may export a backend's function without the backend, to report its absence.
"""

BUILD_SETTING = re.compile(
    r"proxy|token|secret|password|pip_|ssl_cert|cargo_http|ccache|sccache|makeflags|debian_frontend",
    re.IGNORECASE,
)

BUILT = {"ffmpeg": "ffmpeg", "server": "vmaf-server", "tools": "ab-av1"}
"""Programs that the project builds besides libvmaf, by the capability of their images."""

DIGEST = re.compile("sha256:[0-9a-f]{64}")

ENTRIES = {
    "vmaf": ("--help", "--reference"),
    "ffmpeg": ("-filters", " libvmaf "),
    "vmaf-server": ("--help", "--grpc-address"),
    "vmaf-tools": ("--help", "  ab-av1 crf-search "),
}
"""For each program that is an entry point, an argument and output that only it prints."""

SCORE_OF_A_PATTERN = (
    *("-f", "lavfi", "-i", "testsrc2=d=0.2:s=320x192"),
    *("-f", "lavfi", "-i", "testsrc2=d=0.2:s=320x192"),
    *("-lavfi", "libvmaf", "-f", "null", "-"),
)


def uses(image: Subject, library: elf.Elf, backend: str) -> bool:
    """Return whether a library is linked with the runtime of a backend, or opens it."""
    runtime = RUNTIMES.get(backend, "")
    opened = backend == "vulkan" and runtime.encode() in image.read(library.path)
    return opened or any(needed.startswith(runtime) for needed in library.needed)


def test_user_is_vmaf(image: Subject) -> None:
    """The user is vmaf, 1000:1000."""
    user = image.config["User"]
    assert user in ("vmaf", "1000", "1000:1000"), f"the image's user is {user!r}"
    identity = image.run("-c", "id -u; id -g; id -un", program="sh").stdout.split()
    assert identity == ["1000", "1000", "vmaf"]


@pytest.mark.needs("program")
def test_working_directory_is_data(image: Subject) -> None:
    """The working directory is /data, and it is writable."""
    assert image.config["WorkingDir"] == "/data"
    image.run("-c", "touch written", program="sh")


@pytest.mark.needs("program")
def test_entry_point_is_the_declared_program(image: Subject) -> None:
    """`docker run IMAGE` passes its arguments to the program of the label `vmaf.entry`."""
    entry = image.image.entry
    assert (image.config.get("Entrypoint"), image.config.get("Cmd")) == ([entry], None)
    argument, output = ENTRIES[entry]
    result = image.run(argument, succeeds=False)
    assert output in result.stdout + result.stderr, f"{entry} lacks {output!r}: {result}"


def test_labels_match_the_bake_file(image: Subject) -> None:
    """The image has every label of the bake file and of the build."""
    determined = {
        "org.opencontainers.image.version",
        "org.opencontainers.image.revision",
        "vmaf.backends",
        "vmaf.ffmpeg",
    }
    if not has_project_patch(image.manifest):
        determined.add("org.opencontainers.image.licenses")
    declared = {key: value for key, value in image.image.labels.items() if key not in determined}
    assert {key: image.labels.get(key) for key in declared} == declared
    expected = determined & image.image.labels.keys()
    empty = sorted(key for key in expected if not image.labels.get(key))
    assert not empty, f"empty labels: {empty}"
    assert image.image.backends <= set(image.labels["vmaf.backends"].split())


@pytest.mark.needs("vmaf")
def test_version_is_the_same_everywhere(image: Subject) -> None:
    """The image's label, versions.json and `vmaf --version` name one version of libvmaf."""
    result = image.run("--version", program="vmaf")
    program = (result.stdout + result.stderr).strip().removeprefix("v")
    label = image.labels["org.opencontainers.image.version"]
    assert (label, image.manifest["libvmaf"]["version"]) == (program, program)


def test_backends_label_matches_the_library(image: Subject) -> None:
    """The label `vmaf.backends` lists exactly the backends that libvmaf.so can open."""
    exported = elf.exports(image.read(PREFIX + "lib/libvmaf.so"))
    backends = {
        backend
        for backend, symbol in ENTRY_SYMBOLS.items()
        if symbol in exported and any(uses(image, file, backend) for file in image.libvmaf)
    }
    assert set(image.labels["vmaf.backends"].split()) == backends


@pytest.mark.needs("ffmpeg")
def test_licence_label_matches_the_contents(image: Subject) -> None:
    """The licence label forbids copies if FFmpeg or CUDA does, and otherwise names the GPL."""
    licence = image.labels["org.opencontainers.image.licenses"]
    if any(name.startswith(("ffmpeg", "cuda", "nvidia-")) for name in image.nonfree):
        assert licence == NOT_REDISTRIBUTABLE, f"labelled {licence!r}"
    elif has_project_patch(image.manifest) or licence != NOT_REDISTRIBUTABLE:
        # The label of another libvmaf is set before its kernels are compiled.
        assert licence.startswith("GPL-3.0-or-later"), f"labelled {licence!r}"


@pytest.mark.needs("ffmpeg")
def test_ffmpeg_is_gpl_3(image: Subject) -> None:
    """FFmpeg states the GPL, version 3 or later, as its licence, without nonfree parts."""
    licence = " ".join(image.ffmpeg("-L").stdout.split())
    assert "GNU General Public License" in licence, licence
    assert "either version 3 of the License" in licence, licence


@pytest.mark.needs("program")
def test_environment_contains_no_build_setting(image: Subject) -> None:
    """The environment contains no setting of the build or of the build machine."""
    settings = [name for name in image.environment if BUILD_SETTING.search(name)]
    assert not settings, f"the environment contains {settings}"


@pytest.mark.needs("vmaf", "program")
@pytest.mark.parametrize("user", ["vmaf", "65534:65534"])
def test_vmaf_scores_locked_down(image: Subject, directory: Path, user: str) -> None:
    """`vmaf` scores as any user on a read-only root, without network or capabilities."""
    clips.generate(directory / "same.y4m")
    options = (*LOCKED_DOWN, f"--user={user}")
    assert image.score(directory, "same.y4m", "same.y4m", options=options)


@pytest.mark.needs("ffmpeg", "program")
@pytest.mark.parametrize("user", ["vmaf", "65534:65534"])
def test_ffmpeg_scores_locked_down(image: Subject, user: str) -> None:
    """`ffmpeg` scores as any user on a read-only root, without network or capabilities."""
    options = (*LOCKED_DOWN, f"--user={user}")
    image.run(*SCORE_OF_A_PATTERN, program="ffmpeg", options=options)


def test_manifest_lists_every_component(image: Subject) -> None:
    """versions.json lists every component that the project built, with source and digest."""
    built = {name for capability, name in BUILT.items() if capability in image.image.provides}
    built.add("libvmaf")
    assert built <= image.manifest.keys()
    wrong = [
        f"{key} has {field} {entry.get(field)!r}"
        for key, entry in image.manifest.items()
        for field in ("name", "version", "source")
        if not entry.get(field)
    ]
    wrong += [
        f"{key} has digest {image.manifest[key].get('digest')!r}"
        for key in built
        if not DIGEST.fullmatch(image.manifest[key].get("digest", ""))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.needs("ffmpeg")
def test_manifest_matches_ffmpeg(image: Subject) -> None:
    """versions.json and the label `vmaf.ffmpeg` have FFmpeg's own version and configure flags."""
    output = image.run("-version", program="ffmpeg").stdout
    version = output.split()[2]
    configuration = output.partition("configuration: ")[2].splitlines()[0]
    entry = image.manifest["ffmpeg"]
    assert entry["version"] == version
    label = image.labels["vmaf.ffmpeg"]
    assert f"{version}.".startswith(f"{label}."), f"vmaf.ffmpeg is {label}, and FFmpeg is {version}"
    differences = set(entry["configure"].split()) ^ set(configuration.split())
    assert entry["configure"] == configuration, f"differing flags: {differences}"

"""What an image says of itself is so, and it runs the way its users run it."""

import re

import pytest

from scripts.contents import elf
from tests.support.subject import OURS, Subject

ENTRY_SYMBOLS = {
    "cpu": "vmaf_init",
    "cuda": "vmaf_cuda_state_init",
    "sycl": "vmaf_sycl_state_init",
    "hip": "vmaf_hip_state_init",
}
"""The function that opens each backend of libvmaf."""

RUNTIMES = {"sycl": "libsycl.so.", "hip": "libamdhip64.so."}
"""What a backend is linked with: a fork has its entry functions without it as well, to say no."""

BUILD_MACHINE = re.compile(
    r"proxy|token|secret|password|pip_|ssl_cert|cargo_http|ccache|sccache|makeflags|debian_frontend",
    re.IGNORECASE,
)

BUILT = {"ffmpeg": "ffmpeg", "server": "vmaf-server"}
"""What we build ourselves besides libvmaf, by the capability of the images that have it."""

DIGEST = re.compile("sha256:[0-9a-f]{64}")

ENTRIES = {
    "vmaf": ("--help", "--reference"),
    "ffmpeg": ("-filters", " libvmaf "),
    "vmaf-server": ("--help", "--grpc-address"),
}
"""What to ask a program that is an entry point, and what only it answers."""

LOCKED_DOWN = (
    "--read-only",
    "--network=none",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)

SCORE_OF_A_PATTERN = (
    *("-f", "lavfi", "-i", "testsrc2=d=0.2:s=320x192"),
    *("-f", "lavfi", "-i", "testsrc2=d=0.2:s=320x192"),
    *("-lavfi", "libvmaf", "-f", "null", "-"),
)


def test_runs_as_vmaf(image: Subject) -> None:
    """The user is vmaf, 1000:1000, so that mounted folders and cache mounts agree with it."""
    assert image.config["User"] in ("vmaf", "1000", "1000:1000")
    told = image.run("-c", "id -u; id -g; id -un", program="sh").stdout.split()
    assert told == ["1000", "1000", "vmaf"]


@pytest.mark.needs("program")
def test_works_in_data(image: Subject) -> None:
    """`docker run -v $PWD:/data` is the way in, so a relative path must mean /data."""
    assert image.config["WorkingDir"] == "/data"
    image.run("-c", "touch written", program="sh")


@pytest.mark.needs("program")
def test_entry_point_is_declared(image: Subject) -> None:
    """The arguments of `docker run IMAGE` go to the program that the label `vmaf.entry` names."""
    entry = image.image.entry
    assert (image.config.get("Entrypoint"), image.config.get("Cmd")) == ([entry], None)
    question, answer = ENTRIES[entry]
    told = image.run(question, succeeds=False)
    assert answer in told.stdout + told.stderr, told


def test_labels_are_the_declared_ones(image: Subject) -> None:
    """The image carries every label of the bake file, and those that its build decides."""
    measured = {
        "org.opencontainers.image.version",
        "org.opencontainers.image.revision",
        "vmaf.backends",
    }
    declared = {key: value for key, value in image.image.labels.items() if key not in measured}
    assert {key: image.labels.get(key) for key in declared} == declared
    assert all(image.labels.get(key) for key in measured), "version or revision is empty"
    assert image.image.backends <= set(image.labels["vmaf.backends"].split())


@pytest.mark.needs("vmaf")
def test_version_is_the_same_everywhere(image: Subject) -> None:
    """The label, versions.json and the program name one version of libvmaf."""
    told = image.run("--version", program="vmaf")
    program = (told.stdout + told.stderr).strip().removeprefix("v")
    label = image.labels["org.opencontainers.image.version"]
    assert (label, image.manifest["libvmaf"]["version"]) == (program, program)


def test_backends_are_in_the_library(image: Subject) -> None:
    """The label `vmaf.backends` names the backends that libvmaf.so can open, and no other."""
    library = OURS + "lib/libvmaf.so"
    offered = elf.exports(image.read(library))
    read = elf.read(library, image.read(library))
    assert read, library
    found = {
        backend
        for backend, symbol in ENTRY_SYMBOLS.items()
        if symbol in offered
        and any(needed.startswith(RUNTIMES.get(backend, "")) for needed in read.needed)
    }
    assert set(image.labels["vmaf.backends"].split()) == found


@pytest.mark.needs("ffmpeg")
def test_licence_is_that_of_the_configuration(image: Subject) -> None:
    """GPL parts make FFmpeg GPL; a nonfree part makes it nobody's to give away."""
    flags = image.manifest["ffmpeg"]["configure"].split()
    licence = image.labels["org.opencontainers.image.licenses"]
    if "--enable-nonfree" in flags:
        assert licence == "LicenseRef-nonfree-not-redistributable"
    else:
        assert {"--enable-gpl", "--enable-version3"} <= set(flags)
        assert licence.startswith("GPL-3.0-or-later")


@pytest.mark.needs("program")
def test_environment_is_the_images_own(image: Subject) -> None:
    """Settings of the build and of the build machine end with the build."""
    found = [name for name in image.environment if BUILD_MACHINE.search(name)]
    assert not found, f"the environment keeps {found}"


@pytest.mark.needs("vmaf", "ffmpeg", "program")
@pytest.mark.parametrize("user", ["vmaf", "65534:65534"])
def test_runs_locked_down(image: Subject, user: str) -> None:
    """It scores as an ordinary or unknown user: nothing written, no network, no capability."""
    options = (*LOCKED_DOWN, f"--user={user}")
    image.run("--version", program="vmaf", options=options)
    image.run(*SCORE_OF_A_PATTERN, program="ffmpeg", options=options)


def test_manifest_is_complete(image: Subject) -> None:
    """versions.json names what we built, with the source and the digest of each."""
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
def test_manifest_is_true_of_ffmpeg(image: Subject) -> None:
    """versions.json has the version and the configure flags that the program itself reports."""
    told = image.run("-version", program="ffmpeg").stdout
    version = told.split()[2]
    configuration = told.partition("configuration: ")[2].splitlines()[0]
    stated = image.manifest["ffmpeg"]
    assert stated["version"] == version
    differences = set(stated["configure"].split()) ^ set(configuration.split())
    assert stated["configure"] == configuration, f"they differ in {differences}"

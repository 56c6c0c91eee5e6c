"""SYCL and OpenCL compute on the CPU; Intel's video features are built in."""

import re
from pathlib import Path

import pytest

from scripts.contents import elf
from tests.images.test_contract import LOCKED_DOWN
from tests.images.test_ffmpeg import VIDEO
from tests.support.subject import OURS, Subject

SMOKE = OURS + "libexec/vmaf/sycl-smoke"
VENDORS = "/etc/OpenCL/vendors/"

LISTED = {
    "-encoders": {"h264_qsv", "hevc_qsv", "av1_qsv", "h264_vaapi", "hevc_vaapi", "av1_vaapi"},
    "-decoders": {"h264_qsv", "hevc_qsv", "av1_qsv", "vp9_qsv"},
    "-filters": {"vpp_qsv", "scale_qsv", "scale_vaapi", "avgblur_opencl", "tonemap_opencl"},
    "-hwaccels": {"qsv", "vaapi", "opencl"},
}

OPENED = {
    "/opt/intel/oneapi/lib/libur_adapter_level_zero.so.0": "SYCL, for Intel's GPUs",
    "/opt/intel/oneapi/lib/libur_adapter_level_zero_v2.so.0": "SYCL, for newer ones",
    "/opt/intel/oneapi/lib/libtbbmalloc.so.2": "TBB",
    "/usr/lib/x86_64-linux-gnu/libze_loader.so.1": "the adapters",
    "/usr/lib/x86_64-linux-gnu/dri/iHD_drv_video.so": "VA-API",
    "/usr/lib/x86_64-linux-gnu/libmfx-gen.so.1.2": "libvpl",
}
"""Libraries that no ELF file names, and who opens them."""

PYTHON = re.compile(r"/(dist|site)-packages/|/bin/(python|pip)[\d.]*$|\.dist-info/|\.(whl|pyc)$")
"""Python itself and what it installs; the base has a few scripts for debuggers."""


def squared_differences() -> int:
    """Compute what the smoke program computes, on frames made the way it makes them."""

    def frame(state: int) -> list[int]:
        pixels = []
        for _ in range(320 * 192):
            state = (state * 1664525 + 1013904223) % 2**32
            pixels.append(state >> 24)
        return pixels

    return sum((one - other) ** 2 for one, other in zip(frame(1), frame(2), strict=True))


@pytest.mark.needs("sycl")
@pytest.mark.parametrize("options", [(), LOCKED_DOWN], ids=["plain", "locked down"])
def test_sycl_computes_on_the_cpu(image: Subject, options: tuple[str, ...]) -> None:
    """A kernel compiled in the container runs on the CPU and gives the number Python gives."""
    told = image.run("cpu", program=SMOKE, options=options).stdout
    assert re.search(r"^device: .+ \(cpu\)$", told, re.MULTILINE), told
    assert f"sum of squared differences: {squared_differences()}\n" in told


@pytest.mark.needs("sycl")
def test_sycl_without_a_gpu_says_so(image: Subject) -> None:
    """Asked for a GPU where there is none, the program ends with 3 and one line."""
    asked = image.run("gpu", program=SMOKE, succeeds=False)
    told = (asked.code, asked.stdout, asked.stderr)
    assert told == (3, "", "sycl-smoke: there is no SYCL gpu here\n")


@pytest.mark.needs("sycl")
def test_opencl_vendors_exist(image: Subject) -> None:
    """Each .icd file names a library that is there; Intel ships them with a placeholder."""
    found = [path for path in image.saved.merged if path.startswith(VENDORS)]
    named = {path: image.read(path).decode().strip() for path in found if path.endswith(".icd")}
    assert named, f"no .icd file in {VENDORS}"
    cache = elf.cached_libraries(image.read("/etc/ld.so.cache"))
    missing = [
        f"{path} names {one}"
        for path, one in named.items()
        if not image.exists(cache.get(one, one))
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.needs("sycl", "qsv")
def test_what_is_opened_by_name_is_there(image: Subject) -> None:
    """No ELF file names these, so nothing else here would miss them."""
    missing = [f"{who} opens {path}" for path, who in OPENED.items() if not image.exists(path)]
    assert not missing, "\n".join(missing)


@pytest.mark.needs("sycl", "runtime")
def test_no_python_in_any_layer(image: Subject) -> None:
    """The runtime comes out of Python's wheels; pip and Python stay behind."""
    found = [
        f"{layer} carries {entry.path}"
        for layer in image.layers
        for entry in layer.entries
        if PYTHON.search(entry.path) and not entry.is_dir
    ]
    assert not found, "\n".join(found)


@pytest.mark.needs("sycl")
def test_runtime_is_of_2026(image: Subject) -> None:
    """versions.json has the SYCL runtime and the OpenCL device, of the year in the image's name."""
    for name in ("intel-sycl-rt", "intel-opencl-rt"):
        entry = image.manifest[name]
        assert entry["version"].startswith("2026."), entry
        assert entry["digest"].startswith("sha256:"), entry


@pytest.mark.needs("sycl", "ffmpeg")
@pytest.mark.parametrize("question", LISTED)
def test_intel_features_are_listed(image: Subject, question: str) -> None:
    """FFmpeg knows QSV, VA-API and OpenCL; none of them needs a GPU to be listed."""
    listed = set(image.ffmpeg(question).stdout.split())
    assert not LISTED[question] - listed


@pytest.mark.needs("sycl", "ffmpeg")
def test_opencl_filter_agrees_with_the_plain_one(image: Subject, folder: Path) -> None:
    """A blur by OpenCL on the CPU is the blur that FFmpeg computes itself, nearly."""
    by_opencl = "format=yuv420p,hwupload,avgblur_opencl=sizeX=3,hwdownload,format=yuv420p"
    graph = f"split[a][b];[a]{by_opencl}[c];[b]format=yuv420p,avgblur=3[d];[c][d]psnr=psnr.log"
    device = ("-init_hw_device", "opencl=device:0.0", "-filter_hw_device", "device")
    image.ffmpeg(*device, *VIDEO, "-vf", graph, "-f", "null", "-", folder=folder)
    values = re.findall(r"psnr_avg:([\d.]+|inf)", (folder / "psnr.log").read_text())
    assert len(values) == 10
    assert min(map(float, values)) > 40  # without the blur it is 24


@pytest.mark.needs("sycl", "ffmpeg")
@pytest.mark.parametrize("kind", ["vaapi", "qsv"])
def test_ffmpeg_without_intels_gpu_says_so(image: Subject, kind: str) -> None:
    """Asked for QSV or VA-API where there is no GPU, ffmpeg ends with a message, not a signal."""
    pattern = (*VIDEO, "-f", "null", "-")
    asked = image.ffmpeg("-init_hw_device", kind, *pattern, succeeds=False)
    assert asked.code, asked
    assert not asked.killed, asked
    assert "Device creation failed" in asked.stderr, asked


@pytest.mark.gpu("intel")
@pytest.mark.needs("sycl", "ffmpeg")
@pytest.mark.parametrize("encoder", ["h264_vaapi", "h264_qsv"])
def test_intel_gpu_encodes(image: Subject, encoder: str) -> None:
    """An Intel GPU that the container is given encodes, by VA-API and by QSV."""
    kind = encoder.partition("_")[2]
    device = ("-init_hw_device", f"{kind}=gpu", "-filter_hw_device", "gpu")
    upload = "format=nv12,hwupload=extra_hw_frames=16"
    quiet = ("-nostdin", "-loglevel", "error")
    image.run(
        *(*quiet, *device, *VIDEO, "-vf", upload, "-c:v", encoder, "-f", "null", "-"),
        program="ffmpeg",
        options=("--device=/dev/dri", "--user=root"),
    )

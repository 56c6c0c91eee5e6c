"""SYCL, and Intel's video features."""

import re
from pathlib import Path

import pytest

from scripts.contents import elf
from tests.support import smoke
from tests.support.subject import LOCKED_DOWN, VIDEO, Subject

VENDORS = "/etc/OpenCL/vendors/"
NO_GPU = 3

FEATURES = {
    "-encoders": {"h264_qsv", "hevc_qsv", "av1_qsv", "h264_vaapi", "hevc_vaapi", "av1_vaapi"},
    "-decoders": {"h264_qsv", "hevc_qsv", "av1_qsv", "vp9_qsv"},
    "-filters": {"vpp_qsv", "scale_qsv", "scale_vaapi", "avgblur_opencl", "tonemap_opencl"},
    "-hwaccels": {"qsv", "vaapi", "opencl"},
}

OPENED = {
    "/opt/intel/oneapi/lib/libur_adapter_level_zero.so.0": "SYCL, for Intel GPUs",
    "/opt/intel/oneapi/lib/libur_adapter_level_zero_v2.so.0": "SYCL, for newer Intel GPUs",
    "/opt/intel/oneapi/lib/libtbbmalloc.so.2": "TBB",
    "/usr/lib/x86_64-linux-gnu/libze_loader.so.1": "the Level Zero adapters",
    "/usr/lib/x86_64-linux-gnu/dri/iHD_drv_video.so": "VA-API",
    "/usr/lib/x86_64-linux-gnu/libmfx-gen.so.1.2": "libvpl",
}
"""Libraries that are opened at run time, without an entry in an ELF file, and by what."""

PYTHON = re.compile(r"/(dist|site)-packages/|/bin/(python|pip)[\d.]*$|\.dist-info/|\.(whl|pyc)$")
"""Python and the files that it installs; the base has a few Python scripts for debuggers."""


@pytest.mark.needs("sycl")
@pytest.mark.parametrize("options", [(), LOCKED_DOWN], ids=["plain", "locked down"])
def test_sycl_smoke_computes_on_the_cpu(image: Subject, options: tuple[str, ...]) -> None:
    """A SYCL kernel computes the right sum on the CPU.

    It also does so on a read-only root, without network or capabilities.
    """
    output = image.run("cpu", program=smoke.SYCL, options=options).stdout
    assert re.search(r"^device: .+ \(cpu\)$", output, re.MULTILINE), output
    total = re.search(r"^sum of squared differences: (\d+)$", output, re.MULTILINE)
    assert total, output
    assert int(total[1]) == smoke.squared_differences()


@pytest.mark.needs("sycl")
def test_sycl_smoke_reports_a_missing_gpu(image: Subject) -> None:
    """Without a GPU, `sycl-smoke gpu` prints one line and exits with 3."""
    result = image.run("gpu", program=smoke.SYCL, succeeds=False)
    result.assert_refused("sycl-smoke: there is no SYCL gpu here\n")
    assert (result.code, result.stdout, len(result.stderr.splitlines())) == (NO_GPU, "", 1)


@pytest.mark.needs("sycl")
def test_opencl_icd_files_name_installed_libraries(image: Subject) -> None:
    """Each OpenCL .icd file names an installed library."""
    files = [
        path for path in image.saved.merged if path.startswith(VENDORS) and path.endswith(".icd")
    ]
    libraries = {path: image.read(path).decode().strip() for path in files}
    assert libraries, f"no .icd file in {VENDORS}"
    cache = elf.cached_libraries(image.read("/etc/ld.so.cache"))
    missing = [
        f"{path} names {library}"
        for path, library in libraries.items()
        if not image.exists(cache.get(library, library))
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.needs("sycl", "qsv")
def test_libraries_opened_at_run_time_are_present(image: Subject) -> None:
    """Libraries that are opened at run time only are installed."""
    missing = [f"{who} opens {path}" for path, who in OPENED.items() if not image.exists(path)]
    assert not missing, "\n".join(missing)


@pytest.mark.needs("sycl", "runtime")
def test_layers_contain_no_python(image: Subject) -> None:
    """No layer contains Python or pip, although SYCL comes from wheels."""
    present = [
        f"{layer} carries {entry.path}"
        for layer in image.layers
        for entry in layer.entries
        if PYTHON.search(entry.path) and not entry.is_dir
    ]
    assert not present, "\n".join(present)


@pytest.mark.needs("sycl")
def test_sycl_runtime_is_of_2026(image: Subject) -> None:
    """In versions.json, the SYCL runtime and the OpenCL CPU device are of 2026."""
    for name in ("intel-sycl-rt", "intel-opencl-rt"):
        entry = image.manifest[name]
        assert entry["version"].startswith("2026."), f"{name} is of version {entry['version']}"
        assert entry["digest"].startswith("sha256:"), entry


@pytest.mark.needs("sycl", "ffmpeg")
@pytest.mark.parametrize("question", FEATURES)
def test_ffmpeg_lists_intel_features(image: Subject, question: str) -> None:
    """FFmpeg lists QSV, VA-API and OpenCL features."""
    listed = set(image.ffmpeg(question).stdout.split())
    missing = sorted(FEATURES[question] - listed)
    assert not missing, f"missing: {missing}"


@pytest.mark.needs("sycl", "ffmpeg")
def test_opencl_filter_matches_the_cpu_filter(image: Subject, directory: Path) -> None:
    """FFmpeg's OpenCL blur gives nearly the same frames as its plain blur."""
    by_opencl = "format=yuv420p,hwupload,avgblur_opencl=sizeX=3,hwdownload,format=yuv420p"
    graph = f"split[a][b];[a]{by_opencl}[c];[b]format=yuv420p,avgblur=3[d];[c][d]psnr=psnr.log"
    device = ("-init_hw_device", "opencl=device:0.0", "-filter_hw_device", "device")
    image.ffmpeg(*device, *VIDEO, "-vf", graph, "-f", "null", "-", directory=directory)
    values = re.findall(r"psnr_avg:([\d.]+|inf)", (directory / "psnr.log").read_text())
    assert len(values) == 10
    assert min(map(float, values)) > 40  # without the blur it is 24


@pytest.mark.needs("sycl", "ffmpeg")
@pytest.mark.parametrize("interface", ["vaapi", "qsv"])
def test_ffmpeg_reports_a_missing_intel_gpu(image: Subject, interface: str) -> None:
    """Without a GPU, ffmpeg refuses QSV and VA-API devices with an error message."""
    pattern = (*VIDEO, "-f", "null", "-")
    result = image.ffmpeg("-init_hw_device", interface, *pattern, succeeds=False)
    result.assert_refused("Device creation failed")


@pytest.mark.gpu("intel")
@pytest.mark.needs("sycl", "ffmpeg")
@pytest.mark.parametrize("encoder", ["h264_vaapi", "h264_qsv"])
def test_intel_gpu_encodes(image: Subject, encoder: str) -> None:
    """FFmpeg encodes video on an Intel GPU by VA-API and by QSV.

    This test needs a GPU and has not yet run on one.
    """
    interface = encoder.partition("_")[2]
    device = ("-init_hw_device", f"{interface}=gpu", "-filter_hw_device", "gpu")
    upload = "format=nv12,hwupload=extra_hw_frames=16"
    quiet = ("-nostdin", "-loglevel", "error")
    image.run(
        *(*quiet, *device, *VIDEO, "-vf", upload, "-c:v", encoder, "-f", "null", "-"),
        program="ffmpeg",
        options=("--device=/dev/dri", "--user=root"),
    )

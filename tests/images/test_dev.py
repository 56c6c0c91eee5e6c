"""The workbench: each SDK works in it, its files are its user's, and libvmaf is built there."""

import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from scripts.core.paths import ROOT
from tests.images.test_oneapi import squared_differences
from tests.support.subject import COMPOSE, Ran, Subject, docker

SMOKE = ROOT / "docker" / "smoke"
OWNED = ("/ccache", "/home/vmaf", "/opt/vmaf-venv", "/opt/vmaf-venv/bin/python", "/workspace")

KERNEL = """
#include <cstdio>
__global__ void twice(float *x) { x[threadIdx.x] *= 2; }
int main() {
    twice<<<1, 1>>>(nullptr);
    std::printf("%s\\n", cudaGetErrorString(cudaGetLastError()));
}
"""

SDKS = {
    "cuda": (
        "nvcc -arch=sm_80 smoke.cu -o smoke && ./smoke",
        "CUDA driver version is insufficient for CUDA runtime version\n",
    ),
    "hip": (
        "hipcc --offload-arch=gfx1030 hip-smoke.cpp -o smoke && { ./smoke || echo code $?; }",
        "code 3\n",
    ),
    "sycl": (
        (
            "g++ -std=c++20 -isystem /opt/intel/oneapi/include sycl-smoke.cpp"
            " -DSYCL_DISABLE_FSYCL_SYCLHPP_WARNING -DCL_TARGET_OPENCL_VERSION=300"
            " /opt/intel/oneapi/lib/libsycl.so.* -lOpenCL -o smoke && ./smoke cpu"
        ),
        f"sum of squared differences: {squared_differences()}\n",
    ),
    "onnxruntime": (
        (
            "gcc onnx.c $(pkg-config --cflags --libs libonnxruntime) -o smoke && ./smoke"
            " && pkg-config --modversion libonnxruntime"
        ),
        "",
    ),
}
"""What compiles a program of each SDK and runs it, and what it must print, on no GPU."""

ONNX_C = """
#include <onnxruntime_c_api.h>
#include <stdio.h>
int main(void) { puts(OrtGetApiBase()->GetVersionString()); }
"""

ONNX_PYTHON = """
import numpy, onnx, onnxruntime
from onnx import TensorProto, helper
value = helper.make_tensor_value_info
graph = helper.make_graph(
    [helper.make_node("Mul", ["x", "x"], ["y"])], "square",
    [value("x", TensorProto.FLOAT, [3])], [value("y", TensorProto.FLOAT, [3])],
)
model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
onnx.checker.check_model(model)
providers = ["CPUExecutionProvider"]
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=providers)
print(session.run(None, {"x": numpy.array([1, 2, 3], "float32")})[0])
"""

IMPORTED = "matplotlib, numpy, onnx, onnxruntime, pandas, pytest, scipy, skimage, sklearn, sureal"

pytestmark = pytest.mark.needs("workbench")


def shell(image: Subject, script: str, folder: Path | None = None, timeout: float = 240) -> Ran:
    """Run a script by the image's own entry point, a folder mounted where the source goes."""
    name = f"vmaf-verify-{uuid.uuid4().hex}"
    mount = [f"--mount=type=bind,source={folder},target=/workspace"] if folder else []
    command = ["run", "--rm", f"--name={name}", *mount, image.tag, "sh", "-euc", script]
    try:
        done = docker(*command, timeout=timeout)
    except subprocess.TimeoutExpired as late:
        docker("rm", "--force", name)
        raise AssertionError(f"{script} did not end: {late}") from late
    ran = Ran(script, done.returncode, done.stdout, done.stderr)
    assert ran.code == 0, f"{ran}\n{ran.stdout[-2000:]}"
    return ran


def test_workbench_is_the_hosts_first_users(image: Subject) -> None:
    """The user is vmaf, 1000:1000 as the first user of a host, and owns what is written to."""
    assert shell(image, "id -u; id -g; id -un").stdout.split() == ["1000", "1000", "vmaf"]
    owners = shell(image, f"stat --format '%n %u:%g' {' '.join(OWNED)}").stdout.splitlines()
    assert owners == [f"{path} 1000:1000" for path in OWNED]


def test_files_made_in_a_mounted_folder_are_the_hosts(image: Subject, folder: Path) -> None:
    """What is built in the workbench can be edited and deleted outside of it."""
    shell(image, "mkdir made && touch made/file", folder)
    for path in (folder / "made", folder / "made" / "file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1000, 1000)


def test_health_is_that_vmaf_starts(image: Subject) -> None:
    """An engine shows a workbench whose libvmaf cannot be loaded as unhealthy."""
    assert image.config.get("Healthcheck", {}).get("Test") == ["CMD", "vmaf", "--version"]
    shell(image, "vmaf --version")


def test_entry_point_runs_its_arguments(image: Subject) -> None:
    """As they are, and nothing else: its output may be read by a script."""
    ran = image.run("printf", "%s,", "a b", "c")
    assert (ran.stdout, ran.stderr) == ("a b,c,", "")


def test_shell_says_what_is_in_the_box(image: Subject) -> None:
    """Without arguments it is a shell, and the versions above it are those of versions.json."""
    told = image.run().stdout
    lines = told.splitlines()
    assert 5 < len(lines) <= 24, told
    for key in ("libvmaf", "ffmpeg", "cuda", "hip", "cmake"):
        entry = image.manifest[key]
        assert f"{entry['name']} {entry['version']}"[:36] in told, told


@pytest.mark.parametrize("user", ["1234:1234", "1234:0"])
def test_any_user_can_work(image: Subject, folder: Path, user: str) -> None:
    """`--user` for a host whose number is another: a home and a cache that can be written to."""
    script = "touch $HOME/file && echo 'int x;' >x.c && gcc -c x.c && ccache --print-stats"
    options = (f"--user={user}", f"--mount=type=bind,source={folder},target=/workspace")
    ran = image.run("sh", "-euc", script, options=options)
    assert "cache_miss\t1\n" in ran.stdout, ran
    assert (folder / "x.o").stat().st_uid == 1234


@pytest.mark.parametrize("sdk", SDKS)
def test_sdk_compiles(image: Subject, folder: Path, sdk: str) -> None:
    """A program of each SDK is compiled, linked and started; without a GPU it says so."""
    (folder / "smoke.cu").write_text(KERNEL)
    (folder / "onnx.c").write_text(ONNX_C)
    for name in ("hip-smoke.cpp", "sycl-smoke.cpp"):
        (folder / name).write_text((SMOKE / name).read_text())
    script, says = SDKS[sdk]
    told = shell(image, script, folder).stdout
    if sdk == "onnxruntime":
        program, package = told.split()
        assert program == package
    assert says in told, told


def test_python_runs_a_model(image: Subject) -> None:
    """The locked environment is the one that `python` means, whole, and computes on the CPU."""
    script = f"import {IMPORTED}\nimport sys\nprint(sys.prefix)\n{ONNX_PYTHON}"
    told = image.run("python", "-c", script).stdout.splitlines()
    assert told == ["/opt/vmaf-venv", "[1. 4. 9.]"]


def test_compilers_go_through_ccache(image: Subject, folder: Path) -> None:
    """By their plain names, so that make, Meson and CMake need not be told."""
    for name in ("a.c", "b.cpp"):
        (folder / name).write_text("int x;\n")
    compile_both = "gcc -c a.c -o a.o && g++ -c b.cpp -o b.o && cc -c a.c -o c.o"
    told = shell(image, f"{compile_both} && {compile_both} && ccache --print-stats", folder).stdout
    stats = dict(line.split("\t") for line in told.splitlines())
    assert (stats["cache_miss"], stats["direct_cache_hit"]) == ("3", "3"), told


def test_kernels_and_assembly_go_through_the_launcher(image: Subject, folder: Path) -> None:
    """By their plain names too: ccache knows neither."""
    (folder / "a.asm").write_text("section .text\nret\n")
    (folder / "k.cu").write_text('extern "C" __global__ void k(int *p) { *p = 1; }\n')
    compile_both = "nasm -f elf64 -o a.o a.asm && nvcc --fatbin -arch=sm_80 k.cu -o k.fatbin"
    log = "export DEPCACHE_LOG=/tmp/log"
    told = shell(image, f"{log}; {compile_both} && {compile_both} && cat /tmp/log", folder).stdout
    assert told.splitlines() == ["miss nasm", "miss nvcc", "hit nasm", "hit nvcc"]


@pytest.mark.timeout(600)
def test_libvmaf_is_built_and_passes_its_tests(image: Subject, libvmaf: Path) -> None:
    """A day's work: set up, build through ccache, its own tests, one line edited, built again."""
    build = "meson setup build && ninja -C build && ninja -C build test && ccache --print-stats"
    told = shell(image, f"cd libvmaf && {build}", libvmaf, timeout=500).stdout
    stats = dict(line.split("\t") for line in told.splitlines() if line.count("\t") == 1)
    assert int(stats["cache_miss"]) > 90, told
    assert re.search(r"^Fail: +0 *$", told, re.MULTILINE), told
    edit = "echo 'int vmaf_edited(void) { return 1; }' >>src/mem.c"
    again = shell(image, f"cd libvmaf && {edit} && ninja -C build", libvmaf).stdout
    compiled = [line for line in again.splitlines() if "Compiling" in line]
    assert 0 < len(compiled) < 10, again


# As compose runs it


def composed(
    project: str, image: Subject, *words: str, source: Path
) -> subprocess.CompletedProcess[str]:
    """Run `docker compose run` on this image."""
    return subprocess.run(
        ["docker", "compose", f"--file={COMPOSE}", f"--project-name={project}", "run", *words],
        env={**os.environ, "VMAF_DEV": image.tag, "VMAF_SOURCE": str(source)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_compose_keeps_the_cache(image: Subject, folder: Path, compose: str) -> None:
    """The source is where the work is, and what one container compiled the next one finds."""
    (folder / "x.c").write_text("int x;\n")
    command = ("--rm", "-T", "dev", "sh", "-euc", "gcc -c x.c && ccache --print-stats")
    first, second = (composed(compose, image, *command, source=folder) for _ in range(2))
    assert "cache_miss\t1\n" in first.stdout, first
    assert "direct_cache_hit\t1\n" in second.stdout, second


@pytest.mark.parametrize("vendor", ["nvidia", "amd", "intel"])
def test_compose_says_what_to_use_without_a_gpu(
    image: Subject, folder: Path, compose: str, vendor: str
) -> None:
    """Where the vendor's GPU is absent, the message names the service that fits the machine."""
    if Path("/sys/module/nvidia").exists() or Path("/sys/class/drm/renderD128").exists():
        pytest.skip("this machine has a GPU")
    asked = image.run(vendor, program="gpu-check", succeeds=False)
    assert asked.code == 3, asked
    assert f"no {vendor} GPU" in asked.stderr, asked
    assert "use the service dev" in asked.stderr, asked
    ran = composed(compose, image, "--rm", "-T", vendor, "true", source=folder)
    assert ran.returncode, ran
    assert f'"{vendor}-gpu-or-else-use-dev"' in ran.stderr, ran

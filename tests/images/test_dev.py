"""The workbench."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support import smoke
from tests.support.subject import COMPOSE, CUDA_13, ProgramResult, Subject, docker

OWNED = ("/ccache", "/home/vmaf", "/opt/vmaf-venv", "/opt/vmaf-venv/bin/python", "/workspace")
NO_GPU = 3

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
        f"sum of squared differences: {smoke.squared_differences()}\n",
    ),
    "onnxruntime": (
        (
            "gcc onnx.c $(pkg-config --cflags --libs libonnxruntime) -o smoke && ./smoke"
            " && pkg-config --modversion libonnxruntime"
        ),
        "",
    ),
}
"""A script that compiles and runs a program of each SDK, and its output without a GPU."""

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


def workspace(directory: Path) -> tuple[str]:
    """Return the option that mounts a directory where the source goes."""
    return (f"--mount=type=bind,source={directory},target=/workspace",)


def shell(
    image: Subject, script: str, directory: Path | None = None, timeout: float = 240
) -> ProgramResult:
    """Run a script by the image's own entry point; it must succeed."""
    options = workspace(directory) if directory else ()
    result = image.run("sh", "-euc", script, options=options, succeeds=False, timeout=timeout)
    assert result.code == 0, f"{result}\n{result.stdout[-2000:]}"
    return result


def test_workbench_user_owns_its_directories(image: Subject) -> None:
    """The user is vmaf, 1000:1000, and owns the caches, the Python environment and its home."""
    assert shell(image, "id -u; id -g; id -un").stdout.split() == ["1000", "1000", "vmaf"]
    owners = shell(image, f"stat --format '%n %u:%g' {' '.join(OWNED)}").stdout.splitlines()
    assert owners == [f"{path} 1000:1000" for path in OWNED]


def test_files_made_in_a_mount_belong_to_the_user(image: Subject, directory: Path) -> None:
    """Files made in a mounted directory belong to user 1000 on the host."""
    shell(image, "mkdir made && touch made/file", directory)
    for path in (directory / "made", directory / "made" / "file"):
        assert (path.stat().st_uid, path.stat().st_gid) == (1000, 1000)


def test_healthcheck_starts_vmaf(image: Subject) -> None:
    """The health check runs `vmaf --version`."""
    check = image.config.get("Healthcheck", {}).get("Test")
    assert check == ["CMD", "vmaf", "--version"]
    shell(image, "vmaf --version")


def test_entry_point_runs_its_arguments_unchanged(image: Subject) -> None:
    """The entry point runs its arguments unchanged and prints nothing else."""
    result = image.run("printf", "%s,", "a b", "c")
    assert (result.stdout, result.stderr) == ("a b,c,", "")


def test_shell_greeting_lists_the_versions(image: Subject) -> None:
    """Without arguments, the entry point prints the SDKs' versions and starts a shell."""
    output = image.run().stdout
    lines = output.splitlines()
    assert 5 < len(lines) <= 24, f"a greeting of {len(lines)} lines: {output}"
    nvcc = "cuda" if "cuda" in image.manifest else CUDA_13
    for key in ("libvmaf", "ffmpeg", nvcc, "hip", "cmake"):
        entry = image.manifest[key]
        assert f"{entry['name']} {entry['version']}"[:36] in output, output


@pytest.mark.parametrize("user", ["1234:1234", "1234:0"])
def test_workbench_works_for_any_user(image: Subject, directory: Path, user: str) -> None:
    """With any `--user`, the home directory and the compiler cache are writable."""
    script = "touch $HOME/file && echo 'int x;' >x.c && gcc -c x.c && ccache --print-stats"
    options = (f"--user={user}", *workspace(directory))
    result = image.run("sh", "-euc", script, options=options)
    assert "cache_miss\t1\n" in result.stdout, result
    assert (directory / "x.o").stat().st_uid == 1234


@pytest.mark.parametrize("sdk", SDKS)
def test_sdk_compiles_and_runs_a_program(image: Subject, directory: Path, sdk: str) -> None:
    """CUDA, HIP, SYCL and ONNX Runtime each compile and run a program.

    The SYCL program computes on the CPU instead, and its sum must be right.
    """
    (directory / "smoke.cu").write_text(KERNEL)
    (directory / "onnx.c").write_text(ONNX_C)
    for name in ("hip-smoke.cpp", "sycl-smoke.cpp"):
        (directory / name).write_text((smoke.SOURCES / name).read_text())
    script, expected = SDKS[sdk]
    output = shell(image, script, directory).stdout
    if sdk == "onnxruntime":
        program, package = output.split()
        assert program == package
    assert expected in output, output


def test_python_environment_runs_a_model(image: Subject) -> None:
    """`python` imports the locked packages and runs an ONNX model."""
    script = f"import {IMPORTED}\nimport sys\nprint(sys.prefix)\n{ONNX_PYTHON}"
    output = image.run("python", "-c", script).stdout.splitlines()
    assert output == ["/opt/vmaf-venv", "[1. 4. 9.]"]


def test_compilers_use_ccache(image: Subject, directory: Path) -> None:
    """The commands gcc, g++ and cc use ccache."""
    for name in ("a.c", "b.cpp"):
        (directory / name).write_text("int x;\n")
    compile_all = "gcc -c a.c -o a.o && g++ -c b.cpp -o b.o && cc -c a.c -o c.o"
    script = f"{compile_all} && {compile_all} && ccache --print-stats"
    output = shell(image, script, directory).stdout
    stats = dict(line.split("\t") for line in output.splitlines())
    counts = {key: stats[key] for key in ("cache_miss", "direct_cache_hit")}
    assert counts == {"cache_miss": "3", "direct_cache_hit": "3"}


def test_nasm_and_nvcc_use_depcache(image: Subject, directory: Path) -> None:
    """The commands nasm and nvcc use depcache."""
    (directory / "a.asm").write_text("section .text\nret\n")
    (directory / "k.cu").write_text('extern "C" __global__ void k(int *p) { *p = 1; }\n')
    compile_both = "nasm -f elf64 -o a.o a.asm && nvcc --fatbin -arch=sm_80 k.cu -o k.fatbin"
    log = "export DEPCACHE_LOG=/tmp/log"
    script = f"{log}; {compile_both} && {compile_both} && cat /tmp/log"
    output = shell(image, script, directory).stdout
    assert output.splitlines() == ["miss nasm", "miss nvcc", "hit nasm", "hit nvcc"]


@pytest.mark.timeout(600)
def test_libvmaf_builds_and_passes_its_tests(image: Subject, libvmaf: Path) -> None:
    """The workbench builds and tests libvmaf with ccache; an edit recompiles few files."""
    build = "meson setup build && ninja -C build && ninja -C build test && ccache --print-stats"
    output = shell(image, f"cd libvmaf && {build}", libvmaf, timeout=500).stdout
    stats = dict(line.split("\t") for line in output.splitlines() if line.count("\t") == 1)
    assert int(stats["cache_miss"]) > 90, output
    assert re.search(r"^Fail: +0 *$", output, re.MULTILINE), output
    edit = "echo 'int vmaf_edited(void) { return 1; }' >>src/mem.c"
    again = shell(image, f"cd libvmaf && {edit} && ninja -C build", libvmaf).stdout
    compiled = [line for line in again.splitlines() if "Compiling" in line]
    assert 0 < len(compiled) < 10, again


# By way of compose


def compose_run(
    project: str, image: Subject, *arguments: str, source: Path
) -> subprocess.CompletedProcess[str]:
    """Run `docker compose run` on this image."""
    return docker(
        *("compose", f"--file={COMPOSE}", f"--project-name={project}", "run", *arguments),
        env={**os.environ, "VMAF_DEV": image.tag, "VMAF_SOURCE": str(source)},
    )


def test_compose_keeps_the_compiler_cache(image: Subject, directory: Path, compose: str) -> None:
    """With compose, the source is the working directory and the next container hits the cache."""
    (directory / "x.c").write_text("int x;\n")
    command = ("--rm", "-T", "dev", "sh", "-euc", "gcc -c x.c && ccache --print-stats")
    for expected in ("cache_miss", "direct_cache_hit"):
        run = compose_run(compose, image, *command, source=directory)
        output = run.stdout + run.stderr
        assert f"{expected}\t1\n" in run.stdout, (
            f"no {expected} in the container's output: {output}"
        )


@pytest.mark.parametrize("vendor", ["nvidia", "amd", "intel"])
def test_compose_reports_a_missing_gpu(
    image: Subject, directory: Path, compose: str, vendor: str
) -> None:
    """Without a vendor's GPU, compose names the service to use instead."""
    if Path("/sys/module/nvidia").exists() or Path("/sys/class/drm/renderD128").exists():
        pytest.skip("this machine has a GPU")
    result = image.run(vendor, program="require-gpu", succeeds=False)
    result.assert_refused(f"no {vendor} GPU")
    result.assert_refused("use the service dev")
    assert result.code == NO_GPU, result
    run = compose_run(compose, image, "--rm", "-T", vendor, "true", source=directory)
    assert run.returncode, run
    assert f'"{vendor}-gpu-or-else-use-dev"' in run.stderr, run

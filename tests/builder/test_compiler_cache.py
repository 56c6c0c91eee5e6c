"""Tests of depcache with real compilers: a hit has the results that the compiler would have."""

from pathlib import Path

import pytest

from scripts.core.paths import ROOT
from tests.support.patches import replace_once
from tests.support.subject import ProgramResult, Subject

DEPCACHE = ROOT / "docker" / "compiler-cache" / "src" / "depcache.py"
FUZZ = ROOT / "docker" / "compiler-cache" / "tests" / "fuzz.py"
SECONDS = 15
SEED = 1
"""The fuzzer makes the same edits each time, so that a fault is found again."""

MUTANTS = {
    "includes are not checked": ("if any(self.digest(name) != was", "if any(False and was"),
    "new file earlier in the include path": ("if path.isfile(place))", "if False)"),
    "arguments are not in the key": ("str(len(command.arguments)), *command.arguments", '""'),
    "messages are lost": ("(sys.stderr, err)", '(sys.stderr, b"")'),
    "half the list of inputs": (
        "self.command.depfile, depfile)",
        "self.command.depfile, depfile[5:])",
    ),
}
"""Faults to plant in depcache: the text to replace and its replacement, by description."""

KERNEL = """
#if ARCH >= 850
#include "new.h"
#else
#include "old.h"
#endif
extern "C" __global__ void k(int *p) { *p = V; }
"""
NVCC = "nvcc --fatbin -gencode=arch=compute_80,code=sm_80 -gencode=arch=compute_90,code=sm_90"
HIPCC = "hipcc --genco --offload-arch=gfx906 --offload-arch=gfx942"
HIP_ARCH = """#include <hip/hip_runtime.h>
#ifdef __gfx942__
#define ARCH 900
#endif"""
GPUS = {
    "cuda": (NVCC, "k.cu", "#define ARCH __CUDA_ARCH__", "cmp"),
    # hipcc's output contains the names of temporary files, so that no two outputs are equal
    "hip": (HIPCC, "k.hip", HIP_ARCH, "true"),
}
"""By capability: the command, the source, the lines that define ARCH, the comparison."""

pytestmark = [pytest.mark.needs("workbench"), pytest.mark.timeout(300)]


def fuzz(image: Subject, depcache: Path, seconds: int, *, succeeds: bool) -> ProgramResult:
    """Run the fuzzer with a depcache and NASM in the image."""
    mounts = {depcache: "/run/depcache.py", FUZZ: "/run/fuzz.py"}
    options = [f"--mount=type=bind,source={s},target={t},readonly" for s, t in mounts.items()]
    command = ("python3", "/run/fuzz.py", "/run/depcache.py", str(seconds), str(SEED))
    return image.run(*command, options=options, succeeds=succeeds)


def test_depcache_has_the_results_of_nasm(image: Subject) -> None:
    """Over random edits, the results of depcache equal those of NASM, byte for byte."""
    result = fuzz(image, DEPCACHE, SECONDS, succeeds=True)
    assert "'hit'" in result.stdout
    assert "'miss'" in result.stdout


@pytest.mark.parametrize("fault", MUTANTS)
def test_fuzzer_finds_each_planted_fault(image: Subject, tmp_path: Path, fault: str) -> None:
    """The fuzzer finds each planted fault in depcache."""
    old, new = MUTANTS[fault]
    (tmp_path / "depcache.py").write_text(replace_once(DEPCACHE.read_text(), old, new))
    tmp_path.chmod(0o755)
    (tmp_path / "depcache.py").chmod(0o755)
    result = fuzz(image, tmp_path / "depcache.py", 4 * SECONDS, succeeds=False)
    assert result.code == 1, result
    assert result.stdout.startswith("differs"), result


@pytest.mark.parametrize("gpu", GPUS)
def test_device_code_is_cached_for_several_gpus(image: Subject, gpu: str) -> None:
    """Depcache caches device code for several GPUs; a header of a single GPU is an input."""
    compiler, source, arch, same = GPUS[gpu]
    name = compiler.split()[0]
    script = f"""
        mkdir -p /tmp/l /tmp/k && cd /tmp/k && ln -s /run/depcache.py /tmp/l/{name}
        export DEPCACHE_DIR=/tmp/store DEPCACHE_LOG=/tmp/log
        for header in new old; do echo '#define V 1' >$header.h; done
        cat >{source} <<'EOT'
{arch}
{KERNEL}
EOT
        sleep 0.1
        DEPCACHE_DISABLE=1 {compiler} {source} -o plain
        PATH=/tmp/l:$PATH
        {compiler} {source} -o first && {compiler} {source} -o first && cp first kept
        rm first && {compiler} {source} -o first && cmp first kept && {same} first plain
        echo '#define V 2' >new.h && sleep 0.1
        {compiler} {source} -o first && ! cmp -s first kept
        cut -d' ' -f1 /tmp/log | tr '\\n' ' '
    """
    mount = f"--mount=type=bind,source={DEPCACHE},target=/run/depcache.py,readonly"
    result = image.run("sh", "-euc", script, options=(mount,))
    assert result.stdout.split() == ["miss", "hit", "hit", "miss"], result

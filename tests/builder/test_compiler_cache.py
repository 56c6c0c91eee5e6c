"""The launcher before real compilers: what it answers is what they would have made."""

from pathlib import Path

import pytest

from scripts.core.paths import ROOT
from tests.support.subject import ProgramResult, Subject

LAUNCHER = ROOT / "docker" / "compiler-cache" / "src" / "depcache.py"
FUZZ = ROOT / "docker" / "compiler-cache" / "tests" / "fuzz.py"
SECONDS = 15
SEED = 1
"""The way there is the same each time, so that a fault is found again."""

MUTANTS = {
    "includes are not looked at": ("if any(self.digest(name) != was", "if any(False and was"),
    "another file in an include's place": ("if path.isfile(place))", "if False)"),
    "words are not in the key": ("str(len(command.arguments)), *command.arguments", '""'),
    "messages are lost": ("(sys.stderr, err)", '(sys.stderr, b"")'),
    "half the list of inputs": (
        "self.command.depfile, depfile)",
        "self.command.depfile, depfile[5:])",
    ),
}
"""A fault in the launcher, by what it makes of it; the fuzz must find each."""

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
    # hipcc names temporary files in what it makes, so that no two outputs are equal
    "hip": (HIPCC, "k.hip", HIP_ARCH, "true"),
}
"""By capability: the command, the source, how it knows its GPU, how outputs compare."""

pytestmark = [pytest.mark.needs("workbench"), pytest.mark.timeout(300)]


def fuzz(image: Subject, launcher: Path, seconds: int, *, succeeds: bool) -> ProgramResult:
    """Play edits to a launcher and to NASM, in the image."""
    mounts = {launcher: "/run/depcache.py", FUZZ: "/run/fuzz.py"}
    options = [f"--mount=type=bind,source={s},target={t},readonly" for s, t in mounts.items()]
    command = ("python3", "/run/fuzz.py", "/run/depcache.py", str(seconds), str(SEED))
    return image.run(*command, options=options, succeeds=succeeds)


def test_launcher_answers_as_the_assembler(image: Subject) -> None:
    """Over random edits, NASM's outcome and the launcher's are equal to the byte."""
    ran = fuzz(image, LAUNCHER, SECONDS, succeeds=True)
    assert "'hit'" in ran.stdout
    assert "'miss'" in ran.stdout


@pytest.mark.parametrize("fault", MUTANTS)
def test_fuzz_finds_a_faulty_launcher(image: Subject, tmp_path: Path, fault: str) -> None:
    """A launcher that answers wrongly is told apart."""
    old, new = MUTANTS[fault]
    text = LAUNCHER.read_text()
    assert text.count(old) == 1, f"the launcher no longer has what this mutant changes: {old}"
    (tmp_path / "depcache.py").write_text(text.replace(old, new))
    tmp_path.chmod(0o755)
    (tmp_path / "depcache.py").chmod(0o755)
    ran = fuzz(image, tmp_path / "depcache.py", 4 * SECONDS, succeeds=False)
    assert ran.code == 1, ran
    assert ran.stdout.startswith("differs"), ran


@pytest.mark.parametrize("gpu", GPUS)
def test_device_code_is_answered_for_each_gpu(image: Subject, gpu: str) -> None:
    """A second compile is a hit, to the bit; a header of one GPU alone is an input too."""
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
    mount = f"--mount=type=bind,source={LAUNCHER},target=/run/depcache.py,readonly"
    ran = image.run("sh", "-euc", script, options=(mount,))
    assert ran.stdout.split() == ["miss", "hit", "hit", "miss"], ran

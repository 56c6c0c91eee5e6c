"""Mutants for the properties of test_rocm.py."""

from tests.images import test_rocm
from tests.mutants import patches
from tests.mutants.mutant import Mutant, as_root, based_on, script
from tests.support import smoke
from tests.support.subject import VERSIONS

MUTANTS = based_on(
    "rocm6",
    Mutant(
        "no-opencl-filter",
        test_rocm.test_ffmpeg_lists_opencl,
        r"missing: \['avgblur_opencl'\]",
        patches={
            "/usr/local/lib/libavfilter.so": patches.rename("avgblur_opencl", "avgblur_openc_")
        },
        params={"question": "-filters"},
    ),
    Mutant(
        "hip-code-for-another-gpu",
        test_rocm.test_hip_smoke_has_code_for_the_declared_gpus,
        r"Extra items in the left set:\n.*'gfx90c",
        patches={smoke.HIP: patches.other_gfx},
    ),
    Mutant(
        "manifest-with-another-amd-gpu",
        test_rocm.test_hip_smoke_has_code_for_the_declared_gpus,
        r"Extra items in the right set:\n.*'gfx1200",
        as_root(f"sed -i 's/gfx1100/gfx1200/' {VERSIONS}"),
    ),
    Mutant(
        "hip-of-release-7",
        test_rocm.test_hip_release_is_the_requested_one,
        r"hip is of version 7\.",
        as_root(f"""sed -i 's/"version": "6\\./"version": "7./' {VERSIONS}"""),
    ),
    Mutant(
        "no-hsa-library",
        test_rocm.test_hip_libraries_load,
        "libhsa-runtime64.*cannot open shared object file",
        as_root("rm /usr/lib/*/libhsa-runtime64.so.1"),
        params={"library": "libamdhip64.so.{}"},
    ),
    Mutant(
        "no-comgr-library",
        test_rocm.test_hip_libraries_load,
        "libamd_comgr.*cannot be preloaded",
        as_root("rm /usr/lib/*/libamd_comgr.so.3"),
        params={"library": "libamd_comgr.so.3"},
    ),
    Mutant(
        "hip-smoke-succeeds-without-a-gpu",
        test_rocm.test_hip_smoke_reports_a_missing_gpu,
        "a success, although it cannot work here",
        script(smoke.HIP, "echo no AMD GPU >&2"),
    ),
    Mutant(
        "no-icd-file-of-amd",
        test_rocm.test_opencl_driver_is_registered_and_loads,
        r"registered OpenCL drivers: \[\]",
        as_root("rm /etc/OpenCL/vendors/*.icd"),
    ),
    Mutant(
        "icd-file-without-its-driver",
        test_rocm.test_opencl_driver_is_registered_and_loads,
        r"libamdocl64\S* does not load",
        as_root("rm /usr/lib/*/libamdocl64.so*"),
    ),
    Mutant(
        "hip-smoke-with-another-sum-than-the-cpu",
        test_rocm.test_hip_smoke_agrees_with_the_cpu,
        "the GPU's sum is 1, the CPU's 2",
        script(smoke.HIP, "echo sum of squared differences 1, expected 2"),
    ),
)

"""Mutants for the properties of test_oneapi.py."""

from tests.images import test_oneapi
from tests.mutants import patches
from tests.mutants.mutant import Mutant, add_file, as_root, based_on, crash, script
from tests.support import smoke
from tests.support.subject import LOCKED_DOWN, VERSIONS

ICD = "/etc/OpenCL/vendors/intel-cpu.icd"

MUTANTS = based_on(
    "oneapi2026",
    Mutant(
        "no-icd-file-of-the-cpu-device",
        test_oneapi.test_sycl_smoke_computes_on_the_cpu,
        "there is no SYCL cpu here",
        as_root(f"rm {ICD}"),
        params={"options": ()},
    ),
    Mutant(
        "sycl-smoke-with-a-wrong-sum",
        test_oneapi.test_sycl_smoke_computes_on_the_cpu,
        r"assert 5 == \d",
        script(smoke.SYCL, 'echo "device: some (cpu)\nsum of squared differences: 5"'),
        params={"options": ()},
    ),
    Mutant(
        "sycl-smoke-writes-to-the-root-filesystem",
        test_oneapi.test_sycl_smoke_computes_on_the_cpu,
        "cannot touch '/tmp/kernel': Read-only file system",
        script(smoke.SYCL, "touch /tmp/kernel"),
        params={"options": LOCKED_DOWN},
    ),
    Mutant(
        "sycl-smoke-crashes-without-a-gpu",
        test_oneapi.test_sycl_smoke_reports_a_missing_gpu,
        "killed by signal 11",
        script(smoke.SYCL, "exit 139"),
    ),
    Mutant(
        "icd-file-with-intels-placeholder",
        test_oneapi.test_opencl_icd_files_name_installed_libraries,
        f"{ICD} names /opt/anaconda1",
        as_root(f"echo /opt/anaconda1anaconda2anaconda3/lib/libintelocl.so >{ICD}"),
    ),
    Mutant(
        "no-level-zero-loader",
        test_oneapi.test_libraries_opened_at_run_time_are_present,
        r"the Level Zero adapters opens .*libze_loader\.so\.1",
        as_root("rm /usr/lib/x86_64-linux-gnu/libze_loader.so.1"),
    ),
    Mutant(
        "pip-in-a-layer",
        test_oneapi.test_layers_contain_no_python,
        r"layer \d+ \(COPY .*\) carries /opt/intel/oneapi/bin/pip3",
        add_file("/opt/intel/oneapi/bin/pip3"),
    ),
    Mutant(
        "sycl-runtime-of-2025",
        test_oneapi.test_sycl_runtime_is_of_2026,
        r"intel-sycl-rt is of version 2025\.",
        as_root(f"sed -i 's/\"2026\\./\"2025./' {VERSIONS}"),
    ),
    Mutant(
        "no-qsv-encoder",
        test_oneapi.test_ffmpeg_lists_intel_features,
        r"missing: \['h264_qsv'\]",
        patches={"/usr/local/lib/libavcodec.so": patches.rename("h264_qsv", "h264_qs_")},
        params={"question": "-encoders"},
    ),
    Mutant(
        "opencl-without-built-in-functions",
        test_oneapi.test_opencl_filter_matches_the_cpu_filter,
        "Failed to create OpenCL context",
        as_root("rm /opt/intel/oneapi/lib/cllibrary*.o"),
    ),
    Mutant(
        "ffmpeg-crashes-without-an-intel-gpu",
        test_oneapi.test_ffmpeg_reports_a_missing_intel_gpu,
        "killed by signal 11",
        crash("ffmpeg"),
        params={"interface": "qsv"},
    ),
    Mutant(
        "no-vaapi-driver-for-intel",
        test_oneapi.test_intel_gpu_encodes,
        "Device creation failed",
        as_root("rm /usr/lib/x86_64-linux-gnu/dri/iHD_drv_video.so"),
        params={"encoder": "h264_vaapi"},
    ),
)

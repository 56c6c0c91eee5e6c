"""Mutants for the properties of test_cuda.py."""

from tests.images import test_cuda
from tests.mutants import patches
from tests.mutants.mutant import Mutant, add_file, as_root, crash, wrap

MUTANTS = (
    Mutant(
        "no-nvenc-encoder",
        test_cuda.test_ffmpeg_lists_nvidia_features,
        r"missing: \['h264_nvenc'\]",
        base="cuda12",
        patches={"/usr/local/lib/libavcodec.so": patches.rename("h264_nvenc", "h264_nven_")},
        params={"question": "-encoders"},
    ),
    Mutant(
        "cuda-code-for-another-gpu",
        test_cuda.test_libvmaf_has_code_for_the_declared_gpus,
        r"'(sm|compute)_61'",
        base="cuda12",
        patches={"/usr/local/lib/libvmaf.so": patches.other_gpu},
    ),
    Mutant(
        "driver-requested-without-video",
        test_cuda.test_environment_requests_the_driver,
        r"missing driver capabilities: \['video'\]",
        "ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        base="cuda12",
    ),
    Mutant(
        "driver-in-a-layer",
        test_cuda.test_layers_contain_no_driver,
        r"layer \d+ \(COPY .*\) carries /usr/local/lib/libcuda\.so\.1",
        add_file("/usr/local/lib/libcuda.so.1"),
        base="cuda12",
    ),
    Mutant(
        "ffmpeg-crashes-without-a-driver",
        test_cuda.test_ffmpeg_reports_a_missing_driver,
        "killed by signal 11",
        crash("ffmpeg"),
        base="cuda12",
    ),
    Mutant(
        "documented-command-fails-for-another-reason",
        test_cuda.test_documented_command_reports_a_missing_driver,
        r"ended with 8:\nNo such filter: scale_cuda",
        wrap(
            "ffmpeg",
            'case "$*" in *libvmaf_cuda*) echo "No such filter: scale_cuda" >&2; exit 8 ;; esac'
            '\nexec ffmpeg.real "$@"',
        ),
        base="cuda12",
        params={"number": 0},
    ),
    Mutant(
        "vmaf-without-a-message-about-the-driver",
        test_cuda.test_vmaf_scores_on_the_cpu_without_a_driver,
        "no message about the CPU in ''",
        wrap("vmaf", 'exec vmaf.real "$@" 2>/dev/null'),
        base="cuda12",
    ),
    Mutant(
        "no-nvcc-program",
        test_cuda.test_nvcc_compiles_a_program,
        'exec: "nvcc": executable file not found',
        as_root("rm /usr/local/cuda/bin/nvcc"),
        base="all-backends",
    ),
    Mutant(
        "nvcc-without-its-host-compiler",
        test_cuda.test_nvcc_compiles_a_program,
        r"g\+\+-13",
        as_root("rm /usr/bin/g++-13"),
        base="all-backends",
    ),
    Mutant(
        "no-machine-code-for-blackwell",
        test_cuda.test_libvmaf_has_machine_code_for_blackwell,
        r"no machine code for \['sm_120'\]",
        base="cuda13",
        patches={"/usr/local/lib/libvmaf.so": patches.without_gpu(120)},
    ),
    Mutant(
        "libvmaf-with-libdevice",
        test_cuda.test_libvmaf_has_no_function_of_libdevice,
        r"from libdevice: \['__internal_accurate_pow'\]",
        base="cuda12",
        patches={"/usr/local/lib/libvmaf.so": patches.with_libdevice},
    ),
    Mutant(
        "filter-compiled-by-nvcc",
        test_cuda.test_ffmpegs_cuda_filters_have_nothing_of_nvidias,
        r"'8\.4', 'sm_60'",
        base="cuda12",
        patches={
            "/usr/local/lib/libavfilter.so": patches.with_filter(".version 8.4\n.target sm_60")
        },
    ),
    Mutant(
        "filter-that-calls-a-library",
        test_cuda.test_ffmpegs_cuda_filters_have_nothing_of_nvidias,
        r"the filters call \['__nv_pow'\]",
        base="cuda12",
        patches={
            "/usr/local/lib/libavfilter.so": patches.with_filter(
                ".version 4.2\n.target sm_30\n.extern .func (.param .b64 r) __nv_pow ()"
            )
        },
    ),
    Mutant(
        "gpu-check-without-advice",
        test_cuda.test_gpu_check_reports_a_missing_driver,
        "no 'docker run --gpus all' in the message: `gpu-check` ended with 3:",
        wrap("gpu-check", "gpu-check.real 2>/dev/null"),
        base="cuda12",
    ),
    Mutant(
        "gpu-scores-unlike-the-cpu",
        test_cuda.test_gpu_check_finds_no_difference,
        "scores of 1080p-8bit with libvmaf image",
        wrap(
            "vmaf",
            'case "$*" in *"gpumask 0"*) set -- "$@" --model version=vmaf_4k_v0.6.1 ;; esac'
            '\nexec vmaf.real "$@"',
        ),
        base="cuda12",
    ),
)

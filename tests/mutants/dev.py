"""Mutants for the properties of test_dev.py."""

from tests.images import test_dev
from tests.mutants.mutant import Mutant, as_root, based_on, wrap

MUTANTS = based_on(
    "dev",
    Mutant(
        "workbench-user-with-uid-1001",
        test_dev.test_workbench_user_owns_its_directories,
        r"\['1001', '1000', 'vmaf'\]",
        as_root("usermod --uid 1001 vmaf"),
    ),
    Mutant(
        "ccache-directory-owned-by-root",
        test_dev.test_workbench_user_owns_its_directories,
        "/ccache 0:0",
        as_root("chown root:root /ccache"),
    ),
    Mutant(
        "workbench-runs-as-root",
        test_dev.test_files_made_in_a_mount_belong_to_the_user,
        r"assert \(0, 0\) == \(1000, 1000\)",
        "USER root",
    ),
    Mutant(
        "workbench-without-a-health-check",
        test_dev.test_healthcheck_starts_vmaf,
        r"assert \['NONE'\] == ",
        "HEALTHCHECK NONE",
    ),
    Mutant(
        "entry-point-prints-a-greeting",
        test_dev.test_entry_point_runs_its_arguments_unchanged,
        "'welcome",
        wrap("workbench", 'echo welcome; exec workbench.real "$@"'),
    ),
    Mutant(
        "shell-without-a-greeting",
        test_dev.test_shell_greeting_lists_the_versions,
        "a greeting of 0 lines",
        wrap("workbench", "exec bash"),
    ),
    Mutant(
        "no-home-for-other-users",
        test_dev.test_workbench_works_for_any_user,
        "cannot touch '//file': Permission denied",
        wrap("workbench", 'exec "$@"'),
        params={"user": "1234:1234"},
    ),
    *(
        Mutant(
            f"workbench-without-{part}",
            test_dev.test_sdk_compiles_and_runs_a_program,
            expected_failure,
            as_root(f"rm -r {path}"),
            params={"sdk": sdk},
        )
        for sdk, part, path, expected_failure in (
            ("cuda", "cicc", "/usr/local/cuda/nvvm/bin/cicc", r"cicc.*: not found"),
            ("hip", "hip-headers", "/usr/include/hip", r"hip_runtime\.h"),
            ("sycl", "sycl-headers", "/opt/intel/oneapi/include", r"sycl/\w+\.hpp"),
            (
                "onnxruntime",
                "onnxruntimes-pkg-config-file",
                "/usr/lib/*/pkgconfig/libonnxruntime.pc",
                r"libonnxruntime\.pc",
            ),
        )
    ),
    Mutant(
        "python-environment-without-onnxruntime",
        test_dev.test_python_environment_runs_a_model,
        "No module named 'onnxruntime'",
        as_root("rm -r /opt/vmaf-venv/lib/python3*/site-packages/onnxruntime"),
    ),
    Mutant(
        "no-ccache-directory-on-the-path",
        test_dev.test_compilers_use_ccache,
        "{'cache_miss': '0'} != {'cache_miss': '3'}",
        as_root("rm -r /usr/lib/ccache"),
    ),
    Mutant(
        "nasm-without-depcache",
        test_dev.test_nasm_and_nvcc_use_depcache,
        r"assert \['miss nvcc', 'hit nvcc'\] == ",
        as_root("rm /usr/lib/ccache/nasm"),
    ),
    Mutant(
        "workbench-without-nasm",
        test_dev.test_libvmaf_builds_and_passes_its_tests,
        "nasm",
        as_root("rm /usr/bin/nasm"),
    ),
    Mutant(
        "cache-volume-owned-by-root",
        test_dev.test_compose_keeps_the_compiler_cache,
        r"workbench: .*/ccache",
        as_root("chown root:root /ccache"),
    ),
    Mutant(
        "require-gpu-that-always-succeeds",
        test_dev.test_compose_reports_a_missing_gpu,
        "a success, although it cannot work here: `require-gpu amd`",
        wrap("require-gpu", "exit 0"),
        params={"vendor": "amd"},
    ),
)

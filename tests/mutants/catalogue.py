"""A faulty image for each property: what is wrong with it, and what the failure must say.

Each is a few lines on top of an image that is built, so all of them together
take seconds. A property without one here makes the tests fail.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scripts.contents.archive import BUILDS, CACHES, DEVELOPMENT, SECRETS, TOOLS, Leftover
from tests.images import (
    test_contract,
    test_cuda,
    test_dev,
    test_elf,
    test_ffmpeg,
    test_layers,
    test_oneapi,
    test_rocm,
    test_score,
    test_server,
    test_supply_chain,
    test_vulkan,
)
from tests.mutants import patches

PROPERTIES = (
    test_contract,
    test_cuda,
    test_dev,
    test_elf,
    test_ffmpeg,
    test_layers,
    test_oneapi,
    test_rocm,
    test_score,
    test_server,
    test_supply_chain,
    test_vulkan,
)
VERSIONS = "/usr/local/share/vmaf/versions.json"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True)
class Mutant:
    """One faulty image and the property that must fail on it."""

    name: str
    breaks: Callable[..., None]
    says: str
    """A regular expression that the failure's message must match: it names the fault."""
    lines: str = ""
    """The Dockerfile after its FROM."""
    of: str = "cpu"
    """The image of the bake file that it is derived from."""
    patched: Mapping[str, patches.Patch] = field(default_factory=dict)
    """Files of that image to change, and how."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """The arguments of a property that is parametrised."""

    @property
    def tag(self) -> str:
        """What its image is called."""
        return f"vmaf-mutant:{self.name}"


def as_root(script: str) -> str:
    """Run a script as root and leave the image's user as it was."""
    return f"USER root\nRUN {script}\nUSER vmaf"


def plant(path: str) -> str:
    """Put a file into a layer."""
    return f"COPY <<end {path}\nplanted\nend"


def wrap(program: str, script: str) -> str:
    """Put a script in a program's place; the program itself stays beside it, as `.real`."""
    there = f"/usr/local/bin/{program}"
    return as_root(f"mv {there} {there}.real") + (
        f"\nCOPY --chmod=755 <<'script' {there}\n#!/bin/sh\n{script}\nscript"
    )


def every(
    leftovers: Sequence[Leftover], breaks: Callable[..., None], name: str
) -> Sequence[Mutant]:
    """Return a mutant for each row of a table of leftovers."""
    return [
        Mutant(
            f"{name}-{number}",
            breaks,
            r"layer \d+ \(COPY .*\) carries " + re.escape(f"{leftover.example}: {leftover.what}"),
            plant(leftover.example),
        )
        for number, leftover in enumerate(leftovers)
    ]


def changed_scores(perl: str) -> str:
    """Let vmaf report other scores than those it computes."""
    edit = f"""perl -pi -e 's/("vmaf": )([\\d.]+)/$1.({perl})/e' score.json"""
    return wrap("vmaf", f'vmaf.real "$@" && {edit}')


LAYERS = (
    *every(CACHES, test_layers.test_no_cache_in_any_layer, "cache"),
    Mutant(
        "cache-deleted-again",
        test_layers.test_no_cache_in_any_layer,
        r"layer \d+ \(COPY .* carries /var/cache/apt/archives/x\.deb",
        plant("/var/cache/apt/archives/x.deb") + "\n" + as_root("rm /var/cache/apt/archives/x.deb"),
    ),
    Mutant(
        "grown",
        test_layers.test_size_is_agreed,
        r"nox -s inspect -- cpu shows by what",
        lines=as_root("head -c 12M /dev/urandom >/usr/local/share/grown"),
    ),
    *every(BUILDS, test_layers.test_no_build_tree_in_any_layer, "build"),
    *every(TOOLS, test_layers.test_no_build_tool_in_any_layer, "tool"),
    *every(DEVELOPMENT, test_layers.test_no_development_file_in_any_layer, "development"),
    *every(SECRETS, test_layers.test_no_secret_in_any_layer, "secret"),
    Mutant(
        "token-as-argument",
        test_layers.test_history_tells_no_secret,
        "TOKEN=abc",
        "ARG TOKEN=abc\nRUN true",
    ),
    Mutant(
        "proxy-certificate",
        test_layers.test_trusts_only_debians_certificates,
        "with 1 certificates not from Debian",
        as_root(
            "mkdir -p /etc/ssl/certs"
            f" && printf -- '-----%s CERTIFICATE-----\\n' BEGIN END >>{BUNDLE}"
        ),
    ),
    Mutant(
        "setuid",
        test_layers.test_no_setuid_program_beyond_the_base,
        r"layer \d+ \(RUN .*\) carries /usr/local/bin/vmaf with mode 4755",
        as_root("chmod u+s /usr/local/bin/vmaf"),
    ),
    Mutant(
        "owned-by-its-user",
        test_layers.test_our_files_are_roots_and_read_only,
        "carries /usr/local/bin/vmaf of 1000:0",
        as_root("chown vmaf /usr/local/bin/vmaf"),
    ),
    Mutant(
        "writable",
        test_layers.test_our_files_are_roots_and_read_only,
        "carries /usr/local/bin/vmaf of 0:0, mode 777",
        as_root("chmod a+w /usr/local/bin/vmaf"),
    ),
    Mutant(
        "wasteful",
        test_layers.test_later_layers_hide_little,
        r"layer \d+ \(RUN .*\) hides /opt/data, 4194304 bytes of layer \d+ \(RUN ",
        as_root("head -c 4M /dev/zero >/opt/data") + "\n" + as_root("rm /opt/data"),
    ),
)

CONTRACT = (
    Mutant("root", test_contract.test_runs_as_vmaf, "root", "USER root"),
    Mutant(
        "other-uid",
        test_contract.test_runs_as_vmaf,
        "1001",
        as_root("sed -i 's/^vmaf:x:1000/vmaf:x:1001/' /etc/passwd"),
    ),
    Mutant("elsewhere", test_contract.test_works_in_data, "/data", "WORKDIR /"),
    Mutant(
        "data-is-roots",
        test_contract.test_works_in_data,
        "Permission denied",
        as_root("chown root:root /data"),
    ),
    Mutant("no-entry", test_contract.test_entry_point_is_declared, "vmaf", "ENTRYPOINT []"),
    Mutant(
        "entry-of-another-image",
        test_contract.test_entry_point_is_declared,
        "'vmaf'.* == .*'ffmpeg'",
        'ENTRYPOINT ["vmaf"]',
        of="all-backends",
    ),
    Mutant(
        "entry-knows-no-libvmaf",
        test_contract.test_entry_point_is_declared,
        " libvmaf ",
        of="all-backends",
        patched={"/usr/local/lib/libavfilter.so": patches.rename("libvmaf", "libvma_")},
    ),
    Mutant(
        "other-title",
        test_contract.test_labels_are_the_declared_ones,
        "something else",
        'LABEL org.opencontainers.image.title="something else"',
    ),
    Mutant(
        "other-version",
        test_contract.test_version_is_the_same_everywhere,
        "9.9.9",
        "LABEL org.opencontainers.image.version=9.9.9",
    ),
    Mutant(
        "version-unlike-its-program",
        test_contract.test_version_is_the_same_everywhere,
        "9.9.9",
        wrap("vmaf", "echo 9.9.9"),
    ),
    Mutant(
        "claims-sycl",
        test_contract.test_backends_are_in_the_library,
        "sycl",
        'LABEL vmaf.backends="cpu sycl"',
    ),
    Mutant(
        "claims-nonfree",
        test_contract.test_licence_is_that_of_the_configuration,
        "nonfree",
        'LABEL org.opencontainers.image.licenses="LicenseRef-nonfree-not-redistributable"',
    ),
    Mutant(
        "claims-mit",
        test_contract.test_licence_is_that_of_the_configuration,
        "MIT",
        'LABEL org.opencontainers.image.licenses="MIT"',
    ),
    Mutant(
        "keeps-ccache",
        test_contract.test_environment_is_the_images_own,
        "CCACHE_DIR",
        "ENV CCACHE_DIR=/ccache",
    ),
    Mutant(
        "writes-to-its-root",
        test_contract.test_runs_locked_down,
        "Read-only file system",
        wrap("ffmpeg", 'touch /data/log && ffmpeg.real "$@"'),
        given={"user": "vmaf"},
    ),
    Mutant(
        "for-vmaf-alone",
        test_contract.test_runs_locked_down,
        "(?i)permission denied",
        as_root("chown -R vmaf /usr/local/bin && chmod 700 /usr/local/bin/vmaf"),
        given={"user": "65534:65534"},
    ),
    Mutant(
        "no-digest",
        test_contract.test_manifest_is_complete,
        "libvmaf has digest 'md5:",
        as_root(f"sed -i 's/sha256:/md5:/' {VERSIONS}"),
    ),
    Mutant(
        "no-source",
        test_contract.test_manifest_is_complete,
        "libvmaf has source ''",
        as_root(f"""sed -i 's/"source": "[^"]*"/"source": ""/' {VERSIONS}"""),
    ),
    Mutant(
        "other-flags",
        test_contract.test_manifest_is_true_of_ffmpeg,
        "enable-libx264",
        as_root(f"sed -i 's/--enable-libx264//' {VERSIONS}"),
    ),
)

ELF = (
    Mutant(
        "lacks-x264",
        test_elf.test_every_library_resolves,
        r"/usr/local/lib/libavcodec\S+ needs libx264\.so",
        as_root("rm /usr/lib/*/libx264.so.*"),
    ),
    Mutant(
        "cache-of-libraries-is-stale",
        test_elf.test_every_library_resolves,
        r"/usr/local/bin/vmaf needs libvmaf\.so",
        as_root("mv /etc/ld.so.conf.d /etc/none && ldconfig && mv /etc/none /etc/ld.so.conf.d"),
    ),
    Mutant(
        "lacks-a-function",
        test_elf.test_every_symbol_resolves,
        "undefined symbol: vmaf_inix",
        patched={"/usr/local/lib/libavfilter.so": patches.rename("vmaf_init", "vmaf_inix")},
    ),
    Mutant(
        "built-on-a-newer-libc",
        test_elf.test_every_symbol_resolves,
        "GLIBC_9.34' not found",
        patched={"/usr/local/bin/vmaf": patches.rename("GLIBC_2.34", "GLIBC_9.34")},
    ),
    *(
        Mutant(
            patch.__name__.replace("_", "-"),
            test_elf.test_ours_are_hardened,
            f"/usr/local/bin/vmaf .*{says}",
            patched={"/usr/local/bin/vmaf": patch},
        )
        for patch, says in (
            (patches.fixed_address, "PIE"),
            (patches.executable_stack, "executable stack"),
            (patches.lazy_binding, "RELRO"),
            (patches.text_relocations, "TEXTREL"),
        )
    ),
    Mutant(
        "relative-runpath",
        test_elf.test_ours_search_no_folder_of_the_build,
        "/usr/local/bin/vmaf searches",
        patched={"/usr/local/bin/vmaf": patches.relative_runpath},
    ),
    Mutant(
        "two-libvmafs",
        test_elf.test_libvmaf_is_one_file_with_a_chain_of_names,
        "libvmaf.so is no symbolic link but a copy",
        as_root(
            "cd /usr/local/lib && cp --remove-destination $(readlink -f libvmaf.so) libvmaf.so"
        ),
    ),
)

SCORE = (
    Mutant(
        "half-marks",
        test_score.test_identical_frames_score_near_100,
        r"50(\.0)? > 97",
        changed_scores("50"),
    ),
    Mutant(
        "silent-without-a-terminal",
        test_score.test_score_is_printed_without_a_terminal,
        "Ran",
        wrap("vmaf", 'exec vmaf.real "$@" 2>/dev/null'),
    ),
    Mutant(
        "upside-down",
        test_score.test_worse_pictures_score_lower,
        "assert .* == ",
        changed_scores("100-$2"),
    ),
    Mutant(
        "worst-quality",
        test_score.test_a_real_clip_scores_by_its_quality,
        "90 < ",
        wrap("ffmpeg", """exec ffmpeg.real $(printf ' %s' "$@" | sed 's/-crf [0-9]*/-crf 51/')"""),
    ),
    Mutant(
        "program-unlike-filter",
        test_score.test_filter_and_program_agree,
        "50",
        changed_scores("50"),
    ),
    Mutant(
        "broken-model",
        test_score.test_models_load_from_their_files,
        "problem loading model",
        as_root("truncate --size=1000 /usr/local/share/vmaf/model/vmaf_v0.6.1.json"),
    ),
)

FFMPEG = (
    Mutant(
        "no-x264",
        test_ffmpeg.test_codec_goes_there_and_back,
        "Unknown encoder 'libx264'",
        patched={"/usr/local/lib/libavcodec.so": patches.rename("libx264", "libx26_")},
        given={"codec": test_ffmpeg.CODECS[0]},
    ),
    Mutant(
        "no-dav1d",
        test_ffmpeg.test_codec_goes_there_and_back,
        "Unknown decoder 'libdav1d'",
        patched={"/usr/local/lib/libavcodec.so": patches.rename("libdav1d", "libdav1_")},
        given={"codec": test_ffmpeg.CODECS[2]},
    ),
    Mutant(
        "no-zscale",
        test_ffmpeg.test_filter_runs,
        "Error parsing filterchain 'zscale",
        patched={"/usr/local/lib/libavfilter.so": patches.rename("zscale", "zscal_")},
        given={"name": "zscale"},
    ),
    Mutant(
        "no-drawtext",
        test_ffmpeg.test_filters_are_listed,
        "drawtext",
        patched={"/usr/local/lib/libavfilter.so": patches.rename("drawtext", "drawtex_")},
    ),
    Mutant(
        "no-ffprobe",
        test_ffmpeg.test_ffprobe_reads_a_clip,
        "ffprobe",
        as_root("rm /usr/local/bin/ffprobe"),
    ),
)

CUDA = (
    Mutant(
        "no-nvenc",
        test_cuda.test_nvidia_features_are_listed,
        "h264_nvenc",
        of="cuda12",
        patched={"/usr/local/lib/libavcodec.so": patches.rename("h264_nvenc", "h264_nven_")},
        given={"question": "-encoders"},
    ),
    Mutant(
        "other-gpu",
        test_cuda.test_kernels_are_for_the_declared_gpus,
        "_61",
        of="cuda12",
        patched={"/usr/local/lib/libvmaf.so": patches.other_gpu},
    ),
    Mutant(
        "asks-for-no-video",
        test_cuda.test_asks_for_the_driver,
        "video",
        "ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        of="cuda12",
    ),
    Mutant(
        "driver-inside",
        test_cuda.test_carries_no_driver,
        r"layer \d+ \(COPY .*\) carries /usr/local/lib/libcuda\.so\.1",
        plant("/usr/local/lib/libcuda.so.1"),
        of="cuda12",
    ),
    Mutant(
        "dies-without-driver",
        test_cuda.test_ffmpeg_without_a_driver_says_so,
        "139",
        wrap("ffmpeg", "exit 139  # what is left of a segmentation fault"),
        of="cuda12",
    ),
    Mutant(
        "silent-without-driver",
        test_cuda.test_vmaf_without_a_driver_says_so,
        "using CPU",
        wrap("vmaf", 'exec vmaf.real "$@" 2>/dev/null'),
        of="cuda12",
    ),
    Mutant(
        "no-nvcc",
        test_cuda.test_nvcc_makes_a_program,
        "nvcc.* not found",
        as_root("rm /usr/local/cuda/bin/nvcc"),
        of="all-backends",
    ),
    Mutant(
        "no-host-compiler",
        test_cuda.test_nvcc_makes_a_program,
        r"g\+\+-13",
        as_root("rm /usr/bin/g++-13"),
        of="all-backends",
    ),
    Mutant(
        "gpu-unlike-cpu",
        test_cuda.test_gpu_and_cpu_agree,
        "approx|±",
        wrap(
            "vmaf",
            'vmaf.real "$@" || exit; case "$*" in *gpumask*)'
            """ perl -pi -e 's/("vmaf": )[\\d.]+/${1}50/' score.json ;; esac""",
        ),
        of="cuda12",
    ),
)

VULKAN = (
    Mutant(
        "no-libplacebo",
        test_vulkan.test_vulkan_features_are_listed,
        "libplacebo",
        of="vulkan",
        patched={"/usr/local/lib/libavfilter.so": patches.rename("libplacebo", "libplaceb_")},
        given={"question": "-filters"},
    ),
    Mutant(
        "no-vulkan-device",
        test_vulkan.test_vulkan_features_are_listed,
        "vulkan",
        of="vulkan",
        patched={"/usr/local/lib/libavutil.so": patches.rename("vulkan", "vulka_")},
        given={"question": "-hwaccels"},
    ),
    Mutant(
        "dies-without-vulkan",
        test_vulkan.test_without_a_vulkan_device_says_so,
        "139",
        wrap("ffmpeg", "exit 139  # what is left of a segmentation fault"),
        of="vulkan",
    ),
    Mutant(
        "no-vulkan-loader",
        test_vulkan.test_without_a_vulkan_device_says_so,
        "VK_ERROR_INCOMPATIBLE_DRIVER",
        patched={"/usr/local/lib/libavutil.so": patches.rename("libvulkan.so.1", "libvulkan.so.9")},
        of="vulkan",
    ),
    Mutant(
        "no-scale-vulkan",
        test_vulkan.test_vulkan_filters_run_and_score,
        "No such filter: 'scale_vulkan'",
        of="vulkan",
        patched={"/usr/local/lib/libavfilter.so": patches.rename("scale_vulkan", "scale_vulka_")},
        given={"scaler": "scale_vulkan"},
    ),
    Mutant(
        "green-pictures",
        test_vulkan.test_vulkan_filters_run_and_score,
        "libplacebo scores ",
        wrap(
            "ffmpeg", """exec ffmpeg.real $(printf ' %s' "$@" | sed s/:,disable_multiplane=1//)"""
        ),
        of="vulkan",
        given={"scaler": "libplacebo"},
    ),
)

ICD = "/etc/OpenCL/vendors/intel-cpu.icd"


def fake_smoke(script: str) -> str:
    """Put a script in the place of the SYCL program."""
    return f"COPY --chmod=755 <<'script' {test_oneapi.SMOKE}\n#!/bin/sh\n{script}\nscript"


ONEAPI = (
    Mutant(
        "oneapi-claims-sycl",
        test_contract.test_backends_are_in_the_library,
        "sycl",
        'LABEL vmaf.backends="cpu sycl"',
        of="oneapi2026",
    ),
    Mutant(
        "oneapi-no-icd",
        test_oneapi.test_sycl_computes_on_the_cpu,
        "there is no SYCL cpu here",
        as_root(f"rm {ICD}"),
        of="oneapi2026",
        given={"options": ()},
    ),
    Mutant(
        "oneapi-wrong-sum",
        test_oneapi.test_sycl_computes_on_the_cpu,
        "sum of squared differences: 5",
        fake_smoke('echo "device: some (cpu)\nsum of squared differences: 5"'),
        of="oneapi2026",
        given={"options": ()},
    ),
    Mutant(
        "oneapi-needs-scratch",
        test_oneapi.test_sycl_computes_on_the_cpu,
        "Read-only file system",
        fake_smoke("touch /tmp/kernel"),
        of="oneapi2026",
        given={"options": test_contract.LOCKED_DOWN},
    ),
    Mutant(
        "oneapi-dies-without-gpu",
        test_oneapi.test_sycl_without_a_gpu_says_so,
        "139",
        fake_smoke("exit 139"),
        of="oneapi2026",
    ),
    Mutant(
        "oneapi-placeholder",
        test_oneapi.test_opencl_vendors_exist,
        f"{ICD} names /opt/anaconda1",
        as_root(f"echo /opt/anaconda1anaconda2anaconda3/lib/libintelocl.so >{ICD}"),
        of="oneapi2026",
    ),
    Mutant(
        "oneapi-no-level-zero",
        test_oneapi.test_what_is_opened_by_name_is_there,
        r"the adapters opens .*libze_loader\.so\.1",
        as_root("rm /usr/lib/x86_64-linux-gnu/libze_loader.so.1"),
        of="oneapi2026",
    ),
    Mutant(
        "oneapi-keeps-pip",
        test_oneapi.test_no_python_in_any_layer,
        r"layer \d+ \(COPY .*\) carries /opt/intel/oneapi/bin/pip3",
        plant("/opt/intel/oneapi/bin/pip3"),
        of="oneapi2026",
    ),
    Mutant(
        "oneapi-of-2025",
        test_oneapi.test_runtime_is_of_2026,
        "'2025",
        as_root(f"sed -i 's/\"2026\\./\"2025./' {VERSIONS}"),
        of="oneapi2026",
    ),
    Mutant(
        "oneapi-no-qsv",
        test_oneapi.test_intel_features_are_listed,
        "h264_qsv",
        of="oneapi2026",
        patched={"/usr/local/lib/libavcodec.so": patches.rename("h264_qsv", "h264_qs_")},
        given={"question": "-encoders"},
    ),
    Mutant(
        "oneapi-no-built-in-functions",
        test_oneapi.test_opencl_filter_agrees_with_the_plain_one,
        "avgblur_opencl",
        as_root("rm /opt/intel/oneapi/lib/cllibrary*.o"),
        of="oneapi2026",
    ),
    Mutant(
        "oneapi-dies-without-its-gpu",
        test_oneapi.test_ffmpeg_without_intels_gpu_says_so,
        "139",
        wrap("ffmpeg", "exit 139  # what is left of a segmentation fault"),
        of="oneapi2026",
        given={"kind": "qsv"},
    ),
    Mutant(
        "oneapi-no-media-driver",
        test_oneapi.test_intel_gpu_encodes,
        "vaapi",
        as_root("rm /usr/lib/x86_64-linux-gnu/dri/iHD_drv_video.so"),
        of="oneapi2026",
        given={"encoder": "h264_vaapi"},
    ),
)

ROCM = (
    Mutant(
        "no-vaapi-encoder",
        test_rocm.test_vaapi_and_opencl_are_listed,
        "h264_vaapi",
        of="rocm6",
        patched={"/usr/local/lib/libavcodec.so": patches.rename("h264_vaapi", "h264_vaap_")},
        given={"question": "-encoders"},
    ),
    Mutant(
        "no-opencl-filter",
        test_rocm.test_vaapi_and_opencl_are_listed,
        "avgblur_opencl",
        of="rocm6",
        patched={
            "/usr/local/lib/libavfilter.so": patches.rename("avgblur_opencl", "avgblur_openc_")
        },
        given={"question": "-filters"},
    ),
    Mutant(
        "dies-without-vaapi",
        test_rocm.test_ffmpeg_without_vaapi_says_so,
        "139",
        wrap("ffmpeg", "exit 139  # what is left of a segmentation fault"),
        of="rocm6",
    ),
    Mutant(
        "other-gfx",
        test_rocm.test_hip_code_is_for_the_declared_gpus,
        "gfx90c",
        of="rocm6",
        patched={test_rocm.SMOKE: patches.other_gfx},
    ),
    Mutant(
        "declares-another-gfx",
        test_rocm.test_hip_code_is_for_the_declared_gpus,
        "gfx1200",
        as_root(f"sed -i 's/gfx1100/gfx1200/' {VERSIONS}"),
        of="rocm6",
    ),
    Mutant(
        "other-hip",
        test_rocm.test_hip_is_of_the_declared_release,
        r"7\.",
        as_root(f"""sed -i 's/"version": "6\\./"version": "7./' {VERSIONS}"""),
        of="rocm6",
    ),
    Mutant(
        "no-hsa",
        test_rocm.test_hip_loads,
        "libhsa-runtime64",
        as_root("rm /usr/lib/*/libhsa-runtime64.so.1"),
        of="rocm6",
        given={"library": "libamdhip64.so.6"},
    ),
    Mutant(
        "no-comgr",
        test_rocm.test_hip_loads,
        "libamd_comgr",
        as_root("rm /usr/lib/*/libamd_comgr.so.3"),
        of="rocm6",
        given={"library": "libamd_comgr.so.3"},
    ),
    Mutant(
        "no-gpu-is-no-error",
        test_rocm.test_hip_smoke_without_a_gpu_says_so,
        "assert 0 == 3",
        f"COPY --chmod=755 <<'script' {test_rocm.SMOKE}\n#!/bin/sh\necho no AMD GPU >&2\nscript",
        of="rocm6",
    ),
    Mutant(
        "no-icd",
        test_rocm.test_opencl_driver_is_amds,
        r"\[\]",
        as_root("rm /etc/OpenCL/vendors/*.icd"),
        of="rocm6",
    ),
    Mutant(
        "icd-of-nothing",
        test_rocm.test_opencl_driver_is_amds,
        "libamdocl64",
        as_root("rm /usr/lib/*/libamdocl64.so*"),
        of="rocm6",
    ),
    Mutant(
        "driver-newer-than-libva",
        test_rocm.test_vaapi_driver_is_amds,
        "for libva 1",
        as_root("cd /usr/lib/x86_64-linux-gnu && mv libva.so.2.*.* libva.so.2.0100.0 && ldconfig"),
        of="rocm6",
    ),
    Mutant(
        "sum-unlike-cpu",
        test_rocm.test_hip_smoke_agrees_with_the_cpu,
        "differences 1",
        f"COPY --chmod=755 <<'script' {test_rocm.SMOKE}\n"
        "#!/bin/sh\necho sum of squared differences 1, expected 2\nscript",
        of="rocm6",
    ),
    Mutant(
        "claims-hip",
        test_contract.test_backends_are_in_the_library,
        "hip",
        'LABEL vmaf.backends="cpu hip"',
        of="rocm6",
    ),
)

SERVER = (
    Mutant(
        "another-libvmaf",
        test_server.test_libvmaf_is_the_one_it_was_linked_against,
        "sha256:",
        as_root("printf x >>/usr/local/lib/libvmaf.so"),
        of="go-server",
    ),
    Mutant(
        "server-of-another-version",
        test_server.test_server_tells_its_versions,
        r"9\.9\.9",
        "LABEL org.opencontainers.image.version=9.9.9",
        of="go-server",
    ),
    Mutant(
        "a-model-removed",
        test_server.test_every_model_is_served,
        r"vmaf_v0\.6\.1neg\.json",
        as_root("rm /usr/local/share/vmaf/model/vmaf_v0.6.1neg.json"),
        of="go-server",
    ),
    Mutant(
        "server-writes-to-its-root",
        test_server.test_serves_locked_down,
        "Read-only file system",
        wrap("vmaf-server", 'touch /data/log && exec vmaf-server.real "$@"'),
        of="go-server",
        given={"user": "vmaf"},
    ),
    Mutant(
        "server-for-vmaf-alone",
        test_server.test_serves_locked_down,
        "(?i)permission denied",
        as_root("chown -R vmaf /usr/local/bin && chmod 700 /usr/local/bin/vmaf-server"),
        of="go-server",
        given={"user": "65534:65534"},
    ),
    Mutant(
        "listens-on-no-such-port",
        test_server.test_listens_on_the_declared_ports,
        "7070",
        "EXPOSE 7070",
        of="go-server",
    ),
    Mutant(
        "grpc-elsewhere",
        test_server.test_listens_on_the_declared_ports,
        "not HTTP/2's settings",
        "ENV VMAF_GRPC_ADDRESS=:9091",
        of="go-server",
    ),
    Mutant(
        "no-healthcheck",
        test_server.test_healthcheck_tells_health,
        "NONE",
        "HEALTHCHECK NONE",
        of="go-server",
    ),
    Mutant(
        "deaf",
        test_server.test_ends_when_told_to,
        "ended with 137",
        wrap("vmaf-server", 'vmaf-server.real "$@"; exit'),
        of="go-server",
    ),
)

DEV = (
    Mutant(
        "dev-uid-1001",
        test_dev.test_workbench_is_the_hosts_first_users,
        "1001",
        as_root("usermod --uid 1001 vmaf"),
        of="dev",
    ),
    Mutant(
        "dev-cache-of-root",
        test_dev.test_workbench_is_the_hosts_first_users,
        "/ccache 0:0",
        as_root("chown root:root /ccache"),
        of="dev",
    ),
    Mutant(
        "dev-ccache-in-a-layer",
        test_layers.test_no_cache_in_any_layer,
        r"layer \d+ \(RUN .*\) carries /ccache/\S+: ccache",
        "RUN cd /tmp && echo 'int x;' >x.c && gcc -c x.c && rm x.c x.o",
        of="dev",
    ),
    Mutant(
        "dev-works-as-root",
        test_dev.test_files_made_in_a_mounted_folder_are_the_hosts,
        r"\(0, 0\)",
        "USER root",
        of="dev",
    ),
    Mutant(
        "dev-no-health",
        test_dev.test_health_is_that_vmaf_starts,
        "NONE",
        "HEALTHCHECK NONE",
        of="dev",
    ),
    Mutant(
        "dev-chatty",
        test_dev.test_entry_point_runs_its_arguments,
        "welcome",
        wrap("workbench", 'echo welcome; exec workbench.real "$@"'),
        of="dev",
    ),
    Mutant(
        "dev-says-nothing",
        test_dev.test_shell_says_what_is_in_the_box,
        "5 < 0",
        wrap("workbench", "exec bash"),
        of="dev",
    ),
    Mutant(
        "dev-for-vmaf-alone",
        test_dev.test_any_user_can_work,
        "Permission denied",
        wrap("workbench", 'exec "$@"'),
        of="dev",
        given={"user": "1234:1234"},
    ),
    *(
        Mutant(
            f"dev-no-{sdk}",
            test_dev.test_sdk_compiles,
            says,
            as_root(f"rm -r {path}"),
            of="dev",
            given={"sdk": sdk},
        )
        for sdk, path, says in (
            ("cuda", "/usr/local/cuda/nvvm/bin/cicc", "cicc"),
            ("hip", "/usr/include/hip", r"hip_runtime\.h"),
            ("sycl", "/opt/intel/oneapi/include", r"sycl/\w+\.hpp"),
            ("onnxruntime", "/usr/lib/*/pkgconfig/libonnxruntime.pc", r"libonnxruntime\.pc"),
        )
    ),
    Mutant(
        "dev-broken-venv",
        test_dev.test_python_runs_a_model,
        "onnxruntime",
        as_root("rm -r /opt/vmaf-venv/lib/python3*/site-packages/onnxruntime"),
        of="dev",
    ),
    Mutant(
        "dev-no-launchers",
        test_dev.test_compilers_go_through_ccache,
        "'0'",
        as_root("rm -r /usr/lib/ccache"),
        of="dev",
    ),
    Mutant(
        "dev-no-launcher",
        test_dev.test_kernels_and_assembly_go_through_the_launcher,
        "miss nasm",
        as_root("rm /usr/lib/ccache/nasm"),
        of="dev",
    ),
    Mutant(
        "dev-no-nasm",
        test_dev.test_libvmaf_is_built_and_passes_its_tests,
        "nasm",
        as_root("rm /usr/bin/nasm"),
        of="dev",
    ),
    Mutant(
        "dev-volume-of-root",
        test_dev.test_compose_keeps_the_cache,
        "direct_cache_hit",
        as_root("chown root:root /ccache"),
        of="dev",
    ),
    Mutant(
        "dev-sees-gpus",
        test_dev.test_compose_says_what_to_use_without_a_gpu,
        "assert 0 == 3",
        wrap("gpu-check", "exit 0"),
        of="dev",
        given={"vendor": "amd"},
    ),
)

SUPPLY_CHAIN = (
    Mutant(
        "digest-is-none",
        test_supply_chain.test_sbom_is_valid,
        "zz",
        as_root(f"sed -i 's/sha256:[0-9a-f]*/sha256:zz/' {VERSIONS}"),
    ),
    Mutant(
        "package-off-the-books",
        test_supply_chain.test_sbom_names_every_package,
        "the SBOM lacks .*'libx264-164'",
        as_root(
            "cp -a /var/lib/dpkg /var/lib/other"
            " && sed -i 's/^Package: libx264-164$/Package: other/' /var/lib/dpkg/status"
        )
        + "\nENV DPKG_ADMINDIR=/var/lib/other",
    ),
    Mutant(
        "digest-of-another-kind",
        test_supply_chain.test_sbom_names_every_part,
        "(?s)the SBOM lacks.*libvmaf .*, md5:",
        as_root(f"sed -i 's/sha256:/md5:/' {VERSIONS}"),
    ),
    Mutant(
        "nonfree-and-quiet",
        test_supply_chain.test_licence_label_names_what_is_nonfree,
        "ffmpeg is nonfree .configured with --enable-nonfree",
        'LABEL org.opencontainers.image.licenses="GPL-3.0-or-later"',
        of="cuda12",
    ),
    Mutant(
        "intels-and-quiet",
        test_supply_chain.test_licence_label_names_what_is_nonfree,
        "(?s)intel-sycl-rt is nonfree .*tbb is nonfree",
        'LABEL org.opencontainers.image.licenses="GPL-3.0-or-later"',
        of="oneapi2026",
    ),
    Mutant(
        "package-of-non-free",
        test_supply_chain.test_licence_label_names_what_is_nonfree,
        "libx264-164 is nonfree .section non-free/libs of Debian",
        as_root(
            "sed -i '/^Package: libx264-164$/,/^$/s|^Section: |&non-free/|' /var/lib/dpkg/status"
        ),
    ),
)

MUTANTS = (
    *(*LAYERS, *CONTRACT, *SUPPLY_CHAIN, *ELF, *SCORE, *FFMPEG),
    *(*CUDA, *ROCM, *VULKAN, *ONEAPI, *DEV, *SERVER),
)

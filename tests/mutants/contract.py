"""Mutants for the properties of test_contract.py."""

from tests.images import test_contract
from tests.mutants import patches
from tests.mutants.mutant import Mutant, as_root, wrap
from tests.support.subject import VERSIONS

MUTANTS = (
    Mutant(
        "runs-as-root",
        test_contract.test_user_is_vmaf,
        "the image's user is 'root'",
        "USER root",
    ),
    Mutant(
        "user-with-uid-1001",
        test_contract.test_user_is_vmaf,
        r"\['1001', '1000', 'vmaf'\]",
        as_root("sed -i 's/^vmaf:x:1000/vmaf:x:1001/' /etc/passwd"),
    ),
    Mutant(
        "works-in-the-root-directory",
        test_contract.test_working_directory_is_data,
        "assert '/' == '/data'",
        "WORKDIR /",
    ),
    Mutant(
        "data-directory-owned-by-root",
        test_contract.test_working_directory_is_data,
        "cannot touch 'written': Permission denied",
        as_root("chown root:root /data"),
    ),
    Mutant(
        "no-entry-point",
        test_contract.test_entry_point_is_the_declared_program,
        r"assert \((None|\[\]), .* == \(\['vmaf'\], None\)",
        "ENTRYPOINT []",
    ),
    Mutant(
        "entry-point-of-another-image",
        test_contract.test_entry_point_is_the_declared_program,
        r"assert \(\['vmaf'\], None\) == \(\['ffmpeg'\], None\)",
        'ENTRYPOINT ["vmaf"]',
        base="all-backends",
    ),
    Mutant(
        "entry-point-without-libvmaf",
        test_contract.test_entry_point_is_the_declared_program,
        "ffmpeg lacks ' libvmaf ': `ffmpeg -filters` ended with 0",
        base="all-backends",
        patches={"/usr/local/lib/libavfilter.so": patches.rename("libvmaf", "libvma_")},
    ),
    Mutant(
        "label-with-another-title",
        test_contract.test_labels_match_the_bake_file,
        "something else",
        'LABEL org.opencontainers.image.title="something else"',
    ),
    Mutant(
        "label-without-a-revision",
        test_contract.test_labels_match_the_bake_file,
        r"empty labels: \['org.opencontainers.image.revision'\]",
        'LABEL org.opencontainers.image.revision=""',
    ),
    Mutant(
        "label-with-another-version",
        test_contract.test_version_is_the_same_everywhere,
        r"assert \('9\.9\.9', '[\w.+]+'\)",
        "LABEL org.opencontainers.image.version=9.9.9",
    ),
    Mutant(
        "program-of-another-version",
        test_contract.test_version_is_the_same_everywhere,
        r"== \('9\.9\.9', '9\.9\.9'\)",
        wrap("vmaf", "echo 9.9.9"),
    ),
    Mutant(
        "cpu-image-claims-sycl",
        test_contract.test_backends_label_matches_the_library,
        r"Extra items in the left set:\n.*'sycl'",
        'LABEL vmaf.backends="cpu sycl"',
    ),
    Mutant(
        "oneapi-image-claims-sycl",
        test_contract.test_backends_label_matches_the_library,
        r"Extra items in the left set:\n.*'sycl'",
        'LABEL vmaf.backends="cpu sycl"',
        base="oneapi2026",
    ),
    Mutant(
        "rocm-image-claims-hip",
        test_contract.test_backends_label_matches_the_library,
        r"Extra items in the left set:\n.*'hip'",
        'LABEL vmaf.backends="cpu hip"',
        base="rocm6",
    ),
    Mutant(
        "vulkan-image-claims-vulkan",
        test_contract.test_backends_label_matches_the_library,
        r"Extra items in the left set:\n.*'vulkan'",
        'LABEL vmaf.backends="cpu vulkan"',
        base="vulkan",
    ),
    Mutant(
        "claims-to-be-nonfree",
        test_contract.test_licence_label_matches_the_contents,
        "labelled 'LicenseRef-nonfree-not-redistributable'",
        'LABEL org.opencontainers.image.licenses="LicenseRef-nonfree-not-redistributable"',
    ),
    Mutant(
        "label-conceals-nvcc",
        test_contract.test_licence_label_matches_the_contents,
        "labelled 'GPL-3.0-or-later AND BSD-2-Clause-Patent'",
        as_root("install -D /bin/true /usr/local/cuda/bin/nvcc"),
        base="cuda12",
    ),
    Mutant(
        "label-conceals-libdevice",
        test_contract.test_licence_label_matches_the_contents,
        "labelled 'GPL-3.0-or-later AND BSD-2-Clause-Patent'",
        base="cuda12",
        patches={"/usr/local/lib/libvmaf.so": patches.with_libdevice},
    ),
    Mutant(
        "nonfree-ffmpeg",
        test_contract.test_ffmpeg_is_gpl_3,
        "This version of ffmpeg has nonfree parts compiled in",
        wrap("ffmpeg", "echo This version of ffmpeg has nonfree parts compiled in."),
        base="cuda12",
    ),
    Mutant(
        "claims-the-MIT-licence",
        test_contract.test_licence_label_matches_the_contents,
        "labelled 'MIT'",
        'LABEL org.opencontainers.image.licenses="MIT"',
    ),
    Mutant(
        "ccache-setting-in-the-environment",
        test_contract.test_environment_contains_no_build_setting,
        r"the environment contains \['CCACHE_DIR'\]",
        "ENV CCACHE_DIR=/ccache",
    ),
    Mutant(
        "ffmpeg-writes-to-the-root-filesystem",
        test_contract.test_ffmpeg_scores_locked_down,
        "cannot touch '/data/log': Read-only file system",
        wrap("ffmpeg", 'touch /data/log && ffmpeg.real "$@"'),
        params={"user": "vmaf"},
    ),
    Mutant(
        "vmaf-only-executable-by-its-owner",
        test_contract.test_vmaf_scores_locked_down,
        "exec /usr/local/bin/vmaf: permission denied",
        as_root("chown -R vmaf /usr/local/bin && chmod 700 /usr/local/bin/vmaf"),
        params={"user": "65534:65534"},
    ),
    Mutant(
        "component-without-a-sha256-digest",
        test_contract.test_manifest_lists_every_component,
        "libvmaf has digest 'md5:",
        as_root(f"sed -i 's/sha256:/md5:/' {VERSIONS}"),
    ),
    Mutant(
        "component-without-a-source",
        test_contract.test_manifest_lists_every_component,
        "libvmaf has source ''",
        as_root(f"""sed -i 's/"source": "[^"]*"/"source": ""/' {VERSIONS}"""),
    ),
    Mutant(
        "label-with-another-ffmpeg",
        test_contract.test_manifest_matches_ffmpeg,
        r"vmaf\.ffmpeg is 6\.1, and FFmpeg is \d",
        "LABEL vmaf.ffmpeg=6.1",
    ),
    Mutant(
        "manifest-with-other-flags",
        test_contract.test_manifest_matches_ffmpeg,
        r"differing flags: {'--enable-libx264'}",
        as_root(f"sed -i 's/--enable-libx264//' {VERSIONS}"),
    ),
)

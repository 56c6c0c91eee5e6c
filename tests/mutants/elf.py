"""Mutants for the properties of test_elf.py."""

from tests.images import test_elf
from tests.mutants import patches
from tests.mutants.mutant import Mutant, as_root

VMAF = "/usr/local/bin/vmaf"

MUTANTS = (
    Mutant(
        "library-of-x264-removed",
        test_elf.test_needed_libraries_are_present,
        r"/usr/local/lib/libavcodec\S+ needs libx264\.so",
        as_root("rm /usr/lib/*/libx264.so.*"),
    ),
    Mutant(
        "outdated-cache-of-libraries",
        test_elf.test_needed_libraries_are_present,
        r"/usr/local/bin/vmaf needs libvmaf\.so",
        as_root("mv /etc/ld.so.conf.d /etc/none && ldconfig && mv /etc/none /etc/ld.so.conf.d"),
    ),
    Mutant(
        "ffmpeg-needs-an-unknown-function",
        test_elf.test_symbols_resolve,
        "undefined symbol: vmaf_inix",
        patches={"/usr/local/lib/libavfilter.so": patches.rename("vmaf_init", "vmaf_inix")},
    ),
    Mutant(
        "built-with-a-newer-libc",
        test_elf.test_symbols_resolve,
        "GLIBC_9.34' not found",
        patches={VMAF: patches.rename("GLIBC_2.34", "GLIBC_9.34")},
    ),
    Mutant(
        "program-at-a-fixed-address",
        test_elf.test_project_binaries_are_hardened,
        f"{VMAF} .*PIE",
        patches={VMAF: patches.fixed_address},
    ),
    Mutant(
        "program-with-an-executable-stack",
        test_elf.test_project_binaries_are_hardened,
        f"{VMAF} .*executable stack",
        patches={VMAF: patches.executable_stack},
    ),
    Mutant(
        "program-with-lazy-binding",
        test_elf.test_project_binaries_are_hardened,
        f"{VMAF} .*RELRO",
        patches={VMAF: patches.lazy_binding},
    ),
    Mutant(
        "program-with-text-relocations",
        test_elf.test_project_binaries_are_hardened,
        f"{VMAF} .*TEXTREL",
        patches={VMAF: patches.text_relocations},
    ),
    Mutant(
        "program-with-a-relative-runpath",
        test_elf.test_project_binaries_search_only_the_prefix,
        f"{VMAF} searches",
        patches={VMAF: patches.relative_runpath},
    ),
    Mutant(
        "libvmaf-link-replaced-by-a-copy",
        test_elf.test_libvmaf_is_one_file_with_links,
        "libvmaf.so is a copy instead of a symbolic link",
        as_root(
            "cd /usr/local/lib && cp --remove-destination $(readlink -f libvmaf.so) libvmaf.so"
        ),
    ),
)

"""Mutants for the properties of test_platforms.py."""

from tests.images import test_platforms
from tests.mutants.mutant import Mutant, as_root, wrap

MUTANTS = (
    Mutant(
        "labelled-for-another-platform",
        test_platforms.test_image_is_for_the_requested_platform,
        r"is for arm64",
        platform="linux/arm64",
    ),
    Mutant(
        "program-for-another-processor",
        test_platforms.test_files_are_of_the_images_architecture,
        "/usr/local/bin/other is for EM_AARCH64",
        as_root(
            # the number of arm64 in the field e_machine
            "cp /usr/local/bin/vmaf /usr/local/bin/other && printf '\\267' | "
            "dd of=/usr/local/bin/other bs=1 seek=18 conv=notrunc"
        ),
    ),
    Mutant(
        "other-scores",
        test_platforms.test_scores_are_those_of_amd64,
        r"on amd64: \[78\.07\d+, 9",
        wrap(
            "vmaf",
            'vmaf.real "$@" && sed -i "s/82\\.1/92.1/" score.json',
        ),
    ),
    Mutant(
        "c-code-that-differs",
        test_platforms.test_vector_code_scores_like_c,
        r"C code: \[9",
        wrap(
            "vmaf",
            'case "$*" in *--cpumask=*) set -- "$@" --distorted=reference.y4m ;; esac\n'
            'exec vmaf.real "$@"',
        ),
    ),
)

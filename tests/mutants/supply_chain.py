"""Mutants for the properties of test_supply_chain.py."""

from tests.images import test_supply_chain
from tests.mutants.mutant import Mutant, as_root
from tests.support.subject import VERSIONS

GPL_COMPONENT = '"ffmpeg": {"version": "1", "configure": "--enable-gpl"}'
"""An entry of versions.json."""

MUTANTS = (
    Mutant(
        "digest-that-is-not-hexadecimal",
        test_supply_chain.test_sbom_is_valid_cyclonedx,
        "'zz'",
        as_root(f"sed -i 's/sha256:[0-9a-f]*/sha256:zz/' {VERSIONS}"),
    ),
    Mutant(
        "package-missing-in-dpkgs-database",
        test_supply_chain.test_sbom_lists_every_package,
        "the SBOM lacks .*'libx264-164'",
        as_root(
            "cp -a /var/lib/dpkg /var/lib/other"
            " && sed -i 's/^Package: libx264-164$/Package: other/' /var/lib/dpkg/status"
        )
        + "\nENV DPKG_ADMINDIR=/var/lib/other",
    ),
    Mutant(
        "digest-of-another-algorithm",
        test_supply_chain.test_sbom_lists_every_component,
        "(?s)the SBOM lacks.*libvmaf .*, md5:",
        as_root(f"sed -i 's/sha256:/md5:/' {VERSIONS}"),
    ),
    Mutant(
        "label-conceals-that-ffmpeg-is-nonfree",
        test_supply_chain.test_licence_label_lists_nonfree_components,
        "ffmpeg is nonfree .configured with --enable-nonfree",
        as_root(f"sed -i 's/--disable-nonfree/--enable-nonfree/' {VERSIONS}"),
    ),
    Mutant(
        "label-conceals-that-oneapi-is-nonfree",
        test_supply_chain.test_licence_label_lists_nonfree_components,
        "(?s)intel-sycl-rt is nonfree .*tbb is nonfree",
        'LABEL org.opencontainers.image.licenses="GPL-3.0-or-later"',
        base="oneapi2026",
    ),
    Mutant(
        "package-from-debians-non-free-section",
        test_supply_chain.test_licence_label_lists_nonfree_components,
        "libx264-164 is nonfree .section non-free/libs of Debian",
        as_root(
            "sed -i '/^Package: libx264-164$/,/^$/s|^Section: |&non-free/|' /var/lib/dpkg/status"
        ),
    ),
    Mutant(
        "package-without-its-copyright-file",
        test_supply_chain.test_licence_text_of_each_component,
        "libx264-164 .* has no licence text in /usr/share/doc/libx264-164/copyright",
        as_root("rm /usr/share/doc/libx264-164/copyright"),
    ),
    Mutant(
        "ffmpeg-without-its-licence",
        test_supply_chain.test_licence_text_of_each_component,
        "ffmpeg .* has no licence text in /usr/local/share/doc/ffmpeg/",
        as_root("rm -r /usr/local/share/doc/ffmpeg"),
    ),
    Mutant(
        "headers-without-their-licence",
        test_supply_chain.test_licence_text_of_each_component,
        "nv-codec-headers .* has no licence text in /usr/local/share/doc/nv-codec-headers/",
        as_root("rm -r /usr/local/share/doc/nv-codec-headers"),
        base="cuda12",
    ),
    Mutant(
        "wheel-without-its-licence",
        test_supply_chain.test_licence_text_of_each_component,
        "umf .* has no licence text in /opt/intel/oneapi/licensing/umf/",
        as_root("rm -r /opt/intel/oneapi/licensing/umf"),
        base="oneapi2026",
    ),
    Mutant(
        "go-module-without-its-licence",
        test_supply_chain.test_licence_text_of_each_component,
        "golang.org/x/net .* has no licence text in .*/vmaf-server/golang.org/x/net/",
        as_root("rm -r /usr/local/share/doc/vmaf-server/golang.org/x/net"),
        base="go-server",
    ),
    Mutant(
        "python-distribution-without-its-licence",
        test_supply_chain.test_licence_text_of_each_component,
        "pluggy .* has no licence text in /opt/vmaf-venv/",
        as_root("rm -r /opt/vmaf-venv/lib/python*/site-packages/pluggy-*/licenses"),
        base="dev",
    ),
    Mutant(
        "package-beyond-the-base",
        test_supply_chain.test_parts_beyond_the_base_are_permissive,
        "libx264-164 of /var/lib/dpkg/status: not stated",
        as_root(
            r"printf '\nPackage: libx264-164\nStatus: install ok installed\nVersion: 1\n"
            r"Architecture: amd64\n' >>/var/lib/dpkg/status"
        ),
        base="cli",
    ),
    Mutant(
        "component-under-the-gpl",
        test_supply_chain.test_parts_beyond_the_base_are_permissive,
        r"ffmpeg of /usr/local/\S+: GPL-2\.0-or-later",
        as_root(f"sed -i '1s/{{/{{{GPL_COMPONENT},/' {VERSIONS}"),
        base="cli",
    ),
    Mutant(
        "label-with-the-gpl",
        test_supply_chain.test_parts_beyond_the_base_are_permissive,
        r"label: GPL-3\.0-or-later",
        'LABEL org.opencontainers.image.licenses="GPL-3.0-or-later AND BSD-2-Clause-Patent"',
        base="cli-cuda12",
    ),
    Mutant(
        "text-of-the-gpl",
        test_supply_chain.test_parts_beyond_the_base_are_permissive,
        "/usr/local/share/doc/x/COPYING is a text of the GPL",
        as_root("install -D /usr/share/common-licenses/GPL-3 /usr/local/share/doc/x/COPYING"),
        base="cli",
    ),
)

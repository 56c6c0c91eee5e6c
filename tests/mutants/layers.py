"""Mutants for the properties of test_layers.py."""

import re
from collections.abc import Sequence

from scripts.contents.unwanted import BUILDS, CACHES, DEVELOPMENT, SECRETS, TOOLS, Leftover
from tests.images import test_layers
from tests.images.test_layers import BUNDLE
from tests.mutants.mutant import Mutant, add_file, as_root
from tests.support.properties import Property


def leftover_mutants(leftovers: Sequence[Leftover], test: Property) -> Sequence[Mutant]:
    """Return a mutant for each kind of leftover, which adds its example in a layer."""
    return [
        Mutant(
            re.sub(r"\W+", "-", leftover.kind.replace("'", "")).strip("-").lower() + "-in-a-layer",
            test,
            r"layer \d+ \(COPY .*\) carries " + re.escape(f"{leftover.example}: {leftover.kind}"),
            add_file(leftover.example),
        )
        for leftover in leftovers
    ]


MUTANTS = (
    *leftover_mutants(CACHES, test_layers.test_layers_contain_no_cache),
    Mutant(
        "apt-download-deleted-in-a-later-layer",
        test_layers.test_layers_contain_no_cache,
        r"layer \d+ \(COPY .* carries /var/cache/apt/archives/deleted\.deb",
        add_file("/var/cache/apt/archives/deleted.deb")
        + "\n"
        + as_root("rm /var/cache/apt/archives/deleted.deb"),
    ),
    Mutant(
        "ccache-of-the-workbench-in-a-layer",
        test_layers.test_layers_contain_no_cache,
        r"layer \d+ \(RUN .*\) carries /ccache/\S+: ccache",
        "RUN cd /tmp && echo 'int x;' >x.c && gcc -c x.c && rm x.c x.o",
        base="dev",
    ),
    Mutant(
        "image-grown-by-12-MiB",
        test_layers.test_size_is_within_the_accepted_growth,
        r"bytes, accepted were [\d,]+: `nox -s inspect -- cpu` shows what grew",
        as_root("head -c 12M /dev/urandom >/usr/local/share/large"),
    ),
    *leftover_mutants(BUILDS, test_layers.test_layers_contain_no_build_tree),
    *leftover_mutants(TOOLS, test_layers.test_layers_contain_no_build_tool),
    *leftover_mutants(DEVELOPMENT, test_layers.test_layers_contain_no_development_file),
    *leftover_mutants(SECRETS, test_layers.test_layers_contain_no_secret),
    Mutant(
        "token-as-build-argument",
        test_layers.test_history_contains_no_secret,
        "TOKEN=abc",
        "ARG TOKEN=abc\nRUN true",
    ),
    Mutant(
        "certificate-of-a-proxy",
        test_layers.test_certificates_come_from_debian,
        f"has a {BUNDLE} with 1 certificates not from Debian",
        as_root(f"printf -- '-----%s CERTIFICATE-----\\n' BEGIN END >>{BUNDLE}"),
    ),
    Mutant(
        "certificate-bundle-in-a-runtime-image",
        test_layers.test_certificates_come_from_debian,
        "bundle: True, but only images with FFmpeg have one",
        "COPY <<end /etc/ssl/certs/ca-certificates.crt\nplanted\nend",
        base="go-server",
    ),
    Mutant(
        "certificate-bundle-removed",
        test_layers.test_certificates_come_from_debian,
        "bundle: False, but only images with FFmpeg have one",
        as_root(f"rm {BUNDLE}"),
    ),
    Mutant(
        "certificate-bundle-emptied",
        test_layers.test_certificates_come_from_debian,
        f"{BUNDLE} is empty",
        as_root(f"truncate --size=0 {BUNDLE}"),
    ),
    Mutant(
        "setuid-program",
        test_layers.test_layers_add_no_setuid_program,
        r"layer \d+ \(RUN .*\) carries /usr/local/bin/vmaf with mode 4755",
        as_root("chmod u+s /usr/local/bin/vmaf"),
    ),
    Mutant(
        "program-owned-by-the-user",
        test_layers.test_project_files_are_writable_only_by_root,
        "carries /usr/local/bin/vmaf of 1000:0",
        as_root("chown vmaf /usr/local/bin/vmaf"),
    ),
    Mutant(
        "program-writable-by-all",
        test_layers.test_project_files_are_writable_only_by_root,
        "carries /usr/local/bin/vmaf of 0:0, mode 777",
        as_root("chmod a+w /usr/local/bin/vmaf"),
    ),
    Mutant(
        "large-file-deleted-in-a-later-layer",
        test_layers.test_layers_hide_few_files,
        r"layer \d+ \(RUN .*\) hides /opt/data, 4194304 bytes of layer \d+ \(RUN ",
        as_root("head -c 4M /dev/zero >/opt/data") + "\n" + as_root("rm /opt/data"),
    ),
)

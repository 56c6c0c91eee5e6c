"""Tables of files that no image may contain, such as caches, build tools and secrets."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scripts.contents.archive import Layer


@dataclass(frozen=True)
class Leftover:
    """A kind of file that a build may leave behind and that no image may contain."""

    kind: str
    """The kind as part of a message, such as `a header`."""
    pattern: str
    """A regular expression that is searched for in every path except directories."""
    example: str
    """A path that matches the pattern; mutants and unit tests use it."""


CACHES = (
    Leftover(
        "apt's downloads", r"^/var/cache/apt/archives/(?!lock$)", "/var/cache/apt/archives/x.deb"
    ),
    Leftover("apt's package cache", r"^/var/cache/apt/\w+\.bin$", "/var/cache/apt/pkgcache.bin"),
    Leftover("apt's lists", r"^/var/lib/apt/lists/(?!lock$)", "/var/lib/apt/lists/trixie_Release"),
    Leftover("a user's cache (pip, uv, Go builds)", r"/\.cache/", "/root/.cache/go-build/00/0-d"),
    Leftover("Go's modules", r"/pkg/mod/", "/go/pkg/mod/cache/download/x.zip"),
    Leftover(
        "Cargo's registry", r"/\.?cargo/(registry|git)/", "/root/.cargo/registry/cache/x.crate"
    ),
    Leftover("sccache", r"/\.?sccache/", "/var/cache/sccache/0/1/2"),
    Leftover(
        "ccache",
        r"/\.?ccache/([0-9a-f]/|tmp/|lock/|ccache\.conf$|CACHEDIR)|/[0-9a-f]/[0-9a-v]{20,}[MR]$",
        "/ccache/0/stats",
    ),
)
"""Caches, which belong in cache mounts."""


TOOLS = (
    Leftover(
        "a compiler or linker",
        r"/bin/(\w+-linux-gnu-)?(cc|gcc|g\+\+|c\+\+|cpp|clang|clang\+\+|as|ld|ld\.\w+(?<!\.so)"
        r"|nasm|yasm|hipcc|icx|icpx|go|rustc)(-[\d.]+)?$|/(cc1|cc1plus|collect2|lto1)$",
        "/usr/bin/x86_64-linux-gnu-gcc-14",
    ),
    Leftover(
        "a CUDA tool", r"/(nvcc|cicc|ptxas|fatbinary|cudafe\+\+)$", "/usr/local/cuda/bin/nvcc"
    ),
    Leftover(
        "a build tool",
        r"/bin/(meson|ninja|cmake|make|cargo|ccache|sccache|git|pkg-config|pkgconf|xxd)$",
        "/usr/bin/ninja",
    ),
)
"""Build tools, which a runtime image must not have."""


DEVELOPMENT = (
    Leftover("a header", r"/include/|\.(h|hpp|cuh)$", "/usr/local/include/libvmaf/libvmaf.h"),
    Leftover(
        "a static library or object",
        # Intel's OpenCL device links its kernels with its own objects at run time.
        r"^(?!/opt/intel/oneapi/lib/cllibrary\w+\.o$).*\.(a|la|o)$",
        "/usr/local/lib/libvmaf.a",
    ),
    Leftover("a pkg-config file", r"\.pc$", "/usr/local/lib/pkgconfig/libvmaf.pc"),
    Leftover(
        "a source file",
        r"^(?!/usr/share/doc/).*\.(c|cc|cpp|cu|asm|S|go|rs)$|^/usr/src/",
        "/usr/local/share/ffmpeg/examples/encode_video.c",
    ),
    Leftover("a source tree", r"/(meson\.build|CMakeLists\.txt)$", "/src/meson.build"),
)
"""Files that only a build needs, which a runtime image must not have."""


BUILDS = (
    Leftover(
        "a build tree",
        r"/(\.git|meson-private|build\.ninja|CMakeCache\.txt|config\.mak)(/|$)",
        "/build/build.ninja",
    ),
    Leftover(
        "a temporary file",
        r"^/(var/)?tmp/|^/run/(?!lock/)",
        "/tmp/configure.log",  # noqa: S108 (a path to search for, not to write)
    ),
)
"""Build trees and temporary files, which no image may have."""


SECRETS = (
    Leftover("a build secret", r"^/run/secrets/", "/run/secrets/ca"),
    Leftover(
        "credentials",
        r"/(\.netrc|\.npmrc|\.pypirc|\.git-credentials|auth\.conf|\.docker/config\.json"
        r"|\.aws/credentials|\.ssh/.+|id_(rsa|ecdsa|ed25519))$|^/etc/ssl/private/",
        "/root/.netrc",
    ),
    Leftover(
        "a setting of the build machine",
        r"/pip/pip\.conf$|/pip\.conf$|/uv\.toml$|^/etc/apt/apt\.conf\.d/.*proxy",
        "/etc/pip.conf",
    ),
    Leftover(
        "a certificate of the build machine",
        r"^/usr/local/share/ca-certificates/",
        "/usr/local/share/ca-certificates/proxy.crt",
    ),
)
"""Secrets and settings of the build machine."""


def leftovers(layers: Iterable[Layer], unwanted: Sequence[Leftover]) -> list[str]:
    """Return a line for each unwanted path, with the layer that contains it.

    A whiteout is reported as well, because the file that it hides is in a layer below.
    """
    return [
        f"{layer} {'hides' if entry.is_whiteout else 'carries'} {entry.path}: {leftover.kind}"
        for layer in layers
        for entry in layer.entries
        if not entry.is_dir
        for leftover in unwanted
        if re.search(leftover.pattern, entry.path)
    ]

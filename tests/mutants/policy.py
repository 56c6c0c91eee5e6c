"""Mutants of the policy: edits of the project's files, each of which only one rule reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.patches import replace_once

MAIN = "docker/Dockerfile.production-gpu"
TOOLS = "docker/Dockerfile.tools"
AB_AV1 = "docker/recipes/compile/ab-av1.sh"


@dataclass(frozen=True)
class Edit:
    """An edit that adds a fault to a file, and the rule that must report the fault."""

    rule: str
    name: str
    """The fault, in a few words joined by hyphens."""
    expected_failure: str
    """The part of the finding's message that names the fault."""
    file: str = MAIN
    patches: Mapping[str, str] = field(default_factory=dict)
    """Replacements of text that occurs exactly once in the file."""
    added: str = ""
    """Lines to append to the file."""

    def apply(self, text: str) -> str:
        """Return the content of the file with the fault."""
        for old, new in self.patches.items():
            text = replace_once(text, old, new)
        return text + self.added


def cache(name: str, target: str, *options: str) -> str:
    """Return a cache mount, locked unless other options are given."""
    return ",".join(
        ["--mount=type=cache", f"id={name}", f"target={target}", *(options or ("sharing=locked",))]
    )


def recipe(path: str) -> str:
    """Return the bind mount of a recipe."""
    name = path.rpartition("/")[2]
    return f"--mount=type=bind,source=docker/recipes/{path},target=/run/recipes/{name}"


def stage(*lines: str, base: str = "toolchain") -> str:
    """Return a stage with these instructions."""
    return "\n".join(["", "# extra is the mutant's", f"FROM {base} AS extra", *lines, ""])


def run(*arguments: str) -> str:
    """Return a RUN instruction with mounts and a command."""
    return f"RUN {' '.join(arguments)}"


ARCH = "ARG TARGETARCH"
MACHINE = "ARG BUILDARCH"
USER = "USER 1000:1000"
ARCHIVES = cache("vmaf-apt-cache-trixie-$BUILDARCH", "/var/cache/apt")
LISTS = cache("vmaf-apt-lib-trixie-$BUILDARCH", "/var/lib/apt")
OWNED = ("sharing=locked", "uid=1000", "gid=1000")
REMOTE = "--mount=type=secret,id=remote-cache,uid=1000"
TEMPORARY = "--mount=type=tmpfs,target=/tmp"
BUILD_TREE = "--mount=type=tmpfs,target=/build"
LOCAL = cache("vmaf-ccache-$TARGETARCH", "/ccache", *OWNED)
OBJECTS = f"{LOCAL} {REMOTE}"
GO_MODULES = cache("vmaf-gomod", "/go/pkg/mod")
GO_OBJECTS = cache("vmaf-gobuild-$TARGETARCH", "/root/.cache/go-build")
APT = recipe("lib/apt.sh")
INSTALL = "/run/recipes/apt.sh install jq"

FILES = (
    Edit(
        "syntax-line",
        "missing",
        "there is no `# syntax=",
        patches={"# syntax=docker/dockerfile:1.7\n": ""},
    ),
    Edit(
        "syntax-line",
        "floating",
        "names docker/dockerfile:1, not",
        patches={"dockerfile:1.7\n": "dockerfile:1\n"},
    ),
    Edit(
        "listed",
        "forgotten",
        "no target of docker-bake.hcl",
        file="docker/Dockerfile.forgotten",
        added="FROM scratch\n",
    ),
    Edit(
        "stage-comment",
        "without-the-name",
        "begins with `runtime`",
        patches={"# runtime is common to the images": "# images share"},
    ),
    Edit(
        "keeps-caches",
        "in-a-script",
        "--no-cache empties",
        file=".ci/run",
        added="docker build --no-cache .\n",
    ),
    Edit(
        "keeps-caches",
        "in-python",
        "--no-cache empties",
        file="scripts/build.py",
        added='\nOPTIONS = ["--no-cache"]\n',
    ),
    Edit(
        "exemption-used",
        "idle",
        "nothing here breaks add-checksum",
        added="# policy: allow add-checksum: x\n",
    ),
)

APT_STEPS = (
    Edit(
        "apt-mounts",
        "without-lists",
        "without a cache mount at /var/lib/apt",
        added=stage(MACHINE, run(ARCHIVES, APT, INSTALL)),
    ),
    Edit(
        "apt-locked",
        "shared",
        "the mount at /var/cache/apt is not",
        added=stage(
            MACHINE,
            run(
                cache("extra-trixie-$BUILDARCH", "/var/cache/apt", "sharing=shared"),
                LISTS,
                APT,
                INSTALL,
            ),
        ),
    ),
    Edit(
        "apt-id",
        "without-release",
        "the id `vmaf-apt-cache-$BUILDARCH`",
        added=stage(
            MACHINE,
            run(cache("vmaf-apt-cache-$BUILDARCH", "/var/cache/apt"), LISTS, APT, INSTALL),
        ),
    ),
    Edit(
        "apt-id",
        "of-the-image-on-the-build-machine",
        "the id `vmaf-apt-cache-trixie-$TARGETARCH` does not contain",
        patches={
            "FROM tools AS toolchain\nARG TARGETARCH\n"
            "RUN --mount=type=cache,id=vmaf-apt-cache-trixie-$BUILDARCH,": (
                "FROM tools AS toolchain\nARG TARGETARCH\n"
                "RUN --mount=type=cache,id=vmaf-apt-cache-trixie-$TARGETARCH,"
            )
        },
    ),
    Edit(
        "apt-id",
        "of-the-build-machine-in-an-image",
        "the id `vmaf-apt-cache-trixie-$BUILDARCH` does not contain",
        added=stage(MACHINE, run(ARCHIVES, LISTS, APT, INSTALL), base="runtime"),
    ),
    Edit(
        "apt-keeps-packages",
        "stock-image",
        "`apt-get update` runs with docker-clean still in place",
        added=stage(
            MACHINE, run(ARCHIVES, LISTS, "apt-get update && apt-get install -y jq"), base="tools"
        ),
    ),
    Edit(
        "apt-no-cleanup",
        "in-a-recipe",
        "`rm -rf /var/lib/apt/lists/*` deletes",
        file="docker/recipes/lib/apt.sh",
        patches={"    apt update >&2\n": "    apt update >&2\n    rm -rf /var/lib/apt/lists/*\n"},
    ),
)

COMPILERS = (
    Edit(
        "compile-mount",
        "in-a-recipe",
        "compiles without a cache mount at /ccache (docker/recipes/compile/libvmaf/libvmaf.sh:",
        added=stage(run(recipe("compile/libvmaf"), "/run/recipes/libvmaf/libvmaf.sh build")),
    ),
    Edit(
        "compile-mount",
        "in-a-heredoc",
        "`make -j4` compiles",
        added=stage("RUN <<end", "cd /src", "CC='ccache gcc' make -j4", "end"),
    ),
    Edit(
        "ccache-memory",
        "temporary-directory",
        "no tmpfs contains CCACHE_TEMPDIR (/tmp/ccache)",
        added=stage(ARCH, USER, run(BUILD_TREE, OBJECTS, "ccache gcc -c /src/a.c")),
    ),
    Edit(
        "ccache-memory",
        "build-tree",
        "no tmpfs contains CCACHE_BASEDIR (/build)",
        added=stage(ARCH, USER, run(TEMPORARY, OBJECTS, "ccache gcc -c /src/a.c")),
    ),
    Edit(
        "remote-cache",
        "without-secret",
        "no secret remote-cache is readable for the user 1000",
        added=stage(ARCH, USER, run(TEMPORARY, BUILD_TREE, LOCAL, "ccache gcc -c /src/a.c")),
    ),
    Edit(
        "remote-cache",
        "in-a-variable",
        "the secret remote-cache is a variable",
        added=stage(
            ARCH,
            USER,
            run(TEMPORARY, BUILD_TREE, LOCAL, f"{REMOTE},env=REMOTE", "ccache gcc -c /src/a.c"),
        ),
    ),
    Edit(
        "remote-cache",
        "without-proxy",
        "its recipe starts /run/cache/remote.py, which is not mounted",
        patches={
            "target=/src/sycl-smoke.cpp \\\n"
            "    --mount=type=bind,source=docker/compiler-cache/src/remote.py,"
            "target=/run/cache/remote.py \\\n": "target=/src/sycl-smoke.cpp \\\n"
        },
    ),
    Edit(
        "compile-launcher",
        "hipcc",
        "`hipcc -O2 -Wall` has no",
        file="docker/recipes/compile/hip-smoke.sh",
        patches={"\nccache hipcc -O2 -Wall": "\nhipcc -O2 -Wall"},
    ),
    Edit(
        "compile-launcher",
        "meson",
        "`meson setup build` has no compiler launcher",
        file="docker/recipes/compile/libvmaf/libvmaf.sh",
        patches={'CC="ccache ${CC:-${CROSS}gcc}"': 'CC="${CC:-${CROSS}gcc}"'},
    ),
    Edit(
        "ffmpeg-launchers",
        "without-cxx",
        "configured without --cxx='ccache ...'",
        file="docker/recipes/compile/ffmpeg/ffmpeg.sh",
        patches={'--cxx="ccache ${CROSS}g++"': '--cxx="${CROSS}g++"'},
    ),
    Edit(
        "cmake-launchers",
        "without-cxx",
        "configured without -DCMAKE_CXX_COMPILER_LAUNCHER",
        added=stage(
            ARCH,
            USER,
            run(
                TEMPORARY,
                BUILD_TREE,
                OBJECTS,
                "cmake -S /s -B /b -DCMAKE_C_COMPILER_LAUNCHER=ccache && cmake --build /b",
            ),
        ),
    ),
    Edit(
        "ccache-shared",
        "another-id",
        "the compiler cache is `vmaf-extra-$TARGETARCH` here",
        added=stage(
            ARCH,
            USER,
            run(
                TEMPORARY,
                BUILD_TREE,
                cache("vmaf-extra-$TARGETARCH", "/ccache", *OWNED),
                REMOTE,
                "ccache gcc -c /src/a.c",
            ),
        ),
    ),
    Edit(
        "env-prefix",
        "compiler",
        "reaches `meson` and not `ninja`",
        added=stage(
            ARCH,
            USER,
            run(TEMPORARY, BUILD_TREE, OBJECTS, "CC='ccache gcc' meson setup b && ninja ccache"),
        ),
    ),
    Edit(
        "env-prefix",
        "apt",
        "DEBIAN_FRONTEND=noninteractive reaches `apt-get` and not `apt-get`",
        file="docker/recipes/lib/apt.sh",
        patches={
            "    apt update >&2\n": "    DEBIAN_FRONTEND=noninteractive apt-get update"
            " && apt-get install jq\n    apt update\n"
        },
    ),
    Edit(
        "no-sccache",
        "installed",
        "meson runs, and docker/Dockerfile.production-gpu:",
        patches={"ccache g++ g++-13": "ccache g++ sccache g++-13"},
    ),
    Edit(
        "no-sccache",
        "in-a-parent",
        "meson runs, and docker/Dockerfile.tools:",
        file=TOOLS,
        added=stage(
            ARCH,
            USER,
            run(TEMPORARY, BUILD_TREE, OBJECTS, "CC='ccache gcc' meson setup b"),
            base="rust-toolchain",
        ),
    ),
    Edit(
        "no-sccache",
        "copied",
        "meson runs, and docker/Dockerfile.tools:",
        file=TOOLS,
        added=stage(
            ARCH,
            "COPY --from=rust-toolchain /usr/bin/ /usr/bin/",
            USER,
            run(TEMPORARY, BUILD_TREE, OBJECTS, "CC='ccache gcc' meson setup b"),
        ),
    ),
)

RUST = (
    Edit(
        "cargo-mounts",
        "without-git",
        "cargo runs without a cache mount at /cargo/git",
        file=TOOLS,
        patches={
            "--mount=type=cache,id=vmaf-cargo-git,target=/cargo/git,"
            "sharing=locked,uid=1000,gid=1000 ": ""
        },
    ),
    Edit(
        "cargo-sccache",
        "without",
        "sccache runs without a cache mount at /sccache",
        file=TOOLS,
        patches={
            "--mount=type=cache,id=vmaf-sccache-$TARGETARCH,target=/sccache,"
            "sharing=locked,uid=1000,gid=1000 ": ""
        },
    ),
    Edit(
        "cargo-locked",
        "in-a-recipe",
        "`cargo build --release` has no --locked",
        file=AB_AV1,
        patches={"cargo build --release --locked --offline": "cargo build --release --offline"},
    ),
    Edit(
        "cargo-c-launcher",
        "in-a-recipe",
        "cargo compiles C with `gcc`, not by ccache",
        file=AB_AV1,
        patches={"export CC='ccache gcc'": "export CC='gcc'"},
    ),
    Edit(
        "cargo-target",
        "in-the-sources",
        "no tmpfs contains the target directory target",
        file=TOOLS,
        patches={" CARGO_TARGET_DIR=/build/target": ""},
    ),
    Edit(
        "compile-launcher",
        "rustc",
        "`cargo build --release` has no compiler launcher",
        file=AB_AV1,
        patches={"    export RUSTC_WRAPPER=sccache\n": "    :\n"},
    ),
)

MODULES = (
    Edit(
        "go-mounts",
        "without-objects",
        "go compiles without a cache mount at /root/.cache/go-build",
        added=stage(run(GO_MODULES, "go install example.org/x@v1.0.0")),
    ),
    Edit(
        "go-modules-first",
        "sources-copied-first",
        "`server` is in the step",
        added=stage(
            ARCH,
            "COPY server /src",
            run(GO_MODULES, GO_OBJECTS, "go mod download"),
            run(GO_MODULES, GO_OBJECTS, "go build ./..."),
        ),
    ),
    Edit(
        "pip-mount",
        "without",
        "`pip install --requirement` runs without",
        added=stage("RUN pip install --requirement /requirements.txt"),
    ),
)

MOUNTS = (
    Edit(
        "mount-id",
        "without",
        "the cache mount at /root/.cache/pip has no id",
        patches={
            "type=cache,id=vmaf-pip-$TARGETARCH,target=/root/.cache/pip": (
                "type=cache,target=/root/.cache/pip"
            )
        },
    ),
    Edit(
        "mount-id",
        "inherited-from-a-replaced-stage",
        "reads TARGETARCH, which no ARG or ENV sets",
        patches={
            "FROM rocm-devel AS toolchain-hip\nARG TARGETARCH\nRUN": (
                "FROM rocm-devel AS toolchain-hip\nRUN"
            )
        },
    ),
    Edit(
        "mount-agrees",
        "sharing",
        "`vmaf-gomod` has sharing=locked here and sharing=shared in",
        added=stage(run(cache("vmaf-gomod", "/go/pkg/mod", "sharing=shared"), "ls /go/pkg/mod")),
    ),
    Edit(
        "mount-owner",
        "of-root",
        "it runs as 1000:1000, /extra has uid=0",
        added=stage(USER, run(cache("vmaf-extra", "/extra"), "ls /extra")),
    ),
    Edit(
        "context-narrow",
        "directory-of-other-recipes",
        "it mounts `docker/recipes/sdk/` and does not",
        patches={
            "source=docker/recipes/sdk/cuda-devel.sh,target=/run/recipes/cuda-devel.sh ": (
                "source=docker/recipes/sdk,target=/run/recipes "
            )
        },
    ),
    Edit(
        "context-narrow",
        "missing",
        "docker/recipes/sdk/gone.sh, which is not in the checkout",
        patches={"source=docker/recipes/sdk/cuda-devel.sh,": "source=docker/recipes/sdk/gone.sh,"},
    ),
)

IMAGES = (
    Edit(
        "image-pinned",
        "moving-tag",
        "debian:stable is neither",
        added=stage(base="debian:stable"),
    ),
    Edit("image-pinned", "misspelt-stage", "tolchain is neither", added=stage(base="tolchain")),
    Edit(
        "image-pinned",
        "in-a-bake-file",
        "nvidia/cuda:latest is not an exact version",
        file="docker-bake.vendor.hcl",
        patches={"nvidia/cuda:12.4.1-devel-ubuntu22.04": "nvidia/cuda:latest"},
    ),
    Edit(
        "image-alias-once",
        "twice",
        "alpine:3.20.3 is named here and on line",
        added=stage(
            "", "# more is the mutant's", "FROM alpine:3.20.3 AS more", base="alpine:3.20.3"
        ),
    ),
    Edit(
        "copy-from-alias",
        "image",
        "it takes files from alpine:3.20.3",
        added=stage("COPY --from=alpine:3.20.3 /bin/sh /bin/"),
    ),
    Edit(
        "add-checksum",
        "without",
        "https://example.org/a.tar.gz is added without",
        added=stage("ADD https://example.org/a.tar.gz /src/"),
    ),
)

ARGUMENTS = (
    Edit(
        "arg-used",
        "unread",
        "EXTRA is read by nothing",
        added=stage("ARG EXTRA=1", "RUN true"),
    ),
    Edit(
        "arg-late",
        "before-a-run",
        "EXTRA is first read on line",
        added=stage("ARG EXTRA=1", "RUN true", "RUN echo $EXTRA"),
    ),
    Edit(
        "arg-no-time",
        "read-by-a-run",
        "`ARG SOURCE_DATE_EPOCH` is in",
        added=stage("ARG SOURCE_DATE_EPOCH", "RUN echo $SOURCE_DATE_EPOCH"),
    ),
    # The last stage of the file is an image, so the appended USER is its last USER.
    Edit("user-numeric", "root", "`USER root` is not", added="USER root\n"),
    Edit("user-numeric", "named", "`USER vmaf` is not", added="USER vmaf\n"),
    Edit(
        "user-numeric",
        "none",
        "the image all-backends has no USER",
        file="Dockerfile",
        patches={'ENTRYPOINT ["ffmpeg"]\nUSER 1000:1000\n': 'ENTRYPOINT ["ffmpeg"]\n'},
    ),
)

EDITS = (*FILES, *APT_STEPS, *COMPILERS, *RUST, *MODULES, *MOUNTS, *IMAGES, *ARGUMENTS)

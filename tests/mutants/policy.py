"""A fault for each rule of the policy: an edit of a file that passes, as small as it can be."""

from dataclasses import dataclass

GPU = "docker/Dockerfile.production-gpu"


@dataclass(frozen=True)
class Edit:
    """One faulty file and the rule that must find it, no other doing so."""

    rule: str
    says: str
    """Words of the finding: they name the fault."""
    new: str
    old: str = ""
    """What `new` takes the place of, once; where empty, `new` is added at the file's end."""
    file: str = GPU
    name: str = ""
    """What tells it from another mutant of the rule."""

    def applied(self, text: str) -> str:
        """Return the faulty file."""
        if not self.old:
            return text + self.new
        assert self.old in text, f"{self.file} no longer has what this mutant changes: {self.old}"
        return text.replace(self.old, self.new, 1)


def cache(name: str, target: str, *options: str) -> str:
    """Return a cache mount, locked unless other options are given."""
    words = ["type=cache", f"id={name}", f"target={target}", *(options or ("sharing=locked",))]
    return f"--mount={','.join(words)}"


def recipe(path: str) -> str:
    """Return the mount of a recipe."""
    name = path.rpartition("/")[2]
    return f"--mount=type=bind,source=docker/recipes/{path},target=/run/recipes/{name}"


def stage(*lines: str, base: str = "toolchain") -> str:
    """Return one more stage."""
    return "\n".join(["", "# extra is the mutant's", f"FROM {base} AS extra", *lines, ""])


def run(*words: str) -> str:
    """Return a RUN of mounts and a command, a line each."""
    return f"RUN {' '.join(words)}"


ARCH = "ARG TARGETARCH"
USER = "USER 1000:1000"
ARCHIVES = cache("vmaf-apt-cache-trixie-$TARGETARCH", "/var/cache/apt")
LISTS = cache("vmaf-apt-lib-trixie-$TARGETARCH", "/var/lib/apt")
OWNED = ("sharing=locked", "uid=1000", "gid=1000")
MEMORY = "--mount=type=tmpfs,target=/tmp --mount=type=tmpfs,target=/build"
CCACHE = f"{MEMORY} {cache('vmaf-ccache-$TARGETARCH', '/ccache', *OWNED)}"
GOMOD = cache("vmaf-gomod", "/go/pkg/mod")
GOBUILD = cache("vmaf-gobuild-$TARGETARCH", "/root/.cache/go-build")
INSTALL = "/run/recipes/apt.sh install jq"

FILES = (
    Edit("syntax-line", "no `# syntax", "", "# syntax=docker/dockerfile:1.7\n"),
    Edit("syntax-line", "dockerfile:1,", "dockerfile:1\n", "dockerfile:1.7\n", name="floating"),
    Edit("listed", "no target", "FROM scratch\n", file="docker/Dockerfile.forgotten"),
    Edit("stage-comment", "`runtime`", "# images share", "# runtime is common to the images"),
    Edit("keeps-caches", "--no-cache", "docker build --no-cache .\n", file=".ci/run"),
    Edit(
        "keeps-caches", "--no-cache", '\nW = ["--no-cache"]\n', file="scripts/b.py", name="python"
    ),
    Edit("exemption-used", "breaks add-checksum", "# policy: allow add-checksum: x\n", name="idle"),
)

APT = (
    Edit(
        "apt-mounts",
        "/var/lib/apt",
        stage(ARCH, run(ARCHIVES, recipe("lib/apt.sh"), INSTALL)),
    ),
    Edit(
        "apt-locked",
        "/var/cache/apt is not sharing=locked",
        stage(
            ARCH,
            run(
                cache("extra-trixie-$TARGETARCH", "/var/cache/apt", "sharing=shared"),
                LISTS,
                recipe("lib/apt.sh"),
                INSTALL,
            ),
        ),
    ),
    Edit(
        "apt-id",
        "`vmaf-apt-cache-$TARGETARCH`",
        stage(
            ARCH,
            run(
                cache("vmaf-apt-cache-$TARGETARCH", "/var/cache/apt"),
                LISTS,
                recipe("lib/apt.sh"),
                INSTALL,
            ),
        ),
    ),
    Edit(
        "apt-keeps-packages",
        "docker-clean still in place",
        stage(ARCH, run(ARCHIVES, LISTS, "apt-get update && apt-get install -y jq"), base="base"),
    ),
    Edit(
        "apt-no-cleanup",
        "rm -rf /var/lib/apt/lists",
        "    apt update >&2\n    rm -rf /var/lib/apt/lists/*\n",
        "    apt update >&2\n",
        file="docker/recipes/lib/apt.sh",
    ),
)

COMPILERS = (
    Edit(
        "compile-mount",
        "libvmaf.sh",
        stage(run(recipe("compile/libvmaf"), "/run/recipes/libvmaf/libvmaf.sh build")),
        name="in-a-recipe",
    ),
    Edit(
        "compile-mount",
        "cargo build",
        stage("RUN <<end", "cd /src", "RUSTC_WRAPPER=ccache cargo build --release", "end"),
        name="in-a-heredoc",
    ),
    Edit(
        "ccache-memory",
        "CCACHE_TEMPDIR (/tmp/ccache)",
        " \\\n    --mount=type=tmpfs,target=/build \\",
        " \\\n    --mount=type=tmpfs,target=/tmp --mount=type=tmpfs,target=/build \\",
    ),
    Edit(
        "ccache-memory",
        "CCACHE_BASEDIR (/build)",
        " \\\n    --mount=type=bind,from=libvmaf-source",
        " --mount=type=tmpfs,target=/build \\\n    --mount=type=bind,from=libvmaf-source",
        name="build-tree",
    ),
    Edit(
        "compile-launcher",
        "hipcc",
        "\nhipcc -O2 -Wall",
        "\nccache hipcc -O2 -Wall",
        file="docker/recipes/compile/hip-smoke.sh",
    ),
    Edit(
        "compile-launcher",
        "meson setup",
        'export CC="${CC:-gcc}"',
        'export CC="ccache ${CC:-gcc}"',
        file="docker/recipes/compile/libvmaf/libvmaf.sh",
        name="meson",
    ),
    Edit(
        "ffmpeg-launchers",
        "--cxx",
        "--cxx='g++'",
        "--cxx='ccache g++'",
        file="docker/recipes/compile/ffmpeg/ffmpeg.sh",
    ),
    Edit(
        "cmake-launchers",
        "CMAKE_CXX_COMPILER_LAUNCHER",
        stage(
            ARCH,
            USER,
            run(CCACHE, "cmake -S /s -B /b -DCMAKE_C_COMPILER_LAUNCHER=ccache && cmake --build /b"),
        ),
    ),
    Edit(
        "ccache-shared",
        "`vmaf-extra-$TARGETARCH`",
        stage(
            ARCH,
            USER,
            run(
                MEMORY, cache("vmaf-extra-$TARGETARCH", "/ccache", *OWNED), "ccache gcc -c /src/a.c"
            ),
        ),
    ),
    Edit(
        "env-prefix",
        "reaches `meson` and not `ninja`",
        stage(ARCH, USER, run(CCACHE, "CC='ccache gcc' meson setup b && ninja -C b ccache")),
    ),
    Edit(
        "env-prefix",
        "not `apt-get`",
        "    DEBIAN_FRONTEND=noninteractive apt-get update && apt-get install jq\n    apt update\n",
        "    apt update >&2\n",
        file="docker/recipes/lib/apt.sh",
        name="apt",
    ),
    Edit("no-sccache", "sccache on PATH", "ccache g++ sccache", "ccache g++"),
)

MODULES = (
    Edit(
        "go-mounts",
        "/root/.cache/go-build",
        stage(run(GOMOD, "go install example.org/x@v1.0.0")),
    ),
    Edit(
        "go-modules-first",
        "`server` is in",
        stage(
            ARCH,
            "COPY server /src",
            run(GOMOD, GOBUILD, "go mod download"),
            run(GOMOD, GOBUILD, "go build ./..."),
        ),
    ),
    Edit("pip-mount", "pip install", stage("RUN pip install --requirement /requirements.txt")),
)

MOUNTS = (
    Edit(
        "mount-id",
        "/root/.cache/pip has no id",
        "type=cache,target=/root/.cache/pip",
        "type=cache,id=vmaf-pip-$TARGETARCH,target=/root/.cache/pip",
    ),
    Edit(
        "mount-id",
        "reads TARGETARCH, which no ARG declares",
        "FROM rocm-devel AS toolchain-hip\nRUN",
        "FROM rocm-devel AS toolchain-hip\nARG TARGETARCH\nRUN",
        name="inherited-from-a-replaced-stage",
    ),
    Edit(
        "mount-agrees",
        "sharing=shared",
        stage(run(cache("vmaf-gomod", "/go/pkg/mod", "sharing=shared"), "ls /go/pkg/mod")),
    ),
    Edit(
        "mount-owner",
        "uid=0",
        stage(USER, run(cache("vmaf-extra", "/extra"), "ls /extra")),
    ),
    Edit(
        "context-narrow",
        "docker/recipes/fetch",
        "source=docker/recipes/fetch,target=/run/recipes ",
        "source=docker/recipes/fetch/ffmpeg.sh,target=/run/recipes/ffmpeg.sh ",
    ),
    Edit(
        "context-narrow",
        "not in the checkout",
        "source=docker/recipes/fetch/gone.sh,",
        "source=docker/recipes/fetch/ffmpeg.sh,",
        name="missing",
    ),
)

IMAGES = (
    Edit("image-pinned", "debian:stable", stage(base="debian:stable")),
    Edit("image-pinned", "tolchain is no stage", stage(base="tolchain"), name="misspelt"),
    Edit(
        "image-pinned",
        "nvidia/cuda:latest",
        "nvidia/cuda:latest",
        "nvidia/cuda:12.4.1-devel-ubuntu22.04",
        file="docker-bake.vendor.hcl",
        name="vendor",
    ),
    Edit(
        "image-alias-once",
        "named here and on line",
        stage("", "# more is the mutant's", "FROM alpine:3.20.3 AS more", base="alpine:3.20.3"),
    ),
    Edit("copy-from-alias", "alpine:3.20.3", stage("COPY --from=alpine:3.20.3 /bin/sh /bin/")),
    Edit("add-checksum", "without --checksum", stage("ADD https://example.org/a.tar.gz /src/")),
)

ARGUMENTS = (
    Edit("arg-used", "EXTRA", stage("ARG EXTRA=1", "RUN true")),
    Edit(
        "arg-late",
        "EXTRA is first read on line",
        stage("ARG EXTRA=1", "RUN true", "RUN echo $EXTRA"),
    ),
    Edit("no-secret", "API_TOKEN", stage("ARG API_TOKEN", "RUN echo $API_TOKEN")),
    # the last instruction of the file is the USER of its last image
    Edit("user-nonroot", "runs as root", "USER root\n"),
    Edit("user-numeric", "`USER vmaf`", "USER vmaf\n"),
)

EDITS = (*FILES, *APT, *COMPILERS, *MODULES, *MOUNTS, *IMAGES, *ARGUMENTS)

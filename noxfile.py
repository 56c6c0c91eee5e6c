"""The user interface of vmaf-images: `nox -l` lists what it can do.

Options go after `--` and are the same for every session: `nox -s build-cpu -- --help`.
"""

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "unit"]

PYPROJECT = nox.project.load_toml("pyproject.toml")


def _run(session: nox.Session, group: str, module: str, *words: str) -> None:
    """Install a dependency group and run a module of scripts/ with the user's options."""
    session.install(*nox.project.dependency_groups(PYPROJECT, group))
    session.run(
        "python",
        "-m",
        f"scripts.{module}",
        *words,
        *session.posargs,
        # Ctrl-C is passed to BuildKit, which takes a moment to end its steps cleanly.
        interrupt_timeout=60,
        terminate_timeout=60,
    )


@nox.session
def engine(session: nox.Session) -> None:
    """Find a Docker Engine with BuildKit, or install and start one (--status, --stop)."""
    _run(session, "build", "engine")


@nox.session
def build(session: nox.Session) -> None:
    """Build every image of docker-bake.hcl, or those named after --."""
    _run(session, "build", "build")


@nox.session(name="build-cpu")
def build_cpu(session: nox.Session) -> None:
    """Build vmaf:cpu, libvmaf and FFmpeg for any machine (--libvmaf, --ffmpeg)."""
    _run(session, "build", "build", "cpu")


@nox.session(name="build-cuda12")
def build_cuda12(session: nox.Session) -> None:
    """Build vmaf:cuda12, with CUDA 12, NVENC and NVDEC (--libvmaf, --ffmpeg)."""
    _run(session, "build", "build", "cuda12")


@nox.session(name="build-rocm6")
def build_rocm6(session: nox.Session) -> None:
    """Build vmaf:rocm6, with HIP 6, VA-API and OpenCL; libvmaf on the CPU (--libvmaf, --ffmpeg)."""
    _run(session, "build", "build", "rocm6")


@nox.session(name="build-vulkan")
def build_vulkan(session: nox.Session) -> None:
    """Build vmaf:vulkan, with Vulkan filters and libplacebo (--libvmaf, --ffmpeg)."""
    _run(session, "build", "build", "vulkan")


@nox.session(name="build-oneapi2026")
def build_oneapi2026(session: nox.Session) -> None:
    """Build vmaf:oneapi2026, with SYCL, QSV, VA-API and OpenCL (--libvmaf, --ffmpeg)."""
    _run(session, "build", "build", "oneapi2026")


@nox.session(name="build-all-backends")
def build_all_backends(session: nox.Session) -> None:
    """Build vmaf:all-backends, with nvcc and one FFmpeg for all GPUs (--libvmaf, --ffmpeg)."""
    _run(session, "build", "build", "all-backends")


@nox.session(name="build-dev")
def build_dev(session: nox.Session) -> None:
    """Build vmaf:dev, the workbench with every SDK (--libvmaf, --ffmpeg; VMAF_UID, VMAF_GID)."""
    _run(session, "build", "build", "dev")


@nox.session(name="build-go-server")
def build_go_server(session: nox.Session) -> None:
    """Build vmaf:go-server, which scores video by HTTP and gRPC (--libvmaf)."""
    _run(session, "build", "build", "go-server")


@nox.session(name="verify-images")
def verify_images(session: nox.Session) -> None:
    """Prove what the built images are: no cache in a layer, users, ELF policy, real scores."""
    _run(session, "test", "verify")


@nox.session(name="upstream-tests", default=False)
def upstream_tests(session: nox.Session) -> None:
    """Run libvmaf's own tests and FFmpeg's FATE on builds made from the caches."""
    _run(session, "build", "build", "upstream-tests")


@nox.session(default=False)
def inspect(session: nox.Session) -> None:
    """Show what each layer of an image adds, wastes and gives away (IMAGE, --format json)."""
    _run(session, "build", "inspector")


@nox.session(default=False)
def sbom(session: nox.Session) -> None:
    """Say what an image is made of, as CycloneDX, and its licences (IMAGE, --format json)."""
    _run(session, "sbom", "sbom")


@nox.session(default=False)
def compare(session: nox.Session) -> None:
    """List how two builds of an image differ, file by file (A B; A --format json lists one)."""
    _run(session, "compare", "compare")


@nox.session(name="server-tests", default=False)
def server_tests(session: nox.Session) -> None:
    """Vet, test and fuzz the server's Go code, with the race detector and the sanitizer."""
    _run(session, "build", "build", "server-tests")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test: helpers, images, server, and the mutants each property must catch."""
    _run(session, "server", "verify", "--suite=all")


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Plant each fault and show which property or rule catches it."""
    _run(session, "test", "verify", "--suite=mutants")


@nox.session
def unit(session: nox.Session) -> None:
    """Test the helpers without Docker, in seconds."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "test"))
    session.run("pytest", "tests/unit", "docker/compiler-cache/tests", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check Python (ruff, mypy --strict), shell (shellcheck), Dockerfiles (hadolint, policy)."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("python", "-m", "scripts.lint")
    session.run("python", "-m", "scripts.policy")


@nox.session
def policy(session: nox.Session) -> None:
    """Hold every Dockerfile and recipe to the cache contract (--format json|sarif)."""
    _run(session, "policy", "policy")


@nox.session(default=False)
def cache(session: nox.Session) -> None:
    """Show what the cache mounts hold, serve and save (stats; prune --older-than 7d)."""
    _run(session, "policy", "caches")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure rebuilds against what others use, and the server (rebuild, server, --quick)."""
    _run(session, "test", "bench")


@nox.session(default=False)
def picture(session: nox.Session) -> None:
    """Draw docs/images.svg, the matrix of images, from docker-bake.hcl."""
    _run(session, "picture", "picture")


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """Make build/report.html: where the time of builds went, hit rates, sizes, bench results."""
    _run(session, "report", "page")

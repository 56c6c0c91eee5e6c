"""The user interface of vmaf-images: `nox -l` lists the sessions.

Options follow `--`; `nox -s SESSION -- --help` lists the options of a session. Each session
installs a dependency group of pyproject.toml and runs one verb of scripts/cli.
"""

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.stop_on_first_error = True  # do not build if the engine does not start
nox.options.sessions = ["lint", "unit"]

IMAGES = {
    "cpu": "libvmaf and FFmpeg for any machine (--libvmaf, --ffmpeg)",
    "cuda12": "with CUDA 12, NVENC and NVDEC (--libvmaf, --ffmpeg)",
    "cuda13": "with CUDA 13, for Turing to Blackwell (--libvmaf, --ffmpeg)",
    "rocm6": "with HIP 6, VA-API and OpenCL; libvmaf on the CPU (--libvmaf, --ffmpeg)",
    "rocm7": "with HIP 7, VA-API and OpenCL; libvmaf on the CPU (--libvmaf, --ffmpeg)",
    "vulkan": "with Vulkan filters and libplacebo (--libvmaf, --ffmpeg)",
    "oneapi2026": "with SYCL, QSV, VA-API and OpenCL (--libvmaf, --ffmpeg)",
    "all-backends": "with nvcc and one FFmpeg for all GPUs (--libvmaf, --ffmpeg)",
    "dev": "the workbench with every SDK (--libvmaf, --ffmpeg; VMAF_UID, VMAF_GID)",
    "go-server": "which scores video over HTTP and gRPC (--libvmaf)",
    "cli": "libvmaf and the program vmaf, without FFmpeg (--libvmaf)",
    "cli-cuda12": "libvmaf with CUDA 12 and the program vmaf (--libvmaf)",
    "ffmpeg": "FFmpeg with VA-API, more codecs and protocols (--libvmaf, --ffmpeg)",
    "node-cpu": "the server with FFmpeg, for ordinary video (--libvmaf, --ffmpeg)",
    "tools": "with score, ab-av1, ffmpeg-quality-metrics, easyVmaf (--libvmaf, --ffmpeg)",
}
"""The contents of each image; a unit test compares the names with docker-bake.hcl."""
PYPROJECT = nox.project.load_toml("pyproject.toml")


def _run(session: nox.Session, group: str, verb: str, *arguments: str) -> None:
    """Install a dependency group and run a verb with the options after `--`."""
    session.install(*nox.project.dependency_groups(PYPROJECT, group))
    session.run(
        *("python", "-m", "scripts.cli", verb, *arguments, *session.posargs),
        # All sessions of a command line receive the same options and accept each other's.
        env={"VMAF_NOX_SESSIONS": " ".join(_sessions(session))},
        # On Ctrl-C, scripts.cli stops the build, and BuildKit takes some time to end its steps.
        interrupt_timeout=60,
        terminate_timeout=60,
    )


def _sessions(session: nox.Session) -> list[str]:
    """Return all sessions of the command line; nox has no public API for them."""
    runner = getattr(session, "_runner", None)
    names = getattr(getattr(runner, "global_config", None), "sessions", None)
    return list(names or [session.name])


def _add_build(image: str, contents: str) -> None:
    """Add the session that builds one image."""

    def build_image(session: nox.Session) -> None:
        _run(session, "build", "build", f"--only={image}")

    build_image.__doc__ = f"Build vmaf:{image}, {contents}."
    nox.session(name=f"build-{image}")(build_image)


@nox.session
def engine(session: nox.Session) -> None:
    """Find a Docker Engine with BuildKit, or install and start one (--status, --stop)."""
    _run(session, "build", "engine")


@nox.session
def build(session: nox.Session) -> None:
    """Build every image of docker-bake.hcl, or the images named after --."""
    _run(session, "build", "build")


for image, contents in IMAGES.items():
    _add_build(image, contents)


@nox.session(name="verify-images")
def verify_images(session: nox.Session) -> None:
    """Test the built images: no cache in a layer, users, ELF hardening, scores of real video."""
    _run(session, "test", "verify")


@nox.session(name="upstream-tests", default=False)
def upstream_tests(session: nox.Session) -> None:
    """Run libvmaf's own tests and FFmpeg's FATE on builds made from the caches."""
    _run(session, "build", "check", "upstream-tests")


@nox.session(default=False)
def inspect(session: nox.Session) -> None:
    """Show what each layer of an image adds, and unwanted files (IMAGE, --format json)."""
    _run(session, "build", "inspect")


@nox.session(default=False)
def sbom(session: nox.Session) -> None:
    """Write the SBOM of an image as CycloneDX, and list its licences (IMAGE, --format json)."""
    _run(session, "sbom", "sbom")


@nox.session(default=False)
def sources(session: nox.Session) -> None:
    """Write the corresponding source of an image (IMAGE, --output DIR, --libvmaf, --ffmpeg)."""
    _run(session, "sbom", "sources")


@nox.session(default=False)
def compare(session: nox.Session) -> None:
    """List the differences between two images, file by file (A B; A --format json lists one)."""
    _run(session, "compare", "compare")


@nox.session(name="gpu-check", default=False)
def gpu_check(session: nox.Session) -> None:
    """Compare libvmaf and FFmpeg on an NVIDIA GPU with the CPU (IMAGE, --pack FILE)."""
    _run(session, "build", "gpu_check")


@nox.session(name="server-tests", default=False)
def server_tests(session: nox.Session) -> None:
    """Vet, test and fuzz the server, with race detector and sanitizer; test cache-stream."""
    _run(session, "build", "check", "server-tests")


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test: helpers, images, server, and the mutants that each property must detect."""
    _run(session, "server", "verify", "--suite=all")


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Build images with a known fault, and show which property or policy rule detects it."""
    _run(session, "test", "verify", "--suite=mutants")


@nox.session
def unit(session: nox.Session) -> None:
    """Test the helpers without Docker, in seconds."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "test"))
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check Python, shell, Dockerfiles, documents and spelling, and run the policy."""
    _run(session, "lint", "lint")
    _run(session, "lint", "policy")


@nox.session
def policy(session: nox.Session) -> None:
    """Check every Dockerfile and recipe against the cache contract (--format json|sarif)."""
    _run(session, "policy", "policy")


@nox.session(default=False)
def cache(session: nox.Session) -> None:
    """Show, look into, prune, save and load the cache mounts (stats, ls, prune, save, load)."""
    _run(session, "cache", "cache")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure rebuilds, fresh machines and the server (rebuild, fresh, server, --quick)."""
    _run(session, "bench", "bench")


@nox.session(default=False)
def faults(session: nox.Session) -> None:
    """Plant faults on real builds, and check what follows (NAME, --image cpu, --list)."""
    _run(session, "test", "faults")


@nox.session(default=False)
def publish(session: nox.Session) -> None:
    """Verify images, push them to a registry and sign them (IMAGE, --registry HOST/NAME)."""
    _run(session, "test", "publish")


@nox.session(default=False)
def report(session: nox.Session) -> None:
    """Write build/report.html: times, hit rates, sizes, bench results (--format markdown)."""
    _run(session, "report", "report")


@nox.session(default=False)
def matrix(session: nox.Session) -> None:
    """Print the jobs of a workflow that builds images (IMAGE, --redistributable, --output)."""
    _run(session, "build", "matrix")


@nox.session(default=False)
def why(session: nox.Session) -> None:
    """Tell why the steps of the last build ran again: file, argument, base (TARGET)."""
    _run(session, "policy", "why")


@nox.session(default=False)
def update(session: nox.Session) -> None:
    """Update every pinned version, one commit a part (PART; --check lists what is behind)."""
    _run(session, "update", "update")

// The one list of images. A target with a tag is an image; the sessions, the
// tests and CI read this list through `docker buildx bake --print`.
//
// Labels are what an image says of itself, and the tests hold it to them:
//   vmaf.backends   libvmaf's compute backends
//   vmaf.parent     the image whose capabilities, and so tests, it inherits
//   vmaf.provides   the capabilities it adds; a test names those it needs
//   vmaf.entry      the program that the arguments of `docker run` go to

variable "REVISION" {
  default = "unknown" // this repository's commit, set by the build sessions
}

// The libvmaf in the images; the build sessions set both from the source tree
// they are given.
variable "LIBVMAF_VERSION" {
  default = "3.2.0"
}

// The user of vmaf:dev.
variable "VMAF_UID" {
  default = "1000"
}
variable "VMAF_GID" {
  default = "1000"
}

group "default" {
  targets = [
    "cpu", "cuda12", "rocm6", "oneapi2026", "vulkan", "all-backends", "dev", "go-server",
  ]
}

target "_common" {
  context = "."
  labels = {
    "org.opencontainers.image.vendor"   = "vmaf-images"
    "org.opencontainers.image.revision" = REVISION
    "org.opencontainers.image.version"  = LIBVMAF_VERSION
  }
}

target "_production" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.production-gpu"
  labels     = { "vmaf.entry" = "vmaf" }
}

target "cpu" {
  inherits = ["_production"]
  target   = "final-cpu"
  tags     = ["vmaf:cpu"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:cpu"
    "org.opencontainers.image.description" = "libvmaf and FFmpeg for any machine, no GPU"
    "org.opencontainers.image.licenses"    = "GPL-3.0-or-later AND BSD-2-Clause-Patent"
    "vmaf.backends"                        = "cpu"
    "vmaf.provides"                        = "vmaf ffmpeg program runtime"
  }
}

target "cuda12" {
  inherits = ["_production"]
  target   = "final-cuda12"
  tags     = ["vmaf:cuda12"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:cuda12"
    "org.opencontainers.image.description" = "libvmaf and FFmpeg with CUDA 12, NVENC and NVDEC"
    "org.opencontainers.image.licenses"    = "LicenseRef-nonfree-not-redistributable"
    "vmaf.backends"                        = "cpu cuda"
    "vmaf.parent"                          = "cpu"
    "vmaf.provides"                        = "cuda"
  }
}

target "vulkan" {
  inherits = ["_production"]
  target   = "final-vulkan"
  tags     = ["vmaf:vulkan"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:vulkan"
    "org.opencontainers.image.description" = "libvmaf on the CPU, FFmpeg with Vulkan and libplacebo"
    "org.opencontainers.image.licenses"    = "GPL-3.0-or-later AND BSD-2-Clause-Patent"
    "vmaf.backends"                        = "cpu"
    "vmaf.parent"                          = "cpu"
    "vmaf.provides"                        = "vulkan"
  }
}

target "rocm6" {
  inherits = ["_production"]
  target   = "final-rocm6"
  tags     = ["vmaf:rocm6"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:rocm6"
    "org.opencontainers.image.description" = "libvmaf on the CPU, FFmpeg with VA-API and OpenCL, HIP 6"
    "org.opencontainers.image.licenses"    = "GPL-3.0-or-later AND BSD-2-Clause-Patent"
    "vmaf.backends"                        = "cpu"
    "vmaf.parent"                          = "cpu"
    "vmaf.provides"                        = "hip vaapi opencl"
  }
}

target "oneapi2026" {
  inherits = ["_production"]
  target   = "final-oneapi2026"
  tags     = ["vmaf:oneapi2026"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:oneapi2026"
    "org.opencontainers.image.description" = "libvmaf on the CPU, FFmpeg with QSV, VA-API and OpenCL, SYCL"
    "org.opencontainers.image.licenses"    = "GPL-3.0-or-later AND BSD-2-Clause-Patent AND LicenseRef-Intel-Developer-Tools"
    "vmaf.backends"                        = "cpu"
    "vmaf.parent"                          = "cpu"
    "vmaf.provides"                        = "sycl opencl vaapi qsv"
  }
}

target "all-backends" {
  inherits   = ["_production"]
  dockerfile = "Dockerfile"
  target     = "all-backends"
  contexts = {
    runtime    = "target:runtime"
    cuda-devel = "target:cuda-devel"
    parts-all  = "target:parts-all"
  }
  tags = ["vmaf:all-backends"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:all-backends"
    "org.opencontainers.image.description" = "libvmaf with CUDA, one FFmpeg for all GPUs, nvcc"
    "org.opencontainers.image.licenses"    = "LicenseRef-nonfree-not-redistributable"
    "vmaf.backends"                        = "cpu cuda"
    "vmaf.provides"                        = "vmaf ffmpeg program cuda nvcc vulkan sycl opencl vaapi qsv"
    "vmaf.entry"                           = "ffmpeg"
  }
}

target "dev" {
  inherits   = ["_production"]
  dockerfile = "dev/Containerfile"
  target     = "dev"
  contexts = {
    base-testing  = "target:base-testing"
    cuda-devel    = "target:cuda-devel"
    parts-dev     = "target:parts-dev"
    toolchain-all = "target:toolchain-all"
  }
  // whose user the workbench is; docs/dev.md says when to set them
  args = {
    VMAF_UID = VMAF_UID
    VMAF_GID = VMAF_GID
  }
  tags = ["vmaf:dev"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:dev"
    "org.opencontainers.image.description" = "The workbench: every SDK, FFmpeg, libvmaf, ONNX Runtime"
    "org.opencontainers.image.licenses"    = "LicenseRef-nonfree-not-redistributable"
    "vmaf.backends"                        = "cpu cuda"
    "vmaf.provides"                        = "vmaf ffmpeg cuda nvcc vulkan hip sycl opencl vaapi qsv workbench"
    "vmaf.entry"                           = "workbench"
  }
}

// The server is its own Dockerfile; all that is not Go comes from the other one.
target "_server" {
  inherits   = ["_common"]
  dockerfile = "Dockerfile.go-server"
  contexts = {
    toolchain   = "target:toolchain"
    libvmaf-cpu = "target:libvmaf-cpu"
    runtime     = "target:runtime"
  }
}

target "go-server" {
  inherits = ["_server"]
  target   = "final-go-server"
  tags     = ["vmaf:go-server"]
  args     = { LIBVMAF_VERSION = LIBVMAF_VERSION, REVISION = REVISION }
  labels = {
    "org.opencontainers.image.title"       = "vmaf:go-server"
    "org.opencontainers.image.description" = "a server that scores video by HTTP and gRPC, no FFmpeg"
    "org.opencontainers.image.licenses"    = "BSD-2-Clause-Patent AND BSD-2-Clause AND BSD-3-Clause AND Apache-2.0 AND MIT"
    "vmaf.backends"                        = "cpu"
    "vmaf.entry"                           = "vmaf-server"
    "vmaf.provides"                        = "server program runtime"
  }
}

// Stages that other Dockerfiles take as named contexts. They are built as in the
// production images, overlays included, and so out of the same layers.
target "_stage" {
  name     = stage
  inherits = ["_production"]
  target   = stage
  matrix = {
    stage = [
      "base-testing", "cuda-devel", "libvmaf-cpu", "libvmaf-source", "parts-all", "parts-dev",
      "runtime", "toolchain", "toolchain-all",
    ]
  }
}

// Checks: built, never kept. `nox -s upstream-tests`.
group "upstream-tests" {
  targets = ["libvmaf-tests", "ffmpeg-tests"]
}

target "_check" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.production-gpu"
  output     = ["type=cacheonly"]
}

target "libvmaf-tests" {
  inherits = ["_check"]
  target   = "libvmaf-tests"
}

target "ffmpeg-tests" {
  inherits = ["_check"]
  target   = "ffmpeg-tests"
}

// The server's own tests. `nox -s server-tests`.
group "server-tests" {
  targets = ["go-tests"]
}

target "go-tests" {
  inherits = ["_server"]
  target   = "go-tests"
  output   = ["type=cacheonly"]
}

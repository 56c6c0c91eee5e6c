// The list of images. A target with a tag is an image; the sessions, the tests and CI read this
// list through `docker buildx bake --print`. `docker buildx bake cpu` builds an image without nox.
//
// The tests check an image against its labels:
//   vmaf.backends   libvmaf's compute backends
//   vmaf.parent     the image that it extends; its capabilities and their tests are inherited
//   vmaf.provides   the capabilities it adds; each test names the capabilities it needs
//   vmaf.without    features that FFmpeg was built without
//   vmaf.entry      the program that `docker run` passes its arguments to

variable "REVISION" {
  default = "unknown" // this repository's commit, set by the build sessions
}

// The version of libvmaf in the images; the build sessions set it for a --libvmaf tree.
variable "LIBVMAF_VERSION" {
  default = "3.2.0+gf85a85369"
}

// The licence of libvmaf; the build sessions set it for a --libvmaf tree.
variable "LIBVMAF_LICENSE" {
  default = "BSD-2-Clause-Patent"
}

// The licences of vmaf:cuda12 and vmaf:cuda13; vmaf:cli-cuda12 has them without FFmpeg's. The build
// sessions set it for a --libvmaf tree, whose kernels may contain NVIDIA's libdevice; see
// docs/licences.md.
variable "CUDA_LICENSES" {
  default = "GPL-3.0-or-later AND ${LIBVMAF_LICENSE}"
}

// The release of FFmpeg: 9.0 or 7.1. The images with 7.1 have other tags, such as cpu-ffmpeg7.1.
variable "FFMPEG" {
  default = "9.0"
}
ffmpeg_suffix = FFMPEG == "9.0" ? "" : "-ffmpeg${FFMPEG}"

// The platforms to build for, as "linux/arm64" or "linux/amd64,linux/arm64"; by default, the build
// machine's. A single other platform is part of the tags, as in vmaf:cpu-arm64, because the engine's
// store has one platform for each tag. Images with a part for GPUs are for linux/amd64 only.
variable "PLATFORMS" {
  default = ""
}
platforms     = PLATFORMS == "" ? null : split(",", PLATFORMS)
amd64_only    = PLATFORMS == "" && BAKE_LOCAL_PLATFORM == "linux/amd64" ? null : ["linux/amd64"]
is_foreign    = PLATFORMS != "" && PLATFORMS != BAKE_LOCAL_PLATFORM && length(split(",", PLATFORMS)) == 1
arch_suffix   = is_foreign ? replace(PLATFORMS, "linux/", "-") : ""
tag_suffix    = "${ffmpeg_suffix}${arch_suffix}"

// The version of FFmpeg in the images; the build sessions set it for a --ffmpeg tree.
variable "FFMPEG_VERSION" {
  default = FFMPEG
}

// accept: where a file of sources.lock cannot be fetched, take the release that Debian has now.
variable "VMAF_LOCK" {
  default = null
}

// The compiler of the CUDA kernels in vmaf:cuda12 and vmaf:cli-cuda12: nvcc, or clang;
// docs/licences.md compares them.
variable "LIBVMAF_CUDA" {
  default = "nvcc"
}

// The CUDA release that vmaf:all-backends and vmaf:dev contain: 12, or 13 for newer GPUs only.
variable "CUDA" {
  default = "12"
}
cuda_devel = CUDA == "13" ? "target:cuda13-from-wheels" : "target:cuda-devel"

// Features that FFmpeg is built without, such as "libjxl libsrt", for smaller images.
variable "FFMPEG_WITHOUT" {
  default = null
}

// 0 compiles all files of FFmpeg with the complete config.h; docs/caching.md describes the option.
// It has no default, because a build argument that is set is part of the cache keys.
variable "VMAF_SPLIT_CONFIG" {
  default = null
}

// Where to write the layers of a build, as `cache-to` of buildx, for machines that do not have them:
// "type=registry,ref=HOST/vmaf-cache,mode=max". The name of each target is added to the place, so
// that no two targets write to the same one: ref=HOST/vmaf-cache:cpu, dest=DIR/cpu, scope=x-cpu.
// The engine's own builder refuses it without the containerd image store; docs/scale.md shows
// builders that do not.
variable "VMAF_CACHE_TO" {
  default = ""
}

// Where to read such layers, as `cache-from`: "type=registry,ref=HOST/vmaf-cache". Each variable
// may have several entries with spaces between them.
variable "VMAF_CACHE_FROM" {
  default = ""
}

// The entries of VMAF_CACHE_TO or VMAF_CACHE_FROM for a target.
function "cache_of" {
  params = [entries, target]
  result = entries == "" ? [] : [
    for entry in split(" ", entries) : regex_replace(
      regex_replace(
        regex_replace(entry, "(^|,)(ref=[^,]+)", "$1$2:${target}${tag_suffix}"),
        "(^|,)((?:dest|src)=[^,]+)", "$1$2/${target}${tag_suffix}",
      ),
      "(^|,)((?:scope|name)=[^,]+)", "$1$2-${target}${tag_suffix}",
    )
  ]
}

_args = {
  FFMPEG            = FFMPEG
  FFMPEG_WITHOUT    = FFMPEG_WITHOUT
  VMAF_LOCK         = VMAF_LOCK
  VMAF_SPLIT_CONFIG = VMAF_SPLIT_CONFIG
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
    "cpu", "cuda12", "cuda13", "rocm6", "rocm7", "oneapi2026", "vulkan", "all-backends", "dev", "go-server",
    "cli", "cli-cuda12", "ffmpeg", "tools", "node-cpu",
  ]
}

target "_common" {
  context   = "."
  platforms = platforms
  labels = {
    "org.opencontainers.image.vendor"   = "vmaf-images"
    "org.opencontainers.image.revision" = REVISION
    "org.opencontainers.image.version"  = LIBVMAF_VERSION
  }
}

target "_production" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.production-gpu"
  args       = _args
  labels = {
    "vmaf.entry"   = "vmaf"
    "vmaf.ffmpeg"  = FFMPEG_VERSION
    "vmaf.without" = FFMPEG_WITHOUT
  }
}

target "cpu" {
  inherits = ["_production"]
  target   = "final-cpu"
  tags     = ["vmaf:cpu${tag_suffix}"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:cpu"
    "org.opencontainers.image.description" = "libvmaf and FFmpeg for any machine, no GPU"
    "org.opencontainers.image.licenses"    = "GPL-3.0-or-later AND ${LIBVMAF_LICENSE}"
    "vmaf.backends"                        = "cpu"
    "vmaf.provides"                        = "vmaf ffmpeg program runtime"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "cpu")
  cache-to   = cache_of(VMAF_CACHE_TO, "cpu")
}

target "cuda12" {
  inherits = ["_production"]
  platforms = amd64_only
  target   = "final-cuda12"
  contexts = LIBVMAF_CUDA == "clang" ? { cuda-devel = "target:cuda-from-clang" } : {}
  tags     = ["vmaf:cuda12${tag_suffix}"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:cuda12"
    "org.opencontainers.image.description" = "libvmaf and FFmpeg with CUDA 12, NVENC and NVDEC"
    "org.opencontainers.image.licenses"    = CUDA_LICENSES
    "vmaf.backends"                        = "cpu cuda"
    "vmaf.parent"                          = "cpu"
    "vmaf.provides"                        = "cuda"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "cuda12")
  cache-to   = cache_of(VMAF_CACHE_TO, "cuda12")
}

target "cuda13" {
  inherits   = ["_production"]
  platforms = amd64_only
  dockerfile = "docker/Dockerfile.cuda13"
  target     = "final-cuda13"
  contexts = {
    toolchain        = "target:toolchain"
    toolchain-cuda12 = "target:toolchain-cuda12"
    libvmaf-source   = "target:libvmaf-source"
    ffmpeg-cuda12    = "target:ffmpeg-cuda12"
    runtime          = "target:runtime"
  }
  tags = ["vmaf:cuda13${tag_suffix}"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:cuda13"
    "org.opencontainers.image.description" = "libvmaf and FFmpeg with CUDA 13, NVENC and NVDEC"
    "org.opencontainers.image.licenses"    = CUDA_LICENSES
    "vmaf.backends"                        = "cpu cuda"
    "vmaf.parent"                          = "cuda12"
    "vmaf.provides"                        = "blackwell"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "cuda13")
  cache-to   = cache_of(VMAF_CACHE_TO, "cuda13")
}

target "vulkan" {
  inherits = ["_production"]
  platforms = amd64_only
  target   = "final-vulkan"
  tags     = ["vmaf:vulkan${tag_suffix}"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:vulkan"
    "org.opencontainers.image.description" = "libvmaf on the CPU, FFmpeg with Vulkan and libplacebo"
    "org.opencontainers.image.licenses"    = "GPL-3.0-or-later AND ${LIBVMAF_LICENSE}"
    "vmaf.backends"                        = "cpu"
    "vmaf.parent"                          = "cpu"
    "vmaf.provides"                        = "vulkan"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "vulkan")
  cache-to   = cache_of(VMAF_CACHE_TO, "vulkan")
}

target "_rocm" {
  inherits = ["_production"]
  platforms = amd64_only
  target   = "final-rocm"
  labels = {
    "org.opencontainers.image.licenses" = "GPL-3.0-or-later AND ${LIBVMAF_LICENSE}"
    "vmaf.backends"                     = "cpu"
    "vmaf.parent"                       = "cpu"
    "vmaf.provides"                     = "hip vaapi opencl"
  }
}

target "rocm6" {
  inherits = ["_rocm"]
  tags     = ["vmaf:rocm6${tag_suffix}"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:rocm6"
    "org.opencontainers.image.description" = "libvmaf on the CPU, FFmpeg with VA-API and OpenCL, HIP 6"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "rocm6")
  cache-to   = cache_of(VMAF_CACHE_TO, "rocm6")
}

target "rocm7" {
  inherits = ["_rocm"]
  args     = { ROCM = "7" }
  tags     = ["vmaf:rocm7${tag_suffix}"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:rocm7"
    "org.opencontainers.image.description" = "libvmaf on the CPU, FFmpeg with VA-API and OpenCL, HIP 7"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "rocm7")
  cache-to   = cache_of(VMAF_CACHE_TO, "rocm7")
}

target "oneapi2026" {
  inherits = ["_production"]
  platforms = amd64_only
  target   = "final-oneapi2026"
  tags     = ["vmaf:oneapi2026${tag_suffix}"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:oneapi2026"
    "org.opencontainers.image.description" = "libvmaf on the CPU, FFmpeg with QSV, VA-API and OpenCL, SYCL"
    "org.opencontainers.image.licenses"    = "GPL-3.0-or-later AND ${LIBVMAF_LICENSE} AND LicenseRef-Intel-Developer-Tools AND LicenseRef-Intel-Simplified-Software"
    "vmaf.backends"                        = "cpu"
    "vmaf.parent"                          = "cpu"
    "vmaf.provides"                        = "sycl opencl vaapi qsv"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "oneapi2026")
  cache-to   = cache_of(VMAF_CACHE_TO, "oneapi2026")
}

target "all-backends" {
  inherits   = ["_production"]
  platforms = amd64_only
  dockerfile = "Dockerfile"
  target     = "all-backends"
  contexts = {
    runtime             = "target:runtime"
    cuda-devel          = cuda_devel
    bundle-all-backends = "target:bundle-all-backends"
  }
  tags = ["vmaf:all-backends${tag_suffix}"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:all-backends"
    "org.opencontainers.image.description" = "libvmaf with CUDA, one FFmpeg for all GPUs, nvcc"
    "org.opencontainers.image.licenses"    = "LicenseRef-nonfree-not-redistributable"
    "vmaf.backends"                        = "cpu cuda"
    "vmaf.provides"                        = "vmaf ffmpeg program cuda nvcc vulkan sycl opencl vaapi qsv"
    "vmaf.entry"                           = "ffmpeg"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "all-backends")
  cache-to   = cache_of(VMAF_CACHE_TO, "all-backends")
}

target "dev" {
  inherits   = ["_production"]
  platforms = amd64_only
  dockerfile = "dev/Containerfile"
  target     = "dev"
  contexts = {
    base-testing  = "target:base-testing"
    cuda-devel    = cuda_devel
    bundle-dev    = "target:bundle-dev"
    toolchain-all = "target:toolchain-all"
  }
  // docs/dev.md describes these arguments
  args = {
    VMAF_UID = VMAF_UID
    VMAF_GID = VMAF_GID
  }
  tags = ["vmaf:dev${tag_suffix}"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:dev"
    "org.opencontainers.image.description" = "The workbench: every SDK, FFmpeg, libvmaf, ONNX Runtime"
    "org.opencontainers.image.licenses"    = "LicenseRef-nonfree-not-redistributable"
    "vmaf.backends"                        = "cpu cuda"
    "vmaf.provides"                        = "vmaf ffmpeg cuda nvcc vulkan hip sycl opencl vaapi qsv workbench"
    "vmaf.entry"                           = "workbench"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "dev")
  cache-to   = cache_of(VMAF_CACHE_TO, "dev")
}

// libvmaf and its program alone. Everyone may pass these images on without a source.
target "_cli" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.production"
  labels     = { "vmaf.entry" = "vmaf" }
}

target "cli" {
  inherits = ["_cli"]
  target   = "final-cli"
  contexts = {
    toolchain   = "target:toolchain"
    libvmaf-cpu = "target:libvmaf-cpu"
    runtime     = "target:runtime"
  }
  tags = ["vmaf:cli${arch_suffix}"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:cli"
    "org.opencontainers.image.description" = "libvmaf and the program vmaf, no FFmpeg"
    "org.opencontainers.image.licenses"    = LIBVMAF_LICENSE
    "vmaf.backends"                        = "cpu"
    "vmaf.provides"                        = "vmaf program runtime permissive"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "cli")
  cache-to   = cache_of(VMAF_CACHE_TO, "cli")
}

target "cli-cuda12" {
  inherits = ["_cli"]
  platforms = amd64_only
  target   = "final-cli-cuda12"
  contexts = {
    toolchain-cuda12 = "target:toolchain-cuda12"
    cuda-devel       = LIBVMAF_CUDA == "clang" ? "target:cuda-from-clang" : "target:cuda-devel"
    libvmaf-cuda12   = "target:libvmaf-cuda12"
    runtime          = "target:runtime"
  }
  tags = ["vmaf:cli-cuda12"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:cli-cuda12"
    "org.opencontainers.image.description" = "libvmaf with CUDA 12 and the program vmaf, no FFmpeg"
    // as vmaf:cuda12, without FFmpeg's licence and with that of NVIDIA's headers
    "org.opencontainers.image.licenses" = "${replace(CUDA_LICENSES, "GPL-3.0-or-later AND ", "")} AND MIT"
    "vmaf.backends"                     = "cpu cuda"
    "vmaf.parent"                       = "cli"
    "vmaf.provides"                     = "cuda"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "cli-cuda12")
  cache-to   = cache_of(VMAF_CACHE_TO, "cli-cuda12")
}

// FFmpeg with more libraries than in the images for GPUs.
target "ffmpeg" {
  inherits   = ["_production"]
  dockerfile = "docker/Dockerfile.ffmpeg"
  target     = "final-ffmpeg"
  contexts = {
    toolchain-vaapi = "target:toolchain-vaapi"
    libvmaf-cpu     = "target:libvmaf-cpu"
    ffmpeg-source   = "target:ffmpeg-source"
    runtime         = "target:runtime"
  }
  tags = ["vmaf:ffmpeg${tag_suffix}"]
  labels = {
    "org.opencontainers.image.title"       = "vmaf:ffmpeg"
    "org.opencontainers.image.description" = "FFmpeg with libvmaf, VA-API, more codecs and protocols"
    "org.opencontainers.image.licenses"    = "GPL-3.0-or-later AND ${LIBVMAF_LICENSE}"
    "vmaf.backends"                        = "cpu"
    "vmaf.parent"                          = "cpu"
    "vmaf.provides"                        = "vaapi codecs"
    "vmaf.entry"                           = "ffmpeg"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "ffmpeg")
  cache-to   = cache_of(VMAF_CACHE_TO, "ffmpeg")
}

// The server has its own Dockerfile, which uses stages of the main one.
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
  tags     = ["vmaf:go-server${arch_suffix}"]
  args     = { LIBVMAF_VERSION = LIBVMAF_VERSION, REVISION = REVISION }
  labels = {
    "org.opencontainers.image.title"       = "vmaf:go-server"
    "org.opencontainers.image.description" = "a server that scores video by HTTP and gRPC, no FFmpeg"
    "org.opencontainers.image.licenses"    = "${LIBVMAF_LICENSE} AND BSD-2-Clause AND BSD-3-Clause AND Apache-2.0 AND MIT"
    "vmaf.backends"                        = "cpu"
    "vmaf.entry"                           = "vmaf-server"
    "vmaf.provides"                        = "server program runtime"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "go-server")
  cache-to   = cache_of(VMAF_CACHE_TO, "go-server")
}

// Programs for users of vmaf:cpu, on that image.
target "tools" {
  inherits   = ["_common"]
  platforms = amd64_only
  dockerfile = "docker/Dockerfile.tools"
  target     = "final-tools"
  contexts = {
    toolchain    = "target:toolchain"
    go-toolchain = "target:go-toolchain"
    cpu          = "target:cpu"
  }
  tags = ["vmaf:tools${tag_suffix}"]
  args = { LIBVMAF_VERSION = LIBVMAF_VERSION, REVISION = REVISION }
  labels = {
    "org.opencontainers.image.title"       = "vmaf:tools"
    "org.opencontainers.image.description" = "score, ab-av1, ffmpeg-quality-metrics and easyVmaf"
    "org.opencontainers.image.licenses"    = "GPL-3.0-or-later AND ${LIBVMAF_LICENSE} AND MIT AND MPL-2.0 AND Apache-2.0 AND BSD-2-Clause AND BSD-3-Clause"
    "vmaf.backends"                        = "cpu"
    "vmaf.parent"                          = "cpu"
    "vmaf.provides"                        = "tools score"
    "vmaf.entry"                           = "vmaf-tools"
    "vmaf.ffmpeg"                          = FFMPEG_VERSION
    "vmaf.without"                         = FFMPEG_WITHOUT
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "tools")
  cache-to   = cache_of(VMAF_CACHE_TO, "tools")
}

// The server on vmaf:cpu, whose FFmpeg decodes ordinary video for it.
target "node-cpu" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.node"
  target     = "final-node-cpu"
  contexts = {
    toolchain = "target:toolchain"
    server    = "target:server"
    cpu       = "target:cpu"
  }
  tags      = ["vmaf:node-cpu${tag_suffix}"]
  platforms = amd64_only
  labels = {
    "org.opencontainers.image.title"       = "vmaf:node-cpu"
    "org.opencontainers.image.description" = "a server that scores ordinary video by HTTP and gRPC"
    "org.opencontainers.image.licenses"    = "GPL-3.0-or-later AND ${LIBVMAF_LICENSE} AND BSD-2-Clause AND BSD-3-Clause AND Apache-2.0 AND MIT"
    "vmaf.backends"                        = "cpu"
    "vmaf.parent"                          = "cpu"
    "vmaf.provides"                        = "server node"
    "vmaf.entry"                           = "vmaf-server"
    "vmaf.ffmpeg"                          = FFMPEG_VERSION
    "vmaf.without"                         = FFMPEG_WITHOUT
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "node-cpu")
  cache-to   = cache_of(VMAF_CACHE_TO, "node-cpu")
}

// The program of vmaf:go-server.
target "server" {
  inherits = ["_server"]
  target   = "server"
  args     = { LIBVMAF_VERSION = LIBVMAF_VERSION, REVISION = REVISION }

  cache-from = cache_of(VMAF_CACHE_FROM, "server")
  cache-to   = cache_of(VMAF_CACHE_TO, "server")
}

// Stages of the main Dockerfile that other Dockerfiles use as named contexts. They share the
// layers of the images, also with overlays.
target "_stage" {
  name     = stage
  inherits = ["_production"]
  target   = stage
  matrix = {
    stage = ["cuda-devel", "ffmpeg-cuda12", "toolchain-all", "toolchain-cuda12", "toolchain-hip"]
  }
  cache-from = cache_of(VMAF_CACHE_FROM, stage)
  cache-to   = cache_of(VMAF_CACHE_TO, stage)
}

// libvmaf with the same kernels as in vmaf:cuda12.
target "libvmaf-cuda12" {
  inherits = ["_production"]
  target   = "libvmaf-cuda12"
  contexts = LIBVMAF_CUDA == "clang" ? { cuda-devel = "target:cuda-from-clang" } : {}

  cache-from = cache_of(VMAF_CACHE_FROM, "libvmaf-cuda12")
  cache-to   = cache_of(VMAF_CACHE_TO, "libvmaf-cuda12")
}

// The parts of the two images whose CUDA is a choice.
target "_bundle" {
  name     = bundle
  inherits = ["_production"]
  target   = bundle
  contexts = CUDA == "13" ? { cuda-devel = cuda_devel } : {}
  matrix   = { bundle = ["bundle-all-backends", "bundle-dev"] }

  cache-from = cache_of(VMAF_CACHE_FROM, bundle)
  cache-to   = cache_of(VMAF_CACHE_TO, bundle)
}

target "cuda13-from-wheels" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.cuda13"
  target     = "cuda13-from-wheels"
  contexts   = { toolchain = "target:toolchain" }

  cache-from = cache_of(VMAF_CACHE_FROM, "cuda13-from-wheels")
  cache-to   = cache_of(VMAF_CACHE_TO, "cuda13-from-wheels")
}

target "cuda-from-clang" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.vendor"
  target     = "cuda-from-clang"
  contexts   = { toolchain-cuda12 = "target:toolchain-cuda12" }

  cache-from = cache_of(VMAF_CACHE_FROM, "cuda-from-clang")
  cache-to   = cache_of(VMAF_CACHE_TO, "cuda-from-clang")
}

// These stages are below all SDKs. They do not inherit `_production`, so that the replacements of
// SDKs in docker/Dockerfile.vendor can use them without a cycle.
target "_base_stage" {
  name       = stage
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.production-gpu"
  target     = stage
  args       = _args
  matrix = {
    stage = [
      "base-testing", "ffmpeg-source", "libvmaf-cpu", "libvmaf-source", "runtime", "toolchain",
      "toolchain-vaapi", "toolchain-vulkan",
    ]
  }
  cache-from = cache_of(VMAF_CACHE_FROM, stage)
  cache-to   = cache_of(VMAF_CACHE_TO, stage)
}

// libvmaf with the GPU backends of forks. scripts/images/features.py says which stages these
// targets replace if the --libvmaf tree has the backend.
target "_fork" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.vendor"
}

target "libvmaf-hip" {
  inherits = ["_fork"]
  target   = "libvmaf-hip"
  contexts = {
    base-testing  = "target:base-testing"
    toolchain-hip = "target:toolchain-hip"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "libvmaf-hip")
  cache-to   = cache_of(VMAF_CACHE_TO, "libvmaf-hip")
}

target "toolchain-hip7" {
  inherits = ["_production"]
  target   = "toolchain-hip"
  args     = { ROCM = "7" }

  cache-from = cache_of(VMAF_CACHE_FROM, "toolchain-hip7")
  cache-to   = cache_of(VMAF_CACHE_TO, "toolchain-hip7")
}

target "libvmaf-hip7" {
  inherits = ["libvmaf-hip"]
  contexts = { toolchain-hip = "target:toolchain-hip7" }

  cache-from = cache_of(VMAF_CACHE_FROM, "libvmaf-hip7")
  cache-to   = cache_of(VMAF_CACHE_TO, "libvmaf-hip7")
}

target "libvmaf-sycl" {
  inherits = ["_fork"]
  target   = "libvmaf-sycl"
  contexts = { toolchain-vaapi = "target:toolchain-vaapi" }

  cache-from = cache_of(VMAF_CACHE_FROM, "libvmaf-sycl")
  cache-to   = cache_of(VMAF_CACHE_TO, "libvmaf-sycl")
}

target "libvmaf-vulkan" {
  inherits = ["_fork"]
  target   = "libvmaf-vulkan"
  contexts = { toolchain-vulkan = "target:toolchain-vulkan" }

  cache-from = cache_of(VMAF_CACHE_FROM, "libvmaf-vulkan")
  cache-to   = cache_of(VMAF_CACHE_TO, "libvmaf-vulkan")
}

// The tests of libvmaf and FFmpeg, for `nox -s upstream-tests`. They use the caches of the images
// and produce no image.
group "upstream-tests" {
  targets = ["libvmaf-tests", "ffmpeg-tests"]
}

target "_upstream" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.tests"
  output     = ["type=cacheonly"]
}

target "libvmaf-tests" {
  inherits = ["_upstream"]
  target   = "libvmaf-tests"
  contexts = {
    toolchain      = "target:toolchain"
    libvmaf-source = "target:libvmaf-source"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "libvmaf-tests")
  cache-to   = cache_of(VMAF_CACHE_TO, "libvmaf-tests")
}

target "ffmpeg-tests" {
  inherits = ["_upstream"]
  target   = "ffmpeg-tests"
  contexts = {
    toolchain     = "target:toolchain"
    ffmpeg-source = "target:ffmpeg-source"
    libvmaf-cpu   = "target:libvmaf-cpu"
  }
  cache-from = cache_of(VMAF_CACHE_FROM, "ffmpeg-tests")
  cache-to   = cache_of(VMAF_CACHE_TO, "ffmpeg-tests")
}

// The tests of the server and of cache-stream, for `nox -s server-tests`.
group "server-tests" {
  targets = ["go-tests", "cache-stream-tests"]
}

target "go-tests" {
  inherits = ["_server"]
  target   = "go-tests"
  output   = ["type=cacheonly"]

  cache-from = cache_of(VMAF_CACHE_FROM, "go-tests")
  cache-to   = cache_of(VMAF_CACHE_TO, "go-tests")
}

// What Debian has now of the packages in sources.lock, for `nox -s update`. It produces files.
target "lock-candidates" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.update"
  target     = "lock-candidates"
  contexts   = { runtime = "target:runtime" }
  args       = { ASKED_AT = timestamp() } // so that the step runs each time
  output     = ["type=local,dest=build/lock-candidates"]
}

// The program that saves and loads cache mounts; `nox -s cache` exports it to build/tools/.
target "go-toolchain" {
  inherits   = ["_common"]
  dockerfile = "Dockerfile.go-server"
  target     = "go-toolchain"
  contexts   = { toolchain = "target:toolchain" }
}

target "cache-stream" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.cache-stream"
  target     = "cache-stream"
  contexts   = { go-toolchain = "target:go-toolchain" }
}

target "cache-stream-tests" {
  inherits = ["cache-stream"]
  target   = "cache-stream-tests"
  output   = ["type=cacheonly"]
}

// The programs with which `nox -s publish` pushes and signs; it exports them to build/tools/.
target "publish-tools" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.publish"
  target     = "publish-tools"
  contexts   = { go-toolchain = "target:go-toolchain" }
}

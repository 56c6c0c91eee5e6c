// Overlay: SDKs from the vendors' own images instead of Debian's packages or wheels.
// `VMAF_BASES=vendor` selects it; it needs a registry. docs/sources.md lists the images
// and what they replace.

// The same release of nvcc as Debian's, as other releases support other GPUs.
variable "CUDA_DEVEL" {
  default = "nvidia/cuda:12.4.1-devel-ubuntu22.04"
}

// The release of Debian's HIP.
variable "ROCM_DEVEL" {
  default = "rocm/dev-ubuntu-24.04:6.4.3"
}

// The last release of intel/oneapi-basekit is 2025.3.2; this is the name of its successor.
variable "ONEAPI_DEVEL" {
  default = "intel/oneapi:2026.1.0-devel-ubuntu24.04"
}

target "_production" {
  // Debian's glibc and CUDA 12 declare some functions differently, which is an error only in
  // headers that are not system headers. This option makes nvcc's headers system headers.
  args = { NVCC_APPEND_FLAGS = "-isystem /usr/local/cuda/include" }
}

// Each target replaces only the SDKs that it uses, because a replacement pulls several gigabytes.
target "cuda12" {
  contexts = { cuda-devel = "target:cuda-from-vendor" }
}

target "rocm6" {
  contexts = { rocm-devel = "target:rocm-from-vendor" }
}

target "oneapi2026" {
  contexts = { oneapi-devel = "target:oneapi-from-vendor" }
}

target "cuda-devel" {
  contexts = { cuda-devel = "target:cuda-from-vendor" }
}

target "libvmaf-cuda12" {
  contexts = { cuda-devel = "target:cuda-from-vendor" }
}

target "toolchain-hip" {
  contexts = { rocm-devel = "target:rocm-from-vendor" }
}

target "bundle-all-backends" {
  contexts = {
    cuda-devel   = "target:cuda-from-vendor"
    oneapi-devel = "target:oneapi-from-vendor"
  }
}

target "bundle-dev" {
  contexts = {
    cuda-devel   = "target:cuda-from-vendor"
    rocm-devel   = "target:rocm-from-vendor"
    oneapi-devel = "target:oneapi-from-vendor"
  }
}

target "_vendor" {
  inherits   = ["_common"]
  dockerfile = "docker/Dockerfile.vendor"
}

target "cuda-from-vendor" {
  inherits = ["_vendor"]
  target   = "cuda-from-vendor"
  contexts = { cuda-given = "docker-image://${CUDA_DEVEL}" }
  args     = { CUDA_DEVEL = CUDA_DEVEL }

  cache-from = cache_of(VMAF_CACHE_FROM, "cuda-from-vendor")
  cache-to   = cache_of(VMAF_CACHE_TO, "cuda-from-vendor")
}

target "rocm-from-vendor" {
  inherits = ["_vendor"]
  target   = "rocm-from-vendor"
  contexts = {
    rocm-given   = "docker-image://${ROCM_DEVEL}"
    base-testing = "target:base-testing"
  }
  args = { ROCM_DEVEL = ROCM_DEVEL }

  cache-from = cache_of(VMAF_CACHE_FROM, "rocm-from-vendor")
  cache-to   = cache_of(VMAF_CACHE_TO, "rocm-from-vendor")
}

target "oneapi-from-vendor" {
  inherits = ["_vendor"]
  target   = "oneapi-from-vendor"
  contexts = {
    oneapi-given = "docker-image://${ONEAPI_DEVEL}"
    toolchain    = "target:toolchain"
  }
  args = { ONEAPI_DEVEL = ONEAPI_DEVEL }

  cache-from = cache_of(VMAF_CACHE_FROM, "oneapi-from-vendor")
  cache-to   = cache_of(VMAF_CACHE_TO, "oneapi-from-vendor")
}

target "libvmaf-sycl" {
  contexts = { oneapi-given = "docker-image://${ONEAPI_DEVEL}" }
}

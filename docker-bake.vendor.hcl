// Overlay: a vendor's own image in the place of the stage that takes its SDK from
// Debian's packages or from wheels. `VMAF_BASES=vendor` chooses it; it takes a
// registry. docs/vendor-sdks.md says what each replaces and what was tried.

// The same release of nvcc as Debian's: other releases know other GPUs.
variable "CUDA_DEVEL" {
  default = "nvidia/cuda:12.4.1-devel-ubuntu22.04"
}

// The release of Debian's HIP.
variable "ROCM_DEVEL" {
  default = "rocm/dev-ubuntu-24.04:6.4.3"
}

// intel/oneapi-basekit ends at 2025.3.2; this is its successor's name.
variable "ONEAPI_DEVEL" {
  default = "intel/oneapi:2026.1.0-devel-ubuntu24.04"
}

target "_production" {
  contexts = {
    "cuda-devel" = "docker-image://${CUDA_DEVEL}"
    "rocm-sdk"   = "docker-image://${ROCM_DEVEL}"
    "oneapi-sdk" = "docker-image://${ONEAPI_DEVEL}"
  }
  args = {
    CUDA_DEVEL   = CUDA_DEVEL
    ROCM         = "vendor"
    ROCM_DEVEL   = ROCM_DEVEL
    ONEAPI       = "vendor"
    ONEAPI_DEVEL = ONEAPI_DEVEL
    // Debian's glibc declares functions that CUDA 12 declares otherwise, which
    // is an error only in ordinary headers: nvcc's become system headers.
    NVCC_APPEND_FLAGS = "-isystem /usr/local/cuda/include"
  }
}

// Overlay: a vendor's own image in the place of the stage that unpacks its SDK
// from Debian's packages. `VMAF_BASES=vendor` chooses it; it takes a registry.
// docs/vendor-sdks.md says what each replaces and what was tried.

// The same release of nvcc as Debian's: other releases know other GPUs.
variable "CUDA_DEVEL" {
  default = "nvidia/cuda:12.4.1-devel-ubuntu22.04"
}

target "_production" {
  contexts = {
    "cuda-devel" = "docker-image://${CUDA_DEVEL}"
  }
  args = {
    CUDA_DEVEL = CUDA_DEVEL
    // Debian's glibc declares functions that CUDA 12 declares otherwise, which
    // is an error only in ordinary headers: nvcc's become system headers.
    NVCC_APPEND_FLAGS = "-isystem /usr/local/cuda/include"
  }
}

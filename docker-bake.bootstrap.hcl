// Overlay for machines without access to a container registry: the base image and the syntax
// frontend are built from Debian packages and a Go module. The build sessions select it if no
// registry answers, or with VMAF_BASES=bootstrap.

target "_common" {
  contexts = {
    "debian:trixie-slim"    = "target:base"
    "docker/dockerfile:1.7" = "target:frontend"
  }
}

target "_bootstrap" {
  context    = "."
  dockerfile = "docker/bootstrap/Dockerfile"
}

target "base" {
  inherits = ["_bootstrap"]
  target   = "base"

  cache-from = cache_of(VMAF_CACHE_FROM, "base")
  cache-to   = cache_of(VMAF_CACHE_TO, "base")
}

target "frontend" {
  inherits = ["_bootstrap"]
  target   = "frontend"

  cache-from = cache_of(VMAF_CACHE_FROM, "frontend")
  cache-to   = cache_of(VMAF_CACHE_TO, "frontend")
}

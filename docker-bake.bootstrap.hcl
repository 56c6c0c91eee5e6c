// Overlay for machines without access to a container registry: the base image and the syntax
// frontend are built from Debian packages and a Go module. The build sessions select it if no
// registry answers, or with VMAF_BASES=bootstrap.

target "_common" {
  contexts = merge(
    {
      "debian:trixie-slim"    = "target:base"
      "docker/dockerfile:1.7" = "target:frontend"
    },
    {
      for platform in split(",", PLATFORMS) :
      "debian:trixie-slim::${platform}" => "target:base-${replace(platform, "linux/", "")}"
      if platform != "" && platform != BAKE_LOCAL_PLATFORM
    },
  )
}

target "_bootstrap" {
  context    = "."
  dockerfile = "docker/bootstrap/Dockerfile"
}

// The base of the build machine, on which everything is compiled.
target "base" {
  inherits = ["_bootstrap"]
  target   = "base"

  cache-from = cache_of(VMAF_CACHE_FROM, "base")
  cache-to   = cache_of(VMAF_CACHE_TO, "base")
}

// The base of another platform. The engine's builder refuses a target with two platforms.
target "_foreign_base" {
  name      = "base-${architecture}"
  inherits  = ["_bootstrap"]
  target    = "base"
  matrix    = { architecture = ["amd64", "arm64"] }
  platforms = ["linux/${architecture}"]

  cache-from = cache_of(VMAF_CACHE_FROM, "base-${architecture}")
  cache-to   = cache_of(VMAF_CACHE_TO, "base-${architecture}")
}

target "frontend" {
  inherits = ["_bootstrap"]
  target   = "frontend"

  cache-from = cache_of(VMAF_CACHE_FROM, "frontend")
  cache-to   = cache_of(VMAF_CACHE_TO, "frontend")
}

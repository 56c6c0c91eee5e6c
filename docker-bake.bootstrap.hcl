// Overlay for machines where no container registry answers: the base image and the syntax frontend
// are built from Debian packages and a Go module. The build sessions select it in that case, or
// with VMAF_BASES=bootstrap.

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
}

target "frontend" {
  inherits = ["_bootstrap"]
  target   = "frontend"
}

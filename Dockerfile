# syntax=docker/dockerfile:1.7
# check=error=true

# All backends in one image: FFmpeg with the features of all GPU images, libvmaf with CUDA, and
# CUDA's compiler. Build it with `nox -s build-all-backends` or `docker buildx bake all-backends`:
# docker-bake.hcl passes stages of docker/Dockerfile.production-gpu as named contexts, which
# replace the placeholders here. Without bake the first placeholder ends the build.

# needs-buildkit makes the classic builder fail at once; BuildKit skips it, as nothing uses it
FROM scratch AS needs-buildkit
RUN --mount=type=tmpfs,target=/tmp true

# runtime has the user, the working directory and the entry point
FROM scratch AS runtime
LABEL error="${not_baked:?Build this with: docker buildx bake all-backends}"
# cuda-devel has nvcc and its headers
FROM runtime AS cuda-devel
# bundle-all-backends has FFmpeg, libvmaf, oneAPI, and the list of packages that they need
FROM runtime AS bundle-all-backends

# all-backends is the base for builds and images that need every backend
FROM runtime AS all-backends
ARG TARGETARCH
# g++-13 is the newest host compiler that CUDA 12.4 supports. No ELF file names the packages that
# are opened at run time: VA-API's driver, libvpl's runtime, Level Zero.
RUN --mount=type=cache,id=vmaf-apt-cache-trixie-$TARGETARCH,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=vmaf-apt-lib-trixie-$TARGETARCH,target=/var/lib/apt,sharing=locked \
    --mount=type=bind,source=docker/recipes/lib/apt.sh,target=/run/recipes/apt.sh \
    --mount=type=bind,from=bundle-all-backends,source=/packages,target=/run/packages \
    xargs /run/recipes/apt.sh install \
        g++-13 intel-media-va-driver libmfx-gen1.2 libze1 </run/packages
COPY --from=cuda-devel /usr/local/cuda/ /usr/local/cuda/
COPY --from=bundle-all-backends /oneapi/ /
COPY --from=bundle-all-backends /ffmpeg/ /
COPY --from=bundle-all-backends /libvmaf/ /
COPY --from=bundle-all-backends /versions.json /usr/local/share/vmaf/versions.json
COPY --chmod=755 docker/smoke/gpu-check.sh /usr/local/bin/gpu-check
RUN ldconfig && rm -r /var/cache/ldconfig && ffmpeg -version && vmaf --version
# Extra nvcc flags, set by docker-bake.vendor.hcl.
ARG NVCC_APPEND_FLAGS
ENV PATH=/usr/local/cuda/bin:$PATH \
    NVCC_PREPEND_FLAGS="-ccbin g++-13" \
    NVCC_APPEND_FLAGS=$NVCC_APPEND_FLAGS \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,video,utility
ENTRYPOINT ["ffmpeg"]
USER 1000:1000

# syntax=docker/dockerfile:1.7
# check=error=true

# All backends in one image: FFmpeg with what the GPU images have apart, libvmaf with
# CUDA, and CUDA's compiler. Built by `nox -s build-all-backends`, or `docker buildx
# bake all-backends`: every name here that is no stage of this file is a stage of
# docker/Dockerfile.production-gpu, given as a named context by docker-bake.hcl.
# Such a name has no tag, and hadolint does not know it:
# hadolint global ignore=DL3006,DL3022

# needs-buildkit stops the classic builder before it has made a layer, and is built by no other
FROM scratch AS needs-buildkit
RUN --mount=type=tmpfs,target=/tmp true

# all-backends is the image to start from where one is to have everything
FROM runtime AS all-backends
ARG TARGETARCH
# g++-13 is the newest host compiler that CUDA 12.4 takes. Opened by name at run
# time: VA-API's driver, libvpl's runtime, Level Zero.
RUN --mount=type=cache,id=vmaf-apt-cache-trixie-$TARGETARCH,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,id=vmaf-apt-lib-trixie-$TARGETARCH,target=/var/lib/apt,sharing=locked \
    --mount=type=bind,source=docker/recipes/apt.sh,target=/run/recipes/apt.sh \
    --mount=type=bind,from=parts-all,source=/packages,target=/run/packages \
    xargs /run/recipes/apt.sh install g++-13 intel-media-va-driver libmfx-gen1.2 libze1 </run/packages
COPY --from=cuda-devel /usr/local/cuda/ /usr/local/cuda/
COPY --from=parts-all /oneapi/ /
COPY --from=parts-all /ffmpeg/ /
COPY --from=parts-all /libvmaf/ /
COPY --from=parts-all /versions.json /usr/local/share/vmaf/versions.json
RUN ldconfig && rm -r /var/cache/ldconfig && ffmpeg -version && vmaf --version
# what docker-bake.vendor.hcl has nvcc add to its words
ARG NVCC_APPEND_FLAGS
ENV PATH=/usr/local/cuda/bin:$PATH \
    NVCC_PREPEND_FLAGS="-ccbin g++-13" \
    NVCC_APPEND_FLAGS=$NVCC_APPEND_FLAGS \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,video,utility
ENTRYPOINT ["ffmpeg"]
USER 1000:1000

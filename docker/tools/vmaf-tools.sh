#!/bin/sh
# The entry point of vmaf:tools: run a program of the image, or list the programs.
set -eu

case ${1-} in
'' | -h | --help)
    cat <<'EOT'
usage: docker run --rm -v "$PWD:/data" vmaf:tools PROGRAM ARGUMENT...

  score REFERENCE DISTORTED...          check, align and score videos
  ab-av1 vmaf --reference REFERENCE --distorted DISTORTED
  ab-av1 crf-search --input VIDEO       find the quality setting for a score
  ffmpeg-quality-metrics DISTORTED REFERENCE --metrics vmaf psnr ssim
  easyvmaf -r REFERENCE -d DISTORTED
  ffmpeg, ffprobe, vmaf                 as in vmaf:cpu

PROGRAM --help describes each.
EOT
    ;;
*) exec "$@" ;;
esac

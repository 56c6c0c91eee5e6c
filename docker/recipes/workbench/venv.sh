#!/bin/sh
# Create the workbench's Python environment from wheels. pip checks them against the digests in the
# lock file; the build fails with the name of a package that differs.
#
#   venv.sh DIRECTORY LOCK
set -eu
# shellcheck source=../lib/https.sh
. /run/recipes/https.sh

# With this, compiled Python files refer to their source by content, not by date, and so are equal
# in all builds.
export SOURCE_DATE_EPOCH=0

# pip downloads into the mount, as in oneapi-devel.sh.
downloads=/root/.cache/pip/wheels
set -- "$1" --quiet --disable-pip-version-check --no-cache-dir --only-binary=:all: \
    --require-hashes --requirement "$2"
python3 -m venv "$1"
environment=$1 && shift
"$environment"/bin/pip download "$@" --dest $downloads
"$environment"/bin/pip install "$@" --no-index --find-links $downloads
"$environment"/bin/pip check
"$environment"/bin/python -c 'import numpy, onnx, onnxruntime'

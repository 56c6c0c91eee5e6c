#!/bin/sh
# Makes the workbench's Python environment from wheels that pip checks against the
# digests of the lock file: one that differs ends the build with the package's name.
#
#   venv.sh FOLDER LOCK
set -eu
# shellcheck source=https.sh
. /run/recipes/https.sh

# Compiled Python then names its source by content, not by date: the same in every build.
export SOURCE_DATE_EPOCH=0

# The mount is where pip downloads to, as in oneapi-devel.sh: its own cache stays
# empty behind a proxy that drops the headers it goes by.
downloads=/root/.cache/pip/wheels
set -- "$1" --quiet --disable-pip-version-check --no-cache-dir --only-binary=:all: \
    --require-hashes --requirement "$2"
python3 -m venv "$1"
folder=$1 && shift
"$folder"/bin/pip download "$@" --dest $downloads
"$folder"/bin/pip install "$@" --no-index --find-links $downloads
"$folder"/bin/pip check
"$folder"/bin/python -c 'import numpy, onnx, onnxruntime'

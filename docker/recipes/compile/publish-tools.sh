#!/bin/sh
# Build the tools of the go.mod in the current directory.
# Result: /out/publish-tools/regctl and cosign.
set -eu

# shellcheck source=docker/recipes/lib/https.sh
. /run/recipes/https.sh
export GOMODCACHE=/tmp/modules GOCACHE=/tmp/objects GOBIN=/out/publish-tools
go install -trimpath tool
go clean -cache -modcache # 2 GB, which only another build of the same step would use
"$GOBIN/regctl" version
"$GOBIN/cosign" version

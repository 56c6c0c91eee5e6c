#!/bin/sh
# Install HIP 6 from Debian testing: compiler, headers, runtime.
# Result: the installed packages, and /out/rocm/manifest.
set -eu

major=6
testing() { apt-cache madison "$1" | awk '/ testing\// { print $3; exit }'; }

# This refreshes the index, so that the version is checked before a gigabyte is fetched.
/run/recipes/apt.sh install
found=$(testing libamdhip64-dev)
case $found in
"$major".*) ;;
*)
    echo "rocm-devel.sh: Debian testing has libamdhip64-dev ${found:-not at all}, expected version $major" >&2
    exit 1
    ;;
esac
/run/recipes/apt.sh install --target-release testing hipcc libamdhip64-dev

# entry NAME PACKAGE
entry() {
    version=$(dpkg-query -W -f '${Version}' "$2")
    printf '{"name": "%s", "version": "%s", "source": "Debian package %s (testing)", "digest": "sha256:%s"}' \
        "$1" "$version" "$2" "$(apt-cache show "$2=$version" | sed -n 's/^SHA256: //p' | head -n 1)"
}
mkdir -p /out/rocm/manifest
cat >/out/rocm/manifest/rocm.json <<EOT
[$(entry HIP libamdhip64-6),
 $(entry hipcc hipcc),
 $(entry HSA-runtime libhsa-runtime64-1),
 $(entry comgr libamd-comgr3)]
EOT
hipcc --version

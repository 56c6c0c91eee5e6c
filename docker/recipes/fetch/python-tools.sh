#!/bin/sh
# Install the Python programs of the part `tools` in sources.lock, from wheels. pip checks them
# against the digests there.
# Result: /out/python-tools/{runtime,manifest}.
set -eu
# shellcheck source=../lib/https.sh
. /run/recipes/https.sh

# As in venv.sh, so that compiled Python files are equal in all builds.
export SOURCE_DATE_EPOCH=0
out=/out/python-tools
# The programs contain the path of their environment.
environment=/usr/local/lib/vmaf-tools
requirements=/tmp/requirements.txt
/run/recipes/locked/locked.sh requirements tools >$requirements

# pip downloads into the mount, as in oneapi-devel.sh. The image needs no pip.
downloads=/root/.cache/pip/wheels
set -- --quiet --disable-pip-version-check --no-cache-dir --only-binary=:all: \
    --require-hashes --requirement $requirements
python3 -m pip download "$@" --dest $downloads
python3 -m venv --without-pip $environment
python3 -m pip --python $environment install "$@" --no-index --find-links $downloads
python3 -m pip --python $environment check
# A report in a browser needs packages that are not in the lock, and no shell runs in the image.
rm $environment/bin/ffmpeg-quality-metrics-gui $environment/bin/[Aa]ctivate*

mkdir -p $out/manifest $out/runtime/usr/local/bin $out/runtime/usr/local/lib
for program in easyvmaf ffmpeg-quality-metrics; do
    $environment/bin/$program --help >/dev/null
    ln -s ../lib/vmaf-tools/bin/$program $out/runtime/usr/local/bin/
done
sed -n 's/^\([^#=]*\)==\([^ ]*\) --hash=sha256:/\1 \2 /p' $requirements |
    while read -r name version digest; do
        stem=$(echo "$name" | tr - _)-$version
        licence=$(sed -n '/^$/q; s/^License\(-Expression\)*: //p' \
            $environment/lib/python3*/site-packages/"$stem".dist-info/METADATA)
        printf '{"name": "%s", "version": "%s", "source": "PyPI wheel %s", "digest": "sha256:%s", "licence": "%s"}\n' \
            "$name" "$version" "$(basename $downloads/"$stem"-*.whl)" "$digest" "$licence"
    done >$out/manifest/python-tools.json
mv $environment $out/runtime/usr/local/lib/
rm $requirements

#!/bin/sh
# Make /tmp/gpu-check, a directory that runs gpu-check on a machine without Docker: this image's
# programs, their libraries and the C library's loader. `nox -s gpu-check -- --pack FILE` runs this
# script in a container and packs the directory.
set -eu
root=/tmp/gpu-check
mkdir -p $root/bin $root/lib $root/libexec
for program in ffmpeg vmaf; do
    cp "/usr/local/bin/$program" $root/libexec/
    ldd "/usr/local/bin/$program"
    # The libraries of this archive come first, except for those that the caller sets.
    cat >"$root/bin/$program" <<EOT
#!/bin/sh
root=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")
exec "\$root/lib/ld-linux-x86-64.so.2" \\
    --library-path "\${LD_LIBRARY_PATH:+\$LD_LIBRARY_PATH:}\$root/lib\${DRIVER:+:\$DRIVER}" \\
    "\$root/libexec/$program" "\$@"
EOT
done >$root/libraries
awk '$2 == "=>" { print $3 } $1 ~ "/ld-linux" { print $1 }' $root/libraries | sort -u |
    xargs cp -L -t $root/lib
rm $root/libraries
cp "$(command -v gpu-check)" $root/libexec/gpu-check
cp /usr/local/share/vmaf/versions.json $root/
cat >$root/gpu-check <<'EOT'
#!/bin/sh
# Run gpu-check with the programs of this directory; `./gpu-check --help` lists the options.
root=$(dirname "$(readlink -f "$0")")
# The driver's libraries are the machine's, wherever its loader finds them.
DRIVER=$(ldconfig -p 2>/dev/null | sed -n 's,.*libcuda\.so\.1 .*=> \(.*\)/.*,\1,p' | head -n 1)
DRIVER=${DRIVER:-/usr/local/nvidia/lib64}
export DRIVER PATH="$root/bin:$PATH" VMAF_VERSIONS="$root/versions.json"
exec sh "$root/libexec/gpu-check" "$@"
EOT
chmod +x $root/gpu-check $root/bin/*

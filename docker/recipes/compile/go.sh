# shellcheck shell=sh
# Sourced by the recipes that link a Go program for an image.

# The image's architecture may not be this machine's.
export GOARCH="$TARGETARCH"
if [ -f /etc/cross ]; then
    CROSS=$(cat /etc/cross)
    export CC="${CROSS}gcc" PKG_CONFIG="${CROSS}pkg-config" PKG_CONFIG_PATH=/usr/local/lib/pkgconfig
fi

# Link a program of the module in the current directory: hardened like the binaries of compile.sh,
# which needs the C linker.
link_program() { # PROGRAM PACKAGE
    go build -buildmode=pie -o "$1" -ldflags "-s -w -linkmode=external \
        -extldflags '-Wl,-z,relro -Wl,-z,now' \
        -X main.version=$LIBVMAF_VERSION -X main.revision=$REVISION" "$2"
}

# Install the licence texts of the modules in a package, and of Go's library, below a directory.
install_module_licences() { # DIRECTORY PACKAGE
    texts=$1
    go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}' "$2" |
        sort -u | while read -r module directory; do
        [ "$module" ] || continue
        (cd "$directory" && find . -type f -not -path '*/testdata/*' \( -name 'LICEN[CS]E*' \
            -o -name License -o -name 'COPYING*' -o -name 'NOTICE*' -o -name 'PATENTS*' \) \
            -exec install -D -m 644 {} "$texts/$module/{}" \;)
    done
    text=$(go env GOROOT)/LICENSE # of a release that is not Debian's
    [ -f "$text" ] || text=/usr/share/doc/golang-$(go env GOROOT | sed 's/.*go-//')-go/copyright
    install -D -m 644 -t "$texts/stdlib" "$text"
}

# Print the digest of the standard input, and of the sources in the current directory.
digest() { sha256sum | sed 's/ .*//; s/^/sha256:/'; }
digest_of_sources() { tar -c --sort=name --mtime=@0 --owner=0 --group=0 . | digest; }

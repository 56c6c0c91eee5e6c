#!/bin/sh
# Fetch the files of sources.lock.
#
#   locked.sh fetch NAME             print the path of a file
#   locked.sh describe NAME TITLE    print its entry in versions.json, with the component's TITLE
#   locked.sh unpack NAME TITLE      unpack a source tarball as /source, with its entry as source.json
#   locked.sh requirements PART      print the wheels of a part as a requirements file of pip
#   locked.sh install PART PACKAGE...
#       Run `apt.sh install` so that the packages that the lock has in a part are the locked files.
#
# A file is taken from the cache mount of sources, from a mirror in the image's list of sources,
# from the address of upstream, or from Debian's archive of the day that the lock names, in this
# order. A file whose digest is not the locked one ends the build, unless VMAF_LOCK is "accept":
# then the release that Debian has now takes its place, and the closing table and versions.json say
# so.
set -eu
verb=$1
name=$2
shift 2
shown=docker/recipes/fetch/locked/sources.lock
lock=/run/recipes/locked/sources.lock
store=/var/cache/sources
lists=/etc/apt/sources.list.d
keys=/usr/share/keyrings/debian-archive-keyring.gpg
ways="Run \`nox -s update\`"
[ "${VMAF_LOCK-}" = accept ] || ways="$ways, or set VMAF_LOCK=accept to build with what Debian has now"
archive=http://snapshot.debian.org/archive/debian/$(awk '$1 == "archive" { print $2 }' $lock)

fail() { echo "locked.sh: $*" >&2 && exit 1; }
digest() { sha256sum "$1" | cut -d' ' -f1; }
names() { awk -v part="$1/" 'index($1, part) == 1 { print $1 }' $lock | xargs; }

# Set the fields of a line of the lock, and the path of its file.
find_line() { # NAME
    read -r version sha256 origin path address <<EOT
$(awk -v name="$1" '$1 == name { print $2, $3, $4, $5, $6 }' $lock)
EOT
    [ "$path" ] || fail "$1 is not in $shown, which has" \
        "$(awk '/^[^#]/ && $1 != "archive" { print $1 }' $lock | xargs)"
    file=$store/$sha256/${path##*/}
    instead=$store/instead-of-$sha256 # has the path of the file that was accepted
}

# Set the mirrors in the image's list of sources, in its order, without the repository of `offer`.
find_mirrors() {
    mirrors=$(sed -n -E 's/^deb (\[[^]]*\] )?([^[ ]+) .*/\2/p; s/^URIs: ([^ ]+).*/\1/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        awk '!/^file:/ && !seen[$0]++' | xargs)
}

# The digest is checked, and not who sends the file, for which there are no certificates.
download() { # URL FILE
    rm -f "$2"
    /usr/lib/apt/apt-helper -q -o APT::Sandbox::User=root -o Acquire::Retries=1 \
        -o "Acquire::http::Timeout=${LOCKED_TIMEOUT:-30}" \
        -o "Acquire::https::Timeout=${LOCKED_TIMEOUT:-30}" \
        -o Acquire::https::Verify-Peer=false -o Acquire::https::Verify-Host=false \
        download-file "$1" "$2" >/dev/shm/locked.log 2>&1 ||
        { grep -E '^(Err|E):' /dev/shm/locked.log >&2 && false; }
}

# Fetch the release that Debian has now in the place of the file of `find_line`; set its path. apt
# checks Debian's signatures. What leaves experimental is in testing some days later.
accept() { # NAME
    package=${path##*/} && package=${package%%_*}
    state=$store/state
    rm -rf "$state" && mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/new"
    touch "$state/status"
    suites=$origin
    [ "$origin" != experimental ] || suites="$origin testing"
    for suite in $suites; do
        for kind in deb deb-src; do
            echo "$kind [signed-by=$keys check-valid-until=no] ${mirrors%% *} $suite main"
        done
    done >"$state/sources.list"
    # Debian's container images delete all packages after an update, also those of the mount.
    printf '#clear APT::Update::Post-Invoke;\nAPT::Sandbox::User "root";\n' >"$state/apt.conf"
    candidate() {
        apt-get -c "$state/apt.conf" -q -o "Dir::Etc::SourceList=$state/sources.list" \
            -o Dir::Etc::SourceParts=- -o "Dir::State=$state" -o "Dir::State::status=$state/status" \
            -o "Dir::Cache=$state/cache" "$@" >&2
    }
    case $path in
    *.deb) kind=download ;;
    *) kind='source --download-only --tar-only --only-source' ;;
    esac
    # shellcheck disable=SC2086 # a list of words
    candidate update && (cd "$state/new" && candidate $kind "$package") || return 1
    accepted=$(find "$state/new" -name "${package}_*" ! -name '*.asc') || return 1
    # A part whose name ends with a release, such as ffmpeg9.0, is of that release.
    series=$(echo "$1" | sed -n 's/^[a-z-]*\([0-9][0-9.]*\)$/\1/p')
    case $(version_of "$accepted") in "$series"*) ;; *) return 1 ;; esac
    now=$(digest "$accepted") || return 1
    mkdir -p "$store/$now" && mv "$accepted" "$store/$now/" || return 1
    accepted=$store/$now/${accepted##*/}
    rm -r "$state"
    if [ "$now" = "$sha256" ]; then
        [ "$accepted" = "$file" ] || mv "$accepted" "$file"
        accepted=$file
        return
    fi
    echo "$accepted" >"$instead"
    echo "#warning the lock has ${path##*/}, and ${accepted##*/} of Debian $origin was accepted" >&2
}

version_of() { # FILE
    case $1 in
    *.deb) dpkg-deb -f "$1" Version ;;
    *) echo "$1" | sed 's/.*_//; s/[.]orig[.]tar[.].*//' ;;
    esac
}

# Fetch a file and print its path.
fetch() { # NAME
    find_line "$1"
    if [ -f "$file" ] && [ "$(digest "$file")" = "$sha256" ]; then
        echo "$file"
        return
    fi
    find_mirrors
    mkdir -p "${file%/*}"
    rm -f "$file"
    found=
    urls=$(for mirror in $mirrors; do echo "$mirror/$path"; done)
    for url in $urls $address "$archive/$path"; do
        if download "$url" "$file.part"; then
            found=$(digest "$file.part")
            break
        fi
    done
    if [ "$found" = "$sha256" ]; then
        mv "$file.part" "$file"
    elif [ "${VMAF_LOCK-}" = accept ] && accept "$1"; then
        rm -f "$file.part"
        file=$accepted
    elif [ "$found" ]; then
        rm "$file.part"
        fail "$url has the content sha256:$found, and $shown has sha256:$sha256 for $1 $version." \
            "Do not use it before you know why."
    else
        fail "neither Debian's mirrors${address:+, nor upstream,} nor Debian's archive have" \
            "${path##*/} (sha256:$sha256), which $shown names. $ways."
    fi
    echo "$file"
}

# Print the entry of a fetched file in versions.json.
describe() { # NAME TITLE
    find_line "$1"
    replaced=
    if [ ! -f "$file" ]; then
        file=$(cat "$instead")
        replaced=", \"lock\": \"accepted instead of $version, sha256:$sha256\""
        version=$(version_of "$file")
    fi
    case $path in
    *.deb) from="Debian package $(dpkg-deb -f "$file" Package) ($origin)" ;;
    *) from="${file##*/} from Debian's pool" ;;
    esac
    printf '{"name": "%s", "version": "%s", "source": "%s", "digest": "sha256:%s"%s}\n' \
        "$2" "$version" "$from" "$(digest "$file")" "$replaced"
}

unpack() { # NAME TITLE
    tarball=$(fetch "$1")
    mkdir -p /source
    # The base has no program for xz, but apt can read it.
    /usr/lib/apt/apt-helper cat-file "$tarball" | tar -x -C /source
    # Most tarballs have a top directory.
    if [ "$(find /source -mindepth 1 -maxdepth 1 | wc -l)" = 1 ]; then
        mv /source/* /top
        rmdir /source && mv /top /source
    fi
    chmod -R a+rX /source # the steps that compile do not run as root
    describe "$1" "$2" >/source/source.json
}

# Make a repository of files, which apt prefers to all others.
offer() { # FILE...
    for deb; do
        dpkg-deb -f "$deb"
        printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' \
            "${deb##*/}" "$(stat -Lc %s "$deb")" "$(digest "$deb")"
        # apt would use another file of that name and size in its cache.
        cp "$deb" /var/cache/apt/archives/
    done >/dev/shm/Packages
    # apt.sh refreshes the index of new sources only, so the name depends on the content.
    rm -rf "${repository-}"
    repository=/dev/shm/$part-$(digest /dev/shm/Packages | cut -c -16)
    mkdir -p "$repository" && mv /dev/shm/Packages "$repository/"
    ln -s "$@" "$repository/"
    # The files have been checked, so apt need not ask for a signature.
    echo "deb [trusted=yes] file:$repository ./" >$lists/locked.list
    printf 'Package: *\nPin: origin ""\nPin-Priority: 1001\n' >/etc/apt/preferences.d/locked
}

# Dependencies are from testing or, if testing has moved on, from Debian's archive of the locked day.
install() { # PART PACKAGE...
    part=$1 && shift
    repository=
    trap 'rm -rf "$repository" $lists/locked.list $lists/archive.list /etc/apt/preferences.d/locked' EXIT
    debs=
    for locked in $(names "$part"); do
        deb=$(fetch "$locked")
        debs="$debs $deb"
    done
    # shellcheck disable=SC2086 # a list of paths without spaces
    offer $debs
    for argument; do # PACKAGE/testing would not be the locked file
        shift
        case " $(names "$part") " in
        *" $part/${argument%/testing} "*) argument=${argument%/testing} ;;
        esac
        set -- "$@" "$argument"
    done
    ! /run/recipes/apt.sh install "$@" || return 0

    echo "locked.sh: testing lacks something; trying $archive" >&2
    echo "deb [signed-by=$keys check-valid-until=no] $archive testing main" >$lists/archive.list
    ! /run/recipes/apt.sh install -o "Acquire::http::Timeout=${LOCKED_TIMEOUT:-30}" "$@" || return 0
    rm $lists/archive.list

    if [ "${VMAF_LOCK-}" = accept ]; then
        debs=
        find_mirrors
        for locked in $(names "$part"); do
            find_line "$locked"
            accept "$locked" || break
            [ "$accepted" = "$file" ] || rm -f "$file" # so that `describe` finds the other one
            debs="$debs $accepted"
        done
        # shellcheck disable=SC2086 # a list of paths without spaces
        [ ! "$debs" ] || offer $debs
        ! /run/recipes/apt.sh install "$@" || return 0
    fi
    fail "neither Debian testing nor its archive has what the packages of $part in $shown need. $ways."
}

case $verb in
fetch) fetch "$name" ;;
describe | unpack | install) $verb "$name" "$@" ;;
requirements)
    awk -v part="$name/" 'index($1, part) == 1 { print $5 "==" $2, "--hash=sha256:" $3 }' $lock
    ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

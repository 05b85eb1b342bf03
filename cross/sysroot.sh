#!/usr/bin/env bash
# Makes the directory that a cross build finds foreign libraries in, and that qemu takes for the root of their system.
#
#   cross/sysroot.sh SYSROOT ARCHITECTURE PACKAGE…     ARCHITECTURE is Debian's name: arm64, riscv64
#
# The C and C++ libraries are those of Debian's cross compiler (/usr/<triplet>), linked into the sysroot. The packages are
# fetched from the archive that apt uses here, verified by its keys, and only unpacked: nothing is installed, the package
# system of this machine learns of no other architecture, no root is needed. Debian 12 has no archive for riscv64; there
# GoogleTest is compiled from its source package.
#
# Makes nothing anew that is complete: the last thing it writes is the list of what is inside.
set -euo pipefail

sysroot=$1 architecture=$2
shift 2
packages=("$@")

say() { printf '%s\n' "$*" >&2; }
die() { say "sysroot.sh: $*"; exit 1; }

contents="$architecture: ${packages[*]}"
[[ $(cat "$sysroot/contents" 2>/dev/null) != "$contents" ]] || exit 0

case $architecture in
    arm64) triplet=aarch64-linux-gnu ;;
    riscv64) triplet=riscv64-linux-gnu ;;
    *) die "unknown architecture: $architecture" ;;
esac
[[ -d /usr/$triplet/lib ]] || die "/usr/$triplet/lib is missing: install g++-$triplet"

rm -rf "$sysroot"
mkdir -p "$sysroot/usr/include" "$sysroot/usr/lib/$triplet/pkgconfig"
sysroot=$(cd "$sysroot" && pwd)
ln -s "/usr/$triplet/lib" "$sysroot/lib"

# Private state for apt below $sysroot/apt. Of the machine's configuration it keeps how to reach the archive (proxies), and
# of its sources those of this Debian release; not its hooks, nor repositories of others, which may have no such architecture.
prepare_apt() {
    local apt=$sysroot/apt sources VERSION_CODENAME=
    # shellcheck source=/dev/null
    . /etc/os-release
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    # shellcheck disable=SC2016 # apt's variables
    sources=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' | grep ' main$') ||
        die 'apt knows no archive of Debian here'
    # By its name; where there is none it is called "stable", or the like.
    { grep " $VERSION_CODENAME" <<<"$sources" || echo "$sources"; } | sort -u |
        sed 's|^|deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] |' >"$apt/sources.list"
    {
        apt-config dump | grep '^Acquire::' | grep -v '^Acquire::IndexTargets' || true
        cat <<CONF
Acquire::Languages "none";
APT::Architecture "$architecture";
APT::Architectures { "$architecture"; };
APT::Sandbox::User "root";
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::Etc::SourceList "$apt/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$apt";
Dir::State::Lists "$apt/lists";
Dir::State::Status "$apt/status";
Dir::Cache "$apt/cache";
CONF
    } >"$apt/apt.conf"
    export APT_CONFIG=$apt/apt.conf
}

# a|b: the first that the archive has.
unpack_packages() {
    local alternatives package found
    local -a chosen=()
    say "fetching $architecture libraries from Debian's archive (unpacked into $sysroot, not installed)"
    prepare_apt
    # One unreachable repository of several is not the end; a package that is missing is.
    apt-get -q update </dev/null >"$sysroot/apt/log" 2>&1 || true
    for alternatives in "${packages[@]}"; do
        found=
        for package in ${alternatives//|/ }; do
            [[ -n $found ]] || ! apt-cache show "$package" >/dev/null 2>&1 || found=$package
        done
        [[ -n $found ]] || { cat "$sysroot/apt/log" >&2; die "the archive has no $alternatives for $architecture"; }
        chosen+=("$found")
    done
    (cd "$sysroot/apt/cache/archives" && apt-get -q download "${chosen[@]}") </dev/null >>"$sysroot/apt/log" 2>&1 ||
        { cat "$sysroot/apt/log" >&2; die "could not download: ${chosen[*]}"; }
    # What a package has in /lib goes where that leads on a system: to /usr/lib. Here /lib is the compiler's.
    for package in "$sysroot"/apt/cache/archives/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$sysroot" --transform='s|^\./lib\b|./usr/lib|'
    done
    rm -rf "$sysroot/apt"
    # Boost's headers are the same on every architecture, and many: they are not fetched again.
    [[ ${packages[*]} != *boost* ]] || ln -s /usr/include/boost "$sysroot/usr/include/boost"
}

compile_googletest() {
    local source=/usr/src/googletest/googletest library=$sysroot/usr/lib/$triplet unit
    [[ -r $source/src/gtest-all.cc ]] || die "$source is missing: install googletest"
    say "compiling GoogleTest for $architecture"
    ln -s "$source/include/gtest" "$sysroot/usr/include/gtest"
    for unit in gtest gtest_main; do
        "$triplet-g++" -std=c++17 -O1 -I"$source" -I"$source/include" -c "$source/src/${unit/%gtest/gtest-all}.cc" \
            -o "$library/$unit.o"
        "$triplet-ar" rcs "$library/lib$unit.a" "$library/$unit.o"
        printf 'Name: %s\nDescription: GoogleTest\nVersion: %s\nLibs: -L/usr/lib/%s -l%s\nCflags: -I/usr/include\n' \
            $unit "$(dpkg-query -W -f '${source:Upstream-Version}' googletest 2>/dev/null || echo 1)" \
            "$triplet" $unit >"$library/pkgconfig/$unit.pc"
    done
}

(( ${#packages[@]} == 0 )) || unpack_packages
[[ -e $sysroot/usr/lib/$triplet/libgtest.a ]] || compile_googletest
echo "$contents" >"$sysroot/contents"

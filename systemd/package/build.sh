#!/usr/bin/env bash
# Builds Callbox's Debian packages, and beside each its list of ingredients (SBOM), into dist/.
#
#   systemd/package/build.sh
#   ARCH="arm64 amd64"   for which machines
#   SUITE=trixie         for which Debian: trixie (13) or bookworm (12); Raspberry Pi OS has the same names
#
# What is not ignored by git in this folder is built, in a Debian of its own (root.sh).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

suite=${SUITE:-trixie}
case $suite in
    trixie) release=13 ;;
    bookworm) release=12 ;;
    *) echo "callbox: SUITE is trixie or bookworm, not $suite" >&2; exit 2 ;;
esac

# Everything that the Debian for building must hold, for both machines.
readonly PACKAGES="build-essential crossbuild-essential-arm64 ca-certificates debhelper lintian swig
 python3-dev python3-pip python3-setuptools python3-wheel python3-argparse-manpage python3-shtab
 portaudio19-dev libpython3-dev:arm64 portaudio19-dev:arm64"

# A version of Python's, as Debian sorts it: 1.0rc1 comes before 1.0. What carries no tag comes before it, too.
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' firmware/callbox/__init__.py)
debian_version=$(sed -E 's/\.?(a|b|rc|dev)([0-9]+)/~\1\2/' <<<"$version")
if ! git describe --exact-match --match "v$version" >/dev/null 2>&1; then
    debian_version+=~git$(TZ=UTC git log -1 --date=format-local:%Y%m%d%H%M%S --format=%cd.%h)
fi
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/source" "$work/out"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [[ ! -e $file && ! -L $file ]] || printf '%s\0' "$file"
done | tar -c --null -T - | tar -x -C "$work/source"

for architecture in ${ARCH:-arm64 amd64}; do
    echo "callbox: building for $architecture, Debian $release" >&2
    systemd/package/root.sh "$suite" amd64,arm64 "${PACKAGES//$'\n'/}" "$work" \
        /exchange/source/systemd/package/inside.sh "$architecture" "$debian_version~deb$release"
done
mkdir -p dist
for file in "$work"/out/*; do
    cp "$file" dist/
    echo "dist/${file##*/}"
done
(cd dist && sha256sum -- callbox_* >SHA256SUMS)

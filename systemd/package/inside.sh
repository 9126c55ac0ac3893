#!/bin/bash
# Runs in the Debian for building, started by build.sh: the source is in /exchange/source, what was built goes to /exchange/out.
set -euo pipefail
architecture=$1 version=$2

cp -a /exchange/source /build
cd /build
cp -a systemd/package/debian .
# The newest part of the change log, in Debian's form.
{
    printf 'callbox (%s) stable; urgency=medium\n' "$version"
    awk '/^## / { if (seen++) exit; next }
         !seen || /^ *$/ { next }
         /^###/ { next }
         /^- / { print "  * " substr($0, 3); next }
         /^  / { print "  " $0; next }
         { print "\n  [ " $0 " ]" }' CHANGELOG.md | fold --spaces --width=76 | sed 's/^\([^ ]\)/    \1/; s/ *$//'
    printf '\n -- %s  %s\n' "$(sed -n 's/^Maintainer: //p' debian/control)" "$(date -R -u -d "@$SOURCE_DATE_EPOCH")"
} >debian/changelog

dpkg-buildpackage --build=binary --host-arch="$architecture" --no-check-builddeps --unsigned-changes --no-pre-clean \
    >/exchange/build.log 2>&1 || { tail -n 60 /exchange/build.log; exit 1; } >&2
package=/callbox_${version}_$architecture.deb
lintian --fail-on error --tag-display-limit 0 --allow-root "$package" >&2
cp "$package" /exchange/out/
cp /build/debian/callbox/usr/share/doc/callbox/callbox.cdx.json "/exchange/out/$(basename "$package" .deb).cdx.json"

#!/bin/sh
# SPDX-License-Identifier: MIT
# Install the Debian packages that building and testing need, and those named, if any is missing.
set -eu

packages="gcc g++ libc6-dev pkg-config meson ninja-build
libjson-c-dev libsmartcols-dev libpci-dev libinih-dev libseccomp-dev liburing-dev
libcmocka-dev python3-pytest python3-hypothesis python3-docutils
pciutils valgrind util-linux $*"

command -v dpkg-query >/dev/null || {
	echo "This is no Debian: what is needed is listed in $0, under Debian's names." >&2
	exit 0
}

missing=
for p in $packages; do
	dpkg-query -W -f='${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed' ||
		missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
	as_root=
elif command -v sudo >/dev/null; then
	as_root=sudo
else
	echo "Packages are missing. As root, run:" >&2
	echo "  apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
echo "Installing:$missing"
# A list of packages that is there already may do, and a stale one does not: then ask for a new one.
install() {
	DEBIAN_FRONTEND=noninteractive $as_root apt-get -qq install --no-install-recommends -y \
		$missing >"$log" 2>&1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install || { $as_root apt-get -qq update >>"$log" 2>&1 && install; } || {
	cat "$log" >&2
	echo "The packages could not be installed; the lines above say why." >&2
	exit 1
}

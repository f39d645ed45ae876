#!/bin/sh
# SPDX-License-Identifier: MIT
# Unpack a kernel of Debian's, for guests, into DIR: DIR/boot and DIR/lib/modules. It is not installed.
# Where it cannot be had, the tests that need it are skipped, and so this is no failure.
#   dist/guest-kernel.sh DIR
set -eu

dir=$1
[ ! -d "$dir/boot" ] || exit 0
command -v apt-get >/dev/null || exit 0

name=$(apt-cache depends linux-image-amd64 2>/dev/null |
	sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1)
[ -n "$name" ] || exit 0
part=$dir.part
rm -rf "$part"
mkdir -p "$part"
if (cd "$part" && apt-get -qq download "$name" >/dev/null 2>&1); then
	dpkg -x "$part"/*.deb "$part/unpacked"
	mv "$part/unpacked" "$dir"
else
	echo "No kernel for guests: $name could not be fetched." >&2
fi
rm -rf "$part"

#!/bin/sh
# SPDX-License-Identifier: MIT
# The whole of it in one run: vfiod serves a PCI device, lsvfio shows it, and an unprivileged program
# sends a file through its DMA engine and back, by interrupts.   examples/demo.sh BUILD FILE
set -eu

build=$1 file=$2
[ -r "$file" ] && [ -f "$file" ] || {
	echo "demo: $file is not a file that can be read; try: make demo FILE=/path/to/one" >&2
	exit 1
}

# Not in $TMPDIR, which may be root's own: the driver runs as somebody else.
dir=$(mktemp -d /tmp/vfio-demo-XXXXXX)
vfiod=
end() {
	[ -z "$vfiod" ] || kill "$vfiod" 2>/dev/null || true
	[ -z "$vfiod" ] || wait "$vfiod" 2>/dev/null || true
	rm -rf "$dir"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

bold= plain=
[ ! -t 1 ] || { bold=$(printf '\033[1m'); plain=$(printf '\033[0m'); }
say() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

# What users run is what is installed, so install: into a directory that any user can enter.
chmod 755 "$dir"
meson install -C "$build" --no-rebuild --quiet --destdir "$dir/root"
for program in vfiod lsvfio edu-copy; do
	PATH="$(dirname "$(find "$dir/root" -name "$program" -type f)"):$PATH"
done
lib=$(dirname "$(find "$dir/root" -name 'libvfio.so.?')")
export PATH LD_LIBRARY_PATH="$lib"
export VFIO_DEVICE_PATH="$lib/vfio" VFIOD_RUNTIME_DIR="$dir/run"

# As root: the socket belongs to nobody, and the driver runs as nobody, without any capability.
mkdir -m 755 "$dir/run" "$dir/work"
user=
if [ "$(id -u)" = 0 ]; then
	owner=nobody group=nogroup
	user="setpriv --reuid=nobody --regid=nogroup --clear-groups --bounding-set=-all --inh-caps=-all"
	# What the device's process runs as: somebody else.
	run_as="user = daemon"
else
	owner=$(id -un) group=$(id -gn) run_as=
fi
cp -- "$file" "$dir/work/in"
chmod 644 "$dir/work/in"
[ -z "$user" ] || chown nobody:nogroup "$dir/work"
cat >"$dir/demo.conf" <<END
[vfiod]
$run_as

[edu0]
device = edu
socket = $dir/edu0.sock
owner = $owner
group = $group
mode = 0600
END

say "1. vfiod serves QEMU's \"edu\" PCI device from a process of its own"
sed 's/^/   | /' "$dir/demo.conf"
vfiod --config "$dir/demo.conf" &
vfiod=$!
tries=0
until lsvfio --no-pci --raw --noheadings -o STATE 2>/dev/null | grep -q ready; do
	tries=$((tries + 1))
	[ "$tries" -lt 100 ] && kill -0 "$vfiod" 2>/dev/null || {
		echo "demo: vfiod did not get ready" >&2
		exit 1
	}
	sleep 0.1
done

say "2. lsvfio shows it, among the machine's own devices"
lsvfio
say "   ... and in full"
lsvfio edu0

say "3. edu-copy, an unprivileged driver, sends $file through the device and back"
$user env VFIO_DEVICE="unix:$dir/edu0.sock" edu-copy "$dir/work/in" "$dir/work/out"
if cmp "$file" "$dir/work/out"; then
	echo "cmp: both files are the same"
else
	exit 1
fi

say "4. vfiod ends and leaves nothing behind"
kill "$vfiod"
wait "$vfiod"
vfiod=
[ ! -e "$dir/edu0.sock" ] || { echo "demo: the socket is still there" >&2; exit 1; }
say "All was right."

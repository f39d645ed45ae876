#!/bin/sh
# SPDX-License-Identifier: MIT
# The whole of it in one run: vfiod serves an NVMe disk, lsvfio shows it, and an unprivileged
# program copies a file onto it and back, and measures it.   examples/demo.sh BUILD FILE
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
for program in vfiod lsvfio vfio-nvme; do
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
	run_as="user = daemon" keeper=daemon
else
	owner=$(id -un) group=$(id -gn) run_as= keeper=$owner
fi
cp -- "$file" "$dir/work/in"
chmod 644 "$dir/work/in"
[ -z "$user" ] || chown nobody:nogroup "$dir/work"

# The disk. An empty one is easily read: this one is full of bytes.
image=$dir/disk.img
size=$((256 << 20))
[ "$(stat -Lc %s -- "$file")" -le "$size" ] || {
	echo "demo: $file is larger than the disk of 256 MiB; try a smaller FILE" >&2
	exit 1
}
head -c "$size" /dev/urandom >"$image"
chmod 600 "$image"
[ -z "$user" ] || chown "$keeper" "$image"
cat >"$dir/demo.conf" <<END
[vfiod]
$run_as

[nvme0]
device = nvme,file=$image
socket = $dir/nvme0.sock
owner = $owner
group = $group
mode = 0600
END

say "1. vfiod serves an NVMe disk of 256 MiB, a file, from a process of its own"
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

export VFIO_DEVICE="unix:$dir/nvme0.sock"
say "3. vfio-nvme, an unprivileged driver (user $owner), brings it up and asks who it is"
$user vfio-nvme identify | grep -E '^[A-Z]|model|version|queue entries|  size|  block '

say "4. ... copies $file onto it, and back"
$user vfio-nvme copy-in --verify "$dir/work/in"
$user vfio-nvme copy-out --size "$(stat -Lc %s -- "$file")" "$dir/work/out"
cmp "$file" "$dir/work/out"
echo "cmp: both files are the same"

say "5. lsvfio shows the disk; left out here: its configuration space, bit by bit"
lsvfio nvme0 >"$dir/shown.txt"
sed "/^CONFIGURATION SPACE/,\$d" "$dir/shown.txt"

say "6. Five seconds of random reads, 4 KiB each, 32 under way at once, answers polled for"
$user vfio-nvme bench --pattern randread --size 4k --depth 32 --poll --seconds 5 |
	tee "$dir/disk.txt"
say "   ... and as many seconds of pread(2) on the same file, without any disk"
vfio-nvme bench --plain "$image" --pattern randread --size 4k --seconds 5 >"$dir/plain.txt"
for what in disk plain; do
	printf '%-8s %s\n' "$what" "$(sed -n 's/^  rate *//p' "$dir/$what.txt")"
done

say "7. vfiod ends and leaves nothing behind"
kill "$vfiod"
wait "$vfiod"
vfiod=
[ ! -e "$dir/nvme0.sock" ] || { echo "demo: the socket is still there" >&2; exit 1; }
say "All was right."

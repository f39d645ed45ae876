#!/bin/sh
# SPDX-License-Identifier: MIT
# Run every test in each build directory and sum up: tests/run.sh BUILD ASAN-BUILD TSAN-BUILD
set -u

passed=0 failed=0 skipped=0

# count KEY: the number behind "KEY:" in meson's closing lines
count() {
	sed -n "s/^$1: *\([0-9]*\).*/\1/p" "$log" | tail -n 1 | grep . || echo 0
}

# run TITLE BUILD [ARGUMENTS of meson test]
run() {
	title=$1 build=$2
	shift 2
	echo "== $title"
	ninja -C "$build" >"$log" 2>&1 || { cat "$log"; echo "$build does not build"; exit 1; }
	meson test -C "$build" --print-errorlogs "$@" >"$log" 2>&1
	status=$?
	grep -v '^ninja: ' "$log"
	passed=$((passed + $(count Ok)))
	bad=$(($(count Fail) + $(count Timeout) + $(count 'Unexpected Pass')))
	[ "$status" = 0 ] || [ "$bad" != 0 ] || bad=1
	failed=$((failed + bad))
	skipped=$((skipped + $(count Skipped)))
}

# A kernel for guests, if nobody has named one: dist/guest-kernel.sh may have left it there.
for image in "$1"/guest-kernel/boot/vmlinuz-*; do
	[ -z "${VFIO_GUEST_KERNEL-}" ] && [ -r "$image" ] || continue
	VFIO_GUEST_KERNEL=$(realpath "$image")
	VFIO_GUEST_MODULES=$(realpath "$1"/guest-kernel/lib/modules/*)
	export VFIO_GUEST_KERNEL VFIO_GUEST_MODULES
done

log=$(mktemp)
trap 'rm -f "$log"' EXIT
run "all tests" "$1"
run "all tests, AddressSanitizer and UBSan" "$2" --timeout-multiplier 3 --no-suite once
run "what has threads, ThreadSanitizer" "$3" --timeout-multiplier 3 --suite unit --suite conformance
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]

#!/bin/sh
# SPDX-License-Identifier: MIT
# Fuzz each target for SECONDS (60), one after the other: fuzz/run.sh [SECONDS [TARGET…]]
# New inputs stay in build-fuzz/corpus, inputs that crash in build-fuzz/crashes. To take what is
# new into the tree: build-fuzz/fuzz/fuzzer-NAME -merge=1 fuzz/corpus/NAME build-fuzz/corpus/NAME
set -eu

cd "$(dirname "$0")/.."
build="build-fuzz"
seconds=${1:-60}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- capture config decode dump function hardware link machine nvme_device \
	nvme_driver range_map server space spaces version

# quietly LOG COMMAND…: show what it said only if it fails.
quietly()
{
	log=$1
	shift
	"$@" >"$log" 2>&1 || { cat "$log" >&2; return 1; }
}

fuzz()
{
	mkdir -p $build/corpus/"$1" $build/crashes
	$build/fuzz/fuzzer-"$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
		-max_len=4096 -print_final_stats=1 -artifact_prefix=$build/crashes/"$1"- \
		$build/corpus/"$1" fuzz/corpus/"$1" >$build/"$1".log 2>&1
}

case $seconds in
'' | *[!0-9]*) echo "usage: fuzz/run.sh [SECONDS [TARGET…]]" >&2; exit 2 ;;
esac
export CC="${CC:-clang}"
mkdir -p $build
[ -e $build/build.ninja ] || quietly $build/setup.log meson setup $build \
	-Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=debugoptimized \
	-Dc_args=-fsanitize=fuzzer-no-link

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:abort_on_error=1:print_stacktrace=1
failed=
for name in "$@"; do
	quietly $build/ninja.log ninja -C $build fuzz/fuzzer-"$name"
	echo "$name: $seconds s"
	fuzz "$name" || failed="$failed $name"
	grep -E 'ERROR|SUMMARY|does not hold|number_of_executed' $build/"$name".log || true
done
if [ -n "$failed" ]; then
	echo "crashed:$failed; see $build/crashes and $build/NAME.log" >&2
	exit 1
fi

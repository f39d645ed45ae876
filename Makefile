# SPDX-License-Identifier: MIT
# A thin door to meson: each target sets up what it needs, installed packages included.

FILE ?= /usr/bin/perl
SECONDS ?= 60
SANITIZE = -Db_lundef=false -Dbuildtype=debugoptimized

all: build/build.ninja
	@ninja -C build

setup:
	@dist/setup.sh

build/build.ninja: | setup
	@meson setup build >build-setup.log 2>&1 || { cat build-setup.log; exit 1; }
	@rm -f build-setup.log

build-asan/build.ninja: | setup
	@meson setup build-asan $(SANITIZE) -Db_sanitize=address,undefined >/dev/null

build-tsan/build.ninja: | setup
	@meson setup build-tsan $(SANITIZE) -Db_sanitize=thread >/dev/null

# Serve a disk, look at it, copy FILE onto it and back as an unprivileged user, and measure it.
demo: all
	@examples/demo.sh build "$(FILE)"

# Everything: plain, under AddressSanitizer and UBSan, and what has threads under ThreadSanitizer. Where
# a guest cannot be had, its tests are skipped.
test: all build-asan/build.ninja build-tsan/build.ninja
	@dist/setup.sh qemu-system-x86 busybox-static cpio || true
	@dist/guest-kernel.sh build/guest-kernel
	@tests/run.sh build build-asan build-tsan

bench: all
	@meson test -C build --benchmark --verbose

# What the library costs over a device of the kernel's, in a guest.
bench-guest: all
	@dist/setup.sh qemu-system-x86 busybox-static cpio || true
	@dist/guest-kernel.sh build/guest-kernel
	@if [ -z "$$VFIO_GUEST_KERNEL" ]; then \
		export VFIO_GUEST_KERNEL=$$(echo build/guest-kernel/boot/vmlinuz-*); \
		export VFIO_GUEST_MODULES=$$(echo build/guest-kernel/lib/modules/*); \
	fi; VFIO_BUILD="$(CURDIR)/build" tests/guest/costs.py

# Look for inputs that break something, SECONDS for each target; the corpus is replayed by `make test`.
fuzz:
	@dist/setup.sh clang libclang-rt-14-dev
	@fuzz/run.sh $(SECONDS)

# Honest clients among hostile ones, for SECONDS.
torture: all
	@VFIO_BUILD="$(CURDIR)/build" tests/torture/torture.py $(SECONDS)

# Random work on NVMe disks that are reset and killed meanwhile, each read checked: SECONDS for each.
nvme-torture: all
	@VFIO_BUILD="$(CURDIR)/build" tests/nvme-torture/check.py --seconds $(SECONDS)

install: all
	@meson install -C build

clean:
	@rm -rf build build-asan build-tsan build-fuzz

.PHONY: all setup demo test bench bench-guest fuzz torture nvme-torture install clean

/* SPDX-License-Identifier: MIT */
/* A device by nothing but sysfs: files in a folder, which may lie. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/raw.h"
#include "base/bits.h"
#include "fake_hardware.h"
#include "tree.h"

#define NONE   "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
#define MEMORY "0x00000000febf0000 0x00000000febf3fff 0x0000000000040200\n"
#define SMALL  "0x00000000fe100100 0x00000000fe10011f 0x0000000000040200\n"
#define PORTS  "0x000000000000c000 0x000000000000c01f 0x0000000000040101\n"
#define ROM    "0x00000000fe200000 0x00000000fe200fff 0x0000000000046200\n"

/* As where the kernel is locked down. */
static bool locked_down;

ssize_t __real_pwrite(int fd, const void *buf, size_t len, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t offset);

ssize_t __wrap_pwrite(int fd, const void *buf, size_t len, off_t offset)
{
	if (!locked_down)
		return __real_pwrite(fd, buf, len, offset);
	errno = EPERM;
	return -1;
}

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t len, off_t offset)
{
	return __wrap_pwrite(fd, buf, len, offset);
}

/* BAR 0 of 16 KiB with MSI-X in its third page, BAR 1 of 32 bytes in a page, BAR 2 of 32 ports. */
static void make_device(struct tree *t, struct fake_hardware *h)
{
	uint8_t registers[0x4000] = { 0 }, rom[0x1000] = { 0x55, 0xaa };

	fake_init(h);
	fake_put(h, PCI_BASE_ADDRESS_1, 4, 0xfe100100);
	fake_put(h, PCI_BASE_ADDRESS_2, 4, 0xc001);
	make_bytes(t, DEV "/config", h->bytes, sizeof(h->bytes));
	make_file(t, DEV "/resource", MEMORY SMALL PORTS NONE NONE NONE ROM);
	registers[0] = 0x5a;
	make_bytes(t, DEV "/resource0", registers, sizeof(registers));
	make_bytes(t, DEV "/resource1", registers, 0x20);
	make_bytes(t, DEV "/resource2", registers, 0x20);
	make_bytes(t, DEV "/rom", rom, sizeof(rom));
	make_file(t, DEV "/reset", "");
}

static int setup(void **state)
{
	struct fake_hardware h;
	int r = tree_setup(state);

	if (r == 0)
		make_device(*state, &h);
	return r;
}

static struct raw *must_open(struct tree *t)
{
	struct raw *raw;

	if (raw_open(&raw, &t->roots, BDF, &t->err) < 0)
		fail_msg("%s / %s", t->err.what, t->err.remedy);
	return raw;
}

/* What a file of the device's folder has. */
static uint32_t in_file(struct tree *t, const char *name, unsigned int at, unsigned int width)
{
	char path[PATH_MAX];
	uint8_t bytes[4] = { 0 };
	int fd;

	path_of(t, name, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, width, at), width);
	close(fd);
	return le_get(bytes, width);
}

/* ---- as it should be ------------------------------------------------------------------------- */

static void a_device(void **state)
{
	struct tree *t = *state;
	struct raw *raw = must_open(t);
	struct vfio_region r;

	assert_int_equal(in_file(t, DEV "/config", PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	assert_int_equal(in_file(t, DEV "/reset", 0, 1), '1');
	assert_int_equal(function_region(raw->fn, 0, &r), 0);
	assert_int_equal(r.size, 0x4000);
	assert_int_equal(r.nareas, 2);			/* but for the page of the vectors */
	assert_int_equal(r.areas[0].size, 0x2000);
	assert_int_equal(r.areas[1].offset, 0x3000);
	assert_int_equal(r.fd, raw->bars[0].fd);
	assert_int_equal(function_region(raw->fn, 1, &r), 0);
	assert_int_equal(r.size, 0x20);
	assert_int_equal(r.nareas, 0);
	/* sysfs has an image in this file; here there is what was written: no image, but a BAR. */
	assert_int_equal(function_region(raw->fn, VFIO_PCI_ROM_REGION_INDEX, &r), 0);
	assert_int_equal(r.size, 0);
	assert_int_equal(raw->fn->rom_size, 0x1000);
	assert_int_equal(in_file(t, DEV "/rom", 0, 2), '0' | '\n' << 8);
	vfio_function_free(raw->fn);
}

static void registers(void **state)
{
	struct tree *t = *state;
	struct raw *raw = must_open(t);
	uint32_t value = 0;

	assert_int_equal(function_read(raw->fn, 0, 0, &value, 4), 4);
	assert_int_equal(value, 0x5a);
	value = 0x11223344;
	assert_int_equal(function_write(raw->fn, 0, 0x1000, &value, 4), 4);
	assert_int_equal(in_file(t, DEV "/resource0", 0x1000, 4), 0x11223344);
	/* In the page of the vectors, behind them: through the callbacks. */
	assert_int_equal(function_write(raw->fn, 0, 0x2800, &value, 4), 4);
	assert_int_equal(in_file(t, DEV "/resource0", 0x2800, 4), 0x11223344);
	/* The vectors themselves: nobody's. */
	assert_int_equal(function_write(raw->fn, 0, 0x2000, &value, 4), 4);
	assert_int_equal(in_file(t, DEV "/resource0", 0x2000, 4), 0);
	vfio_function_free(raw->fn);
}

static void ports(void **state)
{
	struct tree *t = *state;
	struct raw *raw = must_open(t);
	uint64_t value = 0x8877665544332211;

	assert_int_equal(function_write(raw->fn, 2, 8, &value, 8), 8);
	assert_int_equal(in_file(t, DEV "/resource2", 12, 4), 0x88776655);
	value = 0;
	assert_int_equal(function_read(raw->fn, 2, 8, &value, 2), 2);
	assert_int_equal(value, 0x2211);
	assert_int_equal(function_read(raw->fn, 2, 8, &value, 8), 8);
	assert_int_equal(value, 0x8877665544332211);
	vfio_function_free(raw->fn);
}

/* A user of it leaves bus mastering on and registers set: closing puts back what was there. */
static void given_back(void **state)
{
	struct tree *t = *state;
	struct raw *raw = must_open(t);
	uint16_t command = 0x0507;
	uint8_t line = 9;

	assert_int_equal(function_write(raw->fn, VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, &command, 2),
			 2);
	function_write(raw->fn, VFIO_PCI_CONFIG_REGION_INDEX, PCI_CACHE_LINE_SIZE, &line, 1);
	assert_int_equal(in_file(t, DEV "/config", PCI_COMMAND, 2) & PCI_COMMAND_MASTER,
			 PCI_COMMAND_MASTER);
	vfio_function_free(raw->fn);
	assert_int_equal(in_file(t, DEV "/config", PCI_COMMAND, 2), PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(in_file(t, DEV "/config", PCI_CACHE_LINE_SIZE, 1), 0);
	assert_int_equal(in_file(t, DEV "/config", PCI_BASE_ADDRESS_0, 4), 0xfebf0000);
}

static void without_reset(void **state)
{
	struct tree *t = *state;
	struct raw *raw;

	drop(t, DEV "/reset");
	drop(t, DEV "/rom");
	raw = must_open(t);
	assert_int_equal(function_reset(raw->fn), -EINVAL);
	vfio_function_free(raw->fn);
}

/* In their registers there is nothing: their IDs are sysfs's. */
static void a_virtual_function(void **state)
{
	struct tree *t = *state;
	struct fake_hardware h;
	struct raw *raw;
	uint32_t ids;

	fake_init(&h);
	memset(h.bytes, 0xff, 4);
	memset(h.bytes + PCI_BASE_ADDRESS_0, 0, 24);
	make_bytes(t, DEV "/config", h.bytes, sizeof(h.bytes));
	make_link(t, DEV "/physfn", "../0000:03:00.1");
	make_file(t, DEV "/vendor", "0x8086\n");
	make_file(t, DEV "/device", "0x154c\n");
	raw = must_open(t);
	assert_int_equal(function_read(raw->fn, VFIO_PCI_CONFIG_REGION_INDEX, 0, &ids, 4), 4);
	assert_int_equal(ids, 0x154c8086);
	vfio_function_free(raw->fn);
	make_file(t, DEV "/device", "0x\n");
	assert_says(t, raw_open(&raw, &t->roots, BDF, &t->err), EINVAL, VFIO_E_SYSFS, DEV "/device",
		    "sysfs");
}

/* ---- what is missing, and lies --------------------------------------------------------------- */

static void assert_fails(struct tree *t, int e, enum vfio_error_code code, const char *what,
			 const char *remedy)
{
	struct raw *raw;

	memset(&t->err, 0, sizeof(t->err));
	assert_says(t, raw_open(&raw, &t->roots, BDF, &t->err), e, code, what, remedy);
	assert_null(raw);
}

static void no_device(void **state)
{
	struct tree *t = *state;
	struct raw *raw;

	assert_says(t, raw_open(&raw, &t->roots, "0000:04:00.0", &t->err), ENODEV, VFIO_E_NO_DEVICE,
		    "0000:04:00.0", "lsvfio");
}

/* To others than root the kernel shows 64 bytes: here the file is longer than what can be read. */
static void sixty_four_bytes(void **state)
{
	struct tree *t = *state;
	struct fake_hardware h;

	fake_init(&h);
	make_bytes(t, DEV "/config", h.bytes, 64);
	assert_fails(t, EINVAL, VFIO_E_SYSFS, DEV "/config", "sysfs");
	drop(t, DEV "/config");
	assert_fails(t, ENOENT, VFIO_E_SYSTEM, DEV "/config", "");
	memset(h.bytes, 0xff, sizeof(h.bytes));
	make_bytes(t, DEV "/config", h.bytes, sizeof(h.bytes));
	assert_fails(t, ENODEV, VFIO_E_GONE, "does not answer", "pulled");
	fake_init(&h);
	h.bytes[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
	make_bytes(t, DEV "/config", h.bytes, sizeof(h.bytes));
	assert_fails(t, ENODEV, VFIO_E_BIND, "bridge", "behind it");
}

static void lies_about_resources(void **state)
{
	static const char *const rows[] = {
		"", "\n", MEMORY, "0x0 0x0\n" NONE NONE NONE NONE NONE NONE,
		"no numbers at all\n" NONE NONE NONE NONE NONE NONE,
		/* it ends before it begins; is no power of two; lies askew; is too large */
		"0x00000000febf0000 0x00000000febe3fff 0x40200\n" NONE NONE NONE NONE NONE NONE,
		"0x00000000febf0000 0x00000000febf2fff 0x40200\n" NONE NONE NONE NONE NONE NONE,
		"0x00000000febf1000 0x00000000febf4fff 0x40200\n" NONE NONE NONE NONE NONE NONE,
		"0x0000000000000000 0xffffffffffffffff 0x140204\n" NONE NONE NONE NONE NONE NONE,
		/* of both kinds; not what config says; a 64-bit one in the last place */
		"0x000000000000c000 0x000000000000c01f 0x40300\n" NONE NONE NONE NONE NONE NONE,
		"0x000000000000c000 0x000000000000c01f 0x40100\n" NONE NONE NONE NONE NONE NONE,
		NONE NONE NONE NONE NONE "0x00000000febf0000 0x00000000febf3fff 0x140200\n" NONE,
		/* a ROM of 4 GiB */
		NONE NONE NONE NONE NONE NONE "0x0000000100000000 0x00000001ffffffff 0x46200\n",
	};
	struct tree *t = *state;

	make_file(t, DEV "/resource5", "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char path[PATH_MAX];

		make_file(t, DEV "/resource", rows[i]);
		path_of(t, DEV "/resource5", path);
		assert_int_equal(truncate(path, 0x4000), 0);
		path_of(t, DEV "/resource0", path);
		assert_int_equal(truncate(path, i == 10 ? 0x20 : 0x4000), 0);
		assert_fails(t, EINVAL, VFIO_E_SYSFS, DEV "/resource", "sysfs");
	}
}

static void lies_about_a_bar(void **state)
{
	struct tree *t = *state;

	make_file(t, DEV "/resource0", "short");
	assert_fails(t, EINVAL, VFIO_E_SYSFS, DEV "/resource0", "sysfs");
	drop(t, DEV "/resource0");
	make_folder(t, DEV "/resource0");
	assert_fails(t, EISDIR, VFIO_E_SYSTEM, DEV "/resource0", "");
	drop(t, DEV "/resource0");
	make_link(t, DEV "/resource0", "resource1");
	assert_fails(t, ELOOP, VFIO_E_SYSTEM, DEV "/resource0", "");
	drop(t, DEV "/resource0");
	assert_fails(t, ENOENT, VFIO_E_SYSTEM, DEV "/resource0", "");
}

/* Lists of capabilities that loop, and vectors that lie nowhere: the function stands. */
static void configuration_space_of_noise(void **state)
{
	struct tree *t = *state;
	struct fake_hardware h;

	srand(7);
	for (unsigned int i = 0; i < 200; i++) {
		struct raw *raw;

		fake_init(&h);
		for (unsigned int k = 0; k < 40; k++)
			h.bytes[0x34 + rand() % (0x180 - 0x34)] = rand();
		h.bytes[FAKE_PM + PCI_PM_CTRL] &= ~3;
		make_bytes(t, DEV "/config", h.bytes, sizeof(h.bytes));
		if (raw_open(&raw, &t->roots, BDF, &t->err) == 0) {
			uint8_t bytes[4096];

			function_read(raw->fn, VFIO_PCI_CONFIG_REGION_INDEX, 0, bytes, sizeof(bytes));
			vfio_function_free(raw->fn);
		} else {
			assert_int_equal(t->err.code, VFIO_E_SYSFS);
		}
	}
}

#define row(f) cmocka_unit_test_setup_teardown(f, setup, tree_teardown)

/* Ports and configuration space can be opened and read. */
static void a_kernel_that_is_locked_down(void **state)
{
	struct tree *t = *state;
	struct raw *raw;

	locked_down = true;
	assert_says(t, raw_open(&raw, &t->roots, BDF, &t->err), EPERM, VFIO_E_PERMISSION,
		    "writing", "vfio-pci");
	locked_down = false;
	assert_null(raw);
	vfio_function_free(must_open(t)->fn);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		row(a_device), row(registers), row(ports), row(given_back), row(without_reset),
		row(a_virtual_function), row(no_device), row(sixty_four_bytes),
		row(lies_about_resources), row(lies_about_a_bar), row(configuration_space_of_noise),
		row(a_kernel_that_is_locked_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

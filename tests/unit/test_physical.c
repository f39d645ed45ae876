/* SPDX-License-Identifier: MIT */
/* Where memory physically is: the sources, real and made up, and what is made of what they say. */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/driver.h>

#include "base/capability.h"
#include "iommu/physical.h"
#include "iommu/pin.h"

#define PAGE    4096u
#define PAGES   600u			/* more than are asked for at once */
#define PRESENT (1ull << 63)
#define SWAPPED (1ull << 62)

#define CAP_SYS_ADMIN 21

static void *memory_of(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static void assert_refused(int r, const struct vfio_error *err, int e, enum vfio_error_code code,
			   const char *word)
{
	if (r != -e || err->err != e || err->code != code ||
	    (!strstr(err->what, word) && !strstr(err->remedy, word)))
		fail_msg("%d, VFIO-%03d: %s / %s", r, err->code, err->what, err->remedy);
}

/* ---- neighbours ----------------------------------------------------------------------------- */

static void neighbours_become_one(void **state)
{
	struct physical_segment list[3];
	struct physical_list l = { .list = list, .max = 2 };

	physical_add(&l, 0x1000, 0x1000);
	physical_add(&l, 0x2000, 0x800);
	physical_add(&l, 0x2800, 0x800);
	assert_int_equal(l.count, 1);
	assert_int_equal(list[0].address, 0x1000);
	assert_int_equal(list[0].size, 0x2000);
	physical_add(&l, 0x2000, 0x1000);	/* behind itself is not beside itself */
	list[2].address = 7;
	physical_add(&l, 0x9000, 0x1000);
	physical_add(&l, 0xa000, 0x1000);	/* of what is not stored, too */
	assert_int_equal(l.count, 3);
	assert_int_equal(list[1].size, 0x1000);
	assert_int_equal(list[2].address, 7);
}

/* ---- a pagemap that was made up ------------------------------------------------------------- */

/* A file that holds the entries of PAGES pages from memory on. */
struct map_file {
	char path[64];
	int fd;
	uint8_t *memory;
	struct physical_source *source;
	struct vfio_error err;
};

static void set_entry(struct map_file *f, size_t page, uint64_t entry)
{
	off_t at = ((uintptr_t)f->memory / PAGE + page) * sizeof(entry);

	assert_int_equal(pwrite(f->fd, &entry, sizeof(entry), at), sizeof(entry));
}

static int setup(void **state)
{
	struct map_file *f = calloc(1, sizeof(*f));

	strcpy(f->path, "/tmp/vfio-unit-XXXXXX");
	f->fd = mkstemp(f->path);
	assert_true(f->fd >= 0);
	f->memory = memory_of(PAGES * PAGE);
	for (size_t i = 0; i < PAGES; i++)
		set_entry(f, i, PRESENT | (0x40000 + i));
	assert_int_equal(physical_open_pagemap(&f->source, f->path, &f->err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct map_file *f = *state;

	physical_close(f->source);
	munmap(f->memory, PAGES * PAGE);
	unlink(f->path);
	close(f->fd);
	free(f);
	return 0;
}

static int segments(struct map_file *f, size_t offset, size_t size, struct physical_segment *list,
		    unsigned int max)
{
	memset(&f->err, 0, sizeof(f->err));
	return f->source->segments(f->source, f->memory + offset, size, list, max, &f->err);
}

static void one_segment(void **state)
{
	struct physical_segment s;

	assert_int_equal(segments(*state, 0, PAGES * PAGE, &s, 1), 1);
	assert_true(s.address == 0x40000000 && s.size == PAGES * PAGE);
	assert_int_equal(segments(*state, PAGE + 100, 50, &s, 1), 1);
	assert_true(s.address == 0x40001064 && s.size == 50);
	assert_int_equal(segments(*state, PAGE - 8, PAGE + 16, &s, 1), 1);
	assert_true(s.address == 0x40000ff8 && s.size == PAGE + 16);
}

/* Every place where it could break: between pages, between two readings, at the ends. */
static void several_segments(void **state)
{
	static const size_t breaks[] = { 1, 2, 255, 256, 257, 511, 512, 599 };
	struct map_file *f = *state;

	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		struct physical_segment s[2];

		for (size_t page = 0; page < PAGES; page++)
			set_entry(f, page, PRESENT | ((page < breaks[i] ? 0x40000 : 0x50000) + page));
		assert_int_equal(segments(f, 0, PAGES * PAGE, s, 2), 2);
		assert_int_equal(s[0].size, breaks[i] * PAGE);
		assert_int_equal(s[1].address, 0x50000000 + breaks[i] * PAGE);
		assert_int_equal(s[1].size, (PAGES - breaks[i]) * PAGE);
	}
}

static void more_than_there_is_room_for(void **state)
{
	struct physical_segment s[3] = { [2] = { .size = 7 } };
	struct map_file *f = *state;

	for (size_t page = 0; page < PAGES; page++)
		set_entry(f, page, PRESENT | (0x90000 - page));
	assert_int_equal(segments(f, 0, PAGES * PAGE, s, 2), PAGES);
	assert_int_equal(s[1].address, 0x8ffff000);
	assert_int_equal(s[2].size, 7);
	assert_int_equal(segments(f, 0, PAGES * PAGE, NULL, 0), PAGES);
}

/* An unprivileged reader is given frames of zero, which are nobody's address. */
static void hidden_frames(void **state)
{
	struct physical_segment s = { 7, 7 };
	struct map_file *f = *state;

	set_entry(f, 3, PRESENT);
	assert_refused(segments(f, 0, PAGES * PAGE, &s, 1), &f->err, EPERM, VFIO_E_UNSAFE,
		       "CAP_SYS_ADMIN");
	set_entry(f, 3, PRESENT | SWAPPED >> 1);	/* other bits are no frame */
	assert_refused(segments(f, 3 * PAGE, 1, &s, 1), &f->err, EPERM, VFIO_E_UNSAFE, "pagemap");
}

static void pages_that_are_elsewhere(void **state)
{
	struct physical_segment s;
	struct map_file *f = *state;

	set_entry(f, 5, 0);
	assert_refused(segments(f, 0, 6 * PAGE, &s, 1), &f->err, EFAULT, VFIO_E_DMA_MEMORY,
		       "not touched");
	assert_int_equal(segments(f, 0, 5 * PAGE, &s, 1), 1);
	set_entry(f, 5, SWAPPED | 0x1234);
	assert_refused(segments(f, 0, 6 * PAGE, &s, 1), &f->err, EFAULT, VFIO_E_DMA_MEMORY,
		       "swapped out");
}

static void a_file_that_ends(void **state)
{
	struct physical_segment s;
	struct map_file *f = *state;

	assert_int_equal(ftruncate(f->fd, ((uintptr_t)f->memory / PAGE + 4) * 8 + 3), 0);
	assert_int_equal(segments(f, 0, 4 * PAGE, &s, 1), 1);
	assert_refused(segments(f, 0, 5 * PAGE, &s, 1), &f->err, EFAULT, VFIO_E_SYSTEM, "address");
	assert_int_equal(f->source->segments(f->source, f->memory, SIZE_MAX, &s, 1, &f->err),
			 -EFAULT);
}

static void no_file(void **state)
{
	struct physical_source *source = NULL;
	struct vfio_error err;

	assert_refused(physical_open_pagemap(&source, "/nowhere/pagemap", &err), &err, ENOENT,
		       VFIO_E_SYSTEM, "/nowhere/pagemap");
	assert_null(source);
	physical_close(NULL);
}

/* ---- maps ----------------------------------------------------------------------------------- */

static void maps_are_checked(void **state)
{
	struct map_file *f = *state;
	struct dma_map map = { .iova = 0x40000000, .size = 4 * PAGE };
	uint64_t address;

	assert_int_equal(physical_check_map(f->source, &map, f->memory, &f->err), 0);
	map.iova = 0x10000;
	assert_refused(physical_check_map(f->source, &map, f->memory, &f->err), &f->err, EINVAL,
		       VFIO_E_PHYSICAL, "map it at 0x40000000");
	assert_int_equal(physical_check_map(f->source, &map, f->memory, NULL), -EINVAL);
	set_entry(f, 2, PRESENT | 0x70000);
	map.iova = 0x40000000;
	assert_refused(physical_check_map(f->source, &map, f->memory, &f->err), &f->err, EINVAL,
		       VFIO_E_SCATTERED, "3 pieces");
	assert_non_null(strstr(f->err.what, "first 0x2000, at 0x40000000"));
	assert_non_null(strstr(f->err.remedy, "/proc/sys/vm/nr_hugepages"));
	assert_non_null(strstr(f->err.remedy, "VFIO_DMA_BOUNCE"));
	assert_refused(physical_address(f->source, f->memory, 3 * PAGE, ENOMEM, &address, &f->err),
		       &f->err, ENOMEM, VFIO_E_SCATTERED, "2 pieces");
	assert_int_equal(physical_address(f->source, f->memory + 2 * PAGE, PAGE, ENOMEM, &address,
					  &f->err), 0);
	assert_int_equal(address, 0x70000000);
}

/* ---- the kernel's ---------------------------------------------------------------------------- */

/* As root it tells, and tells two pages apart; otherwise it says why not. */
static void this_process(void **state)
{
	uint8_t *memory = memory_of(2 * PAGE);
	struct physical_source *source;
	struct physical_segment s[2];
	struct vfio_error err;
	struct pins pins;
	struct pin pin;
	int r;

	pins_open(&pins);
	assert_int_equal(physical_open(&source, &err), 0);
	assert_refused(source->segments(source, memory, PAGE, s, 1, &err), &err, EFAULT,
		       VFIO_E_DMA_MEMORY, "not touched");
	assert_int_equal(pin_hold(&pins, &pin, memory, 2 * PAGE), 0);
	r = source->segments(source, memory, 2 * PAGE, s, 2, &err);
	if (!capability_have(CAP_SYS_ADMIN) || !capability_is_initial()) {
		assert_refused(r, &err, EPERM, VFIO_E_UNSAFE, "CAP_SYS_ADMIN");
	} else {
		assert_in_range(r, 1, 2);
		assert_int_equal(s[0].address % PAGE, 0);
		assert_true(s[0].address != 0);
		assert_int_equal(s[0].size + (r == 2 ? s[1].size : 0), 2 * PAGE);
	}
	pin_release(&pins, &pin);
	pins_close(&pins);
	physical_close(source);
	munmap(memory, 2 * PAGE);
}

/* ---- holding memory -------------------------------------------------------------------------- */

/* A number of /proc/self/status, in KiB. */
static long status_of(const char *name)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];
	long n = -1;

	assert_non_null(f);
	while (n < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			n = strtol(line + strlen(name), NULL, 10);
	fclose(f);
	return n;
}

/* Some kernels take their time to let go. */
static void wait_until_status(const char *name, long value)
{
	for (int i = 0; i < 100 && status_of(name) != value; i++)
		usleep(50000);
	assert_int_equal(status_of(name), value);
}

static void pinned(void **state)
{
	uint8_t *memory = memory_of(8 * PAGE);
	long before = status_of("VmPin:");
	struct pins pins;
	struct pin a, b;

	pins_open(&pins);
	assert_int_equal(pin_hold(&pins, &a, memory, 4 * PAGE), 0);
	assert_int_equal(pin_hold(&pins, &b, memory + 4 * PAGE, 4 * PAGE), 0);
	if (!a.count) {
		pins_close(&pins);
		skip();			/* the system allows no rings */
	}
	assert_true(a.count == 1 && b.count == 1 && a.buffers[0] != b.buffers[0]);
	assert_int_equal(status_of("VmPin:") - before, 32);
	pin_release(&pins, &a);
	wait_until_status("VmPin:", before + 16);
	assert_int_equal(pin_hold(&pins, &a, memory, 4 * PAGE), 0);
	assert_int_equal(a.count, 1);
	pin_release(&pins, &b);
	pin_release(&pins, &a);
	wait_until_status("VmPin:", before);
	pins_close(&pins);
	munmap(memory, 8 * PAGE);
}

/* Where there is no ring the pages are locked, and stay so: the program may have wanted it, too. */
static void locked(void **state)
{
	uint8_t *memory = memory_of(8 * PAGE);
	struct rlimit limit, none;
	long before = status_of("VmLck:");
	struct pins pins;
	struct pin pin;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ 0, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	pins_open(&pins);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(pins.ring, -1);
	assert_int_equal(pin_hold(&pins, &pin, memory, 8 * PAGE), 0);
	assert_int_equal(pin.count, 0);
	assert_int_equal(status_of("VmLck:") - before, 32);
	pin_release(&pins, &pin);
	assert_int_equal(status_of("VmLck:") - before, 32);
	pins_close(&pins);
	munmap(memory, 8 * PAGE);
	assert_int_equal(status_of("VmLck:"), before);
}

/* What cannot be written is locked; what is no memory is refused. */
static void other_memory(void **state)
{
	uint8_t *memory = memory_of(2 * PAGE);
	struct pins pins;
	struct pin pin;

	pins_open(&pins);
	assert_int_equal(mprotect(memory, PAGE, PROT_READ), 0);
	assert_int_equal(pin_hold(&pins, &pin, memory, PAGE), 0);
	assert_int_equal(pin.count, 0);
	pin_release(&pins, &pin);
	assert_int_equal(mprotect(memory, PAGE, PROT_NONE), 0);
	assert_int_equal(pin_hold(&pins, &pin, memory, 2 * PAGE), -ENOMEM);
	assert_int_equal(pin.count, 0);
	pins_close(&pins);
	munmap(memory, 2 * PAGE);
}

/* One more than the ring has room for is locked. */
static void more_than_the_ring_takes(void **state)
{
	uint8_t *memory = memory_of(PAGE);
	struct pins pins;
	struct pin a, b;

	pins_open(&pins);
	pins.nfree = pins.nfree ? 1 : 0;
	assert_int_equal(pin_hold(&pins, &a, memory, PAGE), 0);
	assert_int_equal(pin_hold(&pins, &b, memory, PAGE), 0);
	assert_int_equal(b.count, 0);
	pin_release(&pins, &b);
	pin_release(&pins, &a);
	pins_close(&pins);
	munmap(memory, PAGE);
}

/* Whoever gets hold of the ring can do nothing by it but what it is there for. */
static void a_ring_for_nothing_else(void **state)
{
	struct pins pins;

	pins_open(&pins);
	if (pins.ring < 0) {
		pins_close(&pins);
		skip();
	}
	assert_int_equal(syscall(SYS_io_uring_register, pins.ring, IORING_REGISTER_PROBE, NULL, 0), -1);
	assert_int_equal(errno, EACCES);
	pins_close(&pins);
}

/* ---- the call that was proposed ------------------------------------------------------------- */

/* A kernel that has it: memory is where its address says, and breaks at multiples of two pages. */
static struct {
	int error;			/* of GET_PA */
	uint64_t length, address;	/* what it says, if not 0 */
	unsigned int maps, calls;
} kernel;

struct get_pa {
	uint32_t size, flags, ioas, reserved;
	uint64_t iova, length, address;
};

struct map_call {
	uint32_t size, flags, ioas, reserved;
	uint64_t vaddr, length, iova;
};

static int answer(int iommufd, unsigned long number, void *data)
{
	struct get_pa *q = data;
	struct map_call *m = data;
	uint64_t left;

	switch (number) {
	case _IO(';', 0x81):
		((uint32_t *)data)[2] = 5;
		return 0;
	case _IO(';', 0x85):
		assert_true(m->ioas == 5 && m->size == sizeof(*m));
		assert_int_equal((m->vaddr | m->length) % PAGE, 0);
		m->iova = m->vaddr + 0x10000000;
		kernel.maps++;
		return 0;
	case _IO(';', 0x86):
		kernel.maps--;
		return 0;
	case _IO(';', 0x95):
		assert_true(q->ioas == 5 && q->size == 40 && !q->flags);
		kernel.calls++;
		left = 2 * PAGE - q->iova % (2 * PAGE);
		q->address = kernel.address ? kernel.address : q->iova + (q->iova / (2 * PAGE)) * PAGE;
		q->length = kernel.length ? kernel.length : left < q->length ? left : q->length;
		return kernel.error;
	}
	return -ENOTTY;
}

static int no_answer(int iommufd, unsigned long number, void *data)
{
	return number == _IO(';', 0x95) ? -ENOTTY : answer(iommufd, number, data);
}

static void the_proposed_call(void **state)
{
	uint8_t *memory = memory_of(8 * PAGE), *even;
	struct physical_source *source;
	struct physical_segment s[4];
	struct vfio_error err;

	memset(&kernel, 0, sizeof(kernel));
	even = memory + (uintptr_t)memory % (2 * PAGE);
	assert_int_equal(physical_open_iommufd(&source, -1, answer, &err), 0);
	assert_int_equal(source->segments(source, even + 16, 4 * PAGE, s, 4, &err), 3);
	assert_int_equal(s[0].size, 2 * PAGE - 16);
	assert_int_equal(s[1].size, 2 * PAGE);
	assert_int_equal(s[2].size, 16);
	assert_int_equal(s[0].address % PAGE, 16);
	assert_int_equal(kernel.maps, 0);
	kernel.error = -EFAULT;
	assert_refused(source->segments(source, even, PAGE, s, 4, &err), &err, EFAULT,
		       VFIO_E_SYSTEM, "iommufd");
	kernel.error = 0;
	kernel.length = 3 * PAGE;	/* more than was asked for */
	assert_int_equal(source->segments(source, even, PAGE, s, 4, &err), -EPROTO);
	kernel.length = PAGE;
	kernel.address = -(uint64_t)PAGE;
	assert_int_equal(source->segments(source, even, PAGE, s, 4, &err), -EPROTO);
	kernel.address = 0x100010;	/* elsewhere in its page */
	assert_int_equal(source->segments(source, even, PAGE, s, 4, &err), -EPROTO);
	kernel.address = 0x100000;
	assert_int_equal(source->segments(source, even, PAGE, s, 4, &err), 1);
	assert_int_equal(kernel.maps, 0);
	physical_close(source);
	munmap(memory, 8 * PAGE);
}

static void a_kernel_without_it(void **state)
{
	struct physical_source *source = NULL;
	struct vfio_error err;

	memset(&kernel, 0, sizeof(kernel));
	assert_int_equal(physical_open_iommufd(&source, -1, no_answer, &err), -ENOTTY);
	assert_null(source);
	assert_int_equal(kernel.maps, 0);
	kernel.error = -EOPNOTSUPP;	/* it has it, but wants a device in the IOAS */
	assert_int_equal(physical_open_iommufd(&source, -1, answer, &err), -EOPNOTSUPP);
	assert_null(source);
}

#define MAP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(neighbours_become_one),
		MAP_TEST(one_segment),
		MAP_TEST(several_segments),
		MAP_TEST(more_than_there_is_room_for),
		MAP_TEST(hidden_frames),
		MAP_TEST(pages_that_are_elsewhere),
		MAP_TEST(a_file_that_ends),
		cmocka_unit_test(no_file),
		MAP_TEST(maps_are_checked),
		cmocka_unit_test(this_process),
		cmocka_unit_test(pinned),
		cmocka_unit_test(locked),
		cmocka_unit_test(other_memory),
		cmocka_unit_test(more_than_the_ring_takes),
		cmocka_unit_test(a_ring_for_nothing_else),
		cmocka_unit_test(the_proposed_call),
		cmocka_unit_test(a_kernel_without_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * The engine against the kernel: tests/data/kernel has what Linux's vfio-pci answered, access by
 * access, for devices of QEMU's (tests/guest/README says how it was recorded). Here a function is
 * made from the same registers, the same is done to it, and each answer must be the same, save for
 * the differences that libvfio(7) lists; each has a line in is_known().
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/fd.h"
#include "function/function.h"

#define EVENTFDS 16
#define MAX_DATA 4096

struct replay {
	const char *name;
	FILE *file;
	char line[32768], section[128];
	unsigned int number;
	struct vfio_function_description d;
	uint8_t raw[CONFIG_MAX], writable[CONFIG_MAX];
	size_t raw_len;
	bool has_masks;
	struct vfio_function *fn;
	struct vfio_dev *dev;
	int fds[EVENTFDS];
	unsigned int compared, known, different;
};

/* ---- the device -------------------------------------------------------------------------- */

static uint64_t nothing_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			     unsigned int width)
{
	return 0;
}

static int reset(struct vfio_function *fn)
{
	return 0;
}

static const struct vfio_function_ops ops = {
	.size = sizeof(ops), .read = nothing_read, .reset = reset,
};
static const struct vfio_function_ops no_reset = { .size = sizeof(ops), .read = nothing_read };

/* What tests/guest/made.py gives its function. */
static const char made_vpd[] = "\x82\x04\0made\x90\x09\0SN\x02" "0xRV\x01\0\x78";

static const uint8_t rom_image[1 << 20] = { 0x55, 0xaa };

static bool is_device(const struct replay *r, const char *name)
{
	return strcmp(r->name, name) == 0;
}

static void take_hex(uint8_t *bytes, const char *text, size_t *len)
{
	unsigned int at, value;
	int n;

	if (sscanf(text, "%x:%n", &at, &n) != 1 || at + 16 > CONFIG_MAX)
		return;
	for (text += n; sscanf(text, " %2x%n", &value, &n) == 1 && at < CONFIG_MAX; text += n)
		bytes[at++] = value;
	if (len && at > *len)
		*len = at;
}

static void take_bar(struct replay *r, const char *line)
{
	struct vfio_bar_description *bar;
	unsigned long long size;
	unsigned int i;
	char kind[16];

	if (sscanf(line, "bar %u %llu %15s", &i, &size, kind) != 3 || i >= NUM_BARS)
		return;
	bar = &r->d.bars[i];
	bar->size = size;
	bar->flags = strcmp(kind, "io") == 0 ? VFIO_BAR_IO :
		     strcmp(kind, "mem64") == 0 ? VFIO_BAR_MEM64 : 0;
	if (strstr(line, "prefetch"))
		bar->flags |= VFIO_BAR_PREFETCH;
}

/* Everything that says what the device is; accesses begin at the first section. */
static void take_device(struct replay *r)
{
	bool after = false, before_access = true, can_reset = false, rom_shown = false;

	while (fgets(r->line, sizeof(r->line), r->file)) {
		if (strncmp(r->line, "# section", 9) == 0)
			before_access = false;
		if (strncmp(r->line, "raw ", 4) == 0)
			after = strncmp(r->line, "raw after", 9) == 0;
		else if (before_access && after)
			take_hex(r->raw, r->line, &r->raw_len);
		if (before_access && strncmp(r->line, "bar ", 4) == 0)
			take_bar(r, r->line);
		if (before_access && strncmp(r->line, "rom ", 4) == 0)
			r->d.rom_size = strtoul(r->line + 4, NULL, 10);
		if (strncmp(r->line, "I = 3 ", 6) == 0)
			can_reset = true;
		if (strncmp(r->line, "G 6 = ", 6) == 0 && atoi(r->line + 6))
			rom_shown = true;
		if (strncmp(r->line, "# writable ", 11) == 0) {
			take_hex(r->writable, r->line + 11, NULL);
			r->has_masks = true;
		}
	}
	r->d.size = sizeof(r->d);
	r->d.rom = rom_shown ? rom_image : NULL;
	if (is_device(r, "made-many.trace")) {
		r->d.vpd = made_vpd;
		r->d.vpd_size = sizeof(made_vpd) - 1;
	}
	r->d.name = r->name;
	r->d.config = r->raw;
	r->d.config_size = r->raw_len;
	r->d.virtual_function = strstr(r->name, "-vf") != NULL;
	r->d.vendor = 0x1b36;
	r->d.device = 0x0010;
	assert_int_equal(vfio_function_new(&r->fn, &r->d, can_reset ? &ops : &no_reset, r, NULL), 0);
	assert_int_equal(vfio_function_open(&r->dev, r->fn, NULL), 0);
	rewind(r->file);
}

/* The hardware under the kernel had bits that are writable beside those of the table, and without. */
static void take_hardware(struct replay *r)
{
	struct registers *own = &r->fn->registers;
	const unsigned int pm = r->fn->layout.pm;

	assert_true(r->has_masks);
	for (unsigned int at = 0; at < r->raw_len; at++) {
		uint8_t special = pm && at == pm + PCI_PM_CTRL ? PCI_PM_CTRL_STATE_MASK : 0;

		own->write[at] = (own->write[at] & special) | r->writable[at];
	}
}

/* ---- differences ------------------------------------------------------------------------- */

static bool in_section(const struct replay *r, const char *name)
{
	return strncmp(r->section, name, strlen(name)) == 0;
}

/* The bits of the MSI control word in an access at offset at. */
static uint64_t msi_control(const struct replay *r, unsigned int at, uint16_t bits)
{
	int shift = 8 * ((int)r->fn->layout.msi + PCI_MSI_FLAGS - (int)at);

	if (!r->fn->layout.msi || shift >= 64 || shift <= -16)
		return 0;
	return shift < 0 ? (uint64_t)bits >> -shift : (uint64_t)bits << shift;
}

static bool is_msi_mask(const struct replay *r, unsigned int at)
{
	unsigned int mask = r->fn->layout.msi +
		(r->fn->registers.value[r->fn->layout.msi + PCI_MSI_FLAGS] & PCI_MSI_FLAGS_64BIT
			 ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32);

	return at >= mask && at < mask + 4;
}

/*
 * Two abutting capabilities of one ID are one to the kernel, which therefore does not unlink what is
 * hidden behind the second.
 */
static bool is_abutting(const struct replay *r, unsigned int at, uint64_t bits)
{
	return is_device(r, "qemu-cxl-type3.trace") && at >= 0x15c && at < 0x160 &&
	       (bits << 8 * (at - 0x15c) & ~0xfff00000ull) == 0;
}

/* What libvfio does otherwise on purpose: libvfio(7), DIFFERENCES. */
static bool is_chosen(const struct replay *r, char what, unsigned int at, uint64_t bits)
{
	switch (what) {
	case 'G':	/* no VGA: a region of no size, no error */
		return at == VFIO_PCI_VGA_REGION_INDEX;
	case 'Q':	/* no PCI Express: no ERR vector, no error */
		return at == VFIO_PCI_ERR_IRQ_INDEX;
	case 'R':	/* how many vectors MSI can have, and has, cannot be written over */
		return (bits & ~msi_control(r, at, 0xff)) == 0 || is_abutting(r, at, bits) ||
		/* The mask bits of MSI are the user's alone; the kernel masks unused vectors. */
		       (in_section(r, "MSI with") && is_msi_mask(r, at)) ||
		/* A list that goes in circles, between dwords: its end is cut off. */
		       (is_device(r, "made-ring.trace") && at >= 0x3e && at < 0x58);
	case 'E':
		/* An eventfd that was signalled before it re-arms INTx is emptied. */
		return in_section(r, "INTx unmask descriptors") ||
		       in_section(r, "INTx raised, a descriptor unmasks") ||
		/* An INTx that was raised while there was no eventfd is told to the next one. */
		       in_section(r, "INTx raised, the descriptor changed") ||
		/* A message is not lost while bus mastering is off, but waits. */
		       in_section(r, "MSI raised, without and with bus mastering");
	case 'B':	/* an expansion ROM that is not decoded: EIO, whatever lies there */
		return at == VFIO_PCI_ROM_REGION_INDEX;
	}
	return false;
}

/* What the hardware was, and a function made from its registers is not. */
static bool is_hardware(const struct replay *r, char what, unsigned int at)
{
	/* It shows D1 and D2 and has neither. */
	if (is_device(r, "qemu-i82559c.trace"))
		return in_section(r, "power");
	/* Its virtual functions are in use, so that it must stay in D0. */
	if (is_device(r, "qemu-nvme-parent.trace"))
		return in_section(r, "power") || in_section(r, "dump back in D0");
	return false;
}

/* Is this a difference that is known? bits are those in which the answers differ. */
static bool is_known(const struct replay *r, char what, unsigned int at, uint64_t bits)
{
	return is_chosen(r, what, at, bits) || is_hardware(r, what, at);
}

static void differ(struct replay *r, const char *ours)
{
	r->different++;
	if (r->different <= 40)
		print_message("%s:%u: [%s] ours: %s; the kernel's: %s", r->name, r->number,
			      r->section, ours, r->line);
}

static void compare(struct replay *r, char what, unsigned int at, int64_t ours, int64_t theirs)
{
	char text[32];

	r->compared++;
	if (ours == theirs)
		return;
	if (is_known(r, what, at, ours ^ theirs)) {
		r->known++;
		return;
	}
	snprintf(text, sizeof(text), ours < 0 ? "%lld" : "%llx", (long long)ours);
	differ(r, text);
}

/* ---- the lines ---------------------------------------------------------------------------- */

static int64_t number_after_equals(const char *line, int base)
{
	const char *text = strchr(line, '=');

	if (!text)
		return INT64_MIN;
	text += strspn(text, "= ");
	return *text == '-' ? strtoll(text, NULL, 10) : (int64_t)strtoull(text, NULL, base);
}

static void replay_read(struct replay *r)
{
	unsigned int at, width;
	uint8_t bytes[8] = { 0 };
	ssize_t n;

	if (sscanf(r->line, "R %x %u", &at, &width) != 2 || width > 8)
		return;
	n = vfio_pread(r->dev, VFIO_PCI_CONFIG_REGION_INDEX, at, bytes, width);
	compare(r, 'R', at, n < 0 ? n : (int64_t)le_get(bytes, width),
		number_after_equals(r->line, 16));
}

static void replay_write(struct replay *r)
{
	unsigned int at, width;
	unsigned long long value;
	uint8_t bytes[8];
	ssize_t n;

	if (sscanf(r->line, "W %x %u %llx", &at, &width, &value) != 3 || width > 8)
		return;
	le_put(bytes, width, value);
	n = vfio_pwrite(r->dev, VFIO_PCI_CONFIG_REGION_INDEX, at, bytes, width);
	compare(r, 'W', at, n, number_after_equals(r->line, 10));
}

/* What devices have behind BARs is theirs: only whether it can be read is compared. */
static void replay_bar(struct replay *r)
{
	unsigned int region, at, width;
	int64_t theirs = number_after_equals(r->line, 16);
	uint8_t bytes[16];
	ssize_t n;

	if (sscanf(r->line, "B %u %x %u", &region, &at, &width) != 3 || width > sizeof(bytes))
		return;
	n = vfio_pread(r->dev, region, at, bytes, width);
	compare(r, 'B', region, n < 0 ? n : 0, strstr(r->line, "= -") ? theirs : 0);
}

static int eventfd_of(const struct replay *r, const char *word)
{
	if (*word == 'e')
		return r->fds[atoi(word + 1) % EVENTFDS];
	if (strcmp(word, "bad") == 0)
		return 1 << 20;
	if (strcmp(word, "file") == 0)
		return STDERR_FILENO;
	return atoi(word);
}

static void replay_set(struct replay *r)
{
	static union { struct vfio_irq_set set; uint8_t bytes[sizeof(struct vfio_irq_set) + 4 * MAX_DATA]; } u;
	struct vfio_irq_set *set = &u.set;
	unsigned int n = 0;
	char *word, *save;
	int used;

	memset(&u, 0, sizeof(u));
	if (sscanf(r->line, "S %u %x %u %u %u%n", &set->index, &set->flags, &set->start,
		   &set->count, &set->argsz, &used) != 5)
		return;
	for (word = strtok_r(strdupa(r->line + used), " \n", &save); word && *word != '=';
	     word = strtok_r(NULL, " \n", &save)) {
		int value = eventfd_of(r, word);

		if (set->flags & VFIO_IRQ_SET_DATA_BOOL)
			set->data[n++] = value;
		else if (n < MAX_DATA)
			memcpy(set->data + 4 * n++, &value, 4);
	}
	compare(r, 'S', set->index, vfio_irq_set(r->dev, set), number_after_equals(r->line, 10));
}

static void replay_event(struct replay *r)
{
	int64_t count = fd_take(r->fds[atoi(r->line + 3) % EVENTFDS]);

	compare(r, 'E', 0, count < 0 ? 0 : count, number_after_equals(r->line, 10));
}

static void replay_signal(struct replay *r)
{
	eventfd_write(r->fds[atoi(r->line + 3) % EVENTFDS], 1);
	vfio_dispatch(r->dev);
}

static void replay_irq_info(struct replay *r)
{
	unsigned int index = atoi(r->line + 2);
	struct vfio_irq_info info = { .argsz = sizeof(info) };
	int n = vfio_irq_info(r->dev, index, &info);

	compare(r, 'Q', index, n < 0 ? n : (int64_t)info.count, number_after_equals(r->line, 10));
}

static void replay_region_info(struct replay *r)
{
	unsigned int index = atoi(r->line + 2);
	struct vfio_region region;
	int n = vfio_region(r->dev, index, &region);

	compare(r, 'G', index, n < 0 ? n : (int64_t)region.size, number_after_equals(r->line, 10));
}

/* The device raises or lowers its interrupt: a message, or the level. */
static void replay_level(struct replay *r)
{
	bool raised = atoi(r->line + 2);

	if (r->fn->irq.active != VFIO_PCI_MSI_IRQ_INDEX)
		vfio_function_intx(r->fn, raised);
	else if (raised)
		vfio_function_msi(r->fn, 0);
}

static void replay_line(struct replay *r)
{
	switch (r->line[0]) {
	case 'R': replay_read(r); break;
	case 'W': replay_write(r); break;
	case 'B': replay_bar(r); break;
	case 'S': replay_set(r); break;
	case 'E': replay_event(r); break;
	case 'T': replay_signal(r); break;
	case 'Q': replay_irq_info(r); break;
	case 'G': replay_region_info(r); break;
	case 'A': replay_level(r); break;
	case 'X': compare(r, 'X', 0, vfio_reset(r->dev), number_after_equals(r->line, 10)); break;
	}
}

static void replay_trace(void **state)
{
	struct replay *r = *state;
	bool started = false;

	take_device(r);
	take_hardware(r);
	for (r->number = 1; fgets(r->line, sizeof(r->line), r->file); r->number++) {
		if (sscanf(r->line, "# section: %127[^\n]", r->section) == 1)
			started = true;
		if (started && strncmp(r->line, "# end", 5) == 0)
			break;
		if (started)
			replay_line(r);
	}
	print_message("%s: %u answers compared, %u differ on purpose, %u otherwise\n", r->name,
		      r->compared, r->known, r->different);
	assert_true(r->compared > 200);
	assert_int_equal(r->different, 0);
}

/* ---- one test a trace --------------------------------------------------------------------- */

static int set_up(void **state)
{
	struct replay *r = *state;

	for (unsigned int i = 0; i < EVENTFDS; i++)
		r->fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return 0;
}

static int tear_down(void **state)
{
	struct replay *r = *state;

	vfio_close(r->dev);
	for (unsigned int i = 0; i < EVENTFDS; i++)
		close(r->fds[i]);
	fclose(r->file);
	return 0;
}

int main(int argc, char **argv)
{
	struct replay *replays = calloc(argc, sizeof(*replays));
	struct CMUnitTest *tests = calloc(argc, sizeof(*tests));
	int failed;

	if (argc < 2 || !replays || !tests)
		return 2;
	for (int i = 0; i < argc - 1; i++) {
		const char *slash = strrchr(argv[i + 1], '/');

		replays[i].name = slash ? slash + 1 : argv[i + 1];
		replays[i].file = fopen(argv[i + 1], "re");
		if (!replays[i].file)
			return 2;
		tests[i] = (struct CMUnitTest){ replays[i].name, replay_trace, set_up, tear_down,
						&replays[i] };
	}
	failed = _cmocka_run_group_tests("kernel", tests, argc - 1, NULL, NULL);
	free(tests);
	free(replays);
	return failed;
}

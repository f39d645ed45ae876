/* SPDX-License-Identifier: MIT */
/* The virtual function over configuration space that is a device's, and not the library's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "fake_hardware.h"
#include "function/function.h"

struct bed {
	struct fake_hardware h;
	struct vfio_function *fn;
	unsigned int since;		/* writes of the device before the test's own */
};

static int set_up(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));
	struct vfio_error err;

	fake_init(&b->h);
	*state = b;
	if (fake_function(&b->fn, &b->h, &err) < 0)
		return -1;
	b->since = b->h.nwrites;
	return 0;
}

static int tear_down(void **state)
{
	struct bed *b = *state;

	vfio_function_free(b->fn);
	free(b);
	return 0;
}

static void put(struct bed *b, unsigned int at, unsigned int width, uint32_t value)
{
	uint8_t bytes[4];

	le_put(bytes, width, value);
	b->since = b->h.nwrites;
	assert_int_equal(function_config_write(b->fn, at, bytes, width), width);
}

static uint32_t get(struct bed *b, unsigned int at, unsigned int width)
{
	uint8_t bytes[4];

	assert_int_equal(function_config_read(b->fn, at, bytes, width), width);
	return le_get(bytes, width);
}

static unsigned int written(const struct bed *b)
{
	return b->h.nwrites - b->since;
}

/* The last write of the device. */
static void assert_wrote(const struct bed *b, unsigned int at, unsigned int width, uint32_t value)
{
	const struct fake_write *w = &b->h.writes[(b->h.nwrites - 1) % 64];

	assert_true(written(b));
	assert_int_equal(w->offset, at);
	assert_int_equal(w->width, width);
	assert_int_equal(w->value, value);
}

/* ---- taking it over ------------------------------------------------------------------------ */

static void handed_over(void **state)
{
	struct bed *b = *state;
	const struct fake_write *first = &b->h.writes[0];

	assert_int_equal(first->offset, PCI_COMMAND);
	assert_false(first->value & PCI_COMMAND_MASTER);
	assert_int_equal(fake_get(&b->h, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(fake_get(&b->h, FAKE_MSI + PCI_MSI_FLAGS, 1) & PCI_MSI_FLAGS_ENABLE, 0);
	assert_int_equal(fake_get(&b->h, FAKE_MSIX + PCI_MSIX_FLAGS, 2), 7);
	assert_int_equal(b->h.resets, 1);
	/* No error status was cleared on the way. */
	assert_int_equal(fake_get(&b->h, PCI_STATUS, 2),
			 PCI_STATUS_CAP_LIST | PCI_STATUS_REC_MASTER_ABORT);
	assert_true(fake_get(&b->h, FAKE_PM + PCI_PM_CTRL, 2) & PCI_PM_CTRL_PME_STATUS);
}

static void woken_when_handed_over(void **state)
{
	struct fake_hardware h;
	struct vfio_function *fn;

	fake_init(&h);
	h.bytes[FAKE_PM + PCI_PM_CTRL] |= 3;
	assert_int_equal(fake_function(&fn, &h, NULL), 0);
	assert_int_equal(fake_get(&h, FAKE_PM + PCI_PM_CTRL, 2) &
			 (PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_ENABLE), 0);
	assert_int_equal(fake_get(&h, PCI_BASE_ADDRESS_0, 4), 0xfebf0000);
	vfio_function_free(fn);
}

static void both_callbacks_and_a_dump(void **state)
{
	struct vfio_function_ops ops = fake_ops;
	struct vfio_function_description d = fake_description;
	struct vfio_function *fn;
	struct fake_hardware h;
	struct vfio_error err;

	fake_init(&h);
	assert_int_equal(vfio_function_new(&fn, &d, &ops, &h, &err), -EINVAL);
	assert_non_null(strstr(err.what, "config"));
	d.config = h.bytes;
	d.config_size = sizeof(h.bytes);
	ops.config_write = NULL;
	assert_int_equal(vfio_function_new(&fn, &d, &ops, &h, &err), -EINVAL);
	assert_int_equal(err.code, VFIO_E_DESCRIPTION);
}

/* Callbacks of a program that does not know these yet: what lies behind them is not looked at. */
static void an_older_program(void **state)
{
	struct vfio_function_ops ops = fake_ops;
	struct vfio_function_description d = fake_description;
	struct vfio_function *fn;
	struct fake_hardware h;

	fake_init(&h);
	ops.size = offsetof(struct vfio_function_ops, config_read);
	d.config = h.bytes;
	d.config_size = sizeof(h.bytes);
	assert_int_equal(vfio_function_new(&fn, &d, &ops, &h, NULL), 0);
	assert_int_equal(h.nwrites + h.reads, 0);
	vfio_function_free(fn);
}

/* ---- reads and writes ---------------------------------------------------------------------- */

static void reads_go_through(void **state)
{
	struct bed *b = *state;

	fake_put(&b->h, PCI_STATUS, 2, 0x8010);
	assert_int_equal(get(b, PCI_STATUS, 2), 0x8010);
	fake_put(&b->h, FAKE_EXPRESS + PCI_EXP_LNKSTA, 2, 0x1043);
	assert_int_equal(get(b, FAKE_EXPRESS + PCI_EXP_LNKSTA, 2), 0x1043);
	fake_put(&b->h, FAKE_HIDDEN + 8, 4, 0x12345678);
	assert_int_equal(get(b, FAKE_HIDDEN + 8, 4), 0x12345678);
	assert_int_equal(written(b), 0);
}

static void what_is_virtual_is_not_read(void **state)
{
	struct bed *b = *state;
	unsigned int before = b->h.reads;

	get(b, PCI_VENDOR_ID, 4);
	get(b, PCI_BASE_ADDRESS_0, 4);
	get(b, PCI_INTERRUPT_LINE, 2);
	assert_int_equal(b->h.reads, before);
}

static void writes_go_through(void **state)
{
	struct bed *b = *state;

	put(b, FAKE_HIDDEN + 4, 4, 0xcafef00d);
	assert_wrote(b, FAKE_HIDDEN + 4, 4, 0xcafef00d);
	put(b, FAKE_HIDDEN + 6, 1, 0x11);
	assert_wrote(b, FAKE_HIDDEN + 6, 1, 0x11);
	put(b, FAKE_VENDOR + 4, 4, 0xffffffff);		/* the device takes half of it */
	assert_int_equal(get(b, FAKE_VENDOR + 4, 4), 0x0f0f0f0f);
	put(b, 0xf4, 4, 0xffffffff);
	assert_int_equal(get(b, 0xf4, 4), 0x3c);
	put(b, PCI_COMMAND, 2, 0xffff);
	assert_int_equal(fake_get(&b->h, PCI_COMMAND, 2), le16_get(b->h.write + PCI_COMMAND));
	assert_int_equal(get(b, PCI_COMMAND, 2), le16_get(b->h.write + PCI_COMMAND));
}

/* Of Command as a whole, even for one byte of it. */
static void command_is_one_register(void **state)
{
	struct bed *b = *state;

	put(b, PCI_COMMAND + 1, 1, PCI_COMMAND_SERR >> 8);
	assert_wrote(b, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_SERR);
	put(b, PCI_COMMAND, 1, PCI_COMMAND_MASTER);
	assert_wrote(b, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_SERR);
}

static void the_host_s_are_not_written(void **state)
{
	struct bed *b = *state;

	put(b, FAKE_EXPRESS + PCI_EXP_LNKCTL, 2, 0xffff);
	put(b, FAKE_MSIX + PCI_MSIX_FLAGS, 2, 0xffff);
	put(b, PCI_REVISION_ID, 4, 0xffffffff);
	assert_int_equal(written(b), 0);
}

/* Command and Status are one dword: a write of both clears what is written as one, and no more. */
static void neighbours_are_not_cleared(void **state)
{
	struct bed *b = *state;

	put(b, PCI_COMMAND, 4, PCI_COMMAND_MEMORY);
	assert_true(fake_get(&b->h, PCI_STATUS, 2) & PCI_STATUS_REC_MASTER_ABORT);
	assert_false(fake_was_written(&b->h, b->since, PCI_STATUS));
	put(b, FAKE_PM + PCI_PM_CTRL, 4, 0);
	assert_true(fake_get(&b->h, FAKE_PM + PCI_PM_CTRL, 2) & PCI_PM_CTRL_PME_STATUS);
	put(b, FAKE_EXPRESS + PCI_EXP_DEVCTL, 4, 0x2810);
	assert_int_equal(fake_get(&b->h, FAKE_EXPRESS + PCI_EXP_DEVSTA, 2),
			 PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_URD);
	put(b, FAKE_EXPRESS + PCI_EXP_DEVCTL, 4, 0x2810 | PCI_EXP_DEVSTA_CED << 16);
	assert_int_equal(fake_get(&b->h, FAKE_EXPRESS + PCI_EXP_DEVSTA, 2), PCI_EXP_DEVSTA_URD);
}

static void ones_clear(void **state)
{
	struct bed *b = *state;

	fake_put(&b->h, FAKE_AER + PCI_ERR_UNCOR_STATUS, 4, 0x00041010);
	put(b, FAKE_AER + PCI_ERR_UNCOR_STATUS, 4, 0x00001000);
	assert_int_equal(get(b, FAKE_AER + PCI_ERR_UNCOR_STATUS, 4), 0x00040010);
	put(b, FAKE_AER + PCI_ERR_UNCOR_MASK, 4, 0x00001000);
	assert_int_equal(get(b, FAKE_AER + PCI_ERR_UNCOR_MASK, 4), 0x00001000);
	assert_int_equal(fake_get(&b->h, FAKE_AER + PCI_ERR_UNCOR_STATUS, 4), 0x00040010);
}

static void what_was_written_where(void **state)
{
	struct bed *b = *state;
	uint32_t where;
	const uint8_t value[4] = { 0xff, 0xff, 0xff, 0xff };

	function_write(b->fn, VFIO_PCI_CONFIG_REGION_INDEX, FAKE_VENDOR + 4, value, 4);
	assert_int_equal(function_feature(b->fn, VFIO_DEVICE_FEATURE_GET | FEATURE_WRITE_WHERE,
					  &where, sizeof(where)), 0);
	assert_int_equal(where, VFIO_WENT_DEVICE);
	function_write(b->fn, VFIO_PCI_CONFIG_REGION_INDEX, PCI_BASE_ADDRESS_0, value, 4);
	function_feature(b->fn, VFIO_DEVICE_FEATURE_GET | FEATURE_WRITE_WHERE, &where, sizeof(where));
	assert_true(where & VFIO_WENT_VIRTUAL);
	assert_false(where & VFIO_WENT_DEVICE);
}

/* ---- what never reaches it ----------------------------------------------------------------- */

static void virtual_bits(void **state)
{
	struct bed *b = *state;

	put(b, PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	assert_int_equal(get(b, PCI_BASE_ADDRESS_0, 4), 0xffffc000);
	put(b, PCI_INTERRUPT_LINE, 1, 7);
	put(b, PCI_ROM_ADDRESS, 4, 0xffffffff);
	put(b, FAKE_MSI + PCI_MSI_ADDRESS_LO, 4, 0xfee00000);
	put(b, FAKE_MSI + PCI_MSI_DATA_64, 2, 0x41);
	assert_int_equal(b->h.nwrites, b->since);
	assert_int_equal(get(b, FAKE_MSI + PCI_MSI_ADDRESS_LO, 4), 0xfee00000);
	assert_int_equal(fake_get(&b->h, PCI_BASE_ADDRESS_0, 4), 0xfebf0000);
}

static int enable(struct bed *b, uint32_t index, int fd)
{
	const struct irq_request q = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, .index = index,
		.count = 1, .fds = &fd,
	};

	return function_set_irqs(b->fn, &q);
}

static void messages_stay_here(void **state)
{
	struct bed *b = *state;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	assert_int_equal(enable(b, VFIO_PCI_MSI_IRQ_INDEX, fd), 0);
	assert_true(get(b, FAKE_MSI + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE);
	put(b, FAKE_MSI + PCI_MSI_FLAGS, 2, 0);
	put(b, FAKE_MSI + PCI_MSI_FLAGS, 2, 0xffff);
	assert_false(fake_get(&b->h, FAKE_MSI + PCI_MSI_FLAGS, 1) & PCI_MSI_FLAGS_ENABLE);
	put(b, FAKE_MSI + PCI_MSI_MASK_64, 4, 0xffffffff);
	assert_int_equal(get(b, FAKE_MSI + PCI_MSI_MASK_64, 4), 0xf);
	vfio_function_config_write(b->fn, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	vfio_function_msi(b->fn, 0);
	assert_int_equal(get(b, FAKE_MSI + PCI_MSI_PENDING_64, 4), 1);
	assert_int_equal(fake_get(&b->h, FAKE_MSI + PCI_MSI_PENDING_64, 4), 0);
	function_irqs_clear(b->fn);
	assert_int_equal(enable(b, VFIO_PCI_MSIX_IRQ_INDEX, fd), 0);
	assert_true(get(b, FAKE_MSIX + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(fake_get(&b->h, FAKE_MSIX + PCI_MSIX_FLAGS, 2), 7);
	close(fd);
}

/* ---- what a write sets off ----------------------------------------------------------------- */

static void bus_mastering(void **state)
{
	struct bed *b = *state;

	assert_false(function_masters_bus(b->fn));
	put(b, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_true(function_masters_bus(b->fn));
	put(b, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_false(function_decodes_memory(b->fn));
	assert_int_equal(fake_get(&b->h, PCI_COMMAND, 2), PCI_COMMAND_MASTER);
}

static void intx_disable_follows(void **state)
{
	struct bed *b = *state;

	put(b, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(fake_get(&b->h, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	fake_put(&b->h, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);	/* the host's use of it */
	assert_true(get(b, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	put(b, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(fake_get(&b->h, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
}

/* The device has lost its BARs by itself: switching decoding on again brings them back. */
static void a_reset_behind_the_back(void **state)
{
	struct bed *b = *state;

	put(b, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	fake_put(&b->h, PCI_COMMAND, 2, 0);
	fake_put(&b->h, PCI_BASE_ADDRESS_0, 4, 0);
	vfio_function_backdoor_reset(b->fn);
	assert_false(function_decodes_memory(b->fn));
	put(b, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(fake_get(&b->h, PCI_BASE_ADDRESS_0, 4), 0xfebf0000);
	assert_true(function_decodes_memory(b->fn));
}

static void sleep_and_wake(void **state)
{
	struct bed *b = *state;

	put(b, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	put(b, FAKE_PM + PCI_PM_CTRL, 2, 1);		/* there is no D1 */
	assert_int_equal(get(b, FAKE_PM + PCI_PM_CTRL, 1) & 3, 0);
	assert_true(function_masters_bus(b->fn));
	put(b, FAKE_PM + PCI_PM_CTRL, 2, 3);
	assert_false(function_decodes_memory(b->fn));
	assert_false(function_masters_bus(b->fn));
	assert_int_equal(fake_get(&b->h, FAKE_PM + PCI_PM_CTRL, 1) & 3, 3);
	put(b, FAKE_PM + PCI_PM_CTRL, 2, 0);
	/* It has lost its registers on the way, and nobody sees it. */
	assert_int_equal(fake_get(&b->h, PCI_BASE_ADDRESS_0, 4), 0xfebf0000);
	assert_int_equal(fake_get(&b->h, PCI_COMMAND, 2), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	assert_int_equal(fake_get(&b->h, FAKE_EXPRESS + PCI_EXP_DEVCTL, 2), 0x2810 | 1 << 5);
	assert_true(function_masters_bus(b->fn));
	assert_int_equal(b->h.resets, 1);
}

static void reset_by_express(void **state)
{
	struct bed *b = *state;

	put(b, FAKE_EXPRESS + PCI_EXP_DEVCTL, 2, 0x2810 | PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(b->h.resets, 2);
	for (unsigned int i = b->since; i < b->h.nwrites; i++)	/* the callback does it */
		if (b->h.writes[i % 64].offset == FAKE_EXPRESS + PCI_EXP_DEVCTL)
			assert_false(b->h.writes[i % 64].value & PCI_EXP_DEVCTL_BCR_FLR);
}

/* The payload is the host's, and reads are never asked for in less. */
static void read_request(void **state)
{
	struct bed *b = *state;

	put(b, FAKE_EXPRESS + PCI_EXP_DEVCTL, 2, 0x5810);
	assert_int_equal(fake_get(&b->h, FAKE_EXPRESS + PCI_EXP_DEVCTL, 2), 0x5810 | 1 << 5);
	put(b, FAKE_EXPRESS + PCI_EXP_DEVCTL, 2, 0x0810);
	assert_int_equal(fake_get(&b->h, FAKE_EXPRESS + PCI_EXP_DEVCTL, 2), 0x1810 | 1 << 5);
}

static void vital_product_data(void **state)
{
	struct bed *b = *state;

	put(b, FAKE_VPD + PCI_VPD_ADDR, 2, 8);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_ADDR, 2), 8 | PCI_VPD_ADDR_F);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_DATA, 4), 0x8b8a8988);
	put(b, FAKE_VPD + PCI_VPD_ADDR, 2, 9);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_DATA, 4), 0x8c8b8a89);
	put(b, FAKE_VPD + PCI_VPD_DATA, 4, 0x44332211);
	put(b, FAKE_VPD + PCI_VPD_ADDR, 2, 12 | PCI_VPD_ADDR_F);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_ADDR, 2), 12);
	assert_int_equal(le32_get(b->h.vital + 12), 0x44332211);
	put(b, FAKE_VPD + PCI_VPD_ADDR, 2, 13 | PCI_VPD_ADDR_F);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_ADDR, 2), 13 | PCI_VPD_ADDR_F);
	b->h.mute = true;
	put(b, FAKE_VPD + PCI_VPD_ADDR, 2, 16);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_ADDR, 2), 16);
}

/* The device is not asked for what lies there. */
static void behind_vital_product_data(void **state)
{
	struct bed *b = *state;
	unsigned int before;

	put(b, FAKE_VPD + PCI_VPD_ADDR, 2, 61);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_DATA, 4), 0x78bebd);
	before = b->h.nwrites;
	put(b, FAKE_VPD + PCI_VPD_ADDR, 2, 64);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_ADDR, 2), 64 | PCI_VPD_ADDR_F);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_DATA, 4), 0);
	put(b, FAKE_VPD + PCI_VPD_ADDR, 2, 64 | PCI_VPD_ADDR_F);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_ADDR, 2), 64 | PCI_VPD_ADDR_F);
	assert_int_equal(b->h.nwrites, before);
}

/* No resource that makes sense: there is nothing. */
static void no_vital_product_data(void **state)
{
	struct bed *b = *state;

	b->h.vital[0] = 0xff;
	put(b, FAKE_VPD + PCI_VPD_ADDR, 2, 8);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_ADDR, 2), 8);
	put(b, FAKE_VPD + PCI_VPD_ADDR, 2, 8 | PCI_VPD_ADDR_F);
	assert_int_equal(get(b, FAKE_VPD + PCI_VPD_ADDR, 2), 8 | PCI_VPD_ADDR_F);
}

/* ---- users come and go --------------------------------------------------------------------- */

static void the_next_user(void **state)
{
	struct bed *b = *state;

	put(b, PCI_COMMAND, 2, 0xffff);
	put(b, FAKE_EXPRESS + PCI_EXP_DEVCTL, 2, 0x5ff0);
	put(b, FAKE_PM + PCI_PM_CTRL, 2, 3);
	b->since = b->h.nwrites;
	assert_int_equal(function_recycle(b->fn), 0);
	assert_false(b->h.writes[b->since % 64].value & PCI_COMMAND_MASTER);
	assert_int_equal(b->h.writes[b->since % 64].offset, PCI_COMMAND);
	assert_int_equal(fake_get(&b->h, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(fake_get(&b->h, FAKE_EXPRESS + PCI_EXP_DEVCTL, 2), 0x2810 | 1 << 5);
	assert_int_equal(fake_get(&b->h, FAKE_PM + PCI_PM_CTRL, 1) & 3, 0);
	assert_int_equal(b->h.resets, 2);
}

static void policies(void **state)
{
	struct bed *b = *state;

	assert_int_equal(function_policy_set(b->fn, "view", "filtered"), 0);
	assert_int_equal(get(b, PCI_BASE_ADDRESS_0, 4), 0xfebf0000);
	put(b, PCI_BASE_ADDRESS_0, 4, 0);
	put(b, PCI_COMMAND, 2, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(fake_get(&b->h, PCI_BASE_ADDRESS_0, 4), 0xfebf0000);
	assert_int_equal(fake_get(&b->h, PCI_COMMAND, 2), PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY);
	put(b, 0xf4, 4, 0xffffffff);
	assert_int_equal(written(b), 0);
	assert_int_equal(function_policy_set(b->fn, "view", "virtual"), 0);
	assert_int_equal(function_policy_set(b->fn, "hide", "ext:AER"), 0);
	assert_int_equal(function_policy_set(b->fn, "hidden", "zero"), 0);
	fake_put(&b->h, FAKE_AER + PCI_ERR_UNCOR_STATUS, 4, 0x1000);
	assert_int_equal(get(b, FAKE_AER + PCI_ERR_UNCOR_STATUS, 4), 0);
}

/* A device that is pulled reads as ones; nothing hangs, nothing is written for ever. */
static void gone(void **state)
{
	struct bed *b = *state;

	b->h.gone = true;
	assert_int_equal(get(b, PCI_STATUS, 2) & 0xffef, 0xffef);
	put(b, PCI_COMMAND, 2, 0);
	put(b, FAKE_PM + PCI_PM_CTRL, 2, 0);
	put(b, FAKE_VPD + PCI_VPD_ADDR, 2, 0);
	assert_int_equal(function_recycle(b->fn), 0);
}

/* The device's side: an author's own way to them. */
static void by_the_author(void **state)
{
	struct bed *b = *state;

	fake_put(&b->h, PCI_STATUS, 2, 0x4010);
	assert_int_equal(vfio_function_config_read(b->fn, PCI_STATUS, 2), 0x4010);
	vfio_function_config_write(b->fn, PCI_STATUS, 2, 0x4000);
	assert_int_equal(fake_get(&b->h, PCI_STATUS, 2), 0x0010);
}

/* The library has no part in its DMA, and so does not speak for it. */
static void isolation(void **state)
{
	struct bed *b = *state;
	struct vfio_isolation is = { 7, 7 };

	assert_int_equal(function_feature(b->fn, FEATURE_ISOLATION | VFIO_DEVICE_FEATURE_GET, &is,
					  sizeof(is)), 0);
	assert_int_equal(is.dma, VFIO_ISOLATED_NOT);
	assert_int_equal(is.interrupts, VFIO_ISOLATED_NOT);
}

#define row(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		row(handed_over), cmocka_unit_test(woken_when_handed_over),
		cmocka_unit_test(both_callbacks_and_a_dump), cmocka_unit_test(an_older_program),
		row(reads_go_through), row(what_is_virtual_is_not_read), row(writes_go_through),
		row(command_is_one_register), row(the_host_s_are_not_written),
		row(neighbours_are_not_cleared), row(ones_clear),
		row(what_was_written_where), row(virtual_bits), row(messages_stay_here),
		row(bus_mastering), row(intx_disable_follows), row(a_reset_behind_the_back),
		row(sleep_and_wake), row(reset_by_express), row(read_request),
		row(vital_product_data), row(behind_vital_product_data),
		row(no_vital_product_data), row(the_next_user), row(policies), row(gone),
		row(by_the_author), row(isolation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

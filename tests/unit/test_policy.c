/* SPDX-License-Identifier: MIT */
/* What an administrator can decide, and what becomes of the device then. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bits.h"
#include "base/error.h"
#include "function/function.h"
#include "model.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define MSIX   VFIO_PCI_MSIX_IRQ_INDEX

struct fixture {
	struct model model;
	struct vfio_dev *dev;
};

static int set_up_as(void **state, const struct vfio_function_description *d)
{
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (!f || model_new_as(&f->model, d, &model_ops, NULL) < 0)
		return -1;
	return vfio_function_open(&f->dev, f->model.fn, NULL);
}

static int set_up(void **state)
{
	return set_up_as(state, &model_description);
}

static int set_up_express(void **state)
{
	struct vfio_function_description d = model_description;
	static const uint8_t serial[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	static const struct vfio_capability_description caps[] = {
		{ .extended = true, .id = PCI_EXT_CAP_ID_DSN, .version = 1, .length = 8,
		  .bytes = serial },
	};

	d.express = true;
	d.ncapabilities = 1;
	d.capabilities = caps;
	return set_up_as(state, &d);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vfio_close(f->dev);
	free(f);
	return 0;
}

static void assert_policy(struct vfio_dev *dev, const char *key, const char *value)
{
	char text[256];

	assert_int_equal(vfio_policy_get(dev, key, text, sizeof(text)), 0);
	assert_string_equal(text, value);
}

static uint32_t count_of(struct vfio_dev *dev, uint32_t index)
{
	struct vfio_irq_info info = { .argsz = sizeof(info) };

	assert_int_equal(vfio_irq_info(dev, index, &info), 0);
	return info.count;
}

/* ---- keys and values ---------------------------------------------------------------------- */

static void each_key_has_its_standard(void **state)
{
	struct fixture *f = *state;
	size_t count;
	const struct vfio_policy_key *keys = vfio_policy_keys(&count);

	assert_true(count >= 9);
	for (size_t i = 0; i < count; i++) {
		assert_policy(f->dev, keys[i].name, keys[i].standard);
		assert_int_equal(vfio_policy_set(f->dev, keys[i].name, keys[i].standard), 0);
		assert_policy(f->dev, keys[i].name, keys[i].standard);
		assert_true(strlen(keys[i].values) && strlen(keys[i].summary));
	}
}

static void what_cannot_be(void **state)
{
	static const char *const bad[][2] = {
		{ "", "" }, { "nonsense", "1" }, { "view", "" }, { "view", "VIRTUAL" },
		{ "view", "emulate" }, { "vectors", "-1" }, { "vectors", "2049" },
		{ "vectors", "3x" }, { "vectors", "" }, { "behaviour", "0" }, { "behaviour", "3" },
		{ "hide", "nonsense" }, { "hide", "0" }, { "hide", "0x100" }, { "hide", "Header" },
		{ "hide", "ext:PM" }, { "hide", "ext:0x10000" }, { "host-lacks", "msi-x" },
		{ "lacking", "filtered" }, { "at-close", "" },
		{ "max-maps", "1048577" }, { "max-maps", "all" }, { "max-maps", "1M" },
		{ "max-dma", "64m" }, { "max-dma", "64MB" }, { "max-dma", "-1" }, { "max-dma", "" },
		{ "max-dma", "16E" }, { "max-dma", "18446744073709551615" },
		{ "max-dma", "18446744073709551616" },
		{ "iova", "" }, { "iova", "0x1000" }, { "iova", "0x1000-" }, { "iova", "0-0" },
		{ "iova", "0x1000-0x2000" }, { "iova", "0x800-0x1fff" }, { "iova", "-1-0xfff" },
		{ "iova", "0x2000-0xfff" }, { "iova", "0x0-0x1fff,0x1000-0x2fff" },
		{ "iova", "0x2000-0x2fff,0x0-0xfff" }, { "iova", "0x0-0xfff,all" },
		{ "iova", "0x0-0x10000000000000fff" }, { "iova", "0x0-0xfff-0x1fff" },
		{ "iova", "0x00000000000000000000000000000000000000000000000000000000-0xffffff" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(vfio_policy_set(f->dev, bad[i][0], bad[i][1]), -EINVAL);
		assert_int_equal(vfio_last_error(f->dev)->code, VFIO_E_POLICY_VALUE);
	}
	each_key_has_its_standard(state);
}

static void a_value_needs_room(void **state)
{
	struct fixture *f = *state;
	char text[4];

	assert_int_equal(vfio_policy_get(f->dev, "view", text, sizeof(text)), -ENOSPC);
	assert_int_equal(vfio_policy_get(f->dev, "vectors", text, sizeof(text)), 0);
}

static void not_while_it_is_used(void **state)
{
	struct fixture *f = *state;
	int fd;

	assert_int_equal(vfio_irq_enable(f->dev, MSIX, 1, &fd), 0);
	assert_int_equal(vfio_policy_set(f->dev, "view", "filtered"), -EBUSY);
	assert_policy(f->dev, "view", "virtual");
	assert_int_equal(vfio_policy_set(f->dev, "vectors", "5"), 0);
	assert_int_equal(vfio_irq_disable(f->dev, MSIX), 0);
	assert_int_equal(vfio_policy_set(f->dev, "view", "filtered"), 0);
}

/* ---- the filtered view --------------------------------------------------------------------- */

static void filtered_shows_the_registers(void **state)
{
	struct fixture *f = *state;
	struct vfio_function *fn = f->model.fn;
	uint8_t config[CONFIG_SIZE];

	assert_int_equal(vfio_policy_set(f->dev, "view", "filtered"), 0);
	fn->registers.value[PCI_BASE_ADDRESS_0 + 3] = 0xfe;	/* as a host has set it */
	assert_int_equal(vfio_pread(f->dev, CONFIG, 0, config, sizeof(config)), sizeof(config));
	assert_memory_equal(config, fn->registers.value, sizeof(config));
	assert_int_equal(config[PCI_BASE_ADDRESS_0 + 3], 0xfe);
}

static uint32_t where(struct vfio_dev *dev, unsigned int at, uint32_t value, unsigned int width)
{
	uint32_t went;

	assert_int_equal(vfio_pwrite_where(dev, CONFIG, at, &value, width, &went), width);
	return went;
}

static void filtered_refuses_what_harms(void **state)
{
	struct fixture *f = *state;
	struct vfio_function *fn = f->model.fn;
	struct vfio_error record;
	uint64_t cursor = fn->side.count;

	assert_int_equal(vfio_policy_set(f->dev, "view", "filtered"), 0);
	assert_int_equal(where(f->dev, PCI_BASE_ADDRESS_0, 0xfebf0000, 4), VFIO_WENT_POLICY);
	assert_int_equal(vfio_read32(f->dev, CONFIG, PCI_BASE_ADDRESS_0), 0);
	assert_int_equal(vfio_record(f->dev, &cursor, &record), 1);
	assert_int_equal(record.code, VFIO_E_REFUSED);
	assert_int_equal(record.who, VFIO_BY_POLICY);
	assert_non_null(strstr(record.what, "BAR0"));
	assert_int_equal(where(f->dev, fn->layout.msi + PCI_MSI_ADDRESS_LO, 0xfee00000, 4),
			 VFIO_WENT_POLICY);
	assert_int_equal(where(f->dev, PCI_COMMAND, 0x0406, 2), VFIO_WENT_DEVICE | VFIO_WENT_POLICY);
	assert_true(function_masters_bus(fn));
	assert_int_equal(where(f->dev, PCI_VENDOR_ID, 0, 2), VFIO_WENT_NOWHERE);
}

/* The same driver works: messages, power, the regions. */
static void filtered_still_works(void **state)
{
	struct fixture *f = *state;
	uint8_t pm = f->model.fn->layout.pm + PCI_PM_CTRL;
	int fd;

	assert_int_equal(vfio_policy_set(f->dev, "view", "filtered"), 0);
	assert_int_equal(vfio_irq_enable(f->dev, VFIO_PCI_MSI_IRQ_INDEX, 1, &fd), 0);
	assert_true(vfio_read16(f->dev, CONFIG, f->model.fn->layout.msi + PCI_MSI_FLAGS) &
		    PCI_MSI_FLAGS_ENABLE);
	assert_int_equal(vfio_set_bus_master(f->dev, true), 0);
	vfio_function_msi(f->model.fn, 0);
	assert_int_equal(vfio_irq_wait(f->dev, fd, 0), 1);
	vfio_write16(f->dev, CONFIG, pm, 3);
	assert_int_equal(vfio_read32(f->dev, 0, MODEL_ID), UINT32_MAX);
	vfio_write16(f->dev, CONFIG, pm, 0);
	assert_int_equal(vfio_read32(f->dev, 0, MODEL_ID), MODEL_ID_VALUE);
}

/* ---- hiding ------------------------------------------------------------------------------- */

/* Whatever is hidden, the lists lead to what is left, and to nothing else. */
static void any_set_can_be_hidden(void **state)
{
	static const char *const names[] = { "PM", "MSI", "MSI-X", "0x10", "ext:AER", "ext:0x03" };
	static const uint16_t ids[] = { 1, 5, 0x11, 0x10, 1, 3 };
	struct fixture *f = *state;

	for (unsigned int set = 0; set < 64; set++) {
		char list[64] = "";

		for (unsigned int i = 0; i < 6; i++)
			if (set >> i & 1)
				snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s",
					 *list ? ", " : "", names[i]);
		assert_int_equal(vfio_policy_set(f->dev, "hide", *list ? list : "none"), 0);
		for (unsigned int i = 0; i < 4; i++)
			assert_int_equal(vfio_find_capability(f->dev, ids[i]) > 0, !(set >> i & 1));
		for (unsigned int i = 4; i < 6; i++)
			assert_int_equal(vfio_find_extended_capability(f->dev, ids[i]) > 0,
					 !(set >> i & 1) && !(set >> 3 & 1));
		assert_int_equal(!(vfio_read16(f->dev, CONFIG, PCI_STATUS) & PCI_STATUS_CAP_LIST),
				 (set & 15) == 15);
		assert_int_equal(count_of(f->dev, MSIX), set >> 2 & 1 ? 0 : MODEL_MSIX_VECTORS);
	}
}

static void a_hidden_first_extended_one_leaves_a_null(void **state)
{
	struct fixture *f = *state;
	uint32_t first;

	assert_int_equal(vfio_policy_set(f->dev, "hide", "AER"), 0);
	first = vfio_read32(f->dev, CONFIG, 0x100);
	assert_int_equal(first & 0xfffff, 0);
	assert_int_equal(first >> 20, vfio_find_extended_capability(f->dev, PCI_EXT_CAP_ID_DSN));
	assert_int_equal(vfio_policy_set(f->dev, "hide", "AER, SerialNumber"), 0);
	assert_int_equal(vfio_read32(f->dev, CONFIG, 0x100), 0);
}

static void what_lies_there_is_raw_or_zero(void **state)
{
	struct fixture *f = *state;
	unsigned int at = f->model.fn->layout.msix + PCI_MSIX_TABLE;
	struct vfio_config_info info;

	assert_int_equal(vfio_policy_set(f->dev, "hide", "MSI-X"), 0);
	assert_int_equal(vfio_read32(f->dev, CONFIG, at), MODEL_TABLE);
	assert_int_equal(vfio_policy_set(f->dev, "hidden", "zero"), 0);
	assert_int_equal(vfio_read32(f->dev, CONFIG, at), 0);
	assert_int_equal(where(f->dev, at, 0xffffffff, 4), VFIO_WENT_NOWHERE);
	/* Not even its traces can be seen. */
	assert_int_equal(vfio_config_info(f->dev, at, &info), 0);
	assert_int_equal(info.raw, 0);
	assert_int_equal(info.capability, 0);
	assert_int_equal(info.write, 0);
	/* And not in the filtered view either. */
	assert_int_equal(vfio_policy_set(f->dev, "view", "filtered"), 0);
	assert_int_equal(vfio_read32(f->dev, CONFIG, at), 0);
	assert_int_equal(vfio_find_capability(f->dev, PCI_CAP_ID_MSIX), -ENOENT);
	assert_true(vfio_find_capability(f->dev, PCI_CAP_ID_MSI) > 0);
}

/* ---- vectors ------------------------------------------------------------------------------ */

static void vectors_are_limited(void **state)
{
	struct fixture *f = *state;
	struct vfio_vectors v;
	int fds[MODEL_MSIX_VECTORS];

	assert_int_equal(vfio_policy_set(f->dev, "vectors", "3"), 0);
	assert_int_equal(vfio_irq_vectors(f->dev, MSIX, &v), 0);
	assert_int_equal(v.advertised, MODEL_MSIX_VECTORS);
	assert_int_equal(v.granted, 3);
	assert_int_equal(vfio_irq_enable(f->dev, MSIX, 8, fds), -ENOSPC);
	assert_non_null(strstr(vfio_last_error(f->dev)->what, "3"));
	assert_int_equal(vfio_irq_enable(f->dev, MSIX, 3, fds), 0);
	vfio_set_bus_master(f->dev, true);
	for (unsigned int i = 0; i < 3; i++) {
		vfio_function_msi(f->model.fn, i);
		assert_int_equal(vfio_irq_wait(f->dev, fds[i], 0), 1);
	}
	/* A change holds for the next request. */
	assert_int_equal(vfio_policy_set(f->dev, "vectors", "1"), 0);
	vfio_function_msi(f->model.fn, 2);
	assert_int_equal(vfio_irq_wait(f->dev, fds[2], 0), 1);
	assert_int_equal(vfio_irq_disable(f->dev, MSIX), 0);
	assert_int_equal(vfio_irq_enable(f->dev, MSIX, 2, fds), -ENOSPC);
	assert_int_equal(vfio_policy_set(f->dev, "vectors", "0"), 0);
	assert_int_equal(vfio_irq_enable(f->dev, MSIX, 1, fds), -ENOSPC);
}

/* ---- memory ------------------------------------------------------------------------------- */

static _Alignas(4096) uint8_t pages[4 * DMA_PAGE];

static int map(struct vfio_dev *dev, uint64_t iova, size_t size)
{
	struct vfio_dma dma = {
		.vaddr = pages, .iova = iova, .size = size, .fd = -1, .prot = VFIO_DMA_RW,
	};

	return vfio_dma_map(dev, &dma);
}

static void maps_are_limited(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma_limits limits;

	assert_int_equal(vfio_policy_set(f->dev, "max-maps", "2"), 0);
	assert_int_equal(map(f->dev, 0x0000, DMA_PAGE), 0);
	assert_int_equal(map(f->dev, 0x2000, DMA_PAGE), 0);
	assert_int_equal(map(f->dev, 0x4000, DMA_PAGE), -ENOSPC);
	assert_int_equal(vfio_last_error(f->dev)->code, VFIO_E_DMA_LIMIT);
	assert_int_equal(vfio_last_error(f->dev)->who, VFIO_BY_POLICY);
	assert_non_null(strstr(vfio_last_error(f->dev)->what, "2 of 2 are in use"));
	assert_non_null(strstr(vfio_last_error(f->dev)->what, "the policy max-maps"));
	assert_int_equal(vfio_dma_limits(f->dev, &limits), 0);
	assert_int_equal(limits.maps.advertised, SPACE_MAPS);
	assert_int_equal(limits.maps.granted, 2);
	assert_int_equal(limits.maps.used, 2);
	/* While memory is mapped, too; what there is stays. */
	assert_int_equal(vfio_policy_set(f->dev, "max-maps", "1"), 0);
	assert_int_equal(vfio_dma_unmap(f->dev, 0, DMA_PAGE), 0);
	assert_int_equal(map(f->dev, 0, DMA_PAGE), -ENOSPC);
	assert_int_equal(vfio_policy_set(f->dev, "max-maps", "1048576"), 0);
	assert_int_equal(map(f->dev, 0, DMA_PAGE), 0);
	assert_int_equal(vfio_dma_unmap(f->dev, 0, UINT64_MAX), 0);
}

static void bytes_are_limited(void **state)
{
	static const char *const values[][2] = {
		{ "1023K", "1023K" }, { "65536K", "64M" }, { "15E", "15E" }, { "4096", "4K" },
		{ "1025", "1025" }, { "0", "0" }, { "all", "all" }, { "12K", "12K" },
	};
	struct fixture *f = *state;
	struct vfio_dma_limits limits;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_int_equal(vfio_policy_set(f->dev, "max-dma", values[i][0]), 0);
		assert_policy(f->dev, "max-dma", values[i][1]);
	}
	assert_int_equal(map(f->dev, 0x0000, 2 * DMA_PAGE), 0);
	assert_int_equal(map(f->dev, 0x4000, 2 * DMA_PAGE), -ENOMEM);
	assert_int_equal(vfio_last_error(f->dev)->code, VFIO_E_DMA_LIMIT);
	assert_int_equal(vfio_last_error(f->dev)->who, VFIO_BY_POLICY);
	assert_non_null(strstr(vfio_last_error(f->dev)->what, "8192 of 12288 are in use"));
	assert_non_null(strstr(vfio_last_error(f->dev)->remedy, "max-dma"));
	assert_int_equal(map(f->dev, 0x4000, DMA_PAGE), 0);
	assert_int_equal(vfio_dma_limits(f->dev, &limits), 0);
	assert_int_equal(limits.bytes.advertised, UINT64_MAX);
	assert_int_equal(limits.bytes.granted, 12288);
	assert_int_equal(limits.bytes.used, 12288);
	assert_int_equal(vfio_policy_set(f->dev, "max-dma", "16K"), 0);
	assert_int_equal(map(f->dev, 0x6000, DMA_PAGE), 0);
	assert_int_equal(vfio_dma_unmap(f->dev, 0, UINT64_MAX), 0);
}

static void addresses_are_limited(void **state)
{
	struct fixture *f = *state;
	struct vfio_iova_range ranges[VFIO_MAX_IOVA_RANGES];

	assert_int_equal(vfio_policy_set(f->dev, "iova", "0x0-0xffff, 0x20000-0xffffffffffffffff"),
			 0);
	assert_int_equal(vfio_iova_ranges(f->dev, ranges), 2);
	assert_int_equal(ranges[0].end, 0xffff);
	assert_int_equal(ranges[1].start, 0x20000);
	assert_int_equal(map(f->dev, 0x10000, DMA_PAGE), -EINVAL);
	assert_int_equal(vfio_last_error(f->dev)->code, VFIO_E_IOVA_RANGE);
	assert_int_equal(vfio_last_error(f->dev)->who, VFIO_BY_POLICY);
	assert_non_null(strstr(vfio_last_error(f->dev)->what, "policy iova"));
	assert_int_equal(map(f->dev, 0xf000, 2 * DMA_PAGE), -EINVAL);
	assert_int_equal(map(f->dev, 0xf000, DMA_PAGE), 0);
	assert_int_equal(vfio_policy_set(f->dev, "iova", "all"), -EBUSY);
	assert_int_equal(vfio_dma_unmap(f->dev, 0xf000, DMA_PAGE), 0);
	assert_int_equal(vfio_policy_set(f->dev, "iova", "4096-0x1fff"), 0);
	assert_int_equal(map(f->dev, 0, DMA_PAGE), -EINVAL);
	assert_int_equal(map(f->dev, 0x1000, DMA_PAGE), 0);
	assert_int_equal(vfio_dma_unmap(f->dev, 0, UINT64_MAX), 0);
	assert_int_equal(vfio_policy_set(f->dev, "iova", "all"), 0);
	assert_int_equal(vfio_iova_ranges(f->dev, ranges), 1);
	assert_int_equal(map(f->dev, 0x10000, DMA_PAGE), 0);
}

/* ---- what others know --------------------------------------------------------------------- */

/* As at a server that has none of the library's own features. */
static int knows_no_feature(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	(void)flags, (void)data, (void)len;
	return error_set(&dev->error, ENOTTY, VFIO_E_UNSUPPORTED, VFIO_BY_SERVER, NULL, "what?");
}

/* What the library predicts itself is no failed call: the last error stays. */
static void predictions_leave_the_last_error(void **state)
{
	struct fixture *f = *state;
	const struct backend *real = f->dev->backend;
	struct backend foreign = *real;
	struct vfio_config_info info;
	struct vfio_reset_info reset;
	struct vfio_vectors vectors;

	foreign.feature = knows_no_feature;
	f->dev->backend = &foreign;
	error_set(&f->dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL, "mine");
	assert_int_equal(vfio_config_info(f->dev, PCI_COMMAND, &info), 0);
	assert_true(info.write & PCI_COMMAND_MASTER);
	assert_int_equal(vfio_reset_probe(f->dev, &reset), 0);
	assert_int_equal(vfio_irq_vectors(f->dev, MSIX, &vectors), 0);
	assert_int_equal(vectors.granted, MODEL_MSIX_VECTORS);
	assert_string_equal(vfio_last_error(f->dev)->what, "mine");
	f->dev->backend = real;
}

static void msix_does_not_grow_past_the_limit(void **state)
{
	struct fixture *f = *state;
	int fd = eventfd(0, EFD_CLOEXEC);
	struct irq_request q = {
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, .index = MSIX,
		.count = 1, .fds = &fd,
	};

	assert_int_equal(vfio_policy_set(f->dev, "vectors", "3"), 0);
	assert_int_equal(function_set_irqs(f->model.fn, &q), 0);
	q.start = 2;
	assert_int_equal(function_set_irqs(f->model.fn, &q), 0);
	q.start = 3;
	assert_int_equal(function_set_irqs(f->model.fn, &q), -ENOSPC);
	assert_int_equal(vfio_last_error(f->dev)->code, VFIO_E_VECTORS);
	assert_int_equal(vfio_last_error(f->dev)->who, VFIO_BY_POLICY);
	close(fd);
}

/* ---- what the host lacks ------------------------------------------------------------------ */

static void three_ways_to_lack(void **state)
{
	struct fixture *f = *state;
	int fds[2];

	assert_int_equal(vfio_policy_set(f->dev, "host-lacks", "msix, intx"), 0);
	assert_policy(f->dev, "host-lacks", "intx,msix");
	assert_int_equal(count_of(f->dev, MSIX), MODEL_MSIX_VECTORS);
	assert_int_equal(vfio_irq_enable(f->dev, MSIX, 2, fds), -EOPNOTSUPP);
	assert_int_equal(vfio_last_error(f->dev)->code, VFIO_E_UNDELIVERABLE);
	assert_int_equal(vfio_irq_enable(f->dev, VFIO_PCI_INTX_IRQ_INDEX, 1, fds), -ENODEV);

	assert_int_equal(vfio_policy_set(f->dev, "lacking", "hide"), 0);
	assert_int_equal(count_of(f->dev, MSIX), 0);
	assert_int_equal(vfio_find_capability(f->dev, PCI_CAP_ID_MSIX), -ENOENT);
	assert_int_equal(vfio_read8(f->dev, CONFIG, PCI_INTERRUPT_PIN), 0);
	assert_true(vfio_find_capability(f->dev, PCI_CAP_ID_MSI) > 0);

	assert_int_equal(vfio_policy_set(f->dev, "lacking", "emulate"), 0);
	assert_int_equal(vfio_irq_enable(f->dev, MSIX, 2, fds), 0);
	vfio_set_bus_master(f->dev, true);
	vfio_function_msi(f->model.fn, 1);
	assert_int_equal(vfio_irq_wait(f->dev, fds[1], 0), 1);
}

/* ---- the rest ----------------------------------------------------------------------------- */

static void a_broken_list_is_served_or_refused(void **state)
{
	struct fixture *f = *state;
	struct vfio_function *fn = f->model.fn;

	fn->registers.power_on[fn->layout.pm + 1] = fn->layout.pm;	/* it leads to itself */
	assert_int_equal(vfio_policy_set(f->dev, "malformed", "refuse"), -EINVAL);
	assert_int_equal(vfio_last_error(f->dev)->code, VFIO_E_MALFORMED);
	assert_non_null(strstr(vfio_last_error(f->dev)->what, "loops"));
	assert_policy(f->dev, "malformed", "serve");
	assert_true(vfio_find_capability(f->dev, PCI_CAP_ID_PM) > 0);
	assert_int_equal(vfio_read8(f->dev, CONFIG, fn->layout.pm + 1), 0);
}

/* The model fails; the administrator's wish is not half done. */
static void a_policy_that_fails_is_taken_back(void **state)
{
	struct fixture *f = *state;

	f->model.stuck = true;
	assert_int_equal(vfio_policy_set(f->dev, "view", "filtered"), -EIO);
	assert_policy(f->dev, "view", "virtual");
	assert_int_equal(f->model.fn->view.virt[PCI_BASE_ADDRESS_0], 0xff);
}

/* What is kept is what the memory holds, and not the memory that the last user still has. */
static void memory_that_is_kept_is_new(void **state)
{
	struct fixture *f = *state;
	struct vfio_region region;
	uint64_t at = MODEL_AREA_2 + 8;
	volatile uint32_t *old;
	int fd;

	assert_int_equal(vfio_policy_set(f->dev, "at-close", "keep"), 0);
	assert_int_equal(vfio_region(f->dev, 2, &region), 0);
	fd = dup(region.fd);
	old = mmap(NULL, MODEL_AREA_2_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, MODEL_AREA_2);
	assert_ptr_not_equal(old, MAP_FAILED);
	old[2] = 0x600d;
	assert_int_equal(f->dev->backend->recycle(f->dev), 0);
	assert_int_equal(vfio_read32(f->dev, 2, at), 0x600d);
	old[2] = 0xbad;
	assert_int_equal(vfio_read32(f->dev, 2, at), 0x600d);
	vfio_write32(f->dev, 2, at, 0x5ec7e7);
	assert_int_equal(old[2], 0xbad);
	munmap((void *)old, MODEL_AREA_2_SIZE);
	close(fd);
}

/* The level is the model's, and is there when INTx comes back. */
static void a_hidden_pin_keeps_its_level(void **state)
{
	struct fixture *f = *state;
	struct vfio_function *fn = f->model.fn;
	static struct vfio_function_ops no_reset;

	no_reset = model_ops;
	no_reset.reset = NULL;
	fn->ops = &no_reset;
	vfio_function_intx(fn, true);
	assert_int_equal(vfio_policy_set(f->dev, "host-lacks", "intx"), 0);
	assert_int_equal(vfio_policy_set(f->dev, "lacking", "hide"), 0);
	assert_false(vfio_read16(f->dev, CONFIG, PCI_STATUS) & PCI_STATUS_INTERRUPT);
	assert_int_equal(vfio_policy_set(f->dev, "lacking", "fail"), 0);
	assert_true(vfio_read16(f->dev, CONFIG, PCI_STATUS) & PCI_STATUS_INTERRUPT);
}

/* ---- what one user leaves to the next ------------------------------------------------------ */

static void records_are_not_merged_over_users(void **state)
{
	struct fixture *f = *state;
	struct vfio_function *fn = f->model.fn;
	uint64_t cursor;
	struct vfio_error record;

	vfio_write8(f->dev, CONFIG, PCI_REVISION_ID, 0xff);
	vfio_write8(f->dev, CONFIG, PCI_REVISION_ID, 0xff);
	assert_int_equal(f->dev->backend->recycle(f->dev), 0);
	cursor = fn->side.count;
	vfio_write8(f->dev, CONFIG, PCI_REVISION_ID, 0xff);
	assert_int_equal(vfio_record(f->dev, &cursor, &record), 1);
	assert_null(strstr(record.what, "times"));
}

static void records_have_nothing_behind_their_text(void **state)
{
	struct fixture *f = *state;
	struct vfio_error record;
	uint64_t cursor = 0;
	uint8_t byte;

	assert_int_equal(vfio_pread(f->dev, 31, 0, &byte, 1), -EINVAL);	/* a long text, */
	assert_int_equal(vfio_policy_get(f->dev, "?", NULL, 0), -EINVAL);	/* then a short one */
	while (vfio_record(f->dev, &cursor, &record) == 1) {
		for (size_t i = strlen(record.what); i < sizeof(record.what); i++)
			assert_int_equal(record.what[i], 0);
		for (size_t i = strlen(record.remedy); i < sizeof(record.remedy); i++)
			assert_int_equal(record.remedy[i], 0);
	}
}

static void a_device_can_stay_as_it_is(void **state)
{
	struct fixture *f = *state;
	unsigned int resets = f->model.resets;

	assert_int_equal(vfio_policy_set(f->dev, "at-close", "keep"), 0);
	vfio_write8(f->dev, CONFIG, PCI_INTERRUPT_LINE, 9);
	vfio_set_bus_master(f->dev, true);
	assert_int_equal(f->dev->backend->recycle(f->dev), 0);
	assert_int_equal(f->model.resets, resets);
	assert_int_equal(vfio_read8(f->dev, CONFIG, PCI_INTERRUPT_LINE), 9);
	assert_false(function_masters_bus(f->model.fn));
	assert_int_equal(vfio_policy_set(f->dev, "at-close", "reset"), 0);
	assert_int_equal(f->dev->backend->recycle(f->dev), 0);
	assert_int_equal(f->model.resets, resets + 1);
	assert_int_equal(vfio_read8(f->dev, CONFIG, PCI_INTERRUPT_LINE), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define EXPRESS(name) cmocka_unit_test_setup_teardown(name, set_up_express, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_key_has_its_standard),
		TEST(what_cannot_be),
		TEST(a_value_needs_room),
		TEST(not_while_it_is_used),
		TEST(filtered_shows_the_registers),
		TEST(filtered_refuses_what_harms),
		TEST(filtered_still_works),
		EXPRESS(any_set_can_be_hidden),
		EXPRESS(a_hidden_first_extended_one_leaves_a_null),
		TEST(what_lies_there_is_raw_or_zero),
		TEST(vectors_are_limited),
		TEST(maps_are_limited),
		TEST(bytes_are_limited),
		TEST(addresses_are_limited),
		TEST(predictions_leave_the_last_error),
		TEST(msix_does_not_grow_past_the_limit),
		TEST(three_ways_to_lack),
		TEST(a_broken_list_is_served_or_refused),
		TEST(a_device_can_stay_as_it_is),
		TEST(a_policy_that_fails_is_taken_back),
		TEST(memory_that_is_kept_is_new),
		TEST(a_hidden_pin_keeps_its_level),
		TEST(records_are_not_merged_over_users),
		TEST(records_have_nothing_behind_their_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

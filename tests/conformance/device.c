/* SPDX-License-Identifier: MIT */
/* Rows 62, 63, 131 and 132: what a device keeps over a reset, and what it does not over a close. */
#include <errno.h>
#include <linux/pci_regs.h>

#include "requests.h"
#include "row.h"

/* What a driver leaves in registers that are virtual. */
static void leave_traces(struct bed *b)
{
	int msi = vfio_find_capability(b->dev, PCI_CAP_ID_MSI);

	put(b, PCI_BASE_ADDRESS_0, 4, 0xf0000000);
	put(b, PCI_INTERRUPT_LINE, 1, 0x5a);
	put(b, PCI_COMMAND, 2, get(b, PCI_COMMAND, 2) | PCI_COMMAND_INTX_DISABLE);
	if (msi > 0)
		put(b, msi + PCI_MSI_ADDRESS_LO, 4, 0xfee01230);
}

/* VFIO_DEVICE_RESET -> read virtual BAR, MSI addr, int line -> unchanged */
static void row_062_reset_keeps_config(struct bed *b)
{
	uint8_t before[4096], after[4096];
	size_t size;

	leave_traces(b);
	size = see_all(b, before);
	assert_int_equal(vfio_reset(b->dev), 0);
	assert_int_equal(see_all(b, after), size);
	assert_memory_equal(before, after, size);
}

/* close last fd, reopen -> read BARs, INTx disable -> fresh from hw, user values gone */
static void row_063_close_forgets(struct bed *b)
{
	uint8_t before[4096], after[4096];
	size_t size = see_all(b, before);

	leave_traces(b);
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	bed_reopen(b);
	assert_int_equal(see_all(b, after), size);
	assert_memory_equal(before, after, size);
}

/* no reset method -> RESET -> EINVAL; GET_INFO lacks RESET flag */
static void row_131_no_reset(struct bed *b)
{
	struct vfio_device_info info;

	assert_int_equal(vfio_reset(b->dev), -EINVAL);
	assert_int_equal(vfio_info(b->dev, &info), 0);
	assert_false(info.flags & VFIO_DEVICE_FLAGS_RESET);
}

/* reset ok -> RESET -> 0; Command as before */
static void row_132_reset(struct bed *b)
{
	uint32_t command = get(b, PCI_COMMAND, 2) | PCI_COMMAND_MASTER | PCI_COMMAND_SERR;

	put(b, PCI_COMMAND, 2, command);
	if (has_model(b))
		model_put(b, MODEL_SCRATCH, 0x600df00d);
	assert_int_equal(vfio_reset(b->dev), 0);
	assert_int_equal(get(b, PCI_COMMAND, 2), command);
	if (has_model(b))
		assert_int_equal(model_get(b, MODEL_SCRATCH), 0);
}

const struct row device_rows[] = {
	ROW(row_062_reset_keeps_config, NEEDS_RESET),
	ROW(row_063_close_forgets, ANY),
	ROW(row_131_no_reset, NEEDS_NO_RESET),
	ROW(row_132_reset, NEEDS_RESET),
	ROWS_END
};

/* SPDX-License-Identifier: MIT */
/* Rows 17 to 30: Command, Status, and what they do to BARs. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <signal.h>

#include "row.h"

#define RW1C_STATUS 0xf900

/* ---- Command and Status --------------------------------------------------------------------- */

/* after open -> read Command bit 2 -> 0 */
static void row_017_bus_master_is_off(struct bed *b)
{
	assert_int_equal(get(b, PCI_COMMAND, 2) & PCI_COMMAND_MASTER, 0);
}

/* after open -> write Command |= 4, read -> bit 2 set; clear works too */
static void row_018_bus_master_switches(struct bed *b)
{
	uint32_t command = get(b, PCI_COMMAND, 2);

	put(b, PCI_COMMAND, 2, command | PCI_COMMAND_MASTER);
	assert_int_equal(get(b, PCI_COMMAND, 2), command | PCI_COMMAND_MASTER);
	put(b, PCI_COMMAND, 2, command);
	assert_int_equal(get(b, PCI_COMMAND, 2), command);
}

/* after open, memory BARs -> read Command bit 1 -> 1 */
static void row_019_memory_is_on(struct bed *b)
{
	assert_int_equal(get(b, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY);
}

static void check_intx_disable(struct bed *b)
{
	uint32_t command = get(b, PCI_COMMAND, 2);

	assert_int_equal(command & PCI_COMMAND_INTX_DISABLE, 0);
	put(b, PCI_COMMAND, 2, command | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(get(b, PCI_COMMAND, 2), command | PCI_COMMAND_INTX_DISABLE);
	put(b, PCI_COMMAND, 2, command);
	assert_int_equal(get(b, PCI_COMMAND, 2), command);
}

/* any -> write Command bit 10 = 1, read -> 1; clear reads 0 */
static void row_020_intx_disable(struct bed *b)
{
	check_intx_disable(b);
}

/* any -> read Status while host uses DisINTx -> Command bit 10 still shows user value */
static void row_021_intx_disable_is_the_users(struct bed *b)
{
	uint32_t index = vfio_find_capability(b->dev, PCI_CAP_ID_MSIX) > 0 ? MSIX : MSI;
	int fd;

	assert_int_equal(vfio_irq_enable(b->dev, index, 1, &fd), 0);
	get(b, PCI_STATUS, 2);
	check_intx_disable(b);
}

/*
 * any -> write 0xffff to Status (offset 6, 2 bytes) -> success, no RW1C bit cleared. Ours: they
 * are, and only by that: a write to Command leaves them alone.
 */
static void row_022_status_errors(struct bed *b)
{
	uint32_t status = get(b, PCI_STATUS, 2);

	if (ours(b))
		put(b, PCI_COMMAND, 4, get(b, PCI_COMMAND, 2));
	put(b, PCI_STATUS, 2, 0);
	assert_int_equal(get(b, PCI_STATUS, 2), status);
	put(b, PCI_STATUS, 2, 0xffff);
	assert_int_equal(get(b, PCI_STATUS, 2), ours(b) ? status & ~RW1C_STATUS : status);
}

/* no std capability exposed -> read Status bit 4 -> 0 */
static void row_023_no_list(struct bed *b)
{
	assert_int_equal(get(b, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, 0);
	assert_int_equal(get(b, PCI_CAPABILITY_LIST, 1), 0);
}

/* Command.MEM=1 -> write MEM=0 then pread / pwrite memory BAR -> EIO */
static void row_024_memory_off(struct bed *b)
{
	uint32_t value = 0;

	set_memory(b, false);
	for (unsigned int bar = 0; bar < 6; bar++) {
		enum bar_kind kind = bar_kind(b, bar);

		if (kind != MEM32_BAR && kind != MEM64_BAR)
			continue;
		assert_int_equal(peek(b, bar), -EIO);
		assert_int_equal(vfio_pwrite(b->dev, bar, region_of(b, bar).size - 4, &value, 4),
				 -EIO);
	}
}

/* MEM=0 -> pread I/O BAR -> succeeds */
static void row_025_ports_with_memory_off(struct bed *b)
{
	set_memory(b, false);
	assert_int_equal(peek(b, first_bar(b, IO_BAR)), 4);
}

static sigjmp_buf after_fault;

static void on_fault(int signal)
{
	siglongjmp(after_fault, 1);
}

/* Does a load from there raise SIGBUS? */
static bool faults(volatile uint32_t *at)
{
	struct sigaction catch = { .sa_handler = on_fault }, before;
	volatile bool fault = true;

	sigaction(SIGBUS, &catch, &before);
	if (sigsetjmp(after_fault, 1) == 0) {
		(void)*at;
		fault = false;
	}
	sigaction(SIGBUS, &before, NULL);
	return fault;
}

static volatile uint32_t *map_area(struct bed *b)
{
	struct vfio_region region = region_of(b, mappable_bar(b));
	volatile void *at = vfio_map(b->dev, region.index, region.areas[0].offset, 4096);

	assert_non_null(at);
	return at;
}

/* BAR mmapped -> write MEM=0, touch mapping -> SIGBUS. Ours: maps always work. */
static void row_026_map_with_memory_off(struct bed *b)
{
	volatile uint32_t *at = map_area(b);

	assert_false(faults(at));
	set_memory(b, false);
	assert_int_equal(faults(at), !ours(b) && !by_uio(b));	/* the hardware reads all ones */
}

/* same mapping -> write MEM=1, touch -> works, no remap needed */
static void row_027_map_with_memory_on_again(struct bed *b)
{
	volatile uint32_t *at = map_area(b);
	uint32_t value;

	set_memory(b, false);
	set_memory(b, true);
	assert_false(faults(at));
	if (!ours(b))
		return;
	*at = 0x600df00d;
	assert_int_equal(vfio_pread(b->dev, mappable_bar(b),
				    region_of(b, mappable_bar(b)).areas[0].offset, &value, 4), 4);
	assert_int_equal(value, 0x600df00d);
}

/* ---- virtual functions ---------------------------------------------------------------------- */

/* VF -> write MEM=0 then pread BAR -> succeeds; Command bit 1 reads 0 */
static void row_028_vf_decodes_always(struct bed *b)
{
	set_memory(b, false);
	assert_int_equal(get(b, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY, 0);
	assert_int_equal(peek(b, memory_bar(b)), 4);
}

/* VF -> read interrupt pin -> 0 */
static void row_029_vf_has_no_pin(struct bed *b)
{
	assert_int_equal(get(b, PCI_INTERRUPT_PIN, 1), 0);
}

/* VF after open -> read Command bit 1 -> 1 */
static void row_030_vf_memory_is_on(struct bed *b)
{
	assert_int_equal(get(b, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY);
}

const struct row command_rows[] = {
	ROW(row_017_bus_master_is_off, ANY),
	ROW(row_018_bus_master_switches, ANY),
	ROW(row_019_memory_is_on, NEEDS_MEMORY),
	ROW(row_020_intx_disable, ANY),
	ROW(row_021_intx_disable_is_the_users, NEEDS_MESSAGES),
	ROW(row_022_status_errors, ANY),
	ROW(row_023_no_list, NEEDS_NO_CAPS),
	ROW(row_024_memory_off, NEEDS_MEMORY),
	ROW(row_025_ports_with_memory_off, NEEDS_IO),
	ROW(row_026_map_with_memory_off, NEEDS_MAPPABLE, NEEDS_PF),
	ROW(row_027_map_with_memory_on_again, NEEDS_MAPPABLE),
	ROW(row_028_vf_decodes_always, NEEDS_VF),
	ROW(row_029_vf_has_no_pin, NEEDS_VF),
	ROW(row_030_vf_memory_is_on, NEEDS_VF),
	ROWS_END
};

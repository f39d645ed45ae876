/* SPDX-License-Identifier: MIT */
/* Rows 91 to 114: what is checked of a request, and INTx. */
#include <errno.h>
#include <linux/pci_regs.h>
#include <unistd.h>

#include "requests.h"
#include "row.h"

/* ---- indexes and checks --------------------------------------------------------------------- */

static struct vfio_irq_info irq_info(struct bed *b, uint32_t index)
{
	struct vfio_irq_info info;

	assert_int_equal(vfio_irq_info(b->dev, index, &info), 0);
	return info;
}

/* any -> GET_IRQ_INFO or SET_IRQS index 5 -> EINVAL */
static void row_091_no_such_index(struct bed *b)
{
	struct vfio_irq_info info;

	assert_int_equal(vfio_irq_info(b->dev, VFIO_PCI_NUM_IRQS, &info), -EINVAL);
	assert_int_equal(request(b, NONE | TRIGGER, VFIO_PCI_NUM_IRQS, 0, 1), -EINVAL);
}

/* non-PCIe -> GET_IRQ_INFO 3 -> EINVAL. Of the driver API: no vectors. */
static void row_092_no_error_index(struct bed *b)
{
	struct vfio_irq_info info;

	assert_int_equal(vfio_irq_info(b->dev, ERR, &info), 0);
	assert_int_equal(info.count, 0);
}

/* pin 0 -> GET_IRQ_INFO 0 -> count 0, flags 7 */
static void row_093_no_pin(struct bed *b)
{
	struct vfio_irq_info info = irq_info(b, INTX);

	assert_int_equal(info.count, 0);
	assert_int_equal(info.flags, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE |
			 VFIO_IRQ_INFO_AUTOMASKED);
}

/* MSI-X N entries -> GET_IRQ_INFO 2 -> count N, flags 1 or 9 */
static void row_094_msix_info(struct bed *b)
{
	struct vfio_irq_info info = irq_info(b, MSIX);
	uint32_t control = get(b, cap(b, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2);

	assert_int_equal(info.count, (control & PCI_MSIX_FLAGS_QSIZE) + 1);
	assert_int_equal(info.flags & ~VFIO_IRQ_INFO_NORESIZE, VFIO_IRQ_INFO_EVENTFD);
}

/* any -> SET_IRQS with two DATA bits, no DATA bit, or unknown flag 0x40 -> EINVAL */
static void row_095_flags(struct bed *b)
{
	assign(b, REQ, 0, 1);
	assert_int_equal(request(b, NONE | BOOL | TRIGGER, REQ, 0, 1), -EINVAL);
	assert_int_equal(request(b, NONE | EVENTFD | TRIGGER, REQ, 0, 1), -EINVAL);
	assert_int_equal(request(b, TRIGGER, REQ, 0, 1), -EINVAL);
	assert_int_equal(request(b, NONE | TRIGGER | 0x40, REQ, 0, 1), -EINVAL);
	assert_int_equal(request(b, NONE | TRIGGER, REQ, 0, 1), 0);
}

/* MSI-X N -> start N count 0, or start 0 count N+1 -> EINVAL */
static void row_096_vectors_outside(struct bed *b)
{
	uint32_t n = vectors_of(b, MSIX);

	assign(b, MSIX, 0, 1);
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, n, 0), -EINVAL);
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, 0, n + 1), -EINVAL);
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, 0, n), 0);
}

/* index count 0 -> DATA_NONE TRIGGER count 0 -> EINVAL */
static void row_097_index_without_vectors(struct bed *b)
{
	int fd = bed_eventfd(b);

	for (uint32_t index = INTX; index <= MSIX; index++) {
		if (vectors_of(b, index) > 0)
			continue;
		assert_int_equal(request(b, NONE | TRIGGER, index, 0, 0), -EINVAL);
		assert_int_equal(request_fd(b, TRIGGER, index, 0, fd), -EINVAL);
	}
}

/* valid index -> two ACTION bits -> ENOTTY */
static void row_098_two_actions(struct bed *b)
{
	assert_int_equal(request(b, NONE | TRIGGER | MASK, REQ, 0, 1), -ENOTTY);
	assert_int_equal(request(b, NONE | MASK | UNMASK, REQ, 0, 1), -ENOTTY);
	assert_int_equal(request(b, NONE, REQ, 0, 1), -ENOTTY);
}

/* MSI -> ACTION_MASK -> ENOTTY */
static void row_099_messages_have_no_mask(struct bed *b)
{
	assert_int_equal(request(b, NONE | MASK, MSI, 0, 1), -ENOTTY);
	assign(b, MSI, 0, 1);
	assert_int_equal(request(b, NONE | MASK, MSI, 0, 1), -ENOTTY);
	assert_int_equal(request(b, NONE | UNMASK, MSI, 0, 1), -ENOTTY);
}

/* EVENTFD count 2 -> argsz 20+4 -> EINVAL */
static void row_100_argsz_covers_the_data(struct bed *b)
{
	struct {
		struct vfio_irq_set set;
		int fds[2];
	} q = {
		.set = { .argsz = sizeof(q.set) + sizeof(int), .flags = EVENTFD | TRIGGER,
			 .index = MSIX, .count = 2 },
		.fds = { bed_eventfd(b), bed_eventfd(b) },
	};

	assert_int_equal(vfio_irq_set(b->dev, &q.set), -EINVAL);
	q.set.argsz += sizeof(int);
	assert_int_equal(vfio_irq_set(b->dev, &q.set), 0);
}

/* ---- INTx: signals -------------------------------------------------------------------------- */

static void set_intx_disable(struct bed *b, bool on)
{
	uint32_t command = get(b, PCI_COMMAND, 2);

	put(b, PCI_COMMAND, 2, on ? command | PCI_COMMAND_INTX_DISABLE
				  : command & ~PCI_COMMAND_INTX_DISABLE);
}

/* none active -> INTx TRIGGER EVENTFD fd -> 0, later interrupts +1 */
static void row_101_intx(struct bed *b)
{
	int fd = assign(b, INTX, 0, 1);

	assert_signals(b, fd, 0);
	set_pin(b, true);
	assert_signals(b, fd, 1);
	assert_true(get(b, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	set_pin(b, false);
	assert_false(get(b, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	assert_int_equal(request(b, NONE | UNMASK, INTX, 0, 1), 0);
	assert_signals(b, fd, 0);
	set_pin(b, true);
	assert_signals(b, fd, 1);
}

/* INTx active -> device asserts twice without unmask -> eventfd count 1 */
static void row_102_intx_masks_itself(struct bed *b)
{
	int fd = assign(b, INTX, 0, 1);

	set_pin(b, true);
	set_pin(b, false);
	set_pin(b, true);
	assert_signals(b, fd, 1);
}

/* INTx asserted and masked -> UNMASK while still asserted -> new signal at once */
static void row_103_intx_still_asserted(struct bed *b)
{
	int fd = assign(b, INTX, 0, 1);

	set_pin(b, true);
	assert_signals(b, fd, 1);
	assert_int_equal(request(b, NONE | UNMASK, INTX, 0, 1), 0);
	assert_signals(b, fd, 1);
	set_pin(b, false);
	assert_int_equal(request(b, NONE | UNMASK, INTX, 0, 1), 0);
	assert_int_equal(request(b, NONE | MASK, INTX, 0, 1), 0);
	set_pin(b, true);
	assert_signals(b, fd, 0);
	assert_int_equal(request_bools(b, UNMASK, INTX, 0, 1, (const uint8_t[]){ 0 }), 0);
	assert_signals(b, fd, 0);
	assert_int_equal(request_bools(b, UNMASK, INTX, 0, 1, (const uint8_t[]){ 1 }), 0);
	assert_signals(b, fd, 1);
}

/* INTx active -> TRIGGER NONE count 1 -> eventfd +1 */
static void row_104_intx_loopback(struct bed *b)
{
	int fd = assign(b, INTX, 0, 1);

	assert_int_equal(request(b, NONE | TRIGGER, INTX, 0, 1), 0);
	assert_signals(b, fd, 1);
}

/* INTx active, DisINTx=1 virtual -> TRIGGER NONE count 1 -> no signal */
static void row_105_intx_disabled(struct bed *b)
{
	int fd = assign(b, INTX, 0, 1);

	set_intx_disable(b, true);
	assert_int_equal(request(b, NONE | TRIGGER, INTX, 0, 1), 0);
	assert_signals(b, fd, 0);
}

/* ---- INTx: states --------------------------------------------------------------------------- */

/* INTx not active -> MASK -> EINVAL */
static void row_106_mask_what_is_not_active(struct bed *b)
{
	assert_int_equal(request(b, NONE | MASK, INTX, 0, 1), -EINVAL);
	assert_int_equal(request(b, NONE | UNMASK, INTX, 0, 1), -EINVAL);
}

/* INTx active -> MASK EVENTFD -> ENOTTY */
static void row_107_mask_by_eventfd(struct bed *b)
{
	assign(b, INTX, 0, 1);
	assert_int_equal(request_fd(b, MASK, INTX, 0, bed_eventfd(b)), -ENOTTY);
}

/* INTx active with unmask irqfd -> UNMASK EVENTFD other fd -> EBUSY */
static void row_108_one_rearming_eventfd(struct bed *b)
{
	int fd = assign(b, INTX, 0, 1), rearm = bed_eventfd(b);
	uint64_t one = 1;

	assert_int_equal(request_fd(b, UNMASK, INTX, 0, rearm), 0);
	assert_int_equal(request_fd(b, UNMASK, INTX, 0, bed_eventfd(b)), -EBUSY);
	if (!has_model(b))
		return;
	set_pin(b, true);
	assert_signals(b, fd, 1);
	assert_int_equal(write(rearm, &one, sizeof(one)), sizeof(one));
	assert_true(vfio_irq_wait(b->dev, fd, 2000) == 1);
}

/* INTx active -> UNMASK EVENTFD -1 -> 0 even if none */
static void row_109_no_rearming_eventfd(struct bed *b)
{
	int rearm = bed_eventfd(b);

	assign(b, INTX, 0, 1);
	assert_int_equal(request_fd(b, UNMASK, INTX, 0, -1), 0);
	assert_int_equal(request_fd(b, UNMASK, INTX, 0, rearm), 0);
	assert_int_equal(request_fd(b, UNMASK, INTX, 0, -1), 0);
	assert_int_equal(request_fd(b, UNMASK, INTX, 0, rearm), 0);
}

/* INTx active -> TRIGGER EVENTFD -1 -> stays active, no signals */
static void row_110_intx_without_eventfd(struct bed *b)
{
	int fd = assign(b, INTX, 0, 1);

	assert_int_equal(request_fd(b, TRIGGER, INTX, 0, -1), 0);
	assert_int_equal(request(b, NONE | TRIGGER, INTX, 0, 1), 0);
	assert_signals(b, fd, 0);
	if (has_model(b))
		set_pin(b, true);
	assert_signals(b, fd, 0);
	assert_int_equal(request_fd(b, TRIGGER, INTX, 0, fd), 0);
	if (has_model(b))
		assert_signals(b, fd, 1);	/* nothing is lost */
}

/* INTx active -> MSI TRIGGER EVENTFD -> EINVAL */
static void row_111_one_type_at_a_time(struct bed *b)
{
	uint32_t other = vectors_of(b, MSI) > 0 ? MSI : MSIX;
	int fd = assign(b, INTX, 0, 1);

	assert_int_equal(request_fd(b, TRIGGER, other, 0, bed_eventfd(b)), -EINVAL);
	assert_int_equal(request(b, NONE | TRIGGER, INTX, 0, 1), 0);
	assert_signals(b, fd, 1);
	assert_int_equal(request(b, NONE | TRIGGER, INTX, 0, 0), 0);
	assign(b, other, 0, 1);
	assert_int_equal(request_fd(b, TRIGGER, INTX, 0, bed_eventfd(b)), -EINVAL);
}

/* INTx active -> TRIGGER NONE count 0 -> 0, inactive */
static void row_112_intx_off(struct bed *b)
{
	int fd = assign(b, INTX, 0, 1);

	assert_int_equal(request(b, NONE | TRIGGER, INTX, 0, 0), 0);
	assert_int_equal(request(b, NONE | TRIGGER, INTX, 0, 1), -EINVAL);
	if (has_model(b))
		set_pin(b, true);
	assert_signals(b, fd, 0);
}

/* INTx inactive -> TRIGGER NONE count 0 -> EINVAL */
static void row_113_intx_is_off_already(struct bed *b)
{
	assert_int_equal(request(b, NONE | TRIGGER, INTX, 0, 0), -EINVAL);
}

/* ioctl-masked INTx -> virtual DisINTx 1 then 0 -> unmasked */
static void row_114_command_unmasks(struct bed *b)
{
	int fd = assign(b, INTX, 0, 1);

	assert_int_equal(request(b, NONE | MASK, INTX, 0, 1), 0);
	set_pin(b, true);
	assert_signals(b, fd, 0);
	set_intx_disable(b, true);
	assert_signals(b, fd, 0);
	set_intx_disable(b, false);
	assert_signals(b, fd, 1);
}

const struct row interrupt_rows[] = {
	ROW(row_091_no_such_index, ANY),
	ROW(row_092_no_error_index, NEEDS_NO_EXPRESS),
	ROW(row_093_no_pin, NEEDS_NO_PIN),
	ROW(row_094_msix_info, NEEDS_MSIX_3),
	ROW(row_095_flags, ANY),
	ROW(row_096_vectors_outside, NEEDS_MSIX_3),
	ROW(row_097_index_without_vectors, NEEDS_NO_INDEX),
	ROW(row_098_two_actions, ANY),
	ROW(row_099_messages_have_no_mask, NEEDS_MSI),
	ROW(row_100_argsz_covers_the_data, NEEDS_MSIX_3),
	ROW(row_101_intx, NEEDS_PIN, NEEDS_MODEL),
	ROW(row_102_intx_masks_itself, NEEDS_PIN, NEEDS_MODEL),
	ROW(row_103_intx_still_asserted, NEEDS_PIN, NEEDS_MODEL),
	ROW(row_104_intx_loopback, NEEDS_PIN),
	ROW(row_105_intx_disabled, NEEDS_PIN),
	ROW(row_106_mask_what_is_not_active, NEEDS_PIN),
	ROW(row_107_mask_by_eventfd, NEEDS_PIN),
	ROW(row_108_one_rearming_eventfd, NEEDS_PIN),
	ROW(row_109_no_rearming_eventfd, NEEDS_PIN),
	ROW(row_110_intx_without_eventfd, NEEDS_PIN),
	ROW(row_111_one_type_at_a_time, NEEDS_PIN, NEEDS_MESSAGES),
	ROW(row_112_intx_off, NEEDS_PIN),
	ROW(row_113_intx_is_off_already, NEEDS_PIN),
	ROW(row_114_command_unmasks, NEEDS_PIN, NEEDS_MODEL),
	ROWS_END
};

/* SPDX-License-Identifier: MIT */
/* Rows 115 to 130: MSI, MSI-X, and the two indexes that are not the device's: ERR and REQ. */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <unistd.h>

#include "requests.h"
#include "row.h"

static uint32_t msix_control(struct bed *b)
{
	return get(b, cap(b, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS, 2);
}

/* ---- enabling ------------------------------------------------------------------------------- */

/* none active -> MSI-X EVENTFD start 0 count 3 -> 0, Message Control enable set */
static void row_115_msix(struct bed *b)
{
	int fd;

	assert_false(msix_control(b) & PCI_MSIX_FLAGS_ENABLE);
	fd = assign(b, MSIX, 0, 3);
	assert_true(msix_control(b) & PCI_MSIX_FLAGS_ENABLE);
	if (!has_model(b))
		return;
	raise_message(b, 0);
	raise_message(b, 0);
	assert_signals(b, fd, 2);
}

/* none active -> MSI EVENTFD count 0 start 0 -> ERANGE */
static void row_116_no_vectors(struct bed *b)
{
	for (uint32_t index = MSI; index <= MSIX; index++)
		if (vectors_of(b, index) > 0)
			assert_int_equal(request(b, EVENTFD | TRIGGER, index, 0, 0), -ERANGE);
}

/*
 * none active, fewer vectors available k -> MSI EVENTFD count n>k -> returns k (positive), nothing
 * active. Over a socket, which has no positive answers, ENOSPC.
 */
static void row_117_fewer_vectors(struct bed *b)
{
	int fds[4];

	for (unsigned int i = 0; i < 4; i++)
		fds[i] = bed_eventfd(b);
	assert_int_equal(request_fds(b, TRIGGER, MSI, 0, 4, fds), b->server ? -ENOSPC : 2);
	assert_int_equal(request(b, NONE | TRIGGER, MSI, 0, 1), -EINVAL);
	assert_false(get(b, cap(b, PCI_CAP_ID_MSI) + PCI_MSI_FLAGS, 2) & PCI_MSI_FLAGS_ENABLE);
	assert_int_equal(request_fds(b, TRIGGER, MSI, 0, 2, fds), 0);
}

/* ---- one vector or another ------------------------------------------------------------------ */

/* Each vector has its own eventfd. */
static void assign_each(struct bed *b, uint32_t index, uint32_t count, int *fds)
{
	for (uint32_t i = 0; i < count; i++)
		fds[i] = bed_eventfd(b);
	assert_int_equal(request_fds(b, TRIGGER, index, 0, count, fds), 0);
}

/* MSI active 2 vectors -> EVENTFD vector 3 -> EINVAL and vector 3 unassigned, others kept */
static void row_118_msi_cannot_grow(struct bed *b)
{
	int fds[2], more = bed_eventfd(b);

	assign_each(b, MSI, 2, fds);
	assert_int_equal(request_fd(b, TRIGGER, MSI, 3, more), -EINVAL);
	assert_int_equal(request(b, NONE | TRIGGER, MSI, 0, 4), 0);
	assert_signals(b, fds[0], 1);
	assert_signals(b, fds[1], 1);
	assert_signals(b, more, 0);
}

/* MSI-X active dynamic -> EVENTFD unallocated vector -> 0 */
static void row_119_msix_grows(struct bed *b)
{
	uint32_t last = vectors_of(b, MSIX) - 1;
	int fd;

	assign(b, MSIX, 0, 1);
	fd = assign(b, MSIX, last, 1);
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, last, 1), 0);
	assert_signals(b, fd, 1);
	if (!has_model(b))
		return;
	raise_message(b, last);
	assert_signals(b, fd, 1);
}

/*
 * MSI-X active -> EVENTFD {fd,-1,bad fd} -> EBADF, all three unassigned. Over a socket descriptors
 * are checked before anything is sent, and nothing changes.
 */
static void row_120_bad_eventfd(struct bed *b)
{
	int good = bed_eventfd(b), closed = fcntl(good, F_DUPFD_CLOEXEC, 500), fds[3];
	const int again[3] = { good, -1, closed };

	assign_each(b, MSIX, 3, fds);
	close(closed);
	assert_int_equal(request_fds(b, TRIGGER, MSIX, 0, 3, again), -EBADF);
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, 0, 3), 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_signals(b, fds[i], b->server ? 1 : 0);
	assert_signals(b, good, 0);
}

/* MSI-X active -> TRIGGER NONE over vectors without fd -> 0, skipped */
static void row_121_vectors_without_eventfd(struct bed *b)
{
	int fds[3];

	assign_each(b, MSIX, 3, fds);
	assert_int_equal(request_fd(b, TRIGGER, MSIX, 1, -1), 0);
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, 0, 3), 0);
	assert_signals(b, fds[0], 1);
	assert_signals(b, fds[1], 0);
	assert_signals(b, fds[2], 1);
}

/* MSI-X active -> TRIGGER BOOL {1,0,1} -> signals first and third only */
static void row_122_booleans(struct bed *b)
{
	const uint8_t which[] = { 1, 0, 1 };
	int fds[3];

	assign_each(b, MSIX, 3, fds);
	assert_int_equal(request_bools(b, TRIGGER, MSIX, 0, 3, which), 0);
	assert_signals(b, fds[0], 1);
	assert_signals(b, fds[1], 0);
	assert_signals(b, fds[2], 1);
}

/* MSI-X inactive -> TRIGGER NONE count 1 -> EINVAL */
static void row_123_trigger_what_is_not_active(struct bed *b)
{
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, 0, 1), -EINVAL);
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, 0, 0), -EINVAL);
}

/* MSI-X active -> TRIGGER NONE count 0 -> 0, disabled, DisINTx physical cleared */
static void row_124_msix_off(struct bed *b)
{
	int fd = assign(b, MSIX, 0, 1);

	assert_int_equal(request(b, NONE | TRIGGER, MSIX, 0, 0), 0);
	assert_false(msix_control(b) & PCI_MSIX_FLAGS_ENABLE);
	assert_false(get(b, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, 0, 1), -EINVAL);
	if (has_model(b))
		raise_message(b, 0);
	assert_signals(b, fd, 0);
}

/* MSI-X active -> close user eventfd, device interrupts -> no error, vector stays assigned */
static void row_125_users_eventfd_is_closed(struct bed *b)
{
	int kept = bed_eventfd(b), fd = dup(kept);

	assert_int_equal(request_fd(b, TRIGGER, MSIX, 0, fd), 0);
	close(fd);
	raise_message(b, 0);
	assert_signals(b, kept, 1);
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, 0, 1), 0);
	assert_signals(b, kept, 1);
}

/*
 * Messages are memory writes: without bus mastering they wait. (libvfio's; a kernel's device drops
 * them)
 */
static void message_without_bus_mastering(struct bed *b)
{
	uint32_t index = vectors_of(b, MSIX) > 0 ? MSIX : MSI;
	int fd = assign(b, index, 0, 1);

	model_put(b, MODEL_MESSAGE, 0);
	assert_signals(b, fd, 0);
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_signals(b, fd, 1);
	model_put(b, MODEL_MESSAGE, 0);
	assert_signals(b, fd, 1);
}

/* ---- ERR and REQ ---------------------------------------------------------------------------- */

/* ERR none set -> TRIGGER NONE count 1 -> EINVAL */
static void row_126_no_error_eventfd(struct bed *b)
{
	assert_int_equal(request(b, NONE | TRIGGER, ERR, 0, 1), -EINVAL);
	assert_int_equal(request(b, NONE | TRIGGER, ERR, 0, 0), -EINVAL);
}

/* ERR none set -> TRIGGER BOOL 1 -> 0; set -> the device's errors arrive */
static void row_127_error_boolean(struct bed *b)
{
	const uint8_t one = 1;
	int fd;

	assert_int_equal(request_bools(b, TRIGGER, ERR, 0, 1, &one), 0);
	fd = assign(b, ERR, 0, 1);
	assert_int_equal(request_bools(b, TRIGGER, ERR, 0, 1, &one), 0);
	assert_signals(b, fd, 1);
	if (!has_model(b))
		return;
	model_put(b, MODEL_ERROR, 1);
	assert_signals(b, fd, 1);
}

/* REQ -> EVENTFD fd -2 -> EINVAL */
static void row_128_request_eventfd(struct bed *b)
{
	assert_int_equal(request_fd(b, TRIGGER, REQ, 0, -2), -EINVAL);
	assert_int_equal(request_fd(b, TRIGGER, REQ, 0, -1), 0);
}

/*
 * REQ set -> host unbinds driver -> eventfd signalled at once (and again each 10 s, as long as it
 * waits)
 */
static void row_129_device_is_wanted_back(struct bed *b)
{
	int fd = assign(b, REQ, 0, 1);

	assert_signals(b, fd, 0);
	model_put(b, MODEL_REQUEST, 1);
	assert_signals(b, fd, 1);
}

/* MSI-X active -> VFIO_DEVICE_RESET -> vectors still deliver */
static void row_130_vectors_outlive_a_reset(struct bed *b)
{
	int fd = assign(b, MSIX, 0, 1);

	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_int_equal(vfio_reset(b->dev), 0);
	assert_true(msix_control(b) & PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(request(b, NONE | TRIGGER, MSIX, 0, 1), 0);
	assert_signals(b, fd, 1);
	if (!has_model(b))
		return;
	model_put(b, MODEL_MESSAGE, 0);
	assert_signals(b, fd, 1);
}

const struct row message_rows[] = {
	ROW(row_115_msix, NEEDS_MSIX_3),
	ROW(row_116_no_vectors, NEEDS_MESSAGES),
	ROW_POLICY(row_117_fewer_vectors, "vectors", "2", NEEDS_MSI_4, NEEDS_OURS),
	ROW(row_118_msi_cannot_grow, NEEDS_MSI_4),
	ROW(row_119_msix_grows, NEEDS_MSIX_DYNAMIC),
	ROW(row_120_bad_eventfd, NEEDS_MSIX_3),
	ROW(row_121_vectors_without_eventfd, NEEDS_MSIX_3),
	ROW(row_122_booleans, NEEDS_MSIX_3),
	ROW(row_123_trigger_what_is_not_active, NEEDS_MSIX_3),
	ROW(row_124_msix_off, NEEDS_MSIX_3),
	ROW(row_125_users_eventfd_is_closed, NEEDS_MSIX_3, NEEDS_MODEL),
	ROW(row_126_no_error_eventfd, NEEDS_EXPRESS),
	ROW(row_127_error_boolean, NEEDS_EXPRESS),
	ROW(row_128_request_eventfd, ANY),
	ROW(row_129_device_is_wanted_back, NEEDS_MODEL),
	ROW(message_without_bus_mastering, NEEDS_MODEL, NEEDS_MESSAGES),
	ROW(row_130_vectors_outlive_a_reset, NEEDS_MSIX_3, NEEDS_RESET),
	ROWS_END
};

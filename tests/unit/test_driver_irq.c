/* SPDX-License-Identifier: MIT */
/* The driver API over each back end: interrupts. */
#include "both.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define INTX VFIO_PCI_INTX_IRQ_INDEX
#define MSI  VFIO_PCI_MSI_IRQ_INDEX
#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define REQ  VFIO_PCI_REQ_IRQ_INDEX

#define NONE    VFIO_IRQ_SET_DATA_NONE
#define BOOL    VFIO_IRQ_SET_DATA_BOOL
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define MASK    VFIO_IRQ_SET_ACTION_MASK
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

#define SOON 2000	/* milliseconds: an interrupt that comes at all has come by then */

static const struct vfio_error *last(struct both *b)
{
	return vfio_last_error(b->dev);
}

/* ---- what there is ------------------------------------------------------------------------ */

static void indexes(void **state)
{
	static const uint32_t counts[] = { 1, MODEL_MSI_VECTORS, MODEL_MSIX_VECTORS, 0, 1 };
	struct both *b = *state;
	struct vfio_irq_info info;

	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(vfio_irq_info(b->dev, i, &info), 0);
		assert_int_equal(info.index, i);
		assert_int_equal(info.count, counts[i]);
		assert_true(info.flags & VFIO_IRQ_INFO_EVENTFD);
	}
	assert_int_equal(vfio_irq_info(b->dev, 5, &info), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_NO_IRQ);
	assert_true(last(b)->remedy[0]);
}

static void assert_signalled(struct both *b, uint32_t index, int count, uint64_t first)
{
	uint64_t set[VFIO_MAX_VECTORS / 64];

	memset(set, 0xff, sizeof(set));
	assert_int_equal(vfio_irq_signalled(b->dev, index, set), count);
	assert_int_equal(set[0], first);
	for (unsigned int i = 1; i < VFIO_MAX_VECTORS / 64; i++)
		assert_int_equal(set[i], 0);
}

static void put_eventfd(struct both *b, uint32_t index, uint32_t vector, int fd)
{
	uint8_t raw[sizeof(struct vfio_irq_set) + sizeof(fd)];
	struct vfio_irq_set *set = (struct vfio_irq_set *)raw;

	*set = (struct vfio_irq_set){ sizeof(raw), EVENTFD | TRIGGER, index, vector, 1 };
	memcpy(set->data, &fd, sizeof(fd));
	assert_int_equal(vfio_irq_set(b->dev, set), 0);
}

static void which_have_an_eventfd(void **state)
{
	struct both *b = *state;
	int fds[MODEL_MSIX_VECTORS], fd = eventfd(0, EFD_CLOEXEC);

	for (uint32_t i = 0; i < 5; i++)
		assert_signalled(b, i, 0, 0);
	assert_int_equal(vfio_irq_enable(b->dev, MSIX, 3, fds), 0);
	put_eventfd(b, MSIX, 1, -1);
	assert_signalled(b, MSIX, 2, 5);
	assert_signalled(b, MSI, 0, 0);
	assert_signalled(b, INTX, 0, 0);
	put_eventfd(b, REQ, 0, fd);
	assert_signalled(b, REQ, 1, 1);
	assert_int_equal(vfio_irq_disable(b->dev, MSIX), 0);
	assert_signalled(b, MSIX, 0, 0);
	assert_int_equal(vfio_irq_enable(b->dev, INTX, 1, fds), 0);
	assert_signalled(b, INTX, 1, 1);
	assert_int_equal(vfio_irq_signalled(b->dev, 5, NULL), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_NO_IRQ);
	close(fd);
}

/* ---- enabling ----------------------------------------------------------------------------- */

static void vectors_arrive_where_they_belong(void **state)
{
	struct both *b = *state;
	int fds[MODEL_MSIX_VECTORS];

	assert_int_equal(vfio_irq_enable(b->dev, MSIX, MODEL_MSIX_VECTORS, fds), 0);
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	for (uint32_t v = 0; v < MODEL_MSIX_VECTORS; v += 7) {
		model_put(b, MODEL_MSI, v);
		assert_int_equal(vfio_irq_wait(b->dev, fds[v], SOON), 1);
		assert_int_equal(vfio_irq_wait(b->dev, fds[v], 0), 0);
	}
	for (uint32_t v = 0; v < MODEL_MSIX_VECTORS; v++)
		assert_int_equal(vfio_irq_wait(b->dev, fds[v], 0), 0);
	assert_int_equal(vfio_irq_disable(b->dev, MSIX), 0);
	for (uint32_t v = 0; v < MODEL_MSIX_VECTORS; v++)
		assert_int_equal(fcntl(fds[v], F_GETFD), -1);
}

static void interrupts_add_up(void **state)
{
	struct both *b = *state;
	int fd;

	assert_int_equal(vfio_irq_enable(b->dev, MSI, 1, &fd), 0);
	model_put(b, MODEL_MSI, 0);
	assert_int_equal(vfio_irq_wait(b->dev, fd, 20), 0);	/* bus mastering is off */
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_int_equal(vfio_irq_wait(b->dev, fd, SOON), 1);
	for (int i = 0; i < 5; i++)
		model_put(b, MODEL_MSI, 0);
	assert_int_equal(vfio_irq_wait(b->dev, fd, SOON), 5);
}

static void what_cannot_be_enabled(void **state)
{
	struct both *b = *state;
	int fds[MODEL_MSIX_VECTORS + 1] = { -7, -7 };

	assert_int_equal(vfio_irq_enable(b->dev, MSIX, MODEL_MSIX_VECTORS + 1, fds), -ENOSPC);
	assert_record(last(b), ENOSPC, VFIO_E_NO_IRQ);
	assert_non_null(strstr(last(b)->what, "64"));		/* how many are possible */
	assert_true(last(b)->remedy[0]);
	assert_int_equal(vfio_irq_enable(b->dev, MSIX, UINT32_MAX, fds), -ENOSPC);
	assert_int_equal(vfio_irq_enable(b->dev, MSIX, 0, fds), -EINVAL);
	assert_int_equal(vfio_irq_enable(b->dev, 5, 1, fds), -EINVAL);
	assert_int_equal(vfio_irq_enable(b->dev, VFIO_PCI_ERR_IRQ_INDEX, 1, fds), -ENOSPC);
	assert_int_equal(fds[0], -7);
	assert_int_equal(vfio_irq_enable(b->dev, MSI, 1, fds), 0);
	assert_int_equal(vfio_irq_enable(b->dev, MSI, 1, fds + 1), -EBUSY);
	assert_record(last(b), EBUSY, VFIO_E_IRQ_STATE);
	assert_int_equal(vfio_irq_enable(b->dev, MSIX, 1, fds + 1), -EINVAL);
	assert_int_equal(vfio_irq_enable(b->dev, INTX, 1, fds + 1), -EINVAL);
	assert_int_equal(fds[1], -7);
	assert_int_equal(vfio_irq_disable(b->dev, MSI), 0);
	assert_int_equal(vfio_irq_enable(b->dev, MSIX, 2, fds), 0);
}

static void disabling_what_is_not_enabled(void **state)
{
	struct both *b = *state;

	for (uint32_t i = 0; i < 6; i++) {
		assert_int_equal(vfio_irq_disable(b->dev, i), -EINVAL);
		assert_int_equal(last(b)->err, EINVAL);
		assert_true(last(b)->what[0]);
	}
}

/* ---- INTx --------------------------------------------------------------------------------- */

static void intx_masks_itself(void **state)
{
	struct both *b = *state;
	int fd;

	assert_int_equal(vfio_irq_enable(b->dev, INTX, 1, &fd), 0);
	model_put(b, MODEL_INTX, 1);
	assert_int_equal(vfio_irq_wait(b->dev, fd, SOON), 1);
	assert_true(vfio_read16(b->dev, VFIO_PCI_CONFIG_REGION_INDEX, PCI_STATUS) &
		    PCI_STATUS_INTERRUPT);
	model_put(b, MODEL_INTX, 0);
	model_put(b, MODEL_INTX, 1);
	assert_int_equal(vfio_irq_wait(b->dev, fd, 20), 0);
	assert_int_equal(vfio_irq_unmask(b->dev, INTX, 0), 0);	/* asserted: fires again */
	assert_int_equal(vfio_irq_wait(b->dev, fd, SOON), 1);
	model_put(b, MODEL_INTX, 0);
	assert_int_equal(vfio_irq_unmask(b->dev, INTX, 0), 0);
	assert_int_equal(vfio_irq_mask(b->dev, INTX, 0), 0);
	model_put(b, MODEL_INTX, 1);
	assert_int_equal(vfio_irq_wait(b->dev, fd, 20), 0);
	assert_int_equal(vfio_irq_unmask(b->dev, INTX, 0), 0);
	assert_int_equal(vfio_irq_wait(b->dev, fd, SOON), 1);
}

/* The driver's eventfd re-arms INTx without a call; whoever waits lets it happen. */
static void intx_rearmed_by_eventfd(void **state)
{
	struct both *b = *state;
	int fd, rearm = eventfd(0, EFD_NONBLOCK);
	struct {
		struct vfio_irq_set set;
		int fd;
	} q = {
		.set = { .argsz = sizeof(q), .flags = EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK,
			 .index = INTX, .count = 1 },
		.fd = rearm,
	};

	assert_int_equal(vfio_irq_enable(b->dev, INTX, 1, &fd), 0);
	assert_int_equal(vfio_irq_set(b->dev, &q.set), 0);
	assert_true(vfio_poll_fd(b->dev) >= 0);
	model_put(b, MODEL_INTX, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(vfio_irq_wait(b->dev, fd, SOON), 1);
		assert_int_equal(vfio_irq_wait(b->dev, fd, 10), 0);
		assert_int_equal(eventfd_write(rearm, 1), 0);
	}
	assert_int_equal(vfio_irq_wait(b->dev, fd, SOON), 1);
	close(rearm);
}

static void masking_what_cannot_be_masked(void **state)
{
	struct both *b = *state;
	int fd;

	assert_int_equal(vfio_irq_mask(b->dev, INTX, 0), -EINVAL);	/* not enabled */
	assert_int_equal(vfio_irq_unmask(b->dev, INTX, 0), -EINVAL);
	assert_int_equal(vfio_irq_enable(b->dev, MSI, 1, &fd), 0);
	assert_int_equal(vfio_irq_mask(b->dev, MSI, 0), -ENOTTY);
	assert_record(last(b), ENOTTY, VFIO_E_IRQ_FLAGS);
	assert_true(last(b)->remedy[0]);
	assert_int_equal(vfio_irq_mask(b->dev, INTX, 1), -EINVAL);
}

static void triggering(void **state)
{
	struct both *b = *state;
	int fds[2];

	assert_int_equal(vfio_irq_trigger(b->dev, MSIX, 0), -EINVAL);
	assert_int_equal(vfio_irq_enable(b->dev, MSIX, 2, fds), 0);
	assert_int_equal(vfio_irq_trigger(b->dev, MSIX, 1), 0);
	assert_int_equal(vfio_irq_trigger(b->dev, MSIX, 2), 0);		/* no eventfd: skipped */
	assert_int_equal(vfio_irq_trigger(b->dev, MSIX, MODEL_MSIX_VECTORS), -EINVAL);
	assert_int_equal(vfio_irq_wait(b->dev, fds[1], SOON), 1);
	assert_int_equal(vfio_irq_wait(b->dev, fds[0], 0), 0);
}

static void the_request_line(void **state)
{
	struct both *b = *state;
	int fd;

	assert_int_equal(vfio_irq_enable(b->dev, REQ, 1, &fd), 0);
	assert_int_equal(vfio_irq_trigger(b->dev, REQ, 0), 0);
	assert_int_equal(vfio_irq_wait(b->dev, fd, SOON), 1);
	assert_int_equal(vfio_irq_disable(b->dev, REQ), 0);
}

static void vectors_outlive_a_reset(void **state)
{
	struct both *b = *state;
	int fds[2];

	assert_int_equal(vfio_irq_enable(b->dev, MSIX, 2, fds), 0);
	assert_int_equal(vfio_set_bus_master(b->dev, true), 0);
	assert_int_equal(vfio_reset(b->dev), 0);
	model_put(b, MODEL_MSI, 1);
	assert_int_equal(vfio_irq_wait(b->dev, fds[1], SOON), 1);
}

/* ---- waiting ------------------------------------------------------------------------------ */

static void waiting_takes_its_time(void **state)
{
	struct both *b = *state;
	struct timespec from, to;
	int64_t ms;
	int fd;

	assert_int_equal(vfio_irq_enable(b->dev, MSI, 1, &fd), 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(vfio_irq_wait(b->dev, fd, 50), 0);
	clock_gettime(CLOCK_MONOTONIC, &to);
	ms = (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
	assert_in_range(ms, 49, 5000);
	assert_int_equal(vfio_irq_trigger(b->dev, MSI, 0), 0);
	assert_int_equal(vfio_irq_wait(b->dev, fd, -1), 1);
}

static void waiting_for_what_is_not_open(void **state)
{
	struct both *b = *state;
	int fd = dup(0);

	close(fd);
	assert_int_equal(vfio_irq_wait(b->dev, fd, 1000), -EBADF);
	assert_record(last(b), EBADF, VFIO_E_IRQ_FD);
}

/* The record is of the last call that failed: a wait that went well leaves none. */
static void waiting_leaves_no_error(void **state)
{
	struct both *b = *state;
	int fd;

	assert_int_equal(vfio_irq_enable(b->dev, MSI, 1, &fd), 0);
	assert_int_equal(vfio_irq_trigger(b->dev, MSI, 0), 0);
	assert_int_equal(vfio_irq_wait(b->dev, fd, SOON), 1);
	assert_int_equal(vfio_irq_wait(b->dev, fd, 0), 0);
	assert_int_equal(last(b)->err, 0);
}

/* ---- the whole call ----------------------------------------------------------------------- */

/* A request with room for eight descriptors or booleans. */
struct request {
	struct vfio_irq_set set;
	int fds[8];
};

static int call(struct both *b, struct request *q, uint32_t flags, uint32_t index, uint32_t start,
		uint32_t count)
{
	q->set = (struct vfio_irq_set){
		.argsz = sizeof(*q), .flags = flags, .index = index, .start = start, .count = count,
	};
	return vfio_irq_set(b->dev, &q->set);
}

static void eventfds_of_the_callers(void **state)
{
	struct both *b = *state;
	int fd = eventfd(0, EFD_NONBLOCK);
	struct request q = { .fds = { fd } };

	assert_int_equal(call(b, &q, EVENTFD | TRIGGER, MSIX, 0, 1), 0);
	assert_int_equal(vfio_irq_trigger(b->dev, MSIX, 0), 0);
	assert_int_equal(vfio_irq_wait(b->dev, fd, SOON), 1);
	assert_int_equal(call(b, &q, NONE | TRIGGER, MSIX, 0, 0), 0);
	assert_int_equal(vfio_irq_trigger(b->dev, MSIX, 0), -EINVAL);
	close(fd);
}

/* -1 in between means that this vector has none, whatever the way there makes of it. */
static void check_holes(struct both *b, uint32_t index)
{
	int first = eventfd(0, EFD_NONBLOCK), third = eventfd(0, EFD_NONBLOCK);
	struct request q = { .fds = { first, -1, third, -1 } };

	assert_int_equal(call(b, &q, EVENTFD | TRIGGER, index, 0, 4), 0);
	assert_int_equal(call(b, &q, NONE | TRIGGER, index, 0, 4), 0);
	assert_int_equal(vfio_irq_wait(b->dev, first, SOON), 1);
	assert_int_equal(vfio_irq_wait(b->dev, third, SOON), 1);
	close(first);
	close(third);
}

static void msix_with_holes(void **state)
{
	check_holes(*state, MSIX);
}

/* MSI cannot grow: all four vectors must exist after the first step. */
static void msi_with_holes(void **state)
{
	check_holes(*state, MSI);
}

static void booleans(void **state)
{
	struct both *b = *state;
	struct request q;
	int fds[3];

	assert_int_equal(vfio_irq_enable(b->dev, MSIX, 3, fds), 0);
	memcpy(q.fds, "\1\0\1", 3);
	assert_int_equal(call(b, &q, BOOL | TRIGGER, MSIX, 0, 3), 0);
	assert_int_equal(vfio_irq_wait(b->dev, fds[0], SOON), 1);
	assert_int_equal(vfio_irq_wait(b->dev, fds[1], 0), 0);
	assert_int_equal(vfio_irq_wait(b->dev, fds[2], SOON), 1);
}

static void descriptors_are_checked(void **state)
{
	struct both *b = *state;
	struct request q = { .fds = { dup(0) } };

	assert_int_equal(call(b, &q, EVENTFD | TRIGGER, MSIX, 0, 1), -EINVAL);
	assert_record(last(b), EINVAL, VFIO_E_IRQ_FD);
	close(q.fds[0]);
	assert_int_equal(call(b, &q, EVENTFD | TRIGGER, MSIX, 0, 1), -EBADF);
	assert_record(last(b), EBADF, VFIO_E_IRQ_FD);
}

static void argsz_covers_the_data(void **state)
{
	struct both *b = *state;
	struct vfio_irq_set set = { .flags = EVENTFD | TRIGGER, .index = MSIX, .count = 1 };

	for (set.argsz = 0; set.argsz < sizeof(set) + sizeof(int); set.argsz++) {
		assert_int_equal(vfio_irq_set(b->dev, &set), -EINVAL);
		assert_record(last(b), EINVAL, VFIO_E_ARGUMENT);
	}
	set = (struct vfio_irq_set){
		.argsz = UINT32_MAX, .flags = EVENTFD | TRIGGER, .index = MSIX,
		.count = UINT32_MAX / 4,
	};
	assert_int_equal(vfio_irq_set(b->dev, &set), -EINVAL);
}

/* Rows 95 and 98, from the driver's side. */
static void flags_that_do_not_go_together(void **state)
{
	static const uint32_t flags[] = {
		TRIGGER, NONE | TRIGGER | 0x40, NONE | BOOL | TRIGGER, BOOL | EVENTFD | TRIGGER,
		NONE | EVENTFD | TRIGGER, NONE | BOOL | EVENTFD | TRIGGER,
	};
	struct both *b = *state;
	struct request q = { .fds = { -1, -1, -1, -1, -1, -1, -1, -1 } };

	assert_int_equal(call(b, &q, NONE, MSIX, 0, 1), -ENOTTY);
	assert_int_equal(call(b, &q, NONE | TRIGGER | MASK, MSIX, 0, 1), -ENOTTY);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		assert_int_equal(call(b, &q, flags[i], MSIX, 0, 1), -EINVAL);
	assert_int_equal(call(b, &q, NONE | TRIGGER, 5, 0, 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(indexes),
		BOTH(which_have_an_eventfd),
		BOTH(vectors_arrive_where_they_belong),
		BOTH(interrupts_add_up),
		BOTH(what_cannot_be_enabled),
		BOTH(disabling_what_is_not_enabled),
		BOTH(intx_masks_itself),
		BOTH(intx_rearmed_by_eventfd),
		BOTH(masking_what_cannot_be_masked),
		BOTH(triggering),
		BOTH(the_request_line),
		BOTH(vectors_outlive_a_reset),
		BOTH(waiting_takes_its_time),
		BOTH(waiting_for_what_is_not_open),
		BOTH(waiting_leaves_no_error),
		BOTH(eventfds_of_the_callers),
		BOTH(msix_with_holes),
		BOTH(msi_with_holes),
		BOTH(booleans),
		BOTH(descriptors_are_checked),
		BOTH(argsz_covers_the_data),
		BOTH(flags_that_do_not_go_together),
	};

	return both_run(tests, sizeof(tests) / sizeof(tests[0]));
}

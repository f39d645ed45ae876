/* SPDX-License-Identifier: MIT */
/*
 * An interrupt that was raised is never lost, whatever the driver does meanwhile.
 *
 * The device, in the server's thread, publishes a number for each interrupt before it raises it.
 * The driver masks and unmasks, takes eventfds away and gives others, adds vectors, turns bus
 * mastering, MSI or INTx off and on, puts the device to sleep; and reads the number whenever an
 * eventfd was signalled. Each vector is raised a few times in a round, so that its last time mostly
 * meets one of those states. In the end all is on, and the driver must have seen the last number of
 * each.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "../reference/host.h"

#define CONFIG  VFIO_PCI_CONFIG_REGION_INDEX
#define INTX    VFIO_PCI_INTX_IRQ_INDEX
#define MSI     VFIO_PCI_MSI_IRQ_INDEX
#define MSIX    VFIO_PCI_MSIX_IRQ_INDEX
#define NONE    VFIO_IRQ_SET_DATA_NONE
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER

#define ROUNDS  150
#define STEPS   8		/* at least, of the driver in a round */
#define RAISES  4		/* at most, of a vector in a round */
#define AT_ONCE 3		/* interrupts at a tick */
#define TICK_NS 20000
#define FIRST   4u		/* vectors of MSI-X at first */
#define MSI_MASKS 16
#define D3HOT   3
#define LETS    5

/* What the driver has of a vector: two eventfds in turn, and it goes on listening to both. */
struct line {
	int fds[2];
	unsigned int which;
	uint64_t seen;
};

struct lost;

/* What can be done to a kind of interrupt. */
struct kind {
	uint32_t index;
	unsigned int vectors;		/* that are raised */
	void (*begin)(struct lost *l);
	void (*fiddle)(struct lost *l);
	void (*let_through)(struct lost *l, unsigned int what);	/* LETS things, in any order */
};

struct lost {
	struct host host;
	const struct kind *kind;
	int timer;
	/* The device's: of each vector, how often it will be raised, and how often it was. */
	_Atomic unsigned int coming[DEVICE_VECTORS];
	_Atomic uint64_t raised[DEVICE_VECTORS];
	unsigned int device_seed;
	/* The driver's. */
	struct line lines[DEVICE_VECTORS];
	unsigned int seed, vectors, msi, pm;
	uint64_t signals;
};

/* ---- the device, in the server's thread ---------------------------------------------------- */

static void raise_one(struct lost *l)
{
	unsigned int v = rand_r(&l->device_seed) % DEVICE_VECTORS;

	if (!l->coming[v])
		return;
	l->raised[v]++;
	if (l->kind->index == INTX)
		vfio_function_intx(l->host.fn, true);
	else
		vfio_function_msi(l->host.fn, v);
	l->coming[v]--;
}

static void tick(void *arg, int fd)
{
	uint64_t expirations;

	if (read(fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	for (unsigned int i = 0; i < AT_ONCE; i++)
		raise_one(arg);
}

/* ---- the driver ---------------------------------------------------------------------------- */

static void write_config(struct lost *l, unsigned int at, uint16_t value, unsigned int width)
{
	assert_int_equal(vfio_pwrite(l->host.dev, CONFIG, at, &value, width), width);
}

static void set_command(struct lost *l, uint16_t bits)
{
	write_config(l, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | bits, 2);
}

static void set_irqs(struct lost *l, uint32_t flags, unsigned int start, unsigned int count,
		     const int *fds)
{
	struct {
		struct vfio_irq_set set;
		int fds[DEVICE_VECTORS];
	} q = { .set = {
		.argsz = sizeof(q), .flags = flags, .index = l->kind->index,
		.start = start, .count = count,
	} };

	if (fds)
		memcpy(q.fds, fds, count * sizeof(*fds));
	assert_int_equal(vfio_irq_set(l->host.dev, &q.set), 0);
}

static void give_fds(struct lost *l, unsigned int start, unsigned int count)
{
	int fds[DEVICE_VECTORS];

	for (unsigned int i = 0; i < count; i++) {
		struct line *line = &l->lines[start + i];

		line->which ^= 1;
		fds[i] = line->fds[line->which];
	}
	set_irqs(l, EVENTFD | TRIGGER, start, count, fds);
}

static void take_fds(struct lost *l, unsigned int start, unsigned int count)
{
	int fds[DEVICE_VECTORS];

	memset(fds, -1, sizeof(fds));
	set_irqs(l, EVENTFD | TRIGGER, start, count, fds);
}

/* INTx is a level: the device lets go of it first, so that what is raised from now on is seen. */
static void handle(struct lost *l, unsigned int v)
{
	bool intx = l->kind->index == INTX;
	uint32_t low = 0;

	l->signals++;
	if (intx)
		vfio_pwrite(l->host.dev, DEVICE_PORTS, PORT_INTX, &low, 4);
	l->lines[v].seen = l->raised[v];
	if (intx)
		set_irqs(l, NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, NULL);
}

static bool handle_all(struct lost *l)
{
	bool any = false;
	eventfd_t n;

	for (unsigned int v = 0; v < l->vectors; v++) {
		for (unsigned int i = 0; i < 2; i++) {
			if (eventfd_read(l->lines[v].fds[i], &n) < 0)
				continue;
			handle(l, v);
			any = true;
		}
	}
	return any;
}

/* ---- what a driver does to messages --------------------------------------------------------- */

static void fiddle_with_msi(struct lost *l, unsigned int how)
{
	if (how % 2)
		write_config(l, l->msi + MSI_MASKS, rand_r(&l->seed) & 0xff, 1);
	else
		write_config(l, l->msi + PCI_MSI_FLAGS, 3 << 4 | (how / 2 % 2), 2);
}

static void fiddle_with_messages(struct lost *l)
{
	unsigned int how = rand_r(&l->seed) >> 4, start = how / 8 % l->vectors;
	unsigned int count = 1 + how / 64 % (l->vectors - start);

	switch (how % 8) {
	case 0: case 1:
		give_fds(l, start, count);
		break;
	case 2: case 3:
		take_fds(l, start, count);
		break;
	case 4:
		set_command(l, how / 8 % 2 ? PCI_COMMAND_MASTER : 0);
		break;
	case 5:
		write_config(l, l->pm + PCI_PM_CTRL, how / 8 % 2 ? D3HOT : 0, 2);
		break;
	default:
		if (l->kind->index == MSI)
			fiddle_with_msi(l, how / 8);
		else if (l->vectors < DEVICE_VECTORS)
			give_fds(l, l->vectors++, 1);	/* one that there was not */
		break;
	}
}

static void begin_messages(struct lost *l)
{
	set_command(l, PCI_COMMAND_MASTER);
	l->vectors = l->kind->index == MSI ? DEVICE_VECTORS : FIRST;
	give_fds(l, 0, l->vectors);
}

/* One of the things that let messages through; the last two are MSI's alone. */
static void let_messages_through(struct lost *l, unsigned int what)
{
	switch (what) {
	case 0:
		l->vectors = DEVICE_VECTORS;
		give_fds(l, 0, l->vectors);
		break;
	case 1:
		set_command(l, PCI_COMMAND_MASTER);
		break;
	case 2:
		write_config(l, l->pm + PCI_PM_CTRL, 0, 2);
		break;
	case 3:
		if (l->kind->index == MSI)
			write_config(l, l->msi + MSI_MASKS, 0, 1);
		break;
	case 4:
		if (l->kind->index == MSI)
			write_config(l, l->msi + PCI_MSI_FLAGS, 3 << 4 | PCI_MSI_FLAGS_ENABLE, 2);
		break;
	}
}

/* ---- and to INTx --------------------------------------------------------------------------- */

static void fiddle_with_intx(struct lost *l)
{
	unsigned int how = rand_r(&l->seed) >> 4;

	switch (how % 5) {
	case 0:
		give_fds(l, 0, 1);
		break;
	case 1:
		take_fds(l, 0, 1);
		break;
	case 2:
		set_command(l, how / 8 % 2 ? PCI_COMMAND_INTX_DISABLE : 0);
		break;
	case 3:
		set_irqs(l, NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 1, NULL);
		break;
	case 4:
		set_irqs(l, NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, NULL);
		break;
	}
}

static void begin_intx(struct lost *l)
{
	set_command(l, 0);
	l->vectors = 1;
	give_fds(l, 0, 1);
}

static void let_intx_through(struct lost *l, unsigned int what)
{
	switch (what) {
	case 0:
		give_fds(l, 0, 1);
		break;
	case 1:
		set_command(l, 0);
		break;
	case 2:
		set_irqs(l, NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, NULL);
		break;
	}
}

/* ---- rounds -------------------------------------------------------------------------------- */

static bool coming(const struct lost *l)
{
	for (unsigned int v = 0; v < DEVICE_VECTORS; v++)
		if (l->coming[v])
			return true;
	return false;
}

static void play_round(struct lost *l)
{
	unsigned int order = rand_r(&l->seed) >> 4;

	l->kind->begin(l);
	for (unsigned int v = 0; v < l->kind->vectors; v++)
		l->coming[v] = 1 + rand_r(&l->seed) % RAISES;
	for (unsigned int i = 0; i < STEPS || coming(l); i++) {
		l->kind->fiddle(l);
		handle_all(l);
	}
	/* Whichever comes last, it must deliver what has waited for it. */
	for (unsigned int i = 0; i < LETS; i++)
		l->kind->let_through(l, (order + i) % LETS);
	while (handle_all(l))
		;
	for (unsigned int v = 0; v < l->vectors; v++)
		if (l->lines[v].seen != l->raised[v])
			fail_msg("vector %u: %llu raised, the last that was seen is %llu", v,
				 (unsigned long long)l->raised[v],
				 (unsigned long long)l->lines[v].seen);
	set_irqs(l, NONE | TRIGGER, 0, 0, NULL);
}

static void nothing_is_lost(struct lost *l, const struct kind *kind)
{
	uint64_t raised = 0;

	l->kind = kind;
	for (unsigned int i = 0; i < ROUNDS; i++)
		play_round(l);
	for (unsigned int v = 0; v < DEVICE_VECTORS; v++)
		raised += l->raised[v];
	print_message("%llu raised, %llu signals\n", (unsigned long long)raised,
		      (unsigned long long)l->signals);
	assert_in_range(raised, ROUNDS * kind->vectors, ROUNDS * kind->vectors * RAISES);
}

static void no_intx_is_lost(void **state)
{
	static const struct kind intx = {
		INTX, 1, begin_intx, fiddle_with_intx, let_intx_through,
	};

	nothing_is_lost(*state, &intx);
}

static void no_msi_is_lost(void **state)
{
	static const struct kind msi = {
		MSI, DEVICE_VECTORS, begin_messages, fiddle_with_messages, let_messages_through,
	};

	nothing_is_lost(*state, &msi);
}

static void no_msix_is_lost(void **state)
{
	static const struct kind msix = {
		MSIX, DEVICE_VECTORS, begin_messages, fiddle_with_messages, let_messages_through,
	};

	nothing_is_lost(*state, &msix);
}

/* ---- life ---------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	const struct itimerspec every = { { 0, TICK_NS }, { 0, TICK_NS } };
	struct lost *l = calloc(1, sizeof(*l));

	*state = l;
	l->seed = l->device_seed = 20101117;
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	for (unsigned int v = 0; v < DEVICE_VECTORS; v++)
		for (unsigned int i = 0; i < 2; i++)
			l->lines[v].fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (host_make(&l->host, true) < 0 ||
	    vfio_server_watch(l->host.server, l->timer, tick, l) < 0 || host_open(&l->host) < 0)
		return -1;
	l->msi = vfio_find_capability(l->host.dev, PCI_CAP_ID_MSI);
	l->pm = vfio_find_capability(l->host.dev, PCI_CAP_ID_PM);
	return timerfd_settime(l->timer, 0, &every, NULL);
}

static int tear_down(void **state)
{
	struct lost *l = *state;

	host_close(&l->host);
	close(l->timer);
	for (unsigned int v = 0; v < DEVICE_VECTORS; v++)
		for (unsigned int i = 0; i < 2; i++)
			close(l->lines[v].fds[i]);
	free(l);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(no_intx_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_msi_is_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_msix_is_lost, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "roads.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "compare.h"
#include "requests.h"

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define REARM_MS 5000		/* a server has looked at an eventfd by then */
#define INDEXES  (VFIO_PCI_NUM_IRQS + 1)	/* and one that is not there */

/* ---- steps -------------------------------------------------------------------------------- */

static bool write_config(struct roads *r, unsigned int at, const void *bytes, size_t len)
{
	uint32_t where = 0;
	char text[3 * 16 + 1] = "";
	ssize_t n;

	for (size_t i = 0; i < len && i < 16; i++)
		snprintf(text + 3 * i, 4, " %02x", ((const uint8_t *)bytes)[i]);
	note(r, "write %#x:%s", at, text);
	new_records(r);
	n = vfio_pwrite_where(r->dev, CONFIG, at, bytes, len, &where);
	if (!same(r, "writing configuration space", n,
		  reference_write(&r->reference, at, bytes, len)))
		return false;
	return n <= 0 || check_where(r, at, len, where);
}

static bool write_value(struct roads *r, unsigned int at, uint32_t value, unsigned int width)
{
	const uint8_t bytes[] = { value, value >> 8, value >> 16, value >> 24 };

	return write_config(r, at, bytes, width);
}

/* Where writes do most: a quarter of them go anywhere. */
static unsigned int somewhere(struct roads *r, struct input *in)
{
	const struct reference *ref = &r->reference;
	const unsigned int starts[] = {
		0, 0x10, 0x20, 0x30, ref->pm_at, ref->vpd_at, ref->msi_at, ref->msi_at + 8,
		ref->msix_at, ref->express_at, ref->express_at + 0x20, ref->af_at, 0x100, 0x110,
		ref->hidden_at, DEVICE_CONFIG_SIZE - 8,
	};
	uint16_t n = take16(in);

	if (n % 4 == 0)
		return n / 4 % (DEVICE_CONFIG_SIZE + 8);
	return starts[n / 4 % 16] + n / 64 % 16;
}

static bool write_anything(struct roads *r, struct input *in)
{
	static const uint8_t lengths[] = { 1, 2, 4, 4, 2, 1, 3, 8, 5, 16, 7, 0 };
	unsigned int at = somewhere(r, in);
	uint8_t how = take8(in), bytes[16];

	take(in, bytes, sizeof(bytes));
	if (how >= 192)
		memset(bytes, how & 1 ? 0xff : 0, sizeof(bytes));
	return write_config(r, at, bytes, lengths[how % sizeof(lengths)]);
}

static bool read_anything(struct roads *r, struct input *in)
{
	unsigned int at = somewhere(r, in);
	size_t len = take8(in) % 17;
	uint8_t is[16] = { 0 }, want[16] = { 0 };

	note(r, "read %#x: %zu bytes", at, len);
	return same(r, "reading", vfio_pread(r->dev, CONFIG, at, is, len),
		    reference_read(&r->reference, at, want, len)) &&
	       (!memcmp(is, want, sizeof(is)) || differs(r, "a read of %zu bytes at %#x", len, at));
}

/* Bits of the Command register that matter here; bus mastering and memory more on than off. */
static bool write_command(struct roads *r, struct input *in)
{
	uint8_t how = take8(in);
	uint16_t value = PCI_COMMAND_IO | (how & 7 ? PCI_COMMAND_MASTER : 0) |
			 (how & 8 && how & 16 ? 0 : PCI_COMMAND_MEMORY) |
			 (how & 32 && how & 64 ? PCI_COMMAND_INTX_DISABLE : 0);

	return write_value(r, PCI_COMMAND, value, how & 128 ? 4 : 2);
}

/* Registers with an effect, by a write that has it. */
static bool write_register(struct roads *r, struct input *in)
{
	const struct reference *ref = &r->reference;
	uint8_t how = take8(in), value = take8(in);

	switch (how % 8) {
	case 0: case 1:
		return write_value(r, ref->pm_at + PCI_PM_CTRL, value & 16 ? value & 3 : 0, 2);
	case 2:
		return write_value(r, ref->vpd_at + PCI_VPD_ADDR,
				   (value & 0x7f) | (value & 0x80 ? PCI_VPD_ADDR_F : 0), 2);
	case 3:
		return write_value(r, ref->msi_at + PCI_MSI_FLAGS, value, 2);
	case 4: case 5:		/* masks */
		return write_value(r, ref->msi_at + 16, how & 64 ? value : 0, how & 128 ? 4 : 1);
	case 6:
		return write_value(r, ref->af_at + PCI_AF_CTRL, value & 1, 1);
	default:
		return write_value(r, ref->express_at + PCI_EXP_DEVCTL, value << 8 | how, 2);
	}
}

static bool use_port(struct roads *r, const char *what, unsigned int port, uint32_t value)
{
	note(r, "the device: %s %u", what, value);
	return same(r, "writing a port", vfio_pwrite(r->dev, DEVICE_PORTS, port, &value, 4), 4);
}

static bool let_reset_fail(struct roads *r, bool fail)
{
	r->reference.failing = fail;
	return use_port(r, "the next reset fails", PORT_FAIL, fail);
}

static bool lose_registers(struct roads *r)
{
	bool fine = use_port(r, "a reset of its own", PORT_BACKDOOR, 0);

	reference_backdoor_reset(&r->reference);
	return fine;
}

static bool device_acts(struct roads *r, struct input *in)
{
	uint8_t how = take8(in);
	bool fine;

	switch (how % 8) {
	case 0:
		if (how >= 192)
			return lose_registers(r);
		fine = use_port(r, "an error", PORT_ERROR, 0);
		reference_error(&r->reference);
		return fine;
	case 1:
		if (how >= 192)
			return let_reset_fail(r, true);
		fine = use_port(r, "a request", PORT_REQUEST, 0);
		reference_request(&r->reference);
		return fine;
	case 2: case 3: case 4:
		fine = use_port(r, "INTx", PORT_INTX, how >> 3 & 1);
		reference_intx(&r->reference, how >> 3 & 1);
		return fine;
	default:	/* one vector of nine is none */
		fine = use_port(r, "message", PORT_MSI, (how >> 3) % (DEVICE_VECTORS + 1));
		reference_msi(&r->reference, (how >> 3) % (DEVICE_VECTORS + 1));
		return fine;
	}
}

static bool reset(struct roads *r)
{
	note(r, "reset");
	return same(r, "resetting", vfio_reset(r->dev), reference_reset(&r->reference));
}

/* One that cannot be reset is not given to anybody. */
static bool recycle(struct roads *r)
{
	if (!let_reset_fail(r, false))
		return false;
	note(r, "a new user");
	reference_recycle(&r->reference);
	r->cursor = 0;		/* over a socket, each client has records of its own */
	return same(r, "changing users", r->recycle(r), 0);
}

/* The administrator, who is in the device's process, limits the vectors; or not. */
static bool grant(struct roads *r, struct input *in)
{
	char value[8] = "all";
	uint8_t n = take8(in) % 16;

	if (r->remote) {
		note(r, "a limit of vectors: not over a socket");
		return true;
	}
	r->reference.granted = n && n < DEVICE_VECTORS ? n : DEVICE_VECTORS;
	if (n)
		snprintf(value, sizeof(value), "%u", n);
	note(r, "policy: vectors %s", value);
	return same(r, "limiting vectors", vfio_policy_set(r->dev, "vectors", value), 0);
}

/* By itself, and by both registers that ask for it (A7.5, A7.6); D3hot loses nothing. */
static bool ask_reset(struct roads *r)
{
	struct vfio_reset_info info = { 0 };

	note(r, "ask how to reset");
	return same(r, "asking", vfio_reset_probe(r->dev, &info), 0) &&
	       same(r, "methods", info.methods,
		    VFIO_RESET_DEVICE | VFIO_RESET_FLR | VFIO_RESET_AF) &&
	       same(r, "resets that were done", info.count, r->reference.resets) &&
	       same(r, "the last reset", info.last, r->reference.last_reset);
}

static bool ask_irqs(struct roads *r, struct input *in)
{
	struct vfio_irq_info is = { 0 }, want = { 0 };
	uint32_t index = take8(in) % INDEXES;

	note(r, "ask about interrupt index %u", index);
	return same(r, "asking", vfio_irq_info(r->dev, index, &is),
		    reference_irq_info(&r->reference, index, &want)) &&
	       same(r, "vectors", is.count, want.count) && same(r, "flags", is.flags, want.flags);
}

static bool set_irqs(struct roads *r, struct input *in)
{
	struct request q = { .set.argsz = 0 };
	char text[ROADS_LINE];
	int is;

	request_make(r, &q, in);
	is = vfio_irq_set(r->dev, &q.set);
	request_print(&q, text, sizeof(text));
	note(r, "%.*s: %d", (int)sizeof(text) - 16, text, is);
	return same(r, "setting interrupts", is, reference_set_irqs(&r->reference, &q.set));
}

/* Whoever listens to it has read the eventfd when it is not readable any more. */
static bool wait_until_read(struct roads *r, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	if (!r->remote)
		return same(r, "dispatching", vfio_dispatch(r->dev), 0) &&
		       (poll(&p, 1, 0) == 0 || differs(r, "an eventfd that unmasks was not read"));
	for (int i = 0; i < REARM_MS * 10; i++) {
		if (poll(&p, 1, 0) == 0)
			return true;
		usleep(100);
	}
	return differs(r, "an eventfd that unmasks was not read in %d ms", REARM_MS);
}

/* An eventfd that unmasks INTx has its effect when it was signalled and is in use. */
static bool rearm(struct roads *r)
{
	int i = r->reference.rearm - (int)ROADS_EVENTS;

	if (i < 0 || !r->kicked[i])
		return true;
	if (!wait_until_read(r, r->fds[ROADS_EVENTS + i]))
		return false;
	r->kicked[i] = false;
	reference_rearm(&r->reference);
	return true;
}

static bool kick(struct roads *r, struct input *in)
{
	unsigned int i = take8(in) % ROADS_REARMS;

	note(r, "signal eventfd %d, which can unmask INTx", r->fds[ROADS_EVENTS + i]);
	r->kicked[i] = true;
	return same(r, "signalling", eventfd_write(r->fds[ROADS_EVENTS + i], 1), 0);
}

static bool take_step(struct roads *r, struct input *in)
{
	uint8_t how = take8(in);

	switch (how % 32) {
	case 0: case 1: case 2: case 3: case 4: case 5:
		return write_anything(r, in);
	case 6: case 7:
		return read_anything(r, in);
	case 8: case 9: case 10:
		return write_command(r, in);
	case 11: case 12: case 13: case 14:
		return write_register(r, in);
	case 15: case 16: case 17: case 18: case 19: case 20: case 21:
		return device_acts(r, in);
	case 22:
		return how < 128 ? reset(r) : how < 160 ? recycle(r) : ask_irqs(r, in);
	case 24:
		return how < 64 ? grant(r, in) : how < 96 ? ask_reset(r) : set_irqs(r, in);
	case 23: case 25:
		return kick(r, in);
	default:
		return set_irqs(r, in);
	}
}

bool roads_step(struct roads *r, struct input *in)
{
	bool fine = take_step(r, in);

	r->steps++;
	return fine && rearm(r) && compare(r);
}

/* ---- life --------------------------------------------------------------------------------- */

bool roads_start(struct roads *r)
{
	uint8_t config[DEVICE_CONFIG_SIZE];

	for (unsigned int i = 0; i < ROADS_EVENTS + ROADS_REARMS; i++)
		r->fds[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r->file = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (!same(r, "reading configuration space", vfio_pread(r->dev, CONFIG, 0, config,
							       sizeof(config)), sizeof(config)))
		return false;
	reference_init(&r->reference, config, r->fds, ROADS_EVENTS + ROADS_REARMS);
	if (!same(r, "the hidden capability", config[r->reference.hidden_at], PCI_CAP_ID_SLOTID))
		return false;
	return compare(r);
}

void roads_finish(struct roads *r)
{
	for (unsigned int i = 0; i < ROADS_EVENTS + ROADS_REARMS; i++)
		close(r->fds[i]);
	close(r->file);
}

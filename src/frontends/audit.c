/* SPDX-License-Identifier: MIT */
/*
 * Is it a well-behaved device? VFIO can give away only what it can confine: registers in pages of
 * their own, interrupts that can be masked, a state that can be reset, a configuration space that
 * holds what PCI says and no more.
 */
#include "frontends/audit.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/export.h"
#include "frontends/driver.h"

#define FIRST_CAPABILITY 0x40u

void audit_tell(struct audit *a, enum vfio_verdict verdict, enum vfio_error_code code,
		const char *remedy, const char *format, ...)
{
	char text[sizeof(a->dev->error.what)];
	struct vfio_finding finding = { .verdict = verdict, .topic = a->topic, .code = code };
	struct vfio_error err;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_set(&err, 0, code, VFIO_BY_LIBRARY, remedy, "%s", text);
	finding.what = err.what;
	finding.remedy = err.remedy;
	if ((int)verdict > a->verdict)
		a->verdict = verdict;
	a->callback(a->arg, &finding);
}

const uint8_t *audit_capability(const struct audit *a, uint8_t id, unsigned int length)
{
	for (unsigned int i = 0; i < a->ncaps; i++)
		if (a->caps[i].id == id && a->caps[i].length >= length)
			return a->config + a->caps[i].offset;
	return NULL;
}

/* ---- the header, and the lists --------------------------------------------------------------- */

static void answers(struct audit *a)
{
	bool all_ones = true;

	for (unsigned int i = 0; i < PCI_STD_HEADER_SIZEOF; i++)
		all_ones = all_ones && a->config[i] == 0xff;
	if (all_ones)
		audit_tell(a, VFIO_FAIL, VFIO_E_DEVICE,
			   "is it switched on, and in its slot? echo 1 > /sys/bus/pci/rescan finds "
			   "what has come back",
			   "it does not answer: configuration space is all ones");
	else
		audit_tell(a, VFIO_PASS, 0, NULL, "it answers");
}

static void header(struct audit *a)
{
	unsigned int type = a->config[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK;

	if (type == PCI_HEADER_TYPE_NORMAL)
		audit_tell(a, VFIO_PASS, 0, NULL, "its header is of type 0, an ordinary function's");
	else
		audit_tell(a, VFIO_FAIL, VFIO_E_BIND,
			   "drive what is behind it; a bridge stays with its driver",
			   "it is no ordinary function: its header is of type %u%s", type,
			   type == PCI_HEADER_TYPE_BRIDGE ? ", a bridge's" : "");
}

static void capabilities(struct audit *a)
{
	if (a->problem[0])
		audit_tell(a, VFIO_FAIL, VFIO_E_MALFORMED,
			   "ask its maker for newer firmware", "%s", a->problem);
	else
		audit_tell(a, VFIO_PASS, 0, NULL, "its %u capabilities are well formed", a->ncaps);
}

static void extended(struct audit *a)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	char problem[VFIO_PCI_PROBLEM_ROOM];
	unsigned int n = vfio_pci_walk_extended(a->config, a->len, caps, problem);

	if (problem[0])
		audit_tell(a, VFIO_FAIL, VFIO_E_MALFORMED,
			   "ask its maker for newer firmware", "%s", problem);
	else
		audit_tell(a, VFIO_PASS, 0, NULL, "its %u extended capabilities are well formed", n);
}

/* ---- what nobody can know the meaning of ----------------------------------------------------- */

static bool is_known(uint32_t number)
{
	const struct vfio_pci_structure *s = vfio_pci_find(number);

	return s && s->exposure != VFIO_PCI_OPEN;
}

/* What lies behind an unknown capability may be its own, up to the next one. */
static unsigned int end_of(const struct audit *a, const struct vfio_pci_capability *c)
{
	unsigned int end = PCI_CFG_SPACE_SIZE;

	if (vfio_pci_find(c->id))
		return c->offset + c->length;
	for (unsigned int i = 0; i < a->ncaps; i++)
		if (a->caps[i].offset > c->offset && a->caps[i].offset < end)
			end = a->caps[i].offset;
	return end;
}

/* Writes there reach the device, whatever they do. */
static void known(struct audit *a)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_EXTENDED];
	unsigned int n = vfio_pci_walk_extended(a->config, a->len, caps, NULL), found = 0;
	char list[120] = "";

	for (unsigned int i = 0; i < a->ncaps + n; i++) {
		bool more = i >= a->ncaps;
		const struct vfio_pci_capability *c = more ? &caps[i - a->ncaps] : &a->caps[i];
		size_t used = strlen(list);

		if (!c->id || is_known((more ? VFIO_PCI_EXTENDED : 0) | c->id))
			continue;
		found++;
		snprintf(list + used, sizeof(list) - used, "%s%#x at 0x%02x", used ? ", " : "",
			 c->id, c->offset);
	}
	if (found)
		audit_tell(a, VFIO_WARN, VFIO_E_NONE,
			   "its maker knows what they do; hide = in vfiod.conf(5) takes them away",
			   "%u of its capabilities are of its maker's own kind, or not known: %s",
			   found, list);
	else
		audit_tell(a, VFIO_PASS, 0, NULL, "each of its capabilities is known");
}

static void listed(struct audit *a)
{
	bool mine[PCI_CFG_SPACE_SIZE] = { false };
	unsigned int count = 0, first = 0;

	for (unsigned int i = 0; i < a->ncaps; i++)
		for (unsigned int at = a->caps[i].offset; at < end_of(a, &a->caps[i]); at++)
			mine[at] = true;
	for (unsigned int at = PCI_CFG_SPACE_SIZE - 1; at >= FIRST_CAPABILITY; at--)
		if (!mine[at] && a->config[at]) {
			count++;
			first = at;
		}
	if (count)
		audit_tell(a, VFIO_WARN, VFIO_E_NONE,
			   "its maker knows what they do; writes of users reach them",
			   "%u bytes of configuration space are set and belong to no capability, the "
			   "first at 0x%02x", count, first);
	else
		audit_tell(a, VFIO_PASS, 0, NULL,
			   "nothing is kept in configuration space beside its capabilities");
}

/* ---- interrupts, reset, power ---------------------------------------------------------------- */

/* Is there proof that bit 10 of Command, which PCI 2.3 introduced, works? */
static bool can_mask(struct audit *a)
{
	struct vfio_config_info info;

	if (audit_capability(a, PCI_CAP_ID_EXP, 2) ||
	    (le16_get(a->config + PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE))
		return true;
	return vfio_config_info(a->dev, PCI_COMMAND, &info) == 0 && info.exact &&
	       (info.write & PCI_COMMAND_INTX_DISABLE);
}

static void intx(struct audit *a)
{
	unsigned int pin = a->config[PCI_INTERRUPT_PIN];

	if (pin > 4)
		audit_tell(a, VFIO_FAIL, VFIO_E_MALFORMED, "ask its maker for newer firmware",
			   "its interrupt pin is %u, and there are four", pin);
	else if (!pin)
		audit_tell(a, VFIO_PASS, 0, NULL, "it has no INTx, which could be shared");
	else if (can_mask(a))
		audit_tell(a, VFIO_PASS, 0, NULL, "its INTx can be masked at the device");
	else
		audit_tell(a, VFIO_WARN, VFIO_E_UNDELIVERABLE,
			   "if it cannot, its interrupt line must be its own: see /proc/interrupts",
			   "it is not known whether its INTx can be masked at the device, as since "
			   "PCI 2.3");
}

static void reset(struct audit *a)
{
	struct vfio_reset_info info;
	int r = vfio_reset_probe(a->dev, &info);

	if (r < 0)
		audit_tell(a, VFIO_WARN, VFIO_E_RESET, a->dev->error.remedy,
			   "it is not known how it can be reset: %.160s", a->dev->error.what);
	else if (!info.methods)
		audit_tell(a, VFIO_FAIL, VFIO_E_RESET,
			   "behind a bridge of its own it could be reset with its bus",
			   "it cannot be reset: a user finds what the last one left in it");
	else if (info.methods == VFIO_RESET_HOT && info.others)
		audit_tell(a, VFIO_WARN, VFIO_E_RESET, "give those to the same user",
			   "%u other functions are reset with it", info.others);
	else
		audit_tell(a, VFIO_PASS, 0, NULL, "it can be reset, alone");
}

static void power(struct audit *a)
{
	const uint8_t *pm = audit_capability(a, PCI_CAP_ID_PM, PCI_PM_CTRL + 2);
	unsigned int state, offered;

	if (!pm) {
		audit_tell(a, VFIO_PASS, 0, NULL, "it is always on");
		return;
	}
	state = le16_get(pm + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK;
	offered = le16_get(pm + PCI_PM_PMC);
	if ((state == 1 && !(offered & PCI_PM_CAP_D1)) || (state == 2 && !(offered & PCI_PM_CAP_D2)))
		audit_tell(a, VFIO_FAIL, VFIO_E_POWER, "reset it",
			   "it says that it is in D%u, a state that it does not offer", state);
	else
		audit_tell(a, VFIO_PASS, 0, NULL, "its power state is D%u", state);
}

/* ---- the clauses ----------------------------------------------------------------------------- */

static const struct clause {
	const char *topic;
	void (*check)(struct audit *a);
	bool needs_capabilities;
	bool needed;		/* by those that follow */
} clauses[] = {
	{ "answers", answers, false, true },
	{ "header", header, false, true },
	{ "capabilities", capabilities, true, false },
	{ "extended", extended, true, false },
	{ "known", known, true, false },
	{ "listed", listed, true, false },
	{ "bar-pages", audit_bar_pages, false, false },
	{ "msix-place", audit_msix_place, true, false },
	{ "msix-apart", audit_msix_apart, true, false },
	{ "intx", intx, false, false },
	{ "reset", reset, false, false },
	{ "power", power, true, false },
};

/* All of configuration space, or what anybody may read. */
static int read_config(struct audit *a)
{
	ssize_t n = driver_config(a->dev, a->config);

	if (n == -EPERM)
		n = a->dev->backend->read(a->dev, VFIO_PCI_CONFIG_REGION_INDEX, 0, a->config,
					  PCI_STD_HEADER_SIZEOF);
	if (n < 0)
		return (int)n;
	if (n < PCI_STD_HEADER_SIZEOF)
		return error_set(&a->dev->error, EPROTO, VFIO_E_PROTOCOL, VFIO_BY_LIBRARY, NULL,
				 "configuration space has %zd bytes", n);
	a->len = (size_t)n;
	a->ncaps = vfio_pci_walk(a->config, a->len, a->caps, a->problem);
	for (uint32_t i = 0; i < AUDIT_BARS; i++) {
		int r = a->dev->backend->region(a->dev, i, &a->bars[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

static void run(struct audit *a, const struct clause *clause)
{
	a->topic = clause->topic;
	a->verdict = VFIO_PASS;
	if (clause->needs_capabilities && a->len <= PCI_STD_HEADER_SIZEOF)
		audit_tell(a, VFIO_WARN, VFIO_E_PERMISSION, "as root it can be",
			   "it is not known: its capabilities cannot be read");
	else
		clause->check(a);
	if (a->verdict > a->worst)
		a->worst = a->verdict;
}

EXPORT int vfio_audit(struct vfio_dev *dev,
		      void (*callback)(void *arg, const struct vfio_finding *finding), void *arg)
{
	struct audit a = { .dev = dev, .callback = callback, .arg = arg };
	int r = read_config(&a);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(clauses) / sizeof(clauses[0]); i++) {
		run(&a, &clauses[i]);
		if (clauses[i].needed && a.verdict == VFIO_FAIL)
			break;
	}
	return a.worst;
}

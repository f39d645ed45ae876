/* SPDX-License-Identifier: MIT */
/*
 * --bind and --unbind: a device leaves its driver for one of VFIO's, and comes back. What uses it is
 * looked at before; what was done is undone when the last step fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <vfio/check.h>

#include "lsvfio.h"

#define CLASS_BRIDGE 0x06
#define LAST_OLD_BUS 0x03	/* of its subclasses: the processor's, ISA, EISA, MCA */

struct binding {
	const char *sysfs;
	char *bdf;
	char *driver;			/* that it has; NULL: none */
	char *override;			/* the driver that is to have it; NULL: any */
	int64_t group;
	int pci, device;		/* folders: bus/pci, and the device's */
	bool dry;
};

static int complain(const struct binding *b, const char *what, const char *why)
{
	fprintf(stderr, "lsvfio: %s: %s: %s\n", b->bdf, what, why);
	return EXIT_NONE;
}

/* ---- what it is ------------------------------------------------------------------------------ */

static char *read_override(int device)
{
	char text[256];
	ssize_t n = sysfs_read(device, "driver_override", text, sizeof(text) - 1, NULL);

	if (n <= 0)
		return NULL;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return *text && strcmp(text, "(null)") ? text_clean(text, strlen(text)) : NULL;
}

static void read_state(struct binding *b)
{
	char *group = sysfs_link(b->device, "iommu_group");

	free(b->driver);
	b->driver = sysfs_link(b->device, "driver");
	b->group = group && strlen(group) < 10 && !group[strspn(group, "0123456789")] ?
		   strtol(group, NULL, 10) : -1;
	free(group);
}

static bool open_binding(struct binding *b, const char *sysfs, const struct pci_address *a)
{
	char *path = memory_printf("%s/bus/pci", sysfs), *folder;

	*b = (struct binding){ .sysfs = sysfs, .device = -1 };
	b->bdf = memory_printf("%04x:%02x:%02x.%x", a->domain, a->bus, a->slot, a->func);
	folder = memory_printf("devices/%s", b->bdf);
	b->pci = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->pci >= 0)
		b->device = openat(b->pci, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(folder);
	free(path);
	if (b->device < 0)
		return false;
	b->override = read_override(b->device);
	read_state(b);
	return true;
}

static void close_binding(struct binding *b)
{
	if (b->device >= 0)
		close(b->device);
	if (b->pci >= 0)
		close(b->pci);
	free(b->override);
	free(b->driver);
	free(b->bdf);
}

/* Has it a driver that gives it to users: one of VFIO's, or UIO's? */
static bool is_given(const struct binding *b)
{
	return b->driver && (strstr(b->driver, "vfio") || !strcmp(b->driver, "uio_pci_generic") ||
			     faccessat(b->device, "vfio-dev", F_OK, 0) == 0);
}

/* ---- the three files ------------------------------------------------------------------------- */

/* Print the step, and take it. */
static bool put(const struct binding *b, const char *file, const char *text)
{
	int r;

	printf("echo %s > %s/bus/pci/%s\n", *text ? text : "''", b->sysfs, file);
	if (b->dry)
		return true;
	fflush(stdout);
	r = sysfs_write(b->pci, file, text);
	if (r < 0)
		complain(b, file, strerror(-r));
	return r == 0;
}

static bool put_override(const struct binding *b, const char *driver)
{
	char *file = memory_printf("devices/%s/driver_override", b->bdf);
	bool done = put(b, file, driver ? driver : "");

	free(file);
	return done;
}

static bool put_unbind(const struct binding *b)
{
	char *file = memory_printf("drivers/%s/unbind", b->driver);
	bool done = b->driver[0] != '.' && put(b, file, b->bdf);

	free(file);
	return done;
}

/* As it was before: the former override, and the driver that comes with it. */
static void undo(struct binding *b, const char *former)
{
	fprintf(stderr, "lsvfio: %s: what was done is undone\n", b->bdf);
	put_override(b, b->override);
	read_state(b);
	if (former && !b->driver)
		put(b, "drivers_probe", b->bdf);
	read_state(b);
	if (former && (!b->driver || strcmp(b->driver, former)))
		complain(b, "its former driver has not taken it back", former);
}

/* It leaves the driver that it has; what takes it then is in b->driver. False: nothing is changed. */
static bool move_to(struct binding *b, const char *wanted)
{
	char *former = b->driver ? memory_copy(b->driver) : NULL;
	bool done = put_override(b, wanted);

	if (done && former && !put_unbind(b)) {
		undo(b, former);
		done = false;
	}
	if (done && put(b, "drivers_probe", b->bdf) && !b->dry)
		read_state(b);
	if (done && !b->dry && wanted && (!b->driver || strcmp(b->driver, wanted))) {
		complain(b, "the driver has not taken it", wanted);
		undo(b, former);
		done = false;
	}
	free(former);
	return done;
}

/* ---- whether it may be ----------------------------------------------------------------------- */

/* The kernel's files must be there, and ours to write. */
static bool can_write(const struct binding *b, const char *how)
{
	char *file = memory_printf("devices/%s/driver_override", b->bdf);
	bool can = faccessat(b->pci, file, W_OK, AT_EACCESS) == 0 &&
		   faccessat(b->pci, "drivers_probe", W_OK, AT_EACCESS) == 0;

	free(file);
	if (!can)
		fprintf(stderr, "lsvfio: %s: %s; as root: lsvfio %s %s\n", b->bdf,
			strerror(errno), how, b->bdf);
	return can;
}

/* The processor's bridge, and those to older buses, look like ordinary functions but for their class. */
static bool is_bridge(const struct binding *b)
{
	uint8_t header[PCI_STD_HEADER_SIZEOF];

	if (sysfs_read(b->device, "config", header, sizeof(header), NULL) <= PCI_HEADER_TYPE)
		return false;
	return (header[PCI_HEADER_TYPE] & PCI_HEADER_TYPE_MASK) != PCI_HEADER_TYPE_NORMAL ||
	       (header[PCI_CLASS_DEVICE + 1] == CLASS_BRIDGE &&
		header[PCI_CLASS_DEVICE] <= LAST_OLD_BUS);
}

/* Both are looked at, so that all that is in the way is told. */
static bool has_driver(const struct binding *b, const char *driver)
{
	char *folder = memory_printf("drivers/%s", driver);
	bool there = !strchr(driver, '/') && faccessat(b->pci, folder, F_OK, 0) == 0;

	free(folder);
	if (!there)
		fprintf(stderr, "lsvfio: %s: there is no driver %s; as root: modprobe %s\n", b->bdf,
			driver, driver);
	return there;
}

/* uses: what was told of. */
static bool is_safe(const struct binding *b, const struct action *action, unsigned int uses)
{
	if (!uses)
		return true;
	if (action->force) {
		fprintf(stderr, "lsvfio: %s: --force: all of that is lost\n", b->bdf);
		return true;
	}
	fprintf(stderr, "lsvfio: %s: end that first, or give --force; nothing was changed\n", b->bdf);
	return false;
}

static void note_holder(void *arg, const struct vfio_finding *f)
{
	if (f->verdict != VFIO_FAIL || strcmp(f->topic, "holder"))
		return;
	fprintf(stderr, "lsvfio: %s; %s\n", f->what, f->remedy);
	*(bool *)arg = true;
}

/*
 * In whatever way a program has it: with VFIO the kernel would wait for it to close the device, for as
 * long as that takes; with UIO it would be taken from it.
 */
static bool is_free(const struct binding *b, const struct action *action)
{
	static const char *const ways[] = { "sysfs", "unsafe-noiommu", "uio" };
	bool held = false;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && !held; i++) {
		char *name = memory_printf("%s:%s%s/bus/pci/devices/%s", ways[i],
					   strchr(b->sysfs, '/') ? "" : "./", b->sysfs, b->bdf);

		vfio_check(name, note_holder, &held, NULL);
		free(name);
	}
	return !held || action->force;
}

/* ---- the two actions ------------------------------------------------------------------------- */

static int bind_device(struct binding *b, const struct action *action)
{
	const char *driver = action->driver ? action->driver : "vfio-pci";
	bool there;

	if (b->driver && !strcmp(b->driver, driver)) {
		printf("%s has the driver %s already\n", b->bdf, driver);
		return EXIT_ALL;
	}
	if (is_bridge(b))
		return complain(b, "it is a bridge", "the machine needs it; choose what is behind it");
	if (!is_safe(b, action, use_report(b->sysfs, b->bdf, b->group)) ||
	    (is_given(b) && !is_free(b, action)))
		return EXIT_NONE;
	there = has_driver(b, driver);
	if ((!there || !can_write(b, action->option)) && !b->dry)
		return EXIT_NONE;
	if (!there)
		printf("modprobe %s\n", driver);
	printf("# %s: from %s to %s, until the machine is started again; to make that last:\n"
	       "# driverctl set-override %s %s\n", b->bdf, b->driver ? b->driver : "no driver",
	       driver, b->bdf, driver);
	if (!move_to(b, driver))
		return EXIT_NONE;
	printf("# lsvfio --check %s%s says what its user still needs\n",
	       strcmp(driver, "uio_pci_generic") ? "" : "uio:", b->bdf);
	return EXIT_ALL;
}

static int give_back(struct binding *b, const struct action *action)
{
	if (!b->dry && !can_write(b, action->option))
		return EXIT_NONE;
	if (b->driver && !is_given(b)) {
		printf("# %s has the driver %s, which is none for users\n", b->bdf, b->driver);
		return !b->override || put_override(b, NULL) ? EXIT_ALL : EXIT_NONE;
	}
	if (!is_safe(b, action, use_functions(b->device, b->bdf)) || !is_free(b, action))
		return EXIT_NONE;
	printf("# %s: from %s to the driver that the kernel chooses; if driverctl gave it away:\n"
	       "# driverctl unset-override %s\n", b->bdf, b->driver ? b->driver : "no driver",
	       b->bdf);
	if (!move_to(b, NULL))
		return EXIT_NONE;
	if (!b->dry)
		printf("# %s has %s%s now\n", b->bdf, b->driver ? "the driver " : "no driver",
		       b->driver ? b->driver : "");
	return EXIT_ALL;
}

static int one_device(const struct action *action, const char *sysfs, const char *name)
{
	struct pci_address address;
	struct binding b;
	int status;

	if (!pci_parse_address(name, &address)) {
		char *clean = text_clean(name, strlen(name));

		fprintf(stderr, "lsvfio: %s: this is of PCI devices; write an address, as in "
			"0000:03:00.0\n", clean);
		free(clean);
		return EXIT_USAGE;
	}
	if (!open_binding(&b, sysfs, &address)) {
		status = complain(&b, "there is no such PCI device", strerror(errno));
	} else {
		b.dry = action->dry;
		status = action->what == ACTION_BIND ? bind_device(&b, action) :
			 give_back(&b, action);
	}
	close_binding(&b);
	return status;
}

int bind_devices(const struct action *action, const char *sysfs, char **names, int n)
{
	int worst = EXIT_ALL;

	for (int i = 0; i < n; i++) {
		int status = one_device(action, sysfs, names[i]);

		if (status > worst)
			worst = status;
	}
	return worst;
}

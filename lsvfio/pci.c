/* SPDX-License-Identifier: MIT */
/* The machine's PCI devices, read from sysfs. No device is opened, and nothing is written. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsvfio.h"

#define RESOURCES 7		/* six BARs and the ROM: the first lines of the file "resource" */

/* <linux/ioport.h> is not exported to user space; these bits have been in sysfs since 2.6. */
#define IORESOURCE_IO       0x00000100
#define IORESOURCE_MEM      0x00000200
#define IORESOURCE_PREFETCH 0x00002000
#define IORESOURCE_READONLY 0x00004000
#define IORESOURCE_MEM_64   0x00100000

bool pci_parse_address(const char *text, struct pci_address *a)
{
	unsigned int domain = 0, bus, slot, func;
	int end = 0;

	/* Lengths are bounded so that sscanf() cannot overflow; signs and blanks are no digits. */
	if (strspn(text, "0123456789abcdefABCDEF:.") != strlen(text))
		return false;
	if (sscanf(text, "%8x:%2x:%2x.%1x%n", &domain, &bus, &slot, &func, &end) != 4 ||
	    text[end]) {
		domain = 0;
		end = 0;
		if (sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &func, &end) != 3 || text[end])
			return false;
	}
	if (domain > INT32_MAX || slot > 31 || func > 7)
		return false;
	*a = (struct pci_address){ domain, (uint8_t)bus, (uint8_t)slot, (uint8_t)func };
	return true;
}

static char *address_name(const struct pci_address *a)
{
	return memory_printf("%04x:%02x:%02x.%x", a->domain, a->bus, a->slot, a->func);
}

static int is_address(const struct dirent *entry)
{
	struct pci_address a;

	return pci_parse_address(entry->d_name, &a);
}

static uint64_t rank(const char *name)
{
	struct pci_address a = { 0 };

	pci_parse_address(name, &a);
	return (uint64_t)a.domain << 16 | (uint64_t)a.bus << 8 | (uint64_t)a.slot << 3 | a.func;
}

static int by_address(const struct dirent **a, const struct dirent **b)
{
	uint64_t left = rank((*a)->d_name), right = rank((*b)->d_name);

	return (left > right) - (left < right);
}

static void read_identity(struct device *d, int dir)
{
	uint32_t vendor, device, value;

	if (!sysfs_number(dir, "vendor", 0xffff, &vendor) ||
	    !sysfs_number(dir, "device", 0xffff, &device))
		return;
	d->id.known = true;
	d->id.vendor = (uint16_t)vendor;
	d->id.device = (uint16_t)device;
	if (sysfs_number(dir, "class", 0xffffff, &value))
		d->id.class_code = value;
	if (sysfs_number(dir, "revision", 0xff, &value))
		d->id.revision = (uint8_t)value;
	if (sysfs_number(dir, "subsystem_vendor", 0xffff, &value))
		d->id.subsystem_vendor = (uint16_t)value;
	if (sysfs_number(dir, "subsystem_device", 0xffff, &value))
		d->id.subsystem = (uint16_t)value;
}

/* Without an IOMMU the kernel can invent a group for each device, and says so in the group's name. */
static bool is_invented(int dir)
{
	static const char invented[] = "vfio-noiommu\n";
	char name[sizeof(invented)];

	return sysfs_read(dir, "iommu_group/name", name, sizeof(name), NULL) == sizeof(invented) - 1 &&
	       !memcmp(name, invented, sizeof(invented) - 1);
}

static void read_group(struct device *d, int dir)
{
	char *name = sysfs_link(dir, "iommu_group"), *end;
	unsigned long group;

	if (!name)
		return;
	errno = 0;
	group = strtoul(name, &end, 10);
	if (name[0] >= '0' && name[0] <= '9' && !*end && !errno && group <= INT32_MAX)
		d->group = (int64_t)group;
	d->unguarded = d->group >= 0 && is_invented(dir);
	free(name);
}

/* Open the folder of one device and make a device of it. NULL with errno set when it cannot be. */
static struct device *device_at(int bus, const char *folder, int *dir)
{
	struct pci_address a = { 0 };
	struct device *d;

	*dir = openat(bus, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*dir < 0)
		return NULL;
	pci_parse_address(folder, &a);
	d = device_new(KIND_PCI, address_name(&a), address_name(&a));
	d->address = a;
	read_identity(d, *dir);
	d->driver = sysfs_link(*dir, "driver");
	read_group(d, *dir);
	return d;
}

static void list_one(struct device_list *list, int bus, const char *folder, struct ids *ids)
{
	int dir;
	struct device *d = device_at(bus, folder, &dir);

	if (!d) {
		fprintf(stderr, "lsvfio: PCI device %s is left out: its folder cannot be opened: %s\n",
			folder, strerror(errno));
		return;
	}
	close(dir);
	ids_name(ids, &d->id);
	if (ids_match(ids, d))
		TAILQ_INSERT_TAIL(list, d, entry);
	else
		device_free(d);
}

static int open_bus(const char *root)
{
	char *path = memory_printf("%s/bus/pci/devices", root);
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd;

	free(path);
	return r;
}

int pci_list(struct device_list *list, const char *root, struct ids *ids)
{
	struct dirent **entries;
	int bus = open_bus(root), n;

	if (bus < 0)
		return bus;
	n = scandirat(bus, ".", &entries, is_address, by_address);
	if (n < 0) {
		n = -errno;
		close(bus);
		return n;
	}
	for (int i = 0; i < n; i++) {
		list_one(list, bus, entries[i]->d_name, ids);
		free(entries[i]);
	}
	free(entries);
	close(bus);
	return 0;
}

static uint32_t resource_flags(uint64_t kernel)
{
	uint32_t flags = VFIO_REGION_INFO_FLAG_READ;

	if (!(kernel & IORESOURCE_READONLY))
		flags |= VFIO_REGION_INFO_FLAG_WRITE;
	if (kernel & IORESOURCE_MEM)
		flags |= REGION_MEMORY;
	if (kernel & IORESOURCE_IO)
		flags |= REGION_IO;
	if (kernel & IORESOURCE_MEM_64)
		flags |= REGION_64BIT;
	if (kernel & IORESOURCE_PREFETCH)
		flags |= REGION_PREFETCH;
	return flags;
}

static bool parse_resource(const char *line, struct region *region)
{
	uint64_t start, last, flags;

	if (sscanf(line, "0x%16" SCNx64 " 0x%16" SCNx64 " 0x%16" SCNx64, &start, &last,
		   &flags) != 3)
		return false;
	if (flags == 0 && start == 0 && last == 0)
		return true;
	if (last < start || last - start == UINT64_MAX)
		return false;
	region->address = start;
	region->size = last - start + 1;
	region->flags = resource_flags(flags);
	return true;
}

static void read_resources(struct device *d, int dir)
{
	char text[1024], *rest = text, *line;
	ssize_t n = sysfs_read(dir, "resource", text, sizeof(text) - 1, NULL);

	if (n < 0)
		device_problem(d, memory_printf("the file \"resource\" cannot be read: %s",
						strerror((int)-n)));
	text[n < 0 ? 0 : n] = '\0';
	for (uint32_t i = 0; i < RESOURCES; i++) {
		struct region *r = description_region(d->description, i);

		line = strsep(&rest, "\n");
		if (n >= 0 && (!line || !parse_resource(line, r)))
			device_problem(d, memory_printf("the file \"resource\" makes no sense for "
							"%s", r->name));
	}
}

static void read_config(struct device *d, int dir)
{
	struct description *desc = d->description;
	struct region *r = description_region(desc, VFIO_PCI_CONFIG_REGION_INDEX);
	char state[16] = "";
	uint64_t whole = 0;
	ssize_t n;

	if (sysfs_read(dir, "power_state", state, sizeof(state) - 1, NULL) > 0 &&
	    !strcmp(state, "D3cold\n")) {
		device_problem(d, memory_copy("it is switched off (D3cold), and to read its "
					      "configuration space would wake it"));
		return;
	}
	n = sysfs_read(dir, "config", desc->config, sizeof(desc->config), &whole);
	if (n < 0) {
		device_problem(d, memory_printf("the file \"config\" cannot be read: %s",
						strerror((int)-n)));
		return;
	}
	desc->config_len = (size_t)n;
	r->size = whole <= CONFIG_MAX ? whole : CONFIG_MAX;
	r->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	config_explain(d);
}

/* How many interrupts of each type the function can have, from its header and capabilities. */
static void count_irqs(struct description *desc)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	const uint8_t *config = desc->config;
	uint32_t count[] = { 0, 0, 0 }, known = 3;
	char problem[VFIO_PCI_PROBLEM_ROOM];
	unsigned int n;

	if (desc->config_len < PCI_STD_HEADER_SIZEOF || desc->nvalues == 0)
		return;
	count[VFIO_PCI_INTX_IRQ_INDEX] = config[PCI_INTERRUPT_PIN] != 0;
	n = vfio_pci_walk(config, desc->config_len, caps, problem);
	if (problem[0])
		known = 1;	/* MSI and MSI-X may be among the capabilities that were not read */
	for (unsigned int i = 0; i < n; i++) {
		uint16_t control = config_word(config, caps[i].offset + 2u);

		if (caps[i].id == PCI_CAP_ID_MSI)
			count[VFIO_PCI_MSI_IRQ_INDEX] = 1u << ((control & PCI_MSI_FLAGS_QMASK) >> 1);
		else if (caps[i].id == PCI_CAP_ID_MSIX)
			count[VFIO_PCI_MSIX_IRQ_INDEX] = (control & PCI_MSIX_FLAGS_QSIZE) + 1u;
	}
	for (uint32_t i = 0; i < known; i++)
		description_irq(desc, i)->count = count[i];
}

int pci_show(struct device_list *list, const char *root, const struct pci_address *address)
{
	char *folder = address_name(address);
	int bus = open_bus(root), dir, r = 0;
	struct device *d;

	d = bus < 0 ? NULL : device_at(bus, folder, &dir);
	if (d) {
		device_describe(d);
		if (d->unguarded)
			d->description->isolation = (struct isolation){ memory_copy("none"),
									memory_copy("none") };
		read_resources(d, dir);
		read_config(d, dir);
		count_irqs(d->description);
		close(dir);
		TAILQ_INSERT_TAIL(list, d, entry);
	} else {
		r = bus < 0 ? bus : -errno;
	}
	if (bus >= 0)
		close(bus);
	free(folder);
	return r;
}

/* SPDX-License-Identifier: MIT */
/*
 * The observer: what sysfs tells of any PCI device, whoever has it. It opens no device, and what
 * would change one is refused; a read of a register might, so that BARs are not read either.
 */
#include "backends/sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vfio/pci.h>

#include "backends/sysfs_file.h"
#include "base/bits.h"
#include "base/error.h"
#include "base/fd.h"
#include "pci/reset.h"

#define CONFIG    VFIO_PCI_CONFIG_REGION_INDEX
#define RESOURCES 7		/* six BARs and the ROM: the first lines of the file "resource" */
#define UNPRIVILEGED 64u	/* bytes of configuration space that anybody may read */

struct sysfs {
	struct vfio_dev dev;
	struct kernel_place place;
	int folder;			/* the device's */
	int config;			/* the file of that name */
	uint64_t sizes[RESOURCES], config_size;
};

static struct sysfs *sysfs_of(struct vfio_dev *dev)
{
	return (struct sysfs *)dev;
}

/* ---- configuration space --------------------------------------------------------------------- */

static int read_failed(struct sysfs *s, uint64_t offset, size_t len, ssize_t got)
{
	struct vfio_error *err = &s->dev.error;
	int e = errno;

	if (got < 0)
		return error_system(err, e, "reading %zu bytes at %#llx of configuration space of %s",
				    len, (unsigned long long)offset, s->place.bdf);
	return error_set(err, EPERM, VFIO_E_PERMISSION, VFIO_BY_KERNEL,
			 "as root (CAP_SYS_ADMIN) all of it can be read",
			 "reading %zu bytes at %#llx of configuration space of %s: the kernel shows "
			 "only the first %llu", len, (unsigned long long)offset, s->place.bdf,
			 (unsigned long long)(got ? offset + (size_t)got : UNPRIVILEGED));
}

static ssize_t read_config(struct sysfs *s, uint64_t offset, void *buf, size_t len)
{
	ssize_t n = contract_check_access(CONFIG, s->config_size, offset, len, "read",
					  &s->dev.error);

	if (n <= 0)
		return n;
	if (sysfs_is_off(s->folder))
		return error_set(&s->dev.error, EAGAIN, VFIO_E_POWER, VFIO_BY_LIBRARY,
				 "as root: echo on > power/control in its folder in sysfs wakes it",
				 "%s is switched off (D3cold): to read its configuration space would "
				 "wake it", s->place.bdf);
	n = pread(s->config, buf, len, (off_t)offset);
	return n == (ssize_t)len ? n : read_failed(s, offset, len, n);
}

static ssize_t read_all(struct sysfs *s, uint8_t config[PCI_CFG_SPACE_SIZE])
{
	return read_config(s, 0, config, s->config_size < PCI_CFG_SPACE_SIZE ? s->config_size :
			   PCI_CFG_SPACE_SIZE);
}

/* ---- what the device is ---------------------------------------------------------------------- */

/* It cannot be reset by this handle, whatever it can: hence no flag of that. */
static int info(struct vfio_dev *dev, struct vfio_device_info *to)
{
	*to = (struct vfio_device_info){
		.argsz = sizeof(*to), .flags = VFIO_DEVICE_FLAGS_PCI,
		.num_regions = VFIO_PCI_NUM_REGIONS, .num_irqs = VFIO_PCI_NUM_IRQS,
	};
	return 0;
}

static int region(struct vfio_dev *dev, uint32_t index, struct vfio_region *to)
{
	struct sysfs *s = sysfs_of(dev);

	if (index >= VFIO_PCI_NUM_REGIONS)
		return error_set(&dev->error, EINVAL, VFIO_E_NO_REGION, VFIO_BY_LIBRARY,
				 "vfio_info() says how many regions there are",
				 "region %u: the device has %u", index, VFIO_PCI_NUM_REGIONS);
	*to = (struct vfio_region){ .index = index, .fd = -1 };
	if (index < RESOURCES)
		to->size = s->sizes[index];
	if (index == CONFIG) {
		to->size = s->config_size;
		to->flags = VFIO_REGION_INFO_FLAG_READ;
	}
	return 0;
}

static uint32_t count_vectors(const uint8_t *config, ssize_t len, uint8_t wanted)
{
	struct vfio_pci_capability caps[VFIO_PCI_MAX_CAPABILITIES];
	unsigned int n = vfio_pci_walk(config, (size_t)len, caps, NULL);

	for (unsigned int i = 0; i < n; i++) {
		uint16_t control;

		if (caps[i].id != wanted || caps[i].length < 4)
			continue;
		control = le16_get(config + caps[i].offset + 2);
		switch (wanted) {
		case PCI_CAP_ID_MSI:
			return 1u << ((control & PCI_MSI_FLAGS_QMASK) >> 1);
		case PCI_CAP_ID_MSIX:
			return (control & PCI_MSIX_FLAGS_QSIZE) + 1u;
		default:
			return 1;
		}
	}
	return 0;
}

/* Which capability an index comes from: PCI Express devices report errors. */
static const uint8_t irq_capability[] = {
	[VFIO_PCI_MSI_IRQ_INDEX] = PCI_CAP_ID_MSI,
	[VFIO_PCI_MSIX_IRQ_INDEX] = PCI_CAP_ID_MSIX,
	[VFIO_PCI_ERR_IRQ_INDEX] = PCI_CAP_ID_EXP,
	[VFIO_PCI_REQ_IRQ_INDEX] = 0,
};

/* Counted, and without flags: none of them can be had here. */
static int irq_info(struct vfio_dev *dev, uint32_t index, struct vfio_irq_info *to)
{
	struct sysfs *s = sysfs_of(dev);
	uint8_t config[PCI_CFG_SPACE_SIZE];
	ssize_t len;

	if (index >= VFIO_PCI_NUM_IRQS)
		return error_set(&dev->error, EINVAL, VFIO_E_NO_IRQ, VFIO_BY_LIBRARY,
				 "vfio_info() says how many indexes there are",
				 "interrupt index %u: the device has %u", index, VFIO_PCI_NUM_IRQS);
	*to = (struct vfio_irq_info){ .argsz = sizeof(*to), .index = index };
	if (index == VFIO_PCI_INTX_IRQ_INDEX) {
		len = read_config(s, PCI_INTERRUPT_PIN, config, 1);
		to->count = len > 0 && config[0];
		return len < 0 ? (int)len : 0;
	}
	if (!irq_capability[index])
		return 0;
	len = read_all(s, config);
	if (len < 0)
		return (int)len;
	to->count = count_vectors(config, len, irq_capability[index]);
	return 0;
}

/* ---- reset, without doing it ----------------------------------------------------------------- */

static const struct {
	const char *name;
	uint32_t method;
} methods[] = {
	{ "flr", VFIO_RESET_FLR }, { "af_flr", VFIO_RESET_AF }, { "pm", VFIO_RESET_PM },
	{ "bus", VFIO_RESET_BUS }, { "cxl_bus", VFIO_RESET_BUS },
	{ "device_specific", VFIO_RESET_SPECIFIC }, { "acpi", VFIO_RESET_SPECIFIC },
};

/* Words with blanks between; those that are not known may come with newer kernels. */
static uint32_t parse_methods(char *text)
{
	uint32_t found = 0;
	char *word;

	while ((word = strsep(&text, " \n")))
		for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
			if (strcmp(word, methods[i].name) == 0)
				found |= methods[i].method;
	return found;
}

/*
 * There is a file "reset" if the kernel can reset the device, and since Linux 5.15 "reset_method"
 * says how. Before, the capabilities say what is likely.
 */
static int reset_probe(struct sysfs *s, struct vfio_reset_info *q)
{
	uint8_t config[PCI_CFG_SPACE_SIZE];
	char text[256];
	ssize_t n = sysfs_read_text(s->folder, "reset_method", text, sizeof(text));

	memset(q, 0, sizeof(*q));
	if (n > 0)
		q->methods = parse_methods(text);
	if (n > 0 || faccessat(s->folder, "reset", F_OK, 0) < 0)
		return 0;
	n = read_all(s, config);
	if (n < 0)
		return (int)n;
	q->methods = reset_methods(config, (size_t)n);
	if (!q->methods)
		q->methods = VFIO_RESET_SPECIFIC;
	return 0;
}

static int feature(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	/* Whoever looks through us cannot make the device do anything. */
	static const struct vfio_isolation isolation = {
		VFIO_ISOLATED_BY_SOFTWARE, VFIO_ISOLATED_BY_SOFTWARE,
	};
	uint32_t number = flags & VFIO_DEVICE_FEATURE_MASK;

	if (number == FEATURE_ISOLATION)
		return contract_isolation(&isolation, flags, data, len, &dev->error);
	if (number != FEATURE_RESET_INFO)
		return error_set(&dev->error, ENOTTY, VFIO_E_UNSUPPORTED, VFIO_BY_LIBRARY, NULL,
				 "feature %#x: an observer does not have it", number);
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if ((flags & VFIO_DEVICE_FEATURE_SET) || len < sizeof(struct vfio_reset_info))
		return error_set(&dev->error, EINVAL, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL,
				 "feature %#x with flags %#x and %zu bytes", number, flags, len);
	return reset_probe(sysfs_of(dev), data);
}

/* ---- what an observer does not --------------------------------------------------------------- */

static int refused(struct vfio_dev *dev, const char *what)
{
	return error_set(&dev->error, EPERM, VFIO_E_OBSERVED, VFIO_BY_LIBRARY,
			 "open it by its PCI address alone, when vfio-pci has it",
			 "%s of %s: it is only looked at, through sysfs", what,
			 sysfs_of(dev)->place.bdf);
}

static ssize_t read_region(struct vfio_dev *dev, uint32_t index, uint64_t offset, void *buf,
			   size_t len)
{
	struct sysfs *s = sysfs_of(dev);
	ssize_t n;

	if (index == CONFIG)
		return read_config(s, offset, buf, len);
	n = contract_check_access(index, index < RESOURCES ? s->sizes[index] : 0, offset, len, "read",
				  &dev->error);
	return n <= 0 ? n : refused(dev, "reading registers");
}

static ssize_t write_region(struct vfio_dev *dev, uint32_t index, uint64_t offset, const void *buf,
			    size_t len)
{
	return refused(dev, "writing registers");
}

static int set_irqs(struct vfio_dev *dev, const struct irq_request *request)
{
	return refused(dev, "setting interrupts");
}

static int dma_map(struct vfio_dev *dev, const struct dma_map *map)
{
	return refused(dev, "mapping memory for DMA");
}

static int dma_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t *unmapped)
{
	*unmapped = 0;
	return 0;
}

static int reset(struct vfio_dev *dev)
{
	return refused(dev, "a reset");
}

/* ---- life ------------------------------------------------------------------------------------ */

static void distrust(struct vfio_dev *dev, bool guarded)
{
}

static bool mend(struct vfio_dev *dev, const void *addr)
{
	return false;
}

/* Nothing was changed. */
static int recycle(struct vfio_dev *dev)
{
	return 0;
}

static int poll_fd(struct vfio_dev *dev)
{
	return -ENOTSUP;
}

static int dispatch(struct vfio_dev *dev)
{
	return 0;
}

static int set_timeout(struct vfio_dev *dev, unsigned int milliseconds)
{
	return 0;
}

static void close_device(struct vfio_dev *dev)
{
	struct sysfs *s = sysfs_of(dev);

	fd_close(&s->config);
	fd_close(&s->folder);
	free(s);
}

static const struct backend sysfs_backend = {
	.name = "sysfs",
	.who = VFIO_BY_KERNEL,
	.info = info,
	.region = region,
	.read = read_region,
	.write = write_region,
	.irq_info = irq_info,
	.set_irqs = set_irqs,
	.dma_map = dma_map,
	.dma_unmap = dma_unmap,
	.reset = reset,
	.distrust = distrust,
	.mend = mend,
	.recycle = recycle,
	.feature = feature,
	.poll_fd = poll_fd,
	.dispatch = dispatch,
	.set_timeout = set_timeout,
	.close = close_device,
};

/* ---- opening --------------------------------------------------------------------------------- */

static bool parse_resource(const char *line, uint64_t *size)
{
	uint64_t start, last, flags;
	int end = 0;

	if (sscanf(line, "0x%16" SCNx64 " 0x%16" SCNx64 " 0x%16" SCNx64 "%n", &start, &last, &flags,
		   &end) != 3 || line[end])
		return false;
	*size = 0;
	if (flags == 0 && start == 0 && last == 0)
		return true;
	if (last < start || last - start == UINT64_MAX)
		return false;
	*size = last - start + 1;
	return true;
}

static int take_resources(struct sysfs *s, const char *folder, struct vfio_error *err)
{
	char path[PATH_MAX], text[2048], *rest = text, *line;
	ssize_t n = sysfs_read_text(s->folder, "resource", text, sizeof(text));

	snprintf(path, sizeof(path), "%.4000s/resource", folder);
	for (unsigned int i = 0; i < RESOURCES; i++) {
		line = n > 0 ? strsep(&rest, "\n") : NULL;
		if (!line || !parse_resource(line, &s->sizes[i]))
			return kernel_no_sense(path, "it does not say where the BARs are", err);
	}
	return 0;
}

static int take_config(struct sysfs *s, const char *folder, struct vfio_error *err)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%.4000s/config", folder);
	s->config = sysfs_open_file(s->folder, "config");
	if (s->config < 0)
		return kernel_no_sense(path, "it is no file that can be read", err);
	if (fstat(s->config, &st) < 0 || st.st_size < PCI_STD_HEADER_SIZEOF ||
	    st.st_size > PCI_CFG_SPACE_EXP_SIZE)
		return kernel_no_sense(path, "no configuration space is of that size", err);
	s->config_size = (uint64_t)st.st_size;
	return 0;
}

static int take(struct sysfs *s, const struct kernel_roots *roots, const char *bdf,
		struct vfio_error *err)
{
	char folder[PATH_MAX];
	int r = kernel_look(roots, bdf, &s->place, err);

	if (r < 0)
		return r;
	snprintf(folder, sizeof(folder), "%.4000s/bus/pci/devices/%s", roots->sys, bdf);
	s->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->folder < 0)
		return error_system(err, errno, "opening %s", folder);
	r = take_resources(s, folder, err);
	return r < 0 ? r : take_config(s, folder, err);
}

int sysfs_open(struct vfio_dev **dev, const char *name, struct vfio_error *err)
{
	struct sysfs_root root;
	char bdf[KERNEL_BDF];
	struct sysfs *s;
	int r;

	*dev = NULL;
	if (!sysfs_parse(name, &root, bdf) || !bdf[0])
		return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
				 "write sysfs:0000:03:00.0, or the path of the device's folder in a "
				 "sysfs: sysfs:DIR/bus/pci/devices/0000:03:00.0",
				 "'sysfs:%.60s' names no PCI device", name);
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_system(err, ENOMEM, "opening sysfs:%.60s", name);
	s->dev.backend = &sysfs_backend;
	s->folder = s->config = -1;
	r = take(s, &root.roots, bdf, err);
	if (r == 0)
		*dev = &s->dev;
	else
		close_device(&s->dev);
	return r;
}

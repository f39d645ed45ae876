/* SPDX-License-Identifier: MIT */
/*
 * Several devices of the kernel's in one program: runs in a guest, as a user. The addresses of the
 * devices are in the environment. Only the public headers are used.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/driver.h>

#define PAGE 4096u
#define MIB  (1u << 20)

/* Of QEMU's edu: its DMA engine, and the memory in it. */
#define EDU_FROM   0x80u
#define EDU_TO     0x88u
#define EDU_COUNT  0x90u
#define EDU_GO     0x98u
#define EDU_MEMORY 0x40000u
#define EDU_BITS   28u

struct fixture {
	struct vfio_space *space;
	struct vfio_error err;
	struct vfio_dev *devs[4];
	unsigned int ndevs;
};

static int setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){ .ndevs = 0 };
	*state = &f;
	return vfio_space_new(&f.space, NULL);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	while (f->ndevs)
		vfio_close(f->devs[--f->ndevs]);
	vfio_space_free(f->space);
	return 0;
}

static const char *name_of(const char *variable)
{
	assert_non_null(getenv(variable));
	return getenv(variable);
}

static struct vfio_dev *opens(struct fixture *f, const char *variable)
{
	struct vfio_dev **dev = &f->devs[f->ndevs];

	if (vfio_space_open(f->space, dev, name_of(variable), &f->err) < 0)
		fail_msg("%s: VFIO-%03d: %s", variable, f->err.code, f->err.what);
	f->ndevs++;
	return *dev;
}

static void assert_refused(const struct vfio_error *err, int r, int e, enum vfio_error_code code,
			   const char *words)
{
	if (r != -e || err->code != code || !(strstr(err->what, words) || strstr(err->remedy, words)))
		fail_msg("%d, not -%d; VFIO-%03d, not %d: %s / %s", r, e, err->code, code, err->what,
			 err->remedy);
}

/* ---- memory --------------------------------------------------------------------------------- */

/* What the kernel counts as locked by this process, in KiB: by the older road, and the newer. */
static unsigned long locked(void)
{
	unsigned long sum = 0, n;
	char line[256];
	FILE *file = fopen("/proc/self/status", "r");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmLck: %lu", &n) == 1 || sscanf(line, "VmPin: %lu", &n) == 1)
			sum += n;
	fclose(file);
	return sum;
}

static void edu_copies(struct vfio_dev *dev, uint64_t from, uint64_t to, uint32_t size, uint64_t go)
{
	vfio_write64(dev, 0, EDU_FROM, from);
	vfio_write64(dev, 0, EDU_TO, to);
	vfio_write64(dev, 0, EDU_COUNT, size);
	vfio_write64(dev, 0, EDU_GO, go);
	for (unsigned int i = 0; i < 5000 && (vfio_read64(dev, 0, EDU_GO) & 1); i++)
		usleep(1000);
	assert_int_equal(vfio_read64(dev, 0, EDU_GO) & 1, 0);
}

/* The device reads half a page, and writes it into the other half. */
static void assert_copies(struct vfio_dev *dev, const struct vfio_dma *dma, uint8_t pattern)
{
	uint8_t *bytes = dma->vaddr;

	memset(bytes, pattern, PAGE / 2);
	memset(bytes + PAGE / 2, 0, PAGE / 2);
	assert_int_equal(vfio_set_bus_master(dev, true), 0);
	edu_copies(dev, dma->iova, EDU_MEMORY, PAGE / 2, 1);
	edu_copies(dev, EDU_MEMORY, dma->iova + PAGE / 2, PAGE / 2, 1 | 2);
	assert_memory_equal(bytes, bytes + PAGE / 2, PAGE / 2);
}

static void one_memory(void **state)
{
	struct fixture *f = *state;
	struct vfio_dev *edu = opens(f, "EDU"), *other;
	unsigned long before = locked();
	struct vfio_dma_limits limits;
	struct vfio_dma first, second;

	vfio_dma_set_bits(edu, EDU_BITS);
	assert_int_equal(vfio_space_alloc(f->space, &first, MIB, VFIO_DMA_RW), 0);
	other = opens(f, "SHARED");
	opens(f, "NEIGHBOUR");
	opens(f, "NET");
	vfio_dma_set_bits(other, EDU_BITS);
	assert_int_equal(vfio_space_alloc(f->space, &second, MIB, VFIO_DMA_RW), 0);
	assert_int_equal(locked() - before, 2 * MIB / 1024);
	assert_int_equal(vfio_dma_limits(other, &limits), 0);
	assert_int_equal(limits.bytes.used, 2 * MIB);
	assert_copies(edu, &first, 0x11);
	assert_copies(edu, &second, 0x22);
	assert_copies(other, &first, 0x33);
	assert_copies(other, &second, 0x44);
	vfio_close(f->devs[0]);
	f->devs[0] = f->devs[--f->ndevs];
	assert_int_equal(locked() - before, 2 * MIB / 1024);
	assert_copies(other, &first, 0x55);
	assert_int_equal(vfio_space_dma_free(f->space, &second), 0);
	assert_int_equal(vfio_space_dma_free(f->space, &first), 0);
	assert_int_equal(locked() - before, 0);
}

/* A group has one user: two handles of one program are two, unless they share. */
static void one_group(void **state)
{
	struct fixture *f = *state;
	struct vfio_dev *first, *dev;
	int r;

	assert_int_equal(vfio_open(&first, name_of("SHARED"), NULL), 0);
	f->devs[f->ndevs++] = first;
	r = vfio_open(&dev, name_of("NEIGHBOUR"), &f->err);
	assert_refused(&f->err, r, EBUSY, VFIO_E_BUSY, "vfio_space_open");
	assert_int_equal(vfio_space_attach(f->space, first), 0);
	opens(f, "NEIGHBOUR");
	r = vfio_space_open(f->space, &dev, name_of("SHARED"), &f->err);
	assert_refused(&f->err, r, EBUSY, VFIO_E_BUSY, "this program");
	assert_null(dev);
	vfio_close(first);
	f->devs[0] = f->devs[--f->ndevs];
	opens(f, "SHARED");
}

/* ---- hot reset ------------------------------------------------------------------------------ */

/* Of e1000e, a register that a reset puts back. */
#define VET          0x38u
#define E1000_STATUS 0x08u
#define VET_DEFAULT  0x8100u

static void assert_in_reset(const struct vfio_hot_reset_device *d, unsigned int func, uint32_t flags)
{
	if (d->segment || d->bus != 2 || d->devfn != func || d->flags != flags || d->group < 0)
		fail_msg("%04x:%02x devfn %u, group %lld, flags %u", d->segment, d->bus, d->devfn,
			 (long long)d->group, d->flags);
}

static void hot_reset(void **state)
{
	const uint32_t all = VFIO_HOT_RESET_HELD | VFIO_HOT_RESET_ALLOWED;
	struct fixture *f = *state;
	struct vfio_dev *net = opens(f, "NET"), *edu = opens(f, "EDU"), *second = opens(f, "NET1");
	struct vfio_hot_reset_device list[4];
	struct vfio_reset_info info;

	assert_int_equal(vfio_hot_reset_info(net, list, 4), 2);
	assert_in_reset(&list[0], 0, all);
	assert_in_reset(&list[1], 1, all);
	assert_int_equal(vfio_reset_probe(net, &info), 0);
	assert_true(info.methods & VFIO_RESET_HOT);
	assert_int_equal(info.others, 1);
	vfio_write32(net, 0, VET, 0x1234);
	vfio_write32(second, 0, VET, 0x4321);
	assert_int_equal(vfio_read32(net, 0, VET), 0x1234);
	if (vfio_hot_reset(net) < 0)
		fail_msg("%s: %s", vfio_last_error(net)->what,
			 strerror(vfio_last_error(net)->err));
	assert_int_equal(vfio_read32(net, 0, VET), VET_DEFAULT);
	assert_int_equal(vfio_read32(second, 0, VET), VET_DEFAULT);
	assert_refused(vfio_last_error(edu), vfio_hot_reset(edu), ENOTSUP, VFIO_E_RESET, "no slot");
}

/* The other function has no driver: it is nobody's, and so not to be reset. */
static void not_all_of_it(void **state)
{
	struct fixture *f = *state;
	struct vfio_dev *net = opens(f, "NET");
	struct vfio_hot_reset_device list[4];
	struct vfio_reset_info info;

	assert_int_equal(vfio_hot_reset_info(net, list, 4), 2);
	assert_in_reset(&list[0], 0, VFIO_HOT_RESET_HELD | VFIO_HOT_RESET_ALLOWED);
	assert_in_reset(&list[1], 1, 0);
	assert_int_equal(vfio_reset_probe(net, &info), 0);
	assert_false(info.methods & VFIO_RESET_HOT);
	vfio_write32(net, 0, VET, 0x1234);
	assert_refused(vfio_last_error(net), vfio_hot_reset(net), EPERM, VFIO_E_RESET,
		       name_of("NET1"));
	assert_int_equal(vfio_read32(net, 0, VET), 0x1234);
}

/* ---- what the host says --------------------------------------------------------------------- */

/* ERR and REQ beside the device's own interrupts; a handle that is closed so leaves nothing behind. */
static void errors_and_requests(void **state)
{
	static const uint32_t kinds[] = {
		VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX,
	};
	struct fixture *f = *state;
	struct vfio_irq_info info;

	for (unsigned int round = 0; round < 2; round++) {
		struct vfio_dev *net = opens(f, "NET");
		int fds[3];

		for (unsigned int i = 0; i < 3; i++) {
			assert_int_equal(vfio_irq_info(net, kinds[i], &info), 0);
			assert_true(info.count);
			assert_int_equal(vfio_irq_enable(net, kinds[i], 1, &fds[i]), 0);
		}
		for (unsigned int i = 0; i < 3; i++) {
			assert_int_equal(vfio_irq_trigger(net, kinds[i], 0), 0);
			assert_int_equal(vfio_irq_wait(net, fds[i], 1000), 1);
			assert_int_equal(vfio_irq_wait(net, fds[(i + 1) % 3], 0), 0);
		}
		assert_int_equal(vfio_irq_disable(net, kinds[1]), 0);
		assert_int_equal(vfio_set_bus_master(net, true), 0);
		vfio_close(f->devs[--f->ndevs]);
	}
}

/* ---- low power ------------------------------------------------------------------------------ */

/* Behind a port there is D3hot at least; what the device knew is there again. */
static void low_power(void **state)
{
	struct fixture *f = *state;
	struct vfio_dev *net = opens(f, "NET");
	int efd = eventfd(0, EFD_CLOEXEC);
	uint32_t status;

	assert_int_equal(vfio_pread(net, 0, E1000_STATUS, &status, 4), 4);
	assert_int_equal(vfio_low_power_enter(net, -1), 0);
	assert_refused(vfio_last_error(net), vfio_low_power_enter(net, -1), EINVAL, VFIO_E_LOW_POWER,
		       "already");
	assert_int_equal(vfio_read32(net, VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x10d38086);
	assert_int_equal(vfio_low_power_exit(net), 0);
	assert_int_equal(vfio_low_power_exit(net), 0);
	assert_int_equal(vfio_low_power_enter(net, efd), 0);
	assert_int_equal(vfio_low_power_exit(net), 0);
	assert_int_equal(vfio_read32(net, 0, E1000_STATUS), status);
	assert_int_equal(vfio_low_power_enter(net, -1), 0);	/* and is closed so */
	close(efd);
}

/* ---- virtual functions ---------------------------------------------------------------------- */

#define UUID  "5f0e9a02-1c3d-4e5f-8a9b-0123456789ab"
#define OTHER "5f0e9a02-1c3d-4e5f-8a9b-0123456789ac"

static void assert_not_given(struct fixture *f, const char *option, const char *words)
{
	struct vfio_dev *dev;
	char name[120];
	int r;

	snprintf(name, sizeof(name), "%s%s", name_of("VIRTUAL"), option);
	r = vfio_space_open(f->space, &dev, name, &f->err);
	assert_refused(&f->err, r, EACCES, VFIO_E_TOKEN, words);
	assert_null(dev);
}

/* Root makes them, once the physical function is open: to open it resets it, and they would be gone. */
static void make_virtual(void)
{
	FILE *file = fopen("want-virtual", "w");

	assert_non_null(file);
	fclose(file);
	for (unsigned int i = 0; i < 200 && access("has-virtual", F_OK) < 0; i++)
		usleep(100000);
	assert_int_equal(access("has-virtual", F_OK), 0);
}

static void tokens(void **state)
{
	struct fixture *f = *state;
	struct vfio_dev *physical = opens(f, "PHYSICAL"), *edu = opens(f, "EDU");
	char name[120];
	int r;

	assert_refused(vfio_last_error(edu), vfio_set_vf_token(edu, UUID), ENOTSUP, VFIO_E_TOKEN,
		       "no virtual functions");
	assert_int_equal(vfio_set_vf_token(physical, UUID), 0);
	make_virtual();
	assert_not_given(f, "", "asks for its VF token");
	assert_not_given(f, ",vf_token=" OTHER, "not the right one");
	snprintf(name, sizeof(name), "%s,vf_token=" UUID, name_of("VIRTUAL"));
	r = vfio_space_open(f->space, &f->devs[f->ndevs], name, &f->err);
	if (r == -ENOTSUP && strcmp(vfio_backend_name(physical), "kernel_cdev") == 0) {
		assert_refused(&f->err, r, ENOTSUP, VFIO_E_TOKEN, "this kernel takes no VF token");
		return;			/* it is an older one */
	}
	if (r < 0)
		fail_msg("%s: VFIO-%03d: %s", name, f->err.code, f->err.what);
	f->ndevs++;
	assert_int_equal(vfio_read16(f->devs[f->ndevs - 1], VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x1b36);
}

/* Another function takes no token. */
static void tokens_of_no_use(void **state)
{
	struct fixture *f = *state;
	struct vfio_dev *dev;
	char name[120];
	int r;

	snprintf(name, sizeof(name), "%s,vf_token=" UUID, name_of("EDU"));
	r = vfio_open(&dev, name, &f->err);
	if (r == -ENOTSUP)
		return;			/* as above */
	assert_refused(&f->err, r, EINVAL, VFIO_E_TOKEN, "takes no VF token");
	assert_int_equal(vfio_open(&dev, name_of("EDU"), &f->err), 0);
	vfio_close(dev);
}

/* ---- the kernel's own words ----------------------------------------------------------------- */

/* Where the capability is in the chain, or 0. */
static uint32_t find_in_chain(const uint8_t *raw, size_t size, uint32_t at, uint16_t id)
{
	struct vfio_info_cap_header head;

	for (; at; at = head.next) {
		assert_true(at + sizeof(head) <= size);
		memcpy(&head, raw + at, sizeof(head));
		if (head.id == id)
			return at;
	}
	return 0;
}

static void own_words(void **state)
{
	struct fixture *f = *state;
	struct vfio_dev *dev = opens(f, "PHYSICAL");
	uint8_t raw[4096] __attribute__((aligned(8)));
	const struct vfio_iommu_type1_info *iommu = (void *)raw;
	const struct vfio_region_info *region = (void *)raw;
	const struct vfio_device_info *device = (void *)raw;
	ssize_t n;

	n = vfio_info_chain(dev, VFIO_CHAIN_DEVICE, 0, raw, sizeof(raw));
	assert_int_equal(n, sizeof(raw));
	assert_int_equal(device->num_regions, VFIO_PCI_NUM_REGIONS);
	n = vfio_info_chain(dev, VFIO_CHAIN_REGION, 0, raw, sizeof(raw));
	assert_int_equal(n, sizeof(raw));
	assert_true(find_in_chain(raw, n, region->cap_offset,
				  VFIO_REGION_INFO_CAP_MSIX_MAPPABLE));
	n = vfio_info_chain(dev, VFIO_CHAIN_REGION, 0, raw, sizeof(*region));
	assert_true(n > (ssize_t)sizeof(*region));
	assert_int_equal(region->cap_offset, 0);
	assert_int_equal(vfio_info_chain(dev, VFIO_CHAIN_REGION, 0, raw, n), n);
	assert_true(region->cap_offset);
	n = vfio_info_chain(dev, VFIO_CHAIN_IOMMU, 0, raw, sizeof(raw));
	if (n < 0)
		fail_msg("%s", vfio_last_error(dev)->what);
	assert_int_equal(n, sizeof(raw));
	assert_true(iommu->iova_pgsizes & PAGE);
	assert_true(find_in_chain(raw, n, iommu->cap_offset, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE));
	assert_true(vfio_info_chain(dev, VFIO_CHAIN_IOMMU, 0, raw, sizeof(*iommu)) >
		    (ssize_t)sizeof(*iommu));
	assert_int_equal(vfio_info_chain(dev, 3, 0, raw, sizeof(raw)), -EINVAL);
	assert_int_equal(vfio_info_chain(dev, VFIO_CHAIN_REGION, 0, raw, 16), -EINVAL);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_ARGUMENT);
	assert_int_equal(vfio_info_chain(dev, VFIO_CHAIN_REGION, 99, raw, sizeof(raw)), -EINVAL);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_SYSTEM);
}

/* ---- passed descriptors --------------------------------------------------------------------- */

/* Opens the node that the library would open, as somebody else would who hands it on. */
static int open_node(const char *bdf, bool by_group)
{
	char path[PATH_MAX], last[PATH_MAX] = "";
	struct dirent *entry;
	ssize_t len;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf,
		 by_group ? "iommu_group" : "vfio-dev");
	if (by_group) {
		len = readlink(path, last, sizeof(last) - 1);
		assert_true(len > 0);
		snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(last, '/') + 1);
	} else {
		dir = opendir(path);
		assert_non_null(dir);
		while ((entry = readdir(dir)))
			if (strncmp(entry->d_name, "vfio", 4) == 0)
				snprintf(path, sizeof(path), "/dev/vfio/devices/%s", entry->d_name);
		closedir(dir);
	}
	return open(path, O_RDWR | O_CLOEXEC);
}

static void opens_passed(struct fixture *f, const char *name)
{
	struct vfio_dev *dev;
	struct vfio_dma dma;

	if (vfio_open(&dev, name, &f->err) < 0)
		fail_msg("%s: VFIO-%03d: %s", name, f->err.code, f->err.what);
	vfio_dma_set_bits(dev, EDU_BITS);
	assert_int_equal(vfio_dma_alloc(dev, &dma, MIB, VFIO_DMA_RW), 0);
	assert_copies(dev, &dma, 0x66);
	vfio_close(dev);
}

static void passed(void **state)
{
	struct fixture *f = *state;
	struct vfio_dev *dev = opens(f, "EDU");
	bool by_group = strcmp(vfio_backend_name(dev), "kernel_group") == 0;
	unsigned long before;
	char name[80];
	int fd, root, r;

	vfio_close(f->devs[--f->ndevs]);
	before = locked();
	fd = open_node(name_of("EDU"), by_group);
	root = open(by_group ? "/dev/vfio/vfio" : "/dev/iommu", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && root >= 0);
	snprintf(name, sizeof(name), "fd:%d,%s=%d", fd, by_group ? "container" : "iommufd", root);
	opens_passed(f, name);
	assert_int_equal(locked(), before);	/* though both are still open */
	snprintf(name, sizeof(name), "fd:%d", fd);
	r = by_group ? 0 : vfio_open(&dev, name, &f->err);
	if (by_group)
		opens_passed(f, name);
	else	/* whose binding ends when it is closed */
		assert_refused(&f->err, r, EBUSY, VFIO_E_BUSY, "in use");
	close(fd);
	close(root);
	opens(f, "EDU");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest alone[] = { TEST(not_all_of_it) };
	const struct CMUnitTest tests[] = {
		TEST(one_memory),
		TEST(one_group),
		TEST(hot_reset),
		TEST(errors_and_requests),
		TEST(low_power),
		TEST(own_words),
		TEST(passed),
		TEST(tokens),
		TEST(tokens_of_no_use),
	};

	if (argc > 1)
		return cmocka_run_group_tests(alone, NULL, NULL);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

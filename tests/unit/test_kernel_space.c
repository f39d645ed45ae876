/* SPDX-License-Identifier: MIT */
/* Devices of the kernel's that share what it keeps memory in: on both roads, in a made-up machine. */
#include "fake_kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/iommufd.h"
#include "contract.h"
#include "iommu/map.h"

#define PAGE 0x1000u
#define A    "0000:03:00.0"
#define B    "0000:03:00.1"		/* in A's group */
#define C    "0000:04:00.0"
#define D    "0000:05:00.0"		/* whose IOMMU is of another kind */

static uint8_t memory[4 * PAGE] __attribute__((aligned(4096)));

static const bool roads[] = { false, true };

struct fixture {
	bool by_node;
	struct vfio_space *space;
	struct vfio_error err;
	struct vfio_dev *a, *b, *c, *d;
};

static int set_up(void **state, bool by_node)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	f.by_node = by_node;
	memset(&fake, 0, sizeof(fake));
	fake.has_nodes = by_node;
	fake.devices[0] = (struct fake_device){ .bdf = A, .node = "vfio0", .group = 7 };
	fake.devices[1] = (struct fake_device){ .bdf = B, .node = "vfio1", .group = 7 };
	fake.devices[2] = (struct fake_device){ .bdf = C, .node = "vfio2", .group = 8 };
	fake.devices[3] = (struct fake_device){
		.bdf = D, .node = "vfio3", .group = 9, .picky = true,
	};
	fake_begin();
	*state = &f;
	return vfio_space_new(&f.space, NULL);
}

static int by_group(void **state)
{
	return set_up(state, roads[0]);
}

static int by_node(void **state)
{
	return set_up(state, roads[1]);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	vfio_close(f->a);
	vfio_close(f->b);
	vfio_close(f->c);
	vfio_close(f->d);
	vfio_space_free(f->space);
	fake_end();
	return 0;
}

static struct vfio_dma page(unsigned int n)
{
	return (struct vfio_dma){
		.vaddr = memory + n * PAGE, .iova = 0x100000 + n * PAGE, .size = PAGE, .fd = -1,
		.prot = VFIO_DMA_RW,
	};
}

static void opens(struct fixture *f, struct vfio_dev **dev, const char *name)
{
	if (vfio_space_open(f->space, dev, name, &f->err) < 0)
		fail_msg("%s: %s", name, f->err.what);
}

static void maps(struct fixture *f, unsigned int n)
{
	struct vfio_dma dma = page(n);

	assert_int_equal(vfio_space_map(f->space, &dma), 0);
}

static void assert_counts(unsigned int mapped, unsigned int copies, unsigned int unmaps,
			  unsigned int pages)
{
	if (fake.maps != mapped || fake.copies != copies || fake.unmaps != unmaps ||
	    fake.pinned != pages * PAGE)
		fail_msg("%u maps, %u copies, %u unmaps, %llu pinned", fake.maps, fake.copies,
			 fake.unmaps, (unsigned long long)fake.pinned);
}

static void assert_objects(const struct fixture *f, unsigned int roots, unsigned int below)
{
	if ((f->by_node ? fake.iommufds : fake.containers) != roots ||
	    (f->by_node ? fake.ioases : fake.groups) != below)
		fail_msg("%u containers of %u groups, %u iommufds of %u IOASes", fake.containers,
			 fake.groups, fake.iommufds, fake.ioases);
}

static void assert_fails(struct fixture *f, const char *name, int e, enum vfio_error_code code)
{
	struct vfio_dev *dev = (void *)f;
	int r = vfio_space_open(f->space, &dev, name, &f->err);

	if (r != -e || f->err.code != code || dev)
		fail_msg("%s: %d, VFIO-%03d: %s", name, r, f->err.code, f->err.what);
}

/* ---- memory is there once ------------------------------------------------------------------- */

static void one_for_all(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma dma = page(0);

	opens(f, &f->a, A);
	maps(f, 0);
	opens(f, &f->b, B);
	opens(f, &f->c, C);
	assert_objects(f, 1, f->by_node ? 1 : 2);
	assert_counts(1, 0, 0, 1);
	maps(f, 1);
	assert_counts(2, 0, 0, 2);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(fake_sees(&fake.devices[i], 0x101000), (uintptr_t)memory + PAGE);
	assert_int_equal(vfio_space_unmap(f->space, dma.iova, PAGE), 0);
	assert_counts(2, 0, 1, 1);
	assert_false(fake_sees(&fake.devices[2], 0x100000));
	assert_string_equal(vfio_backend_name(f->c), f->by_node ? "kernel_cdev" : "kernel_group");
}

/* Of a client of vfiod's, who has gone: the kernel is asked by halves, and here cannot do it so. */
static void a_map_across_the_middle(void **state)
{
	struct fixture *f = *state;
	const struct dma_map map = {
		.iova = (1ull << 63) - PAGE, .size = 2 * PAGE, .prot = VFIO_DMA_RW, .vaddr = memory,
		.fd = -1,
	};

	opens(f, &f->a, A);
	assert_int_equal(f->a->backend->dma_map(f->a, &map), 0);
	assert_int_equal(f->a->backend->recycle(f->a), 0);
	assert_int_equal(fake.pinned, 0);
	assert_int_equal(f->a->backend->dma_map(f->a, &map), 0);
}

static void the_last_one_unmaps(void **state)
{
	struct fixture *f = *state;

	opens(f, &f->a, A);
	opens(f, &f->c, C);
	maps(f, 0);
	assert_int_equal(vfio_space_detach(f->a), 0);
	assert_counts(1, 0, 0, 1);
	vfio_close(f->c);
	f->c = NULL;
	assert_counts(1, 0, 1, 0);
	assert_objects(f, 1, 1);
	assert_int_equal(vfio_space_attach(f->space, f->a), 0);
	assert_counts(2, 0, 1, 1);
	vfio_close(f->a);
	f->a = NULL;
	assert_objects(f, 0, 0);
}

/* It goes, whatever the kernel says; and the next one finds nothing of it. */
static void unmaps_that_fail(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma own = page(1), other = page(2);

	opens(f, &f->a, A);
	opens(f, &f->c, C);
	assert_int_equal(vfio_space_detach(f->a), 0);
	assert_int_equal(vfio_dma_map(f->a, &own), 0);
	fake.fail = f->by_node ? IOMMUFD_UNMAP : VFIO_IOMMU_UNMAP_DMA;
	fake.with = EINVAL;
	vfio_close(f->a);
	f->a = NULL;
	assert_int_equal(fake.fail, 0);
	assert_counts(1, 0, 1, 0);
	other.iova = own.iova;
	assert_int_equal(vfio_space_map(f->space, &other), 0);
	opens(f, &f->a, A);
	assert_int_equal(fake_sees(&fake.devices[0], own.iova), (uintptr_t)memory + 2 * PAGE);
}

/* What a device lists, and what it may map by itself. */
static void after_detaching(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma other = page(1), same = page(0);
	struct vfio_dma_limits limits;
	struct vfio_dma_info info;
	uint64_t cursor = 0;

	opens(f, &f->a, A);
	opens(f, &f->c, C);
	maps(f, 0);
	assert_int_equal(vfio_space_detach(f->a), 0);
	assert_int_equal(vfio_dma_next(f->a, &cursor, &info), 0);
	cursor = 0;
	assert_int_equal(vfio_dma_next(f->c, &cursor, &info), 1);
	assert_int_equal(info.prot, VFIO_DMA_RW);
	assert_int_equal(vfio_dma_limits(f->c, &limits), 0);
	assert_int_equal(limits.bytes.used, PAGE);
	other.iova = 0x100000;
	assert_int_equal(vfio_dma_map(f->a, &other), -EEXIST);
	assert_int_equal(vfio_dma_map(f->a, &same), 0);
	assert_counts(1, 0, 0, 1);
	assert_int_equal(vfio_dma_unmap(f->a, same.iova, PAGE), 0);
	assert_counts(1, 0, 0, 1);
	assert_int_equal(fake_sees(&fake.devices[2], 0x100000), (uintptr_t)memory);
}

/* ---- what cannot share ---------------------------------------------------------------------- */

/* A container refuses: it gets one of its own. An IOAS does: it gets another, and copies. */
static void another_iommu(void **state)
{
	struct fixture *f = *state;

	opens(f, &f->a, A);
	maps(f, 0);
	opens(f, &f->d, D);
	maps(f, 1);
	if (f->by_node)
		assert_counts(2, 2, 0, 2);
	else
		assert_counts(4, 0, 0, 4);
	assert_objects(f, f->by_node ? 1 : 2, 2);
	assert_true(fake_sees(&fake.devices[3], 0x100000) && fake_sees(&fake.devices[3], 0x101000));
	opens(f, &f->c, C);
	assert_objects(f, f->by_node ? 1 : 2, f->by_node ? 2 : 3);
	assert_int_equal(vfio_space_unmap(f->space, 0x100000, PAGE), 0);
	assert_false(fake_sees(&fake.devices[0], 0x100000) || fake_sees(&fake.devices[3], 0x100000));
	vfio_close(f->d);
	f->d = NULL;
	assert_objects(f, 1, f->by_node ? 1 : 2);
	assert_int_equal(fake_sees(&fake.devices[0], 0x101000), (uintptr_t)memory + PAGE);
}

static void opened_by_itself(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(vfio_open(&f->a, A, NULL), 0);
	assert_int_equal(vfio_space_attach(f->space, f->a), 0);
	opens(f, &f->c, C);
	assert_objects(f, 1, f->by_node ? 1 : 2);
	maps(f, 0);
	assert_counts(1, 0, 0, 1);
}

/* Each has a container or iommufd of its own: the one is asked whose group it is. */
static void of_several_the_right_one(void **state)
{
	struct fixture *f = *state;

	opens(f, &f->a, A);
	assert_int_equal(vfio_open(&f->c, C, NULL), 0);
	assert_int_equal(vfio_space_attach(f->space, f->c), 0);
	opens(f, &f->b, B);
	assert_objects(f, 2, 2);
	assert_fails(f, A, EBUSY, VFIO_E_BUSY);
}

static void by_its_node(void **state)
{
	struct fixture *f = *state;
	struct vfio_dev *dev;

	opens(f, &f->a, A);
	if (!f->by_node) {
		assert_int_equal(vfio_space_open(f->space, &dev, "vfio2", &f->err), -ENODEV);
		assert_int_equal(f->err.code, VFIO_E_NO_DEVICE);
		return;
	}
	opens(f, &f->c, "vfio2");
	assert_objects(f, 1, 1);
}

static void other_back_ends(void **state)
{
	struct fixture *f = *state;

	opens(f, &f->a, "edu");
	opens(f, &f->c, C);
	maps(f, 0);
	assert_counts(1, 0, 0, 1);
	opens(f, &f->b, B);
	assert_objects(f, 1, f->by_node ? 1 : 2);
}

/* ---- what fails leaves nothing -------------------------------------------------------------- */

static void refusals(void **state)
{
	struct fixture *f = *state;

	opens(f, &f->a, A);
	maps(f, 0);
	assert_fails(f, A, EBUSY, VFIO_E_BUSY);
	assert_fails(f, "0000:1f:00.0", ENODEV, VFIO_E_NO_DEVICE);
	assert_fails(f, "03:20.0", EINVAL, VFIO_E_NAME);
	assert_fails(f, "nonsense!", EINVAL, VFIO_E_NAME);
	assert_counts(1, 0, 0, 1);
	assert_objects(f, 1, 1);
}

/* What the environment asks of every device is asked of these, too. */
static void not_isolated(void **state)
{
	struct fixture *f = *state;

	opens(f, &f->a, A);
	setenv("VFIO_ISOLATION", "nonsense", 1);
	assert_fails(f, C, EINVAL, VFIO_E_ISOLATION);
	setenv("VFIO_ISOLATION", "iommu", 1);
	opens(f, &f->c, C);
	assert_fails(f, "edu", EPERM, VFIO_E_ISOLATION);
	unsetenv("VFIO_ISOLATION");
	assert_objects(f, 1, f->by_node ? 1 : 2);
}

static void every_step_fails(void **state)
{
	static const unsigned long steps[2][5] = {
		{ VFIO_GROUP_GET_STATUS, VFIO_GROUP_SET_CONTAINER, VFIO_GROUP_GET_DEVICE_FD,
		  VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO },
		{ CDEV_BIND_IOMMUFD, VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO },
	};
	struct fixture *f = *state;

	opens(f, &f->a, A);
	maps(f, 0);
	for (unsigned int i = 0; i < 5 && steps[f->by_node][i]; i++) {
		fake.fail = steps[f->by_node][i];
		fake.with = ENOMEM;
		assert_fails(f, C, ENOMEM, VFIO_E_NO_MEMORY);
		assert_counts(1, 0, 0, 1);
		assert_objects(f, 1, 1);
	}
	opens(f, &f->c, C);
}

/* The device itself opens, but a map of the space cannot be copied. */
static void no_copy(void **state)
{
	struct fixture *f = *state;

	opens(f, &f->a, A);
	maps(f, 0);
	fake.fail = f->by_node ? IOMMUFD_COPY : VFIO_IOMMU_MAP_DMA;
	fake.with = EFAULT;
	assert_fails(f, D, EFAULT, VFIO_E_DMA_MEMORY);
	assert_counts(1, 0, 0, 1);
	assert_objects(f, 1, 1);
}

/* The kernel keeps one of its maps: the device goes all the same, and the others can go on. */
static void no_unmap(void **state)
{
	struct fixture *f = *state;
	struct vfio_dma first = page(0), second = page(1), late = page(2);

	opens(f, &f->a, A);
	opens(f, &f->c, C);
	assert_int_equal(vfio_space_detach(f->c), 0);
	assert_int_equal(vfio_dma_map(f->c, &first), 0);
	assert_int_equal(vfio_dma_map(f->c, &second), 0);
	fake.fail = f->by_node ? IOMMUFD_UNMAP : VFIO_IOMMU_UNMAP_DMA;
	fake.more = 1;			/* the driver's side tries first */
	fake.with = EBUSY;
	vfio_close(f->c);
	f->c = NULL;
	assert_int_equal(fake.fail, 0);
	assert_counts(2, 0, 1, 1);
	opens(f, &f->c, C);
	late.iova = second.iova;
	assert_int_equal(vfio_space_map(f->space, &late), 0);
	assert_int_equal(vfio_space_map(f->space, &first), -EEXIST);	/* says the kernel */
}

/* ---- by chance ------------------------------------------------------------------------------ */

#define PAGES 4u

/* What must hold: every device that is attached sees what is mapped, and nothing else. */
struct chance {
	struct fixture *f;
	struct vfio_dev **devs[4];
	bool attached[4], mapped[PAGES];
	bool is_doubtful[PAGES];	/* an unmap has failed */
	uint32_t state;
	bool unmaps_work;
};

static uint32_t draw(struct chance *c, uint32_t n)
{
	c->state = c->state * 1664525 + 1013904223;
	return (c->state >> 16) % n;
}

static bool is_unmap(unsigned long call)
{
	return call == VFIO_IOMMU_UNMAP_DMA || call == IOMMUFD_UNMAP;
}

static void may_fail(struct chance *c)
{
	static const unsigned long calls[] = {
		VFIO_IOMMU_MAP_DMA, VFIO_IOMMU_UNMAP_DMA, VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU,
		VFIO_GROUP_GET_DEVICE_FD, VFIO_DEVICE_GET_INFO, CDEV_BIND_IOMMUFD, CDEV_ATTACH,
		IOMMUFD_MAP, IOMMUFD_UNMAP, IOMMUFD_COPY, IOMMUFD_IOAS_ALLOC, IOMMUFD_DESTROY,
	};
	static const int errnums[] = { ENOMEM, EINVAL, EBUSY, EFAULT, EPERM };

	fake.fail = draw(c, 3) ? 0 : calls[draw(c, sizeof(calls) / sizeof(calls[0]))];
	if (c->unmaps_work && is_unmap(fake.fail))
		fake.fail = 0;
	fake.more = draw(c, 2);
	fake.with = errnums[draw(c, sizeof(errnums) / sizeof(errnums[0]))];
}

/* Of a device that is closed, too, the kernel may keep what it did not unmap. */
static void doubt(struct chance *c, unsigned long before)
{
	for (unsigned int n = 0; is_unmap(before) && n < PAGES; n++)
		c->is_doubtful[n] = true;
}

static void do_device(struct chance *c, unsigned int i)
{
	struct vfio_dev **dev = c->devs[i];

	if (!*dev) {
		c->attached[i] = vfio_space_open(c->f->space, dev, fake.devices[i].bdf, &c->f->err) == 0;
	} else if (draw(c, 2)) {
		vfio_close(*dev);
		*dev = NULL;
		c->attached[i] = false;
	} else if (c->attached[i]) {
		c->attached[i] = vfio_space_detach(*dev) < 0;
	} else {
		c->attached[i] = vfio_space_attach(c->f->space, *dev) == 0;
	}
}

static void do_page(struct chance *c, unsigned int n)
{
	struct vfio_dma dma = page(n);

	if (c->mapped[n])
		c->mapped[n] = vfio_space_unmap(c->f->space, dma.iova, PAGE) < 0;
	else
		c->mapped[n] = vfio_space_map(c->f->space, &dma) == 0;
}

static void assert_seen(const struct chance *c, unsigned int round)
{
	for (unsigned int i = 0; i < 4 * PAGES; i++) {
		unsigned int d = i / PAGES, n = i % PAGES;
		uintptr_t wanted = (uintptr_t)memory + n * PAGE;
		uint64_t seen = c->attached[d] ? fake_sees(&fake.devices[d], 0x100000 + n * PAGE) : 0;

		if (c->attached[d] && !c->is_doubtful[n] && seen != (c->mapped[n] ? wanted : 0))
			fail_msg("round %u: device %u sees %#llx in place of page %u", round, d,
				 (unsigned long long)seen, n);
	}
}

static void whatever_happens(void **state)
{
	struct fixture *f = *state;
	struct chance c = { .f = f, .devs = { &f->a, &f->b, &f->c, &f->d }, .state = 1 };

	for (unsigned int round = 0; round < 1500; round++) {
		unsigned long injected;

		c.unmaps_work = round < 1000;
		may_fail(&c);
		injected = fake.fail;
		if (draw(&c, 2))
			do_device(&c, draw(&c, 4));
		else
			do_page(&c, draw(&c, PAGES));
		doubt(&c, injected);
		fake.fail = fake.more = 0;
		assert_seen(&c, round);
	}
}

#define BOTH(name)                                                                                 \
	{ #name " by group", name, by_group, tear_down, NULL },                                    \
	{ #name " by node", name, by_node, tear_down, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(one_for_all),
		BOTH(a_map_across_the_middle),
		BOTH(the_last_one_unmaps),
		BOTH(unmaps_that_fail),
		BOTH(after_detaching),
		BOTH(another_iommu),
		BOTH(opened_by_itself),
		BOTH(of_several_the_right_one),
		BOTH(by_its_node),
		BOTH(other_back_ends),
		BOTH(refusals),
		BOTH(not_isolated),
		BOTH(every_step_fails),
		BOTH(no_copy),
		BOTH(no_unmap),
		BOTH(whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Hot reset and low power of devices of the kernel's: on both roads, in a made-up machine. */
#include "fake_kernel.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <vfio/check.h>
#include <vfio/server.h>

#include "backends/kernel.h"

#define A "0000:03:00.0"
#define B "0000:03:00.1"		/* in A's group and slot */
#define C "0000:03:01.0"		/* in A's slot, in another group */
#define D "0000:00:05.0"		/* in none */

static struct vfio_space *space;
static struct vfio_error err;
static struct vfio_dev *devs[4];

static int set_up(bool by_node)
{
	memset(&fake, 0, sizeof(fake));
	memset(devs, 0, sizeof(devs));
	fake.has_nodes = by_node;
	fake.devices[0] = (struct fake_device){ .bdf = A, .node = "vfio0", .group = 7, .slot = 1 };
	fake.devices[1] = (struct fake_device){ .bdf = B, .node = "vfio1", .group = 7, .slot = 1 };
	fake.devices[2] = (struct fake_device){ .bdf = C, .node = "vfio2", .group = 8, .slot = 1 };
	fake.devices[3] = (struct fake_device){ .bdf = D, .node = "vfio3", .group = 9 };
	return vfio_space_new(&space, NULL);
}

static int by_group(void **state)
{
	return set_up(false);
}

static int by_node(void **state)
{
	return set_up(true);
}

static int tear_down(void **state)
{
	for (unsigned int i = 0; i < 4; i++)
		vfio_close(devs[i]);
	vfio_space_free(space);
	fake_end();
	return 0;
}

static struct vfio_dev *opens(unsigned int n)
{
	if (vfio_space_open(space, &devs[n], fake.devices[n].bdf, &err) < 0)
		fail_msg("%s", err.what);
	return devs[n];
}

static void assert_refused(struct vfio_dev *dev, int r, int e, const char *has, const char *lacks)
{
	const struct vfio_error *why = vfio_last_error(dev);

	if (r != -e || why->code != VFIO_E_RESET || !strstr(why->what, has) ||
	    strstr(why->what, lacks))
		fail_msg("%d, VFIO-%03d: %s", r, why->code, why->what);
}

static void assert_entry(const struct vfio_hot_reset_device *d, uint8_t devfn, int64_t group,
			 uint32_t flags)
{
	if (d->segment || d->bus != 3 || d->devfn != devfn || d->group != group || d->flags != flags)
		fail_msg("%04x:%02x devfn %#x, group %lld, flags %u", d->segment, d->bus, d->devfn,
			 (long long)d->group, d->flags);
}

static void who_is_in_the_way(void **state)
{
	const uint32_t all = VFIO_HOT_RESET_HELD | VFIO_HOT_RESET_ALLOWED;
	struct vfio_hot_reset_device list[3];
	struct vfio_reset_info info;
	struct vfio_dev *a;

	fake_begin();
	a = opens(0);
	assert_int_equal(vfio_hot_reset_info(a, list, 1), 3);
	assert_int_equal(vfio_hot_reset_info(a, list, 3), 3);
	assert_entry(&list[0], 0, 7, all);
	assert_entry(&list[1], 1, 7, VFIO_HOT_RESET_ALLOWED);
	assert_entry(&list[2], 8, 8, 0);
	assert_refused(a, vfio_hot_reset(a), EPERM, C, B);
	assert_int_equal(vfio_reset_probe(a, &info), 0);
	assert_int_equal(info.methods & VFIO_RESET_HOT, 0);
	assert_int_equal(info.others, 2);
	opens(2);
	assert_int_equal(vfio_hot_reset_info(a, list, 3), 3);
	assert_entry(&list[2], 8, 8, all);
	assert_int_equal(vfio_reset_probe(a, &info), 0);
	assert_int_equal(info.methods, VFIO_RESET_DEVICE | VFIO_RESET_HOT);
	assert_int_equal(fake.hot_resets, 0);
	assert_int_equal(vfio_hot_reset(a), 0);
	assert_int_equal(fake.hot_resets, 1);
	vfio_close(devs[2]);
	devs[2] = NULL;
	assert_refused(a, vfio_hot_reset(a), EPERM, C, B);
}

/* The group is ours, but another driver has a function in it that does no DMA. */
static void another_driver(void **state)
{
	struct vfio_dev *a;

	fake.devices[1].driver = "pci-stub";
	fake_begin();
	a = opens(0);
	opens(2);
	assert_refused(a, vfio_hot_reset(a), EPERM, B, C);
	assert_int_equal(fake.hot_resets, 0);
}

static void none_there(void **state)
{
	struct vfio_hot_reset_device list[1];
	struct vfio_reset_info info;
	struct vfio_dev *d;

	fake_begin();
	d = opens(3);
	assert_refused(d, vfio_hot_reset_info(d, list, 1), ENOTSUP, D, A);
	assert_refused(d, vfio_hot_reset(d), ENOTSUP, "in no slot", A);
	assert_int_equal(vfio_reset_probe(d, &info), 0);
	assert_int_equal(info.methods, VFIO_RESET_DEVICE);
	assert_int_equal(info.others, 0);
}

/* Then sysfs is out of reach: what it said before is what counts. */
static void served_to_strangers(void **state)
{
	const uint32_t all = VFIO_HOT_RESET_HELD | VFIO_HOT_RESET_ALLOWED;
	struct vfio_hot_reset_device list[3];
	struct vfio_server *server;
	struct vfio_reset_info info;
	struct vfio_dev *a;

	fake_begin();
	a = opens(0);
	opens(2);
	assert_int_equal(vfio_server_new(&server, a, NULL, NULL), 0);
	devs[0] = NULL;				/* the server's now */
	fake_shut();
	assert_int_equal(vfio_hot_reset_info(a, list, 3), 3);
	assert_entry(&list[0], 0, 7, all);
	assert_entry(&list[1], 1, 7, VFIO_HOT_RESET_ALLOWED);
	assert_entry(&list[2], 8, 8, all);
	assert_int_equal(vfio_reset_probe(a, &info), 0);
	assert_int_equal(info.methods, VFIO_RESET_DEVICE | VFIO_RESET_HOT);
	assert_int_equal(info.others, 2);
	assert_int_equal(vfio_hot_reset(a), 0);
	fake.devices[1].bdf = "0000:03:00.2";	/* of which nothing is known */
	assert_int_equal(vfio_hot_reset_info(a, list, 3), 3);
	assert_entry(&list[1], 2, -1, 0);
	assert_refused(a, vfio_hot_reset(a), EPERM, "0000:03:00.2", C);
	vfio_server_free(server);
}

static void refused_by_the_kernel(void **state)
{
	struct vfio_dev *a;

	fake_begin();
	a = opens(0);
	opens(2);
	fake.fail = VFIO_DEVICE_PCI_HOT_RESET;
	fake.with = EAGAIN;
	assert_refused(a, vfio_hot_reset(a), EAGAIN, "cannot reset", C);
	assert_non_null(strstr(vfio_last_error(a)->remedy, "try again"));
	assert_int_equal(vfio_hot_reset(a), 0);
}

static void not_of_others(void **state)
{
	struct vfio_hot_reset_device list[1];
	struct vfio_device_info info;
	struct vfio_dev *dev;

	fake_begin();
	assert_int_equal(vfio_open(&dev, "edu", NULL), 0);
	devs[0] = dev;
	assert_int_equal(vfio_hot_reset(dev), -ENOTSUP);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_UNSUPPORTED);
	assert_int_equal(vfio_hot_reset_info(dev, list, 1), -ENOTSUP);
	assert_int_equal(vfio_info_chain(dev, VFIO_CHAIN_DEVICE, 0, &info, sizeof(info)), -ENOTSUP);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_UNSUPPORTED);
}

static void note_reset(void *arg, const struct vfio_finding *f)
{
	if (strcmp(f->topic, "reset") == 0)
		*(struct vfio_finding *)arg = *f;
}

/* Who can be reset alone need not be reset with its slot. */
static void audited(void **state)
{
	struct vfio_finding f = { .verdict = VFIO_FAIL };

	fake_begin();
	opens(0);
	vfio_audit(devs[0], note_reset, &f);
	assert_int_equal(f.verdict, VFIO_PASS);
	fake.cannot_reset = true;
	opens(1);
	opens(2);
	vfio_close(devs[0]);
	vfio_audit(opens(0), note_reset, &f);
	assert_int_equal(f.verdict, VFIO_WARN);
}

/* ---- low power ------------------------------------------------------------------------------ */

static void low_power(void **state)
{
	int efd = eventfd(0, EFD_CLOEXEC);
	struct vfio_dev *a;

	fake_begin();
	a = opens(0);
	assert_int_equal(vfio_low_power_exit(a), 0);
	assert_int_equal(vfio_low_power_enter(a, -1), 0);
	assert_true(fake.devices[0].in_low_power);
	assert_int_equal(fake.devices[0].wakeup_fd, -1);
	assert_int_equal(vfio_low_power_enter(a, efd), -EINVAL);
	assert_int_equal(vfio_last_error(a)->code, VFIO_E_LOW_POWER);
	assert_int_equal(vfio_low_power_exit(a), 0);
	assert_false(fake.devices[0].in_low_power);
	assert_int_equal(vfio_low_power_enter(a, 0), -EINVAL);
	assert_int_equal(vfio_last_error(a)->code, VFIO_E_IRQ_FD);
	assert_int_equal(vfio_low_power_enter(a, efd), 0);
	assert_int_equal(fake.devices[0].wakeup_fd, efd);
	close(efd);
}

/* Of a client of vfiod's nothing is left for the next one. */
static void low_power_ends_with_its_user(void **state)
{
	const uint32_t enter = VFIO_DEVICE_FEATURE_SET | KERNEL_LOW_POWER;
	struct vfio_dev *a;
	uint8_t none;

	fake_begin();
	a = opens(0);
	assert_int_equal(a->backend->feature(a, enter, &none, 0), 0);
	assert_true(fake.devices[0].in_low_power);
	assert_int_equal(a->backend->recycle(a), 0);
	assert_false(fake.devices[0].in_low_power);
}

static void the_next_user_finds_it_awake(void **state)
{
	const uint32_t config = VFIO_PCI_CONFIG_REGION_INDEX;
	struct vfio_dev *a;

	fake_begin();
	a = opens(0);
	vfio_write16(a, config, 0x44, 0x0b);
	assert_int_equal(vfio_read16(a, config, 0x44) & 3, 3);
	assert_int_equal(a->backend->recycle(a), 0);
	assert_int_equal(vfio_read16(a, config, 0x44) & 3, 0);
}

static void low_power_is_not_everywhere(void **state)
{
	struct vfio_dev *a;

	fake.is_old = true;
	fake_begin();
	a = opens(0);
	assert_int_equal(vfio_low_power_enter(a, -1), -ENOTSUP);
	assert_non_null(strstr(vfio_last_error(a)->what, "this kernel"));
	assert_int_equal(vfio_open(&devs[1], "edu", NULL), 0);
	assert_int_equal(vfio_low_power_enter(devs[1], -1), -ENOTSUP);
	assert_int_equal(vfio_last_error(devs[1])->code, VFIO_E_UNSUPPORTED);
	assert_int_equal(vfio_low_power_exit(devs[1]), -ENOTSUP);
}

#define BOTH(name)                                                                                 \
	{ #name " by group", name, by_group, tear_down, NULL },                                    \
	{ #name " by node", name, by_node, tear_down, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(who_is_in_the_way),
		BOTH(another_driver),
		BOTH(served_to_strangers),
		BOTH(none_there),
		BOTH(refused_by_the_kernel),
		BOTH(not_of_others),
		BOTH(audited),
		BOTH(low_power),
		BOTH(low_power_ends_with_its_user),
		BOTH(the_next_user_finds_it_awake),
		BOTH(low_power_is_not_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

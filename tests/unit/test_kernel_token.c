/* SPDX-License-Identifier: MIT */
/* VF tokens, and what a name may say of them: on both roads, in a made-up machine. */
#include "fake_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/iommufd.h"

#define PF    "0000:03:00.0"
#define VF    "0000:03:00.1"
#define UUID  "12345678-9abc-Def0-1234-56789abcdef0"
#define OTHER "00000000-0000-0000-0000-000000000001"

static struct vfio_dev *pf, *dev;
static struct vfio_error err;

static int set_up(bool by_node)
{
	memset(&fake, 0, sizeof(fake));
	fake.has_nodes = by_node;
	fake.devices[0] = (struct fake_device){
		.bdf = PF, .node = "vfio0", .group = 7, .is_physical = true,
	};
	fake.devices[1] = (struct fake_device){ .bdf = VF, .node = "vfio1", .group = 8 };
	fake_begin();
	pf = dev = NULL;
	return 0;
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
	vfio_close(dev);
	vfio_close(pf);
	fake_end();
	return 0;
}

static void assert_fails(const char *name, int e, enum vfio_error_code code, const char *words)
{
	int r = vfio_open(&dev, name, &err);

	if (r != -e || err.code != code || dev ||
	    !(strstr(err.what, words) || strstr(err.remedy, words)))
		fail_msg("%s: %d, VFIO-%03d: %s / %s", name, r, err.code, err.what, err.remedy);
}

static void opens(struct vfio_dev **d, const char *name)
{
	if (vfio_open(d, name, &err) < 0)
		fail_msg("%s: VFIO-%03d: %s", name, err.code, err.what);
}

static void both_know_it(void **state)
{
	opens(&pf, PF);
	assert_int_equal(vfio_set_vf_token(pf, UUID), 0);
	assert_string_equal(fake_token, "12345678-9abc-def0-1234-56789abcdef0");
	assert_fails(VF, EACCES, VFIO_E_TOKEN, "vf_token=UUID");
	assert_fails(VF ",vf_token=" OTHER, EACCES, VFIO_E_TOKEN, "not the right one");
	opens(&dev, VF ",vf_token=" UUID);
	vfio_close(dev);
	if (fake.has_nodes)
		opens(&dev, "vfio1,vf_token=" UUID);
	else
		opens(&dev, "03:00.1,vf_token=" UUID);
}

static void in_a_space(void **state)
{
	struct vfio_space *space;

	assert_int_equal(vfio_space_new(&space, NULL), 0);
	assert_int_equal(vfio_space_open(space, &pf, PF, &err), 0);
	assert_int_equal(vfio_set_vf_token(pf, UUID), 0);
	assert_int_equal(vfio_space_open(space, &dev, VF, &err), -EACCES);
	assert_int_equal(err.code, VFIO_E_TOKEN);
	assert_int_equal(vfio_space_open(space, &dev, VF ",vf_token=" UUID, &err), 0);
	assert_int_equal(fake.containers + fake.iommufds, 1);
	vfio_space_free(space);
}

static void of_no_use(void **state)
{
	assert_fails(VF ",vf_token=" UUID, EINVAL, VFIO_E_TOKEN, "takes no VF token");
	opens(&dev, VF);
	assert_int_equal(vfio_set_vf_token(dev, UUID), -ENOTSUP);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_TOKEN);
}

/* Nothing is opened for a name that is wrong. */
static void names(void **state)
{
	static const struct {
		const char *options;
		enum vfio_error_code code;
	} rows[] = {
		{ ",vf_token=", VFIO_E_TOKEN }, { ",vf_token=1234", VFIO_E_TOKEN },
		{ ",vf_token=" UUID "0", VFIO_E_TOKEN }, { ",vf_token=" UUID " ", VFIO_E_TOKEN },
		{ ",vf_token=12345678-9abc-def0-1234-56789abcdeg0", VFIO_E_TOKEN },
		{ ",vf_token=123456789-abc-def0-1234-56789abcdef0", VFIO_E_TOKEN },
		{ ",vf_token={" UUID "}", VFIO_E_TOKEN },
		{ ",vf_token=" UUID ",vf_token=" UUID, VFIO_E_OPTION },
		{ ",", VFIO_E_OPTION }, { ",vf_token", VFIO_E_OPTION }, { ",speed=1", VFIO_E_OPTION },
		{ ",vf_token=" UUID ",", VFIO_E_OPTION },
	};
	char name[160];

	fake.fail = fake.has_nodes ? CDEV_BIND_IOMMUFD : VFIO_GROUP_GET_STATUS;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(name, sizeof(name), VF "%s", rows[i].options);
		assert_fails(name, EINVAL, rows[i].code, "");
	}
	assert_true(fake.fail);
	fake.fail = 0;
	opens(&pf, PF);
	assert_int_equal(vfio_set_vf_token(pf, "12"), -EINVAL);
	assert_int_equal(vfio_last_error(pf)->code, VFIO_E_TOKEN);
	assert_int_equal(vfio_open(&dev, "edu", NULL), 0);
	assert_int_equal(vfio_set_vf_token(dev, UUID), -ENOTSUP);
	assert_int_equal(vfio_last_error(dev)->code, VFIO_E_UNSUPPORTED);
}

static void an_older_kernel(void **state)
{
	fake.is_old = true;
	fake.devices[1].token = UUID;
	if (fake.has_nodes)
		assert_fails(VF ",vf_token=" UUID, ENOTSUP, VFIO_E_TOKEN, "this kernel");
	else
		opens(&dev, VF ",vf_token=" UUID);
}

/* That somebody else has it is not the token's fault. */
static void in_use(void **state)
{
	if (!fake.has_nodes)
		return;
	fake.devices[1].token = UUID;
	fake.devices[1].uses = 1;
	assert_fails(VF ",vf_token=" UUID, EBUSY, VFIO_E_BUSY, VF);
	fake.devices[1].uses = 0;
}

#define BOTH(name)                                                                                 \
	{ #name " by group", name, by_group, tear_down, NULL },                                    \
	{ #name " by node", name, by_node, tear_down, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(both_know_it),
		BOTH(in_a_space),
		BOTH(of_no_use),
		BOTH(names),
		BOTH(an_older_kernel),
		BOTH(in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* What isolates a device, as each back end tells it, and who wants how much of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "both.h"
#include "contract.h"

/* ---- a software device, in this process and behind a socket --------------------------------- */

static void software(void **state)
{
	struct both *b = *state;
	struct vfio_isolation is = { 7, 7 };

	assert_int_equal(vfio_isolation(b->dev, &is), 0);
	assert_int_equal(is.dma, VFIO_ISOLATED_BY_SOFTWARE);
	assert_int_equal(is.interrupts, VFIO_ISOLATED_BY_SOFTWARE);
	assert_int_equal(vfio_require_isolation(b->dev, VFIO_ISOLATED_NOT), 0);
	assert_int_equal(vfio_require_isolation(b->dev, VFIO_ISOLATED_BY_SOFTWARE), 0);
	assert_int_equal(vfio_last_error(b->dev)->code, VFIO_E_NONE);
}

static void more_than_software(void **state)
{
	struct both *b = *state;

	assert_int_equal(vfio_require_isolation(b->dev, VFIO_ISOLATED_BY_IOMMU), -EPERM);
	assert_record(vfio_last_error(b->dev), EPERM, VFIO_E_ISOLATION);
	assert_non_null(strstr(vfio_last_error(b->dev)->what, "'software'"));
	assert_non_null(strstr(vfio_last_error(b->dev)->what, "'iommu'"));
}

static void a_level_that_there_is_not(void **state)
{
	struct both *b = *state;

	assert_int_equal(vfio_require_isolation(b->dev, 3), -EINVAL);
	assert_record(vfio_last_error(b->dev), EINVAL, VFIO_E_ARGUMENT);
	assert_int_equal(vfio_require_isolation(b->dev, UINT32_MAX), -EINVAL);
}

/* ---- back ends that answer something else ---------------------------------------------------- */

struct stranger {
	struct vfio_dev dev;
	struct vfio_isolation answer;
	int r;
};

/* As those do that know the answer beforehand. */
static int answers(struct vfio_dev *dev, uint32_t flags, void *data, size_t len)
{
	struct stranger *s = (struct stranger *)dev;

	assert_int_equal(flags & VFIO_DEVICE_FEATURE_MASK, FEATURE_ISOLATION);
	return s->r ? s->r : contract_isolation(&s->answer, flags, data, len, &dev->error);
}

static const struct backend stranger = { .name = "stranger", .feature = answers };
static const struct backend mute = { .name = "mute" };

static void not_isolated(void **state)
{
	struct stranger s = { .dev.backend = &stranger };
	struct vfio_isolation is = { 7, 7 };

	assert_int_equal(vfio_isolation(&s.dev, &is), 0);
	assert_int_equal(is.dma, VFIO_ISOLATED_NOT);
	assert_int_equal(is.interrupts, VFIO_ISOLATED_NOT);
	assert_int_equal(vfio_require_isolation(&s.dev, VFIO_ISOLATED_NOT), 0);
	assert_int_equal(vfio_require_isolation(&s.dev, VFIO_ISOLATED_BY_SOFTWARE), -EPERM);
	assert_record(&s.dev.error, EPERM, VFIO_E_ISOLATION);
	assert_non_null(strstr(s.dev.error.what, "'none'"));
}

/* Interrupts are told of, and are no reason to refuse. */
static void dma_alone(void **state)
{
	struct stranger s = {
		.dev.backend = &stranger, .answer = { VFIO_ISOLATED_BY_IOMMU, VFIO_ISOLATED_NOT },
	};
	struct vfio_isolation is;

	assert_int_equal(vfio_isolation(&s.dev, &is), 0);
	assert_int_equal(is.dma, VFIO_ISOLATED_BY_IOMMU);
	assert_int_equal(is.interrupts, VFIO_ISOLATED_NOT);
	assert_int_equal(vfio_require_isolation(&s.dev, VFIO_ISOLATED_BY_IOMMU), 0);
}

/* Of whom nothing is known, nothing is believed. */
static void who_cannot_tell(void **state)
{
	static const int unknown[] = { -ENOTTY, -EINVAL, -ENOTSUP, -ENOSYS };
	struct stranger s = { .dev.backend = &mute };
	struct vfio_isolation is;

	for (size_t i = 0; i <= sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_int_equal(vfio_isolation(&s.dev, &is), -ENOTSUP);
		assert_record(&s.dev.error, ENOTSUP, VFIO_E_UNSUPPORTED);
		assert_int_equal(vfio_require_isolation(&s.dev, VFIO_ISOLATED_NOT), 0);
		assert_int_equal(vfio_require_isolation(&s.dev, VFIO_ISOLATED_BY_SOFTWARE), -EPERM);
		assert_record(&s.dev.error, EPERM, VFIO_E_ISOLATION);
		s.dev.backend = &stranger;
		s.r = unknown[i % 4];
	}
}

static void who_talks_nonsense(void **state)
{
	struct stranger s = { .dev.backend = &stranger, .answer = { 3, 0 } };
	struct vfio_isolation is;

	assert_int_equal(vfio_isolation(&s.dev, &is), -EPROTO);
	assert_record(&s.dev.error, EPROTO, VFIO_E_PROTOCOL);
	assert_int_equal(vfio_require_isolation(&s.dev, VFIO_ISOLATED_BY_SOFTWARE), -EPROTO);
	s.answer = (struct vfio_isolation){ 0, UINT32_MAX };
	assert_int_equal(vfio_isolation(&s.dev, &is), -EPROTO);
}

static void who_is_gone(void **state)
{
	struct stranger s = { .dev.backend = &stranger, .r = -ENODEV };
	struct vfio_isolation is;

	assert_int_equal(vfio_isolation(&s.dev, &is), -ENODEV);
	assert_int_equal(vfio_require_isolation(&s.dev, VFIO_ISOLATED_BY_SOFTWARE), -ENODEV);
}

static void how_it_may_be_asked(void **state)
{
	const struct vfio_isolation yes = { VFIO_ISOLATED_BY_IOMMU, VFIO_ISOLATED_BY_IOMMU };
	const uint32_t get = VFIO_DEVICE_FEATURE_GET, set = VFIO_DEVICE_FEATURE_SET,
		       probe = VFIO_DEVICE_FEATURE_PROBE;
	struct vfio_error err = { 0 };
	struct vfio_isolation is = { 0 };

	assert_int_equal(contract_isolation(&yes, probe, NULL, 0, &err), 0);
	assert_int_equal(contract_isolation(&yes, probe | get, NULL, 0, &err), 0);
	assert_int_equal(contract_isolation(&yes, probe | set, &is, sizeof(is), &err), -EINVAL);
	assert_int_equal(contract_isolation(&yes, set, &is, sizeof(is), &err), -EINVAL);
	assert_int_equal(contract_isolation(&yes, 0, &is, sizeof(is), &err), -EINVAL);
	assert_int_equal(contract_isolation(&yes, get, &is, sizeof(is) - 1, &err), -EINVAL);
	assert_int_equal(is.dma, 0);
	assert_int_equal(contract_isolation(&yes, get, &is, sizeof(is), &err), 0);
	assert_int_equal(is.dma, VFIO_ISOLATED_BY_IOMMU);
}

static void names(void **state)
{
	assert_string_equal(vfio_isolation_name(VFIO_ISOLATED_NOT), "none");
	assert_string_equal(vfio_isolation_name(VFIO_ISOLATED_BY_SOFTWARE), "software");
	assert_string_equal(vfio_isolation_name(VFIO_ISOLATED_BY_IOMMU), "iommu");
	assert_null(vfio_isolation_name(3));
	assert_null(vfio_isolation_name(UINT32_MAX));
}

/* ---- the environment ------------------------------------------------------------------------- */

static int open_with(const char *word, struct vfio_error *err)
{
	struct vfio_dev *dev = (struct vfio_dev *)err;
	int r;

	setenv("VFIO_ISOLATION", word, 1);
	r = vfio_open(&dev, "edu", err);
	unsetenv("VFIO_ISOLATION");
	if (r < 0)
		assert_null(dev);
	vfio_close(dev);
	return r;
}

static void the_environment_asks_for_it(void **state)
{
	struct vfio_error err;

	assert_int_equal(open_with("software", &err), 0);
	assert_int_equal(open_with("none", &err), 0);
	assert_int_equal(open_with("", &err), 0);
	assert_int_equal(open_with("iommu", &err), -EPERM);
	assert_record(&err, EPERM, VFIO_E_ISOLATION);
	assert_non_null(strstr(err.what, "'software'"));
	assert_int_equal(open_with("iommu", NULL), -EPERM);
}

static void the_environment_asks_for_what_is_not(void **state)
{
	static const char *const words[] = { "2", "IOMMU", "iommu ", "strong", "0" };
	struct vfio_error err;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		assert_int_equal(open_with(words[i], &err), -EINVAL);
		assert_record(&err, EINVAL, VFIO_E_ISOLATION);
		assert_non_null(strstr(err.what, words[i]));
	}
}

int main(void)
{
	const struct CMUnitTest over_both[] = {
		BOTH(software),
		BOTH(more_than_software),
		BOTH(a_level_that_there_is_not),
	};
	const struct CMUnitTest alone[] = {
		cmocka_unit_test(not_isolated),
		cmocka_unit_test(dma_alone),
		cmocka_unit_test(who_cannot_tell),
		cmocka_unit_test(who_talks_nonsense),
		cmocka_unit_test(who_is_gone),
		cmocka_unit_test(how_it_may_be_asked),
		cmocka_unit_test(names),
		cmocka_unit_test(the_environment_asks_for_it),
		cmocka_unit_test(the_environment_asks_for_what_is_not),
	};

	return both_run(over_both, sizeof(over_both) / sizeof(over_both[0])) +
	       cmocka_run_group_tests(alone, NULL, NULL);
}

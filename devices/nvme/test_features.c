/* SPDX-License-Identifier: MIT */
/* Features. */
#include <endian.h>

#include "test_host.h"

#define DEVICE "nvme,memory=16M,memory=1M,queues=4,serial=ABC"

#define DNR VFIO_NVME_STATUS_DNR
#define ALL UINT32_MAX

#define CURRENT 0u
#define DEFAULT 1u
#define SAVED   2u
#define ABILITIES 3u

typedef struct vfio_nvme_command command;

static int set_up(void **state)
{
	static struct host h;

	host_open(&h, DEVICE);
	host_enable(&h);
	*state = &h;
	return 0;
}

static int tear_down(void **state)
{
	host_close(*state);
	return 0;
}

static uint16_t get(struct host *h, uint8_t id, unsigned int select, uint32_t nsid, uint32_t cdw11)
{
	return host_admin(h, (command){ .opcode = VFIO_NVME_GET_FEATURES, .nsid = htole32(nsid),
		.cdw10 = htole32(select << 8 | id), .cdw11 = htole32(cdw11) });
}

static uint16_t set(struct host *h, uint32_t cdw10, uint32_t nsid, uint32_t cdw11)
{
	return host_admin(h, (command){ .opcode = VFIO_NVME_SET_FEATURES, .nsid = htole32(nsid),
		.cdw10 = htole32(cdw10), .cdw11 = htole32(cdw11) });
}

/* Set, then get: what is there. at: what cdw11 of Get chooses. */
static const struct {
	const char *what;
	uint8_t id;
	uint32_t nsid, at, standard, value, holds;
} settings[] = {
	{ "arbitration", 0x01, 0, 0, 0, 0x04030207, 0x04030207 },
	{ "arbitration, reserved bits", 0x01, 0, 0, 0, 0x040302ff, 0x04030207 },
	{ "workload", 0x02, 0, 0, 0, 0x20, 0x20 },
	{ "over temperature", 0x04, 0, 0, 343, 350, 350 },
	{ "under temperature", 0x04, 0, 1 << 20, 0, 1 << 20 | 280, 280 },
	{ "over temperature of all sensors", 0x04, 0, 0, 343, 0xf << 16 | 360, 360 },
	{ "error recovery", 0x05, 1, 0, 0, 77, 77 },
	{ "error recovery of another namespace", 0x05, 2, 0, 0, 78, 78 },
	{ "number of queues", 0x07, 0, 0, 0x00030003, 0x003f003f, 0x00030003 },
	{ "fewer queues", 0x07, 0, 0, 0x00030003, 0, 0x00030003 },
	{ "coalescing", 0x08, 0, 0, 0, 0x1234, 0x1234 },
	{ "vector", 0x09, 0, 4, 4, 1 << 16 | 4, 1 << 16 | 4 },
	{ "atomicity", 0x0a, 0, 0, 0, 1, 1 },
	{ "events", 0x0b, 0, 0, 0, ALL, 0x13f },
};

static void check_value(struct host *h, const char *what, uint16_t status, uint32_t want)
{
	if (status || le32toh(h->last.result) != want)
		fail_msg("%s: status %#x, value %#x, not %#x", what, status,
			 le32toh(h->last.result), want);
}

static void what_is_set_is_got(void **state)
{
	struct host *h = *state;

	for (unsigned int i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		const char *what = settings[i].what;
		uint32_t nsid = settings[i].nsid, at = settings[i].at;
		uint8_t id = settings[i].id;

		host_disable(h);
		host_enable(h);
		check_value(h, what, get(h, id, CURRENT, nsid, at), settings[i].standard);
		assert_int_equal(set(h, id, nsid, settings[i].value), VFIO_NVME_SUCCESS);
		check_value(h, what, get(h, id, CURRENT, nsid, at), settings[i].holds);
		check_value(h, what, get(h, id, DEFAULT, nsid, at), settings[i].standard);
		check_value(h, what, get(h, id, SAVED, nsid, at), settings[i].standard);
		check_value(h, what, get(h, id, ABILITIES, nsid, at), id == 0x05 ? 6 : 4);
		assert_int_equal(set(h, 1u << 31 | id, nsid, settings[i].value),
				 VFIO_NVME_FEATURE_NOT_SAVEABLE | DNR);
	}
	/* Each namespace has its own, and one for all of them sets each. */
	assert_int_equal(set(h, 0x05, 1, 5), VFIO_NVME_SUCCESS);
	check_value(h, "namespace 2", get(h, 0x05, CURRENT, 2, 0), 0);
	assert_int_equal(set(h, 0x05, ALL, 6), VFIO_NVME_SUCCESS);
	check_value(h, "namespace 1", get(h, 0x05, CURRENT, 1, 0), 6);
	check_value(h, "namespace 2", get(h, 0x05, CURRENT, 2, 0), 6);
}

static void bad_features(void **state)
{
	struct host *h = *state;
	static const struct {
		const char *what;
		uint32_t get, set;		/* cdw10, or 0: not that one */
		uint32_t nsid, value;
		uint16_t status;
	} rows[] = {
		{ "feature 0", 0x100, 1u << 31, 0, 0, VFIO_NVME_INVALID_FIELD },
		{ "unknown feature", 0xc0, 0xc0, 0, 0, VFIO_NVME_INVALID_FIELD },
		{ "keep alive", 0x0f, 0x0f, 0, 0, VFIO_NVME_INVALID_FIELD },
		{ "selection", 0x401, 0, 0, 0, VFIO_NVME_INVALID_FIELD },
		{ "power state", 0, 0x02, 0, 1, VFIO_NVME_INVALID_FIELD },
		{ "sensor", 0x04, 0x04, 0, 1 << 16, VFIO_NVME_INVALID_FIELD },
		{ "kind of threshold", 0x04, 0x04, 0, 2 << 20, VFIO_NVME_INVALID_FIELD },
		{ "recovery of none", 0x05, 0x05, 0, 0, VFIO_NVME_INVALID_NAMESPACE },
		{ "recovery of no namespace", 0x05, 0x05, 3, 0, VFIO_NVME_INVALID_NAMESPACE },
		{ "recovery of all, which may differ", 0x05, 0, ALL, 0,
		  VFIO_NVME_INVALID_NAMESPACE },
		{ "errors of deallocated blocks", 0, 0x05, 1, 1 << 16, VFIO_NVME_INVALID_FIELD },
		{ "write cache of memory", 0x06, 0x06, 0, 1, VFIO_NVME_INVALID_FIELD },
		{ "65536 submission queues", 0, 0x07, 0, 0xffff, VFIO_NVME_INVALID_FIELD },
		{ "65536 completion queues", 0, 0x07, 0, 0xffff0000, VFIO_NVME_INVALID_FIELD },
		{ "vector", 0x09, 0x09, 0, 5, VFIO_NVME_INVALID_FIELD },
		{ "of one namespace", 0, 0x01, 1, 0, VFIO_NVME_FEATURE_NOT_NAMESPACE },
		{ "of no namespace", 0, 0x01, 3, 0, VFIO_NVME_INVALID_NAMESPACE },
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint16_t want = rows[i].status | DNR, got = want;

		if (rows[i].get)
			got = get(h, (uint8_t)rows[i].get, rows[i].get >> 8, rows[i].nsid,
				  rows[i].value);
		if (got != want)
			fail_msg("get %s: %#x, not %#x", rows[i].what, got, want);
		if (rows[i].set && !(rows[i].set & 1u << 31))
			got = set(h, rows[i].set, rows[i].nsid, rows[i].value);
		if (got != want)
			fail_msg("set %s: %#x, not %#x", rows[i].what, got, want);
	}
	assert_int_equal(host_run(h, 0, host_create_cq(h, 1, 16)), VFIO_NVME_SUCCESS);
	assert_int_equal(set(h, 0x07, 0, 0), VFIO_NVME_SEQUENCE | DNR);
}

static uint64_t timestamp(struct host *h, unsigned int select)
{
	assert_int_equal(get(h, 0x0e, select, 0, 0), VFIO_NVME_SUCCESS);
	return le64toh(*(uint64_t *)h->data.vaddr);
}

/* Byte 6 says whether somebody set it. It goes on by itself, and not backwards. */
static void time_goes_on(void **state)
{
	struct host *h = *state;
	const uint64_t then = UINT64_C(1700000000000);
	uint64_t now;

	assert_int_equal(timestamp(h, CURRENT) >> 48, 0);
	*(uint64_t *)h->data.vaddr = htole64(then);
	assert_int_equal(set(h, 0x0e, 0, 0), VFIO_NVME_SUCCESS);
	now = timestamp(h, CURRENT);
	assert_int_equal(now >> 48, 2);
	assert_in_range(now & UINT64_C(0xffffffffffff), then, then + 3600000);
	assert_int_equal(timestamp(h, DEFAULT), 0);
	host_disable(h);
	host_enable(h);
	assert_int_equal(timestamp(h, CURRENT) >> 48, 0);
	assert_int_equal(host_run(h, 0, (command){ .opcode = VFIO_NVME_SET_FEATURES,
		.cdw10 = htole32(0x0e), .prp1 = htole64(0x7000000000) }), VFIO_NVME_DATA_TRANSFER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_set_is_got), TEST(bad_features), TEST(time_goes_on),
	};

	host_take_road(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

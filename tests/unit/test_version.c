/* SPDX-License-Identifier: MIT */
/* The JSON of a VERSION message, from strangers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/wire.h"

/* Parse len bytes from memory that ends there, so that a sanitizer sees a byte too far. */
static int parse_bytes(struct wire_caps *caps, const char *json, size_t len, const char **why)
{
	char *copy = malloc(len ? len : 1);
	int r;

	assert_non_null(copy);
	memcpy(copy, json, len);
	r = wire_caps_parse(caps, copy, len, why);
	free(copy);
	return r;
}

static int parse(struct wire_caps *caps, const char *json)
{
	const char *why = "untouched";
	int r = parse_bytes(caps, json, strlen(json) + 1, &why);

	if (r == 0)
		assert_null(why);
	else
		assert_non_null(why);
	return r;
}

static void assert_defaults(const struct wire_caps *caps)
{
	assert_int_equal(caps->max_msg_fds, 1);
	assert_int_equal(caps->max_data, 1 << 20);
	assert_int_equal(caps->max_dma_maps, 65535);
	assert_int_equal(caps->pgsizes, 4096);
}

static void absence_means_defaults(void **state)
{
	static const char *const texts[] = {
		"{}", "{\"capabilities\":{}}", "{\"x\":1,\"capabilities\":{\"y\":[{}]}}",
		"{\"capabilities\":{\"max_msg_fds\":0,\"max_data_xfer_size\":0,"
		"\"max_dma_maps\":0,\"pgsizes\":0}}",
	};
	struct wire_caps caps;
	const char *why = "untouched";

	assert_int_equal(parse_bytes(&caps, "", 0, &why), 0);
	assert_defaults(&caps);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		memset(&caps, 0xff, sizeof(caps));
		assert_int_equal(parse(&caps, texts[i]), 0);
		assert_defaults(&caps);
	}
}

static void takes_what_a_known_client_sends(void **state)
{
	struct wire_caps caps;

	assert_int_equal(parse(&caps,
		"{\"capabilities\": {\"migration\": {\"max_bitmap_size\": 268435456, "
		"\"pgsize\": 4096}, \"max_msg_fds\": 16, \"max_data_xfer_size\": 65536, "
		"\"pgsizes\": 2101248, \"max_dma_maps\": 1000, \"write_multiple\": true}}"), 0);
	assert_int_equal(caps.max_msg_fds, 16);
	assert_int_equal(caps.max_data, 65536);
	assert_int_equal(caps.max_dma_maps, 1000);
	assert_int_equal(caps.pgsizes, 2101248);
}

static void more_than_we_send_is_cut(void **state)
{
	struct wire_caps caps;

	assert_int_equal(parse(&caps, "{\"capabilities\":{\"max_data_xfer_size\":67108864,"
				      "\"max_dma_maps\":9223372036854775807}}"), 0);
	assert_int_equal(caps.max_data, WIRE_MAX_DATA);
	assert_int_equal(caps.max_dma_maps, UINT32_MAX);
}

static void refuses_what_is_no_such_json(void **state)
{
	static const char *const texts[] = {
		"", " ", "{", "}", "[]", "1", "null", "\"x\"", "{}x", "{} {}", "{\"a\":}",
		"{\"capabilities\":[]}", "{\"capabilities\":null}", "{\"capabilities\":1}",
		"{\"capabilities\":{\"max_msg_fds\":\"16\"}}",
		"{\"capabilities\":{\"max_msg_fds\":-1}}",
		"{\"capabilities\":{\"max_msg_fds\":1025}}",
		"{\"capabilities\":{\"max_msg_fds\":1.5}}",
		"{\"capabilities\":{\"max_msg_fds\":null}}",
		"{\"capabilities\":{\"max_data_xfer_size\":-5}}",
		"{\"capabilities\":{\"max_dma_maps\":true}}", "{\"capabilities\":{\"pgsizes\":{}}}",
		"{\"capabilities\":{\"pgsizes\":-4096}}",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
	};
	struct wire_caps caps;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (parse(&caps, texts[i]) != -EINVAL)
			fail_msg("accepted: %s", texts[i]);
}

static void needs_its_nul_at_the_end(void **state)
{
	struct wire_caps caps;
	const char *why = NULL;

	assert_int_equal(parse_bytes(&caps, "{}", 2, &why), -EINVAL);
	assert_non_null(strstr(why, "NUL"));
	/* Every prefix of good JSON, with and without a NUL: only the whole is a success. */
	for (size_t len = 1; len < strlen("{\"capabilities\":{}}"); len++) {
		char text[32] = "{\"capabilities\":{}}";

		assert_int_equal(parse_bytes(&caps, text, len, &why), -EINVAL);
		text[len] = '\0';
		assert_int_equal(parse_bytes(&caps, text, len + 1, &why), -EINVAL);
	}
}

static void what_we_write_we_read(void **state)
{
	const struct wire_caps most = {
		.max_msg_fds = 1024, .max_data = WIRE_MAX_DATA, .max_dma_maps = UINT32_MAX,
		.pgsizes = INT64_MAX,
	};
	struct wire_caps back;
	char text[256];
	size_t len = wire_caps_format(&most, text, sizeof(text));

	assert_int_equal(len, strlen(text) + 1);
	assert_int_equal(parse(&back, text), 0);
	assert_int_equal(back.max_msg_fds, most.max_msg_fds);
	assert_int_equal(back.max_data, most.max_data);
	assert_int_equal(back.max_dma_maps, most.max_dma_maps);
	assert_true(back.pgsizes == most.pgsizes);
}

static void commands_have_names_and_sizes(void **state)
{
	for (uint16_t c = WIRE_VERSION; c < WIRE_COMMANDS; c++)
		assert_non_null(wire_command_name(c));
	assert_null(wire_command_name(0));
	assert_null(wire_command_name(WIRE_COMMANDS));
	assert_null(wire_command_name(UINT16_MAX));
	assert_int_equal(wire_least_payload(WIRE_DMA_MAP), 32);
	assert_int_equal(wire_least_payload(WIRE_SET_IRQS), 20);
	assert_int_equal(wire_least_payload(WIRE_RESET), 0);
	assert_int_equal(wire_least_payload(UINT16_MAX), 0);
	assert_true(wire_takes_fds(WIRE_DMA_MAP) && wire_takes_fds(WIRE_SET_IRQS));
	assert_false(wire_takes_fds(WIRE_REGION_WRITE) || wire_takes_fds(UINT16_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(absence_means_defaults),
		cmocka_unit_test(takes_what_a_known_client_sends),
		cmocka_unit_test(more_than_we_send_is_cut),
		cmocka_unit_test(refuses_what_is_no_such_json),
		cmocka_unit_test(needs_its_nul_at_the_end),
		cmocka_unit_test(what_we_write_we_read),
		cmocka_unit_test(commands_have_names_and_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

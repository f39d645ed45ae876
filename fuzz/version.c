/* SPDX-License-Identifier: MIT */
/* The JSON of a VERSION message: whatever it holds, what comes out is in its bounds. */
#include "check.h"
#include "input.h"

#include "wire/wire.h"

static void check_bounds(const struct wire_caps *caps)
{
	CHECK(caps->max_msg_fds >= 1 && caps->max_msg_fds <= 1024);
	CHECK(caps->max_data >= 1 && caps->max_data <= WIRE_MAX_DATA);
	CHECK(caps->max_dma_maps >= 1);
	CHECK(caps->pgsizes != 0);
}

/* What we write, we read again as the same. */
static void check_round_trip(const struct wire_caps *caps)
{
	struct wire_caps again;
	const char *why;
	char json[256];
	size_t n = wire_caps_format(caps, json, sizeof(json));

	CHECK(n <= sizeof(json) && json[n - 1] == '\0');
	CHECK(wire_caps_parse(&again, json, n, &why) == 0);
	CHECK(again.max_msg_fds == caps->max_msg_fds && again.max_data == caps->max_data);
	CHECK(again.max_dma_maps == caps->max_dma_maps && again.pgsizes == caps->pgsizes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_caps caps;
	const char *why = NULL;
	int r = wire_caps_parse(&caps, (const char *)data, size, &why);

	CHECK((r == 0) == (why == NULL));
	if (r == 0) {
		check_bounds(&caps);
		check_round_trip(&caps);
	}
	return 0;
}

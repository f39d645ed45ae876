/* SPDX-License-Identifier: MIT */
/*
 * One state, many roads: random steps of user and device in any order, in process and over a
 * socket, against the reference. The same seeds each time, and one that is new:
 *
 *     test_roads [SEED [STEPS]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include <cmocka.h>

#include "../reference/host.h"
#include "../reference/roads.h"

static uint64_t seeds[] = { 1, 20101117, 0x5ee3de7, 0 /* new each time */ };
static unsigned int nseeds = sizeof(seeds) / sizeof(seeds[0]);
static unsigned long steps_inprocess = 6000, steps_socket = 1000;

/* xorshift64*, so that a seed says the same everywhere. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

static int change_users(struct roads *r)
{
	struct host *h = r->arg;
	int result = host_change_users(h);

	r->dev = h->dev;
	return result;
}

/* False: something differed. */
static bool walk(struct roads *r, uint64_t seed, unsigned long steps)
{
	uint64_t state = seed ? seed : 1, bytes[ROADS_BYTES / sizeof(uint64_t)];

	if (!roads_start(r))
		return false;
	while (r->steps < steps) {
		struct input in = { (const uint8_t *)bytes, sizeof(bytes) };

		for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
			bytes[i] = next(&state);
		if (!roads_step(r, &in))
			return false;
	}
	return true;
}

static void walk_from(uint64_t seed, bool remote, unsigned long steps)
{
	struct roads r = { .remote = remote, .recycle = change_users };
	struct host host;
	bool same;

	assert_int_equal(host_make(&host, remote), 0);
	assert_int_equal(host_open(&host), 0);
	r.dev = host.dev;
	r.arg = &host;
	same = walk(&r, seed, steps);
	if (!same)
		roads_tell(&r, stderr);
	roads_finish(&r);
	host_close(&host);
	if (!same)
		fail_msg("seed %llu, %s: step %lu differs", (unsigned long long)seed,
			 remote ? "socket" : "in process", r.steps);
}

static void all_roads_in_process(void **state)
{
	for (unsigned int i = 0; i < nseeds; i++)
		walk_from(seeds[i], false, steps_inprocess);
}

static void all_roads_over_a_socket(void **state)
{
	for (unsigned int i = 0; i < nseeds; i++)
		walk_from(seeds[i], true, steps_socket);
}

static void choose_seeds(int argc, char **argv)
{
	uint64_t *new = &seeds[nseeds - 1];

	if (argc > 1) {
		seeds[0] = strtoull(argv[1], NULL, 0);
		nseeds = 1;
	} else if (getrandom(new, sizeof(*new), 0) == sizeof(*new)) {
		print_message("seed %llu is new\n", (unsigned long long)*new);
	}
	if (argc > 2)
		steps_inprocess = steps_socket = strtoul(argv[2], NULL, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_roads_in_process),
		cmocka_unit_test(all_roads_over_a_socket),
	};

	choose_seeds(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

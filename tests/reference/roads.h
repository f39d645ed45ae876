/* SPDX-License-Identifier: MIT */
/*
 * Many roads to one state: steps that a user or the device may take, in any order, each taken by
 * the virtual function and by the reference. After each, all that can be seen must be the same.
 *
 * A step is decoded from bytes, whoever makes them: a random generator, or a fuzzer.
 */
#ifndef TESTS_REFERENCE_ROADS_H
#define TESTS_REFERENCE_ROADS_H

#include <stdio.h>

#include <vfio/driver.h>

#include "../../fuzz/input.h"
#include "reference.h"

#define ROADS_EVENTS  10u	/* to be signalled; of eventfds that unmask INTx there are 2 more */
#define ROADS_REARMS  2u
#define ROADS_KEPT    20u	/* steps that are told when something differs */
#define ROADS_LINE    160u
#define ROADS_BYTES   40u	/* more than any step takes */

struct roads {
	struct vfio_dev *dev;
	bool remote;			/* behind a socket */
	/* Give the device to a new user; may change dev. 0, or a negative errno. */
	int (*recycle)(struct roads *r);
	void *arg;			/* of the above */

	struct reference reference;
	int fds[ROADS_EVENTS + ROADS_REARMS];
	bool kicked[ROADS_REARMS];	/* such an eventfd was signalled, and nobody has seen it */
	int file;			/* a descriptor that is no eventfd */
	uint64_t signals[ROADS_EVENTS];	/* how often each was signalled */
	uint64_t cursor;		/* of the side channel, and its last record */
	struct vfio_error record;
	unsigned long steps;
	char problem[ROADS_LINE];	/* what differs */
	char kept[ROADS_KEPT][ROADS_LINE];
};

/* Set out: a device at power-on, dev, remote, recycle and arg filled in. False: see problem. */
bool roads_start(struct roads *r);

/* One step, which in says. False: something differs. */
bool roads_step(struct roads *r, struct input *in);

/* The last steps and what differs. */
void roads_tell(const struct roads *r, FILE *out);

/* Close the descriptors; dev is the caller's. */
void roads_finish(struct roads *r);

#endif

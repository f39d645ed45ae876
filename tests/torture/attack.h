/* SPDX-License-Identifier: MIT */
/* The attacks, by kind. Each runs in a process of its own, which may be killed at any moment. */
#ifndef TORTURE_ATTACK_H
#define TORTURE_ATTACK_H

#include "peer.h"

struct attack {
	const char *name;
	void (*run)(struct peer *p, const char *path);	/* path of the device's socket */
	bool patient;		/* it takes its time, and is not killed early */
};

/* Lists that end with a name of NULL. */
extern const struct attack deaths[], files[], floods[], lies[], replies[], served[];
/* For sockets that somebody else uses. */
extern const struct attack knocks[];

/* A new memory file of so many bytes, without seals or sealed against shrinking. */
int new_file(uint64_t size);
int new_sealed_file(uint64_t size);

#endif

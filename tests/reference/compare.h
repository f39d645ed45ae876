/* SPDX-License-Identifier: MIT */
/* What can be seen of the virtual function, held against the reference. */
#ifndef TESTS_REFERENCE_COMPARE_H
#define TESTS_REFERENCE_COMPARE_H

#include "roads.h"

/* What this step is, for people. */
void note(struct roads *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Say what differs; false. */
bool differs(struct roads *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Are two numbers the same? If not, it is said. */
bool same(struct roads *r, const char *what, long here, long there);

/* Configuration space, signals, memory, ports: all that can be seen without changing anything. */
bool compare(struct roads *r);

/* How many records the side channel got since the last look. */
unsigned int new_records(struct roads *r);

/*
 * Where did the last write go? Somewhere if it was to change anything. And what was lost has a
 * record; if it was lost again, that is the last one.
 */
bool check_where(struct roads *r, unsigned int at, size_t len, uint32_t where);

#endif

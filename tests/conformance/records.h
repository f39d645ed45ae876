/* SPDX-License-Identifier: MIT */
/* The side channel, record by record. */
#ifndef CONFORMANCE_RECORDS_H
#define CONFORMANCE_RECORDS_H

#include "bed.h"

/* The cursor behind all records that there are. */
uint64_t records_end(struct bed *b);

/* The next record is of this errno and code, and says what, and who refused. */
struct vfio_error assert_record(struct bed *b, uint64_t *cursor, int err,
				enum vfio_error_code code);

void assert_no_record(struct bed *b, uint64_t cursor);

#endif

/* SPDX-License-Identifier: MIT */
#include "records.h"

uint64_t records_end(struct bed *b)
{
	struct vfio_error record;
	uint64_t cursor = 0;
	int r;

	while ((r = vfio_record(b->dev, &cursor, &record)) == 1)
		;
	assert_int_equal(r, 0);
	return cursor;
}

struct vfio_error assert_record(struct bed *b, uint64_t *cursor, int err, enum vfio_error_code code)
{
	struct vfio_error record;

	assert_int_equal(vfio_record(b->dev, cursor, &record), 1);
	assert_int_equal(record.code, code);
	assert_int_equal(record.err, err);
	assert_int_not_equal(record.who, VFIO_BY_NOBODY);
	assert_true(record.what[0]);
	return record;
}

void assert_no_record(struct bed *b, uint64_t cursor)
{
	struct vfio_error record;
	int r = vfio_record(b->dev, &cursor, &record);

	if (r == 1)
		fail_msg("there is a record: %s", record.what);
	assert_int_equal(r, 0);
}

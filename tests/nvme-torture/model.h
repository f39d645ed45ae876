/* SPDX-License-Identifier: MIT */
/*
 * What a namespace may contain, block by block, when many commands are under way at once.
 *
 * Each write leaves an entry with every block it writes. Times are a counter that rises with each
 * command that is sent and each answer that is taken, so a command is done at some moment between
 * its two times. From that alone follows what a read may give:
 *
 *   - What was written before another write was sent that has been answered is dropped: it may no
 *     longer be read by whoever asks after that answer. Writes that were under way together may
 *     take effect in either order.
 *   - What a read gave was there at some moment between its two times. So what was over before the
 *     read was sent, and is not what it gave, is dropped as well; and so is what was over before
 *     the write was sent that it gave.
 *   - A write that nobody answered (reset, queue deleted, device killed) may have been done or not,
 *     but it drops nothing. It is over when the reset has returned: it may not be done after that.
 *     The second rule finds out if it is.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define ALWAYS UINT64_MAX	/* a time that has not come */

struct model;

/* All blocks are version 0: zeros. NULL: no memory. */
struct model *model_new(uint64_t blocks);
void model_free(struct model *m);
/* They are zeros again, whatever was there: at time now nothing is under way. */
void model_clear(struct model *m, uint64_t now);

/*
 * Can another write of these blocks be remembered? horizon is the time at which the oldest command
 * that is still under way was sent, or now: what was dropped before that is forgotten.
 */
bool model_has_room(struct model *m, uint64_t lba, uint64_t blocks, uint64_t horizon);
/* Such a write is sent. */
void model_begin(struct model *m, uint64_t lba, uint64_t blocks, uint64_t version, uint64_t now);
/* It is over, answered or not; begun is when it was sent, which no other command has. */
void model_end(struct model *m, uint64_t lba, uint64_t blocks, uint64_t begun, uint64_t now,
	       bool acknowledged);

enum verdict { FINE, LOST, INVENTED };

/* What a read found, beyond that it is fine. */
struct seen {
	bool ambiguous;			/* something else was possible, too */
	bool swapped;			/* it, and not a write that was sent later; both answered */
	bool unknown;			/* a write without an answer was done */
};

/* A read that was sent and answered at these times gave version: may it? If so, it is known now. */
enum verdict model_read(struct model *m, uint64_t lba, uint64_t version, uint64_t sent,
			uint64_t answered, struct seen *seen);
/* May such a read have given anything else? */
bool model_may_differ(const struct model *m, uint64_t lba, uint64_t version, uint64_t sent,
		      uint64_t answered);
/* One of the versions that a read may give now: the n-th, counted round. */
uint64_t model_guess(const struct model *m, uint64_t lba, uint64_t n);

/* Print all there is to know of a block, to stderr. */
void model_tell(const struct model *m, uint64_t lba);

#endif

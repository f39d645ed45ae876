/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/wire.h"

int inbox_init(struct inbox *in)
{
	memset(in, 0, sizeof(*in));
	in->buf = malloc(WIRE_INBOX);
	return in->buf ? 0 : -ENOMEM;
}

static void close_held(struct inbox *in)
{
	fd_close_all(in->held, in->nheld);
	in->nheld = 0;
}

void inbox_clear(struct inbox *in)
{
	close_held(in);
	fd_close_all(in->fresh, in->nfresh);
	in->nfresh = 0;
	in->base = in->start = in->end = in->taken = 0;
}

void inbox_finish(struct inbox *in)
{
	inbox_clear(in);
	free(in->buf);
	in->buf = NULL;
}

/* Give back the room of the message that was handed out last. */
static void drop_taken(struct inbox *in)
{
	in->start += in->taken;
	if (in->taken)
		close_held(in);
	in->taken = 0;
	if (in->start == in->end)
		in->start = in->end = in->base;
}

void inbox_pin(struct inbox *in)
{
	if (in->taken)		/* else they are those of a message that is still coming */
		close_held(in);
	in->start += in->taken;
	in->taken = 0;
	in->base = in->start;
}

void inbox_unpin(struct inbox *in)
{
	drop_taken(in);
	memmove(in->buf + in->base, in->buf + in->start, in->end - in->start);
	in->end -= in->start - in->base;
	in->start = in->base;
	in->base = 0;
}

uint8_t *inbox_room(struct inbox *in, size_t *room)
{
	/*
	 * What is not pinned ends in the lower two thirds, so that a message fits behind what is.
	 */
	size_t limit = in->base ? WIRE_INBOX : 2 * WIRE_MAX_MESSAGE;

	drop_taken(in);
	if (in->start > in->base && in->end + WIRE_MAX_MESSAGE > limit) {
		memmove(in->buf + in->base, in->buf + in->start, in->end - in->start);
		in->end -= in->start - in->base;
		in->start = in->base;
	}
	*room = limit - in->end;
	return in->buf + in->end;
}

void inbox_received(struct inbox *in, size_t n)
{
	in->end += n;
}

static bool header_at(const struct inbox *in, size_t at, struct wire_header *h)
{
	if (in->end - at < sizeof(*h))
		return false;
	memcpy(h, in->buf + at, sizeof(*h));
	return true;
}

static bool is_size_possible(const struct wire_header *h)
{
	return h->size >= sizeof(*h) && h->size <= WIRE_MAX_MESSAGE;
}

/*
 * Do the fresh descriptors belong to a message after the one that ends at next? A message that has
 * only begun is the one that its sender was sending: they do. Else, the last that takes any.
 */
static bool is_for_later(const struct inbox *in, size_t next)
{
	struct wire_header h;

	while (next < in->end) {
		if (!header_at(in, next, &h) || !is_size_possible(&h) ||
		    in->end - next < h.size || wire_takes_fds(h.command))
			return true;
		next += h.size;
	}
	return false;
}

static int hold_fresh(struct inbox *in, const char **why)
{
	if (in->nheld + in->nfresh > FD_MAX_PASSED) {
		*why = "too many descriptors for one message";
		return -EINVAL;
	}
	memcpy(in->held + in->nheld, in->fresh, in->nfresh * sizeof(int));
	in->nheld += in->nfresh;
	in->nfresh = 0;
	return 0;
}

/* A message that is handed out ends in the lower two thirds: pinned, it leaves room for another. */
static void keep_room_behind(struct inbox *in, size_t size)
{
	if (in->start + size <= 2 * WIRE_MAX_MESSAGE)
		return;
	memmove(in->buf, in->buf + in->start, in->end - in->start);
	in->end -= in->start;
	in->start = 0;
}

int inbox_next(struct inbox *in, struct wire_message *m, const char **why)
{
	struct wire_header h;
	bool whole;

	drop_taken(in);
	if (in->start == in->end)
		return 0;
	whole = header_at(in, in->start, &h);
	if (whole && !is_size_possible(&h)) {
		*why = h.size < sizeof(h) ? "a message is shorter than its header"
					  : "a message is larger than was agreed";
		return -EINVAL;
	}
	whole = whole && in->end - in->start >= h.size;
	/* An incomplete message is the last one: what came with its bytes is its own. */
	if (in->nfresh && !(whole && is_for_later(in, in->start + h.size)) &&
	    hold_fresh(in, why) < 0)
		return -EINVAL;
	if (!whole)
		return 0;
	if (!in->base)
		keep_room_behind(in, h.size);
	in->taken = h.size;
	*m = (struct wire_message){
		.header = h,
		.payload = in->buf + in->start + sizeof(h), .len = h.size - sizeof(h),
		.fds = in->held, .nfds = in->nheld,
	};
	return 1;
}

bool inbox_peek(const struct inbox *in, struct wire_header *h)
{
	return header_at(in, in->start + in->taken, h);
}

void inbox_take_fds(struct inbox *in)
{
	in->nheld = 0;
}

bool inbox_is_partial(const struct inbox *in)
{
	return in->end - in->start > in->taken;
}

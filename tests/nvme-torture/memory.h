/* SPDX-License-Identifier: MIT */
/*
 * Memory that the device reaches, for the data of commands: at odd places, in pieces, between bytes
 * that the device must leave alone.
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <vfio-nvme.h>

#define MEMORY_PAGE   4096u
#define MEMORY_PAGES  4096u
#define MEMORY_PIECES 6u

struct memory {
	struct vfio_dma dma;
	bool is_private;		/* no file: a device elsewhere asks us for each byte */
	uint8_t pages[MEMORY_PAGES];	/* what each is */
	unsigned int next;		/* where to look for free ones */
};

/* The data of one command. */
struct buffer {
	struct vfio_nvme_piece pieces[MEMORY_PIECES];
	unsigned int n;
	size_t len;
};

int memory_open(struct memory *m, struct vfio_dev *dev, bool is_private);
/* The device is closed, and its maps have gone with it. */
void memory_close(struct memory *m);

/*
 * Room for len bytes, a multiple of 4; where and in how many pieces follows from shape. False:
 * there is none now. All of it, and what is beside it in its pages, has a pattern.
 */
bool memory_take(struct memory *m, size_t len, uint64_t shape, struct buffer *b);
/* Copy to it, and from it. */
void memory_put(struct memory *m, const struct buffer *b, const void *from);
void memory_get(struct memory *m, const struct buffer *b, void *to);
/* Is the pattern still beside it? */
bool memory_is_sound(const struct memory *m, const struct buffer *b);

/*
 * Its command was answered: it gets the pattern again, and so does the device, if it still reads
 * there.
 */
void memory_give_back(struct memory *m, const struct buffer *b);
/*
 * Its command is over without an answer. It gets the pattern, and is kept for a while, and looked
 * at before it is used again: the device must not touch it any more.
 */
void memory_set_aside(struct memory *m, const struct buffer *b);
/* Has nothing touched what is set aside? *pages is how many there were; they are free then. */
bool memory_look(struct memory *m, unsigned int *pages);

#endif

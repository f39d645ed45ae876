/* SPDX-License-Identifier: MIT */
/*
 * vfio-user messages: their layout, and what makes one well formed. No sockets, no policy.
 *
 * The protocol is for one host, so integers are in host byte order. Structures are copied in and
 * out of buffers, never cast. The client and the server share this and nothing else.
 */
#ifndef LIBVFIO_WIRE_H
#define LIBVFIO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fd.h"

enum wire_command {
	WIRE_VERSION = 1,
	WIRE_DMA_MAP = 2,
	WIRE_DMA_UNMAP = 3,
	WIRE_GET_INFO = 4,
	WIRE_GET_REGION_INFO = 5,
	WIRE_GET_REGION_IO_FDS = 6,
	WIRE_GET_IRQ_INFO = 7,
	WIRE_SET_IRQS = 8,
	WIRE_REGION_READ = 9,
	WIRE_REGION_WRITE = 10,
	WIRE_DMA_READ = 11,
	WIRE_DMA_WRITE = 12,
	WIRE_RESET = 13,
	WIRE_DIRTY_PAGES = 14,
	WIRE_REGION_WRITE_MULTI = 15,
	WIRE_DEVICE_FEATURE = 16,
	WIRE_MIG_DATA_READ = 17,
	WIRE_MIG_DATA_WRITE = 18,
	WIRE_COMMANDS,
};

#define WIRE_MAJOR 0
#define WIRE_MINOR 1

#define WIRE_TYPE     0x0fu
#define WIRE_IS_CALL  0x00u
#define WIRE_IS_REPLY 0x01u
#define WIRE_NO_REPLY 0x10u
#define WIRE_ERROR    0x20u

#define WIRE_MAX_DATA    (1u << 20)		/* bytes of data in one message */
#define WIRE_MAX_MESSAGE (WIRE_MAX_DATA + 64)	/* bytes of a whole message */
#define WIRE_MAX_VERSION 8192u			/* bytes of a VERSION message's payload */
#define WIRE_MAX_FDS     16u			/* descriptors that we say we take */

struct wire_header {
	uint16_t id, command;
	uint32_t size;			/* of the whole message */
	uint32_t flags, error;
};

struct wire_version {
	uint16_t major, minor;		/* then JSON, with its NUL */
};

struct wire_dma_map {
	uint32_t argsz, flags;
	uint64_t offset, iova, size;
};

/* Flags beside the directions, of libvfio-user: what the descriptor is for. */
#define WIRE_MAP_FILE    4u	/* to be mapped, as without a flag */
#define WIRE_MAP_PROCESS 8u	/* /proc/PID/mem: to be read and written */

#define WIRE_UNMAP_DIRTY 1u
#define WIRE_UNMAP_ALL   2u

struct wire_dma_unmap {
	uint32_t argsz, flags;
	uint64_t iova, size;
};

struct wire_device_info {
	uint32_t argsz, flags, num_regions, num_irqs;
};

struct wire_region_info {
	uint32_t argsz, flags, index, cap_offset;
	uint64_t size, offset;
};

#define WIRE_CAP_SPARSE 1

/* A sparse capability; nr_areas times struct wire_area follows. */
struct wire_sparse {
	uint16_t id, version;
	uint32_t next, nr_areas, reserved;
};

struct wire_area {
	uint64_t offset, size;
};

struct wire_io_fds {
	uint32_t argsz, flags, index, count;
};

/* An entry of the reply. libvfio-user's are longer, with the last number at 40. */
struct wire_io_fd {
	uint64_t offset, size;
	uint32_t fd_index, type, flags, padding;
	uint64_t data;
};

#define WIRE_IO_FD_LONG 48

#define WIRE_IOEVENTFD 0

struct wire_feature {
	uint32_t argsz, flags;
};

struct wire_irq_info {
	uint32_t argsz, flags, index, count;
};

struct wire_irq_set {
	uint32_t argsz, flags, index, start, count;
};

/* REGION_READ and REGION_WRITE; data follows in a write and in the reply to a read. */
struct wire_access {
	uint64_t offset;
	uint32_t region, count;
};

/* DMA_READ and DMA_WRITE; data follows in a write and in the reply to a read. */
struct wire_dma {
	uint64_t iova, count;
};

_Static_assert(sizeof(struct wire_header) == 16, "header");
_Static_assert(sizeof(struct wire_version) == 4, "version");
_Static_assert(sizeof(struct wire_dma_map) == 32, "dma_map");
_Static_assert(sizeof(struct wire_dma_unmap) == 24, "dma_unmap");
_Static_assert(sizeof(struct wire_device_info) == 16, "device_info");
_Static_assert(sizeof(struct wire_region_info) == 32, "region_info");
_Static_assert(sizeof(struct wire_sparse) == 16, "sparse");
_Static_assert(sizeof(struct wire_io_fds) == 16, "io_fds");
_Static_assert(sizeof(struct wire_io_fd) == 40, "io_fd");
_Static_assert(sizeof(struct wire_irq_set) == 20, "irq_set");
_Static_assert(sizeof(struct wire_access) == 16, "access");
_Static_assert(sizeof(struct wire_dma) == 16, "dma");

/* "REGION_READ" and so on; "command 99" has no name: NULL. */
const char *wire_command_name(uint16_t command);

/* The shortest payload that a command (not a reply) may have. */
uint32_t wire_least_payload(uint16_t command);

/* May descriptors come with it? */
bool wire_takes_fds(uint16_t command);

/* ---- version capabilities ----------------------------------------------------------------- */

struct wire_caps {
	uint32_t max_msg_fds;		/* descriptors its sender takes in one message */
	uint32_t max_data;		/* bytes of data that its sender takes in one message */
	uint32_t max_dma_maps;
	uint64_t pgsizes;
};

/* What holds for a peer that says nothing. */
void wire_caps_default(struct wire_caps *caps);

/*
 * Read the JSON of a VERSION message: len bytes, of which the last must be NUL; len 0 is legal, and
 * means defaults. 0, or -EINVAL and *why in words.
 */
int wire_caps_parse(struct wire_caps *caps, const char *json, size_t len, const char **why);

/* Write the JSON, with its NUL, into buf. Returns its length, NUL included. */
size_t wire_caps_format(const struct wire_caps *caps, char *buf, size_t room);

/* ---- framing ------------------------------------------------------------------------------ */

/* One whole message. Payload and descriptors stay in the inbox until the next inbox_next(). */
struct wire_message {
	struct wire_header header;
	const uint8_t *payload;
	uint32_t len;			/* of the payload */
	const int *fds;
	size_t nfds;
};

/*
 * The bytes of a stream that have arrived, and the descriptors that came with them. Descriptors
 * belong to the message that was being sent with them: the last one that has bytes in what one
 * receive gave, and, if that takes none, the last before it that does.
 */
struct inbox {
	uint8_t *buf;			/* WIRE_INBOX bytes */
	size_t start, end;		/* what has arrived and was not taken */
	int held[FD_MAX_PASSED];	/* descriptors of the message at start */
	size_t nheld;
	int fresh[FD_MAX_PASSED];	/* of the last receive; whose is not known yet */
	size_t nfresh;
	size_t taken;			/* bytes of the message that inbox_next() gave last */
	size_t base;			/* nothing moves below this */
};

#define WIRE_INBOX (3 * WIRE_MAX_MESSAGE)

/* -ENOMEM or 0. */
int inbox_init(struct inbox *in);
/* Descriptors that nobody took are closed. */
void inbox_finish(struct inbox *in);
/* Forget all that arrived; descriptors are closed. */
void inbox_clear(struct inbox *in);

/* Where to receive to: *room bytes at the result, and descriptors to in->fresh. */
uint8_t *inbox_room(struct inbox *in, size_t *room);
/* n bytes and in->nfresh descriptors have been received there. */
void inbox_received(struct inbox *in, size_t n);

/*
 * The next whole message: 1; 0 when there is none yet; -EINVAL and *why when the stream cannot be
 * followed any more. The descriptors of the message given before are closed, unless taken.
 */
int inbox_next(struct inbox *in, struct wire_message *m, const char **why);
/* The header of the message that inbox_next() gives next; false when that has not arrived. */
bool inbox_peek(const struct inbox *in, struct wire_header *h);
/* The caller keeps the descriptors of the message that it was given. */
void inbox_take_fds(struct inbox *in);
/*
 * Keep the payload of the message that inbox_next() gave last where it is (its descriptors are
 * closed) while later messages are received and taken; and end that, when all that were given have
 * been dealt with.
 */
void inbox_pin(struct inbox *in);
void inbox_unpin(struct inbox *in);
/* Has a message begun that is not complete? */
bool inbox_is_partial(const struct inbox *in);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A vfio-user client in raw messages, for those who mean no good. Waits as long as it takes:
 * whoever started the process kills it. Where the server ends the connection, the process ends,
 * too: that is all that an attack may cost anybody.
 */
#ifndef TORTURE_PEER_H
#define TORTURE_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mill.h"
#include "wire/wire.h"

#define PAGE 4096u
#define MIB (1u << 20)
#define READ 1u
#define WRITE 2u
#define RW 3u

#define CONFIG 7u			/* the region */

/* How an attack's process ends. */
enum {
	ENDS_WELL = 0,
	ENDS_BROKEN = 3,		/* a promise was broken; stderr has which */
};

struct peer {
	int fd;
	uint16_t id;
	struct wire_header header;	/* of what was received last */
	uint8_t payload[WIRE_MAX_MESSAGE];
	size_t len;			/* of the payload */
};

/* A number below n; each thread has to sow its own seed. */
uint64_t any(uint64_t n);
void seed_any(uint64_t seed);

/* End the process because vfiod has not kept a promise. */
_Noreturn void broken(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Just a connection. */
void peer_connect(struct peer *p, const char *path);
/* VERSION; its errno. */
int peer_hello(struct peer *p);
/* A connection that is served, with a device that may touch memory; waits for its turn. */
void peer_open(struct peer *p, const char *path);
void peer_close(struct peer *p);

/* ---- bytes -------------------------------------------------------------------------------- */

void peer_send(struct peer *p, const void *bytes, size_t len, const int *fds, size_t nfds);

/* A message into buf (WIRE_MAX_MESSAGE); its length. */
size_t peer_pack(struct peer *p, uint8_t *buf, uint16_t command, uint32_t flags, const void *body,
		 size_t len);

/* ---- messages ----------------------------------------------------------------------------- */

/* A command, without waiting for its reply. */
void peer_post(struct peer *p, uint16_t command, uint32_t flags, const void *body, size_t len,
	       const int *fds, size_t nfds);
/* The next message, whatever it is. */
void peer_receive(struct peer *p);
/* The errno of the next reply; what the server asks for meanwhile, it gets. */
int peer_reply(struct peer *p);
/* Both. */
int peer_call(struct peer *p, uint16_t command, const void *body, size_t len, const int *fds,
	      size_t nfds);
/* Answer what was received last, a request for memory, as one should. */
void peer_answer(struct peer *p);

/* ---- maps and the mill -------------------------------------------------------------------- */

struct wire_dma_map map_of(uint64_t iova, uint64_t size, uint64_t offset, uint32_t prot);
struct wire_dma_unmap unmap_of(uint64_t iova, uint64_t size);

/* The errno of DMA_MAP and DMA_UNMAP; fd -1: memory by message. */
int peer_map(struct peer *p, uint64_t iova, uint64_t size, uint64_t offset, uint32_t prot, int fd);
int peer_unmap(struct peer *p, uint64_t iova, uint64_t size);
int peer_unmap_all(struct peer *p);

/* Give the mill an order without waiting. Its reply is wanted or (WIRE_NO_REPLY) not. */
void peer_order(struct peer *p, uint64_t command, uint64_t from, uint64_t to, uint64_t len,
		uint32_t flags);
/* The same, and wait; the errno of what it did. */
int peer_mill(struct peer *p, uint64_t command, uint64_t from, uint64_t to, uint64_t len);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * A device behind a vfio-user socket.
 *
 *   link.c             one command at a time and its reply; the server's requests for our memory
 *   socket.c           the contract, each call as a command
 *   socket_dma.c       the part of it that is about memory
 *   socket_doorbell.c  eventfds that wake the device
 *   socket_open.c      connecting, greeting, and what can go wrong then
 */
#ifndef LIBVFIO_BACKENDS_SOCKET_H
#define LIBVFIO_BACKENDS_SOCKET_H

#include "backends/backends.h"
#include "backends/link.h"

#define MAX_REGIONS 64
#define MAX_INDEXES 16

/* Doorbells of a region, and the eventfds that several of them may share. */
struct region_doorbells {
	unsigned int count;
	struct doorbell list[MAX_DOORBELLS];
	size_t nfds;
	int fds[WIRE_MAX_FDS];		/* ours */
};

struct sock {
	struct vfio_dev dev;
	struct link link;
	/*
	 * The driver's maps: what the server may ask for by message, and the checks of a map before
	 * it is sent.
	 */
	struct space space;
	struct vfio_device_info info;
	struct vfio_region regions[MAX_REGIONS];	/* fds are ours */
	bool asked[MAX_REGIONS];
	struct region_doorbells *doorbells[MAX_REGIONS];	/* NULL: not asked for */
	bool enabled[MAX_INDEXES];	/* interrupt indexes that have eventfds */
	uint64_t records;		/* the cursor of those that were read */
	bool is_mute;			/* the server has none */
	bool takes_no_process;		/* it does not know descriptors of a process's memory */
	bool unmaps_one;		/* it does not unmap all maps at once */
	char *path;			/* of the server's socket; NULL: it is not known */
};

extern const struct backend socket_backend;

/* link_call(), and what the server knows about a refusal. */
int socket_call(struct sock *s, struct exchange *x);

/* Forget what came over the connection, and close it. */
void socket_disconnect(struct sock *s);
/* The same, and connect anew: the only way back to power-on that the protocol has. */
int socket_reconnect(struct sock *s);

/* Have s->regions[index] filled: asked for once. */
int socket_need_region(struct sock *s, uint32_t index);

/* socket_doorbell.c */
int socket_doorbells(struct vfio_dev *dev, uint32_t region, struct doorbell *list,
		     unsigned int max);
void socket_forget_doorbells(struct sock *s, uint32_t region);

/* socket_dma.c */
int socket_dma_map(struct vfio_dev *dev, const struct dma_map *map);
int socket_dma_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t *unmapped);

#endif

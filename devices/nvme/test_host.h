/* SPDX-License-Identifier: MIT */
/*
 * The least of a driver that an NVMe controller works with, for tests of devices/nvme: commands as
 * they are, one at a time or as they come. It asserts (cmocka) what every controller has to do, and
 * gives the rest to the test.
 */
#ifndef TEST_HOST_H
#define TEST_HOST_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <vfio/driver.h>
#include <vfio/nvme.h>

#define HOST_PAGE    4096u
#define HOST_QUEUES  8u
#define HOST_ENTRIES 64u		/* of the admin queues */
#define HOST_DATA    (64 * HOST_PAGE)
#define HOST_CC      0x00460001u	/* entries of 64 and 16 bytes, enabled */

struct host_queue {
	uint16_t id;
	uint32_t entries, tail, head;
	uint16_t phase;
	struct vfio_dma sq, cq;
};

struct vfio_server;

struct host {
	struct vfio_dev *dev;
	struct vfio_server *server;	/* the device is behind a socket, in a thread; or NULL */
	pthread_t thread;
	bool by_message;		/* and asks for each byte of memory */
	struct host_queue queues[HOST_QUEUES];	/* 0: the admin queue */
	struct vfio_dma data;
	uint32_t *shadow;		/* 5.7; or NULL: registers */
	uint16_t next_cid;
	struct vfio_nvme_completion last;
};

/*
 * Open the device and get memory; the controller is as it is after power-on. It is in this process,
 * unless the program was called with "socket" or "message" and has told so.
 */
void host_open(struct host *h, const char *device);
void host_take_road(int argc, char **argv);
/* The same behind a socket. by_message: the device cannot reach memory, and has to ask for it. */
void host_open_served(struct host *h, const char *device, bool by_message);
void host_close(struct host *h);

uint32_t host_get(struct host *h, uint32_t reg);
uint64_t host_get64(struct host *h, uint32_t reg);
void host_put(struct host *h, uint32_t reg, uint32_t value);
void host_put64(struct host *h, uint32_t reg, uint64_t value);

/* 7.6.1: admin queues, then CC. The controller becomes ready. */
void host_enable(struct host *h);
/* CC.EN is cleared: all queues are gone. */
void host_disable(struct host *h);

/* A command for Create I/O Completion or Submission Queue; queue n of the same number for both. */
struct vfio_nvme_command host_create_cq(struct host *h, uint16_t qid, uint32_t entries);
struct vfio_nvme_command host_create_sq(struct host *h, uint16_t qid, uint32_t entries);
void host_make_queues(struct host *h, uint16_t qid, uint32_t entries);

/* Submit; returns the identifier that the command got. */
uint16_t host_submit(struct host *h, uint16_t qid, struct vfio_nvme_command cmd);
/* The next answer of the queue, into last: its status. Fails the test when none comes. */
uint16_t host_answer(struct host *h, uint16_t qid);
/* Let the device work; is there no answer? */
bool host_silent(struct host *h, uint16_t qid);
/* Submit, and the answer to it. */
uint16_t host_run(struct host *h, uint16_t qid, struct vfio_nvme_command cmd);
/* As an admin command; its first data page is data. */
uint16_t host_admin(struct host *h, struct vfio_nvme_command cmd);
/* Read or Write: blocks, of data. */
uint16_t host_io(struct host *h, uint16_t qid, uint8_t opcode, uint32_t nsid, uint64_t lba,
		 uint16_t blocks);

/* A doorbell as it is; by the shadow if there is one. */
void host_ring(struct host *h, uint16_t qid, bool completion, uint32_t value);

#endif

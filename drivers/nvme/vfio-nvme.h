/* SPDX-License-Identifier: MIT */
/*
 * A user-level driver for NVMe controllers, on libvfio: a disk in software behind a socket, in this
 * process, or the card. NVM Express 1.4.
 *
 *     struct vfio_nvme *nvme;
 *     struct vfio_nvme_queue *queue;
 *     struct vfio_nvme_done done;
 *     struct vfio_dma buffer;
 *     …
 *     vfio_nvme_open(&nvme, NULL, NULL, &err);                          $VFIO_DEVICE
 *     vfio_nvme_queue_new(&queue, nvme, NULL);
 *     vfio_dma_alloc(vfio_nvme_device(nvme), &buffer, 4096, VFIO_DMA_RW);
 *     vfio_nvme_read(queue, vfio_nvme_namespace(nvme, 1), 0, 1, buffer.iova, NULL);
 *     vfio_nvme_ring(queue);
 *     vfio_nvme_wait(queue, &done, 1, -1);                            done.status is 0: all is well
 *
 * Threads.  The controller, and with it all calls but those of queues, belongs to one thread at a
 *           time, its owner. Each queue belongs to one thread at a time, which may be another one:
 *           no two queues share anything that is written, and none takes a lock. Before the owner
 *           resets the controller, frees a queue or closes, threads of those queues are at rest.
 * Errors.   0 or positive, or a negative errno; of the controller's calls vfio_nvme_error() has the
 *           record. A command's own failure is not that: it is in done.status.
 */
#ifndef VFIO_NVME_DRIVER_H
#define VFIO_NVME_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vfio/driver.h>
#include <vfio/nvme.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vfio_nvme;
struct vfio_nvme_queue;

/* ---- the controller ------------------------------------------------------------------------ */

struct vfio_nvme_options {
	size_t size;			/* sizeof(struct vfio_nvme_options) */
	unsigned int queues;		/* I/O queues that will be made, at most 1024; 0: 64 */
	unsigned int timeout_ms;	/* of admin commands, and see vfio_nvme_check(); 0: 30000 */
	bool no_interrupts;		/* no vectors are enabled: vfio_nvme_wait() polls */
	bool no_sgl;			/* PRP lists always */
	bool no_shadow;			/* doorbells are always registers (no doorbell buffers) */
};

/*
 * Open a device (as vfio_open()) and bring the controller up: 7.6.1, step by step. -ENODEV and a
 * record when it is no NVMe controller, or does not get ready; else as vfio_open(). options and err
 * may be NULL.
 */
int vfio_nvme_open(struct vfio_nvme **nvme, const char *device,
		   const struct vfio_nvme_options *options, struct vfio_error *err);

/*
 * The same with a device that is open. On success the handle is the controller's, which closes it;
 * on failure it is the caller's still, with bus mastering and interrupts off.
 */
int vfio_nvme_attach(struct vfio_nvme **nvme, struct vfio_dev *dev,
		     const struct vfio_nvme_options *options, struct vfio_error *err);

/*
 * Shut the controller down in order (7.6.2), free its queues, and close the device. Accepts NULL.
 * What was written and not flushed is safe, too, if the controller answers.
 */
void vfio_nvme_close(struct vfio_nvme *nvme);

/* The device below, for memory (vfio_dma_alloc()) and everything else. */
struct vfio_dev *vfio_nvme_device(struct vfio_nvme *nvme);

/* The record of the controller's last call that failed. */
const struct vfio_error *vfio_nvme_error(const struct vfio_nvme *nvme);

/* What Identify Controller said. */
const struct vfio_nvme_controller_data *vfio_nvme_identity(const struct vfio_nvme *nvme);

/* CAP, VS and CSTS as they are now; UINT64_MAX in all when the device has gone. */
struct vfio_nvme_registers {
	uint64_t cap;
	uint32_t vs, csts;
};
void vfio_nvme_registers(struct vfio_nvme *nvme, struct vfio_nvme_registers *registers);

/* ---- namespaces ---------------------------------------------------------------------------- */

/*
 * As they were when the controller was opened; the controller's until it is closed. One whose
 * blocks cannot be used here (with metadata, or of less than 512 bytes or more than 64 KiB) has no
 * blocks.
 */
struct vfio_nvme_namespace {
	uint32_t nsid;
	uint32_t block_shift;		/* blocks are 1 << block_shift bytes */
	uint64_t blocks;
	uint32_t max_blocks;		/* of one read or write */
	/* For the calls below: blocks of one page, and the last LBA where so many are. */
	uint32_t page_blocks;
	uint64_t page_last;
	bool read_only;
	struct vfio_nvme_namespace_data data;
};

/* NULL when there is none of that number. The first 1024 are known. */
const struct vfio_nvme_namespace *vfio_nvme_namespace(struct vfio_nvme *nvme, uint32_t nsid);

/* The active one that follows nsid (0: the first); NULL at the end. */
const struct vfio_nvme_namespace *vfio_nvme_next_namespace(struct vfio_nvme *nvme, uint32_t nsid);

/* ---- admin commands ------------------------------------------------------------------------ */

/*
 * Send an admin command and wait for it. len bytes of data (at most VFIO_NVME_ADMIN_DATA, what the
 * controller takes, and what there is in one piece, a multiple of 4) are at data, which the
 * controller gets when to_device, and fills else. cid and, if len is not 0, the data pointers of
 * cmd are filled in here. 0 and *result (unless NULL); -EIO and a record with the status when the
 * command failed, vfio_nvme_status() has it as a number. -ETIMEDOUT when there is no answer: from
 * then on, as when the controller fails in another way, all is -ESHUTDOWN, with the record of what
 * happened, until vfio_nvme_reset().
 */
#define VFIO_NVME_ADMIN_DATA (128u << 10)
int vfio_nvme_admin(struct vfio_nvme *nvme, const struct vfio_nvme_command *cmd, void *data,
		    size_t len, bool to_device, uint32_t *result);

/*
 * The status of the last admin command: 0, or VFIO_NVME_STATUS(), with VFIO_NVME_STATUS_DNR,
 * _MORE.
 */
uint16_t vfio_nvme_status(const struct vfio_nvme *nvme);

/* "LBA out of range", for people. Of an unknown one "status 1/42", the thread's until the next. */
const char *vfio_nvme_status_text(uint16_t status);

/* A log page (VFIO_NVME_LOG_…), from its beginning: as vfio_nvme_admin(). */
int vfio_nvme_log(struct vfio_nvme *nvme, uint8_t page, uint32_t nsid, void *data, size_t len);

/*
 * An event that the controller has told of (5.2): 1 and *event (dword 0), 0: none. Does not wait.
 */
int vfio_nvme_event(struct vfio_nvme *nvme, uint32_t *event);

/* ---- queues -------------------------------------------------------------------------------- */

struct vfio_nvme_queue_options {
	size_t size;			/* sizeof(struct vfio_nvme_queue_options) */
	unsigned int entries;		/* 2 to what CAP says; 0: 256. Less one is the depth */
	/*
	 * Another thread than the owner uses it. Then vfio_nvme_wait() does not serve what the
	 * device asks of the owner (a device in this process does its work there): the owner
	 * calls vfio_dispatch() meanwhile.
	 */
	bool threaded;
};

/*
 * Make a completion queue and a submission queue, with an interrupt vector. Queues of the owner's
 * share one when there are not enough; a threaded one then has none. Where addresses are physical,
 * there may be no memory in one piece for more than a page's 64 entries: then it has fewer than
 * were asked for, which vfio_nvme_queue_depth() says. -ENOSPC when the controller grants no more
 * queues; -ENOTSUP: threaded, and the device's doorbells cannot be mapped.
 */
int vfio_nvme_queue_new(struct vfio_nvme_queue **queue, struct vfio_nvme *nvme,
			const struct vfio_nvme_queue_options *options);

/* Delete both; commands that are under way get no answer, and are done with. Accepts NULL. */
void vfio_nvme_queue_free(struct vfio_nvme_queue *queue);

uint16_t vfio_nvme_queue_id(const struct vfio_nvme_queue *queue);

/* How many commands can be under way, and are. */
unsigned int vfio_nvme_queue_depth(const struct vfio_nvme_queue *queue);
unsigned int vfio_nvme_queue_busy(const struct vfio_nvme_queue *queue);

/* The eventfd of its interrupt, for a poll loop; -1: it has none. */
int vfio_nvme_queue_fd(const struct vfio_nvme_queue *queue);

/* ---- commands ------------------------------------------------------------------------------ */

/*
 * Put a command into the queue; the controller sees it at the next vfio_nvme_ring(). Data are at
 * I/O address iova, contiguous and 4-byte aligned. tag comes back with the answer. 0; -EAGAIN when
 * the queue is full: poll; -EINVAL: no block, more than the namespace allows in one command, or
 * past its end, or iova is not aligned; -ESHUTDOWN after the controller, or this queue, has failed
 * or gone, until vfio_nvme_reset().
 */
int vfio_nvme_read(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns,
		   uint64_t lba, uint32_t blocks, uint64_t iova, void *tag);
int vfio_nvme_write(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns,
		    uint64_t lba, uint32_t blocks, uint64_t iova, void *tag);
int vfio_nvme_flush(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns, void *tag);
int vfio_nvme_write_zeroes(struct vfio_nvme_queue *queue, const struct vfio_nvme_namespace *ns,
			   uint64_t lba, uint32_t blocks, bool deallocate, void *tag);

/*
 * Any command: its cid and, if len (a multiple of 4) is not 0, its data pointers are filled in
 * here; the rest is the caller's.
 */
int vfio_nvme_submit(struct vfio_nvme_queue *queue, const struct vfio_nvme_command *cmd,
		     uint64_t iova, size_t len, void *tag);

/*
 * Data in pieces: all but the first begin, and all but the last end, at a multiple of 4096. -EINVAL
 * when not so, or when they are more than the controller takes in one command.
 */
struct vfio_nvme_piece {
	uint64_t iova;
	size_t len;
};
int vfio_nvme_submit_pieces(struct vfio_nvme_queue *queue, const struct vfio_nvme_command *cmd,
			    const struct vfio_nvme_piece *pieces, unsigned int n, void *tag);

/* Tell the controller of the commands that were put since the last time. */
void vfio_nvme_ring(struct vfio_nvme_queue *queue);

/* An answer. */
struct vfio_nvme_done {
	void *tag;
	uint32_t result;
	uint16_t status;		/* 0, or as vfio_nvme_status() */
};

/*
 * Take up to max answers that are there: their number. -EPROTO when the controller has answered
 * what nobody asked: the queue is broken; -ESHUTDOWN as above, when none is there any more.
 */
int vfio_nvme_poll(struct vfio_nvme_queue *queue, struct vfio_nvme_done *done, unsigned int max);

/*
 * Ring, then wait up to timeout_ms (-1: for ever, 0: look) for answers: polls for a short time,
 * then sleeps until the interrupt, if there is one. Their number, 0 when the time was over, or as
 * vfio_nvme_poll(). In the owner's thread it notices, too, when there is no controller any more.
 */
int vfio_nvme_wait(struct vfio_nvme_queue *queue, struct vfio_nvme_done *done, unsigned int max,
		   int timeout_ms);

/* ---- when things go wrong ------------------------------------------------------------------ */

/*
 * A disk that is wanted back (hot-unplug, another driver), or has reported an error of its bus,
 * says so by vfio_event() and vfio_event_fd() of vfio_nvme_device(): for the owner to look at now
 * and then. Put no more commands, take answers that come, and vfio_nvme_close(): somebody waits for
 * that.
 */

/*
 * Is the controller alive? To be called by the owner now and then (every second, say), while
 * queues are at work. 0; -ETIMEDOUT when a command of some queue has had no answer for timeout_ms;
 * -EPROTO when one has had an answer that nobody asked; -EIO when the controller reports a fatal
 * state, or was reset; -ENODEV when it has gone (hot removal). From then on its queues say
 * -ESHUTDOWN.
 */
int vfio_nvme_check(struct vfio_nvme *nvme);

/*
 * Reset the controller, bring it up and make all its queues again. Commands whose answer was not
 * taken are answered with VFIO_NVME_ABORT_REQUESTED by vfio_nvme_poll(): whether they were done is
 * not known. Threads of its queues are at rest meanwhile. As vfio_nvme_open(); if it fails, it can
 * be tried again.
 */
int vfio_nvme_reset(struct vfio_nvme *nvme);

#ifdef __cplusplus
}
#endif
#endif

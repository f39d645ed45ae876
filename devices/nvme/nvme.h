/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller: what the files of this device offer each other. NVM Express 1.4; numbers in
 * comments are its sections.
 *
 *   options.c     the device string
 *   device.c      the PCI function; making and freeing a controller
 *   registers.c   3.1: BAR 0; the states of the controller
 *   poll.c        when the device works and when it sleeps; doorbells
 *   queues.c      4.1, 4.6: fetching commands, posting answers, interrupts
 *   data.c        4.3, 4.4: where a command's data are
 *   io.c          6: I/O commands
 *   admin.c, admin_queues.c, identify.c, features.c, logs.c, events.c, format.c
 *                 5: admin commands
 *   files.c …     namespaces in files and on block devices
 *
 * Everything runs in the function's one thread. A call that copies the driver's memory may have to
 * ask the driver for it, and meanwhile registers are written: after one, see whether the controller
 * was reset (nvme->life).
 */
#ifndef NVME_H
#define NVME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include <vfio/device.h>
#include <vfio/nvme.h>

#define PAGE         4096u	/* the one page size: CAP.MPSMIN and MPSMAX are 0 */
#define MAX_IO_QUEUES 64u
#define MAX_QUEUES   (MAX_IO_QUEUES + 1)
#define MAX_ENTRIES  4096u	/* of a queue: CAP.MQES + 1 */
#define MAX_NAMESPACES 32u
#define MDTS         8u		/* a command moves at most PAGE << MDTS bytes */
#define MAX_TRANSFER ((size_t)PAGE << MDTS)
#define MAX_PIECES   1024u	/* of a command's data; as many as readv() takes */
#define MAX_EVENTS   8u		/* asynchronous event requests under way: AERL + 1 */
#define ERROR_ENTRIES 64u	/* of the error log: ELPE + 1 */

/* BAR 0: registers, the page of doorbells, MSI-X table and pending bits. */
#define BAR_SIZE     0x4000u
#define BAR_TABLE    0x2000u
#define BAR_PENDING  0x3000u

#define PCI_VENDOR   0x1234u	/* and the subsystem's */

#define BROADCAST    0xffffffffu	/* NSID: all namespaces */

/* Nothing here becomes warm. */
#define KELVIN          300u
#define WARNING_KELVIN  343u
#define CRITICAL_KELVIN 373u

#define FORMATS      2u		/* of blocks: 5.23 */

struct nvme;
struct files;

/* ---- options ------------------------------------------------------------------------------- */

/* One namespace, as the device string asks for it. */
struct namespace_options {
	char *file;			/* or NULL: */
	uint64_t memory;		/* bytes */
	uint32_t block;			/* bytes: 512 or 4096 */
	bool read_only, direct;
};

struct options {
	struct namespace_options namespaces[MAX_NAMESPACES];
	unsigned int nnamespaces;
	unsigned int queues;		/* I/O queue pairs */
	char serial[21];
	/* Microseconds that it polls after its last work; and between looks while it sleeps, at most. */
	uint32_t poll, look;
	bool synchronous;		/* no io_uring */
};

int options_parse(struct options *o, const char *text, struct vfio_error *err);
void options_free(struct options *o);

/* Fill *err; returns the negative errno. */
int refuse(struct vfio_error *err, int number, enum vfio_error_code code, const char *remedy,
	   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ---- namespaces ---------------------------------------------------------------------------- */

struct namespace {
	uint32_t nsid;
	uint32_t block_shift;
	uint64_t blocks;
	uint64_t bytes;			/* of the medium; Format NVM makes blocks of them */
	uint8_t *memory;		/* its bytes, or NULL: */
	int fd;				/* they are in a file */
	bool is_block_device;
	bool read_only, direct;
	uint8_t nguid[16];
};

/* ---- queues -------------------------------------------------------------------------------- */

/*
 * Where a queue's entries are. at is NULL until it is needed, and after the driver has unmapped it:
 * see ring_find().
 */
struct ring {
	uint64_t iova;
	uint32_t entries, entry_size;
	uint8_t *at;
	bool by_copy;			/* not reachable in place */
};

struct cq {
	bool exists;
	uint16_t id, vector;
	struct ring ring;
	uint32_t tail;			/* where the next answer goes */
	uint32_t head;			/* as it was when somebody looked last */
	uint32_t expected;		/* answers that will come: commands under way */
	uint16_t phase;			/* of the next answer */
	bool interrupts;
	bool fresh;			/* there are answers that no interrupt told of */
	bool bad_doorbell;		/* and an event has told of it */
	unsigned int users;		/* submission queues */
};

struct sq {
	bool exists;
	uint16_t id;
	struct ring ring;
	uint32_t head;
	uint32_t tail;			/* the doorbell, as it was seen last */
	uint32_t told_at;		/* the head at which its event index was set */
	struct cq *cq;
	bool bad_doorbell;
	bool waits;			/* the next command cannot begin yet */
};

/* A status that is none: the answer comes later, by request_end() or events.c. */
#define LATER   0xffffu
/* Another: the command cannot begin yet, and is to be fetched again. */
#define NOT_YET 0xfffeu

/* ---- commands under way that wait for a file ----------------------------------------------- */

struct request {
	struct nvme *nvme;
	struct sq *sq;			/* who asked; NULL: the controller itself, io_flush(), */
	uint64_t life;			/* in which life of the controller */
	struct namespace *ns;
	uint16_t cid;
	uint8_t opcode;
	bool fua;			/* on the medium before it is answered */
	bool copied;			/* iov is bounce, and the driver's memory is pieces */
	uint64_t offset, bytes;		/* in the namespace */
	struct iovec *iov;		/* MAX_PIECES; of the driver's memory */
	unsigned int niov;
	uint8_t *bounce;		/* or NULL; freed by request_end() */
	struct vfio_nvme_command command;
	struct vfio_nvme_range *ranges;	/* of Dataset Management, or NULL; freed, too */
	unsigned int nranges;
	void *backend;			/* files.c's own */
	struct request *next;
};

/* ---- the controller ------------------------------------------------------------------------ */

struct counters {
	uint64_t reads, writes, sectors_read, sectors_written;	/* sectors of 512 bytes */
	uint64_t media_errors, errors, power_cycles, unsafe_shutdowns;
	uint64_t busy_us;
	uint64_t made_at;		/* CLOCK_MONOTONIC, seconds */
};

struct features {
	uint32_t arbitration, power, write_cache, coalescing, atomicity, async_events;
	uint32_t over_temperature, under_temperature;
	uint32_t error_recovery[MAX_NAMESPACES];
	uint16_t vectors[MAX_QUEUES];	/* coalescing disabled, by vector: bit 0 */
	uint64_t timestamp;		/* ms, as set, */
	uint64_t timestamp_at;		/* and when */
	bool timestamp_set;
};

struct nvme {
	struct vfio_function *fn;
	struct options options;
	struct namespace namespaces[MAX_NAMESPACES];
	unsigned int nnamespaces;
	struct files *files;		/* what files and block devices need; NULL without any */
	uint64_t life;			/* counts resets of the controller */

	/* 3.1: registers */
	uint64_t cap, asq, acq;
	uint32_t cc, csts, aqa, int_mask;
	bool intx;			/* asserted */
	unsigned int flushes;		/* that a shutdown waits for */

	/* 4.1 */
	struct sq sqs[MAX_QUEUES];
	struct cq cqs[MAX_QUEUES];
	uint16_t live[MAX_QUEUES];	/* which submission queues there are, ascending */
	unsigned int nlive;
	uint16_t fresh[MAX_QUEUES];	/* completion queues with fresh answers */
	unsigned int nfresh;

	/* 3.1.24, 5.7: doorbells */
	uint32_t *doorbells;		/* the page in BAR 0 */
	struct ring shadow, events;	/* one entry each, of a page; iova 0: there are none */

	/* poll.c */
	unsigned int power;		/* the capability of power management */
	int busy_fd, timer_fd;
	bool awake;
	uint64_t last_work;		/* ns */
	uint64_t slice_end;		/* ns: then others are to be served */
	bool slice_over;
	unsigned int first;		/* which of live has its turn first */
	uint32_t look_us;

	/* 5 */
	struct features features;
	uint16_t async_cids[MAX_EVENTS];	/* requests of events that wait */
	unsigned int nasync;
	uint32_t pending_events[16];		/* events that wait for a request */
	unsigned int npending;
	uint32_t masked_events;			/* types that wait for their log page to be read */
	struct vfio_nvme_error_entry errors[ERROR_ENTRIES];
	uint64_t error_count;
	uint32_t changed;		/* namespaces, by bit, that were formatted: 5.14.1.4 */
	struct counters counters;
	unsigned int under_way;		/* requests of files */
};

/* ---- device.c, registers.c ----------------------------------------------------------------- */

uint64_t controller_read(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			 unsigned int width);
void controller_write(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		      unsigned int width, uint64_t value);
/* The controller's power-on state, or CC.EN cleared: 7.3.2. */
void controller_reset(struct nvme *n);
/* A queue cannot be reached any more: CSTS.CFS; nothing is done until a reset. */
void controller_fail(struct nvme *n);
/* CC says how large entries of I/O queues are. */
bool controller_has_entry_sizes(const struct nvme *n);
/* One of the flushes of a shutdown, begun in that life, is over. */
void controller_flushed(struct nvme *n, uint64_t life);
static inline bool controller_runs(const struct nvme *n)
{
	return VFIO_NVME_GET(n->csts, CSTS_RDY) && !VFIO_NVME_GET(n->csts, CSTS_CFS);
}

/* ---- poll.c -------------------------------------------------------------------------------- */

int poll_init(struct nvme *n);
void poll_finish(struct nvme *n);
/* There may be work. */
void poll_wake(struct nvme *n);
/* A command took its time: perhaps others are to be served now, before the next one. */
void poll_took_time(struct nvme *n);
/* Nothing of queues is to be looked at any more, or again: they were made or deleted. */
void poll_queues_changed(struct nvme *n);
/* Doorbells, or their shadow: the value as it is there. */
uint32_t sq_doorbell(const struct nvme *n, const struct sq *sq);
uint32_t cq_doorbell(const struct nvme *n, const struct cq *cq);
/* Zero both doorbells of a queue, and their shadow, before it begins. */
void doorbell_clear(struct nvme *n, uint16_t qid, bool completion);

/* ---- queues.c ------------------------------------------------------------------------------ */

void sq_start(struct nvme *n, uint16_t qid, struct cq *cq, uint64_t iova, uint32_t entries);
void cq_start(struct nvme *n, uint16_t qid, uint64_t iova, uint32_t entries, bool interrupts,
	      uint16_t vector);
void sq_stop(struct nvme *n, struct sq *sq);
void cq_stop(struct nvme *n, struct cq *cq);
/* Fetch and execute what is there, up to a limit. Was there something? */
bool sq_work(struct nvme *n, struct sq *sq);
/* Answer a command of the queue that was fetched. status as VFIO_NVME_STATUS(). */
void answer(struct nvme *n, struct sq *sq, uint16_t cid, uint16_t status, uint32_t result);
/* Interrupts for fresh answers. */
void queues_tell(struct nvme *n);
/* The lowest capability that has the identity, by the function's own registers; 0: none. */
unsigned int find_capability(struct nvme *n, uint8_t id);
/* The level of the pin: INTMS or INTMC was written, queues have gone. */
void intx_update(struct nvme *n);
/* The driver unmaps: forget where rings are. */
void queues_forget(struct nvme *n, uint64_t iova, uint64_t size);
/* Its place in this process; NULL: by_copy, or not now, or it cannot be reached at all (*lost). */
uint8_t *ring_find(struct nvme *n, struct ring *ring, uint32_t prot, bool *lost);

/* ---- data.c -------------------------------------------------------------------------------- */

struct piece {
	uint64_t iova;
	size_t len;
};

/* The pieces of len bytes (at most MAX_TRANSFER) of data, neighbours joined: a status, and *count. */
uint16_t data_pieces(struct nvme *n, const struct vfio_nvme_command *cmd, size_t len,
		     struct piece pieces[MAX_PIECES], unsigned int *count);
/* Pieces in place, as iovec: their number; 0: not all can be (use data_copy()); -1: a fault. */
int data_spans(struct nvme *n, const struct piece *pieces, unsigned int count, uint32_t prot,
	       struct iovec *iov);
/* Copy buf to the driver (VFIO_DMA_WRITE), or from it: a status. */
uint16_t data_copy(struct nvme *n, const struct piece *pieces, unsigned int count, uint32_t prot,
		   void *buf);
/* All at once, for admin commands: the first len bytes of the command's data. */
uint16_t data_give(struct nvme *n, const struct vfio_nvme_command *cmd, const void *buf, size_t len);
uint16_t data_take(struct nvme *n, const struct vfio_nvme_command *cmd, void *buf, size_t len);

/* ---- io.c ---------------------------------------------------------------------------------- */

/* A status, or LATER. */
uint16_t io_execute(struct nvme *n, struct sq *sq, const struct vfio_nvme_command *cmd);
/* A Flush of the controller's own; nothing else is under way. Then controller_flushed(). */
void io_flush(struct nvme *n, struct namespace *ns);
/* NULL: there is none of that number. */
static inline struct namespace *namespace_of(struct nvme *n, uint32_t nsid)
{
	return nsid - 1 < n->nnamespaces ? &n->namespaces[nsid - 1] : NULL;
}

/* ---- files.c and what is behind it --------------------------------------------------------- */

/* Open what the options name and describe it in ns; in the end files_start() the whole. */
int files_open(struct nvme *n, struct namespace *ns, const struct namespace_options *o,
	       struct vfio_error *err);
/* Everything is open: what is needed to read and write. -errno and *err. */
int files_ready(struct nvme *n, struct vfio_error *err);
void files_close(struct nvme *n);
/* A request to fill in, or NULL: as many as can be are under way. */
struct request *files_request(struct nvme *n);
/* Give back one that is not begun. */
void files_unused(struct nvme *n, struct request *r);
/*
 * Begin it: Read, Write, Compare, Write Zeroes, Dataset Management, Flush. It ends by request_end(),
 * here or later; one that overlaps another in the blocks that are written waits for that.
 */
void files_begin(struct nvme *n, struct request *r);
/* Hand the kernel what was begun; end what is done. Did one end? */
bool files_poll(struct nvme *n);
/* Until nothing is under way. */
void files_drain(struct nvme *n);
/*
 * At once, when nothing is under way: what was written is on the medium (nothing to do for memory);
 * the namespace's bytes read as zeros. 0, or a negative errno.
 */
int files_flush(struct nvme *n, struct namespace *ns);
int files_erase(struct nvme *n, struct namespace *ns);
/* Is something begun that the kernel could not take yet, and files_poll() is to hand over again? */
bool files_left(const struct nvme *n);
/* Readable when files_poll() has something to end; -1: never. */
int files_fd(const struct nvme *n);
/* A request is over; io.c answers it, and it can be used again. bytes_done for Read and Compare. */
void request_end(struct request *r, uint16_t status);

/* ---- admin commands ------------------------------------------------------------------------ */

/* A status, or LATER; *result is dword 0 of the answer. */
uint16_t admin_execute(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result);

/* A command as it was fetched: a status, or LATER. */
typedef uint16_t admin_execute_fn(struct nvme *n, const struct vfio_nvme_command *cmd,
				  uint32_t *result);

admin_execute_fn create_cq, create_sq, delete_cq, delete_sq, doorbell_buffers, identify,
	set_features, get_features, get_log_page, async_event, abort_command, format_nvm;
bool admin_supports(uint8_t opcode);

/* identify.c */
bool has_write_cache(const struct nvme *n);
void firmware_revision(char to[8]);

/* format.c: log2 of the size of blocks in a format below FORMATS. */
uint32_t format_shift(unsigned int format);

/* events.c, 5.2. Types and what they say: figures 146 to 149. */
#define EVENT_ERROR  0u
#define EVENT_INVALID_DOORBELL  0u	/* its register is of no queue */
#define EVENT_INVALID_VALUE     1u
#define EVENT_SMART  1u
#define EVENT_TEMPERATURE       1u
#define EVENT_NOTICE 2u
#define EVENT_NAMESPACE_CHANGED 0u
#define EVENTS_NAMESPACES 0x100u	/* feature 0Bh: EVENT_NAMESPACE_CHANGED is wanted */
void event_raise(struct nvme *n, uint8_t type, uint8_t info, uint8_t log_page);
/* Events can be told now that could not before. */
void events_tell(struct nvme *n);
/* A log page was read, and its events not retained. */
void events_read(struct nvme *n, uint8_t log_page);
void events_reset(struct nvme *n);

/* logs.c: a command failed, or (cid 0xffff) something that was no command. */
void error_log(struct nvme *n, const struct sq *sq, const struct vfio_nvme_command *cmd,
	       uint16_t status);
/* 5.14.1.2, byte 0 of the health log. */
uint8_t critical_warning(const struct nvme *n);
void features_reset(struct nvme *n);

#endif

/* SPDX-License-Identifier: MIT */
/* What the files of the NVMe driver know of each other. */
#ifndef NVME_PRIVATE_H
#define NVME_PRIVATE_H

#include <endian.h>
#include <stdlib.h>

#include "vfio-nvme.h"

#define NVME_PAGE     4096u		/* CC.MPS is 0, whatever the pages of this machine */
#define NVME_BAR      VFIO_PCI_BAR0_REGION_INDEX
#define NVME_MAX_DATA (2u << 20)	/* of one command: its PRP list is one page */
#define NVME_EVENTS   4u		/* asynchronous event requests under way */
#define NVME_EPOCHS   8u
#define NVME_ADMIN_ENTRIES 32u

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* ---- queues --------------------------------------------------------------------------------- */

/* A command id. The epoch is that in which it was given out: how old is its command? */
struct nvme_slot {
	void *tag;
	uint32_t epoch;
};

#define NVME_PHASE 0x10000u		/* of an answer's last dword; the command id is below */

#define NVME_FREE 0u			/* no epoch: no command is under way */

struct nvme_doorbell {
	uint32_t *shadow, *event;	/* doorbell buffers (7.13); NULL: none */
	volatile uint32_t *plain;	/* the register, if storing there is all there is to do */
	volatile uint32_t *mapped;	/* the register; NULL: not mapped */
	uint32_t offset;		/* of the register from VFIO_NVME_DOORBELLS */
};

/* Queue entries as they are stored and read fastest. */
struct nvme_entry {			/* struct vfio_nvme_command */
	uint32_t cid_opcode, nsid;
	uint64_t reserved, mptr, prp1, prp2, lba, blocks, cdw14;
};

struct nvme_answer {
	uint32_t dword[4];		/* struct vfio_nvme_completion */
};

/*
 * What commands need comes first, and belongs to the queue's thread. The owner's writes only epoch:
 * some four times in a time-out.
 */
struct vfio_nvme_queue {
	/* submitting */
	struct nvme_entry *tail, *sq_end;	/* where the next command goes */
	struct nvme_slot *slots;
	uint16_t *free;			/* command ids: a stack; at its far end those aborted */
	size_t nfree;
	uint32_t epoch;			/* NVME_FREE: nothing can be put */
	uint32_t rung;			/* as far as the controller knows: index of an entry */
	struct nvme_entry *sq;
	struct nvme_doorbell sq_doorbell;

	/* completing */
	struct nvme_answer *head, *cq_end;
	uint32_t lap;			/* NVME_PHASE or 0: what answers have that are there */
	uint32_t depth;			/* number of command ids */
	ptrdiff_t report_in;		/* so many answers more are worth a doorbell, */
	ptrdiff_t report_at;		/* of so many that the controller does not know of then */
	uint32_t aborted;		/* commands whose answer is that */
	bool broken;			/* it answered what nobody asked */
	struct nvme_answer *cq;
	struct nvme_doorbell cq_doorbell;

	/* data */
	struct vfio_dma *parts;		/* sq, cq, pages of lists: NVME_LISTS */
	uint32_t list_bytes;		/* for each command id, never across pages */
	uint32_t max_bytes;
	bool sgl;

	/* the rest */
	bool threaded;
	bool orphan;			/* freed, but the controller may still write its memory */
	uint16_t id;
	int vector;			/* -1: none */
	int fd;				/* its eventfd, or -1 */
	int doorbell_fd;		/* wakes a device that polls its doorbells, or -1 */
	uint64_t sq_iova, cq_iova;
	struct vfio_nvme *nvme;		/* NULL: its memory is somebody else's */
	unsigned int nparts;
};

#define NVME_LISTS 2u			/* the first of the parts that has lists */

/* Of a queue: what its memory is for. */
struct nvme_shape {
	unsigned int sq_entries, cq_entries;
	uint32_t max_bytes;		/* of one command */
};

/* The completion queue is larger by a quarter, if that can be: see nvme_queue_report(). */
struct nvme_shape nvme_shape(unsigned int entries, unsigned int most, uint32_t max_bytes);

/* Bytes of memory that both queues and their lists take. */
size_t nvme_queue_bytes(const struct nvme_shape *shape);

/* Make a queue on such memory, which is zeroed and page aligned: NULL, or all but doorbells. */
struct vfio_nvme_queue *nvme_queue_on(void *memory, uint64_t iova, const struct nvme_shape *shape);

/* The same in memory of the device's, which need not be in one piece. */
int nvme_queue_alloc(struct vfio_nvme *nvme, const struct nvme_shape *shape,
		     struct vfio_nvme_queue **queue);

/* The controller must be done with it. */
void nvme_queue_drop(struct vfio_nvme_queue *queue);

/* size bytes in one piece, or half as many, and so on to a page, where there is no such piece. */
int nvme_alloc_most(struct vfio_nvme *nvme, struct vfio_dma *memory, size_t size);

/*
 * As after nvme_queue_on(), but commands that were under way will be answered as aborted; or, if
 * they are to be forgotten, not at all.
 */
void nvme_queue_restart(struct vfio_nvme_queue *queue, uint32_t epoch, bool forget);

/*
 * Tell the controller what has been taken. That is done once for many: what is unreported and what
 * is under way always fits the completion queue together.
 */
void nvme_queue_report(struct vfio_nvme_queue *queue);

/* 5.3, 5.4: Create both queues of a pair in the controller. */
int nvme_queue_create(struct vfio_nvme_queue *queue);

/* How often a device behind that back end is served while a queue is waited for. */
unsigned int nvme_serve_each(const char *backend);

/* Give its memory back: the controller must be done with it. */
void nvme_queue_release(struct vfio_nvme_queue *queue);

/* ---- data pointers (4.3, 4.4) --------------------------------------------------------------- */

/* Fill in cmd's data pointer, and what it points to in the list of this id. 0 or -EINVAL. */
int nvme_data_contiguous(struct vfio_nvme_queue *queue, unsigned int cid, uint64_t iova, size_t len,
			 struct vfio_nvme_command *cmd);
int nvme_data_pieces(struct vfio_nvme_queue *queue, unsigned int cid,
		     const struct vfio_nvme_piece *pieces, unsigned int n,
		     struct vfio_nvme_command *cmd);

/* ---- the controller ------------------------------------------------------------------------- */

struct nvme_event {
	bool asked;			/* a request is under way */
	bool told;			/* it was answered, with: */
	uint32_t what;
};

struct vfio_nvme {
	struct vfio_dev *dev;
	struct vfio_error error;
	struct vfio_nvme_options options;	/* none is 0 */
	struct vfio_error failure;	/* err is not 0: why nothing works until a reset */

	uint64_t cap;
	unsigned int entries;		/* most of a queue */
	unsigned int ready_ms;		/* CAP.TO */
	struct vfio_nvme_controller_data identity;
	uint32_t max_bytes;		/* of one command: MDTS */
	bool sgl;

	volatile uint8_t *doorbells;	/* mapped from VFIO_NVME_DOORBELLS on, or NULL */
	size_t doorbells_size;
	int doorbell_fd;
	struct vfio_dma shadow, event;	/* doorbell buffers; size 0: none */
	unsigned int serve_each;	/* looks at a queue, while waiting */

	struct vfio_nvme_queue *admin;
	struct vfio_dma admin_data;
	uint16_t status;		/* of the last admin command */
	struct nvme_event events[NVME_EVENTS];

	struct vfio_nvme_namespace **namespaces;	/* by number */
	unsigned int nnamespaces;

	unsigned int nqueues;		/* granted */
	struct vfio_nvme_queue **queues;	/* of id 1 + index, or NULL */

	uint32_t irq_index;
	unsigned int nvectors;		/* 0: no interrupts */
	int *fds;

	uint32_t epoch;			/* 1, 2, … */
	int64_t began[NVME_EPOCHS];	/* when the last ones did, in ms */
};

int64_t nvme_now_ms(void);

/* Fill in the record; returns -err. */
__attribute__((format(printf, 6, 7)))
int nvme_error(struct vfio_nvme *nvme, int err, enum vfio_error_code code, enum vfio_refuser who,
	       const char *remedy, const char *what, ...);
/* A call of the library failed: its record is ours. */
int nvme_library_failed(struct vfio_nvme *nvme, int64_t ret);
int nvme_no_memory(struct vfio_nvme *nvme);

/* It works no more: the record says why. Stop its queues. Returns what the record has, negative. */
int nvme_stop(struct vfio_nvme *nvme);
/* -ESHUTDOWN and a record if so. */
int nvme_check_works(struct vfio_nvme *nvme);

/* -ENODEV: gone; -EIO: fatal, or no longer enabled. Records only. */
int nvme_check_alive(struct vfio_nvme *nvme);

/* 7.6.1 from step 2 on, until commands can be sent; and back. */
int nvme_enable(struct vfio_nvme *nvme);
int nvme_disable(struct vfio_nvme *nvme);
/* What follows as soon as admin commands work: features that a reset forgets. */
int nvme_configure(struct vfio_nvme *nvme);
/* 7.6.2 */
int nvme_shut_down(struct vfio_nvme *nvme);

int nvme_admin_new(struct vfio_nvme *nvme);
/* Asynchronous event requests, as many as can be. */
void nvme_ask_events(struct vfio_nvme *nvme);
int nvme_set_feature(struct vfio_nvme *nvme, uint8_t feature, uint32_t value, uint32_t *result);
int nvme_identify(struct vfio_nvme *nvme, uint8_t cns, uint32_t nsid, void *data);

int nvme_find_namespaces(struct vfio_nvme *nvme);

/* MSI-X, MSI or INTx, for the admin queue and so many others as can be. */
int nvme_enable_interrupts(struct vfio_nvme *nvme);
/* -1: there is none for it. */
int nvme_choose_vector(struct vfio_nvme *nvme, bool threaded);

/* ---- doorbells ------------------------------------------------------------------------------ */

void nvme_map_doorbells(struct vfio_nvme *nvme);
bool nvme_has_mapped_doorbells(const struct vfio_nvme *nvme, unsigned int id);
int nvme_new_doorbell_buffers(struct vfio_nvme *nvme);
int nvme_use_doorbell_buffers(struct vfio_nvme *nvme);
void nvme_place_doorbells(struct vfio_nvme_queue *queue);

/* Write the register, and wake the device if it might sleep. */
void nvme_ring_register(struct vfio_nvme_queue *queue, const struct nvme_doorbell *doorbell,
			uint32_t value);

/* Has the controller asked to be told of the step from event on, one of those from old to new? */
static inline bool nvme_need_event(uint32_t event, uint32_t new, uint32_t old)
{
	return (uint16_t)(event - old) < (uint16_t)(new - old);
}

/*
 * 7.13: the new value goes into memory, and to the register only if the controller, which polls the
 * memory, asks for that. It writes what it asks for and then looks at the value once more; so the
 * value must be in memory before we look at what it asks.
 */
static inline void nvme_ring_doorbell(struct vfio_nvme_queue *queue,
				      const struct nvme_doorbell *doorbell, uint32_t value,
				      uint32_t old)
{
	if (doorbell->shadow) {
		uint32_t event;

		__atomic_store_n(doorbell->shadow, htole32(value), __ATOMIC_RELEASE);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		event = le32toh(__atomic_load_n(doorbell->event, __ATOMIC_ACQUIRE));
		if (likely(!nvme_need_event(event, value, old)))
			return;
	} else if (likely(doorbell->plain)) {
		__atomic_store_n(doorbell->plain, htole32(value), __ATOMIC_RELEASE);
		return;
	}
	nvme_ring_register(queue, doorbell, value);
}

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Be a PCI device: describe a function, answer accesses, raise interrupts, do DMA.
 *
 * The library does the rest: configuration space with its capabilities and virtual BARs,
 * interrupt state, the memory and bus-master gates, the IOMMU. The same device then runs in the
 * driver's process, in vfiod, or in a program of its author's own (vfio/server.h), unchanged.
 *
 * Threads.  A function and everything about it belongs to one thread at a time: the one that
 *           drives the handle (in process) or dispatches the server.
 */
#ifndef VFIO_DEVICE_H
#define VFIO_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vfio/driver.h>
#include <vfio/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A PCI function as its users see it. */
struct vfio_function;

/* ---- the description --------------------------------------------------------------------- */

#define VFIO_BAR_MEM64    1u	/* 64-bit memory BAR; takes the next BAR's place too */
#define VFIO_BAR_PREFETCH 2u	/* prefetchable memory */
#define VFIO_BAR_IO       4u	/* I/O ports */

struct vfio_bar_description {
	uint64_t size;			/* power of two, from 16 (I/O: from 4); 0: no such BAR */
	uint32_t flags;			/* VFIO_BAR_… */
	/*
	 * Parts that are memory: shared with the driver, which maps them; the model finds them
	 * with vfio_function_memory() and is not called. Page aligned, ascending. The rest of
	 * the BAR is trapped: the model's callbacks see each access.
	 */
	uint32_t nareas;
	const struct vfio_area *areas;
};

/*
 * A capability that is given byte by byte: those of the table (vfio-registers(7)) then behave as
 * it says, of others all bytes are read-only. The library links it in, behind its own.
 */
struct vfio_capability_description {
	bool extended;			/* PCI Express only: behind 0x100 */
	uint8_t version;		/* of an extended capability */
	uint16_t id;
	uint16_t length;		/* of bytes */
	const uint8_t *bytes;		/* what follows ID and next (2 bytes; extended: 4) */
	const uint8_t *writable;	/* as many: bits that can be written beside; NULL: none */
};

struct vfio_function_description {
	size_t size;			/* sizeof(struct vfio_function_description) */
	const char *name;		/* for people: "edu" */
	uint16_t vendor, device, subsystem_vendor, subsystem;
	uint8_t revision;
	uint32_t class_code;		/* 24 bits: base class, subclass, interface */
	uint8_t interrupt_pin;		/* 1 = INTA; 0 = no INTx */
	uint8_t msi_vectors;		/* 0, or a power of two up to 32 */
	uint16_t msix_vectors;		/* 0 to 2048 */
	uint8_t msix_bar;		/* where table and pending bits live: both page aligned, */
	uint32_t msix_table, msix_pba;	/* inside the BAR, in no area */
	bool power_management;		/* offer D0 and D3hot */
	struct vfio_bar_description bars[6];
	bool msi_mask;			/* MSI vectors can be masked one by one */
	/*
	 * A PCI Express endpoint: 4096 bytes of configuration space, advanced error reporting, and
	 * function level reset if the model can be reset.
	 */
	bool express;
	/* A virtual function of SR-IOV: no INTx, memory decoding that is always on. */
	bool virtual_function;
	uint32_t ncapabilities;
	const struct vfio_capability_description *capabilities;
	const void *vpd;		/* vital product data, up to 32 KiB; copied. NULL: none */
	size_t vpd_size;
	const void *rom;		/* expansion ROM image, up to 16 MiB; copied. NULL: none, */
	size_t rom_size;		/* but a BAR for one of this size if it is not 0 */
	/*
	 * The configuration space of a real device, 256 or 4096 bytes, instead of one that is built:
	 * of the members above only name, bars (sizes and areas; a dump does not tell them),
	 * virtual_function (and then vendor and device), vpd and rom are looked at, and no BAR may
	 * contradict the dump.
	 */
	const void *config;
	size_t config_size;
};

struct vfio_function_ops {
	size_t size;			/* sizeof(struct vfio_function_ops) */
	/*
	 * A trapped access of a BAR: width is 1, 2, 4 or 8 and divides offset, and the access lies
	 * inside the BAR. Values are in host byte order. A read of what is not a register returns
	 * all ones (~0), as a bus would; a write to it does nothing. NULL: all such accesses do so.
	 */
	uint64_t (*read)(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			 unsigned int width);
	void (*write)(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		      unsigned int width, uint64_t value);
	/*
	 * Return to the power-on state: registers at their reset values, DMA stopped, interrupt not
	 * asserted. Called before the first use, for a device reset (also by configuration space),
	 * and when a user has gone. 0, or a negative errno: then the user is told. NULL: the device
	 * cannot be reset by its user.
	 */
	int (*reset)(struct vfio_function *fn);
	/*
	 * Memory in [iova, iova + size) is being unmapped: forget the spans that point into it
	 * before returning. Also, with (0, UINT64_MAX) for all, when bus mastering ends: the maps
	 * stay, and their spans can be had again as soon as it is back. NULL for a model that
	 * keeps no spans.
	 */
	void (*dma_gone)(struct vfio_function *fn, uint64_t iova, uint64_t size);
	/* The function is being freed: free the model's own state. May be NULL. */
	void (*free)(struct vfio_function *fn);
	/*
	 * A user has changed bits of the device's own registers in configuration space, of the
	 * width bytes (1, 2 or 4) at offset: a vendor's register, say. It is done already. May be
	 * NULL.
	 */
	void (*config_written)(struct vfio_function *fn, unsigned int offset, unsigned int width);
	/*
	 * Both, or neither: the registers in configuration space are a real device's, and these reach
	 * them, width being 1, 2 or 4 and dividing offset. The description's config is what they
	 * held when the device was taken over. What the virtual function does not answer itself is
	 * then read from the device and written to it at each access, and the device decides what
	 * can be written. It is never told of MSI and MSI-X being enabled. reset leaves these
	 * registers as they were, as sysfs's does, or puts them back. A device that has gone reads
	 * as all ones.
	 */
	uint32_t (*config_read)(struct vfio_function *fn, unsigned int offset, unsigned int width);
	void (*config_write)(struct vfio_function *fn, unsigned int offset, unsigned int width,
			     uint32_t value);
};

/* ---- life -------------------------------------------------------------------------------- */

/*
 * Make a function from a description, which is copied, and callbacks, which must stay. state is the
 * model's own, see vfio_function_state(). -EINVAL with VFIO_E_DESCRIPTION when the description
 * contradicts itself; err may be NULL, and ops->free is not called on failure. ops->reset runs in
 * here, so state must be ready; a model without one keeps what a user leaves in it for the next.
 */
int vfio_function_new(struct vfio_function **fn, const struct vfio_function_description *description,
		      const struct vfio_function_ops *ops, void *state, struct vfio_error *err);

/* Free a function that no handle was made of. Accepts NULL. */
void vfio_function_free(struct vfio_function *fn);

/*
 * Make a driver's handle of a function, in this process. The handle owns the function from then
 * on: vfio_close() frees it. On failure the function still belongs to the caller.
 */
int vfio_function_open(struct vfio_dev **dev, struct vfio_function *fn, struct vfio_error *err);

/* The state pointer that vfio_function_new() was given. */
void *vfio_function_state(struct vfio_function *fn);

/*
 * The memory of a BAR with areas, as it lies in the BAR (areas only; the rest faults). NULL: none.
 */
void *vfio_function_memory(struct vfio_function *fn, unsigned int bar);

/* ---- interrupts -------------------------------------------------------------------------- */

/*
 * Send message-signalled interrupt vector, MSI or MSI-X, whichever the driver has enabled; nothing
 * happens when it enabled neither, or there is no such vector. What cannot be delivered now waits
 * until it can: no eventfd, masked, bus mastering off (PCI 3.0, 6.2.2: messages are memory writes).
 */
void vfio_function_msi(struct vfio_function *fn, unsigned int vector);

/*
 * The level of the INTx pin. Always keep it up to date: the library delivers it when the driver
 * uses INTx, and shows it in the Status register.
 */
void vfio_function_intx(struct vfio_function *fn, bool asserted);

/* An uncorrectable error, as Advanced Error Reporting would report it: the user's ERR eventfd. */
void vfio_function_error(struct vfio_function *fn);

/* The device is wanted back: asks its user to let go of it, by the REQ eventfd. */
void vfio_function_request(struct vfio_function *fn);

/* ---- what the device waits for ------------------------------------------------------------ */

/*
 * Call back when fd, a timerfd say, is readable, again and again until it is read; callback NULL:
 * no more. The descriptor stays the model's; take it out before closing it. The callback runs in
 * the function's one thread, whenever its driver waits (vfio_irq_wait(), vfio_dispatch()) or its
 * server is idle, and may do all that the other callbacks may. 0, -EEXIST (it is watched already),
 * -ENOENT (it is not), -EPERM (of a file that is always ready), -EBADF, -ENOMEM.
 *
 * Devices of vfiod cannot start threads or open files once they serve: make descriptors when the
 * function is made. timerfd_settime() they can.
 */
int vfio_function_watch(struct vfio_function *fn, int fd,
			void (*callback)(struct vfio_function *fn, int fd, void *arg), void *arg);

/* ---- doorbells ---------------------------------------------------------------------------- */

#define VFIO_MAX_DOORBELLS 8

/*
 * Doorbells: registers in a memory area that the device polls while it is at work, and does not
 * when it sleeps. rung is called (in the function's thread, as ops) after something in [offset,
 * offset + size) was written by call, and, for all doorbells of the BAR, when a user who writes by
 * mapping says so with the eventfd that vfio_doorbell_fd() gave it: look at all of them. A user can
 * call it as often as it likes, for nothing, too. A doorbell lasts as long as the function. 0;
 * -EINVAL when the range does not lie inside one memory area; -EEXIST when it overlaps another;
 * -ENOSPC beyond VFIO_MAX_DOORBELLS.
 *
 * rung comes after the write: a device that looks at its registers and goes to sleep in the same
 * callback misses nothing.
 */
int vfio_function_doorbell(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			   uint64_t size, void (*rung)(struct vfio_function *fn, void *arg),
			   void *arg);

/*
 * Has the present user the eventfd of that BAR, and so promised to signal? If not, a sleeping
 * device must look by itself now and then. It may still ask.
 */
bool vfio_function_doorbell_asked(const struct vfio_function *fn, unsigned int bar);

/* ---- the device's own configuration space ------------------------------------------------- */

/*
 * The function's own registers in configuration space, as the device sees and sets them: 1, 2 or 4
 * bytes at a multiple of that; outside of configuration space a read is all ones, a write nothing.
 * What users write there, unless the virtual function keeps it, and what they read. The model may
 * set any bit, read-only ones too: an error status before vfio_function_error(). It leaves alone
 * what the library keeps: Command, BARs, lists of capabilities, the power state, MSI and MSI-X.
 */
uint32_t vfio_function_config_read(struct vfio_function *fn, unsigned int offset,
				   unsigned int width);
void vfio_function_config_write(struct vfio_function *fn, unsigned int offset, unsigned int width,
				uint32_t value);

/* ---- reset behind the back ---------------------------------------------------------------- */

/*
 * The device has reset itself by a register of its own, and its BARs and Command register with it.
 * It decodes nothing until its user switches decoding on again in the Command register; then the
 * library puts the BARs back, and makes a record.
 */
void vfio_function_backdoor_reset(struct vfio_function *fn);

/* ---- DMA --------------------------------------------------------------------------------- */

/*
 * Copy from or to the driver's memory at I/O address iova. All or nothing as to permission:
 * when a part of the range is not mapped, or not in this direction (-EFAULT), or bus mastering is
 * off (-EPERM), nothing is copied and a fault is recorded. -EIO when the memory itself fails (a
 * file was truncated, the driver does not answer): then a part may have been copied, and a fault is
 * recorded too.
 */
int vfio_function_dma_read(struct vfio_function *fn, uint64_t iova, void *buf, size_t len);
int vfio_function_dma_write(struct vfio_function *fn, uint64_t iova, const void *buf, size_t len);

/* A piece of the driver's memory in this process's address space. */
struct vfio_span {
	void *addr;
	size_t len;
};

/*
 * The driver's memory in place: the spans that together are [iova, iova + len). Returns their
 * number; when that is more than max, nothing was stored, and so many are needed. prot is what the
 * device will do with it (VFIO_DMA_READ, VFIO_DMA_WRITE). Spans are valid until ops->dma_gone()
 * names them. -EFAULT and -EPERM as above; -ENOTSUP when some of it cannot be reached in place: use
 * the copying calls.
 */
int vfio_function_dma_spans(struct vfio_function *fn, uint64_t iova, size_t len, uint32_t prot,
			    struct vfio_span *spans, unsigned int max);

/*
 * The device has written there by spans that it kept. Those that were asked for with VFIO_DMA_WRITE
 * count as written when they are given; a device that keeps them and writes later says so with this,
 * for users who track dirty pages (vfio_dirty_start()).
 */
void vfio_function_dma_dirty(struct vfio_function *fn, uint64_t iova, size_t len);

/*
 * A thread of the model's that does DMA while the function's own thread does other things. Between
 * begin and end it reaches memory as above, without a lock; spans are good until end. What takes
 * memory away (an unmap, bus mastering switched off, a user who goes) waits for the end, so that
 * afterwards nothing is touched any more: the time between should be short, and nothing in it may
 * wait for the function's own thread. Memory that must be asked for (VFIO_DMA_BY_MESSAGE) is
 * -ENOTSUP: the function's own thread can reach it. begin and end do not nest. An engine is made and
 * freed by the function's own thread, outside of begin and end; all are freed in ops->free. -ENOMEM.
 */
struct vfio_dma_engine;

int vfio_dma_engine_new(struct vfio_dma_engine **engine, struct vfio_function *fn);
void vfio_dma_engine_free(struct vfio_dma_engine *engine);
void vfio_dma_engine_begin(struct vfio_dma_engine *engine);
void vfio_dma_engine_end(struct vfio_dma_engine *engine);
int vfio_dma_engine_read(struct vfio_dma_engine *engine, uint64_t iova, void *buf, size_t len);
int vfio_dma_engine_write(struct vfio_dma_engine *engine, uint64_t iova, const void *buf, size_t len);
int vfio_dma_engine_spans(struct vfio_dma_engine *engine, uint64_t iova, size_t len, uint32_t prot,
			  struct vfio_span *spans, unsigned int max);

/* The last fault; false when there was none since power-on. */
bool vfio_function_fault(const struct vfio_function *fn, struct vfio_fault *fault);

/* ---- policy ------------------------------------------------------------------------------- */

/*
 * What the administrator of a device decides, as text: vfiod.conf(5) has the same keys. Only
 * handles of functions in this process have a policy; others answer -ENOTSUP.
 */
struct vfio_policy_key {
	const char *name;	/* "view" */
	const char *values;	/* for people: "virtual, filtered" */
	const char *standard;	/* what holds if nothing is said: "virtual" */
	const char *summary;	/* one line for people */
};

/* All keys, in the order of the manual. */
const struct vfio_policy_key *vfio_policy_keys(size_t *count);

/*
 * Decide. What concerns configuration space puts the device into its power-on state; -EBUSY while
 * interrupts are enabled, or memory or registers are mapped. "vectors", "max-maps", "max-dma" and
 * "process-memory" hold from the next request on, at any time. -EINVAL with VFIO_E_POLICY_VALUE for
 * an unknown key or a value that it cannot have.
 */
int vfio_policy_set(struct vfio_dev *dev, const char *key, const char *value);

/* What holds, into value; -ENOSPC when it does not fit. */
int vfio_policy_get(struct vfio_dev *dev, const char *key, char *value, size_t size);

/* ---- modules ----------------------------------------------------------------------------- */

#define VFIO_DEVICE_MODULE_VERSION 1u

/*
 * A shared object that holds a device exports one of these under the name vfio_device_module.
 * `vfiod --device NAME` and vfio_open("NAME") find it as NAME.so in the colon-separated
 * directories of the environment variable VFIO_DEVICE_PATH, then in the library's own.
 */
struct vfio_device_module {
	uint32_t version;		/* VFIO_DEVICE_MODULE_VERSION */
	const char *summary;		/* one line for people */
	/*
	 * Make a function. options is what followed the first comma of the device string
	 * ("a=1,b=2"), or "". On failure fill *err (never NULL) and return a negative errno.
	 */
	int (*create)(struct vfio_function **fn, const char *options, struct vfio_error *err);
};

#ifdef __cplusplus
}
#endif
#endif

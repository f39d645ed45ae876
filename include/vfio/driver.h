/* SPDX-License-Identifier: MIT */
/*
 * Drive a PCI device from user space, through one handle, whoever answers.
 *
 * A device string names the device:
 *
 *   0000:03:00.0   03:00.0      a PCI device of this machine that vfio-pci drives
 *   vfio3                       the same, by the name of its node in /dev/vfio/devices
 *   03:00.1,vf_token=UUID       a virtual function, whose token the physical one's program has set
 *   sysfs:0000:03:00.0          any PCI device, only to look at it: what sysfs tells
 *   unsafe-noiommu:0000:03:00.0 one behind no IOMMU, for root: libvfio(7) says what that means
 *   uio:0000:03:00.0            one that uio_pci_generic has, for root
 *   unix:/run/vfiod/edu0.sock   a vfio-user server behind a socket (vfiod, or any other)
 *   fd:7                        the same, over a connected socket that this process holds; or a
 *                               device of the kernel's, by its node or its group's (libvfio(7))
 *   edu   edu,dma_mask=0xffff   a software device in this process, by its module's name
 *   ./mine.so,option=1          the same, from a module file
 *
 * Errors.   0 or a positive number, or a negative errno; vfio_last_error() says the rest.
 * Threads.  One thread at a time for each handle. Mapped registers, DMA memory and eventfds
 *           are plain pointers and descriptors: use them from any thread.
 * Process.  The library never exits, prints, installs a signal handler or starts a thread. A
 *           handle belongs to the process that opened it; do not use it in a forked child.
 *
 * Constants and struct vfio_irq_info, vfio_irq_set, vfio_device_info, vfio_iova_range are those of
 * <linux/vfio.h>.
 */
#ifndef VFIO_DRIVER_H
#define VFIO_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/vfio.h>

#include <vfio/error.h>
#include <vfio/pci.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vfio_dev;

/* ---- open and close ---------------------------------------------------------------------- */

/*
 * Open the device that name (NULL: the environment variable VFIO_DEVICE) names and store a
 * handle in *dev. On failure *dev is NULL and *err, unless err is NULL, says why. The device is
 * in its power-on state: memory and I/O decoding on, bus mastering off, no interrupt enabled, no
 * memory mapped. (Where an administrator says at-close = keep, only the last three hold.)
 */
int vfio_open(struct vfio_dev **dev, const char *name, struct vfio_error *err);

/*
 * Close: bus mastering off, interrupts off, DMA maps gone, register maps gone, handle gone, in
 * that order. Memory from vfio_dma_alloc() and eventfds from vfio_irq_enable() go with it.
 * Accepts NULL.
 */
void vfio_close(struct vfio_dev *dev);

/* The record of the last call on this handle that failed. Valid until the next call on it. */
const struct vfio_error *vfio_last_error(const struct vfio_dev *dev);

/* Who answers: "socket", "inprocess", "kernel_group", "kernel_cdev", "noiommu", "uio", … */
const char *vfio_backend_name(const struct vfio_dev *dev);

/*
 * Longest time in milliseconds that a call waits for a server's answer (default 5000; 0 is
 * refused). After -ETIMEDOUT the connection is dead, and calls fail with -ENODEV.
 */
int vfio_set_timeout(struct vfio_dev *dev, unsigned int milliseconds);

/*
 * A server may ask for bytes of memory that was mapped without a descriptor, and it may go away.
 * Calls and vfio_irq_wait() take care of that while they run. A program with a poll loop of its
 * own adds this descriptor for POLLIN and calls vfio_dispatch() when it is readable. A device in
 * this process works there on what it waits for itself. -ENOTSUP where nothing of the sort can
 * happen.
 */
int vfio_poll_fd(struct vfio_dev *dev);
/* Serve what is pending, without waiting: 0, or -ENODEV when the device is gone. */
int vfio_dispatch(struct vfio_dev *dev);

/* ---- what the device is ------------------------------------------------------------------ */

/* What keeps a device in its place, the weakest first. */
#define VFIO_ISOLATED_NOT         0u	/* nothing, or nobody knows what */
#define VFIO_ISOLATED_BY_SOFTWARE 1u	/* the program that the device is */
#define VFIO_ISOLATED_BY_IOMMU    2u	/* hardware, which the kernel has set up */

struct vfio_isolation {
	uint32_t dma;		/* VFIO_ISOLATED_…: from memory that was not mapped for it */
	uint32_t interrupts;	/* from sending interrupts that are not its own */
};

/*
 * How is the device isolated? A server is asked, and trusted as far as it is trusted to be the device.
 * -ENOTSUP where the other end cannot tell.
 */
int vfio_isolation(struct vfio_dev *dev, struct vfio_isolation *isolation);

/*
 * 0 when the device's DMA is isolated by this (VFIO_ISOLATED_…) or better; else -EPERM, and the record
 * says what it has, also when nobody can tell. The environment variable VFIO_ISOLATION ("software",
 * "iommu") asks the same of every device that the program opens.
 */
int vfio_require_isolation(struct vfio_dev *dev, uint32_t dma);

/* "none", "software", "iommu"; NULL for a number that is no level. */
const char *vfio_isolation_name(uint32_t level);

/* Flags, number of regions and of interrupt indexes (argsz and cap_offset are not used). */
int vfio_info(struct vfio_dev *dev, struct vfio_device_info *info);

#define VFIO_CHAIN_DEVICE 0u	/* struct vfio_device_info */
#define VFIO_CHAIN_REGION 1u	/* struct vfio_region_info, of region index */
#define VFIO_CHAIN_IOMMU  2u	/* struct vfio_iommu_type1_info */

/*
 * What the kernel itself says, for who wants a capability that libvfio does not know: the structure in
 * buf, of size bytes, with its chain of capabilities behind it as <linux/vfio.h> has it. Returns size;
 * or more, when that is not enough: as many bytes as all of it takes, and then the chain is not there
 * (cap_offset is 0). -ENOTSUP for devices that are not the kernel's.
 */
ssize_t vfio_info_chain(struct vfio_dev *dev, uint32_t what, uint32_t index, void *buf, size_t size);

/* A part of a region that can be mapped. */
struct vfio_area {
	uint64_t offset, size;		/* bytes from the region's start */
};

#define VFIO_MAX_AREAS 32

struct vfio_region {
	uint32_t index;			/* VFIO_PCI_BAR0_REGION_INDEX, … */
	uint32_t flags;			/* VFIO_REGION_INFO_FLAG_READ, _WRITE, _MMAP */
	uint64_t size;			/* bytes; 0: the device has no such region */
	int fd;				/* what the areas are mapped from, or -1; the handle's */
	uint64_t fd_offset;		/* an area lies at fd_offset + area.offset */
	uint32_t nareas;
	struct vfio_area areas[VFIO_MAX_AREAS];
};

/* Describe region index. A region that the device lacks succeeds, with size 0. */
int vfio_region(struct vfio_dev *dev, uint32_t index, struct vfio_region *region);

/* Flags (VFIO_IRQ_INFO_…) and number of vectors of an index (VFIO_PCI_INTX_IRQ_INDEX, …). */
int vfio_irq_info(struct vfio_dev *dev, uint32_t index, struct vfio_irq_info *info);

/* Offset of the first capability with this ID in configuration space, or -ENOENT. */
int vfio_find_capability(struct vfio_dev *dev, uint8_t id);
/* The same of the extended capabilities of PCI Express. */
int vfio_find_extended_capability(struct vfio_dev *dev, uint16_t id);

/* ---- registers --------------------------------------------------------------------------- */

/*
 * Read or write bytes of a region, configuration space (VFIO_PCI_CONFIG_REGION_INDEX) included.
 * An access of 1, 2, 4 or 8 bytes at a multiple of its size is one access of the device; others
 * are cut into such, in ascending order. Returns the number of bytes done, which is less than
 * len only at the end of a BAR. -EINVAL at or past the end of a BAR or where there is no region;
 * -EFAULT past the end of configuration space; -EIO while memory decoding is off.
 */
ssize_t vfio_pread(struct vfio_dev *dev, uint32_t region, uint64_t offset, void *buf, size_t len);
ssize_t vfio_pwrite(struct vfio_dev *dev, uint32_t region, uint64_t offset, const void *buf,
		    size_t len);

/*
 * Registers in host byte order, PCI's little-endian hidden. Where the range was mapped with
 * vfio_map() this is a load or store; elsewhere it is a call to the device. As on PCI, a read that
 * fails gives all ones and a write that fails is lost. Where that must be told from a register that
 * is all ones, use vfio_pread() and vfio_pwrite(), which return the error.
 */
uint8_t vfio_read8(struct vfio_dev *dev, uint32_t region, uint64_t offset);
uint16_t vfio_read16(struct vfio_dev *dev, uint32_t region, uint64_t offset);
uint32_t vfio_read32(struct vfio_dev *dev, uint32_t region, uint64_t offset);
uint64_t vfio_read64(struct vfio_dev *dev, uint32_t region, uint64_t offset);
void vfio_write8(struct vfio_dev *dev, uint32_t region, uint64_t offset, uint8_t value);
void vfio_write16(struct vfio_dev *dev, uint32_t region, uint64_t offset, uint16_t value);
void vfio_write32(struct vfio_dev *dev, uint32_t region, uint64_t offset, uint32_t value);
void vfio_write64(struct vfio_dev *dev, uint32_t region, uint64_t offset, uint64_t value);

/*
 * Map len bytes of a region at offset (both multiples of the page size) and return the address,
 * or NULL when they are not all inside one mappable area; then use the calls above. The map
 * lives until vfio_close().
 */
volatile void *vfio_map(struct vfio_dev *dev, uint32_t region, uint64_t offset, size_t len);

/*
 * An eventfd to signal, from any thread, after the register at offset was written by a mapping: the
 * device may be asleep, and does not see such a write by itself. Write the eight bytes of a 1.
 * Asking is a promise to signal at every doorbell of the region. The handle's, closed by
 * vfio_close(), and the same one when it is asked for again. -ENOENT: writes there need none;
 * -ENOTSUP: the other end knows no such thing.
 */
int vfio_doorbell_fd(struct vfio_dev *dev, uint32_t region, uint64_t offset);

/* Where the bits of a write went, those that were to change something. */
#define VFIO_WENT_DEVICE  1u	/* to the device */
#define VFIO_WENT_VIRTUAL 2u	/* to the virtual function, which keeps them */
#define VFIO_WENT_NOWHERE 4u	/* nowhere: read-only, as PCI or VFIO says */
#define VFIO_WENT_POLICY  8u	/* nowhere: writable by PCI, but the administrator says no */

/*
 * vfio_pwrite(), and *where gets the VFIO_WENT_… that apply, 0 if the write changed nothing. What
 * PCI drops in silence is no error here either. -ENOTSUP, before anything is written, where the
 * other end cannot tell (the kernel; another vfio-user server than libvfio's).
 */
ssize_t vfio_pwrite_where(struct vfio_dev *dev, uint32_t region, uint64_t offset, const void *buf,
			  size_t len, uint32_t *where);

/*
 * The side channel: what PCI has no way to say. A record for each write that lost bits (the same
 * write again and again is one record, and counted; sizing a BAR makes none), each reset, power
 * change or access that failed, each restored BAR. *cursor is 0 at first; each call that returns 1
 * stores the next record and moves it on; 0 when there is no further one. The device keeps the last
 * 64; older ones are passed over. Over a socket a client is told of its own only. Reading takes
 * nothing away. -ENOTSUP as above.
 */
int vfio_record(struct vfio_dev *dev, uint64_t *cursor, struct vfio_error *record);

/*
 * Explain the dword at offset (a multiple of 4) of configuration space: see struct vfio_config_info
 * in <vfio/pci.h>. -EFAULT past its end. Debugging only: which masks there are is no promise
 * (vfio-registers(7) is).
 */
int vfio_config_info(struct vfio_dev *dev, uint32_t offset, struct vfio_config_info *info);

/* Let the device start DMA and message-signalled interrupts, or stop it (Command, bit 2). */
int vfio_set_bus_master(struct vfio_dev *dev, bool on);

/*
 * Reset the device. Configuration space, interrupts and DMA maps stay as they are, as with the
 * kernel's VFIO_DEVICE_RESET. -EINVAL when the device cannot be reset.
 */
int vfio_reset(struct vfio_dev *dev);

#define VFIO_RESET_DEVICE 1u	/* vfio_reset(), by the device's own means */
#define VFIO_RESET_FLR    2u	/* the function level reset bit of PCI Express */
#define VFIO_RESET_AF     4u	/* that of the Advanced Features capability */
#define VFIO_RESET_PM     8u	/* D3hot and back to D0 */
#define VFIO_RESET_BUS    16u	/* the bus that it is on, by the bridge above */
#define VFIO_RESET_SPECIFIC 32u	/* a way that the kernel, or the firmware, has for this model */
#define VFIO_RESET_HOT    64u	/* vfio_hot_reset(), and nobody is in the way */

struct vfio_reset_info {
	uint32_t methods;	/* VFIO_RESET_…: those that reset it; 0: it cannot be */
	uint32_t others;	/* functions that VFIO_RESET_HOT resets with it; whose user may be another */
	uint64_t count;		/* resets that were done since the device was made, or 0: not known */
	int32_t last;		/* what became of the last: 0 or a negative errno */
	uint32_t reserved;
};

/*
 * How can the device be reset, without doing it? VFIO_RESET_DEVICE is there exactly when
 * VFIO_DEVICE_FLAGS_RESET is in vfio_info().
 */
int vfio_reset_probe(struct vfio_dev *dev, struct vfio_reset_info *info);

#define VFIO_HOT_RESET_HELD    1u	/* this program has it open, in the address space of this one */
#define VFIO_HOT_RESET_ALLOWED 2u	/* it is not in the way: this program has it, or its IOMMU group */

/* A function that a hot reset resets. */
struct vfio_hot_reset_device {
	uint16_t segment;		/* its PCI address: 0000 of 0000:03:1f.7, */
	uint8_t bus, devfn;		/* 03, and 1f << 3 | 7 */
	uint32_t flags;			/* VFIO_HOT_RESET_… */
	int64_t group;			/* its IOMMU group, or -1 */
};

/*
 * What does a hot reset of this device reset? Stores up to max of the functions, this one among them,
 * and returns how many there are. Resets nothing. -ENOTSUP where there is no such reset: on a root
 * bus, and for devices that are not the kernel's.
 */
int vfio_hot_reset_info(struct vfio_dev *dev, struct vfio_hot_reset_device *list,
			unsigned int max);

/*
 * Reset the slot or the bus that the device is on, with all functions there. -EPERM, and their
 * addresses in the record, when others would be hit: this program must have all of them, in one
 * address space (vfio_space_open()). Each is then as after vfio_reset().
 */
int vfio_hot_reset(struct vfio_dev *dev);

/*
 * Leave the device alone for a while, so that the kernel lets it go into low power, D3cold where the
 * machine has that; and come back. Accesses wake it for as long as they take, but registers that are
 * mapped must not be touched until vfio_low_power_exit(): that would raise SIGBUS. wakeup_fd is -1 or
 * an eventfd, of which the kernel keeps a copy: the first wake-up from outside ends low power and
 * signals it. -EINVAL (VFIO_E_LOW_POWER) when the device is there already; -ENOTSUP where there is no
 * such thing. To leave where one has not entered is no error.
 */
int vfio_low_power_enter(struct vfio_dev *dev, int wakeup_fd);
int vfio_low_power_exit(struct vfio_dev *dev);

/*
 * Set the VF token of a physical function with virtual ones: a UUID, "8-4-4-4-12" hexadecimal digits.
 * From then on whoever opens a virtual function must name it ("0000:03:00.1,vf_token=UUID"); while one
 * of those is open, so must who opens this one. -EINVAL: it is no UUID; -ENOTSUP: it is no such
 * function, or not the kernel's.
 */
int vfio_set_vf_token(struct vfio_dev *dev, const char *uuid);

/* ---- interrupts -------------------------------------------------------------------------- */

/*
 * Enable vectors 0 to count-1 of an interrupt index with new eventfds, which are stored in
 * fds[0..count-1] and belong to the handle. If the device offers fewer, nothing is enabled and
 * -ENOSPC says in the record how many are possible.
 */
int vfio_irq_enable(struct vfio_dev *dev, uint32_t index, uint32_t count, int *fds);

/*
 * How many vectors of an index the device has (as vfio_irq_info() says), and how many it is granted
 * now, which an administrator may have limited.
 */
struct vfio_vectors {
	uint32_t advertised, granted;
};
int vfio_irq_vectors(struct vfio_dev *dev, uint32_t index, struct vfio_vectors *vectors);

#define VFIO_MAX_VECTORS 2048	/* of any index */

/*
 * Which vectors of an index have an eventfd: bit v % 64 of set[v / 64] is that of vector v. Returns how
 * many. For whoever looks at a device that another one drives. -ENOTSUP where the other end cannot tell
 * (the kernel; another vfio-user server than libvfio's).
 */
int vfio_irq_signalled(struct vfio_dev *dev, uint32_t index, uint64_t set[VFIO_MAX_VECTORS / 64]);

/* Disable an interrupt index. Eventfds that vfio_irq_enable() made for it are closed. */
int vfio_irq_disable(struct vfio_dev *dev, uint32_t index);

/* Re-arm INTx, which masks itself when it fires. If it is still asserted, it fires again. */
int vfio_irq_unmask(struct vfio_dev *dev, uint32_t index, uint32_t vector);
int vfio_irq_mask(struct vfio_dev *dev, uint32_t index, uint32_t vector);

/* Fire a vector as the device would: a test of the way from there to here. */
int vfio_irq_trigger(struct vfio_dev *dev, uint32_t index, uint32_t vector);

/*
 * The whole of VFIO_DEVICE_SET_IRQS: any data type, any action, eventfds of your own (in
 * set->data as int, -1 for none). The errno is the kernel's. The device keeps a copy of each
 * descriptor. A positive result means that fewer vectors are possible, and that none was enabled.
 */
int vfio_irq_set(struct vfio_dev *dev, const struct vfio_irq_set *set);

/*
 * Wait up to timeout_ms (-1: for ever) for an eventfd of this device, serving the server's
 * requests meanwhile. Returns how often it was signalled since the last wait, 0 on time-out,
 * -ENODEV when the device has gone.
 */
int64_t vfio_irq_wait(struct vfio_dev *dev, int fd, int timeout_ms);

/* ---- events ------------------------------------------------------------------------------ */

/*
 * A device can be wanted back while it is in use: it is to be unplugged, or to get another driver;
 * and it can report an error that its bus cannot correct. A descriptor that is readable (POLLIN) when
 * one of these has come: the handle's, made at the first call, and the same one afterwards. It uses
 * the interrupt indexes VFIO_PCI_REQ_IRQ_INDEX and VFIO_PCI_ERR_IRQ_INDEX, as vfio_irq_enable() does;
 * a device that has neither never has an event.
 */
int vfio_event_fd(struct vfio_dev *dev);

/*
 * Take an event, without waiting; the first call begins to watch, as vfio_event_fd(). 0: there is
 * none. -EIO and VFIO_E_REPORTED: the device has reported an error; it may be gone. -ECANCELED and
 * VFIO_E_REQUESTED: it is wanted back, and whoever wants it waits: begin nothing new, finish or give
 * up what is under way, and call vfio_close(). It is said again some seconds later, until then.
 */
int vfio_event(struct vfio_dev *dev);

/* ---- DMA --------------------------------------------------------------------------------- */

#define VFIO_DMA_READ  1u	/* the device may read this memory */
#define VFIO_DMA_WRITE 2u	/* the device may write it */
#define VFIO_DMA_RW    3u

#define VFIO_IOVA_ANY UINT64_MAX

/* What memory from vfio_dma_alloc() is made of, the best first. */
#define VFIO_PAGES_HUGETLBFS 1u	/* huge pages, of a file on a mounted hugetlbfs */
#define VFIO_PAGES_HUGETLB   2u	/* huge pages, of a memfd */
#define VFIO_PAGES_THP       3u	/* a memfd that the kernel was asked to use huge pages for */
#define VFIO_PAGES_PLAIN     4u	/* a memfd */

/* How a device reaches memory. */
#define VFIO_DMA_IN_PLACE   1u	/* it has the memory mapped */
#define VFIO_DMA_BY_FILE    2u	/* the file may be cut off under it: a system call copies */
#define VFIO_DMA_BY_PROCESS 4u	/* a system call copies from and to the driver's process */
#define VFIO_DMA_BY_MESSAGE 8u	/* it asks the driver for the bytes */

/* A flag of vfio_dma_map(): the device does not see the memory itself, but a copy. */
#define VFIO_DMA_BOUNCE     16u

/* Memory that the device can reach. Members that are not set are 0, fd is -1. */
struct vfio_dma {
	void *vaddr;		/* here */
	uint64_t iova;		/* there: what the device is given */
	size_t size;		/* bytes */
	int fd;			/* the memory file it is mapped from, or -1 */
	uint64_t fd_offset;	/* where in it */
	uint32_t prot;		/* VFIO_DMA_READ, VFIO_DMA_WRITE */
	uint32_t flags;		/* 0, VFIO_DMA_BY_PROCESS or VFIO_DMA_BOUNCE */
	uint32_t pages;		/* VFIO_PAGES_…, set by vfio_dma_alloc() */
};

/*
 * Allocate size bytes, zeroed, that the device can reach, and fill *dma. size is rounded up to 64
 * bytes. Address and I/O address are aligned to the next power of two from size, at most to 4096;
 * from 2 MiB on to that. Small buffers are carved from large maps, so that a device has few of them
 * whatever their number. The I/O address is below the limit of vfio_dma_set_bits(), and where
 * vfio_iova_ranges() allows it. The memory is a memory file (fd, fd_offset), sealed where that can
 * be, so that a device in another process uses it in place; it is resident, and of the best pages
 * that there are (dma->pages).
 */
int vfio_dma_alloc(struct vfio_dev *dev, struct vfio_dma *dma, size_t size, uint32_t prot);

/*
 * Unmap what vfio_dma_alloc() or vfio_dma_map() has filled; memory of vfio_dma_alloc() is freed. When
 * this returns, the device no longer touches the memory, unless it was carved from a larger map
 * (buffers up to 256 KiB): that stays, the next buffer may be where this one was, and so the device
 * must be done with it before. Accepts a *dma whose size is 0; -ENOENT, and nothing happens, when it
 * is not mapped (any more).
 */
int vfio_dma_free(struct vfio_dev *dev, struct vfio_dma *dma);

/*
 * Map memory of the caller's: dma->vaddr, size, prot, and iova (VFIO_IOVA_ANY: chosen, and stored),
 * all page aligned. With a memory file in fd (memfd, tmpfs, hugetlbfs) the memory is shared with a
 * device in another process; with a descriptor of another kind, or -1, a server gets the bytes at
 * vaddr by message. With VFIO_DMA_BY_PROCESS in flags it is handed the process's memory instead, all
 * of it, and copies without asking if it can: only for servers that are trusted. A device in this
 * process uses vaddr. The memory must stay until it is unmapped here: see vfio_dma_forget().
 *
 * -EEXIST: overlaps a map. -EINVAL: unaligned, empty, no direction, or an address that the machine
 * does not allow. -EOVERFLOW: wraps round. -ENOSPC, -ENOMEM: see vfio_dma_limits(). The errno and
 * their order are those of the kernel's VFIO_IOMMU_MAP_DMA. Wherever the device is: -EBADF: fd is not
 * open, and not -1; and of a memory file: -EINVAL: it ends before fd_offset + size, or fd_offset is
 * not page aligned; -EACCES: it is not open for prot.
 */
int vfio_dma_map(struct vfio_dev *dev, struct vfio_dma *dma);

/*
 * Unmap every map inside [iova, iova + size); (0, UINT64_MAX): all. When this returns, the device no
 * longer touches the memory. -ENOENT when nothing is mapped there; -EINVAL when it would cut a map in
 * two, and then nothing is unmapped. Buffers of vfio_dma_alloc() are given back with
 * vfio_dma_free(); one that goes with everything else here is freed, too.
 */
int vfio_dma_unmap(struct vfio_dev *dev, uint64_t iova, uint64_t size);

/*
 * Memory at [vaddr, vaddr + size) is about to be unmapped, or has been: unmap every map that shows
 * some of it. Nothing tells the library of munmap(2). A device that reaches a memory file keeps it,
 * and so writes to nothing else; one that gets bytes by message faults at addresses where nothing is;
 * but where other memory is by then, it gets that; one in this process touches what is there, or dies
 * with it. Returns the number of maps that went.
 */
int vfio_dma_forget(struct vfio_dev *dev, const void *vaddr, size_t size);

/* The device drives only so many address bits (12 to 64; 64 at first): VFIO_IOVA_ANY obeys. */
int vfio_dma_set_bits(struct vfio_dev *dev, unsigned int bits);

/*
 * With VFIO_DMA_BOUNCE in dma->flags (and VFIO_IOVA_ANY) vfio_dma_map() maps a window of the library's
 * instead of the caller's memory, which may then be of any address and size; dma->iova is the
 * window's. These copy len bytes at offset: what the driver has written to the window, before the
 * device is told to read it; what the device has written from there, before the driver reads it. Where
 * the directions of the map do not want that, nothing is copied; nor for buffers that do not bounce,
 * so that a driver that calls them works with all. The window begins as a copy of the memory; both go
 * with vfio_dma_free(). -ENOENT: dma is not mapped; -EINVAL: it is smaller.
 */
int vfio_dma_sync_for_device(struct vfio_dev *dev, const struct vfio_dma *dma, size_t offset,
			     size_t len);
int vfio_dma_sync_for_cpu(struct vfio_dev *dev, const struct vfio_dma *dma, size_t offset,
			  size_t len);

/* The best pages that vfio_dma_alloc() takes from now on: VFIO_PAGES_…, at first the first. */
int vfio_dma_set_pages(struct vfio_dev *dev, uint32_t best);

#define VFIO_MAX_IOVA_RANGES 32

/*
 * The I/O addresses that can be mapped, ascending: what the machine, or an administrator, allows.
 * struct vfio_iova_range, with start and end, is the kernel's; end is the last address. Returns their
 * number; ranges has room for VFIO_MAX_IOVA_RANGES.
 */
int vfio_iova_ranges(struct vfio_dev *dev, struct vfio_iova_range *ranges);

/* How much of something there is, how much of it this user may have, and has. */
struct vfio_quota {
	uint64_t advertised, granted, used;	/* UINT64_MAX: without limit */
};

struct vfio_dma_limits {
	struct vfio_quota maps, bytes;
};

/* Limits of DMA maps. A map beyond them is -ENOSPC or -ENOMEM; unmapping gives back. */
int vfio_dma_limits(struct vfio_dev *dev, struct vfio_dma_limits *limits);

/* A map, as the device has it. */
struct vfio_dma_info {
	uint64_t iova, size;
	uint32_t prot;
	uint32_t access;		/* VFIO_DMA_IN_PLACE, … */
};

/*
 * The maps that the device has, by address: *cursor is 0 at first; each call that returns 1 stores
 * the next one and moves it on; 0 when there is no further one. -ENOTSUP where it cannot be known
 * (another vfio-user server than libvfio's).
 */
int vfio_dma_next(struct vfio_dev *dev, uint64_t *cursor, struct vfio_dma_info *info);

/* An access by the device that was refused. */
struct vfio_fault {
	uint64_t iova, size;
	uint32_t prot;		/* what was asked: VFIO_DMA_READ, VFIO_DMA_WRITE or both */
	int err;		/* positive errno */
	uint64_t count;		/* faults since power-on, this one included */
};

/*
 * The last access to memory that was refused to the device: 1 and *fault, 0 when there was none
 * since it was opened, -ENOTSUP as above.
 */
int vfio_fault(struct vfio_dev *dev, struct vfio_fault *fault);

/*
 * An eventfd that is signalled at each refused access, for a poll loop; made at the first call, the
 * handle's. -ENOTSUP as above.
 */
int vfio_fault_fd(struct vfio_dev *dev);

/*
 * Which pages does the device write? From the start on, the pages (of page bytes, a power of two from
 * 4096) that it was given for writing are remembered; vfio_dirty_get() sets a bit for each of
 * [iova, iova + size) that was since the last time, bit n % 64 of bitmap[n / 64] for page n from
 * iova, and clears none. All multiples of page, which is the same both times. -EINVAL when it was not
 * started. What is unmapped is forgotten: ask before. A device that is told to write at one time and
 * does so later is not done before its driver knows. -ENOTSUP where the device, or the kernel, cannot
 * tell.
 */
int vfio_dirty_start(struct vfio_dev *dev, uint64_t page);
int vfio_dirty_stop(struct vfio_dev *dev);
int vfio_dirty_get(struct vfio_dev *dev, uint64_t iova, uint64_t size, uint64_t page,
		   uint64_t *bitmap);

/* ---- devices without an IOMMU ------------------------------------------------------------ */

#define VFIO_ADDRESS_IOVA     0	/* the device is given I/O addresses, which an IOMMU translates */
#define VFIO_ADDRESS_PHYSICAL 1	/* it is given the memory's physical addresses: nothing does */

/*
 * Which kind of addresses is the device given? VFIO_ADDRESS_…, or a negative errno. A driver need not
 * ask: dma->iova is right with either. With physical addresses memory must be contiguous: beyond a
 * page vfio_dma_alloc() needs reserved huge pages, and vfio_dma_map() takes memory that is so, at
 * VFIO_IOVA_ANY or the very address; -EINVAL otherwise, and the record says what it is, or where the
 * memory breaks. Nothing keeps the device from other memory.
 */
int vfio_addr_mode(struct vfio_dev *dev);

/* Bytes that lie together for the device. */
struct vfio_dma_segment {
	uint64_t address, size;
};

/*
 * What the device is to be given for the memory of dma: the number of segments, of which the first max
 * are stored. Of what is mapped there is one. Of memory that is not, with physical addresses, there
 * are as many as it lies in pieces, each of which can be mapped; with the other kind it is -ENOENT.
 */
int vfio_dma_segments(struct vfio_dev *dev, const struct vfio_dma *dma,
		      struct vfio_dma_segment *list, unsigned int max);

/*
 * Is all memory that is mapped still at the physical address that the device was given? 0; -ESTALE:
 * a page has moved. The library pins what it can, so that this is 0 where io_uring is to be had; see
 * libvfio(7). Always 0 behind an IOMMU.
 */
int vfio_dma_recheck(struct vfio_dev *dev);

/* ---- address spaces ---------------------------------------------------------------------- */

/*
 * A set of DMA maps that several devices see, over whatever back ends. Each device has one of its
 * own at first; the calls above work on the space that the device is attached to. One thread at a
 * time for a space and all that is attached to it.
 */
struct vfio_space;

int vfio_space_new(struct vfio_space **space, struct vfio_error *err);

/* Detach what is attached, unmap and free. Accepts NULL. */
void vfio_space_free(struct vfio_space *space);

/* The record of the last call on this space that failed. */
const struct vfio_error *vfio_space_last_error(const struct vfio_space *space);

/*
 * Attach a device: it gets all maps of the space, or, if it refuses one, none. -EBUSY when it is
 * attached to another space, or has maps of its own; -EINVAL when a map lies where it cannot reach.
 */
int vfio_space_attach(struct vfio_space *space, struct vfio_dev *dev);

/*
 * vfio_open() and vfio_space_attach() in one. Devices of the kernel's that one space opens share what
 * the kernel keeps memory in: it is pinned, and counted against the memlock limit, once for all of
 * them; and several devices of one IOMMU group, which has one user at a time, can be opened. On
 * failure *dev is NULL and *err, unless err is NULL, says why.
 */
int vfio_space_open(struct vfio_space *space, struct vfio_dev **dev, const char *name,
		    struct vfio_error *err);

/* Take the maps from the device, which has a space of its own again. -ENOENT: it is not attached. */
int vfio_space_detach(struct vfio_dev *dev);

/*
 * As the calls above, for every device that is attached: a map that one of them refuses, none of
 * them has. The I/O address suits all of them.
 */
int vfio_space_alloc(struct vfio_space *space, struct vfio_dma *dma, size_t size, uint32_t prot);
int vfio_space_map(struct vfio_space *space, struct vfio_dma *dma);
int vfio_space_dma_free(struct vfio_space *space, struct vfio_dma *dma);
int vfio_space_unmap(struct vfio_space *space, uint64_t iova, uint64_t size);

#ifdef __cplusplus
}
#endif
#endif

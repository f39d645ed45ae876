/* SPDX-License-Identifier: MIT */
/*
 * The virtual function: a PCI function as VFIO shows it, over a software model.
 *
 *   function.c   life: new, free
 *   check.c      does a description contradict itself?
 *   build.c      from a description to the function's own registers
 *   registers.c  the function's own registers in configuration space, as PCI has them behave
 *   hardware.c   the same when they are a real device's
 *   view.c       what its user sees of them: who answers which bit, what a write does
 *   lists.c      the lists of capabilities that its user sees
 *   config.c     accesses to configuration space, through the view
 *   hooks.c      what a write to configuration space sets off
 *   vpd.c        vital product data
 *   region.c     BARs and ROM: trapped, memory, MSI-X table
 *   irq.c        VFIO_DEVICE_SET_IRQS: the calls, ERR, REQ
 *   intx.c       the level interrupt
 *   vectors.c    MSI and MSI-X
 *   events.c     what the function waits for: the model's descriptors, the user's to re-arm INTx
 *   doorbell.c   registers in memory that a model polls, and what wakes it when it does not
 *   reset.c      power-on, reset by every road
 *   dma.c        the device's way to memory, through the bus-master gate and the IOMMU
 *   policy.c     what the administrator decides; policy_words.c: the words for it
 *   side.c       the side channel: records, and where a write went
 *   feature.c    questions that are not PCI's
 */
#ifndef LIBVFIO_FUNCTION_H
#define LIBVFIO_FUNCTION_H

#include <linux/pci_regs.h>
#include <sys/queue.h>

#include <vfio/device.h>
#include <vfio/pci.h>

#include "base/signaler.h"
#include "contract.h"
#include "iommu/space.h"

#define CONFIG_SIZE PCI_CFG_SPACE_SIZE
#define CONFIG_MAX  PCI_CFG_SPACE_EXP_SIZE
#define CONFIG_ROOM (CONFIG_MAX + 4)	/* so that four bytes can be looked at, wherever */
#define NUM_BARS    6
#define NO_INDEX    UINT32_MAX
#define MSI_MAX     32
#define RECORDS     64

/* Where the capabilities lie that have a life of their own; 0: the function shows none. */
struct layout {
	uint16_t pm, msi, msix, express, af, vpd;
};

/*
 * The function's own registers: what the device itself would answer, and how its bits behave. Those
 * in neither mask are read-only.
 */
struct registers {
	uint8_t value[CONFIG_ROOM], power_on[CONFIG_ROOM];
	uint8_t write[CONFIG_ROOM];	/* a write stores */
	uint8_t clear[CONFIG_ROOM];	/* a one clears */
};

/* The registers are a real device's. */
struct hardware {
	uint16_t pm;			/* where its capability is, shown or not; 0: none */
	uint8_t saved[CONFIG_ROOM];	/* what was in them before D3hot, which may lose it */
	uint8_t ours[CONFIG_ROOM];	/* bits of registers.value that the device never sees */
	uint32_t vital;			/* bytes of vital product data; 0: not known yet */
};

/* What a write to a register sets off, after it was done. */
struct hook {
	uint16_t reg, width;
	uint32_t bits;			/* of the register, that set something off */
	void (*written)(struct vfio_function *fn, unsigned int reg);
};

#define MAX_HOOKS 16

/* What the user sees: for each bit, who answers, and what the user's write does. */
struct view {
	uint8_t shadow[CONFIG_ROOM], power_on[CONFIG_ROOM];
	uint8_t virt[CONFIG_ROOM];	/* the shadow answers; the registers do for the rest */
	uint8_t write[CONFIG_ROOM];	/* a write stores, there or there */
	uint8_t clear[CONFIG_ROOM];	/* a one clears, there or there */
	uint8_t trapped[CONFIG_ROOM];	/* a write runs a hook */
	uint8_t kept[CONFIG_ROOM];	/* the shadow answers in the filtered view, too */
	uint8_t policy[CONFIG_ROOM];	/* writable by PCI, refused by policy */
	uint16_t owner[CONFIG_MAX];	/* whose byte: an index into owners, or NO_OWNER */
	unsigned int nowners;
	struct vfio_pci_capability owners[2 + VFIO_PCI_MAX_CAPABILITIES + VFIO_PCI_MAX_EXTENDED];
	unsigned int nhooks;
	struct hook hooks[MAX_HOOKS];
	char problem[VFIO_PCI_PROBLEM_ROOM];	/* what is wrong with the lists; "" for nothing */
};

#define NO_OWNER UINT16_MAX

/* Where MSI-X keeps its vectors and pending bits; sizes are 0 where there is no such BAR. */
struct msix_place {
	uint32_t table_bar, pending_bar;
	uint64_t table, pending, table_size, pending_size;
};

/* The part of a BAR that is memory. base spans the whole BAR; only the areas are backed. */
struct bar_memory {
	uint8_t *base;
	int fd;
	bool given;			/* both are a back end's: a device's registers */
};

/*
 * A real pin, whose assertions go to the user's eventfd past the function. Like the function's own
 * it fires once, and is masked then until it is armed again.
 */
struct line {
	/* Signal the eventfd when the pin is asserted; armed already, it stays so. */
	int (*arm)(struct line *line, int eventfd, struct vfio_error *err);
	/* Not any more; before the eventfd is closed. */
	void (*disarm)(struct line *line);
};

struct interrupts {
	uint32_t active;		/* VFIO_PCI_INTX_IRQ_INDEX, MSI, MSI-X or NO_INDEX */
	int intx;			/* eventfd or -1 */
	int unmask;			/* eventfd that re-arms INTx, or -1 */
	bool masked, asserted;
	bool disabled;			/* the INTx disable bit, as it was last */
	uint32_t msi, msix;		/* vectors that the capabilities have */
	uint32_t allocated;		/* MSI, MSI-X: vectors that exist */
	uint32_t msi_allowed;		/* log2 of the vectors of the last MSI enable */
	int *vectors;			/* eventfds or -1, as many as the larger of MSI and MSI-X */
	uint64_t pending[MSIX_MAX / 64];	/* raised, and waiting until they can be delivered */
	bool any_pending;
	int err, req;
};

enum view_kind { VIEW_VIRTUAL, VIEW_FILTERED };
enum lacking { LACKING_FAIL, LACKING_HIDE, LACKING_EMULATE };

#define BEHAVIOUR_LATEST 2

/* What vfio_policy_set() has decided; policy_words.c has the words. */
struct policy {
	enum view_kind view;
	char hide[256];			/* the list, as it was given */
	bool hidden_zero;		/* the bytes of hidden capabilities read zero */
	uint32_t vectors;		/* of MSI or MSI-X; UINT32_MAX: all */
	uint32_t host_lacks;		/* a bit for each interrupt index */
	enum lacking lacking;
	bool refuse_malformed;
	uint32_t behaviour;		/* 1 to BEHAVIOUR_LATEST */
	bool keep;			/* when the user goes, the device stays as it is */
	uint32_t max_maps;
	uint64_t max_dma;		/* bytes; UINT64_MAX: all */
	char iova[256];			/* the list, as it was given, */
	unsigned int nranges;		/* and what it says; 0: all addresses */
	struct vfio_iova_range ranges[SPACE_MAX_ALLOWED];
	bool process_memory;		/* descriptors of /proc/PID/mem are taken */
};

/* What became of the bits that a write was to change; bit 0 is that of the byte at start. */
struct outcome {
	unsigned int start;
	uint32_t device, virtual, lost, refused;
};

/* A record. Of writes that lose bits there may be many: their words are made when they are read. */
struct record {
	struct vfio_error error;	/* code 0: a write that lost bits */
	bool of_call;			/* that failed */
	uint16_t at;			/* where, */
	uint8_t width;
	bool by_policy;
	uint32_t bits;			/* which, */
	uint64_t times;			/* and how often, one after the other */
};

/* The side channel. */
struct side {
	struct outcome outcome;		/* of the chunk that is being written */
	struct record records[RECORDS];
	uint64_t count;			/* records that were ever made, */
	uint64_t before;		/* and those of users that have gone */
	uint32_t where;			/* VFIO_WENT_… of the last write */
};

struct function_doorbell {
	unsigned int bar;
	uint64_t offset, size;
	void (*rung)(struct vfio_function *fn, void *arg);
	void *arg;
};

struct doorbells {
	unsigned int count;
	struct function_doorbell list[VFIO_MAX_DOORBELLS];
	int events[NUM_BARS];		/* eventfds that the user holds, too; -1: it has not asked */
};

struct vital {
	uint8_t *bytes, *power_on;
	uint32_t size;
};

struct vfio_function {
	struct vfio_function_description description;
	struct vfio_area *areas[NUM_BARS];	/* our copies */
	uint8_t *rom;
	struct vfio_function_ops all_ops;	/* a copy: those of an older program are fewer */
	const struct vfio_function_ops *ops;	/* that copy */
	void *state;
	uint32_t config_size;		/* 256 or 4096 */
	struct layout layout;
	struct msix_place msix;
	struct registers registers;
	struct hardware hardware;
	struct view view;
	uint8_t remembered;		/* I/O and memory enable, as the user wrote them last */
	uint8_t power_state;		/* 0 to 3: D0 to D3hot */
	struct vital vpd;
	uint32_t rom_size;		/* of the BAR, a power of two; 0: none */
	struct bar_memory memory[NUM_BARS];
	struct interrupts irq;
	struct line *line;		/* or NULL: the model says when its pin is asserted */
	struct signaler signaler;
	int events;			/* an epoll instance, with … */
	LIST_HEAD(, watch) watches;	/* … the model's descriptors */
	uint64_t watch_number;		/* of the last one */
	bool dispatching;
	struct doorbells doorbells;
	struct space space;
	int fault_event;		/* the user's, or -1 */
	struct policy policy;
	struct side side;
	uint64_t resets;
	int last_reset;
	struct vfio_error *err;		/* of the last call that failed; never NULL */
	struct vfio_error no_handle;	/* err, until a handle is made */
};

/* check.c */
int function_check(const struct vfio_function_description *d, struct vfio_error *err);
int function_check_areas(const struct vfio_function *fn, struct vfio_error *err);

/* build.c */
int function_build(struct vfio_function *fn, struct vfio_error *err);

/* registers.c */
void registers_behave(struct registers *r, unsigned int size);
/* Of the four bytes at an offset only the bits in mask are written; of those that ones clear, too. */
void registers_write(struct registers *r, unsigned int at, uint32_t value, uint32_t mask);
/* Which of four bytes' bits are not read-only, as far as is known: a device knows better. */
uint32_t registers_kept(const struct vfio_function *fn, unsigned int at);
/* Of the width bytes at an offset the bits are written by the virtual function itself. */
void registers_put(struct vfio_function *fn, unsigned int at, unsigned int width, uint32_t value,
		   uint32_t bits);

/* hardware.c: functions whose registers are a real device's. */
static inline bool function_is_real(const struct vfio_function *fn)
{
	return fn->ops->config_read;
}
/* registers.value becomes what the device has; a model's is what it is. */
void hardware_refresh(struct vfio_function *fn, unsigned int at, unsigned int length);
/* Bits are written, and registers.value becomes what has come of it. */
void hardware_write(struct vfio_function *fn, unsigned int at, unsigned int width, uint32_t value,
		    uint32_t bits);
/* The same for bits of up to four bytes, by the smallest access that there is. */
void hardware_store(struct vfio_function *fn, unsigned int at, uint32_t value, uint32_t bits);
/* Of the dwords from start to end, what the table says can be written. */
void hardware_restore(struct vfio_function *fn, const uint8_t *wanted, unsigned int start,
		      unsigned int end);
/* To D0. */
void hardware_wake(struct vfio_function *fn);
void hardware_take(struct vfio_function *fn);
/* Four bytes of vital product data; false when the device did not do it. */
bool hardware_vital_store(struct vfio_function *fn, uint16_t address, const uint8_t *data);
bool hardware_vital_fetch(struct vfio_function *fn, uint16_t address, uint8_t *data);

/* view.c */
int function_view(struct vfio_function *fn);
/* The virtual function answers, in any view. */
void view_keep(struct view *v, unsigned int at, unsigned int length);
void view_show(struct vfio_function *fn, struct vfio_pci_capability *cap, uint32_t number);
void view_blank(struct view *v, unsigned int at, unsigned int length);
void view_own_null(struct view *v, unsigned int at);

/* lists.c */
void lists_show(struct vfio_function *fn);

/* config.c */
ssize_t function_config_read(struct vfio_function *fn, uint64_t offset, void *buf, size_t len);
ssize_t function_config_write(struct vfio_function *fn, uint64_t offset, const void *buf, size_t len);
uint16_t function_command(const struct vfio_function *fn);
bool function_decodes_memory(const struct vfio_function *fn);
bool function_masters_bus(const struct vfio_function *fn);

/* hooks.c */
void function_add_hooks(struct vfio_function *fn);
/* The bits that stick of what is written to the BAR, or the ROM's, at reg. */
uint32_t function_bar_mask(const struct vfio_function *fn, unsigned int reg);
/* Give each BAR and the ROM's the form in which it is read. */
void function_size_bars(struct vfio_function *fn);
void function_run_hooks(struct vfio_function *fn, unsigned int start, unsigned int end);
/* From one power state to another; what cannot be is noted. cap: of power management. */
bool function_can_go(struct vfio_function *fn, unsigned int cap, unsigned int from,
		     unsigned int to);
void function_before_command(struct vfio_function *fn, uint8_t value);

/* vpd.c */
int function_vpd_init(struct vfio_function *fn);
void function_vpd_written(struct vfio_function *fn, unsigned int reg);

/* region.c */
int function_region(struct vfio_function *fn, uint32_t index, struct vfio_region *region);
ssize_t function_read(struct vfio_function *fn, uint32_t region, uint64_t offset, void *buf, size_t len);
ssize_t function_write(struct vfio_function *fn, uint32_t region, uint64_t offset, const void *buf,
		       size_t len);
int function_memory_renew(struct vfio_function *fn, bool keep, struct vfio_error *err);
void function_memory_free(struct vfio_function *fn);
/* The areas of a BAR are these, which stay the caller's, and are not renewed. */
void function_memory_give(struct vfio_function *fn, unsigned int bar, uint8_t *base, int fd);
/* One access of 1, 2, 4 or 8 bytes, naturally aligned. */
uint64_t function_memory_read(const uint8_t *at, unsigned int width);
void function_memory_write(uint8_t *at, unsigned int width, uint64_t value);

/* irq.c */
int function_irqs_init(struct vfio_function *fn);
void function_irqs_clear(struct vfio_function *fn);
int function_irq_info(struct vfio_function *fn, uint32_t index, struct vfio_irq_info *info);
int function_set_irqs(struct vfio_function *fn, const struct irq_request *request);
/* The user's eventfd of a vector, or -1. */
int function_eventfd(const struct vfio_function *fn, uint32_t index, uint32_t vector);
uint32_t function_vectors_of(const struct vfio_function *fn, uint32_t index);
int irq_refuse(struct vfio_function *fn, int err, enum vfio_error_code code,
	       const struct irq_request *q, const char *why);
int irq_replace_eventfd(struct vfio_function *fn, const struct irq_request *q, int *slot, int fd);
/* Which of the vectors does a NONE or BOOL request name? */
static inline bool irq_is_named(const struct irq_request *q, uint32_t i)
{
	return (q->flags & VFIO_IRQ_SET_DATA_NONE) || q->bools[i];
}
bool irq_can_deliver(const struct vfio_function *fn, uint32_t index);

/* intx.c */
/* Nobody is told of it any more. */
void intx_close(struct vfio_function *fn);
int intx_trigger(struct vfio_function *fn, const struct irq_request *q);
int intx_set_mask(struct vfio_function *fn, const struct irq_request *q);
void function_intx_disable_changed(struct vfio_function *fn, bool disabled);
void intx_forget_rearm(struct vfio_function *fn);
/* The user's eventfd may have been signalled. */
void intx_rearm(struct vfio_function *fn);

/* events.c */
int events_init(struct vfio_function *fn);
void events_finish(struct vfio_function *fn);
int events_watch_rearm(struct vfio_function *fn, int fd);
int events_watch_doorbell(struct vfio_function *fn, int fd, unsigned int bar);
/* Of either; fd may be -1. */
void events_forget_edge(struct vfio_function *fn, int fd);
/* Something to poll and then to dispatch. */
int function_poll_fd(const struct vfio_function *fn);
void function_dispatch(struct vfio_function *fn);

/* doorbell.c */
/* As struct backend has it. */
int function_doorbells(struct vfio_function *fn, uint32_t region, struct doorbell *list,
		       unsigned int max);
/* The user's eventfds: whoever held them wakes nothing any more. */
void function_forget_doorbell_events(struct vfio_function *fn);
void doorbells_written(struct vfio_function *fn, unsigned int bar, uint64_t offset,
		       uint64_t size);
void doorbells_signalled(struct vfio_function *fn, unsigned int bar);

/* vectors.c */
int vectors_trigger(struct vfio_function *fn, const struct irq_request *q);
void vectors_disable(struct vfio_function *fn);
void vectors_drop_pending(struct vfio_function *fn);
/* Something has changed that may have kept messages back. */
void vectors_deliver(struct vfio_function *fn);
uint64_t vectors_pending_word(const struct vfio_function *fn, unsigned int word);
uint32_t vectors_granted(const struct vfio_function *fn, uint32_t index);

/* reset.c */
int function_power_on(struct vfio_function *fn);
int function_recycle(struct vfio_function *fn);
int function_reset(struct vfio_function *fn);
/* The model alone: what a reset by configuration space does. */
int function_reset_model(struct vfio_function *fn);
uint32_t function_reset_methods(const struct vfio_function *fn);

/* dma.c */
/* Bus mastering may have been switched. */
void function_gate_dma(struct vfio_function *fn);
/* The space's own eventfd has been signalled. */
void function_faulted(struct vfio_function *fn);
int function_set_fault_event(struct vfio_function *fn, int fd);
void function_forget_fault_event(struct vfio_function *fn);
void function_dma_clear(struct vfio_function *fn);
int function_dma_map(struct vfio_function *fn, const struct dma_map *map);
int function_dma_unmap(struct vfio_function *fn, uint64_t iova, uint64_t size, uint64_t *unmapped);

/* policy.c */
void policy_init(struct policy *p);
bool policy_hides(const struct policy *p, uint32_t structure);
int function_policy_set(struct vfio_function *fn, const char *key, const char *value);
int function_policy_get(struct vfio_function *fn, const char *key, char *value, size_t size);

/* side.c */
/* Keep the record of a call that failed, *fn->err, and return r: wraps error_set(fn->err, …). */
int side_keep(struct vfio_function *fn, int r);
/* Make a record of something that is no failed call. */
void side_note(struct vfio_function *fn, int err, enum vfio_error_code code, enum vfio_refuser who,
	       const char *remedy, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* The bits of a register that the chunk has changed in the shadow. */
uint32_t side_changed(const struct vfio_function *fn, unsigned int reg);
/* Bits of a register that a hook did not let stand. */
void side_undo(struct vfio_function *fn, unsigned int reg, uint32_t bits);
/* A chunk of width bytes was stored; its hooks have run. */
void side_stored(struct vfio_function *fn, unsigned int width);
void side_finished(struct vfio_function *fn);
int side_record(const struct vfio_function *fn, uint64_t *cursor, struct vfio_error *error,
		bool *of_call);
/* The name of the register at an offset of configuration space, or "". */
const char *function_register_name(const struct vfio_function *fn, unsigned int at);

/* feature.c */
int function_feature(struct vfio_function *fn, uint32_t flags, void *data, size_t len);

#endif

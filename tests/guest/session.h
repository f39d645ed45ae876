/* SPDX-License-Identifier: MIT */
/* One device, by the road that leads to it, and what is kept of it. */
#ifndef GUEST_SESSION_H
#define GUEST_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define EVENTS  16 /* eventfds e0 to e15 */
#define INDEXES 5  /* interrupt indexes of vfio-pci */

struct session;

/* Who answers. Calls return -1 and set errno, as those of the system do that they stand for. */
struct road {
	void (*open)(struct session *s, const char *token);
	ssize_t (*read)(struct session *s, void *buf, size_t len, uint64_t offset);
	ssize_t (*write)(struct session *s, const void *buf, size_t len, uint64_t offset);
	int (*ioctl)(struct session *s, unsigned long request, void *arg);
	void (*wait)(struct session *s); /* until what a signal sets off is done */
	void (*close)(struct session *s);
};

/* vfio-pci, by the device's group. */
extern const struct road kernel_road;

struct session {
	const struct road *road;
	const char *bdf;
	const char *name;
	int container;
	int group;
	int device;
	void *other;		     /* what another road has instead of these */
	int sysfs;		     /* the raw configuration space */
	int file;		     /* a file that is no eventfd */
	int events[EVENTS];
	uint8_t hw[4096];	     /* raw, after the device was opened */
	size_t size;		     /* of configuration space: 256 or 4096 */
	uint32_t vectors[INDEXES];   /* of each interrupt index; 0 where there are none */
	uint64_t bars[7];	     /* sizes from sysfs, the ROM last */
	bool io[7];		     /* an I/O BAR */
};

void session_open(struct session *s, const struct road *road, const char *bdf, const char *name,
		  const char *token);
int open_attribute(const char *bdf, const char *attribute, int flags);
void session_print_raw(struct session *s, const char *when);
void session_print_bars(struct session *s);
void session_close(struct session *s);

/* Offsets of capabilities in hw; 0 where there is none. */
unsigned find_cap(const struct session *s, unsigned id);
unsigned find_ext_cap(const struct session *s, unsigned id);
unsigned hw16(const struct session *s, unsigned offset);
uint32_t hw32(const struct session *s, unsigned offset);

_Noreturn void fail(const char *what);

#endif

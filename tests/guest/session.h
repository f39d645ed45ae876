/* SPDX-License-Identifier: MIT */
/* One vfio-pci device, opened through its group, and what the recorder keeps of it. */
#ifndef GUEST_SESSION_H
#define GUEST_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENTS  16 /* eventfds e0 to e15 */
#define INDEXES 5  /* interrupt indexes of vfio-pci */

struct session {
	const char *bdf;
	const char *name;
	int container;
	int group;
	int device;
	int sysfs;		     /* the raw configuration space */
	int file;		     /* a file that is no eventfd */
	int events[EVENTS];
	uint8_t hw[4096];	     /* raw, after the device was opened */
	size_t size;		     /* of configuration space: 256 or 4096 */
	uint32_t vectors[INDEXES];   /* of each interrupt index; 0 where there are none */
	uint64_t bars[7];	     /* sizes from sysfs, the ROM last */
	bool io[7];		     /* an I/O BAR */
};

void session_open(struct session *s, const char *bdf, const char *name, const char *token);
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

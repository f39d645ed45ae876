/* SPDX-License-Identifier: MIT */
/*
 * A device to test with. Its registers let a driver order whatever a model can do: raise
 * interrupts and do DMA. The counters are also safe to look at from another thread.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <stdatomic.h>

#include <vfio/device.h>

/* Registers of BAR 0, 4 bytes wide, those from IOVA on 4 or 8. */
enum model_register {
	MODEL_ID	= 0x00,		/* RO: MODEL_ID_VALUE */
	MODEL_MSI	= 0x04,		/* WO: send this vector */
	MODEL_INTX	= 0x08,		/* WO: level of the pin */
	MODEL_COMMAND	= 0x0c,		/* WO: enum model_command */
	MODEL_RESULT	= 0x10,		/* RO: of the last command */
	MODEL_LENGTH	= 0x14,		/* RW: bytes of a command */
	MODEL_IOVA	= 0x18,		/* RW: I/O address of a command */
	MODEL_BYTES	= 0x1000,	/* RW, any width: where DMA goes to and comes from */
};

enum model_command {
	MODEL_DMA_READ = 1,		/* memory to bytes */
	MODEL_DMA_WRITE,		/* bytes to memory */
	MODEL_SPANS,			/* result: how many pieces (read-write) */
	MODEL_PROBE_GONE,		/* read a byte of each map that goes: see gone_result */
};

#define MODEL_ID_VALUE    0x4d4f4445u
#define MODEL_BYTES_SIZE  4096u
#define MODEL_BAR_SIZE    0x10000u
#define MODEL_TABLE       0x8000u
#define MODEL_PENDING     0x9000u
#define MODEL_MSI_VECTORS 4u
#define MODEL_MSIX_VECTORS 64u

/* BAR 2, 64 bits wide: two areas of memory, the rest trapped. */
#define MODEL_AREA_1      0x1000u
#define MODEL_AREA_1_SIZE 0x2000u
#define MODEL_AREA_2      0x8000u
#define MODEL_AREA_2_SIZE 0x1000u

/* BAR 4: 32 I/O ports, which are the first of the bytes. */
#define MODEL_PORTS       32u

struct model_access {
	bool write;
	unsigned int bar, width;
	uint64_t offset, value;
};

struct model {
	struct vfio_function *fn;
	uint8_t bytes[MODEL_BYTES_SIZE];
	uint64_t iova;
	uint32_t length;
	int32_t result;
	bool probe_gone;
	_Atomic unsigned int resets, gone, freed;
	bool stuck;		/* a reset fails */
	bool late;		/* a reset finds DMA that was to be done */
	bool running;		/* a command is under way */
	_Atomic uint64_t gone_iova, gone_size;
	_Atomic int gone_result;
	/* The accesses of late; for a device in the test's own thread. */
	struct model_access log[32];
	unsigned int logged;
};

/* What model_new() makes, and its callbacks: tests change copies. */
extern const struct vfio_function_description model_description;
extern const struct vfio_function_ops model_ops;

/* Make the function; the model is the caller's and may be looked at after the function has gone. */
int model_new(struct model *m, struct vfio_error *err);

/* The same from another description and other callbacks. */
int model_new_as(struct model *m, const struct vfio_function_description *description,
		 const struct vfio_function_ops *ops, struct vfio_error *err);

#endif

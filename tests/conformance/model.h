/* SPDX-License-Identifier: MIT */
/*
 * The software device behind every function here. All that it can do it does when its registers are
 * written, so that a test reaches it over a socket as well as in its own process.
 */
#ifndef CONFORMANCE_MODEL_H
#define CONFORMANCE_MODEL_H

#include <vfio/device.h>

/* Registers, 4 bytes wide, from where the BAR that the subject names begins. */
enum model_register {
	MODEL_ID       = 0x00,	/* RO: MODEL_ID_VALUE */
	MODEL_MESSAGE  = 0x04,	/* WO: send this MSI or MSI-X vector */
	MODEL_PIN      = 0x08,	/* WO: the level of INTx */
	MODEL_RESETS   = 0x0c,	/* RO: how often it was reset since it was made */
	MODEL_FAIL     = 0x10,	/* RW: the errno of resets to come, which keep it; 0: none */
	MODEL_BACKDOOR = 0x14,	/* WO: reset by a register */
	MODEL_ERROR    = 0x18,	/* WO: report an uncorrectable error */
	MODEL_REQUEST  = 0x1c,	/* WO: ask for the device back */
	MODEL_LOGGED   = 0x20,	/* RO: accesses of the scratch bytes; any write forgets them */
	MODEL_SCRATCH  = 0x40,	/* RW, any width: bytes that a reset clears */
	MODEL_LOG      = 0x80,	/* RO: those accesses, one MODEL_ACCESS() each */
};

#define MODEL_ID_VALUE     0x434f4e46u
#define MODEL_SCRATCH_SIZE 64u
#define MODEL_LOG_SIZE     32u

#define MODEL_ACCESS(write, width, offset) \
	((uint32_t)(write) << 31 | (uint32_t)(width) << 16 | (uint32_t)(offset))

/* Make a function with this model behind it, which goes with the function. */
int model_new(struct vfio_function **fn, const struct vfio_function_description *description,
	      unsigned int bar, bool resets, struct vfio_error *err);

#endif

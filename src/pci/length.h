/* SPDX-License-Identifier: MIT */
#ifndef LIBVFIO_LENGTH_H
#define LIBVFIO_LENGTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* len bytes of configuration space, and what of them the lengths of capabilities depend on. */
struct config_space {
	const uint8_t *bytes;
	size_t len;
	bool bridge;		/* the header is of type 1 */
	uint16_t express;	/* where the PCI Express capability is; 0: none */
};

/* The bytes that a capability takes, whether or not so many follow; 0 when that is not known. */
unsigned int capability_length(const struct config_space *c, uint32_t number, unsigned int offset);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef LIBVFIO_PCI_RESET_H
#define LIBVFIO_PCI_RESET_H

#include <stddef.h>
#include <stdint.h>

/* The ways to reset a function that its capabilities tell of: VFIO_RESET_FLR, _AF, _PM. */
uint32_t reset_methods(const uint8_t *config, size_t len);

#endif

/* SPDX-License-Identifier: MIT */
/* CRC-32 as in Ethernet, gzip and PNG (reflected polynomial 0xedb88320). */
#ifndef DRIVERS_EDU_CRC32_H
#define DRIVERS_EDU_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Go on with the checksum of what came before (0 at first). */
uint32_t crc32_add(uint32_t crc, const void *data, size_t len);

#endif

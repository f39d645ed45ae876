/* SPDX-License-Identifier: MIT */
#include "crc32.h"

#define POLYNOMIAL UINT32_C(0xedb88320)

/* What one byte does to the register, for each of its values. */
static const uint32_t *byte_table(void)
{
	static uint32_t table[256];

	if (table[1])
		return table;
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;

		for (int bit = 0; bit < 8; bit++)
			value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
		table[i] = value;
	}
	return table;
}

uint32_t crc32_add(uint32_t crc, const void *data, size_t len)
{
	const uint32_t *table = byte_table();
	const uint8_t *byte = data;

	crc = ~crc;
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *byte++) & 0xff];
	return ~crc;
}

/* SPDX-License-Identifier: MIT */
/* Text from outside, made safe for a terminal and for JSON. */
#include <string.h>

#include "lsvfio.h"

/* Bytes that the sequence starting with first has in UTF-8, and its smallest code point. */
static size_t sequence(unsigned char first, uint32_t *least, uint32_t *bits)
{
	static const struct {
		unsigned char mask, lead;
		uint32_t least;
	} forms[] = {
		{ 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 }, { 0xf8, 0xf0, 0x10000 },
	};

	for (size_t i = 0; i < 4; i++) {
		if ((first & forms[i].mask) == forms[i].lead) {
			*least = forms[i].least;
			*bits = first & (unsigned char)~forms[i].mask;
			return i + 1;
		}
	}
	return 0;
}

/* Control characters, and those that reorder or break the line around them. */
static bool is_printable(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false;
	if ((c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return false;
	return c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
}

/* Length of the printable character at s, or 0. */
static size_t printable(const char *s, size_t len)
{
	uint32_t least, c;
	size_t n = sequence((unsigned char)s[0], &least, &c);

	if (n == 0 || n > len)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	return c >= least && is_printable(c) ? n : 0;
}

char *text_clean(const char *s, size_t len)
{
	char *clean = memory_zeroed(4 * len + 1, 1), *to = clean;

	while (len) {
		size_t n = printable(s, len);

		if (n) {
			memcpy(to, s, n);
			to += n;
		} else {
			n = 1;
			to += snprintf(to, 5, "\\%03o", (unsigned char)*s);
		}
		s += n;
		len -= n;
	}
	return clean;
}

char *text_size(uint64_t bytes)
{
	static const char *const units[] = { "", "K", "M", "G", "T", "P", "E" };
	size_t u = 0;

	while (bytes >= 1024 && bytes % 1024 == 0) {
		bytes /= 1024;
		u++;
	}
	return memory_printf("%llu%s", (unsigned long long)bytes, units[u]);
}

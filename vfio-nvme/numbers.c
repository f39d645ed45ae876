/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <errno.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "program.h"

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* How far a suffix shifts; -1: it is none. */
static int suffix_shift(const char *suffix)
{
	static const char letters[] = "kmgt";
	const char *found;

	if (!*suffix)
		return 0;
	found = strchr(letters, tolower((unsigned char)*suffix));
	/* k, K, KiB: all are 1024. */
	if (!found || (suffix[1] && strcmp(suffix + 1, "iB") != 0))
		return -1;
	return 10 * (int)(found - letters + 1);
}

bool parse_size(const char *text, uint64_t *value)
{
	char *end;
	int shift;

	/* strtoull() takes blanks and signs. */
	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*value = strtoull(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
	shift = suffix_shift(end);
	if (errno || shift < 0 || *value > UINT64_MAX >> shift)
		return false;
	*value <<= shift;
	return true;
}

bool parse_seconds(const char *text, uint64_t *milliseconds)
{
	size_t whole = strspn(text, "0123456789");
	const char *point = text + whole;
	size_t part = *point == '.' ? strspn(point + 1, "0123456789") : 0;
	char digits[4] = "000";

	if (!whole || whole > 15 || part > 3 || (*point && (!part || point[1 + part])))
		return false;
	memcpy(digits, point + 1, part);
	*milliseconds = strtoull(text, NULL, 10) * 1000 + strtoull(digits, NULL, 10);
	return true;
}

const char *size_text(char *text, uint64_t bytes)
{
	static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(text, SIZE_TEXT, "%u bytes", (unsigned int)bytes);
		return text;
	}
	for (; value >= 1024 && unit < sizeof(units) / sizeof(*units) - 1; unit++)
		value /= 1024;
	snprintf(text, SIZE_TEXT, "%.1f %s", value, units[unit]);
	return text;
}

double rate(uint64_t bytes, uint64_t ns)
{
	return ns ? (double)bytes / (1 << 20) / ((double)ns / 1e9) : 0;
}

bool is_utf8(void)
{
	return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

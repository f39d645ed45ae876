/* SPDX-License-Identifier: MIT */
#include "compare.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>

#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX

/* ---- telling ------------------------------------------------------------------------------ */

bool differs(struct roads *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->problem, sizeof(r->problem), format, args);
	va_end(args);
	return false;
}

void note(struct roads *r, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->kept[r->steps % ROADS_KEPT], ROADS_LINE, format, args);
	va_end(args);
}

void roads_tell(const struct roads *r, FILE *out)
{
	unsigned long first = r->steps > ROADS_KEPT ? r->steps - ROADS_KEPT : 0;

	for (unsigned long i = first; i < r->steps; i++)
		fprintf(out, "%6lu  %s\n", i, r->kept[i % ROADS_KEPT]);
	fprintf(out, "%s\n", r->problem);
}

bool same(struct roads *r, const char *what, long here, long there)
{
	return here == there || differs(r, "%s: %ld, the reference says %ld", what, here, there);
}

/* ---- what can be seen --------------------------------------------------------------------- */

static bool compare_config(struct roads *r)
{
	const uint8_t *want = r->reference.config;
	uint8_t is[DEVICE_CONFIG_SIZE];
	unsigned int at = 0;

	if (!same(r, "reading configuration space", vfio_pread(r->dev, CONFIG, 0, is, sizeof(is)),
		  sizeof(is)))
		return false;
	if (!memcmp(is, want, sizeof(is)))
		return true;
	while (is[at] == want[at])
		at++;
	return differs(r, "configuration space at %#x: %#x, the reference says %#x", at, is[at],
		       want[at]);
}

static bool compare_signals(struct roads *r)
{
	for (unsigned int i = 0; i < ROADS_EVENTS; i++) {
		eventfd_t n = 0;

		if (eventfd_read(r->fds[i], &n) == 0)
			r->signals[i] += n;
		if (r->signals[i] != r->reference.signals[i])
			return differs(r, "signals of event %u: %llu, the reference says %llu", i,
				       (unsigned long long)r->signals[i],
				       (unsigned long long)r->reference.signals[i]);
	}
	return true;
}

/* Memory, and in it the pending bits of MSI-X; ports, and from them the number of resets. */
static bool compare_regions(struct roads *r)
{
	ssize_t want = reference_memory(&r->reference) ? 8 : -EIO;
	uint64_t pending = 0;
	uint32_t resets = 0;

	return same(r, "reading memory",
		    vfio_pread(r->dev, DEVICE_MEMORY, DEVICE_PENDING, &pending, 8), want) &&
	       same(r, "pending messages", pending,
		    want == 8 ? reference_pending(&r->reference) : 0) &&
	       same(r, "reading a port",
		    vfio_pread(r->dev, DEVICE_PORTS, PORT_RESETS, &resets, 4), 4) &&
	       same(r, "resets", resets, r->reference.resets);
}

bool compare(struct roads *r)
{
	return compare_signals(r) && compare_config(r) && compare_regions(r);
}

/* ---- the side channel ---------------------------------------------------------------------- */

unsigned int new_records(struct roads *r)
{
	unsigned int n = 0;

	while (vfio_record(r->dev, &r->cursor, &r->record) == 1)
		n++;
	return n;
}

/* BARs 0x10 to 0x27, and the ROM's, 0x30 to 0x33: what their size takes is lost without a word. */
static bool is_sizing(unsigned int at, size_t len)
{
	return (at < 0x28 && at + len > 0x10) || (at < 0x34 && at + len > 0x30);
}

bool check_where(struct roads *r, unsigned int at, size_t len, uint32_t where)
{
	uint32_t known = VFIO_WENT_DEVICE | VFIO_WENT_VIRTUAL | VFIO_WENT_NOWHERE;
	bool told = new_records(r) > 0 || r->record.code == VFIO_E_READ_ONLY || is_sizing(at, len);

	return same(r, "a write that was to change something went somewhere", where != 0,
		    r->reference.changing) &&
	       same(r, "what is not known of where it went", where & ~known, 0) &&
	       same(r, "a record of what was lost", told || !(where & VFIO_WENT_NOWHERE), true);
}

/* SPDX-License-Identifier: MIT */
/*
 * Configuration space that somebody wrote down: raw bytes, as sysfs has them, or what lspci prints
 * of one device or several. The text may be anything, and has no NUL at its end.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <vfio/pci.h>

#include "base/bits.h"
#include "base/export.h"

#define MAX_SLOT     31
#define MAX_FUNCTION 7
#define BARS         6
#define NAME_ROOM    sizeof(((struct vfio_pci_dump *)0)->name)

/* What is left of a line; its end is not part of it. */
struct text {
	const char *at, *end;
};

/* A BAR of which lspci -v says not the number, but the address. */
struct placed {
	uint64_t address;
	struct vfio_pci_resource resource;
};

struct parser {
	struct text rest;
	const char *begin;
	struct vfio_pci_dump *dump;
	char *problem;
	struct placed placed[BARS];
	unsigned int nplaced;
};

/* ---- words of a line ------------------------------------------------------------------------- */

static size_t left(const struct text *t)
{
	return (size_t)(t->end - t->at);
}

static bool skip(struct text *t, const char *word)
{
	size_t n = strlen(word);

	if (left(t) < n || memcmp(t->at, word, n))
		return false;
	t->at += n;
	return true;
}

/* Go on behind the first place where the line says this. */
static bool find(struct text *t, const char *word)
{
	const char *at = memmem(t->at, left(t), word, strlen(word));

	if (!at)
		return false;
	t->at = at + strlen(word);
	return true;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 'a' ^ 'A';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal digits, at least and at most so many; more than 16 have no value to tell. */
static bool hexadecimal(struct text *t, unsigned int least, unsigned int most, uint64_t *value)
{
	unsigned int n = 0;

	*value = 0;
	for (; n < left(t) && digit(t->at[n]) >= 0; n++)
		*value = *value << 4 | (unsigned int)digit(t->at[n]);
	if (n < least || n > most)
		return false;
	t->at += n;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct text next_line(struct parser *p)
{
	const char *end = memchr(p->rest.at, '\n', left(&p->rest));
	struct text line = { p->rest.at, end ? end : p->rest.end };

	p->rest.at = end ? end + 1 : p->rest.end;
	if (line.end > line.at && line.end[-1] == '\r')
		line.end--;
	return line;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* "1f0: " */
static bool is_bytes(struct text line, uint64_t *offset)
{
	return hexadecimal(&line, 2, 3, offset) && skip(&line, ": ");
}

/* Bytes that follow those before, or what is wrong with them. */
static const char *read_bytes(struct vfio_pci_dump *dump, struct text line, uint64_t offset)
{
	uint64_t byte;

	if (offset != dump->length)
		return "its bytes do not follow those before";
	find(&line, ":");
	while (skip(&line, " ") && left(&line)) {
		if (*line.at == ' ')
			continue;
		if (!hexadecimal(&line, 2, 2, &byte))
			return "these are not bytes in hexadecimal";
		if (dump->length == sizeof(dump->config))
			return "configuration space has no more than 4096 bytes";
		dump->config[dump->length++] = (uint8_t)byte;
	}
	return left(&line) ? "these are not bytes in hexadecimal" : NULL;
}

/* ---- what lspci -v says ---------------------------------------------------------------------- */

/* "[size=16K]"; 0 when it is not there, or is no size. */
static uint64_t read_size(struct text line)
{
	static const char units[] = "KMGT";
	uint64_t size = 0;
	const char *unit;

	if (!find(&line, "[size="))
		return 0;
	for (; left(&line) && *line.at >= '0' && *line.at <= '9'; line.at++) {
		if (size > UINT32_MAX)
			return 0;
		size = 10 * size + (uint64_t)(*line.at - '0');
	}
	unit = left(&line) && *line.at ? strchr(units, *line.at) : NULL;
	if (unit && size > UINT64_MAX >> 10 * (unit - units + 1))
		return 0;
	return unit ? size << 10 * (unit - units + 1) : size;
}

static struct vfio_pci_resource read_resource(struct text line, bool io)
{
	struct text type = line, prefetch = line;

	return (struct vfio_pci_resource){
		.size = read_size(line), .io = io, .mem64 = find(&type, "(64-bit,"),
		.prefetchable = find(&prefetch, ", prefetchable)"),
	};
}

/* With -vv it is said which BAR it is; with -v only where it lies. */
static void keep_resource(struct parser *p, struct text line, int bar, bool io)
{
	struct vfio_pci_resource resource = read_resource(line, io);
	uint64_t address;

	if (bar >= 0)
		p->dump->bars[bar] = resource;
	else if (p->nplaced < BARS && hexadecimal(&line, 4, 16, &address))
		p->placed[p->nplaced++] = (struct placed){ address, resource };
}

/* A line that begins with one tab; those of capabilities have more. */
static void read_remark(struct parser *p, struct text line)
{
	uint64_t bar = 0;
	bool numbered;

	if (!skip(&line, "\t"))
		return;
	numbered = skip(&line, "Region ");
	if (numbered && !(hexadecimal(&line, 1, 1, &bar) && bar < BARS && skip(&line, ": ")))
		return;
	if (!skip(&line, "[virtual] "))
		skip(&line, "[enhanced] ");
	if (skip(&line, "Memory at "))
		keep_resource(p, line, numbered ? (int)bar : -1, false);
	else if (skip(&line, "I/O ports at "))
		keep_resource(p, line, numbered ? (int)bar : -1, true);
	else if (skip(&line, "Expansion ROM at "))
		p->dump->rom = read_resource(line, false);
}

/* Does this BAR of the configuration space say what lspci says? */
static bool is_at(const struct vfio_pci_dump *dump, unsigned int bar, const struct placed *placed)
{
	unsigned int at = PCI_BASE_ADDRESS_0 + 4 * bar;
	uint32_t low = le32_get(dump->config + at);
	uint64_t address = low & PCI_BASE_ADDRESS_MEM_MASK;

	if (placed->resource.io)
		return low & PCI_BASE_ADDRESS_SPACE_IO &&
		       placed->address == (low & PCI_BASE_ADDRESS_IO_MASK);
	if (placed->resource.mem64 && bar + 1 == BARS)
		return false;
	if (placed->resource.mem64)
		address |= (uint64_t)le32_get(dump->config + at + 4) << 32;
	return !(low & PCI_BASE_ADDRESS_SPACE_IO) && placed->address == address;
}

static void find_bars(struct parser *p)
{
	unsigned int bar = 0;

	if (p->dump->length < PCI_STD_HEADER_SIZEOF)
		return;
	for (unsigned int i = 0; i < p->nplaced; i++) {
		unsigned int at = bar;

		while (at < BARS && !is_at(p->dump, at, &p->placed[i]))
			at++;
		if (at >= BARS)
			continue;
		p->dump->bars[at] = p->placed[i].resource;
		bar = at + 1 + p->placed[i].resource.mem64;
	}
}

/* ---- devices --------------------------------------------------------------------------------- */

/* "00:1f.2 SATA controller: …", with or without a domain in front. */
static bool read_name(char name[NAME_ROOM], struct text line)
{
	struct text t = line, domain = line;
	uint64_t value, slot, function;
	size_t length;

	if (hexadecimal(&domain, 1, 8, &value) && value <= INT32_MAX && skip(&domain, ":") &&
	    memchr(domain.at, ':', left(&domain) < 4 ? left(&domain) : 4))
		t = domain;
	if (!hexadecimal(&t, 1, 2, &value) || !skip(&t, ":") || !hexadecimal(&t, 1, 2, &slot) ||
	    !skip(&t, ".") || !hexadecimal(&t, 1, 1, &function))
		return false;
	if (slot > MAX_SLOT || function > MAX_FUNCTION || (left(&t) && *t.at != ' '))
		return false;
	length = (size_t)(t.at - line.at);
	memcpy(name, line.at, length);
	name[length] = '\0';
	return true;
}

static int complain(char *problem, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int complain(char *problem, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (problem)
		vsnprintf(problem, VFIO_PCI_PROBLEM_ROOM, format, args);
	va_end(args);
	return -EINVAL;
}

static int complain_of_line(const struct parser *p, struct text line, const char *why)
{
	size_t number = 1;

	for (const char *at = p->begin; at < line.at; at++)
		number += *at == '\n';
	return complain(p->problem, "line %zu: %s", number, why);
}

/* The lines of one device: up to the line of the next, which is left for later. */
static int read_device(struct parser *p)
{
	char next[NAME_ROOM];
	uint64_t offset;

	while (left(&p->rest)) {
		const char *before = p->rest.at, *wrong = NULL;
		struct text line = next_line(p);

		if (is_bytes(line, &offset))
			wrong = read_bytes(p->dump, line, offset);
		else if (!left(&line) || is_blank(*line.at))
			read_remark(p, line);
		else if (read_name(next, line))
			p->rest.at = before;
		else
			wrong = "it is neither the line of a device nor one of bytes";
		if (wrong)
			return complain_of_line(p, line, wrong);
		if (p->rest.at == before)
			break;
	}
	find_bars(p);
	return 1;
}

static int next_device(struct parser *p)
{
	bool first = p->rest.at == p->begin;
	uint64_t offset;

	while (left(&p->rest)) {
		struct text line = next_line(p);

		if (is_bytes(line, &offset))
			return complain_of_line(p, line, "bytes come before any device");
		if (!left(&line) || is_blank(*line.at))
			continue;
		if (!read_name(p->dump->name, line))
			return complain_of_line(p, line, "it is neither the line of a device nor "
						"one of bytes");
		return read_device(p);
	}
	return first ? complain(p->problem, "it names no device") : 0;
}

/* Configuration space has bytes that no text has, be it those of the header that are zero. */
static bool is_text(const struct text *t)
{
	for (const char *at = t->at; at < t->end; at++)
		if ((unsigned char)*at < ' ' && !is_blank(*at))
			return false;
	return !memchr(t->at, '\xff', left(t));
}

static int read_raw(struct parser *p)
{
	size_t length = left(&p->rest);

	if (length < PCI_STD_HEADER_SIZEOF || length > sizeof(p->dump->config))
		return complain(p->problem, "it is not what lspci -x prints, and as raw bytes it has "
				"%zu, not 64 to 4096", length);
	memcpy(p->dump->config, p->rest.at, length);
	p->dump->length = (uint16_t)length;
	p->rest.at = p->rest.end;
	return 1;
}

EXPORT int vfio_pci_dump_next(const void *text, size_t len, size_t *at, struct vfio_pci_dump *dump,
			      char problem[VFIO_PCI_PROBLEM_ROOM])
{
	const char *begin = len ? text : "";
	struct parser p = {
		.rest = { begin + (*at < len ? *at : len), begin + len }, .begin = begin,
		.dump = dump, .problem = problem,
	};
	int r;

	memset(dump, 0, sizeof(*dump));
	if (problem)
		problem[0] = '\0';
	/* Text stays text: what was looked through once is not for each device. */
	r = *at || is_text(&p.rest) ? next_device(&p) : read_raw(&p);
	*at = r < 0 ? len : (size_t)(p.rest.at - begin);
	return r;
}

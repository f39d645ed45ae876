/* SPDX-License-Identifier: MIT */
/* The memory behind the maps, and what should be in it. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "check.h"
#include "space_model.h"

static void make(struct backing *b, unsigned int kind)
{
	int fd = memfd_create("fuzz-space", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK(fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0);
	if (kind == SEALED)
		CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	b->bytes = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(b->bytes != MAP_FAILED);
	if (kind < SEALED || kind == PROCESS)
		fd_close(&fd);
	if (kind == PROCESS)
		fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	CHECK(kind < SEALED || fd >= 0);
	b->fd = fd;
	for (size_t i = 0; i < PAGES * PAGE; i++)
		b->expected[i] = b->bytes[i] = i * 7 + i / PAGE + kind * 31;
}

void model_make_memory(struct model *m)
{
	for (unsigned int i = 0; i < BACKINGS; i++)
		make(&m->backings[i], i);
	m->loose = PAGES;
}

void model_free_memory(struct model *m)
{
	for (unsigned int i = 0; i < BACKINGS; i++) {
		struct backing *b = &m->backings[i];
		unsigned int pages = i == LOOSE ? m->loose : PAGES;

		CHECK(memcmp(b->bytes, b->expected, pages * PAGE) == 0);
		munmap(b->bytes, PAGES * PAGE);
		fd_close(&b->fd);
	}
}

void model_truncate(struct model *m, unsigned int pages)
{
	struct backing *b = &m->backings[LOOSE];

	CHECK(ftruncate(b->fd, pages * PAGE) == 0);
	if (pages < m->loose)
		memset(b->expected + pages * PAGE, 0, (PAGES - pages) * PAGE);
	m->loose = pages;
}

uint8_t *model_byte(struct model *m, uint64_t at)
{
	const struct entry *e = &m->window[at / PAGE];

	return &m->backings[e->backing].expected[e->page * PAGE + at % PAGE];
}

uint8_t *model_real_byte(struct model *m, uint64_t at)
{
	const struct entry *e = &m->window[at / PAGE];

	return &m->backings[e->backing].bytes[e->page * PAGE + at % PAGE];
}

bool model_has(const struct model *m, uint64_t at)
{
	const struct entry *e = &m->window[at / PAGE];

	return e->backing != LOOSE || e->page < m->loose;
}

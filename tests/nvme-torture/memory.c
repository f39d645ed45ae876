/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "chance.h"
#include "memory.h"

#define PATTERN 0x5a

enum { FREE, TAKEN, ASIDE };

static uint8_t *at(const struct memory *m, uint64_t iova)
{
	return (uint8_t *)m->dma.vaddr + (iova - m->dma.iova);
}

int memory_open(struct memory *m, struct vfio_dev *dev, bool is_private)
{
	const size_t size = (size_t)MEMORY_PAGES * MEMORY_PAGE;

	memset(m, 0, sizeof(*m));
	m->is_private = is_private;
	if (!is_private)
		return vfio_dma_alloc(dev, &m->dma, size, VFIO_DMA_RW);
	m->dma = (struct vfio_dma){
		.iova = VFIO_IOVA_ANY, .size = size, .fd = -1, .prot = VFIO_DMA_RW,
	};
	m->dma.vaddr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return m->dma.vaddr == MAP_FAILED ? -errno : vfio_dma_map(dev, &m->dma);
}

void memory_close(struct memory *m)
{
	if (m->is_private)
		munmap(m->dma.vaddr, m->dma.size);
	memset(m, 0, sizeof(*m));
}

/* ---- pages --------------------------------------------------------------------------------- */

/* The first of n free pages in a row, at from or behind it; MEMORY_PAGES: none. */
static unsigned int find_run(const struct memory *m, unsigned int from, unsigned int n)
{
	unsigned int run = 0;

	for (unsigned int i = from; i < MEMORY_PAGES; i++) {
		run = m->pages[i] == FREE ? run + 1 : 0;
		if (run == n)
			return i - n + 1;
	}
	return MEMORY_PAGES;
}

/* What was freed last is taken last, so that what touches it late is seen. */
static bool take_run(struct memory *m, unsigned int n, uint64_t *iova)
{
	unsigned int first = find_run(m, m->next, n);

	if (first == MEMORY_PAGES)
		first = find_run(m, 0, n);
	if (first == MEMORY_PAGES)
		return false;
	memset(m->pages + first, TAKEN, n);
	m->next = first + n;
	*iova = m->dma.iova + (uint64_t)first * MEMORY_PAGE;
	memset(at(m, *iova), PATTERN, (size_t)n * MEMORY_PAGE);
	return true;
}

static void set_pages(struct memory *m, const struct vfio_nvme_piece *p, uint8_t state)
{
	uint64_t offset = p->iova - m->dma.iova;
	uint64_t first = offset / MEMORY_PAGE, last = (offset + p->len - 1) / MEMORY_PAGE;

	memset(m->pages + first, state, last - first + 1);
	memset(at(m, p->iova), PATTERN, p->len);
}

static void leave(struct memory *m, const struct buffer *b, uint8_t state)
{
	for (unsigned int i = 0; i < b->n; i++)
		set_pages(m, &b->pieces[i], state);
}

void memory_give_back(struct memory *m, const struct buffer *b)
{
	leave(m, b, FREE);
}

void memory_set_aside(struct memory *m, const struct buffer *b)
{
	leave(m, b, ASIDE);
}

/* ---- buffers ------------------------------------------------------------------------------- */

/*
 * The first piece begins anywhere, all others at a page; each but the last ends at one. Returns the
 * length of the next one.
 */
static size_t choose_len(struct chance *c, unsigned int pieces, size_t offset, size_t left)
{
	size_t pages = (offset + left + MEMORY_PAGE - 1) / MEMORY_PAGE;

	if (pieces + 1 == MEMORY_PIECES || pages == 1 || percent(c, 50))
		return left;
	return small_or_large(c, 1, pages - 1) * MEMORY_PAGE - offset;
}

bool memory_take(struct memory *m, size_t len, uint64_t shape, struct buffer *b)
{
	struct chance c = { shape };
	size_t offset = percent(&c, 50) ? 0 : 4 * below(&c, MEMORY_PAGE / 4), left = len;
	bool split = percent(&c, 40);

	*b = (struct buffer){ .len = len };
	while (left) {
		struct vfio_nvme_piece *p = &b->pieces[b->n];

		p->len = split ? choose_len(&c, b->n, offset, left) : left;
		if (!take_run(m, (unsigned int)((offset + p->len + MEMORY_PAGE - 1) / MEMORY_PAGE),
			      &p->iova)) {
			memory_give_back(m, b);
			return false;
		}
		p->iova += offset;
		left -= p->len;
		offset = 0;
		b->n++;
	}
	return true;
}

void memory_put(struct memory *m, const struct buffer *b, const void *from)
{
	const uint8_t *p = from;

	for (unsigned int i = 0; i < b->n; i++) {
		memcpy(at(m, b->pieces[i].iova), p, b->pieces[i].len);
		p += b->pieces[i].len;
	}
}

void memory_get(struct memory *m, const struct buffer *b, void *to)
{
	uint8_t *p = to;

	for (unsigned int i = 0; i < b->n; i++) {
		memcpy(p, at(m, b->pieces[i].iova), b->pieces[i].len);
		p += b->pieces[i].len;
	}
}

/* ---- what must stay as it is --------------------------------------------------------------- */

static bool is_pattern(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (bytes[i] != PATTERN)
			return false;
	return true;
}

bool memory_is_sound(const struct memory *m, const struct buffer *b)
{
	for (unsigned int i = 0; i < b->n; i++) {
		const struct vfio_nvme_piece *p = &b->pieces[i];
		size_t before = p->iova % MEMORY_PAGE;
		size_t behind = -(p->iova + p->len) % MEMORY_PAGE;

		if (!is_pattern(at(m, p->iova - before), before) ||
		    !is_pattern(at(m, p->iova + p->len), behind))
			return false;
	}
	return true;
}

bool memory_look(struct memory *m, unsigned int *pages)
{
	*pages = 0;
	for (unsigned int i = 0; i < MEMORY_PAGES; i++) {
		if (m->pages[i] != ASIDE)
			continue;
		if (!is_pattern((uint8_t *)m->dma.vaddr + (size_t)i * MEMORY_PAGE, MEMORY_PAGE))
			return false;
		m->pages[i] = FREE;
		++*pages;
	}
	return true;
}

/* SPDX-License-Identifier: MIT */
#include "space_model.h"

#include <errno.h>
#include <string.h>

static bool begins(const struct model *m, unsigned int i)
{
	return m->window[i].map && (i == 0 || m->window[i - 1].map != m->window[i].map);
}

static bool ends(const struct model *m, unsigned int i)
{
	return m->window[i].map && (i + 1 == WINDOW || m->window[i + 1].map != m->window[i].map);
}

unsigned int model_maps(const struct model *m)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < WINDOW; i++)
		n += begins(m, i);
	return n;
}

uint64_t model_bytes(const struct model *m)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < WINDOW; i++)
		bytes += m->window[i].map ? PAGE : 0;
	return bytes;
}

/* ---- map ------------------------------------------------------------------------------------ */

static bool is_exact(const struct model *m, const struct request *q)
{
	const struct entry *e = &m->window[q->first];

	for (unsigned int i = 0; i < q->n; i++)
		if (!e->map || e[i].map != e->map)
			return false;
	return q->n && begins(m, q->first) && ends(m, q->first + q->n - 1);
}

/* A repeated map of the same file is no error. */
static bool is_same(const struct model *m, const struct request *q)
{
	const struct entry *e = &m->window[q->first];

	return q->backing >= SEALED && is_exact(m, q) && e->backing == q->backing &&
	       e->page == q->page && e->prot == q->prot;
}

static bool is_allowed(const struct ranges *r, unsigned int first, unsigned int last)
{
	for (unsigned int i = 0; i < r->n; i++)
		if (first >= r->first[i] && last <= r->last[i])
			return true;
	return r->n == 0;
}

static int check_request(const struct model *m, const struct request *q)
{
	bool wraps = q->first + q->n > WINDOW, direction = q->prot && q->prot <= VFIO_DMA_RW;

	if (m->rules == SPACE_IOMMUFD) {
		if (!direction || !q->n || q->odd)
			return -EINVAL;
		if (wraps)
			return -EOVERFLOW;
		return is_allowed(&m->allowed, q->first, q->first + q->n - 1) ? 0 : -EINVAL;
	}
	if (!q->n)
		return -EINVAL;
	if (wraps)
		return -EOVERFLOW;
	return direction && !q->odd ? 0 : -EINVAL;
}

static int check_room(const struct model *m, const struct request *q)
{
	if (model_maps(m) >= m->most_maps)
		return -ENOSPC;
	if (!is_allowed(&m->allowed, q->first, q->first + q->n - 1))
		return -EINVAL;
	return model_bytes(m) + q->n * PAGE > m->most_bytes ? -ENOMEM : 0;
}

static int check_memory(const struct model *m, const struct request *q)
{
	unsigned int pages = q->backing == LOOSE ? m->loose : PAGES;

	if (q->backing == PROCESS)
		return m->takes_process ? 0 : -EINVAL;
	if (q->backing != SEALED && q->backing != LOOSE)
		return 0;
	return q->page + q->n > pages ? -EINVAL : 0;
}

static void put(struct model *m, const struct request *q, unsigned int number)
{
	for (unsigned int i = 0; i < q->n; i++) {
		struct entry *e = &m->window[q->first + i];

		*e = (struct entry){
			.map = number, .backing = q->backing, .page = q->page + i, .prot = q->prot,
			.dirty = e->dirty,
		};
	}
}

int model_map(struct model *m, const struct request *q)
{
	int r = check_request(m, q);

	if (r < 0)
		return r;
	for (unsigned int i = q->first; i < q->first + q->n; i++)
		if (m->window[i].map)
			return is_same(m, q) ? 0 : -EEXIST;
	r = check_room(m, q);
	if (r == 0)
		r = check_memory(m, q);
	if (r == 0)
		put(m, q, ++m->made);
	return r;
}

int model_renew(struct model *m, const struct request *q)
{
	struct request kept = *q;
	int r;

	if (!is_exact(m, q))
		return -ENOENT;
	kept.prot = m->window[q->first].prot;
	r = check_memory(m, q);
	if (r == 0)
		put(m, &kept, m->window[q->first].map);
	return r;
}

int model_retire(struct model *m, unsigned int page)
{
	unsigned int i = page;

	if (!begins(m, page))
		return -ENOENT;
	do
		m->window[i].retired = true;
	while (!ends(m, i++));
	return 0;
}

int model_allow(struct model *m, unsigned int n, const unsigned int first[3],
		const unsigned int last[3])
{
	struct ranges then = { .n = n };

	for (unsigned int i = 0; i < n; i++) {
		if (last[i] < first[i] || (i && first[i] <= last[i - 1]))
			return -EINVAL;
		then.first[i] = first[i];
		then.last[i] = last[i];
	}
	for (unsigned int i = 0, start = 0; i < WINDOW; i++) {
		if (begins(m, i))
			start = i;
		if (ends(m, i) && !is_allowed(&then, start, i))
			return -EINVAL;
	}
	m->allowed = then;
	return 0;
}

/* ---- unmap ---------------------------------------------------------------------------------- */

static uint64_t drop(struct model *m, unsigned int first, unsigned int end)
{
	uint64_t bytes = 0;

	for (unsigned int i = first; i < end; i++)
		bytes += m->window[i].map ? PAGE : 0;
	memset(&m->window[first], 0, (end - first) * sizeof(m->window[0]));
	return bytes;
}

static bool is_cut(const struct model *m, unsigned int at)
{
	return at && at < WINDOW && m->window[at].map && m->window[at].map == m->window[at - 1].map;
}

/* What begins in there goes, with all that it has, unless the first of all does not begin there. */
static int unmap_v1(struct model *m, unsigned int first, unsigned int end, uint64_t *bytes)
{
	if (is_cut(m, first))
		return 0;
	while (is_cut(m, end))
		end++;
	*bytes = drop(m, first, end);
	return 0;
}

/* One map after the other, up to one that would be cut. */
static int unmap_iommufd(struct model *m, unsigned int first, unsigned int end, uint64_t *bytes)
{
	bool cut = is_cut(m, first) || is_cut(m, end);

	if (is_cut(m, first))
		return -ENOENT;
	while (is_cut(m, end))
		end--;
	*bytes = drop(m, first, end);
	return cut || !*bytes ? -ENOENT : 0;
}

int model_unmap(struct model *m, const struct request *q, uint64_t *bytes)
{
	unsigned int end = q->first + q->n;

	*bytes = 0;
	if (!q->n || (q->odd && m->rules != SPACE_IOMMUFD))
		return -EINVAL;
	if (end > WINDOW)
		return -EOVERFLOW;
	if (m->rules == SPACE_TYPE1_V1)
		return unmap_v1(m, q->first, end, bytes);
	if (m->rules == SPACE_IOMMUFD)
		return unmap_iommufd(m, q->first, end, bytes);
	if (is_cut(m, q->first) || is_cut(m, end))
		return -EINVAL;
	*bytes = drop(m, q->first, end);
	return 0;
}

void model_clear(struct model *m)
{
	memset(m->window, 0, sizeof(m->window));
}

/* ---- accesses ------------------------------------------------------------------------------- */

int model_access(const struct model *m, uint64_t at, size_t len, uint32_t prot)
{
	bool lost = false;

	if (m->closed)
		return -EPERM;
	if (at + len > WINDOW * PAGE)
		return -EFAULT;
	for (uint64_t i = at / PAGE; len && i <= (at + len - 1) / PAGE; i++) {
		const struct entry *e = &m->window[i];

		if (!e->map || (e->prot & prot) != prot)
			return -EFAULT;
		lost |= e->backing == LOOSE && e->page >= m->loose;
	}
	return lost ? -EIO : 0;
}

bool model_asks(const struct model *m, uint64_t at, size_t len)
{
	for (uint64_t i = at / PAGE; len && i < WINDOW && i <= (at + len - 1) / PAGE; i++) {
		if (!m->window[i].map)
			return false;
		if (m->window[i].backing == PEER)
			return true;
	}
	return false;
}

int model_spans(const struct model *m, uint64_t at, size_t len)
{
	int n = 0;

	for (uint64_t i = at / PAGE; len && i <= (at + len - 1) / PAGE; i++) {
		const struct entry *e = &m->window[i];

		if (!(e->backing == HERE && !e->retired && !m->careful) && e->backing != SEALED)
			return -ENOTSUP;
		n += i == at / PAGE || begins(m, i);
	}
	return n;
}

void model_written(struct model *m, uint64_t at, size_t len)
{
	for (uint64_t i = at / PAGE; m->dirty_page && len && i < WINDOW &&
	     i <= (at + len - 1) / PAGE; i++)
		m->window[i].dirty = m->window[i].map != 0;
}

uint64_t model_take_dirty(struct model *m, uint64_t iova, uint64_t pages)
{
	uint64_t first = iova / m->dirty_page, bits = 0;

	for (unsigned int i = 0; i < WINDOW; i++) {
		uint64_t page = (m->base + i * PAGE) / m->dirty_page;

		if (page < first || page - first >= pages)
			continue;
		bits |= (uint64_t)m->window[i].dirty << (page - first);
		m->window[i].dirty = false;
	}
	return bits;
}

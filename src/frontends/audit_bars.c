/* SPDX-License-Identifier: MIT */
/* The clauses of BARs: whole pages, and MSI-X in some of its own. */
#include <unistd.h>

#include "base/bits.h"
#include "frontends/audit.h"

typedef unsigned long long ull;

/* ---- whole pages ----------------------------------------------------------------------------- */

static uint32_t bar_register(const struct audit *a, unsigned int bar)
{
	return le32_get(a->config + PCI_BASE_ADDRESS_0 + 4 * bar);
}

static bool is_memory(const struct audit *a, unsigned int bar)
{
	return a->bars[bar].size && !(bar_register(a, bar) & PCI_BASE_ADDRESS_SPACE_IO);
}

/* The low half is enough to see whether it is aligned to a page. */
static bool is_whole(const struct audit *a, unsigned int bar, uint64_t page)
{
	const struct vfio_region *r = &a->bars[bar];

	if (!is_aligned(r->size, page) ||
	    !is_aligned(bar_register(a, bar) & PCI_BASE_ADDRESS_MEM_MASK, page))
		return false;
	for (uint32_t i = 0; i < r->nareas; i++)
		if (!is_aligned(r->areas[i].offset | r->areas[i].size, page))
			return false;
	return true;
}

void audit_bar_pages(struct audit *a)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	unsigned int broken = 0, count = 0;

	for (unsigned int bar = 0; bar < AUDIT_BARS; bar++) {
		if (!is_memory(a, bar))
			continue;
		count++;
		if (is_whole(a, bar, page))
			continue;
		broken++;
		audit_tell(a, VFIO_FAIL, VFIO_E_NOT_MAPPABLE,
			   "use it by vfio_pread() and vfio_pwrite(), which need no map",
			   "BAR%u, %#llx bytes, is not whole pages of %llu: who maps it has what "
			   "lies beside it", bar, (ull)a->bars[bar].size, (ull)page);
	}
	if (!broken)
		audit_tell(a, VFIO_PASS, 0, NULL, "its %u memory BARs are whole pages", count);
}

/* ---- MSI-X ----------------------------------------------------------------------------------- */

/* The table, or the pending bits. */
struct part {
	const char *name;
	unsigned int bar;
	uint64_t start, end;
};

static bool find_parts(const struct audit *a, struct part parts[2])
{
	const uint8_t *cap = audit_capability(a, PCI_CAP_ID_MSIX, PCI_CAP_MSIX_SIZEOF);
	uint32_t table, pending, vectors;

	if (!cap)
		return false;
	vectors = (le16_get(cap + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1u;
	table = le32_get(cap + PCI_MSIX_TABLE);
	pending = le32_get(cap + PCI_MSIX_PBA);
	parts[0] = (struct part){ "table", table & PCI_MSIX_TABLE_BIR,
				  table & PCI_MSIX_TABLE_OFFSET, 0 };
	parts[0].end = parts[0].start + vectors * PCI_MSIX_ENTRY_SIZE;
	parts[1] = (struct part){ "pending bits", pending & PCI_MSIX_PBA_BIR,
				  pending & PCI_MSIX_PBA_OFFSET, 0 };
	parts[1].end = parts[1].start + (vectors + 63) / 64 * 8;
	return true;
}

static bool is_in_bar(const struct audit *a, const struct part *p)
{
	return p->bar < AUDIT_BARS && is_memory(a, p->bar) && p->end <= a->bars[p->bar].size;
}

void audit_msix_place(struct audit *a)
{
	struct part parts[2];
	bool broken = false;

	if (!find_parts(a, parts)) {
		audit_tell(a, VFIO_PASS, 0, NULL, "it has no MSI-X");
		return;
	}
	for (unsigned int i = 0; i < 2; i++) {
		if (is_in_bar(a, &parts[i]))
			continue;
		broken = true;
		audit_tell(a, VFIO_FAIL, VFIO_E_MALFORMED, "use MSI or INTx",
			   "its MSI-X %s: %#llx to %#llx of BAR%u, no memory BAR of that size",
			   parts[i].name, (ull)parts[i].start, (ull)parts[i].end, parts[i].bar);
	}
	if (parts[0].bar == parts[1].bar && parts[0].start < parts[1].end &&
	    parts[1].start < parts[0].end) {
		broken = true;
		audit_tell(a, VFIO_FAIL, VFIO_E_MALFORMED, "use MSI or INTx",
			   "its MSI-X table and pending bits overlap");
	}
	if (!broken)
		audit_tell(a, VFIO_PASS, 0, NULL, "its MSI-X table and pending bits lie in BARs");
}

static bool is_mappable(const struct audit *a, const struct part *p)
{
	const struct vfio_region *r = &a->bars[p->bar];

	if (!(r->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return false;
	for (uint32_t i = 0; i < r->nareas; i++)
		if (p->start < r->areas[i].offset + r->areas[i].size && r->areas[i].offset < p->end)
			return true;
	return false;
}

/* Registers before it, in its first page, could not be mapped; unless they are MSI-X's, too. */
static bool is_shared(const struct part *p, const struct part *other, uint64_t page)
{
	uint64_t first = p->start & ~(page - 1);

	return p->start != first &&
	       !(other->bar == p->bar && other->start >= first && other->start < p->start);
}

void audit_msix_apart(struct audit *a)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct part parts[2];
	bool broken = false;

	if (!find_parts(a, parts)) {
		audit_tell(a, VFIO_PASS, 0, NULL, "it has no MSI-X");
		return;
	}
	for (unsigned int i = 0; i < 2; i++) {
		const struct part *p = &parts[i];
		bool exposed = i == 0 && is_in_bar(a, p) && is_mappable(a, p);

		if (!exposed && !is_shared(p, &parts[!i], page))
			continue;
		broken = true;
		audit_tell(a, VFIO_FAIL, VFIO_E_NOT_MAPPABLE,
			   "use what is beside it by vfio_pread() and vfio_pwrite()",
			   exposed ? "its MSI-X %s, at %#llx of BAR%u, can be mapped by users" :
			   "its MSI-X %s, at %#llx of BAR%u, shares a page with other registers",
			   p->name, (ull)p->start, p->bar);
	}
	if (!broken)
		audit_tell(a, VFIO_PASS, 0, NULL,
			   "its MSI-X table and pending bits are in pages of their own");
}

/* SPDX-License-Identifier: MIT */
/*
 * Physical addresses by a call of iommufd that was proposed, but is in no Linux yet:
 * IOMMU_IOAS_NOIOMMU_GET_PA. It takes an I/O address of an IOAS and the most bytes that are wanted, and
 * gives the physical address there, and how many bytes from it on are contiguous. It may want a
 * device in the IOAS: where it does not answer, whatever the reason, another source is taken.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/fd.h"
#include "iommu/physical.h"

#define IOAS_ALLOC  _IO(';', 0x81)
#define IOAS_MAP    _IO(';', 0x85)
#define IOAS_UNMAP  _IO(';', 0x86)
#define IOAS_GET_PA _IO(';', 0x95)

#define MAP_READABLE 4u

struct ioas_alloc {
	uint32_t size, flags;
	uint32_t id;			/* out */
};

struct ioas_map {
	uint32_t size, flags, ioas, reserved;
	uint64_t vaddr, length, iova;	/* iova: out */
};

struct ioas_unmap {
	uint32_t size, ioas;
	uint64_t iova, length;
};

struct ioas_get_pa {
	uint32_t size, flags, ioas, reserved;
	uint64_t iova;
	uint64_t length;		/* at most so many; out: so many are contiguous */
	uint64_t address;		/* out */
};

_Static_assert(sizeof(struct ioas_map) == 40, "IOMMU_IOAS_MAP");
_Static_assert(sizeof(struct ioas_get_pa) == 40, "IOMMU_IOAS_NOIOMMU_GET_PA");

struct ioas_source {
	struct physical_source source;
	physical_call_fn *call;
	int iommufd;
	uint32_t ioas;
};

static int get_all(struct ioas_source *s, uint64_t iova, uint64_t size, struct physical_list *l)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);

	while (size) {
		struct ioas_get_pa q = {
			.size = sizeof(q), .ioas = s->ioas, .iova = iova, .length = size,
		};
		int r = s->call(s->iommufd, IOAS_GET_PA, &q);

		if (r < 0)
			return r;
		/* Until Linux has the call, its number may be another's, which says anything. */
		if (!q.length || q.length > size || !q.address ||
		    q.address + q.length < q.address || (q.address ^ iova) % page)
			return -EPROTO;
		physical_add(l, q.address, q.length);
		iova += q.length;
		size -= q.length;
	}
	return 0;
}

static int ioas_segments(struct physical_source *source, const void *vaddr, size_t size,
			 struct physical_segment *list, unsigned int max, struct vfio_error *err)
{
	struct ioas_source *s = (struct ioas_source *)source;
	struct physical_list l = { .list = list, .max = max };
	uint64_t page = sysconf(_SC_PAGESIZE), inside = (uintptr_t)vaddr % page;
	struct ioas_map map = {
		.size = sizeof(map), .flags = MAP_READABLE, .ioas = s->ioas,
		.vaddr = (uintptr_t)vaddr - inside, .length = align_up(inside + size, page),
	};
	struct ioas_unmap unmap = { .size = sizeof(unmap), .ioas = s->ioas };
	int r = s->call(s->iommufd, IOAS_MAP, &map);

	if (r == 0) {
		r = get_all(s, map.iova + inside, size, &l);
		unmap.iova = map.iova;
		unmap.length = map.length;
		s->call(s->iommufd, IOAS_UNMAP, &unmap);
	}
	return r < 0 ? error_system(err, -r, "asking iommufd for the physical address of %zu bytes",
				    size) : (int)l.count;
}

static void ioas_close(struct physical_source *source)
{
	struct ioas_source *s = (struct ioas_source *)source;

	fd_close(&s->iommufd);		/* and with it the IOAS */
	free(s);
}

int physical_open_iommufd(struct physical_source **source, int iommufd, physical_call_fn *call,
			  struct vfio_error *err)
{
	struct ioas_alloc alloc = { .size = sizeof(alloc) };
	struct ioas_source *s = malloc(sizeof(*s));
	struct physical_segment first;
	int r;

	if (!s)
		return error_system(err, ENOMEM, "asking for physical addresses");
	*s = (struct ioas_source){
		.source = { .segments = ioas_segments, .close = ioas_close },
		.call = call, .iommufd = iommufd,
	};
	r = call(iommufd, IOAS_ALLOC, &alloc);
	if (r < 0)
		error_system(err, -r, "asking iommufd for physical addresses");
	s->ioas = alloc.id;
	if (r == 0)	/* does it answer? Of memory that is surely there. */
		r = ioas_segments(&s->source, s, sizeof(*s), &first, 1, err);
	if (r < 0) {
		free(s);
		return r;
	}
	*source = &s->source;
	return 0;
}

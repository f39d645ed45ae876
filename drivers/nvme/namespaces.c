/* SPDX-License-Identifier: MIT */
/* Namespaces: which are active (5.15.2.3), and what each is like (5.15.2.1). */
#include <errno.h>
#include <string.h>

#include "private.h"

#define LIST       1024u		/* numbers in a list of active namespaces */
#define MOST       1024u		/* that are looked at, whatever the controller says */
#define SHIFT_LEAST 9u
#define SHIFT_MOST  16u

/* A namespace with blocks that cannot be used here stays, for people to see, without blocks. */
static void measure(const struct vfio_nvme *nvme, struct vfio_nvme_namespace *ns)
{
	const struct vfio_nvme_namespace_data *data = &ns->data;
	unsigned int format = data->flbas & 0xf;
	unsigned int shift = data->lbaf[format].lbads;
	uint64_t blocks = le64toh(data->nsze), most;

	ns->read_only = data->nsattr & 1;
	if (shift < SHIFT_LEAST || shift > SHIFT_MOST || data->lbaf[format].ms ||
	    blocks > (uint64_t)INT64_MAX >> shift)
		return;
	most = nvme->max_bytes >> shift;
	if (most > 1u << 16)
		most = 1u << 16;
	if (most > blocks)
		most = blocks;
	ns->block_shift = shift;
	ns->blocks = blocks;
	ns->max_blocks = (uint32_t)most;
	ns->page_blocks = NVME_PAGE >> shift < most ? NVME_PAGE >> shift : (uint32_t)most;
	ns->page_last = blocks - ns->page_blocks;
}

/* One that has gone meanwhile, or was never there, is all zeros, or an error. */
static int add(struct vfio_nvme *nvme, uint32_t nsid)
{
	struct vfio_nvme_namespace *ns = calloc(1, sizeof(*ns));
	int ret;

	if (!ns)
		return nvme_no_memory(nvme);
	ns->nsid = nsid;
	ret = nvme_identify(nvme, VFIO_NVME_CNS_NAMESPACE, nsid, &ns->data);
	if (ret < 0 || ns->data.nsze == 0) {
		free(ns);
		return ret == -EIO && nvme->status ? 0 : ret;
	}
	measure(nvme, ns);
	nvme->namespaces[nvme->nnamespaces++] = ns;
	return 0;
}

/* NVMe 1.0 has no list: try each number. */
static int try_all(struct vfio_nvme *nvme)
{
	uint32_t nn = le32toh(nvme->identity.nn);
	int ret = 0;

	for (uint32_t nsid = 1; nsid <= nn && nsid <= MOST && ret == 0; nsid++)
		ret = add(nvme, nsid);
	return ret;
}

/* 0 ends the list; what does not ascend is no number that can be trusted. */
static int add_list(struct vfio_nvme *nvme, const uint32_t *list, uint32_t *last,
		    unsigned int *left)
{
	int ret = 0;

	for (unsigned int i = 0; i < LIST && ret == 0; i++) {
		uint32_t nsid = le32toh(list[i]);

		if (nsid == 0 || (*left)-- == 0)
			return 0;
		if (nsid <= *last || nsid > le32toh(nvme->identity.nn))
			return nvme_error(nvme, ENODEV, VFIO_E_DEVICE, VFIO_BY_MODEL, "",
					  "nvme: the list of namespaces has %u after %u, of %u",
					  nsid, *last, le32toh(nvme->identity.nn));
		*last = nsid;
		ret = add(nvme, nsid);
	}
	return ret < 0 ? ret : 1;
}

int nvme_find_namespaces(struct vfio_nvme *nvme)
{
	uint32_t list[LIST], last = 0;
	unsigned int left = MOST;
	int ret;

	nvme->namespaces = calloc(MOST, sizeof(nvme->namespaces[0]));
	if (!nvme->namespaces)
		return nvme_no_memory(nvme);
	do {
		ret = nvme_identify(nvme, VFIO_NVME_CNS_ACTIVE, last, list);
		if (ret == -EIO && nvme->status)
			return last ? 0 : try_all(nvme);
		if (ret == 0)
			ret = add_list(nvme, list, &last, &left);
	} while (ret > 0);
	return ret;
}

static int compare(const void *key, const void *element)
{
	const uint32_t *nsid = key;
	struct vfio_nvme_namespace *const *ns = element;

	return *nsid < (*ns)->nsid ? -1 : *nsid > (*ns)->nsid;
}

const struct vfio_nvme_namespace *vfio_nvme_namespace(struct vfio_nvme *nvme, uint32_t nsid)
{
	struct vfio_nvme_namespace **found;

	if (!nvme->nnamespaces)
		return NULL;
	found = bsearch(&nsid, nvme->namespaces, nvme->nnamespaces, sizeof(nvme->namespaces[0]),
			compare);
	return found ? *found : NULL;
}

const struct vfio_nvme_namespace *vfio_nvme_next_namespace(struct vfio_nvme *nvme, uint32_t nsid)
{
	for (unsigned int i = 0; i < nvme->nnamespaces; i++)
		if (nvme->namespaces[i]->nsid > nsid)
			return nvme->namespaces[i];
	return NULL;
}

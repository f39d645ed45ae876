/* SPDX-License-Identifier: MIT */
/* 5.15: Identify: what the controller and its namespaces are. Nothing is said that is not so. */
#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "nvme.h"

#define FIRMWARE LIBVFIO_VERSION

#define SGLS_ANY_ALIGNMENT 0x1u		/* bits 1:0 */
#define SGLS_LONGER        0x40000u	/* descriptors may hold more than the command moves */

#define ABORT_LIMIT        3u		/* less one; there is never a second one under way */
#define FRMW_ONE_READ_ONLY 0x03u	/* one slot, which cannot be written */
#define VWC_PRESENT        0x01u
#define VWC_FLUSH_ONE      0x04u	/* Flush is not for all namespaces at once */
#define LPA_EFFECTS        0x02u
#define LPA_EXTENDED       0x04u	/* lengths above 4 KiB, and offsets */
#define OAES_NAMESPACES    0x100u

#define NSFEAT_THIN        0x01u
#define DLFEAT_ZEROES      0x01u	/* what is deallocated reads as zeros, */
#define DLFEAT_DEALLOCATE  0x08u	/* and Write Zeroes can deallocate */
#define NSATTR_PROTECTED   0x01u

/* 5.15.2.3 */
#define NIDT_NGUID         2u
#define NGUID_LENGTH       16u

static uint16_t give_page(struct nvme *n, const struct vfio_nvme_command *cmd, const void *page)
{
	return data_give(n, cmd, page, PAGE);
}

static void put_text(char *to, size_t size, const char *text)
{
	size_t len = strnlen(text, size);

	memset(to, ' ', size);
	memcpy(to, text, len);
}

static void put_128(uint8_t to[16], uint64_t value)
{
	value = htole64(value);
	memcpy(to, &value, sizeof(value));
}

void firmware_revision(char to[8])
{
	put_text(to, 8, FIRMWARE);
}

/* ---- 5.15.2.2: the controller -------------------------------------------------------------- */

static uint64_t total_bytes(const struct nvme *n)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < n->nnamespaces; i++)
		total += n->namespaces[i].bytes;
	return total;
}

/* 5.21.1.6: what is in a file waits in the kernel's memory until it is flushed. */
bool has_write_cache(const struct nvme *n)
{
	for (unsigned int i = 0; i < n->nnamespaces; i++)
		if (!n->namespaces[i].memory)
			return true;
	return false;
}

/* 7.9: the name of a controller that was not given one of an organisation's. */
static void put_name(struct vfio_nvme_controller_data *d)
{
	snprintf(d->subnqn, sizeof(d->subnqn), "nqn.2014.08.org.nvmexpress:%04x%04x%.20s%.40s",
		 PCI_VENDOR, PCI_VENDOR, d->sn, d->mn);
}

static void put_limits(const struct nvme *n, struct vfio_nvme_controller_data *d)
{
	d->mdts = MDTS;
	d->acl = ABORT_LIMIT;
	d->aerl = MAX_EVENTS - 1;
	d->elpe = ERROR_ENTRIES - 1;
	d->wctemp = htole16(WARNING_KELVIN);
	d->cctemp = htole16(CRITICAL_KELVIN);
	put_128(d->tnvmcap, total_bytes(n));
	d->sqes = 0x66;
	d->cqes = 0x44;
	d->nn = htole32(n->nnamespaces);
}

static void put_abilities(const struct nvme *n, struct vfio_nvme_controller_data *d)
{
	d->oaes = htole32(OAES_NAMESPACES);
	d->oacs = htole16(VFIO_NVME_OACS_FORMAT | VFIO_NVME_OACS_DOORBELLS);
	d->frmw = FRMW_ONE_READ_ONLY;
	d->lpa = LPA_EFFECTS | LPA_EXTENDED;
	d->oncs = htole16(VFIO_NVME_ONCS_COMPARE | VFIO_NVME_ONCS_DSM | VFIO_NVME_ONCS_ZEROES |
			  VFIO_NVME_ONCS_SELECT | VFIO_NVME_ONCS_TIMESTAMP);
	d->vwc = has_write_cache(n) ? VWC_PRESENT | VWC_FLUSH_ONE : 0;
	d->sgls = htole32(SGLS_ANY_ALIGNMENT | SGLS_LONGER);
}

static uint16_t identify_controller(struct nvme *n, const struct vfio_nvme_command *cmd)
{
	struct vfio_nvme_controller_data d = {
		.vid = htole16(PCI_VENDOR), .ssvid = htole16(PCI_VENDOR),
		.ver = htole32(VFIO_NVME_VERSION_1_4), .cntrltype = 1,
	};

	put_text(d.sn, sizeof(d.sn), n->options.serial);
	put_text(d.mn, sizeof(d.mn), "libvfio NVMe");
	firmware_revision(d.fr);
	put_name(&d);
	put_limits(n, &d);
	put_abilities(n, &d);
	return give_page(n, cmd, &d);
}

/* ---- 5.15.2.1: a namespace ----------------------------------------------------------------- */

/* What all namespaces have: the two formats of Format NVM. */
static void put_formats(struct vfio_nvme_namespace_data *d)
{
	d->nlbaf = FORMATS - 1;
	for (unsigned int i = 0; i < FORMATS; i++)
		d->lbaf[i].lbads = (uint8_t)format_shift(i);
	d->dlfeat = DLFEAT_ZEROES | DLFEAT_DEALLOCATE;
}

/* A file may have holes: then it is known how much is used. */
static void put_use(const struct namespace *ns, struct vfio_nvme_namespace_data *d)
{
	struct stat st;
	uint64_t used = ns->blocks;

	if (!ns->memory && !ns->is_block_device && fstat(ns->fd, &st) == 0) {
		uint64_t allocated = (uint64_t)st.st_blocks * 512 >> ns->block_shift;

		d->nsfeat = NSFEAT_THIN;
		used = allocated < used ? allocated : used;
	}
	d->nuse = htole64(used);
}

static uint16_t identify_namespace(struct nvme *n, const struct vfio_nvme_command *cmd)
{
	const struct namespace *ns = namespace_of(n, le32toh(cmd->nsid));
	struct vfio_nvme_namespace_data d = { 0 };

	put_formats(&d);
	if (le32toh(cmd->nsid) == BROADCAST)
		return give_page(n, cmd, &d);
	if (!ns)
		return VFIO_NVME_INVALID_NAMESPACE;
	d.nsze = d.ncap = htole64(ns->blocks);
	put_use(ns, &d);
	d.flbas = ns->block_shift == format_shift(0) ? 0 : 1;
	put_128(d.nvmcap, ns->bytes);
	d.nsattr = ns->read_only ? NSATTR_PROTECTED : 0;
	memcpy(d.nguid, ns->nguid, sizeof(d.nguid));
	return give_page(n, cmd, &d);
}

/* ---- 5.15.2.3, 5.15.2.4: lists ------------------------------------------------------------- */

static uint16_t identify_active(struct nvme *n, const struct vfio_nvme_command *cmd)
{
	uint32_t list[PAGE / sizeof(uint32_t)] = { 0 };
	uint32_t after = le32toh(cmd->nsid);
	unsigned int count = 0;

	if (after >= BROADCAST - 1)
		return VFIO_NVME_INVALID_NAMESPACE;
	for (uint32_t nsid = after + 1; nsid <= n->nnamespaces; nsid++)
		list[count++] = htole32(nsid);
	return give_page(n, cmd, list);
}

/* One descriptor; the zeros behind it end the list. */
static uint16_t identify_descriptors(struct nvme *n, const struct vfio_nvme_command *cmd)
{
	const struct namespace *ns = namespace_of(n, le32toh(cmd->nsid));
	uint8_t list[PAGE] = { NIDT_NGUID, NGUID_LENGTH };

	if (!ns)
		return VFIO_NVME_INVALID_NAMESPACE;
	memcpy(list + 4, ns->nguid, NGUID_LENGTH);
	return give_page(n, cmd, list);
}

uint16_t identify(struct nvme *n, const struct vfio_nvme_command *cmd, uint32_t *result)
{
	switch (le32toh(cmd->cdw10) & 0xff) {
	case VFIO_NVME_CNS_NAMESPACE:	return identify_namespace(n, cmd);
	case VFIO_NVME_CNS_CONTROLLER:	return identify_controller(n, cmd);
	case VFIO_NVME_CNS_ACTIVE:	return identify_active(n, cmd);
	case VFIO_NVME_CNS_DESCRIPTORS:	return identify_descriptors(n, cmd);
	default:			return VFIO_NVME_INVALID_FIELD;
	}
}

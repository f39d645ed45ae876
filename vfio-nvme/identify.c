/* SPDX-License-Identifier: MIT */
/* identify: what the controller and its namespaces say of themselves. 5.15.2. */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "sheet.h"

static const struct flag_name admin_commands[] = {	/* OACS */
	{ 0x0001, "security" }, { 0x0002, "format" }, { 0x0004, "firmware" },
	{ 0x0008, "namespace management" }, { 0x0010, "self-test" }, { 0x0020, "directives" },
	{ 0x0040, "NVMe-MI" }, { 0x0080, "virtualization" }, { 0x0100, "doorbell buffers" },
	{ 0x0200, "LBA status" }, { 0, NULL },
};

static const struct flag_name io_commands[] = {		/* ONCS */
	{ 0x0001, "compare" }, { 0x0002, "write uncorrectable" }, { 0x0004, "dataset management" },
	{ 0x0008, "write zeroes" }, { 0x0010, "select and save fields" }, { 0x0020, "reservations" },
	{ 0x0040, "timestamp" }, { 0x0080, "verify" }, { 0, NULL },
};

static const struct flag_name features[] = {		/* NSFEAT */
	{ 0x01, "thin provisioning" }, { 0x02, "own atomicity" }, { 0x04, "deallocated error" },
	{ 0x08, "identifiers never reused" }, { 0x10, "optimal sizes" }, { 0, NULL },
};

/* ---- the controller ---------------------------------------------------------------------- */

static void put_id(struct sheet *sheet, const char *label, const char *key, uint16_t id)
{
	char text[8];

	snprintf(text, sizeof(text), "%04x", id);
	sheet_text(sheet, label, key, text);
}

static void put_version(struct sheet *sheet, uint32_t vs)
{
	char text[40];

	snprintf(text, sizeof(text), "%u.%u.%u", vs >> 16, vs >> 8 & 0xff, vs & 0xff);
	sheet_text(sheet, "NVMe version", "version", text);
}

static void put_names(struct sheet *sheet, const struct vfio_nvme_controller_data *data)
{
	const uint8_t oui[3] = { data->ieee[2], data->ieee[1], data->ieee[0] };

	sheet_chars(sheet, "model", "model", data->mn, sizeof(data->mn));
	sheet_chars(sheet, "serial number", "serial", data->sn, sizeof(data->sn));
	sheet_chars(sheet, "firmware", "firmware", data->fr, sizeof(data->fr));
	sheet_chars(sheet, "NQN", "nqn", data->subnqn, sizeof(data->subnqn));
	put_id(sheet, "PCI vendor", "vendor", le16toh(data->vid));
	put_id(sheet, "PCI subsystem vendor", "subsystem_vendor", le16toh(data->ssvid));
	sheet_hex(sheet, "IEEE OUI", "oui", oui, sizeof(oui));
	sheet_number(sheet, "controller", "controller_id", le16toh(data->cntlid), NULL);
}

/* 3.1.1 */
static void put_capabilities(struct sheet *sheet, uint64_t cap)
{
	sheet_number(sheet, "queue entries, most", "queue_entries",
		     VFIO_NVME_GET(cap, CAP_MQES) + 1, NULL);
	sheet_size(sheet, "smallest page", "page_min", 4096ull << VFIO_NVME_GET(cap, CAP_MPSMIN));
	sheet_size(sheet, "largest page", "page_max", 4096ull << VFIO_NVME_GET(cap, CAP_MPSMAX));
	sheet_size(sheet, "doorbell stride", "doorbell_stride",
		   4ull << VFIO_NVME_GET(cap, CAP_DSTRD));
	sheet_number(sheet, "ready within", "ready_ms", VFIO_NVME_GET(cap, CAP_TO) * 500, " ms");
}

/* MDTS is in the smallest pages, as a power of two; 0 is no limit. */
static void put_largest(struct sheet *sheet, uint64_t cap, uint8_t mdts)
{
	uint64_t shift = 12 + VFIO_NVME_GET(cap, CAP_MPSMIN) + mdts;

	if (mdts && shift < 64)
		sheet_size(sheet, "largest command", "max_transfer", 1ull << shift);
	else if (sheet->json)
		sheet_value(sheet, "max_transfer", NULL);
	else
		sheet_text(sheet, "largest command", NULL, "no limit");
}

static void put_abilities(struct sheet *sheet, const struct vfio_nvme_controller_data *data)
{
	sheet_big(sheet, "capacity", "capacity", data->tnvmcap, " bytes");
	sheet_big(sheet, "not allocated", "unallocated", data->unvmcap, " bytes");
	sheet_number(sheet, "namespaces, most", "namespaces_max", le32toh(data->nn), NULL);
	sheet_flags(sheet, "admin commands", "admin_commands", admin_commands, le16toh(data->oacs));
	sheet_flags(sheet, "I/O commands", "io_commands", io_commands, le16toh(data->oncs));
	sheet_yes(sheet, "scatter-gather lists", "sgl", le32toh(data->sgls) & 3);
	sheet_yes(sheet, "volatile write cache", "write_cache", data->vwc & 1);
	sheet_number(sheet, "aborts at once", "aborts", data->acl + 1u, NULL);
	sheet_number(sheet, "event requests at once", "events", data->aerl + 1u, NULL);
	sheet_number(sheet, "error log", "error_entries", data->elpe + 1u, " entries");
	sheet_number(sheet, "atomic write", "atomic_blocks", le16toh(data->awun) + 1u, " blocks");
}

static void put_state(struct sheet *sheet, uint32_t csts)
{
	sheet_yes(sheet, "ready", "ready", VFIO_NVME_GET(csts, CSTS_RDY));
	sheet_yes(sheet, "fatal error", "fatal", VFIO_NVME_GET(csts, CSTS_CFS));
}

static void put_controller(struct sheet *sheet, struct program *program)
{
	const struct vfio_nvme_controller_data *data = vfio_nvme_identity(program->nvme);
	struct vfio_nvme_registers now;

	vfio_nvme_registers(program->nvme, &now);
	sheet_group(sheet, "Controller", "controller");
	sheet_chars(sheet, "device", "device", disk_name(program), strlen(disk_name(program)));
	put_names(sheet, data);
	put_version(sheet, now.vs);
	put_largest(sheet, now.cap, data->mdts);
	put_capabilities(sheet, now.cap);
	put_abilities(sheet, data);
	put_state(sheet, now.csts);
}

/* ---- namespaces -------------------------------------------------------------------------- */

/* A number of blocks in bytes; what cannot be is as much as can be. */
static uint64_t in_bytes(uint64_t blocks, uint32_t shift)
{
	return shift < 64 && blocks <= UINT64_MAX >> shift ? blocks << shift : UINT64_MAX;
}

/* One way to format it. */
static void put_format(struct sheet *sheet, const struct vfio_nvme_namespace_data *data,
		       unsigned int i)
{
	char label[24], block[SIZE_TEXT], text[96];
	unsigned int shift = data->lbaf[i].lbads, metadata = le16toh(data->lbaf[i].ms);
	bool used = (data->flbas & 0xf) == i;

	if (!shift && !used)
		return;		/* 5.15.2.1: not offered */
	snprintf(label, sizeof(label), "format %u", i);
	if (shift < 64)
		size_text(block, 1ull << shift);
	else
		snprintf(block, sizeof(block), "2^%u bytes", shift);
	snprintf(text, sizeof(text), "blocks of %s, %u bytes of metadata%s", block, metadata,
		 used ? " (in use)" : "");
	sheet_text(sheet, label, NULL, text);
}

static struct json_object *format_value(const struct vfio_nvme_namespace_data *data, unsigned int i)
{
	struct json_object *o = memory_check(json_object_new_object());

	json_object_object_add(o, "number", memory_check(json_object_new_int((int)i)));
	json_object_object_add(o, "block_shift",
			       memory_check(json_object_new_int(data->lbaf[i].lbads)));
	json_object_object_add(o, "metadata",
			       memory_check(json_object_new_int(le16toh(data->lbaf[i].ms))));
	json_object_object_add(o, "in_use",
			       memory_check(json_object_new_boolean((data->flbas & 0xf) == i)));
	return o;
}

static void put_formats(struct sheet *sheet, const struct vfio_nvme_namespace_data *data)
{
	unsigned int n = data->nlbaf < 15 ? data->nlbaf + 1u : 16;
	struct json_object *list;

	for (unsigned int i = 0; i < n; i++)
		put_format(sheet, data, i);
	if (!sheet->json)
		return;
	list = memory_check(json_object_new_array());
	for (unsigned int i = 0; i < n; i++)
		json_object_array_add(list, format_value(data, i));
	sheet_value(sheet, "formats", list);
}

static void put_namespace(struct sheet *sheet, const struct vfio_nvme_namespace *ns)
{
	const struct vfio_nvme_namespace_data *data = &ns->data;
	char title[32];

	snprintf(title, sizeof(title), "Namespace %" PRIu32, ns->nsid);
	sheet_item(sheet, title, "namespaces");
	sheet_number(sheet, NULL, "nsid", ns->nsid, NULL);
	sheet_size(sheet, "size", "size", in_bytes(ns->blocks, ns->block_shift));
	sheet_number(sheet, "blocks", "blocks", ns->blocks, NULL);
	sheet_size(sheet, "block", "block_size", in_bytes(1, ns->block_shift));
	sheet_size(sheet, "capacity", "capacity", in_bytes(le64toh(data->ncap), ns->block_shift));
	sheet_size(sheet, "in use", "used", in_bytes(le64toh(data->nuse), ns->block_shift));
	sheet_number(sheet, "largest command", "max_blocks", ns->max_blocks, " blocks");
	sheet_yes(sheet, "read-only", "read_only", ns->read_only);
	sheet_flags(sheet, "features", "features", features, data->nsfeat);
	sheet_hex(sheet, "NGUID", "nguid", data->nguid, sizeof(data->nguid));
	sheet_hex(sheet, "EUI-64", "eui64", data->eui64, sizeof(data->eui64));
	put_formats(sheet, data);
}

int command_identify(struct program *program)
{
	const struct vfio_nvme_namespace *ns = NULL;
	struct sheet sheet;
	int ret = disk_open(program, NULL);

	if (ret < 0)
		return ret;
	sheet_begin(&sheet, program->settings.json);
	put_controller(&sheet, program);
	sheet_list(&sheet, "namespaces");
	while ((ns = vfio_nvme_next_namespace(program->nvme, ns ? ns->nsid : 0)))
		put_namespace(&sheet, ns);
	sheet_end(&sheet);
	return 0;
}

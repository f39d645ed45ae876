/* SPDX-License-Identifier: MIT */
/* smart: the SMART log and the error log. 5.14.1. */
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sheet.h"

#define ALL_NAMESPACES UINT32_MAX
#define UNIT_TEXT " (of 512000 bytes)"

static const struct flag_name warnings[] = {
	{ 0x01, "spare low" }, { 0x02, "temperature" }, { 0x04, "unreliable" },
	{ 0x08, "read-only" }, { 0x10, "backup failed" }, { 0x20, "memory region" }, { 0, NULL },
};

/* In Kelvin; 0: not told. */
static void put_temperature(struct sheet *sheet, const char *label, const char *key,
			    unsigned int kelvin)
{
	char text[32];

	if (sheet->json && key) {
		sheet_value(sheet, key, kelvin ?
			    memory_check(json_object_new_int((int)kelvin - 273)) : NULL);
		return;
	}
	snprintf(text, sizeof(text), "%d %sC", (int)kelvin - 273, is_utf8() ? "°" : "");
	if (kelvin)
		sheet_text(sheet, label, NULL, text);
}

static void put_sensors(struct sheet *sheet, const struct vfio_nvme_smart *smart)
{
	for (unsigned int i = 0; i < 8; i++) {
		char label[24];

		snprintf(label, sizeof(label), "sensor %u", i + 1);
		put_temperature(sheet, label, NULL, le16toh(smart->sensors[i]));
	}
}

static void put_smart(struct sheet *sheet, const struct vfio_nvme_smart *smart)
{
	sheet_group(sheet, "SMART", "smart");
	sheet_flags(sheet, "warnings", "warnings", warnings, smart->critical_warning);
	put_temperature(sheet, "temperature", "temperature_celsius",
			smart->temperature[0] | (unsigned int)smart->temperature[1] << 8);
	if (!sheet->json)
		put_sensors(sheet, smart);
	sheet_number(sheet, "spare", "spare_percent", smart->spare, " %");
	sheet_number(sheet, "spare, least", "spare_threshold_percent", smart->spare_threshold,
		     " %");
	sheet_number(sheet, "worn", "used_percent", smart->used, " %");
	sheet_big(sheet, "read", "units_read", smart->units_read, UNIT_TEXT);
	sheet_big(sheet, "written", "units_written", smart->units_written, UNIT_TEXT);
	sheet_big(sheet, "read commands", "read_commands", smart->reads, NULL);
	sheet_big(sheet, "write commands", "write_commands", smart->writes, NULL);
	sheet_big(sheet, "busy", "busy_minutes", smart->busy_minutes, " min");
	sheet_big(sheet, "switched on", "power_cycles", smart->power_cycles, " times");
	sheet_big(sheet, "powered", "power_on_hours", smart->power_on_hours, " h");
	sheet_big(sheet, "unsafe shutdowns", "unsafe_shutdowns", smart->unsafe_shutdowns, NULL);
	sheet_big(sheet, "media errors", "media_errors", smart->media_errors, NULL);
	sheet_big(sheet, "errors in all", "error_count", smart->error_entries, NULL);
	sheet_number(sheet, "too warm", "warning_minutes", le32toh(smart->warning_minutes), " min");
	sheet_number(sheet, "far too warm", "critical_minutes", le32toh(smart->critical_minutes),
		     " min");
}

/* ---- the error log ----------------------------------------------------------------------- */

/* Of a command that was never taken, what it was about is not known: all ones. */
static void put_place(struct sheet *sheet, const struct vfio_nvme_error_entry *entry)
{
	uint32_t nsid = le32toh(entry->nsid);

	sheet_number(sheet, "block", "lba", le64toh(entry->lba), NULL);
	if (nsid != UINT32_MAX)
		sheet_number(sheet, "namespace", "nsid", nsid, NULL);
	else if (sheet->json)
		sheet_value(sheet, "nsid", NULL);
}

static void put_error(struct sheet *sheet, const struct vfio_nvme_error_entry *entry)
{
	uint16_t status = le16toh(entry->status) >> 1;
	char title[40];

	snprintf(title, sizeof(title), "Error %" PRIu64, le64toh(entry->count));
	sheet_item(sheet, title, "errors");
	sheet_number(sheet, NULL, "count", le64toh(entry->count), NULL);
	sheet_text(sheet, "status", "text", vfio_nvme_status_text(status));
	sheet_number(sheet, NULL, "status", status, NULL);
	sheet_number(sheet, "queue", "queue", le16toh(entry->sqid), NULL);
	sheet_number(sheet, "command", "cid", le16toh(entry->cid), NULL);
	put_place(sheet, entry);
}

static void put_errors(struct sheet *sheet, const struct vfio_nvme_error_entry *entries, size_t n)
{
	size_t shown = 0;

	sheet_list(sheet, "errors");
	for (size_t i = 0; i < n; i++) {
		if (!entries[i].count)
			continue;
		put_error(sheet, &entries[i]);
		shown++;
	}
	if (!shown && !sheet->json)
		puts("\nThe error log is empty.");
}

/* Both logs are read before anything is printed. */
static int read_logs(struct program *program, struct vfio_nvme_smart *smart,
		     struct vfio_nvme_error_entry *entries, size_t n)
{
	int ret = vfio_nvme_log(program->nvme, VFIO_NVME_LOG_SMART, ALL_NAMESPACES, smart,
				sizeof(*smart));

	if (ret == 0)
		ret = vfio_nvme_log(program->nvme, VFIO_NVME_LOG_ERRORS, ALL_NAMESPACES, entries,
				    n * sizeof(*entries));
	return ret < 0 ? driver_error(program, ret) : 0;
}

int command_smart(struct program *program)
{
	struct vfio_nvme_error_entry *entries;
	struct vfio_nvme_smart smart = { .critical_warning = 0 };
	struct sheet sheet;
	size_t n;
	int ret = disk_open(program, NULL);

	if (ret < 0)
		return ret;
	n = vfio_nvme_identity(program->nvme)->elpe + 1u;
	entries = memory_check(calloc(n, sizeof(*entries)));
	ret = read_logs(program, &smart, entries, n);
	if (ret == 0) {
		sheet_begin(&sheet, program->settings.json);
		put_smart(&sheet, &smart);
		put_errors(&sheet, entries, n);
		sheet_end(&sheet);
	}
	free(entries);
	return ret;
}

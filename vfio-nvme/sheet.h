/* SPDX-License-Identifier: MIT */
/*
 * Named values in groups, described once, and printed for people or as JSON. JSON's numbers are
 * plain, in the unit that the key names or the manual tells; label NULL leaves a value to JSON, key
 * NULL to people. What a device says is made printable.
 */
#ifndef VFIO_NVME_SHEET_H
#define VFIO_NVME_SHEET_H

#include <json-c/json.h>

#include "program.h"

struct sheet {
	bool json;
	bool begun;			/* something was printed */
	struct json_object *top, *group;
};

void sheet_begin(struct sheet *sheet, bool json);

/* Print the JSON. */
void sheet_end(struct sheet *sheet);

/* What follows belongs to this object of the top; or to a new member of this list. */
void sheet_group(struct sheet *sheet, const char *title, const char *key);
void sheet_list(struct sheet *sheet, const char *key);
void sheet_item(struct sheet *sheet, const char *title, const char *key);

void sheet_text(struct sheet *sheet, const char *label, const char *key, const char *text);

/* len bytes from a device: blanks at the end are left out, NUL ends it, the rest is printable. */
void sheet_chars(struct sheet *sheet, const char *label, const char *key, const char *chars,
		 size_t len);

/* Bytes in hexadecimal; all zeros: none. */
void sheet_hex(struct sheet *sheet, const char *label, const char *key, const uint8_t *bytes,
	       size_t len);

/* unit, with a blank before it, follows for people, or NULL. */
void sheet_number(struct sheet *sheet, const char *label, const char *key, uint64_t number,
		  const char *unit);

/* A number of bytes. */
void sheet_size(struct sheet *sheet, const char *label, const char *key, uint64_t bytes);

/* Six digits behind the point, for people one. */
void sheet_real(struct sheet *sheet, const char *label, const char *key, double number,
		const char *unit);

/* 128 bits, little-endian. */
void sheet_big(struct sheet *sheet, const char *label, const char *key, const uint8_t number[16],
	       const char *unit);

void sheet_yes(struct sheet *sheet, const char *label, const char *key, bool yes);

/* The names of the bits that are set; a bit without a name is its number. Ends with a NULL name. */
struct flag_name {
	uint32_t bit;
	const char *name;
};
void sheet_flags(struct sheet *sheet, const char *label, const char *key,
		 const struct flag_name *names, uint32_t flags);

/* A JSON value of one's own, in the group. */
void sheet_value(struct sheet *sheet, const char *key, struct json_object *value);

/* Ends the program if there is no memory: json-c says no more than NULL. Returns pointer. */
void *memory_check(void *pointer);

#endif

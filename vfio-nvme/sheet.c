/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "sheet.h"

/* Counts up when a key changes its meaning or goes; new ones may come at any time. */
#define SCHEMA 1
#define LABEL_WIDTH 24

void *memory_check(void *pointer)
{
	if (pointer)
		return pointer;
	fputs(PROGRAM ": out of memory\n", stderr);
	exit(EXIT_WRONG);
}

/* ---- JSON -------------------------------------------------------------------------------- */

static void put(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, value))
		memory_check(NULL);
}

void sheet_value(struct sheet *sheet, const char *key, struct json_object *value)
{
	put(sheet->group, key, value);
}

static struct json_object *string(const char *text)
{
	return memory_check(json_object_new_string(text));
}

static struct json_object *number64(uint64_t number)
{
	return memory_check(json_object_new_uint64(number));
}

/* A number with the digits that it is written with. */
static struct json_object *digits(double number, const char *text)
{
	return memory_check(json_object_new_double_s(number, text));
}

void sheet_begin(struct sheet *sheet, bool json)
{
	struct json_object *about;

	*sheet = (struct sheet){ .json = json };
	if (!json)
		return;
	sheet->top = sheet->group = memory_check(json_object_new_object());
	about = memory_check(json_object_new_object());
	put(about, "schema", number64(SCHEMA));
	put(sheet->top, PROGRAM, about);
}

void sheet_end(struct sheet *sheet)
{
	if (!sheet->json)
		return;
	puts(memory_check((void *)json_object_to_json_string_ext(sheet->top,
			JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_PRETTY |
			JSON_C_TO_STRING_NOSLASHESCAPE)));
	json_object_put(sheet->top);
}

/* ---- groups ------------------------------------------------------------------------------ */

static void print_title(struct sheet *sheet, const char *title)
{
	printf("%s%s\n", sheet->begun ? "\n" : "", title);
	sheet->begun = true;
}

void sheet_group(struct sheet *sheet, const char *title, const char *key)
{
	if (!sheet->json) {
		print_title(sheet, title);
		return;
	}
	sheet->group = memory_check(json_object_new_object());
	put(sheet->top, key, sheet->group);
}

void sheet_list(struct sheet *sheet, const char *key)
{
	if (sheet->json)
		put(sheet->top, key, memory_check(json_object_new_array()));
}

void sheet_item(struct sheet *sheet, const char *title, const char *key)
{
	if (!sheet->json) {
		print_title(sheet, title);
		return;
	}
	sheet->group = memory_check(json_object_new_object());
	if (json_object_array_add(json_object_object_get(sheet->top, key), sheet->group))
		memory_check(NULL);
}

/* ---- values ------------------------------------------------------------------------------ */

static void line(const char *label, const char *text)
{
	printf("  %-*s %s\n", LABEL_WIDTH, label, text);
}

static bool for_json(const struct sheet *sheet, const char *key)
{
	return sheet->json && key;
}

static bool for_people(const struct sheet *sheet, const char *label)
{
	return !sheet->json && label;
}

void sheet_text(struct sheet *sheet, const char *label, const char *key, const char *text)
{
	if (for_json(sheet, key))
		put(sheet->group, key, string(text));
	else if (for_people(sheet, label) && *text)
		line(label, text);
}

void sheet_chars(struct sheet *sheet, const char *label, const char *key, const char *chars,
		 size_t len)
{
	char *text = memory_check(malloc(4 * len + 1)), *to = text;

	len = strnlen(chars, len);
	while (len && chars[len - 1] == ' ')
		len--;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)chars[i];

		/* 1.5: ASCII, 0x20 to 0x7e. */
		to += sprintf(to, c >= 0x20 && c < 0x7f && c != '\\' ? "%c" : "\\x%02x", c);
	}
	*to = '\0';
	sheet_text(sheet, label, key, text);
	free(text);
}

void sheet_hex(struct sheet *sheet, const char *label, const char *key, const uint8_t *bytes,
	       size_t len)
{
	char text[65];
	bool any = false;

	for (size_t i = 0; i < len && i < 32; i++) {
		sprintf(text + 2 * i, "%02x", bytes[i]);
		any = any || bytes[i];
	}
	if (any)
		sheet_text(sheet, label, key, text);
	else if (for_json(sheet, key))
		put(sheet->group, key, NULL);
}

void sheet_number(struct sheet *sheet, const char *label, const char *key, uint64_t number,
		  const char *unit)
{
	char text[80];

	snprintf(text, sizeof(text), "%" PRIu64 "%s", number, unit ? unit : "");
	if (for_json(sheet, key))
		put(sheet->group, key, number64(number));
	else if (for_people(sheet, label))
		line(label, text);
}

void sheet_size(struct sheet *sheet, const char *label, const char *key, uint64_t bytes)
{
	char size[SIZE_TEXT], text[80];

	size_text(size, bytes);
	snprintf(text, sizeof(text), "%s (%" PRIu64 " bytes)", size, bytes);
	if (for_json(sheet, key))
		put(sheet->group, key, number64(bytes));
	else if (for_people(sheet, label))
		line(label, bytes < 1024 ? size : text);
}

void sheet_real(struct sheet *sheet, const char *label, const char *key, double number,
		const char *unit)
{
	char plain[400], text[80];

	snprintf(plain, sizeof(plain), "%.6f", number);
	snprintf(text, sizeof(text), "%.1f%s", number, unit ? unit : "");
	if (for_json(sheet, key))
		put(sheet->group, key, digits(number, plain));
	else if (for_people(sheet, label))
		line(label, text);
}

/* 128 bits in decimal, into text of 40 bytes. */
static double decimal(const uint8_t number[16], char *text)
{
	unsigned __int128 value = 0;
	char reversed[40];
	double real;
	int n = 0;

	for (int i = 15; i >= 0; i--)
		value = value << 8 | number[i];
	real = (double)value;
	do {
		reversed[n++] = (char)('0' + (int)(value % 10));
		value /= 10;
	} while (value);
	while (n)
		*text++ = reversed[--n];
	*text = '\0';
	return real;
}

void sheet_big(struct sheet *sheet, const char *label, const char *key, const uint8_t number[16],
	       const char *unit)
{
	char text[40], with_unit[80];
	double real = decimal(number, text);

	snprintf(with_unit, sizeof(with_unit), "%s%s", text, unit ? unit : "");
	if (for_json(sheet, key))
		put(sheet->group, key, digits(real, text));
	else if (for_people(sheet, label))
		line(label, with_unit);
}

void sheet_yes(struct sheet *sheet, const char *label, const char *key, bool yes)
{
	if (for_json(sheet, key))
		put(sheet->group, key, memory_check(json_object_new_boolean(yes)));
	else if (for_people(sheet, label))
		line(label, yes ? "yes" : "no");
}

static const char *flag_name(const struct flag_name *names, uint32_t bit, char number[16])
{
	for (; names->name; names++)
		if (names->bit == bit)
			return names->name;
	snprintf(number, 16, "bit %d", __builtin_ctz(bit));
	return number;
}

void sheet_flags(struct sheet *sheet, const char *label, const char *key,
		 const struct flag_name *names, uint32_t flags)
{
	struct json_object *list = NULL;

	if (for_json(sheet, key)) {
		list = memory_check(json_object_new_array());
		put(sheet->group, key, list);
	} else if (for_people(sheet, label)) {
		printf("  %-*s %s", LABEL_WIDTH, label, flags ? "" : "none");
	} else {
		return;
	}
	for (bool first = true; flags; flags &= flags - 1, first = false) {
		char number[16];
		const char *name = flag_name(names, flags & -flags, number);

		if (!list)
			printf("%s%s", first ? "" : ", ", name);
		else if (json_object_array_add(list, string(name)))
			memory_check(NULL);
	}
	if (!list)
		putchar('\n');
}

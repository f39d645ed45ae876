/* SPDX-License-Identifier: MIT */
/*
 * Configuration space that somebody wrote into a file: raw bytes, as sysfs has them, or what
 * lspci -x, -xxx and -xxxx print, of one device or several.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsvfio.h"

/* Several thousand functions as lspci prints them. */
#define MAX_FILE (64u << 20)

struct dump {
	struct device_list *list;
	const char *path;
	struct device *device;	/* the one whose bytes are being read */
	size_t line;
};

static bool complain(const char *path, char *why)
{
	char *clean = text_clean(path, strlen(path));

	fprintf(stderr, "lsvfio: configuration space cannot be shown from '%s': %s\n", clean, why);
	free(clean);
	free(why);
	return false;
}

/* ---- the file ------------------------------------------------------------------------------- */

/* All of it, with a NUL behind; NULL with errno set. */
static char *read_all(int fd, size_t *len)
{
	size_t room = 0;
	char *text = NULL;
	ssize_t n;

	*len = 0;
	do {
		if (*len == room) {
			room = room ? 2 * room : 65536;
			text = memory_check(realloc(text, room + 1));
		}
		n = read(fd, text + *len, room - *len);
		*len += n > 0 ? (size_t)n : 0;
	} while (n > 0 && *len <= MAX_FILE);
	if (n > 0)
		errno = EFBIG;
	if (n != 0) {
		free(text);
		return NULL;
	}
	text[*len] = '\0';
	return text;
}

static char *load(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *text = NULL;
	int error;

	if (fd >= 0)
		text = read_all(fd, len);
	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return text;
}

/* Configuration space has bytes that no text has, be it those of the header that are zero. */
static bool is_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' && !isspace((unsigned char)text[i]))
			return false;
	return memchr(text, '\xff', len) == NULL;
}

static struct device *add_device(struct dump *dump, const char *name)
{
	struct device *d = device_new(KIND_DUMP, text_clean(name, strlen(name)), NULL);

	device_describe(d);
	TAILQ_INSERT_TAIL(dump->list, d, entry);
	return d;
}

static bool show_raw(struct dump *dump, const char *bytes, size_t len)
{
	struct description *desc;

	if (len < PCI_STD_HEADER_SIZEOF || len > CONFIG_MAX)
		return complain(dump->path, memory_printf("it is not what lspci -x prints, and as "
							  "raw bytes it has %zu, not 64 to 4096",
							  len));
	dump->device = add_device(dump, dump->path);
	desc = dump->device->description;
	memcpy(desc->config, bytes, len);
	desc->config_len = len;
	config_explain(dump->device);
	return true;
}

/* ---- what lspci prints ----------------------------------------------------------------------- */

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = strchr(digits, tolower((unsigned char)c));

	return c && at ? (int)(at - digits) : -1;
}

/* "1f0: 00 01 02": bytes that follow those before. NULL, or what is wrong with the line. */
static const char *hex_line(struct description *desc, const char *line)
{
	char *at;
	unsigned long offset = strtoul(line, &at, 16);

	if (offset != desc->config_len)
		return "its bytes do not follow those before";
	for (at++; *at == ' '; at += 3) {
		int high = hex_digit(at[1]), low = high < 0 ? -1 : hex_digit(at[2]);

		if (low < 0)
			break;
		if (desc->config_len == CONFIG_MAX)
			return "configuration space has no more than 4096 bytes";
		desc->config[desc->config_len++] = (uint8_t)(high << 4 | low);
	}
	return at[strspn(at, " \r")] ? "these are not bytes in hexadecimal" : NULL;
}

static bool is_hex_line(const char *line)
{
	size_t digits = strspn(line, "0123456789abcdefABCDEF");

	return digits >= 2 && digits <= 3 && line[digits] == ':' && line[digits + 1] == ' ';
}

/* "00:1f.2 SATA controller: …": the address of the next device. NULL if the line is none. */
static char *device_line(const char *line)
{
	char *name = memory_check(strndup(line, strcspn(line, " \r")));
	struct pci_address address;

	if (pci_parse_address(name, &address))
		return name;
	free(name);
	return NULL;
}

static void end_device(struct dump *dump)
{
	if (dump->device)
		config_explain(dump->device);
	dump->device = NULL;
}

/* What of it was read would look like a device that has no more. */
static void drop_device(struct dump *dump)
{
	if (!dump->device)
		return;
	TAILQ_REMOVE(dump->list, dump->device, entry);
	device_free(dump->device);
}

/* NULL, or what is wrong with the line. */
static const char *one_line(struct dump *dump, const char *line)
{
	char *name;

	if (is_hex_line(line))
		return dump->device ? hex_line(dump->device->description, line)
				    : "bytes come before any device";
	if (!*line || isspace((unsigned char)*line))	/* what lspci -v has to say */
		return NULL;
	name = device_line(line);
	if (!name)
		return "it is neither the line of a device nor one of bytes";
	end_device(dump);
	dump->device = add_device(dump, name);
	free(name);
	return NULL;
}

static bool show_text(struct dump *dump, char *text)
{
	struct device *last = TAILQ_LAST(dump->list, device_list);
	char *line;

	while ((line = strsep(&text, "\n"))) {
		const char *wrong = one_line(dump, line);

		dump->line++;
		if (wrong) {
			drop_device(dump);
			return complain(dump->path, memory_printf("line %zu: %s", dump->line,
								  wrong));
		}
	}
	end_device(dump);
	if (TAILQ_LAST(dump->list, device_list) == last)
		return complain(dump->path, memory_copy("it names no device"));
	return true;
}

bool dump_show(struct device_list *list, const char *path)
{
	struct dump dump = { .list = list, .path = path };
	size_t len;
	char *text = load(path, &len);
	bool ok;

	if (!text)
		return complain(path, memory_copy(strerror(errno)));
	ok = is_text(text, len) ? show_text(&dump, text) : show_raw(&dump, text, len);
	free(text);
	return ok;
}

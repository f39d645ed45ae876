/* SPDX-License-Identifier: MIT */
/*
 * Configuration space that somebody wrote into a file: raw bytes, as sysfs has them, or what
 * lspci -x, -xxx and -xxxx print, of one device or several.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsvfio.h"

/* Several thousand functions as lspci prints them. */
#define MAX_FILE (64u << 20)
#define MAX_DEVICES 65536	/* as a PCI domain has */

static bool complain(const char *path, const char *why)
{
	char *clean = text_clean(path, strlen(path));

	fprintf(stderr, "lsvfio: configuration space cannot be shown from '%s': %s\n", clean, why);
	free(clean);
	return false;
}

/* ---- the file ------------------------------------------------------------------------------- */

/* All of it; NULL with errno set. */
static char *read_all(int fd, size_t *len)
{
	size_t room = 0;
	char *text = NULL;
	ssize_t n;

	*len = 0;
	do {
		if (*len == room) {
			room = room ? 2 * room : 65536;
			text = memory_check(realloc(text, room));
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

/* ---- its devices ---------------------------------------------------------------------------- */

static void add_region(struct description *desc, uint32_t index,
		       const struct vfio_pci_resource *resource)
{
	struct region *region;

	if (!resource->size)
		return;
	region = description_region(desc, index);
	region->size = resource->size;
	region->flags = (resource->io ? REGION_IO : REGION_MEMORY) |
			(resource->mem64 ? REGION_64BIT : 0) |
			(resource->prefetchable ? REGION_PREFETCH : 0);
}

static void add_device(struct device_list *list, const struct vfio_pci_dump *dump,
		       const char *path)
{
	const char *name = dump->name[0] ? dump->name : path;
	struct device *d = device_new(KIND_DUMP, text_clean(name, strlen(name)), NULL);
	struct description *desc = device_describe(d);

	TAILQ_INSERT_TAIL(list, d, entry);
	memcpy(desc->config, dump->config, dump->length);
	desc->config_len = dump->length;
	for (uint32_t i = 0; i < 6; i++)
		add_region(desc, VFIO_PCI_BAR0_REGION_INDEX + i, &dump->bars[i]);
	add_region(desc, VFIO_PCI_ROM_REGION_INDEX, &dump->rom);
	config_explain(d);
}

bool dump_show(struct device_list *list, const char *path)
{
	char problem[VFIO_PCI_PROBLEM_ROOM];
	struct vfio_pci_dump dump;
	size_t len, at = 0, n = 0;
	char *text = load(path, &len);
	int r;

	if (!text)
		return complain(path, strerror(errno));
	while ((r = vfio_pci_dump_next(text, len, &at, &dump, problem)) > 0 && n++ < MAX_DEVICES)
		add_device(list, &dump, path);
	free(text);
	if (r > 0)
		return complain(path, "it has more devices than PCI has places for");
	return r == 0 || complain(path, problem);
}

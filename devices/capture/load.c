/* SPDX-License-Identifier: MIT */
/* Files: a dump, or a device's directory in sysfs. They may hold anything. */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture.h"

/* Several thousand functions as lspci prints them. */
#define MAX_DUMP (64u << 20)
/* A line for each resource; a few dozen. */
#define MAX_TEXT 65536u

/* Flags in the file "resource": the kernel's IORESOURCE_… */
#define RESOURCE_IO       0x00000100u
#define RESOURCE_PREFETCH 0x00002000u
#define RESOURCE_MEM_64   0x00100000u

static int refuse_file(struct vfio_error *err, const char *path)
{
	/* Whoever prints the record prints what errno means. */
	return refuse(err, errno, VFIO_E_SYSTEM, "name a file that can be read",
		      "capture: '%s' cannot be read", path);
}

/* ---- any file ---------------------------------------------------------------------------- */

static int read_all(struct bytes *bytes, int fd, size_t most)
{
	size_t room = 0;
	ssize_t n;

	do {
		if (bytes->size == room) {
			uint8_t *more = realloc(bytes->at, room = room ? 2 * room : 8192);

			if (!more)
				return -ENOMEM;
			bytes->at = more;
		}
		n = read(fd, bytes->at + bytes->size, room - bytes->size);
		bytes->size += n > 0 ? (size_t)n : 0;
	} while (n > 0 && bytes->size <= most);
	if (n > 0)
		return -EFBIG;
	return n < 0 ? -errno : 0;
}

int load_file(struct bytes *bytes, const char *path, size_t most, struct vfio_error *err)
{
	/* What is no file may wait for somebody, or never end. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;
	struct stat st;

	*bytes = (struct bytes){ 0 };
	if (fd < 0)
		return refuse_file(err, path);
	r = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (r == 0)
		r = read_all(bytes, fd, most);
	close(fd);
	if (r == 0)
		return 0;
	free(bytes->at);
	*bytes = (struct bytes){ 0 };
	errno = -r;
	return refuse_file(err, path);
}

/* ---- a dump ------------------------------------------------------------------------------ */

/* With or without the domain 0 in front. */
static bool is_slot(const char *name, const char *slot)
{
	static const char domain[] = "0000:";
	size_t skip = strlen(domain);

	if (!strcmp(name, slot))
		return true;
	return (!strncmp(name, domain, skip) && !strcmp(name + skip, slot)) ||
	       (!strncmp(slot, domain, skip) && !strcmp(slot + skip, name));
}

static int refuse_count(const struct options *o, unsigned int count, struct vfio_error *err)
{
	if (count)
		return refuse(err, EINVAL, VFIO_E_OPTION, "add slot=ADDRESS, as in slot=00:1f.2",
			      "capture: '%s' has %u devices%s%s", o->file, count,
			      o->slot ? " at " : "", o->slot ? o->slot : "");
	return refuse(err, ENODEV, VFIO_E_OPTION, "lsvfio --config FILE shows what the file has",
		      "capture: '%s' has nothing at %s", o->file, o->slot);
}

/* The one device of a dump that is meant. */
static int choose(struct vfio_pci_dump *dump, const struct bytes *text, const struct options *o,
		  struct vfio_error *err)
{
	char problem[VFIO_PCI_PROBLEM_ROOM];
	unsigned int count = 0;
	struct vfio_pci_dump next;
	size_t at = 0;
	int r;

	while ((r = vfio_pci_dump_next(text->at, text->size, &at, &next, problem)) > 0) {
		if (o->slot && !is_slot(next.name, o->slot))
			continue;
		*dump = next;
		count++;
	}
	if (r < 0)
		return refuse(err, EINVAL, VFIO_E_OPTION, "the file must hold what lspci -vvxxxx "
			      "prints, or raw bytes", "capture: '%s': %s", o->file, problem);
	return count == 1 ? 0 : refuse_count(o, count, err);
}

static int load_text(struct vfio_pci_dump *dump, const struct options *o, struct vfio_error *err)
{
	struct bytes text;
	int r = load_file(&text, o->file, MAX_DUMP, err);

	if (r == 0)
		r = choose(dump, &text, o, err);
	free(text.at);
	return r;
}

/* ---- a directory of sysfs ---------------------------------------------------------------- */

/* A file of it, with a NUL behind. */
static int load_member(struct bytes *bytes, const char *directory, const char *name,
		       struct vfio_error *err)
{
	char *path;
	int r;

	if (asprintf(&path, "%s/%s", directory, name) < 0)
		return refuse_memory(err);
	r = load_file(bytes, path, MAX_TEXT, err);
	free(path);
	if (r < 0)
		return r;
	path = realloc(bytes->at, bytes->size + 1);
	if (!path) {
		free(bytes->at);
		return refuse_memory(err);
	}
	path[bytes->size] = '\0';
	bytes->at = (uint8_t *)path;
	return 0;
}

static struct vfio_pci_resource resource(uint64_t start, uint64_t end, uint64_t flags)
{
	if (end <= start)
		return (struct vfio_pci_resource){ 0 };
	return (struct vfio_pci_resource){
		.size = end - start + 1, .io = flags & RESOURCE_IO,
		.mem64 = flags & RESOURCE_MEM_64, .prefetchable = flags & RESOURCE_PREFETCH,
	};
}

/* A line each for the BARs and the ROM: first address, last address, flags. */
static void parse_resources(struct vfio_pci_dump *dump, char *text)
{
	char *line;

	for (unsigned int i = 0; i <= BARS && (line = strsep(&text, "\n")); i++) {
		uint64_t start = strtoull(line, &line, 16), end = strtoull(line, &line, 16);
		uint64_t flags = strtoull(line, &line, 16);

		*(i < BARS ? &dump->bars[i] : &dump->rom) = resource(start, end, flags);
	}
}

static int load_number(uint16_t *number, const char *directory, const char *name,
		       struct vfio_error *err)
{
	struct bytes text;
	int r = load_member(&text, directory, name, err);

	if (r < 0)
		return r;
	*number = (uint16_t)strtoul((char *)text.at, NULL, 16);
	free(text.at);
	return 0;
}

/* A virtual function has a link to its physical one. The kernel knows which device it is. */
static int load_identity(struct capture *c, const char *directory, struct vfio_error *err)
{
	char *path;
	int r;

	if (asprintf(&path, "%s/physfn", directory) < 0)
		return refuse_memory(err);
	c->virtual_function = access(path, F_OK) == 0;
	free(path);
	if (!c->virtual_function)
		return 0;
	r = load_number(&c->vendor, directory, "vendor", err);
	return r < 0 ? r : load_number(&c->device, directory, "device", err);
}

static int load_directory(struct capture *c, const struct options *o, struct vfio_error *err)
{
	struct bytes config, resources;
	int r = load_member(&config, o->file, "config", err);

	if (r < 0)
		return r;
	r = choose(&c->dump, &config, &(struct options){ .file = o->file }, err);
	free(config.at);
	if (r == 0)
		r = load_member(&resources, o->file, "resource", err);
	if (r < 0)
		return r;
	parse_resources(&c->dump, (char *)resources.at);
	free(resources.at);
	return load_identity(c, o->file, err);
}

/* ------------------------------------------------------------------------------------------ */

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int load_dump(struct capture *c, const struct options *o, struct vfio_error *err)
{
	int r = is_directory(o->file) ? load_directory(c, o, err) : load_text(&c->dump, o, err);

	if (r < 0)
		return r;
	if (c->dump.length == PCI_CFG_SPACE_SIZE || c->dump.length == PCI_CFG_SPACE_EXP_SIZE)
		return 0;
	return refuse(err, EINVAL, VFIO_E_DESCRIPTION,
		      "without privilege the kernel gives only a part; as root, lspci -s ADDRESS "
		      "-vvxxxx prints all of it",
		      "capture: '%s' has %u bytes of configuration space, not 256 or 4096", o->file,
		      c->dump.length);
}

/* SPDX-License-Identifier: MIT */
/* The reader of dumps, on anything: devices one by one, until there is none, or nonsense. */
#include <string.h>

#include <vfio/pci.h>

#include "check.h"
#include "input.h"

/* What is kept says nothing that cannot be. */
static void check_device(const struct vfio_pci_dump *dump)
{
	CHECK(memchr(dump->name, '\0', sizeof(dump->name)));
	CHECK(dump->length <= sizeof(dump->config));
	for (size_t i = dump->length; i < sizeof(dump->config); i++)
		CHECK(dump->config[i] == 0);
	if (!dump->name[0])
		CHECK(dump->length >= 64 && !dump->rom.size && !dump->bars[0].size);
}

static unsigned int read_all(const uint8_t *data, size_t size, size_t from, int *end)
{
	struct vfio_pci_dump dump;
	char problem[VFIO_PCI_PROBLEM_ROOM];
	size_t at = from, before;
	unsigned int count = 0;

	for (;;) {
		before = at;
		memset(problem, 'x', sizeof(problem));
		*end = vfio_pci_dump_next(data, size, &at, &dump, problem);
		CHECK(at <= size && memchr(problem, '\0', sizeof(problem)));
		CHECK((*end < 0) == (problem[0] != '\0'));
		if (*end <= 0)
			return count;
		CHECK(at > before);
		check_device(&dump);
		count++;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int end, again;
	unsigned int count = read_all(data, size, 0, &end);

	CHECK(end <= 0 && (end < 0 || count));
	CHECK(read_all(data, size, 0, &again) == count && again == end);
	/* A place that no call gave. */
	if (size)
		read_all(data, size, 1 + data[0] % size, &end);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include "dma_trace.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE	    4096ull
#define BUFFER_SIZE (256 * PAGE)
#define ALIGN	    (4ull << 20)	/* of the buffer's address */
#define FILE_PAGES  20

/* ---- memory ------------------------------------------------------------------------------- */

static void reserve(struct trace *t)
{
	uintptr_t start;

	t->mapped = mmap(NULL, ALIGN + BUFFER_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(t->mapped, MAP_FAILED);
	start = ((uintptr_t)t->mapped + ALIGN - 1) & ~(ALIGN - 1);
	t->buffer = (uint8_t *)start;
}

/*
 * A hole is PROT_NONE, as `none` is: something else could come to lie in a real one. test_type1.c
 * and test_ioas.c try those.
 */
static void make_part(struct trace *t, int file, uint64_t offset, uint64_t size, const char *kind)
{
	bool shared = strncmp(kind, "shared", 6) == 0 || strcmp(kind, "past") == 0;
	static uint64_t file_offset;
	uint8_t *place = t->buffer + offset;
	int prot = PROT_READ | PROT_WRITE;

	if (strcmp(kind, "shared") == 0)
		file_offset = 0;
	if (strcmp(kind, "hole") == 0)
		t->hole = offset;
	if (strcmp(kind, "hole") == 0 || strcmp(kind, "none") == 0)
		return;
	assert_ptr_not_equal(mmap(place, size, prot, MAP_FIXED |
				  (shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS),
				  shared ? file : -1, shared ? file_offset : 0), MAP_FAILED);
	if (shared)
		file_offset += size;
	if (strcmp(kind, "past") != 0)
		memset(place, 1, size);
	if (strcmp(kind, "ro") == 0)
		t->ro = offset;
	if (strcmp(kind, "ro") == 0 || strcmp(kind, "shared-ro") == 0)
		mprotect(place, size, PROT_READ);
}

/* ---- the head ----------------------------------------------------------------------------- */

static void take_head(struct trace *t, int file)
{
	unsigned long long a, b;
	char kind[16];

	if (sscanf(t->line, "memory %llx %llx %15s", &a, &b, kind) == 3)
		make_part(t, file, a, b, kind);
	else if (sscanf(t->line, "range %llx %llx", &a, &b) == 2 && t->nranges < TRACE_RANGES)
		t->ranges[t->nranges++] = (struct vfio_iova_range){ a, b };
	else if (sscanf(t->line, "entries %llu", &a) == 1)
		t->entries = a;
	else if (sscanf(t->line, "memlock %llx", &a) == 1)
		t->memlock = a;
	else if (sscanf(t->line, "alignment %llx", &a) == 1)
		t->alignment = a;
	else if (strncmp(t->line, "rules type1\n", 12) == 0)
		t->v1 = true;
}

void trace_open(struct trace *t, const char *path, struct difference *differences)
{
	const char *slash = strrchr(path, '/');
	int file = memfd_create("shared", MFD_CLOEXEC);

	*t = (struct trace){
		.name = slash ? slash + 1 : path, .file = fopen(path, "re"),
		.memlock = UINT64_MAX, .differences = differences,
	};
	assert_non_null(t->file);
	assert_int_equal(ftruncate(file, FILE_PAGES * PAGE), 0);
	reserve(t);
	while (fgets(t->line, sizeof(t->line), t->file)) {
		t->number++;
		if (sscanf(t->line, "# section: %127[^\n]", t->section) == 1)
			break;
		take_head(t, file);
	}
	close(file);
}

void trace_close(struct trace *t)
{
	munmap(t->mapped, ALIGN + BUFFER_SIZE);
	fclose(t->file);
}

/* ---- lines -------------------------------------------------------------------------------- */

bool trace_next(struct trace *t)
{
	while (fgets(t->line, sizeof(t->line), t->file)) {
		t->number++;
		t->line[strcspn(t->line, "\n")] = 0;
		sscanf(t->line, "# section: %127[^\n]", t->section);
		if (t->line[0] >= 'A' && t->line[0] <= 'Z')
			return true;
		/* Memory is limited only now: what was before was asked by another. */
		if (strncmp(t->line, "memlock ", 8) == 0)
			fail_msg("%s:%u: a limit behind the first section", t->name, t->number);
	}
	return false;
}

uint64_t take_number(const char **p, int base)
{
	char *end;
	uint64_t value = strtoull(*p, &end, base);

	*p = end;
	return value;
}

uint64_t take_address(const struct trace *t, const char **p)
{
	*p += strspn(*p, " ");
	if (strncmp(*p, "b+", 2) != 0)
		return take_number(p, 16);
	*p += 2;
	return (uintptr_t)t->buffer + take_number(p, 16);
}

const char *trace_answer(const struct trace *t)
{
	const char *equals = strstr(t->line, " = ");

	assert_non_null(equals);
	return equals + 3;
}

static bool is_known(struct trace *t, const char *because)
{
	for (struct difference *d = t->differences; because && d->why; d++) {
		if (strcmp(d->why, because) != 0)
			continue;
		d->count++;
		return true;
	}
	return false;
}

bool trace_compare(struct trace *t, int64_t ours, int64_t theirs, const char *because)
{
	t->compared++;
	if (ours == theirs)
		return true;
	if (is_known(t, because))
		return false;
	if (t->different++ < 40)
		print_message("%s:%u: [%s] ours: %lld (%llx); the kernel's: %s\n", t->name,
			      t->number, t->section, (long long)ours, (long long)ours, t->line);
	return false;
}

void trace_finish(struct trace *t)
{
	print_message("%s: %u answers compared, %u otherwise\n", t->name, t->compared,
		      t->different);
	for (struct difference *d = t->differences; d->why; d++)
		print_message("    %u differ on purpose: %s\n", d->count, d->why);
	assert_true(t->compared > 3000);
	assert_int_equal(t->different, 0);
	for (struct difference *d = t->differences; d->why; d++)
		assert_int_not_equal(d->count, 0);
}

/* SPDX-License-Identifier: MIT */
/* Memory for DMA: of each kind that there is here, and what comes instead of one that is not. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "frontends/pages.h"

#define PAGE  ((size_t)sysconf(_SC_PAGESIZE))
#define LARGE (2u << 20)

#define POPULATE_WRITE 23	/* MADV_POPULATE_WRITE: older headers have none */

/* A folder in which a system is described as the test likes it. */
struct described {
	char folder[64], mounts[128];
	struct pages_places places;
};

static void describe(const struct described *d, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", d->folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void describe_transparent(const struct described *d, const char *enabled, const char *size)
{
	describe(d, "shmem_enabled", enabled);
	describe(d, "hpage_pmd_size", size);
}

static int set_up(void **state)
{
	static struct described d;

	strcpy(d.folder, "/tmp/pages-XXXXXX");
	if (!mkdtemp(d.folder))
		return -1;
	snprintf(d.mounts, sizeof(d.mounts), "%s/mounts", d.folder);
	d.places = (struct pages_places){ .mounts = d.mounts, .transparent = d.folder };
	*state = &d;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = { "mounts", "shmem_enabled", "hpage_pmd_size" };
	const struct described *d = *state;
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", d->folder, names[i]);
		unlink(path);
	}
	return rmdir(d->folder);	/* and nothing else is there */
}

/* ---- what all memory is like --------------------------------------------------------------- */

static bool is_resident(const struct pages *p)
{
	unsigned char *in = malloc(p->size / PAGE);
	bool all = true;

	assert_non_null(in);
	assert_int_equal(mincore(p->addr, p->size, in), 0);
	for (size_t i = 0; i < p->size / PAGE; i++)
		all = all && (in[i] & 1);
	free(in);
	return all;
}

static bool is_zeroed(const struct pages *p)
{
	const uint8_t *bytes = p->addr;

	return !bytes[0] && !memcmp(bytes, bytes + 1, p->size - 1);
}

static void check(const struct pages *p, size_t size, uint32_t kind)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct stat st;

	assert_int_equal(p->size, size);
	assert_int_equal(p->kind, kind);
	assert_int_equal((uintptr_t)p->addr % p->page_size, 0);
	if (size >= PAGES_LARGE)
		assert_int_equal((uintptr_t)p->addr % PAGES_LARGE, 0);
	assert_int_equal(fstat(p->fd, &st), 0);
	assert_int_equal(st.st_size, size);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(fcntl(p->fd, F_GETFD), FD_CLOEXEC);
	if (kind != VFIO_PAGES_HUGETLBFS)
		assert_int_equal(fcntl(p->fd, F_GET_SEALS), seals);
	assert_true(is_resident(p));
	assert_true(is_zeroed(p));
}

/* Whoever maps the descriptor sees the same bytes. */
static void check_shared(const struct pages *p)
{
	uint8_t *there = mmap(NULL, p->size, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	uint8_t *here = p->addr;

	assert_ptr_not_equal(there, MAP_FAILED);
	here[p->size - 1] = 0x5a;
	assert_int_equal(there[p->size - 1], 0x5a);
	there[0] = 0xa5;
	assert_int_equal(here[0], 0xa5);
	munmap(there, p->size);
}

static void check_and_free(struct pages *p, size_t size, uint32_t kind)
{
	int fd = p->fd;
	void *addr = p->addr;

	check(p, size, kind);
	check_shared(p);
	pages_free(p);
	assert_int_equal(p->size, 0);
	assert_int_equal(p->fd, -1);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(msync(addr, size, MS_ASYNC), -1);	/* nothing is mapped there */
	pages_free(p);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void plain_pages(void **state)
{
	size_t sizes[] = { PAGE, 3 * PAGE, LARGE, LARGE + PAGE };
	struct pages p;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(pages_get(&p, sizes[i], VFIO_PAGES_PLAIN), 0);
		assert_int_equal(p.page_size, PAGE);
		check_and_free(&p, sizes[i], VFIO_PAGES_PLAIN);
	}
}

static void sizes_that_cannot_be_had(void **state)
{
	const struct {
		size_t size;
		int err;
	} sizes[] = {
		{ 0, EINVAL }, { 1, EINVAL }, { PAGE - 1, EINVAL }, { PAGE + 1, EINVAL },
		{ SIZE_MAX, EINVAL }, { SIZE_MAX - PAGE + 1, ENOMEM }, { SIZE_MAX / 2 + 1, ENOMEM },
		{ (size_t)1 << 52, ENOMEM },
	};
	struct pages p;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(pages_get(&p, sizes[i].size, VFIO_PAGES_HUGETLBFS), -sizes[i].err);
		assert_int_equal(p.size, 0);
		assert_int_equal(p.fd, -1);
		assert_null(p.addr);
		pages_free(&p);
	}
}

/* Without the signal by which the kernel ends a process that would make a larger file. */
static void more_than_a_file_may_have(void **state)
{
	struct rlimit before, limit;
	struct pages p;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = 4 * PAGE;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(pages_get(&p, 5 * PAGE, VFIO_PAGES_HUGETLBFS), -ENOMEM);
	assert_int_equal(pages_get(&p, 4 * PAGE, VFIO_PAGES_HUGETLBFS), 0);
	check_and_free(&p, 4 * PAGE, VFIO_PAGES_PLAIN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static void failing_leaves_nothing_open(void **state)
{
	int before = dup(0), after;
	struct pages p;

	close(before);
	assert_int_equal(pages_get(&p, (size_t)1 << 52, VFIO_PAGES_HUGETLBFS), -ENOMEM);
	after = dup(0);
	close(after);
	assert_int_equal(after, before);
}

/* Whatever the machine has: one small page is one small page. */
static void a_small_page_is_never_a_huge_one(void **state)
{
	struct pages p;

	for (uint32_t best = VFIO_PAGES_HUGETLBFS; best <= VFIO_PAGES_PLAIN; best++) {
		assert_int_equal(pages_get(&p, PAGE, best), 0);
		check_and_free(&p, PAGE, VFIO_PAGES_PLAIN);
	}
}

/* A mount that says that it is one, and is not: nothing is left behind in it. */
static void a_folder_that_is_no_hugetlbfs(void **state)
{
	const struct described *d = *state;
	struct pages p;
	char line[256];

	describe_transparent(d, "always within_size advise [never] deny force\n", "2097152\n");
	snprintf(line, sizeof(line),
		 "none /dev/shm tmpfs rw 0 0\nnone %s hugetlbfs rw,pagesize=2M 0 0\n", d->folder);
	describe(d, "mounts", line);
	assert_int_equal(pages_get_from(&p, LARGE, VFIO_PAGES_HUGETLBFS, &d->places), 0);
	assert_int_not_equal(p.kind, VFIO_PAGES_HUGETLBFS);
	check_and_free(&p, LARGE, p.kind);
}

static void lists_of_mounts_that_say_nothing(void **state)
{
	static const char *const lists[] = {
		"", "\n\n", "hugetlbfs\n", "none /nowhere/at/all hugetlbfs rw 0 0\n",
		"none /dev/shm hugetlbfs rw 0 0", "\\040 \\040 hugetlbfs",
		"none  hugetlbfs hugetlbfs",
	};
	const struct described *d = *state;
	struct pages p;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		describe(d, "mounts", lists[i]);
		assert_int_equal(pages_get_from(&p, LARGE, VFIO_PAGES_HUGETLBFS, &d->places), 0);
		assert_int_not_equal(p.kind, VFIO_PAGES_HUGETLBFS);
		pages_free(&p);
	}
	assert_int_equal(unlink(d->mounts), 0);
	assert_int_equal(pages_get_from(&p, LARGE, VFIO_PAGES_HUGETLBFS, &d->places), 0);
	assert_int_not_equal(p.kind, VFIO_PAGES_HUGETLBFS);
	pages_free(&p);
}

static void settings_without_transparent_pages(void **state)
{
	static const char *const settings[][2] = {
		{ "always within_size advise [never] deny force\n", "2097152\n" },
		{ "always within_size advise never [deny] force\n", "2097152\n" },
		{ "always within_size advise never deny force\n", "2097152\n" },
		{ "", "2097152\n" },
		{ "[always] within_size advise never deny force\n", "" },
		{ "[always] within_size advise never deny force\n", "0\n" },
		{ "[always] within_size advise never deny force\n", "many\n" },
		{ "[always] within_size advise never deny force\n", "-1\n" },
		{ "[always] within_size advise never deny force\n", "2097151\n" },
		{ "[always] within_size advise never deny force\n", "4194304\n" },
		{ "[always] within_size advise never deny force\n", "1\n" },
	};
	const struct described *d = *state;
	struct pages p;

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		describe_transparent(d, settings[i][0], settings[i][1]);
		assert_int_equal(pages_get_from(&p, LARGE, VFIO_PAGES_THP, &d->places), 0);
		assert_int_equal(p.page_size, PAGE);
		check_and_free(&p, LARGE, VFIO_PAGES_PLAIN);
	}
	describe_transparent(d, "[always]\n", "2097152\n");
	assert_int_equal(pages_get_from(&p, LARGE - PAGE, VFIO_PAGES_THP, &d->places), 0);
	check_and_free(&p, LARGE - PAGE, VFIO_PAGES_PLAIN);
}

/* Does the kernel know transparent huge pages, and filling pages with an error for an answer? */
static bool kernel_has_transparent_pages(void)
{
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool has = madvise(at, PAGE, MADV_HUGEPAGE) == 0 && madvise(at, PAGE, POPULATE_WRITE) == 0;

	munmap(at, PAGE);
	return has;
}

static void settings_with_transparent_pages(void **state)
{
	static const char *const settings[] = {
		"[always] within_size advise never deny force\n",
		"always [within_size] advise never deny force\n",
		"always within_size [advise] never deny force\n",
	};
	const size_t size = 2 * LARGE + PAGE;
	const struct described *d = *state;
	struct pages p;

	if (!kernel_has_transparent_pages()) {
		print_message("skipped: this kernel has no transparent huge pages\n");
		skip();
	}
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		describe_transparent(d, settings[i], "2097152\n");
		assert_int_equal(pages_get_from(&p, size, VFIO_PAGES_HUGETLBFS, &d->places), 0);
		assert_int_equal(p.page_size, LARGE);
		check_and_free(&p, size, VFIO_PAGES_THP);
		assert_int_equal(pages_get_from(&p, LARGE, VFIO_PAGES_PLAIN, &d->places), 0);
		check_and_free(&p, LARGE, VFIO_PAGES_PLAIN);		/* as was asked for */
	}
}

/* ---- reserved huge pages: only where the machine has some ------------------------------------ */

/* A number of /proc/meminfo; 0 when there is none. */
static size_t meminfo(const char *name)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];
	size_t n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			n = strtoull(line + strlen(name), NULL, 10);
	fclose(f);
	return n;
}

static size_t free_huge_pages(void)
{
	return meminfo("HugePages_Free:") - meminfo("HugePages_Rsvd:");
}

/* Get so many huge pages; somebody else may take them meanwhile. */
static size_t get_huge(struct pages *p, size_t count, uint32_t kind)
{
	size_t size = count * meminfo("Hugepagesize:") * 1024;
	bool enough = free_huge_pages() >= count;

	if (enough) {
		assert_int_equal(pages_get(p, size, kind), 0);
		if (p->kind == kind)
			return size;
		pages_free(p);
	}
	print_message(enough ? "skipped: no hugetlbfs is mounted where this user may write, or "
			       "somebody else took the huge pages\n"
			     : "skipped: too few huge pages are free (sysctl vm.nr_hugepages=8)\n");
	skip();
	return 0;
}

static void reserved_pages(void **state)
{
	struct pages p;
	size_t size = get_huge(&p, 2, VFIO_PAGES_HUGETLB);

	assert_int_equal(p.page_size, size / 2);
	check_and_free(&p, size, VFIO_PAGES_HUGETLB);
	assert_int_equal(pages_get(&p, size + PAGE, VFIO_PAGES_HUGETLB), 0);
	assert_int_not_equal(p.kind, VFIO_PAGES_HUGETLB);	/* another whole one for a page */
	check_and_free(&p, size + PAGE, p.kind);
}

/* One after the other, until there are no more, and then two more that are none. */
static void reserved_pages_run_out(void **state)
{
	struct pages p[16], rest;
	size_t n = 1, size = get_huge(&p[0], 1, VFIO_PAGES_HUGETLB);

	while (n < 16 && pages_get(&p[n], size, VFIO_PAGES_HUGETLB) == 0 &&
	       p[n].kind == VFIO_PAGES_HUGETLB)
		n++;
	if (n < 16) {
		check_and_free(&p[n], size, p[n].kind);
		assert_int_equal(pages_get(&rest, 2 * size, VFIO_PAGES_HUGETLB), 0);
		check_and_free(&rest, 2 * size, rest.kind);
	}
	for (size_t i = 0; i < n; i++)
		check_and_free(&p[i], size, VFIO_PAGES_HUGETLB);
}

static void pages_of_a_mounted_hugetlbfs(void **state)
{
	struct pages p;
	size_t size = get_huge(&p, 2, VFIO_PAGES_HUGETLBFS);

	check_and_free(&p, size, VFIO_PAGES_HUGETLBFS);
}

#define DESCRIBED(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_pages),
		cmocka_unit_test(sizes_that_cannot_be_had),
		cmocka_unit_test(more_than_a_file_may_have),
		cmocka_unit_test(failing_leaves_nothing_open),
		cmocka_unit_test(a_small_page_is_never_a_huge_one),
		DESCRIBED(a_folder_that_is_no_hugetlbfs),
		DESCRIBED(lists_of_mounts_that_say_nothing),
		DESCRIBED(settings_without_transparent_pages),
		DESCRIBED(settings_with_transparent_pages),
		cmocka_unit_test(reserved_pages),
		cmocka_unit_test(reserved_pages_run_out),
		cmocka_unit_test(pages_of_a_mounted_hugetlbfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

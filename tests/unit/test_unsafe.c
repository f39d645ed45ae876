/* SPDX-License-Identifier: MIT */
/* What back ends without an IOMMU share: the record that they were used, and maps. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "backends/unsafe.h"

#define PAGE 4096u
#define WHAT "unsafe-noiommu:0000:03:00.0"

struct bed {
	char at[64], folder[96], file[128];
	struct unsafe_maps maps;
	uint8_t *memory;
	struct vfio_error err;
};

/* Physical memory that was made up: where the process has it, but a page further each other page. */
static bool scatter;
static int64_t moved;

static int made_up(struct physical_source *source, const void *vaddr, size_t size,
		   struct physical_segment *list, unsigned int max, struct vfio_error *err)
{
	struct physical_list l = { .list = list, .max = max };

	for (size_t i = 0; i < size; i += PAGE) {
		uint64_t at = (uintptr_t)vaddr + i + moved;

		physical_add(&l, scatter ? 2 * at : at, PAGE);
	}
	return l.count;
}

static void nothing(struct physical_source *source)
{
}

static struct physical_source source = { .segments = made_up, .close = nothing };

static int setup(void **state)
{
	struct bed *b = calloc(1, sizeof(*b));

	scatter = false;
	moved = 0;
	strcpy(b->at, "/tmp/vfio-unit-XXXXXX");
	assert_non_null(mkdtemp(b->at));
	snprintf(b->folder, sizeof(b->folder), "%s/libvfio", b->at);
	snprintf(b->file, sizeof(b->file), "%s/taint", b->folder);
	assert_int_equal(unsafe_maps_open(&b->maps, &b->err), 0);
	physical_close(b->maps.source);
	b->maps.source = &source;
	b->memory = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(b->memory, MAP_FAILED);
	*state = b;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int teardown(void **state)
{
	struct bed *b = *state;

	unsafe_maps_close(&b->maps);
	munmap(b->memory, 8 * PAGE);
	nftw(b->at, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(b);
	return 0;
}

static void assert_refused(const struct bed *b, int r, int e, enum vfio_error_code code,
			   const char *word)
{
	if (r != -e || b->err.err != e || b->err.code != code ||
	    (!strstr(b->err.what, word) && !strstr(b->err.remedy, word)))
		fail_msg("%d, VFIO-%03d: %s / %s", r, b->err.code, b->err.what, b->err.remedy);
}

/* ---- the record ----------------------------------------------------------------------------- */

static size_t read_file(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	fclose(f);
	return n;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void a_line_for_each(void **state)
{
	char text[1024], program[64], device[64], backend[64], *second;
	unsigned int year, month, day, hour, minute, seconds, uid;
	struct bed *b = *state;
	mode_t before = umask(077);
	int pid;

	assert_int_equal(unsafe_record(b->folder, WHAT, &b->err), 0);
	assert_int_equal(unsafe_record(b->folder, "uio:0000:04:00.1", &b->err), 0);
	umask(before);
	assert_int_equal(mode_of(b->folder), 0755);
	assert_int_equal(mode_of(b->file), 0644);
	read_file(b->file, text, sizeof(text));
	assert_int_equal(sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2uZ uid=%u pid=%d program=%63s "
				"device=%63s backend=%63s\n", &year, &month, &day, &hour, &minute,
				&seconds, &uid, &pid, program, device, backend), 11);
	assert_true(year >= 2025 && month <= 12);
	assert_int_equal(uid, getuid());
	assert_int_equal(pid, getpid());
	assert_string_equal(program, "test_unsafe");
	assert_string_equal(device, "0000:03:00.0");
	assert_string_equal(backend, "unsafe-noiommu");
	second = strchr(text, '\n') + 1;
	assert_non_null(strstr(second, " device=0000:04:00.1 backend=uio\n"));
	assert_null(strchr(strchr(second, '\n') + 1, '\n'));
}

/* A name that would be a line or a word of its own is none. */
static void names_that_lie(void **state)
{
	char text[1024], *before = program_invocation_short_name, lie[] = "a b\nc=d";
	struct bed *b = *state;

	program_invocation_short_name = lie;
	assert_int_equal(unsafe_record(b->folder, WHAT, &b->err), 0);
	program_invocation_short_name = before;
	read_file(b->file, text, sizeof(text));
	assert_non_null(strstr(text, " program=a?b?c?d device="));
	assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
}

/* It does not grow for ever. */
static void a_full_record(void **state)
{
	char old[160], text[256];
	struct bed *b = *state;
	struct stat st;

	snprintf(old, sizeof(old), "%s.1", b->file);
	assert_int_equal(unsafe_record(b->folder, WHAT, &b->err), 0);
	assert_int_equal(truncate(b->file, UNSAFE_RECORD_MAX - 1), 0);
	assert_int_equal(unsafe_record(b->folder, WHAT, &b->err), 0);
	assert_int_equal(access(old, F_OK), -1);
	assert_int_equal(unsafe_record(b->folder, WHAT, &b->err), 0);
	assert_int_equal(stat(old, &st), 0);
	assert_true(st.st_size > UNSAFE_RECORD_MAX);
	assert_true(read_file(b->file, text, sizeof(text)) < 200);
	assert_non_null(strstr(text, "device=0000:03:00.0"));
}

static void links_are_not_followed(void **state)
{
	char other[160];
	struct bed *b = *state;

	snprintf(other, sizeof(other), "%s/other", b->at);
	mkdir(b->folder, 0755);
	assert_int_equal(symlink(other, b->file), 0);
	assert_refused(b, unsafe_record(b->folder, WHAT, &b->err), ELOOP, VFIO_E_UNSAFE, "recorded");
	assert_int_equal(access(other, F_OK), -1);
	unlink(b->file);
	assert_int_equal(mkfifo(b->file, 0644), 0);
	assert_true(unsafe_record(b->folder, WHAT, &b->err) < 0);
	unlink(b->file);
	rmdir(b->folder);
	assert_int_equal(mkdir(other, 0755), 0);
	assert_int_equal(symlink(other, b->folder), 0);
	assert_true(unsafe_record(b->folder, WHAT, &b->err) < 0);
	unlink(b->folder);
	snprintf(other, sizeof(other), "%s/no/such", b->at);
	assert_refused(b, unsafe_record(other, WHAT, &b->err), ENOENT, VFIO_E_UNSAFE, "/no/such");
}

/* Where nothing can be written, nothing is, and that is not the user's fault. */
static int on_read_only(const char *at)
{
	struct vfio_error err = { 0 };
	char folder[96];

	snprintf(folder, sizeof(folder), "%s/libvfio", at);
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", at, "tmpfs", MS_RDONLY, NULL) < 0)
		return 77;
	return unsafe_record(folder, WHAT, &err) == 0 && !err.err ? 0 : 1;
}

static void a_file_system_that_is_read_only(void **state)
{
	struct bed *b = *state;
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(on_read_only(b->at));
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();			/* not root */
	assert_int_equal(status, 0);
}

/* In a child, which loses its capabilities for good. */
static int without(unsigned int capability)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	struct vfio_error err = { 0 };
	int r;

	if (syscall(SYS_capget, &h, data) < 0)
		return 1;
	data[CAP_TO_INDEX(capability)].effective &= ~CAP_TO_MASK(capability);
	if (syscall(SYS_capset, &h, data) < 0)
		return 2;
	r = unsafe_allowed(WHAT, &err);
	if (r != -EPERM || err.err != EPERM || err.code != VFIO_E_UNSAFE)
		return 3;
	return strstr(err.what, WHAT) && strstr(err.what, "lacks") &&
	       strstr(err.remedy, "CAP_SYS_RAWIO") ? 0 : 4;
}

static void not_for_everybody(void **state)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(without(CAP_SYS_RAWIO));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- the IOMMU's domain --------------------------------------------------------------------- */

static void type_path(const struct bed *b, char path[256])
{
	snprintf(path, 256, "%s/bus/pci/devices/0000:03:00.0/iommu_group/type", b->at);
}

static void write_type(const struct bed *b, const char *type)
{
	char path[256];
	FILE *f;

	type_path(b, path);
	for (char *slash = path + strlen(b->at) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(type, f);
	fclose(f);
}

static void domains_that_translate(void **state)
{
	struct bed *b = *state;
	const struct kernel_roots roots = { b->at, b->at, b->at };
	char path[256];
	const char *bdf = "0000:03:00.0";

	assert_int_equal(unsafe_check_domain(&roots, bdf, &b->err), 0);
	write_type(b, "identity\n");
	assert_int_equal(unsafe_check_domain(&roots, bdf, &b->err), 0);
	write_type(b, "DMA\n");
	assert_refused(b, unsafe_check_domain(&roots, bdf, &b->err), ENOTSUP, VFIO_E_PHYSICAL,
		       "says DMA)");
	write_type(b, "DMA-FQ\n");
	assert_refused(b, unsafe_check_domain(&roots, bdf, &b->err), ENOTSUP, VFIO_E_PHYSICAL,
		       "iommu=pt");
	write_type(b, "blocked\n");
	assert_int_equal(unsafe_check_domain(&roots, bdf, &b->err), -ENOTSUP);
	write_type(b, "");
	assert_int_equal(unsafe_check_domain(&roots, bdf, &b->err), -ENOTSUP);
	type_path(b, path);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(unsafe_check_domain(&roots, bdf, &b->err), -EINVAL);
}

/* ---- maps ----------------------------------------------------------------------------------- */

static struct dma_map request(const struct bed *b, size_t page, size_t pages)
{
	uint8_t *vaddr = b->memory + page * PAGE;

	return (struct dma_map){
		.iova = (uintptr_t)vaddr, .size = pages * PAGE, .prot = VFIO_DMA_RW,
		.vaddr = vaddr, .fd = -1,
	};
}

static uint64_t used(struct bed *b)
{
	struct vfio_dma_limits l;

	assert_int_equal(unsafe_feature(&b->maps, FEATURE_DMA_LIMITS | VFIO_DEVICE_FEATURE_GET, &l,
					sizeof(l), &b->err), 0);
	assert_int_equal(l.maps.granted, UINT64_MAX);
	return l.bytes.used + (l.maps.used << 32);
}

static void only_where_it_is(void **state)
{
	struct bed *b = *state;
	struct dma_map m = request(b, 0, 4), wrong = m;
	char right[64];
	uint64_t gone;

	wrong.iova = 0x10000;
	snprintf(right, sizeof(right), "map it at %#llx", (unsigned long long)m.iova);
	assert_refused(b, unsafe_dma_map(&b->maps, &wrong, &b->err), EINVAL, VFIO_E_PHYSICAL, right);
	assert_int_equal(used(b), 0);
	assert_int_equal(unsafe_dma_map(&b->maps, &m, &b->err), 0);
	assert_int_equal(used(b), (1ull << 32) + 4 * PAGE);
	assert_refused(b, unsafe_dma_map(&b->maps, &m, &b->err), EEXIST, VFIO_E_OVERLAP, "unmap");
	assert_int_equal(used(b), (1ull << 32) + 4 * PAGE);
	assert_refused(b, unsafe_dma_unmap(&b->maps, m.iova, PAGE, &gone, &b->err), EINVAL,
		       VFIO_E_DMA_SPLIT, "cut");
	assert_int_equal(unsafe_dma_unmap(&b->maps, m.iova, 4 * PAGE, &gone, &b->err), 0);
	assert_int_equal(gone, 4 * PAGE);
	assert_int_equal(used(b), 0);
	scatter = true;
	m.iova *= 2;
	assert_refused(b, unsafe_dma_map(&b->maps, &m, &b->err), EINVAL, VFIO_E_SCATTERED, "4 pieces");
	m.size = PAGE;
	assert_int_equal(unsafe_dma_map(&b->maps, &m, &b->err), 0);
	assert_int_equal(unsafe_dma_unmap(&b->maps, 0, DMA_ALL, &gone, &b->err), 0);
	assert_int_equal(gone, PAGE);
}

/* Type1v2's rules come first, whatever the address. */
static void the_rules(void **state)
{
	struct bed *b = *state;
	struct dma_map m = request(b, 0, 1);
	uint64_t gone;

	m.size = 0;
	assert_refused(b, unsafe_dma_map(&b->maps, &m, &b->err), EINVAL, VFIO_E_DMA_RANGE, "empty");
	m.size = 100;
	assert_refused(b, unsafe_dma_map(&b->maps, &m, &b->err), EINVAL, VFIO_E_ALIGN, "aligned");
	m.size = PAGE;
	m.prot = 0;
	assert_refused(b, unsafe_dma_map(&b->maps, &m, &b->err), EINVAL, VFIO_E_DMA_PROT, "dir");
	m.prot = VFIO_DMA_RW;
	m.vaddr = NULL;
	assert_refused(b, unsafe_dma_map(&b->maps, &m, &b->err), ENOTSUP, VFIO_E_UNSUPPORTED, "memfd");
	assert_int_equal(unsafe_dma_unmap(&b->maps, 0x1001, PAGE, &gone, &b->err), -EINVAL);
	assert_int_equal(unsafe_dma_unmap(&b->maps, 0x1000, PAGE, &gone, &b->err), 0);
	assert_int_equal(gone, 0);
	assert_int_equal(used(b), 0);
}

static void memory_that_is_none(void **state)
{
	struct bed *b = *state;
	struct dma_map m = request(b, 2, 1);

	assert_int_equal(mprotect(b->memory + 2 * PAGE, PAGE, PROT_NONE), 0);
	assert_refused(b, unsafe_dma_map(&b->maps, &m, &b->err), EFAULT, VFIO_E_DMA_MEMORY,
		       "no such memory");
	assert_int_equal(used(b), 0);
}

/* What only shows a page of everybody's (of zeros, of a program) is no place for a device to write. */
static void memory_that_is_not_ours(void **state)
{
	struct bed *b = *state;
	struct dma_map m = request(b, 2, 2);
	uint64_t gone;

	assert_int_equal(mprotect(b->memory + 3 * PAGE, PAGE, PROT_READ), 0);
	assert_refused(b, unsafe_dma_map(&b->maps, &m, &b->err), EFAULT, VFIO_E_DMA_MEMORY,
		       "writable");
	assert_int_equal(used(b), 0);
	m.prot = VFIO_DMA_READ;
	assert_int_equal(unsafe_dma_map(&b->maps, &m, &b->err), 0);
	assert_int_equal(unsafe_dma_unmap(&b->maps, 0, DMA_ALL, &gone, &b->err), 0);
}

/* Pages of a disk's file are not pinned; locked, they can be written, whatever lies beside them. */
static void memory_of_a_file(void **state)
{
	struct bed *b = *state;
	struct dma_map m = request(b, 2, 3);
	char path[128];
	uint64_t gone;
	int fd;

	snprintf(path, sizeof(path), "%s/memory", b->at);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_ptr_equal(mmap(b->memory + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, fd, 0), b->memory + 3 * PAGE);
	close(fd);
	assert_int_equal(unsafe_dma_map(&b->maps, &m, &b->err), 0);
	assert_int_equal(unsafe_dma_unmap(&b->maps, 0, DMA_ALL, &gone, &b->err), 0);
}

/* A client's file: it is mapped here, to be held and to be asked for its address. */
static void files(void **state)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct bed *b = *state;
	struct dma_map m = { .iova = 0x1000, .size = 2 * PAGE, .prot = VFIO_DMA_RW, .fd = fd };
	unsigned long long at = 0;
	uint64_t gone;

	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_refused(b, unsafe_dma_map(&b->maps, &m, &b->err), EINVAL, VFIO_E_DMA_MEMORY, "ends");
	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	assert_int_equal(unsafe_dma_map(&b->maps, &m, &b->err), -EINVAL);
	assert_int_equal(sscanf(b->err.remedy, "map it at %llx", &at), 1);
	moved = 0x1000 - (int64_t)at;	/* where it is mapped next is the same place */
	assert_int_equal(unsafe_dma_map(&b->maps, &m, &b->err), 0);
	assert_int_equal(used(b), (1ull << 32) + 2 * PAGE);
	assert_int_equal(unsafe_dma_unmap(&b->maps, 0, DMA_ALL, &gone, &b->err), 0);
	assert_int_equal(gone, 2 * PAGE);
	close(fd);
}

static void what_can_be_asked(void **state)
{
	struct bed *b = *state;
	struct dma_map m = request(b, 0, 1), n = request(b, 2, 2);
	const uint32_t get = VFIO_DEVICE_FEATURE_GET, probe = VFIO_DEVICE_FEATURE_PROBE | get;
	struct feature_dma_map q = { 0 };
	struct vfio_isolation is = { 7, 7 };
	struct feature_iova_ranges r;
	uint32_t mode = 7;

	assert_int_equal(unsafe_feature(&b->maps, FEATURE_ADDRESSING | probe, NULL, 0, &b->err), 0);
	assert_int_equal(unsafe_feature(&b->maps, FEATURE_ADDRESSING | get, &mode, 4, &b->err), 0);
	assert_int_equal(mode, VFIO_ADDRESS_PHYSICAL);
	assert_refused(b, unsafe_feature(&b->maps, FEATURE_ADDRESSING | get, &mode, 3, &b->err),
		       EINVAL, VFIO_E_ARGUMENT, "0xf00a");
	assert_refused(b, unsafe_feature(&b->maps, FEATURE_ADDRESSING | VFIO_DEVICE_FEATURE_SET,
					 &mode, 4, &b->err), EINVAL, VFIO_E_ARGUMENT, "flags");
	assert_int_equal(unsafe_feature(&b->maps, FEATURE_ISOLATION | get, &is, sizeof(is), &b->err),
			 0);
	assert_true(is.dma == VFIO_ISOLATED_NOT && is.interrupts == VFIO_ISOLATED_NOT);
	assert_int_equal(unsafe_feature(&b->maps, FEATURE_IOVA_RANGES | get, &r, sizeof(r),
					&b->err), 0);
	assert_true(r.count == 1 && r.ranges[0].start == 0 && r.ranges[0].end == UINT64_MAX);
	assert_int_equal(unsafe_feature(&b->maps, FEATURE_VECTORS | get, &r, sizeof(r), &b->err),
			 -ENOTTY);
	assert_int_equal(unsafe_dma_map(&b->maps, &m, &b->err), 0);
	assert_int_equal(unsafe_dma_map(&b->maps, &n, &b->err), 0);
	assert_int_equal(unsafe_feature(&b->maps, FEATURE_DMA_MAP | get, &q, sizeof(q), &b->err), 0);
	assert_true(q.found && q.info.iova == m.iova && q.info.size == PAGE);
	assert_int_equal(unsafe_feature(&b->maps, FEATURE_DMA_MAP | get, &q, sizeof(q), &b->err), 0);
	assert_true(q.found && q.info.iova == n.iova && q.info.prot == VFIO_DMA_RW);
	assert_int_equal(unsafe_feature(&b->maps, FEATURE_DMA_MAP | get, &q, sizeof(q), &b->err), 0);
	assert_false(q.found);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_line_for_each),
		TEST(names_that_lie),
		TEST(a_full_record),
		TEST(links_are_not_followed),
		TEST(a_file_system_that_is_read_only),
		cmocka_unit_test(not_for_everybody),
		TEST(domains_that_translate),
		TEST(only_where_it_is),
		TEST(the_rules),
		TEST(memory_that_is_none),
		TEST(memory_that_is_not_ours),
		TEST(memory_of_a_file),
		TEST(files),
		TEST(what_can_be_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

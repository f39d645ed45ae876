/* SPDX-License-Identifier: MIT */
/* A file as source, as sink, and compared with a disk that is wrong, which ours are not. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "file.h"

static const char text[] = "the quick brown fox jumps over the lazy dog";

/* A file that holds the text. */
static struct file make(struct program *program)
{
	struct file file;

	*program = (struct program){ .nvme = NULL };
	file_use(&file, program, "text", memfd_create("text", MFD_CLOEXEC));
	assert_int_equal(write(file.fd, text, sizeof(text)), sizeof(text));
	return file;
}

static void test_same(void **state)
{
	struct program program;
	struct file file = make(&program);

	assert_int_equal(file_compare(&file, text, 10), 0);
	assert_int_equal(file_compare(&file, text + 10, sizeof(text) - 10), 0);
	assert_int_equal(file.at, sizeof(text));
	file_close(&file);
}

static void test_another_byte(void **state)
{
	struct program program;
	struct file file = make(&program);
	char wrong[sizeof(text)];

	memcpy(wrong, text, sizeof(text));
	wrong[16] = 'F';
	assert_int_equal(file_compare(&file, wrong, 10), 0);
	assert_int_equal(file_compare(&file, wrong + 10, 20), -EILSEQ);
	assert_int_equal(program.error.err, EILSEQ);
	assert_int_equal(program.error.code, VFIO_E_DEVICE);
	assert_string_equal(program.error.what, "byte 16 of 'text' is 0x66, and 0x46 on the disk");
	file_close(&file);
}

static void test_shorter(void **state)
{
	struct program program;
	struct file file = make(&program);
	char more[sizeof(text) + 1] = "";

	memcpy(more, text, sizeof(text));
	assert_int_equal(file_compare(&file, more, sizeof(more)), -ENODATA);
	assert_string_equal(program.error.what, "reading again 'text'");
	file_close(&file);
}

/* A pipe gives what it has; the rest is waited for, until the end. */
static void test_pieces(void **state)
{
	struct program program = { .nvme = NULL };
	struct file in, out;
	char got[sizeof(text)] = "";
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	file_use(&in, &program, "in", ends[0]);
	file_use(&out, &program, "out", ends[1]);
	assert_int_equal(file_write(&out, text, 10), 0);
	assert_int_equal(file_write(&out, text + 10, sizeof(text) - 10), 0);
	assert_int_equal(out.at, sizeof(text));
	assert_int_equal(file_read(&in, got, 20), 20);
	file_close(&out);
	assert_int_equal(file_read(&in, got + 20, sizeof(got) - 20), sizeof(got) - 20);
	assert_int_equal(file_read(&in, got, 1), 0);
	assert_memory_equal(got, text, sizeof(text));
	assert_int_equal(in.at, sizeof(text));
	file_close(&in);
}

static void test_nobody_reads(void **state)
{
	struct program program = { .nvme = NULL };
	struct file out;
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	file_use(&out, &program, "out", ends[1]);
	assert_int_equal(file_write(&out, text, 1), -EPIPE);
	assert_string_equal(program.error.what, "writing to 'out'");
	file_close(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same),
		cmocka_unit_test(test_another_byte),
		cmocka_unit_test(test_shorter),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Device strings: what they mean, and what is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "nvme.h"

int refuse(struct vfio_error *err, int number, enum vfio_error_code code, const char *remedy,
	   const char *format, ...)
{
	va_list args;

	err->err = number;
	err->code = code;
	snprintf(err->remedy, sizeof(err->remedy), "%s", remedy);
	va_start(args, format);
	vsnprintf(err->what, sizeof(err->what), format, args);
	va_end(args);
	return -number;
}

static void parse(struct options *o, const char *text)
{
	struct vfio_error err;

	if (options_parse(o, text, &err) < 0)
		fail_msg("%s: %s", text, err.what);
}

static void test_standard(void **state)
{
	struct options o;

	parse(&o, "file=disk.img");
	assert_int_equal(o.nnamespaces, 1);
	assert_string_equal(o.namespaces[0].file, "disk.img");
	assert_int_equal(o.namespaces[0].block, 512);
	assert_false(o.namespaces[0].read_only || o.namespaces[0].direct || o.synchronous);
	assert_int_equal(o.queues, 64);
	assert_int_equal(o.poll, 500);
	assert_int_equal(o.look, 16000);
	assert_string_equal(o.serial, "");
	options_free(&o);
}

static void test_everything(void **state)
{
	struct options o;

	parse(&o, "io=sync,file=a=b,direct,block=4096,poll=0,memory=64M,ro,serial=S 1,queues=1,"
	      "file=c,ro,block=512,look=100");
	assert_int_equal(o.nnamespaces, 3);
	assert_string_equal(o.namespaces[0].file, "a=b");
	assert_int_equal(o.namespaces[0].block, 4096);
	assert_true(o.namespaces[0].direct && !o.namespaces[0].read_only);
	assert_null(o.namespaces[1].file);
	assert_int_equal(o.namespaces[1].memory, 64u << 20);
	assert_true(o.namespaces[1].read_only && !o.namespaces[1].direct);
	assert_string_equal(o.namespaces[2].file, "c");
	assert_true(o.namespaces[2].read_only);
	assert_int_equal(o.queues, 1);
	assert_string_equal(o.serial, "S 1");
	assert_int_equal(o.poll, 0);
	assert_int_equal(o.look, 100);
	assert_true(o.synchronous);
	options_free(&o);
}

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} sizes[] = {
		{ "memory=512", 512 }, { "memory=3K", 3 << 10 }, { "memory=2G", 2ull << 30 },
		{ "memory=8388607T", 8388607ull << 40 },
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct options o;

		parse(&o, sizes[i].text);
		assert_int_equal(o.namespaces[0].memory, sizes[i].size);
		options_free(&o);
	}
}

static void assert_refused(const char *text, const char *says)
{
	struct vfio_error err = { 0 };
	struct options o;

	assert_int_equal(options_parse(&o, text, &err), -EINVAL);
	options_free(&o);
	assert_int_equal(err.code, VFIO_E_OPTION);
	assert_true(err.remedy[0] && strlen(err.remedy) < sizeof(err.remedy) - 1);
	if (!strstr(err.what, says))
		fail_msg("%s: %s", text, err.what);
}

static void test_refusals(void **state)
{
	static const char *const refused[][2] = {
		{ "", "there is no namespace" },
		{ "queues=4", "there is no namespace" },
		{ "file", "'file' wants a path" },
		{ "file=", "'file' wants a path" },
		{ "file=a,", "option '': there is no such option" },
		{ "file=a,,ro", "option '': there is no such option" },
		{ "file=a,size=3", "option 'size': there is no such option" },
		{ "file=a,File=b", "option 'File': there is no such option" },
		{ "ro,file=a", "'ro' is of no namespace" },
		{ "block=512,file=a", "'block' is of no namespace" },
		{ "file=a,ro=1", "'ro' wants no value" },
		{ "file=a,ro,ro", "'ro' is said twice of a namespace" },
		{ "file=a,block=512,block=512", "'block' is said twice of a namespace" },
		{ "file=a,queues=1,file=b,queues=2", "'queues' is said twice" },
		{ "file=a,block", "'block' wants 512 or 4096" },
		{ "file=a,block=1024", "'block' wants 512 or 4096" },
		{ "file=a,block=0", "'block' wants 512 or 4096" },
		{ "file=a,block=-512", "'block' wants 512 or 4096" },
		{ "memory=1M,direct", "'direct' wants no value, and a file" },
		{ "memory", "'memory' wants a size" },
		{ "memory=0", "'memory' wants a size" },
		{ "memory=M", "'memory' wants a size" },
		{ "memory=1m", "'memory' wants a size" },
		{ "memory=1MB", "'memory' wants a size" },
		{ "memory= 1M", "'memory' wants a size" },
		{ "memory=8388608T", "'memory' wants a size" },
		{ "memory=9999999999999999", "'memory' wants a size" },
		{ "memory=1M,queues=0", "'queues' wants a number from 1 to 64" },
		{ "memory=1M,queues=65", "'queues' wants a number from 1 to 64" },
		{ "memory=1M,queues=0x10", "'queues' wants a number from 1 to 64" },
		{ "memory=1M,queues=4294967297", "'queues' wants a number from 1 to 64" },
		{ "memory=1M,serial=", "'serial' wants 1 to 20" },
		{ "memory=1M,serial=012345678901234567890", "'serial' wants 1 to 20" },
		{ "memory=1M,serial=\xc3\xa4", "'serial' wants 1 to 20" },
		{ "memory=1M,poll=10000001", "'poll' wants microseconds, 0 to 10000000" },
		{ "memory=1M,poll", "'poll' wants microseconds" },
		{ "memory=1M,look=99", "'look' wants microseconds, 100 to 10000000" },
		{ "memory=1M,io=aio", "'io' wants uring or sync" },
		{ "memory=1M,io", "'io' wants uring or sync" },
	};

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_refused(refused[i][0], refused[i][1]);
}

static void test_most_namespaces(void **state)
{
	char text[1024] = "memory=512";
	struct options o;

	for (unsigned int i = 1; i < MAX_NAMESPACES; i++)
		strcat(text, ",memory=512");
	parse(&o, text);
	assert_int_equal(o.nnamespaces, MAX_NAMESPACES);
	options_free(&o);
	assert_refused(strcat(text, ",file=a"), "more than 32 namespaces");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_standard),
		cmocka_unit_test(test_everything),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_most_namespaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

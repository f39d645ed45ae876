/* SPDX-License-Identifier: MIT */
/* Device strings, and what is at the other end of them when it is not what it should be. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <vfio/driver.h>

#include "wire/wire.h"

static void assert_refused(const char *name, int err, enum vfio_error_code code)
{
	struct vfio_error e = { 0 };
	struct vfio_dev *dev = (struct vfio_dev *)&e;
	int r = vfio_open(&dev, name, &e);

	if (r != -err || e.err != err || e.code != code)
		fail_msg("'%s': %d, VFIO-%03d, %s", name ? name : "(null)", r, e.code, e.what);
	assert_null(dev);
	assert_true(e.what[0]);
	assert_true(e.remedy[0]);
	assert_int_equal(vfio_open(&dev, name, NULL), -err);
}

/* ---- strings ------------------------------------------------------------------------------ */

static void strings_that_name_nothing(void **state)
{
	static const struct {
		const char *name;
		int err;
		enum vfio_error_code code;
	} names[] = {
		{ "", EINVAL, VFIO_E_NAME },
		{ " ", EINVAL, VFIO_E_NAME },
		{ "a b", EINVAL, VFIO_E_NAME },
		{ "no/such/thing", EINVAL, VFIO_E_NAME },
		{ "../edu", EINVAL, VFIO_E_NAME },
		{ ",option", EINVAL, VFIO_E_NAME },
		{ "fd:", EINVAL, VFIO_E_NAME },
		{ "fd:x", EINVAL, VFIO_E_NAME },
		{ "fd:-1", EINVAL, VFIO_E_NAME },
		{ "fd: 1", EINVAL, VFIO_E_NAME },
		{ "fd:1x", EINVAL, VFIO_E_NAME },
		{ "fd:99999999999999999999", EINVAL, VFIO_E_NAME },
		{ "fd:2147483648", EINVAL, VFIO_E_NAME },
		{ "unix:", EINVAL, VFIO_E_NAME },
		{ "unix:/no/such/socket", ENOENT, VFIO_E_NO_DEVICE },
		{ "unix:/dev/null/x", ENOTDIR, VFIO_E_NO_DEVICE },
		{ "fffe:ff:1f.7", ENODEV, VFIO_E_NO_DEVICE },
		{ "0000:03:20.0", EINVAL, VFIO_E_NAME },
		{ "0000:03:00.8", EINVAL, VFIO_E_NAME },
		{ "03:00.0.0", EINVAL, VFIO_E_NAME },
		{ "vfio987654", ENODEV, VFIO_E_NO_DEVICE },
#if LIBVFIO_UNSAFE
		{ "uio:fffe:ff:1f.7", ENODEV, VFIO_E_NO_DEVICE },
		{ "uio:", EINVAL, VFIO_E_NAME },
		{ "uio:vfio3", EINVAL, VFIO_E_NAME },
		{ "unsafe-noiommu:fffe:ff:1f.7", ENODEV, VFIO_E_NO_DEVICE },
		{ "unsafe-noiommu:", EINVAL, VFIO_E_NAME },
		{ "unsafe-noiommu:vfio3", EINVAL, VFIO_E_NAME },
#else
		{ "uio:fffe:ff:1f.7", ENOTSUP, VFIO_E_NO_BACKEND },
		{ "unsafe-noiommu:fffe:ff:1f.7", ENOTSUP, VFIO_E_NO_BACKEND },
#endif
		{ "noiommu:0000:03:00.0", EINVAL, VFIO_E_NAME },
		{ "no-such-device", ENODEV, VFIO_E_NO_DEVICE },
		{ "no-such-device,option=1", ENODEV, VFIO_E_NO_DEVICE },
		{ "./no-such-module.so", ENODEV, VFIO_E_MODULE },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_refused(names[i].name, names[i].err, names[i].code);
}

static void a_path_that_is_too_long(void **state)
{
	char name[200] = "unix:";

	memset(name + 5, 'a', sizeof(name) - 6);
	assert_refused(name, EINVAL, VFIO_E_NAME);
}

static void the_environment_names_the_default(void **state)
{
	struct vfio_dev *dev;

	unsetenv("VFIO_DEVICE");
	assert_refused(NULL, EINVAL, VFIO_E_NAME);
	setenv("VFIO_DEVICE", "", 1);
	assert_refused(NULL, EINVAL, VFIO_E_NAME);
	setenv("VFIO_DEVICE", "no-such-device", 1);
	assert_refused(NULL, ENODEV, VFIO_E_NO_DEVICE);
	setenv("VFIO_DEVICE", "edu", 1);
	assert_int_equal(vfio_open(&dev, NULL, NULL), 0);
	vfio_close(dev);
	unsetenv("VFIO_DEVICE");
}

/* ---- modules ------------------------------------------------------------------------------ */

static void a_module_by_name_and_by_path(void **state)
{
	char path[4096];
	struct vfio_dev *dev;

	assert_non_null(getenv("VFIO_BUILD"));
	assert_int_equal(vfio_open(&dev, "edu,dma_mask=0xffff", NULL), 0);
	assert_string_equal(vfio_backend_name(dev), "inprocess");
	assert_int_equal(vfio_read32(dev, VFIO_PCI_CONFIG_REGION_INDEX, 0), 0x11e81234);
	vfio_close(dev);
	snprintf(path, sizeof(path), "%s/devices/edu/edu.so,dma_mask=4096", getenv("VFIO_BUILD"));
	assert_int_equal(vfio_open(&dev, path, NULL), 0);
	vfio_close(dev);
}

static void a_module_refuses_an_option(void **state)
{
	assert_refused("edu,colour=red", EINVAL, VFIO_E_OPTION);
	assert_refused("edu,dma_mask=", EINVAL, VFIO_E_OPTION);
}

static void a_file_that_is_no_module(void **state)
{
	char path[] = "/tmp/vfio-unit-XXXXXX.so", name[4096];
	int fd = mkstemps(path, 3);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "text", 4), 4);
	close(fd);
	assert_refused(path, ENOEXEC, VFIO_E_MODULE);
	unlink(path);
	/* A shared object, but no device. */
	snprintf(name, sizeof(name), "%s/src/libvfio.so", getenv("VFIO_BUILD"));
	assert_refused(name, ENOEXEC, VFIO_E_MODULE);
}

/* ---- sockets ------------------------------------------------------------------------------ */

struct place {
	char dir[32], path[64], name[80];
};

static void make_place(struct place *p)
{
	strcpy(p->dir, "/tmp/vfio-unit-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->path, sizeof(p->path), "%s/socket", p->dir);
	snprintf(p->name, sizeof(p->name), "unix:%s", p->path);
}

static void remove_place(struct place *p)
{
	unlink(p->path);
	rmdir(p->dir);
}

static int bound(const struct place *p)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, p->path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static void nobody_listens(void **state)
{
	struct place p;

	make_place(&p);
	close(bound(&p));
	assert_refused(p.name, ECONNREFUSED, VFIO_E_NO_LISTENER);
	remove_place(&p);
}

static void not_a_socket(void **state)
{
	struct place p;

	make_place(&p);
	close(open(p.path, O_CREAT | O_RDWR, 0600));
	assert_refused(p.name, ECONNREFUSED, VFIO_E_NO_LISTENER);
	remove_place(&p);
}

static void no_permission(void **state)
{
	uid_t me = geteuid();
	struct place p;
	int fd;

	make_place(&p);
	fd = bound(&p);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(chmod(p.path, 0), 0);
	if (me == 0)
		assert_int_equal(seteuid(65534), 0);
	assert_refused(p.name, EACCES, VFIO_E_PERMISSION);
	assert_int_equal(seteuid(me), 0);
	close(fd);
	remove_place(&p);
}

static void a_backlog_that_is_full(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct place p;
	int fd, waiting[8];

	make_place(&p);
	fd = bound(&p);
	assert_int_equal(listen(fd, 0), 0);
	strcpy(addr.sun_path, p.path);
	for (int i = 0; i < 8; i++) {
		waiting[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		connect(waiting[i], (const struct sockaddr *)&addr, sizeof(addr));
	}
	assert_refused(p.name, EBUSY, VFIO_E_CROWDED);
	for (int i = 0; i < 8; i++)
		close(waiting[i]);
	close(fd);
	remove_place(&p);
}

/* ---- descriptors, and servers that answer badly ------------------------------------------- */

static void a_descriptor_that_is_no_socket(void **state)
{
	char name[16];
	int p[2], sv[2];

	assert_int_equal(pipe(p), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, sv), 0);
	snprintf(name, sizeof(name), "fd:%d", p[0]);
	assert_refused(name, ENOTSOCK, VFIO_E_NAME);
	snprintf(name, sizeof(name), "fd:%d", sv[0]);
	assert_refused(name, ENOTSOCK, VFIO_E_NAME);
	assert_true(fcntl(sv[0], F_GETFD) >= 0);	/* still the caller's */
	close(p[0]);
	close(p[1]);
	close(sv[0]);
	close(sv[1]);
}

/* Open a connection whose server has sent this, with these descriptors, and then its end. */
static int open_answered(const void *bytes, size_t len, const int *fds, size_t nfds,
			 struct vfio_error *e)
{
	struct vfio_dev *dev;
	char name[16];
	int sv[2], r;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
	if (len)
		assert_int_equal(fd_send(sv[1], bytes, len, fds, nfds), len);
	assert_int_equal(shutdown(sv[1], SHUT_WR), 0);
	snprintf(name, sizeof(name), "fd:%d", sv[0]);
	memset(e, 0, sizeof(*e));
	r = vfio_open(&dev, name, e);
	assert_null(dev);
	assert_int_equal(e->err, -r);
	assert_true(e->what[0]);
	assert_true(fcntl(sv[0], F_GETFD) >= 0);
	close(sv[0]);
	close(sv[1]);
	return r;
}

/* A reply to VERSION with this flags, error, and text as its payload. */
static int open_version(uint32_t flags, uint32_t error, uint16_t major, uint16_t minor,
			const char *json, struct vfio_error *e)
{
	struct wire_version v = { major, minor };
	size_t text = json ? strlen(json) + 1 : 0;
	struct wire_header h = {
		.command = WIRE_VERSION, .size = sizeof(h) + (json ? sizeof(v) + text : 0),
		.flags = flags, .error = error,
	};
	uint8_t bytes[256];

	memcpy(bytes, &h, sizeof(h));
	memcpy(bytes + sizeof(h), &v, sizeof(v));
	if (json)
		memcpy(bytes + sizeof(h) + sizeof(v), json, text);
	return open_answered(bytes, h.size, NULL, 0, e);
}

static void a_server_that_says_no(void **state)
{
	const uint32_t error = WIRE_IS_REPLY | WIRE_ERROR;
	struct vfio_error e;

	assert_int_equal(open_version(error, EBUSY, 0, 0, NULL, &e), -EBUSY);
	assert_int_equal(e.code, VFIO_E_BUSY);
	assert_true(e.remedy[0]);
	assert_int_equal(open_version(error, EACCES, 0, 0, NULL, &e), -EACCES);
	assert_int_equal(e.code, VFIO_E_PERMISSION);
	assert_int_equal(open_version(error, EINVAL, 0, 0, NULL, &e), -EINVAL);
	assert_int_equal(e.code, VFIO_E_VERSION);
	assert_true(open_version(error, 0, 0, 0, NULL, &e) < 0);
	assert_true(open_version(error, UINT32_MAX, 0, 0, NULL, &e) < 0);
	assert_int_equal(e.who, VFIO_BY_SERVER);
}

static void a_server_of_another_version(void **state)
{
	struct vfio_error e;

	assert_int_equal(open_version(WIRE_IS_REPLY, 0, 1, 0, "{}", &e), -EPROTO);
	assert_int_equal(e.code, VFIO_E_VERSION);
	assert_int_equal(open_version(WIRE_IS_REPLY, 0, 0, 99, "{}", &e), -EPROTO);
	assert_int_equal(e.code, VFIO_E_VERSION);
	assert_int_equal(open_version(WIRE_IS_REPLY, 0, 0, 1, "[]", &e), -EPROTO);
	assert_int_equal(e.code, VFIO_E_PROTOCOL);
	assert_int_equal(open_version(WIRE_IS_REPLY, 0, 0, 1, "{}", &e), -ENODEV);	/* ends */
	assert_int_equal(e.code, VFIO_E_GONE);
}

static void a_server_that_breaks_the_protocol(void **state)
{
	static const struct wire_header bad[] = {
		{ 0, WIRE_VERSION, 0, WIRE_IS_REPLY, 0 },
		{ 0, WIRE_VERSION, 15, WIRE_IS_REPLY, 0 },
		{ 0, WIRE_VERSION, UINT32_MAX, WIRE_IS_REPLY, 0 },
		{ 0, WIRE_VERSION, 16, WIRE_IS_REPLY, 0 },
		{ 7, WIRE_VERSION, 16, WIRE_IS_REPLY, 0 },
		{ 0, WIRE_RESET, 16, WIRE_IS_REPLY, 0 },
		{ 0, WIRE_VERSION, 16, 2, 0 },
		{ 0, WIRE_VERSION, 16, WIRE_IS_CALL, 0 },
		{ 0, WIRE_REGION_READ, 16, WIRE_IS_CALL, 0 },
	};
	struct vfio_error e;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (open_answered(&bad[i], sizeof(bad[i]), NULL, 0, &e) != -EPROTO)
			fail_msg("header %zu: %s", i, e.what);
		assert_int_equal(e.code, VFIO_E_PROTOCOL);
	}
}

static void a_server_that_hangs_up(void **state)
{
	const struct wire_header half = { 0, WIRE_VERSION, 64, WIRE_IS_REPLY, 0 };
	struct vfio_error e;

	assert_int_equal(open_answered(NULL, 0, NULL, 0, &e), -ENODEV);
	assert_int_equal(e.code, VFIO_E_GONE);
	assert_int_equal(open_answered(&half, 7, NULL, 0, &e), -ENODEV);
	assert_int_equal(open_answered(&half, sizeof(half), NULL, 0, &e), -ENODEV);
}

/* Descriptors that nobody asked for are closed, not kept. */
static void a_server_that_sends_descriptors(void **state)
{
	const struct wire_header h = { 0, WIRE_VERSION, 16, WIRE_IS_REPLY | WIRE_ERROR, EBUSY };
	const int fds[3] = { 0, 0, 0 };
	int before = dup(0), after;
	struct vfio_error e;

	close(before);
	open_answered(&h, sizeof(h), fds, 3, &e);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_that_name_nothing),
		cmocka_unit_test(a_path_that_is_too_long),
		cmocka_unit_test(the_environment_names_the_default),
		cmocka_unit_test(a_module_by_name_and_by_path),
		cmocka_unit_test(a_module_refuses_an_option),
		cmocka_unit_test(a_file_that_is_no_module),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(not_a_socket),
		cmocka_unit_test(no_permission),
		cmocka_unit_test(a_backlog_that_is_full),
		cmocka_unit_test(a_descriptor_that_is_no_socket),
		cmocka_unit_test(a_server_that_says_no),
		cmocka_unit_test(a_server_of_another_version),
		cmocka_unit_test(a_server_that_breaks_the_protocol),
		cmocka_unit_test(a_server_that_hangs_up),
		cmocka_unit_test(a_server_that_sends_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

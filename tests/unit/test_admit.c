/* SPDX-License-Identifier: MIT */
/* Whom vfiod lets use a device, and whom one that nothing isolates. */
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../vfiod/admit.h"

#define SOMEBODY 65533

enum who { ROOT, ROOT_WITHOUT, ANOTHER, ANOTHER_WITH };

/* Effective and permitted: all that there are, but perhaps one. */
static void set_capabilities(bool raw_io)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, caps) < 0)
		_exit(3);
	caps[0].inheritable = 0;
	caps[0].effective = caps[0].permitted;
	if (!raw_io)
		caps[0].effective &= ~CAP_TO_MASK(CAP_SYS_RAWIO);
	if (syscall(SYS_capset, &header, caps) < 0)
		_exit(4);
}

static void become(enum who who)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];

	if (who == ROOT_WITHOUT)
		set_capabilities(false);
	if (who == ANOTHER && setresuid(SOMEBODY, SOMEBODY, SOMEBODY) < 0)
		_exit(5);
	if (who != ANOTHER_WITH)
		return;
	/* The permitted set stays for the real user's sake: only the effective user is another. */
	if (syscall(SYS_capget, &header, caps) < 0 || setresuid(-1, SOMEBODY, -1) < 0 ||
	    syscall(SYS_capset, &header, caps) < 0)
		_exit(6);
}

/* A connection from a process that is somebody; the process ends when the connection does. */
static int connection_of(enum who who, pid_t *pid)
{
	const struct sockaddr_un at = { .sun_family = AF_UNIX };	/* the kernel finds a name */
	struct sockaddr_un name;
	socklen_t len = sizeof(name);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	char byte;

	assert_int_equal(bind(listener, (const void *)&at, sizeof(at.sun_family)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (void *)&name, &len), 0);
	*pid = fork();
	if (*pid == 0) {
		become(who);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, (const void *)&name, len) < 0)
			_exit(7);
		_exit(read(fd, &byte, 1) == 0 ? 0 : 8);
	}
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	close(listener);
	return fd;
}

static bool is_admitted(enum who who, struct access access, const char *reason)
{
	char said[160] = "";
	struct vfio_peer peer = { 0 };
	pid_t pid;
	bool admitted;
	int status;

	peer.fd = connection_of(who, &pid);
	admitted = admit(&access, &peer, said, sizeof(said));
	close(peer.fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	if (!strstr(said, reason))
		fail_msg("'%s' is not in '%s'", reason, said);
	assert_int_equal(admitted, !*said);
	return admitted;
}

/* Who may connect is one thing, what may be done by it another: both must hold. */
static void a_device_that_nothing_isolates(void **state)
{
	struct access access = { .mode = 0666, .unsafe = true };

	if (getuid())
		skip();
	assert_true(is_admitted(ROOT, access, ""));
	assert_false(is_admitted(ROOT_WITHOUT, access, "uid 0 without it"));
	assert_false(is_admitted(ANOTHER, access, "CAP_SYS_RAWIO, and this is uid 65533"));
	assert_false(is_admitted(ANOTHER_WITH, access, "CAP_SYS_RAWIO, and this is uid 65533"));
	access.owner = SOMEBODY;
	assert_false(is_admitted(ANOTHER, access, "CAP_SYS_RAWIO"));
	access.mode = 0600;
	access.owner = 0;
	assert_false(is_admitted(ANOTHER, access, "mode 0600"));
}

/* Whoever made the socket says who connects; but not who may do harm. */
static void an_inherited_socket(void **state)
{
	struct access access = { .inherited = true };

	if (getuid())
		skip();
	assert_true(is_admitted(ANOTHER, access, ""));
	access.unsafe = true;
	assert_false(is_admitted(ANOTHER, access, "CAP_SYS_RAWIO"));
	assert_false(is_admitted(ROOT_WITHOUT, access, "without it"));
	assert_true(is_admitted(ROOT, access, ""));
}

static void an_isolated_device(void **state)
{
	struct access access = { .mode = 0600, .group = SOMEBODY };

	if (getuid())
		skip();
	assert_true(is_admitted(ROOT, access, ""));
	assert_true(is_admitted(ROOT_WITHOUT, access, ""));
	assert_false(is_admitted(ANOTHER, access, "mode 0600"));
	access.mode = 0602;
	assert_true(is_admitted(ANOTHER, access, ""));
}

/* A process of another namespace has no number here: the capabilities of "0" would be our own. */
static void who_cannot_be_asked(void **state)
{
	struct credentials who = { .pid = 0, .uid = 0 };

	assert_false(credentials_may_harm(&who));
	who.pid = -1;
	assert_false(credentials_may_harm(&who));
	who.pid = INT32_MAX;
	assert_false(credentials_may_harm(&who));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_that_nothing_isolates),
		cmocka_unit_test(an_inherited_socket),
		cmocka_unit_test(an_isolated_device),
		cmocka_unit_test(who_cannot_be_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

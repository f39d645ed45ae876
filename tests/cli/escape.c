/* SPDX-License-Identifier: MIT */
/*
 * A device that has gone over to the enemy. A write of N to register 0 makes system call number N
 * of a list, which vfiod's sandbox should stop; a write of N to register 4 has a thread do the same that
 * was there before the sandbox; a write of N to register 8 says line N of another
 * list to vfiod's supervisor; a write to register 12 answers the supervisor's first question once
 * more, as it should be; a write to register 16 never ends. A read tells that the process has
 * survived. It writes files of a mebibyte at most.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <vfio/device.h>

#define CHANNEL 4		/* to the supervisor */
#define LIMIT   (1 << 20)

static const char *const no_arguments[] = { NULL };

/* A description with these as its last members. */
#define DESCRIPTION(irqs, policy, reset, records) \
	ISOLATED("null", irqs, policy, reset, records)

#define ISOLATED(isolation, irqs, policy, reset, records) \
	"{\"id\": 1, \"map\": null, \"description\": {\"backend\": \"inprocess\", \"flags\": [], " \
	"\"isolation\": " isolation ", \"regions\": [], \"config\": \"\", \"fault\": null, " \
	"\"dma\": null, \"irqs\": " irqs ", \"policy\": " policy ", \"reset\": " reset \
	", \"records\": " records "}}\n"

static const char truth[] = DESCRIPTION("[]", "{\"view\": \"virtual\"}", "null", "[]");

/* One in which this is the client's memory. */
#define DMA(dma) \
	"{\"id\": 1, \"map\": null, \"description\": {\"backend\": \"inprocess\", \"flags\": [], " \
	"\"isolation\": null, \"regions\": [], \"config\": \"\", \"fault\": null, \"irqs\": [], \"policy\": {}, " \
	"\"reset\": null, \"records\": [], \"dma\": " dma "}}\n"

#define QUOTA "{\"advertised\": null, \"granted\": 1, \"used\": 0}"

/* A map of configuration space in which this is one of the strings. */
#define MAP(raw) \
	"{\"id\": 1, \"description\": null, \"map\": {\"structure\": \"00000000\", " \
	"\"virtual\": \"00000000\", \"writable\": \"00000000\", \"cleared\": \"00000000\", " \
	"\"trapped\": \"00000000\", \"refused\": \"00000000\", \"raw\": " raw "}}\n"

static const char *const lies[] = {
	"nonsense\n",
	"\n",
	"[]\n",
	"{}\n",
	"{\"event\": \"client\", \"pid\": -1, \"uid\": 0, \"gid\": 0}\n",
	"{\"event\": \"client\", \"pid\": 1, \"uid\": 4294967296, \"gid\": 0}\n",
	"{\"event\": \"client\", \"pid\": 1, \"uid\": \"root\", \"gid\": 0}\n",
	"{\"event\": \"failed\", \"message\": {}}\n",
	"{\"event\": \"unheard-of\"}\n",
	"{\"id\": 1, \"description\": {}}\n",
	DESCRIPTION("[{\"index\": 0, \"name\": \"\", \"count\": 1, \"flags\": [], "
		    "\"vectors\": 8, \"signalled\": null}]", "{}", "null", "[]"),
	DESCRIPTION("[{\"index\": 0, \"name\": \"\", \"count\": 1, \"flags\": [], "
		    "\"vectors\": null, \"signalled\": [\"1\"]}]", "{}", "null", "[]"),
	DESCRIPTION("[]", "{\"view\": 7}", "null", "[]"),
	DESCRIPTION("[]", "{}", "{\"methods\": [1], \"others\": 0, \"count\": 0, \"last\": 0}",
		    "[]"),
	DESCRIPTION("[]", "{}", "null", "null"),
	DESCRIPTION("[]", "{}", "null", "[{\"code\": 307}]"),
	ISOLATED("{\"dma\": 2, \"interrupts\": \"iommu\"}", "[]", "{}", "null", "[]"),
	DMA("7"),
	DMA("{\"maps\": " QUOTA ", \"bytes\": null, \"list\": [], \"more\": 0}"),
	DMA("{\"maps\": " QUOTA ", \"bytes\": {\"advertised\": 1, \"granted\": 1}, \"list\": [], "
	    "\"more\": 0}"),
	DMA("{\"maps\": " QUOTA ", \"bytes\": " QUOTA ", \"list\": [{\"iova\": 0, \"size\": 0, "
	    "\"prot\": [], \"access\": \"\"}], \"more\": 0}"),
	DMA("{\"maps\": " QUOTA ", \"bytes\": " QUOTA ", \"list\": [{\"iova\": \"\", \"size\": 0, "
	    "\"prot\": [1], \"access\": \"\"}], \"more\": 0}"),
	MAP("7"),
	MAP("\"0000000g\""),
	MAP("\"0000000000000000\""),
	MAP("\"\""),
	"{\"id\": 1, \"description\": null}\n",
	"{\"event\": [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}\n",
};

#define NLIES (sizeof(lies) / sizeof(lies[0]))

/* A line that does not end, or the end of the channel, come after the list. */
static void lie(uint64_t number)
{
	static char endless[4096];
	ssize_t n = 1;

	memset(endless, 'x', sizeof(endless));
	if (number < NLIES)
		n = write(CHANNEL, lies[number], strlen(lies[number]));
	else if (number == NLIES)
		for (int i = 0; i < 100 && n > 0; i++)
			n = write(CHANNEL, endless, sizeof(endless));
	else
		shutdown(CHANNEL, SHUT_RDWR);
}

static void repeat(void)
{
	if (write(CHANNEL, truth, sizeof(truth) - 1) < 0)
		abort();
}

/* What a thread does first: one that was made before the sandbox may be in it by then. */
static void begin(void)
{
	static struct robust_list_head none = { .list = { &none.list } };

	syscall(SYS_set_robust_list, &none, sizeof(none));
}

/* What a disk does with its file is allowed, and an error where it fails. */
static void use_disk(void)
{
	char byte = 1;
	const struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	int fd = memfd_create("disk", MFD_CLOEXEC);

	if (fallocate(fd, 0, 0, 4096) < 0 || pwritev2(fd, &iov, 1, 0, RWF_DSYNC) != 1 ||
	    fsync(fd) < 0 || fdatasync(fd) < 0)
		abort();
	if (pwrite(fd, &byte, 1, LIMIT) != -1 || errno != EFBIG)
		abort();
	if (syscall(SYS_io_uring_enter, 0, 0, 0, IORING_ENTER_REGISTERED_RING, NULL, 0) != -1)
		abort();
	close(fd);
}

static void use_rings(uint64_t number)
{
	struct io_uring_params params = { 0 };

	if (number == 0)
		syscall(SYS_io_uring_setup, 4, &params);
	else if (number == 1)
		syscall(SYS_io_uring_register, CHANNEL, IORING_REGISTER_PROBE, NULL, 0);
	else
		syscall(SYS_io_uring_enter, CHANNEL, 0, 0, IORING_ENTER_GETEVENTS, NULL, 0);
}

static void escape(uint64_t number)
{
	switch (number) {
	case 0:
		open("/etc/passwd", O_RDONLY);
		break;
	case 1:
		socket(AF_INET, SOCK_STREAM, 0);
		break;
	case 2:
		if (fork() == 0)
			_exit(0);
		break;
	case 3:
		execv("/bin/true", (char *const *)no_arguments);
		break;
	case 4:
		mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case 5:
		kill(getpid(), 0);
		break;
	case 6:
		fcntl(CHANNEL, F_SETOWN, 1);
		break;
	case 7:
	case 8:
	case 9:
		use_rings(number - 7);
		break;
	case 10:
		abort();	/* is allowed, and has to be told from the others */
	case 11:
		begin();
		break;
	case 12:
		use_disk();
		break;
	}
}

static struct {
	sem_t bell;
	uint64_t number;
} accomplice;

static void *wait_and_escape(void *arg)
{
	while (sem_wait(&accomplice.bell) < 0)
		;
	escape(accomplice.number);
	return NULL;
}

static uint64_t read_register(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			      unsigned int width)
{
	return 0x1234;
}

static void write_register(struct vfio_function *fn, unsigned int bar, uint64_t offset,
			   unsigned int width, uint64_t value)
{
	if (offset == 4) {
		accomplice.number = value;
		sem_post(&accomplice.bell);
	} else if (offset == 8)
		lie(value);
	else if (offset == 12)
		repeat();
	else if (offset == 16)
		for (;;)
			poll(NULL, 0, -1);
	else
		escape(value);
}

static const struct vfio_function_ops ops = {
	.size = sizeof(ops),
	.read = read_register,
	.write = write_register,
};

static int create(struct vfio_function **fn, const char *options, struct vfio_error *err)
{
	const struct vfio_function_description description = {
		.size = sizeof(description),
		.name = "escape",
		.vendor = 0x1234,
		.device = 0x6573,
		.class_code = 0xff0000,
		.bars = { { .size = 4096 } },
	};
	const struct rlimit limit = { LIMIT, LIMIT };
	pthread_t thread;

	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || sem_init(&accomplice.bell, 0, 0) < 0 ||
	    pthread_create(&thread, NULL, wait_and_escape, NULL) != 0) {
		*err = (struct vfio_error){ .err = EAGAIN, .code = VFIO_E_SYSTEM,
					    .who = VFIO_BY_KERNEL, .what = "no thread, or no limit" };
		return -EAGAIN;
	}
	return vfio_function_new(fn, &description, &ops, NULL, err);
}

const struct vfio_device_module vfio_device_module = {
	.version = VFIO_DEVICE_MODULE_VERSION,
	.summary = "tries to break out of vfiod's sandbox, and to deceive its supervisor",
	.create = create,
};

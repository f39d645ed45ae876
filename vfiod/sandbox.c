/* SPDX-License-Identifier: MIT */
/*
 * An allow-list of what serving a connected client takes: no opening of files, no sockets but
 * those that are open, no new processes or threads, no executable memory.
 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(x) 0
#endif

/* VFIOD_SANITIZED comes from the build, for the sanitizers that announce themselves to nobody. */
#if defined(VFIOD_SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
	__has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
	__has_feature(memory_sanitizer)
#define BUILT_IN 0
#else
#define BUILT_IN 1
#endif

static const int allowed[] = {
	/* the connection, the listening socket, the channel to the supervisor, the log */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev),
	SCMP_SYS(preadv2),
	SCMP_SYS(recvmsg), SCMP_SYS(sendmsg), SCMP_SYS(recvfrom), SCMP_SYS(sendto),
	SCMP_SYS(accept4), SCMP_SYS(getsockname), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
	SCMP_SYS(shutdown),
	/* waiting */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl), SCMP_SYS(poll),
	SCMP_SYS(ppoll), SCMP_SYS(timerfd_settime), SCMP_SYS(timerfd_gettime), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime), SCMP_SYS(sched_yield),
	SCMP_SYS(futex), SCMP_SYS(restart_syscall),
	/* descriptors that a client passes: what they are, and copies of them */
	SCMP_SYS(close), SCMP_SYS(dup), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(statx), SCMP_SYS(fstatfs), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(eventfd2),
	/* signalling eventfds without waiting */
	SCMP_SYS(io_submit), SCMP_SYS(io_getevents), SCMP_SYS(io_destroy),
	/* memory; making it executable is not among it */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(lseek), SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	/* a disk's file, which was opened before */
	SCMP_SYS(pwritev2), SCMP_SYS(fdatasync), SCMP_SYS(fsync), SCMP_SYS(fallocate),
	/* the C library's own needs */
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(getrandom), SCMP_SYS(rseq),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(exit), SCMP_SYS(exit_group),
	/* that of a thread made before the filter was there, which only now gets to run */
	SCMP_SYS(set_robust_list), SCMP_SYS(sched_getaffinity),
};

/* Not F_SETOWN and F_SETSIG: they can have signals sent to other processes of the same user. */
static const unsigned int allowed_fcntl[] = {
	F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_ADD_SEALS, F_GET_SEALS,
};

static int allow_fcntl(scmp_filter_ctx filter)
{
	int ret = 0;

	for (size_t i = 0; i < sizeof(allowed_fcntl) / sizeof(allowed_fcntl[0]) && ret == 0; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				       SCMP_A1(SCMP_CMP_EQ, allowed_fcntl[i], 0));
	return ret;
}

static int allow_listed(scmp_filter_ctx filter)
{
	int ret = 0;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]) && ret == 0; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
	return ret;
}

/*
 * What a ring does, no filter sees. So a device makes its rings beforehand, and gives those up to its
 * files and to reading and writing them (IORING_REGISTER_RESTRICTIONS): to make one or to change one is
 * not on the list. Nor is to use one by a descriptor, which may be a ring without restrictions that a
 * client has made and passed; only by its number among those that the thread had registered before
 * (IORING_REGISTER_RING_FDS). What was registered it may give back, as it does in the end.
 */
static int allow_rings(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp is_registered = SCMP_A3(SCMP_CMP_MASKED_EQ,
							  IORING_ENTER_REGISTERED_RING,
							  IORING_ENTER_REGISTERED_RING);

	static const unsigned int gives_back[] = { IORING_UNREGISTER_FILES,
						   IORING_UNREGISTER_RING_FDS };
	int ret;

	ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(io_uring_enter), 1, is_registered);
	for (size_t i = 0; i < sizeof(gives_back) / sizeof(gives_back[0]) && ret == 0; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(io_uring_register), 1,
				       SCMP_A1(SCMP_CMP_EQ, gives_back[i], 0));
	return ret;
}

static int allow_conditional(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	/* abort() is how the C library reports a damaged heap: let it be seen as what it is. */
	const struct scmp_arg_cmp to_itself = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0);
	int ret;

	ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_executable);
	if (ret == 0)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       not_executable);
	if (ret == 0)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, to_itself);
	/* Its own memory, where touching it could fault. */
	if (ret == 0)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(process_vm_readv), 1,
				       to_itself);
	if (ret == 0)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(process_vm_writev), 1,
				       to_itself);
	return ret;
}

/*
 * What the library asks of a device of the kernel's once it is open: VFIO_DEVICE_… and VFIO_IOMMU_…,
 * which share numbers, and iommufd's. None of them makes a descriptor, or takes one but eventfds.
 */
static const unsigned int allowed_vfio[] = {
	0x3b6c,		/* VFIO_DEVICE_GET_REGION_INFO */
	0x3b6d,		/* VFIO_DEVICE_GET_IRQ_INFO */
	0x3b6e,		/* VFIO_DEVICE_SET_IRQS */
	0x3b6f,		/* VFIO_DEVICE_RESET */
	0x3b70,		/* VFIO_IOMMU_GET_INFO */
	0x3b71,		/* VFIO_IOMMU_MAP_DMA */
	0x3b72,		/* VFIO_IOMMU_UNMAP_DMA */
	0x3b75,		/* VFIO_DEVICE_FEATURE, VFIO_IOMMU_DIRTY_PAGES */
	0x3b77,		/* VFIO_DEVICE_ATTACH_IOMMUFD_PT: to the table that tells what was written */
	0x3b80,		/* IOMMU_DESTROY */
	0x3b84,		/* IOMMU_IOAS_IOVA_RANGES */
	0x3b85,		/* IOMMU_IOAS_MAP */
	0x3b86,		/* IOMMU_IOAS_UNMAP */
	0x3b89,		/* IOMMU_HWPT_ALLOC */
	0x3b8a,		/* IOMMU_GET_HW_INFO */
	0x3b8b,		/* IOMMU_HWPT_SET_DIRTY_TRACKING */
	0x3b8c,		/* IOMMU_HWPT_GET_DIRTY_BITMAP */
};

static int allow_vfio(scmp_filter_ctx filter)
{
	int ret = 0;

	for (size_t i = 0; i < sizeof(allowed_vfio) / sizeof(allowed_vfio[0]) && ret == 0; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_EQ, allowed_vfio[i], 0));
	return ret;
}

/*
 * The limit of locked memory, which is read and not set; and what capabilities a process has: this one,
 * or, where nothing isolates the device, a client's.
 */
static int allow_limits(scmp_filter_ctx filter)
{
	int ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 2,
				   SCMP_A0(SCMP_CMP_EQ, 0, 0), SCMP_A2(SCMP_CMP_EQ, 0, 0));

	return ret ? ret : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(capget), 0);
}

/*
 * Memory for a device without an IOMMU is held by the library: as a buffer of a ring that it has made
 * beforehand, and that is good for nothing else, or by a lock. Where it is, iommufd may tell.
 */
static int allow_holding(scmp_filter_ctx filter)
{
	static const unsigned int asked[] = {
		0x3b85,		/* IOMMU_IOAS_MAP */
		0x3b86,		/* IOMMU_IOAS_UNMAP */
		0x3b95,		/* IOMMU_IOAS_NOIOMMU_GET_PA */
	};
	int ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(io_uring_register), 1,
				   SCMP_A1(SCMP_CMP_EQ, IORING_REGISTER_BUFFERS_UPDATE, 0));

	if (ret == 0)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mlock), 0);
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]) && ret == 0; i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				       SCMP_A1(SCMP_CMP_EQ, asked[i], 0));
	return ret;
}

static int allow_backend(scmp_filter_ctx filter, const char *backend)
{
	bool kernel = strncmp(backend, "kernel_", 7) == 0;
	bool noiommu = strcmp(backend, "noiommu") == 0, uio = strcmp(backend, "uio") == 0;
	int ret = 0;

	if (kernel || noiommu)
		ret = allow_vfio(filter);
	if (ret == 0 && (kernel || noiommu || uio))
		ret = allow_limits(filter);
	return ret == 0 && (noiommu || uio) ? allow_holding(filter) : ret;
}

static int load(scmp_filter_ctx filter, const char *backend)
{
	int ret = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	/* Threads that the device's module has made already are the ones that work for the client. */
	if (ret == 0)
		ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (ret == 0)
		ret = allow_listed(filter);
	if (ret == 0)
		ret = allow_fcntl(filter);
	if (ret == 0)
		ret = allow_conditional(filter);
	if (ret == 0)
		ret = allow_rings(filter);
	if (ret == 0)
		ret = allow_backend(filter, backend);
	if (ret == 0)
		ret = seccomp_load(filter);
	return ret;
}

bool sandbox_is_built_in(void)
{
	return BUILT_IN;
}

int sandbox_enter(const char *backend)
{
	scmp_filter_ctx filter;
	int ret;

	if (!BUILT_IN)
		return 0;
	filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!filter)
		return -ENOMEM;
	ret = load(filter, backend);
	seccomp_release(filter);
	return ret;
}

/* SPDX-License-Identifier: MIT */
/* The PCI function of an NVMe controller, from the device string to its end. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "nvme.h"

/* ---- errors ------------------------------------------------------------------------------ */

int refuse(struct vfio_error *err, int number, enum vfio_error_code code, const char *remedy,
	   const char *format, ...)
{
	va_list args;

	*err = (struct vfio_error){ .err = number, .code = code, .who = VFIO_BY_MODEL };
	snprintf(err->remedy, sizeof(err->remedy), "%s", remedy);
	va_start(args, format);
	vsnprintf(err->what, sizeof(err->what), format, args);
	va_end(args);
	return -number;
}

/* ---- namespaces -------------------------------------------------------------------------- */

/*
 * Pages come when they are touched. What is in them stays for as long as there is a device: a reset
 * of the controller or another user is nothing to a medium.
 */
static int open_memory(struct namespace *ns, const struct namespace_options *o,
		       struct vfio_error *err)
{
	void *at;

	if (o->memory % o->block)
		return refuse(err, EINVAL, VFIO_E_OPTION, "say a multiple, or block=512",
			      "nvme: memory=%llu is not a multiple of the block size, %u",
			      (unsigned long long)o->memory, o->block);
	at = mmap(NULL, o->memory, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		return refuse(err, errno, VFIO_E_NO_MEMORY, "say a smaller size",
			      "nvme: memory=%llu cannot be had", (unsigned long long)o->memory);
	/* It works without, too. */
	madvise(at, o->memory, MADV_HUGEPAGE);
	ns->memory = at;
	ns->blocks = o->memory / o->block;
	if (getrandom(ns->nguid, sizeof(ns->nguid), 0) != sizeof(ns->nguid))
		return refuse(err, errno, VFIO_E_SYSTEM, "", "nvme: no random number");
	return 0;
}

static int open_namespaces(struct nvme *n, struct vfio_error *err)
{
	int r = 0;

	for (unsigned int i = 0; i < n->options.nnamespaces && r == 0; i++) {
		const struct namespace_options *o = &n->options.namespaces[i];
		struct namespace *ns = &n->namespaces[n->nnamespaces++];

		ns->fd = -1;
		ns->nsid = n->nnamespaces;
		ns->block_shift = o->block == 4096 ? 12 : 9;
		ns->read_only = o->read_only;
		ns->direct = o->direct;
		r = o->file ? files_open(n, ns, o, err) : open_memory(ns, o, err);
		ns->bytes = ns->blocks << ns->block_shift;
	}
	return r < 0 ? r : files_ready(n, err);
}

/* The same for the same first file; nobody has to invent one. */
static void default_serial(struct nvme *n)
{
	const uint8_t *id = n->namespaces[0].nguid;

	if (n->options.serial[0])
		return;
	for (unsigned int i = 0; i < 8; i++)
		sprintf(n->options.serial + 2 * i, "%02x", id[i]);
}

static void close_namespaces(struct nvme *n)
{
	files_close(n);
	for (unsigned int i = 0; i < n->nnamespaces; i++)
		if (n->namespaces[i].memory)
			munmap(n->namespaces[i].memory, n->namespaces[i].bytes);
}

/* ---- callbacks --------------------------------------------------------------------------- */

/* The first one comes from vfio_function_new(), before there is anything else. */
static int nvme_reset(struct vfio_function *fn)
{
	struct nvme *n = vfio_function_state(fn);

	n->fn = fn;
	/* Another user may be next, who is not told what the last one did. */
	memset(n->errors, 0, sizeof(n->errors));
	n->changed = 0;
	n->doorbells = (uint32_t *)((char *)vfio_function_memory(fn, 0) + VFIO_NVME_DOORBELLS);
	controller_reset(n);
	return 0;
}

/*
 * Who unmaps memory waits until the device has let go of it. What is under way is few, and which of
 * it touches that memory is not worth knowing.
 */
static void nvme_dma_gone(struct vfio_function *fn, uint64_t iova, uint64_t size)
{
	struct nvme *n = vfio_function_state(fn);

	files_drain(n);
	queues_forget(n, iova, size);
}

static void destroy(struct nvme *n)
{
	close_namespaces(n);
	options_free(&n->options);
	free(n);
}

/* Answers that nobody gets any more are not given. */
static void nvme_free(struct vfio_function *fn)
{
	struct nvme *n = vfio_function_state(fn);

	n->life++;
	files_drain(n);
	poll_finish(n);
	destroy(n);
}

static const struct vfio_function_ops ops = {
	.size = sizeof(ops),
	.read = controller_read,
	.write = controller_write,
	.reset = nvme_reset,
	.dma_gone = nvme_dma_gone,
	.free = nvme_free,
};

/* ---- description ------------------------------------------------------------------------- */

/* The page of doorbells is memory; registers and MSI-X are trapped. */
static const struct vfio_area doorbells = { .offset = VFIO_NVME_DOORBELLS, .size = PAGE };

static const struct vfio_function_description description = {
	.size = sizeof(description),
	.name = "nvme",
	.vendor = 0x1234,
	.device = 0x4e56,
	.subsystem_vendor = 0x1234,
	.subsystem = 0x4e56,
	.revision = 1,
	.class_code = 0x010802,		/* mass storage, non-volatile memory, NVM Express */
	.interrupt_pin = 1,
	.msix_bar = 0,
	.msix_table = BAR_TABLE,
	.msix_pba = BAR_PENDING,
	.power_management = true,
	.express = true,
	.bars[0] = { .size = BAR_SIZE, .flags = VFIO_BAR_MEM64, .nareas = 1, .areas = &doorbells },
};

static int make(struct vfio_function **fn, struct nvme *n, struct vfio_error *err)
{
	struct vfio_function_description d = description;
	int r;

	d.msix_vectors = (uint16_t)(n->options.queues + 1);
	r = vfio_function_new(fn, &d, &ops, n, err);
	if (r < 0) {
		destroy(n);
		return r;
	}
	r = poll_init(n);
	if (r == 0)
		return 0;
	vfio_function_free(*fn);
	*fn = NULL;
	return refuse(err, -r, VFIO_E_SYSTEM, "", "nvme: it cannot wait for what its driver does");
}

static int nvme_create(struct vfio_function **fn, const char *text, struct vfio_error *err)
{
	struct nvme *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return refuse(err, ENOMEM, VFIO_E_NO_MEMORY, "", "nvme: no memory");
	n->busy_fd = n->timer_fd = -1;
	r = options_parse(&n->options, text, err);
	if (r == 0)
		r = open_namespaces(n, err);
	if (r < 0) {
		destroy(n);
		return r;
	}
	default_serial(n);
	return make(fn, n, err);
}

extern const struct vfio_device_module vfio_device_module;

__attribute__((visibility("default")))
const struct vfio_device_module vfio_device_module = {
	.version = VFIO_DEVICE_MODULE_VERSION,
	.summary = "an NVMe controller: namespaces in files, on block devices, in memory",
	.create = nvme_create,
};

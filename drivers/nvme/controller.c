/* SPDX-License-Identifier: MIT */
/*
 * The controller: found, enabled, shut down. The numbers in nvme_enable(), bring_up() and
 * nvme_configure() are the steps of 7.6.1, in order.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "private.h"

#define QUEUES      64u			/* if the user does not say */
#define MOST_QUEUES 1024u
#define TIMEOUT_MS  30000u
#define CLASS       0x010802u		/* mass storage, non-volatile memory, NVM Express */
#define TO_MS       500u		/* the unit of CAP.TO */

int64_t nvme_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- errors --------------------------------------------------------------------------------- */

int nvme_error(struct vfio_nvme *nvme, int err, enum vfio_error_code code, enum vfio_refuser who,
	       const char *remedy, const char *what, ...)
{
	va_list ap;

	nvme->error = (struct vfio_error){ .err = err, .code = code, .who = who };
	va_start(ap, what);
	vsnprintf(nvme->error.what, sizeof(nvme->error.what), what, ap);
	va_end(ap);
	snprintf(nvme->error.remedy, sizeof(nvme->error.remedy), "%s", remedy);
	return -err;
}

int nvme_library_failed(struct vfio_nvme *nvme, int64_t ret)
{
	nvme->error = *vfio_last_error(nvme->dev);
	if (nvme->error.err == -ret)
		return (int)ret;
	return nvme_error(nvme, (int)-ret, VFIO_E_SYSTEM, VFIO_BY_LIBRARY, "",
			  "nvme: a call of libvfio failed");
}

int nvme_no_memory(struct vfio_nvme *nvme)
{
	return nvme_error(nvme, ENOMEM, VFIO_E_NO_MEMORY, VFIO_BY_LIBRARY, "", "nvme: no memory");
}

static int gone(struct vfio_nvme *nvme)
{
	return nvme_error(nvme, ENODEV, VFIO_E_GONE, VFIO_BY_MODEL,
			  "see whether the device is still there, has power, and decodes memory",
			  "nvme: the registers read all ones: nobody answers");
}

static int unfit(struct vfio_nvme *nvme, const char *what, uint64_t value)
{
	return nvme_error(nvme, ENODEV, VFIO_E_DEVICE, VFIO_BY_MODEL, "",
			  "nvme: %s (0x%" PRIx64 ")", what, value);
}

/* ---- registers ------------------------------------------------------------------------------ */

/* All ones is no value of any register that is read here. */
static int read32(struct vfio_nvme *nvme, uint32_t reg, uint32_t *value)
{
	uint32_t raw = UINT32_MAX;
	ssize_t n = vfio_pread(nvme->dev, NVME_BAR, reg, &raw, sizeof(raw));

	if (n < 0)
		return nvme_library_failed(nvme, n);
	*value = le32toh(raw);
	return n != sizeof(raw) || *value == UINT32_MAX ? gone(nvme) : 0;
}

static int read64(struct vfio_nvme *nvme, uint32_t reg, uint64_t *value)
{
	uint64_t raw = UINT64_MAX;
	ssize_t n = vfio_pread(nvme->dev, NVME_BAR, reg, &raw, sizeof(raw));

	if (n < 0)
		return nvme_library_failed(nvme, n);
	*value = le64toh(raw);
	return n != sizeof(raw) || *value == UINT64_MAX ? gone(nvme) : 0;
}

static int write32(struct vfio_nvme *nvme, uint32_t reg, uint32_t value)
{
	uint32_t raw = htole32(value);
	ssize_t n = vfio_pwrite(nvme->dev, NVME_BAR, reg, &raw, sizeof(raw));

	return n < 0 ? nvme_library_failed(nvme, n) : 0;
}

static int write64(struct vfio_nvme *nvme, uint32_t reg, uint64_t value)
{
	uint64_t raw = htole64(value);
	ssize_t n = vfio_pwrite(nvme->dev, NVME_BAR, reg, &raw, sizeof(raw));

	return n < 0 ? nvme_library_failed(nvme, n) : 0;
}

void vfio_nvme_registers(struct vfio_nvme *nvme, struct vfio_nvme_registers *registers)
{
	registers->cap = vfio_read64(nvme->dev, NVME_BAR, VFIO_NVME_CAP);
	registers->vs = vfio_read32(nvme->dev, NVME_BAR, VFIO_NVME_VS);
	registers->csts = vfio_read32(nvme->dev, NVME_BAR, VFIO_NVME_CSTS);
}

/* Wait until the bits of mask in CSTS are value. A fatal state ends a wait for something good. */
static int wait_status(struct vfio_nvme *nvme, uint32_t mask, uint32_t value, unsigned int ms,
		       const char *what)
{
	const uint32_t fatal = VFIO_NVME_PUT(1u, CSTS_CFS);
	int64_t end = nvme_now_ms() + ms;

	for (;;) {
		bool last = nvme_now_ms() >= end;
		uint32_t csts;
		int64_t ret = read32(nvme, VFIO_NVME_CSTS, &csts);

		if (ret < 0)
			return (int)ret;
		if ((csts & mask) == value)
			return 0;
		if (value && (csts & fatal))
			return nvme_error(nvme, ENODEV, VFIO_E_DEVICE, VFIO_BY_MODEL,
					  "reset the device: vfio_reset()",
					  "nvme: %s: controller fatal status (CSTS 0x%" PRIx32 ")",
					  what, csts);
		if (last)
			return nvme_error(nvme, ENODEV, VFIO_E_TIMEOUT, VFIO_BY_MODEL,
					  "reset the device: vfio_reset()",
					  "nvme: %s: not done after %u ms (CSTS 0x%" PRIx32 ")",
					  what, ms, csts);
		ret = vfio_irq_wait(nvme->dev, -1, 1);
		if (ret < 0)
			return nvme_library_failed(nvme, ret);
	}
}

/* ---- enable and disable --------------------------------------------------------------------- */

int nvme_disable(struct vfio_nvme *nvme)
{
	uint32_t cc;
	int ret = read32(nvme, VFIO_NVME_CC, &cc);

	if (ret == 0 && VFIO_NVME_GET(cc, CC_EN)) {
		cc &= ~(VFIO_NVME_PUT(1u, CC_EN) | VFIO_NVME_PUT(3u, CC_SHN));
		ret = write32(nvme, VFIO_NVME_CC, cc);
	}
	if (ret < 0)
		return ret;
	return wait_status(nvme, VFIO_NVME_PUT(1u, CSTS_RDY), 0, nvme->ready_ms, "disabling");
}

int nvme_enable(struct vfio_nvme *nvme)
{
	/* Entry sizes can be set as early as here; what is 0 is round robin, 4096, and NVM. */
	const uint32_t cc = VFIO_NVME_PUT(6u, CC_IOSQES) | VFIO_NVME_PUT(4u, CC_IOCQES);
	int ret;

	/* 2. An earlier reset is complete. */
	ret = nvme_disable(nvme);
	if (ret < 0)
		return ret;
	/* 3. The admin queue. */
	ret = write32(nvme, VFIO_NVME_AQA, VFIO_NVME_PUT(NVME_ADMIN_ENTRIES - 1, AQA_ASQS) |
					   VFIO_NVME_PUT(NVME_ADMIN_ENTRIES - 1, AQA_ACQS)) ?:
	      write64(nvme, VFIO_NVME_ASQ, nvme->admin->sq_iova) ?:
	      write64(nvme, VFIO_NVME_ACQ, nvme->admin->cq_iova);
	if (ret < 0)
		return ret;
	/* 4. Arbitration, page size, command set. */
	ret = write32(nvme, VFIO_NVME_CC, cc);
	if (ret < 0)
		return ret;
	/* 5. Enable. */
	ret = write32(nvme, VFIO_NVME_CC, cc | VFIO_NVME_PUT(1u, CC_EN));
	if (ret < 0)
		return ret;
	/* 6. Ready? */
	return wait_status(nvme, VFIO_NVME_PUT(1u, CSTS_RDY), VFIO_NVME_PUT(1u, CSTS_RDY),
			   nvme->ready_ms, "enabling");
}

int nvme_shut_down(struct vfio_nvme *nvme)
{
	uint32_t cc;
	int ret;

	/* a, b. No more I/O; delete the queues, submission queues first. */
	for (unsigned int i = 0; i < nvme->nqueues; i++)
		if (nvme->queues[i])
			vfio_nvme_queue_free(nvme->queues[i]);
	/* c. A normal shutdown. */
	ret = nvme_check_works(nvme) ?: read32(nvme, VFIO_NVME_CC, &cc);
	if (ret < 0)
		return ret;
	cc = (cc & ~VFIO_NVME_PUT(3u, CC_SHN)) | VFIO_NVME_PUT(VFIO_NVME_SHN_NORMAL, CC_SHN);
	ret = write32(nvme, VFIO_NVME_CC, cc);
	if (ret < 0)
		return ret;
	return wait_status(nvme, VFIO_NVME_PUT(3u, CSTS_SHST),
			   VFIO_NVME_PUT(VFIO_NVME_SHST_COMPLETE, CSTS_SHST),
			   nvme->options.timeout_ms, "shutting down");
}

int nvme_check_alive(struct vfio_nvme *nvme)
{
	uint32_t csts;
	int ret = read32(nvme, VFIO_NVME_CSTS, &csts);

	if (ret < 0)
		return ret;
	if (VFIO_NVME_GET(csts, CSTS_CFS) || !VFIO_NVME_GET(csts, CSTS_RDY))
		return nvme_error(nvme, EIO, VFIO_E_DEVICE, VFIO_BY_MODEL,
				  "reset the controller: vfio_nvme_reset()",
				  "nvme: the controller %s (CSTS 0x%" PRIx32 ")",
				  VFIO_NVME_GET(csts, CSTS_CFS) ? "reports a fatal error" :
				  "is no longer ready: it was reset", csts);
	return 0;
}

/* ---- bring-up ------------------------------------------------------------------------------- */

static int check_class(struct vfio_nvme *nvme)
{
	uint32_t raw = UINT32_MAX, class;
	ssize_t n = vfio_pread(nvme->dev, VFIO_PCI_CONFIG_REGION_INDEX, 8, &raw, sizeof(raw));

	if (n < 0)
		return nvme_library_failed(nvme, n);
	class = le32toh(raw) >> 8;
	if (class == CLASS)
		return 0;
	return nvme_error(nvme, ENODEV, VFIO_E_NO_DEVICE, VFIO_BY_LIBRARY,
			  "name an NVMe controller",
			  "nvme: the device is of class %06" PRIx32 ", not %06x, NVM Express",
			  class, CLASS);
}

/* 3.1.1: what the controller can do; and can this driver? */
static int read_capabilities(struct vfio_nvme *nvme)
{
	int ret = read64(nvme, VFIO_NVME_CAP, &nvme->cap);
	uint64_t cap = nvme->cap;

	if (ret < 0)
		return ret;
	if (VFIO_NVME_GET(cap, CAP_MQES) == 0)
		return unfit(nvme, "CAP.MQES allows no queue of two entries", cap);
	if (!(VFIO_NVME_GET(cap, CAP_CSS) & 1))
		return unfit(nvme, "CAP.CSS does not have the NVM command set", cap);
	if (VFIO_NVME_GET(cap, CAP_MPSMIN))
		return unfit(nvme, "CAP.MPSMIN does not allow pages of 4096 bytes", cap);
	nvme->entries = (unsigned int)VFIO_NVME_GET(cap, CAP_MQES) + 1;
	nvme->ready_ms = (unsigned int)(VFIO_NVME_GET(cap, CAP_TO) + 1) * TO_MS;
	return 0;
}

static int read_identity(struct vfio_nvme *nvme)
{
	struct vfio_nvme_controller_data *id = &nvme->identity;
	int ret = nvme_identify(nvme, VFIO_NVME_CNS_CONTROLLER, 0, id);

	if (ret < 0)
		return ret;
	if ((id->sqes & 0xf) > 6 || id->sqes >> 4 < 6 || (id->cqes & 0xf) > 4 || id->cqes >> 4 < 4)
		return unfit(nvme,
			     "Identify: SQES and CQES do not allow entries of 64 and 16 bytes",
			     (uint64_t)id->cqes << 8 | id->sqes);
	nvme->max_bytes = id->mdts && id->mdts < 9 ? NVME_PAGE << id->mdts : NVME_MAX_DATA;
	/* 1: as they come; 2: in dwords, as all that is sent here. */
	nvme->sgl = !nvme->options.no_sgl &&
		    ((le32toh(id->sgls) & 3) == 1 || (le32toh(id->sgls) & 3) == 2);
	return 0;
}

int nvme_configure(struct vfio_nvme *nvme)
{
	uint32_t want = nvme->options.queues - 1, granted, sqs, cqs;
	int ret;

	/* 9. How many queues? Both numbers are less one (5.21.1.7). */
	ret = nvme_set_feature(nvme, VFIO_NVME_FEATURE_QUEUES, want << 16 | want, &granted);
	if (ret < 0)
		return ret;
	sqs = (granted & 0xffff) + 1;
	cqs = (granted >> 16) + 1;
	nvme->nqueues = sqs < cqs ? sqs : cqs;
	if (nvme->nqueues > nvme->options.queues)
		nvme->nqueues = nvme->options.queues;
	ret = nvme_use_doorbell_buffers(nvme);
	if (ret < 0)
		return ret;
	/* 12. Events: health, and what of namespaces and firmware the controller can tell of. */
	ret = nvme_set_feature(nvme, VFIO_NVME_FEATURE_ASYNC_EVENTS,
			       0x1f | (le32toh(nvme->identity.oaes) & 0x300), NULL);
	if (ret < 0 && !nvme->status)
		return ret;
	nvme_ask_events(nvme);
	return 0;
}

static int bring_up(struct vfio_nvme *nvme)
{
	int ret;

	/* 1. PCI: is it one, and may it reach memory? */
	ret = check_class(nvme) ?: read_capabilities(nvme);
	if (ret < 0)
		return ret;
	ret = vfio_set_bus_master(nvme->dev, true);
	if (ret < 0)
		return nvme_library_failed(nvme, ret);
	nvme_map_doorbells(nvme);
	/* 2 to 6. */
	ret = nvme_admin_new(nvme) ?: nvme_enable(nvme);
	if (ret < 0)
		return ret;
	/* 7. What are the controller and its namespaces? */
	ret = read_identity(nvme) ?: nvme_find_namespaces(nvme);
	if (ret < 0)
		return ret;
	/* 9, 12; and an interrupt for each queue. 10 and 11 are in nvme_queue_create(). */
	return nvme_new_doorbell_buffers(nvme) ?:
	       nvme_configure(nvme) ?:
	       nvme_enable_interrupts(nvme);
}

/* ---- open and close ------------------------------------------------------------------------- */

/* Everything but the handle. Without bus mastering no memory of ours is touched any more. */
static void dismantle(struct vfio_nvme *nvme)
{
	uint32_t cc;

	if (read32(nvme, VFIO_NVME_CC, &cc) == 0)
		write32(nvme, VFIO_NVME_CC, cc & ~VFIO_NVME_PUT(1u, CC_EN));
	vfio_set_bus_master(nvme->dev, false);
	if (nvme->nvectors)
		vfio_irq_disable(nvme->dev, nvme->irq_index);
	for (unsigned int i = 0; i < nvme->options.queues; i++)
		if (nvme->queues[i])
			nvme_queue_release(nvme->queues[i]);
	if (nvme->admin)
		nvme_queue_release(nvme->admin);
	vfio_dma_free(nvme->dev, &nvme->admin_data);
	vfio_dma_free(nvme->dev, &nvme->shadow);
	vfio_dma_free(nvme->dev, &nvme->event);
	for (unsigned int i = 0; i < nvme->nnamespaces; i++)
		free(nvme->namespaces[i]);
	free(nvme->namespaces);
	free(nvme->queues);
	free(nvme->fds);
	free(nvme);
}

static struct vfio_nvme *new(struct vfio_dev *dev, const struct vfio_nvme_options *options)
{
	struct vfio_nvme *nvme = calloc(1, sizeof(*nvme));
	struct vfio_nvme_options o = { .size = sizeof(o) };

	if (!nvme)
		return NULL;
	if (options)
		memcpy(&o, options, options->size < sizeof(o) ? options->size : sizeof(o));
	if (o.queues == 0)
		o.queues = QUEUES;
	if (o.queues > MOST_QUEUES)
		o.queues = MOST_QUEUES;
	if (o.timeout_ms == 0)
		o.timeout_ms = TIMEOUT_MS;
	nvme->options = o;
	nvme->dev = dev;
	nvme->serve_each = nvme_serve_each(vfio_backend_name(dev));
	nvme->epoch = 1;
	nvme->began[1] = nvme_now_ms();
	nvme->doorbell_fd = -1;
	nvme->queues = calloc(o.queues, sizeof(nvme->queues[0]));
	if (!nvme->queues) {
		free(nvme);
		return NULL;
	}
	return nvme;
}

int vfio_nvme_attach(struct vfio_nvme **nvme, struct vfio_dev *dev,
		     const struct vfio_nvme_options *options, struct vfio_error *err)
{
	struct vfio_nvme *n = new(dev, options);
	struct vfio_error why;
	int ret;

	*nvme = NULL;
	if (!n) {
		if (err)
			*err = (struct vfio_error){ ENOMEM, VFIO_E_NO_MEMORY, VFIO_BY_LIBRARY,
						    "nvme: no memory for a controller", "" };
		return -ENOMEM;
	}
	ret = bring_up(n);
	if (ret == 0) {
		*nvme = n;
		return 0;
	}
	why = n->error;
	dismantle(n);
	if (err)
		*err = why;
	return ret;
}

int vfio_nvme_open(struct vfio_nvme **nvme, const char *device,
		   const struct vfio_nvme_options *options, struct vfio_error *err)
{
	struct vfio_dev *dev;
	int ret;

	*nvme = NULL;
	ret = vfio_open(&dev, device, err);
	if (ret < 0)
		return ret;
	ret = vfio_nvme_attach(nvme, dev, options, err);
	if (ret < 0)
		vfio_close(dev);
	return ret;
}

void vfio_nvme_close(struct vfio_nvme *nvme)
{
	struct vfio_dev *dev;

	if (!nvme)
		return;
	dev = nvme->dev;
	if (!nvme->failure.err)
		nvme_shut_down(nvme);
	dismantle(nvme);
	vfio_close(dev);
}

struct vfio_dev *vfio_nvme_device(struct vfio_nvme *nvme)
{
	return nvme->dev;
}

const struct vfio_error *vfio_nvme_error(const struct vfio_nvme *nvme)
{
	return &nvme->error;
}

const struct vfio_nvme_controller_data *vfio_nvme_identity(const struct vfio_nvme *nvme)
{
	return &nvme->identity;
}

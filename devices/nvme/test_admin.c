/* SPDX-License-Identifier: MIT */
/* Admin commands: each bad field and its status, I/O queues, Identify, doorbell buffers, Format. */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "test_host.h"

#define DEVICE "nvme,memory=16M,memory=1M,ro,memory=1049088,queues=4,serial=ABC"
#define QUEUES 4u
#define LAST   3u		/* of 2049 blocks of 512 bytes */

#define DNR VFIO_NVME_STATUS_DNR
#define ALL UINT32_MAX

typedef struct vfio_nvme_command command;

static int set_up(void **state)
{
	static struct host h;

	host_open(&h, DEVICE);
	host_enable(&h);
	*state = &h;
	return 0;
}

static int tear_down(void **state)
{
	host_close(*state);
	return 0;
}

/* ---- bad fields ---------------------------------------------------------------------------- */

/* In the order of the host's bytes. */
#define QID(id, entries) (((entries) - 1u) << 16 | (id))
#define QUEUE_FLAGS(high, flags) ((uint32_t)(high) << 16 | (flags))

static const struct {
	const char *what;
	command cmd;
	uint16_t status;
} bad[] = {
	{ "opcode", { .opcode = 0x03 }, VFIO_NVME_INVALID_OPCODE | DNR },
	{ "firmware commit", { .opcode = 0x10 }, VFIO_NVME_INVALID_OPCODE | DNR },
	{ "vendor's opcode", { .opcode = 0xff }, VFIO_NVME_INVALID_OPCODE | DNR },
	{ "fused", { .opcode = VFIO_NVME_IDENTIFY, .flags = 1, .cdw10 = 1 },
	  VFIO_NVME_INVALID_FIELD | DNR },
	{ "SGL", { .opcode = VFIO_NVME_IDENTIFY, .flags = VFIO_NVME_PSDT_SGL, .cdw10 = 1 },
	  VFIO_NVME_INVALID_FIELD | DNR },

	{ "CQ: namespace", { .opcode = VFIO_NVME_CREATE_CQ, .nsid = 1, .cdw10 = QID(2, 16),
	  .cdw11 = QUEUE_FLAGS(0, 1) }, VFIO_NVME_INVALID_FIELD | DNR },
	{ "CQ: number 0", { .opcode = VFIO_NVME_CREATE_CQ, .cdw10 = QID(0, 16),
	  .cdw11 = QUEUE_FLAGS(0, 1) }, VFIO_NVME_QID_INVALID | DNR },
	{ "CQ: number not granted", { .opcode = VFIO_NVME_CREATE_CQ, .cdw10 = QID(QUEUES + 1, 16),
	  .cdw11 = QUEUE_FLAGS(0, 1) }, VFIO_NVME_QID_INVALID | DNR },
	{ "CQ: number far off", { .opcode = VFIO_NVME_CREATE_CQ, .cdw10 = QID(0xffff, 16),
	  .cdw11 = QUEUE_FLAGS(0, 1) }, VFIO_NVME_QID_INVALID | DNR },
	{ "CQ: exists", { .opcode = VFIO_NVME_CREATE_CQ, .cdw10 = QID(1, 16),
	  .cdw11 = QUEUE_FLAGS(0, 1) }, VFIO_NVME_QID_INVALID | DNR },
	{ "CQ: one entry", { .opcode = VFIO_NVME_CREATE_CQ, .cdw10 = QID(2, 1),
	  .cdw11 = QUEUE_FLAGS(0, 1) }, VFIO_NVME_QUEUE_SIZE_INVALID | DNR },
	{ "CQ: too large", { .opcode = VFIO_NVME_CREATE_CQ, .cdw10 = QID(2, 4097),
	  .cdw11 = QUEUE_FLAGS(0, 1) }, VFIO_NVME_QUEUE_SIZE_INVALID | DNR },
	{ "CQ: not contiguous", { .opcode = VFIO_NVME_CREATE_CQ, .cdw10 = QID(2, 16),
	  .cdw11 = QUEUE_FLAGS(0, 0) }, VFIO_NVME_INVALID_FIELD | DNR },
	{ "CQ: off its page", { .opcode = VFIO_NVME_CREATE_CQ, .prp1 = 0x10010,
	  .cdw10 = QID(2, 16), .cdw11 = QUEUE_FLAGS(0, 1) },
	  VFIO_NVME_PRP_OFFSET_INVALID | DNR },
	{ "CQ: vector", { .opcode = VFIO_NVME_CREATE_CQ, .cdw10 = QID(2, 16),
	  .cdw11 = QUEUE_FLAGS(QUEUES + 1, 3) }, VFIO_NVME_VECTOR_INVALID | DNR },

	{ "SQ: number 0", { .opcode = VFIO_NVME_CREATE_SQ, .cdw10 = QID(0, 16),
	  .cdw11 = QUEUE_FLAGS(1, 1) }, VFIO_NVME_QID_INVALID | DNR },
	{ "SQ: number not granted", { .opcode = VFIO_NVME_CREATE_SQ, .cdw10 = QID(QUEUES + 1, 16),
	  .cdw11 = QUEUE_FLAGS(1, 1) }, VFIO_NVME_QID_INVALID | DNR },
	{ "SQ: exists", { .opcode = VFIO_NVME_CREATE_SQ, .cdw10 = QID(1, 16),
	  .cdw11 = QUEUE_FLAGS(1, 1) }, VFIO_NVME_QID_INVALID | DNR },
	{ "SQ: too large", { .opcode = VFIO_NVME_CREATE_SQ, .cdw10 = QID(2, 65536),
	  .cdw11 = QUEUE_FLAGS(1, 1) }, VFIO_NVME_QUEUE_SIZE_INVALID | DNR },
	{ "SQ: not contiguous", { .opcode = VFIO_NVME_CREATE_SQ, .cdw10 = QID(2, 16),
	  .cdw11 = QUEUE_FLAGS(1, 0) }, VFIO_NVME_INVALID_FIELD | DNR },
	{ "SQ: off its page", { .opcode = VFIO_NVME_CREATE_SQ, .prp1 = 0x10800,
	  .cdw10 = QID(2, 16), .cdw11 = QUEUE_FLAGS(1, 1) },
	  VFIO_NVME_PRP_OFFSET_INVALID | DNR },
	{ "SQ: admin completion queue", { .opcode = VFIO_NVME_CREATE_SQ, .cdw10 = QID(2, 16),
	  .cdw11 = QUEUE_FLAGS(0, 1) }, VFIO_NVME_CQ_INVALID | DNR },
	{ "SQ: no completion queue", { .opcode = VFIO_NVME_CREATE_SQ, .cdw10 = QID(2, 16),
	  .cdw11 = QUEUE_FLAGS(3, 1) }, VFIO_NVME_CQ_INVALID | DNR },
	{ "SQ: completion queue far off", { .opcode = VFIO_NVME_CREATE_SQ, .cdw10 = QID(2, 16),
	  .cdw11 = QUEUE_FLAGS(0xffff, 1) }, VFIO_NVME_CQ_INVALID | DNR },

	{ "delete admin SQ", { .opcode = VFIO_NVME_DELETE_SQ }, VFIO_NVME_QID_INVALID | DNR },
	{ "delete no SQ", { .opcode = VFIO_NVME_DELETE_SQ, .cdw10 = 2 },
	  VFIO_NVME_QID_INVALID | DNR },
	{ "delete SQ far off", { .opcode = VFIO_NVME_DELETE_SQ, .cdw10 = 0xffff },
	  VFIO_NVME_QID_INVALID | DNR },
	{ "delete admin CQ", { .opcode = VFIO_NVME_DELETE_CQ }, VFIO_NVME_QID_INVALID | DNR },
	{ "delete no CQ", { .opcode = VFIO_NVME_DELETE_CQ, .cdw10 = 4 },
	  VFIO_NVME_QID_INVALID | DNR },
	{ "delete CQ that is used", { .opcode = VFIO_NVME_DELETE_CQ, .cdw10 = 1 },
	  VFIO_NVME_QUEUE_DELETION | DNR },

	{ "identify: CNS", { .opcode = VFIO_NVME_IDENTIFY, .cdw10 = 0x04 },
	  VFIO_NVME_INVALID_FIELD | DNR },
	{ "identify: namespace 0", { .opcode = VFIO_NVME_IDENTIFY },
	  VFIO_NVME_INVALID_NAMESPACE | DNR },
	{ "identify: no namespace", { .opcode = VFIO_NVME_IDENTIFY, .nsid = 4 },
	  VFIO_NVME_INVALID_NAMESPACE | DNR },
	{ "identify: descriptors of none", { .opcode = VFIO_NVME_IDENTIFY, .nsid = 4, .cdw10 = 3 },
	  VFIO_NVME_INVALID_NAMESPACE | DNR },
	{ "identify: descriptors of all", { .opcode = VFIO_NVME_IDENTIFY, .nsid = ALL, .cdw10 = 3 },
	  VFIO_NVME_INVALID_NAMESPACE | DNR },
	{ "identify: list behind the last", { .opcode = VFIO_NVME_IDENTIFY, .nsid = ALL - 1,
	  .cdw10 = 2 }, VFIO_NVME_INVALID_NAMESPACE | DNR },
	{ "identify: memory that is not there", { .opcode = VFIO_NVME_IDENTIFY, .cdw10 = 1,
	  .prp1 = 0x7000000000 }, VFIO_NVME_DATA_TRANSFER },

	{ "format: no namespace", { .opcode = VFIO_NVME_FORMAT, .nsid = 9 },
	  VFIO_NVME_INVALID_NAMESPACE | DNR },
	{ "format: namespace 0", { .opcode = VFIO_NVME_FORMAT },
	  VFIO_NVME_INVALID_NAMESPACE | DNR },
	{ "format: no such format", { .opcode = VFIO_NVME_FORMAT, .nsid = 1, .cdw10 = 2 },
	  VFIO_NVME_FORMAT_INVALID | DNR },
	{ "format: protection", { .opcode = VFIO_NVME_FORMAT, .nsid = 1, .cdw10 = 1 << 5 },
	  VFIO_NVME_FORMAT_INVALID | DNR },
	{ "format: cryptographic erase", { .opcode = VFIO_NVME_FORMAT, .nsid = 1, .cdw10 = 2 << 9 },
	  VFIO_NVME_INVALID_FIELD | DNR },
	{ "format: read only", { .opcode = VFIO_NVME_FORMAT, .nsid = 2 },
	  VFIO_NVME_WRITE_PROTECTED | DNR },
	{ "format: one of all read only", { .opcode = VFIO_NVME_FORMAT, .nsid = ALL, .cdw10 = 1 },
	  VFIO_NVME_WRITE_PROTECTED | DNR },

	{ "doorbells: alignment", { .opcode = VFIO_NVME_DOORBELL_BUFFERS, .prp1 = 0x1004,
	  .prp2 = 0x2000 }, VFIO_NVME_INVALID_FIELD | DNR },
	{ "doorbells: alignment of events", { .opcode = VFIO_NVME_DOORBELL_BUFFERS, .prp1 = 0x1000,
	  .prp2 = 0x2004 }, VFIO_NVME_INVALID_FIELD | DNR },
	{ "doorbells: one page for both", { .opcode = VFIO_NVME_DOORBELL_BUFFERS, .prp1 = 0x1000,
	  .prp2 = 0x1000 }, VFIO_NVME_INVALID_FIELD | DNR },
	{ "doorbells: no events", { .opcode = VFIO_NVME_DOORBELL_BUFFERS, .prp1 = 0x1000 },
	  VFIO_NVME_INVALID_FIELD | DNR },
	{ "doorbells: no memory", { .opcode = VFIO_NVME_DOORBELL_BUFFERS, .prp1 = 0x7000000000,
	  .prp2 = 0x7000001000 }, VFIO_NVME_DATA_TRANSFER },
};

static void bad_fields(void **state)
{
	struct host *h = *state;

	host_make_queues(h, 1, 16);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		command cmd = bad[i].cmd;
		uint16_t status;

		cmd.nsid = htole32(cmd.nsid);
		cmd.prp1 = htole64(cmd.prp1);
		cmd.prp2 = htole64(cmd.prp2);
		cmd.cdw10 = htole32(cmd.cdw10);
		cmd.cdw11 = htole32(cmd.cdw11);
		status = host_admin(h, cmd);
		if (status != bad[i].status)
			fail_msg("%s: status %#x, not %#x", bad[i].what, status, bad[i].status);
	}
	/* Nothing of that has done anything. */
	assert_int_equal(host_io(h, 1, VFIO_NVME_WRITE, 1, 0, 1), VFIO_NVME_SUCCESS);
	assert_int_equal(host_get(h, VFIO_NVME_CSTS), 1);
}

/* ---- I/O queues ---------------------------------------------------------------------------- */

static uint16_t delete(struct host *h, uint8_t opcode, uint16_t qid)
{
	return host_admin(h, (command){ .opcode = opcode, .cdw10 = htole32(qid) });
}

/* All that are granted, twice; and two submission queues for one completion queue. */
static void queues_come_and_go(void **state)
{
	struct host *h = *state;
	command cmd;

	for (unsigned int round = 0; round < 2; round++) {
		for (uint16_t q = 1; q <= QUEUES; q++)
			host_make_queues(h, q, 2u << q);
		for (uint16_t q = 1; q <= QUEUES; q++)
			for (unsigned int i = 0; i < 40; i++)
				assert_int_equal(host_io(h, q, VFIO_NVME_READ, 1, i, 1), 0);
		for (uint16_t q = 1; q <= QUEUES; q++) {
			assert_int_equal(delete(h, VFIO_NVME_DELETE_CQ, q),
					 VFIO_NVME_QUEUE_DELETION | DNR);
			assert_int_equal(delete(h, VFIO_NVME_DELETE_SQ, q), VFIO_NVME_SUCCESS);
			assert_int_equal(delete(h, VFIO_NVME_DELETE_CQ, q), VFIO_NVME_SUCCESS);
		}
	}
	host_make_queues(h, 1, 16);
	cmd = host_create_cq(h, 2, 16);		/* its memory, and no more of it */
	cmd = host_create_sq(h, 2, 16);
	cmd.cdw11 = htole32(1 << 16 | VFIO_NVME_QUEUE_CONTIGUOUS);
	assert_int_equal(host_admin(h, cmd), VFIO_NVME_SUCCESS);
	assert_int_equal(delete(h, VFIO_NVME_DELETE_SQ, 1), VFIO_NVME_SUCCESS);
	assert_int_equal(delete(h, VFIO_NVME_DELETE_CQ, 1), VFIO_NVME_QUEUE_DELETION | DNR);
	assert_int_equal(delete(h, VFIO_NVME_DELETE_SQ, 2), VFIO_NVME_SUCCESS);
	assert_int_equal(delete(h, VFIO_NVME_DELETE_CQ, 1), VFIO_NVME_SUCCESS);
}

/* ---- Identify ------------------------------------------------------------------------------ */

static const void *identify(struct host *h, uint32_t cns, uint32_t nsid)
{
	memset(h->data.vaddr, 0x55, HOST_PAGE);
	assert_int_equal(host_admin(h, (command){ .opcode = VFIO_NVME_IDENTIFY,
		.nsid = htole32(nsid), .cdw10 = htole32(cns) }), VFIO_NVME_SUCCESS);
	return h->data.vaddr;
}

static void the_controller(void **state)
{
	struct host *h = *state;
	const struct vfio_nvme_controller_data *d = identify(h, VFIO_NVME_CNS_CONTROLLER, 0);

	assert_int_equal(le16toh(d->vid), vfio_read16(h->dev, VFIO_PCI_CONFIG_REGION_INDEX, 0));
	assert_int_equal(le16toh(d->ssvid),
			 vfio_read16(h->dev, VFIO_PCI_CONFIG_REGION_INDEX, 0x2c));
	assert_memory_equal(d->sn, "ABC                 ", 20);
	assert_memory_equal(d->mn, "libvfio NVMe                            ", 40);
	assert_memory_equal(d->fr, LIBVFIO_VERSION "   ", 8);
	assert_string_equal(d->subnqn, "nqn.2014.08.org.nvmexpress:12341234ABC                 "
			    "libvfio NVMe                            ");
	assert_int_equal(d->mdts, 8);
	assert_int_equal(d->aerl, 7);
	assert_int_equal(d->acl, 3);
	assert_int_equal(d->elpe, 63);
	assert_int_equal(d->lpa, 6);
	assert_int_equal(d->frmw, 3);
	assert_int_equal(d->fna, 0);
	assert_int_equal(le32toh(d->ver), host_get(h, VFIO_NVME_VS));
	assert_int_equal(le16toh(d->oacs), VFIO_NVME_OACS_FORMAT | VFIO_NVME_OACS_DOORBELLS);
	assert_int_equal(le16toh(d->oncs), 0x5d);
	assert_int_equal(d->sqes, 0x66);
	assert_int_equal(d->cqes, 0x44);
	assert_int_equal(le32toh(d->nn), 3);
	assert_int_equal(d->vwc, 0);
	assert_int_equal(d->cntrltype, 1);
	assert_int_equal(le32toh(d->sgls) & 3, 1);
	assert_int_equal(*(const uint64_t *)(const void *)d->tnvmcap,
			 htole64((16 << 20) + (1 << 20) + 2049 * 512));
}

static void the_namespaces(void **state)
{
	struct host *h = *state;
	uint8_t nguid[16];
	const struct vfio_nvme_namespace_data *d = identify(h, VFIO_NVME_CNS_NAMESPACE, 1);
	const uint8_t *list;

	assert_int_equal(le64toh(d->nsze), 32768);
	assert_int_equal(le64toh(d->ncap), 32768);
	assert_int_equal(le64toh(d->nuse), 32768);
	assert_int_equal(d->nlbaf, 1);
	assert_int_equal(d->flbas, 0);
	assert_int_equal(d->lbaf[0].lbads, 9);
	assert_int_equal(d->lbaf[1].lbads, 12);
	assert_int_equal(d->nsattr, 0);
	memcpy(nguid, d->nguid, sizeof(nguid));
	list = identify(h, VFIO_NVME_CNS_DESCRIPTORS, 1);
	assert_int_equal(list[0], 2);
	assert_int_equal(list[1], 16);
	assert_memory_equal(list + 4, nguid, sizeof(nguid));
	assert_int_equal(list[20] | list[21], 0);
	d = identify(h, VFIO_NVME_CNS_NAMESPACE, 2);
	assert_int_equal(le64toh(d->nsze), 2048);
	assert_int_equal(d->nsattr, 1);
	assert_memory_not_equal(d->nguid, nguid, sizeof(nguid));
	d = identify(h, VFIO_NVME_CNS_NAMESPACE, ALL);
	assert_int_equal(le64toh(d->nsze), 0);
	assert_int_equal(d->nlbaf, 1);
	assert_int_equal(d->lbaf[1].lbads, 12);
}

static void the_active_ones(void **state)
{
	struct host *h = *state;

	for (uint32_t after = 0; after < 5; after++) {
		const uint32_t *list = identify(h, VFIO_NVME_CNS_ACTIVE, after);

		for (uint32_t i = 0; i < HOST_PAGE / 4; i++)
			assert_int_equal(le32toh(list[i]), after + i < 3 ? after + i + 1 : 0);
	}
}

/* ---- doorbell buffers ---------------------------------------------------------------------- */

/* Queues that there are go on; new ones begin at zero; after a reset the registers count again. */
static void doorbell_buffers(void **state)
{
	struct host *h = *state;
	struct vfio_dma pages;

	host_make_queues(h, 1, 16);
	if (h->by_message) {		/* of no use to a device that has to ask */
		assert_int_equal(host_admin(h, (command){ .opcode = VFIO_NVME_DOORBELL_BUFFERS,
			.prp1 = htole64(h->data.iova), .prp2 = htole64(h->data.iova + HOST_PAGE) }),
				 VFIO_NVME_DATA_TRANSFER);
		return;
	}
	assert_int_equal(vfio_dma_alloc(h->dev, &pages, 2 * HOST_PAGE, VFIO_DMA_RW), 0);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(host_io(h, 1, VFIO_NVME_READ, 1, 0, 1), VFIO_NVME_SUCCESS);
	memset(pages.vaddr, 0xee, pages.size);
	assert_int_equal(host_admin(h, (command){ .opcode = VFIO_NVME_DOORBELL_BUFFERS,
		.prp1 = htole64(pages.iova), .prp2 = htole64(pages.iova + HOST_PAGE) }), 0);
	h->shadow = pages.vaddr;
	assert_int_equal(le32toh(h->shadow[2]), 5);
	assert_int_equal(le32toh(h->shadow[3]), 5);
	host_make_queues(h, 2, 16);
	assert_int_equal(h->shadow[4] | h->shadow[5], 0);
	for (unsigned int i = 0; i < 50; i++)
		for (uint16_t q = 1; q <= 2; q++)
			assert_int_equal(host_io(h, q, VFIO_NVME_READ, 1, i, 1), VFIO_NVME_SUCCESS);
	assert_int_equal(host_get(h, VFIO_NVME_DOORBELLS + 8), 5);
	host_disable(h);
	host_enable(h);
	host_make_queues(h, 1, 16);
	assert_int_equal(host_io(h, 1, VFIO_NVME_READ, 1, 0, 1), VFIO_NVME_SUCCESS);
}

/* ---- Format -------------------------------------------------------------------------------- */

static uint16_t format(struct host *h, uint32_t nsid, uint32_t cdw10)
{
	return host_admin(h, (command){ .opcode = VFIO_NVME_FORMAT, .nsid = htole32(nsid),
					.cdw10 = htole32(cdw10) });
}

static uint64_t size_of(struct host *h, uint32_t nsid)
{
	const struct vfio_nvme_namespace_data *d = identify(h, VFIO_NVME_CNS_NAMESPACE, nsid);

	assert_true(d->nsze == d->ncap && d->flbas <= 1);
	return le64toh(d->nsze) << d->lbaf[d->flbas].lbads;
}

/* Blocks become larger and smaller; what does not fill one is out of reach until they are small. */
static void blocks_change(void **state)
{
	struct host *h = *state;

	host_make_queues(h, 1, 16);
	memset(h->data.vaddr, 0xa5, HOST_PAGE);
	assert_int_equal(host_io(h, 1, VFIO_NVME_WRITE, LAST, 2048, 1), VFIO_NVME_SUCCESS);
	assert_int_equal(format(h, LAST, 1), VFIO_NVME_SUCCESS);
	assert_int_equal(size_of(h, LAST), 1 << 20);
	assert_int_equal(host_io(h, 1, VFIO_NVME_READ, LAST, 255, 1), VFIO_NVME_SUCCESS);
	assert_int_equal(host_io(h, 1, VFIO_NVME_READ, LAST, 256, 1), VFIO_NVME_LBA_RANGE | DNR);
	assert_int_equal(size_of(h, 1), 16 << 20);
	assert_int_equal(format(h, LAST, 0), VFIO_NVME_SUCCESS);
	assert_int_equal(size_of(h, LAST), 2049 * 512);
	assert_int_equal(host_io(h, 1, VFIO_NVME_READ, LAST, 2048, 1), VFIO_NVME_SUCCESS);
	assert_int_equal(*(uint8_t *)h->data.vaddr, 0xa5);
}

static void contents_are_erased(void **state)
{
	struct host *h = *state;
	static const uint64_t lbas[] = { 0, 8, 1000, 2040 };
	uint8_t zeroes[HOST_PAGE] = { 0 };

	host_make_queues(h, 1, 16);
	for (unsigned int i = 0; i < 4; i++) {
		memset(h->data.vaddr, 0xa5, HOST_PAGE);
		assert_int_equal(host_io(h, 1, VFIO_NVME_WRITE, LAST, lbas[i], 8), 0);
	}
	assert_int_equal(format(h, LAST, 1 << 9), VFIO_NVME_SUCCESS);
	for (unsigned int i = 0; i < 4; i++) {
		memset(h->data.vaddr, 0x11, HOST_PAGE);
		assert_int_equal(host_io(h, 1, VFIO_NVME_READ, LAST, lbas[i], 8), 0);
		assert_memory_equal(h->data.vaddr, zeroes, HOST_PAGE);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bad_fields, set_up, tear_down),
		cmocka_unit_test_setup_teardown(queues_come_and_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_controller, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_namespaces, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_active_ones, set_up, tear_down),
		cmocka_unit_test_setup_teardown(doorbell_buffers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(blocks_change, set_up, tear_down),
		cmocka_unit_test_setup_teardown(contents_are_erased, set_up, tear_down),
	};

	host_take_road(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * NVM Express as data: registers, commands, statuses, and the structures that Identify and the log
 * pages give, for drivers and for devices. NVM Express Base Specification, revision 1.4; the numbers
 * in comments are its sections. There is no code here.
 *
 * Members are little-endian, as they lie in memory: see endian(3).
 */
#ifndef VFIO_NVME_H
#define VFIO_NVME_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- 3.1: registers of BAR 0 --------------------------------------------------------------- */

#define VFIO_NVME_CAP   0x00u		/* 8 bytes: what the controller can do */
#define VFIO_NVME_VS    0x08u		/* version */
#define VFIO_NVME_INTMS 0x0cu		/* interrupt mask set; not with MSI-X */
#define VFIO_NVME_INTMC 0x10u		/* interrupt mask clear */
#define VFIO_NVME_CC    0x14u		/* configuration */
#define VFIO_NVME_CSTS  0x1cu		/* status */
#define VFIO_NVME_NSSR  0x20u		/* subsystem reset */
#define VFIO_NVME_AQA   0x24u		/* sizes of the admin queues */
#define VFIO_NVME_ASQ   0x28u		/* 8 bytes: the admin submission queue */
#define VFIO_NVME_ACQ   0x30u		/* 8 bytes: the admin completion queue */
#define VFIO_NVME_DOORBELLS 0x1000u	/* (2 * queue + is completion queue) * (4 << DSTRD) */

#define VFIO_NVME_VERSION_1_4 0x00010400u

/* 3.1.1: fields of CAP: VFIO_NVME_GET(cap, CAP_MQES). */
#define VFIO_NVME_CAP_MQES_SHIFT   0	/* most entries of an I/O queue, less one */
#define VFIO_NVME_CAP_MQES_MASK    0xffffull
#define VFIO_NVME_CAP_CQR_SHIFT    16	/* queues must be contiguous */
#define VFIO_NVME_CAP_CQR_MASK     1ull
#define VFIO_NVME_CAP_TO_SHIFT     24	/* longest wait for CSTS.RDY, in 500 ms */
#define VFIO_NVME_CAP_TO_MASK      0xffull
#define VFIO_NVME_CAP_DSTRD_SHIFT  32	/* doorbells are 4 << DSTRD bytes apart */
#define VFIO_NVME_CAP_DSTRD_MASK   0xfull
#define VFIO_NVME_CAP_NSSRS_SHIFT  36	/* there is NSSR */
#define VFIO_NVME_CAP_NSSRS_MASK   1ull
#define VFIO_NVME_CAP_CSS_SHIFT    37	/* command sets; bit 0: NVM */
#define VFIO_NVME_CAP_CSS_MASK     0xffull
#define VFIO_NVME_CAP_MPSMIN_SHIFT 48	/* pages are at least 4096 << MPSMIN bytes, */
#define VFIO_NVME_CAP_MPSMIN_MASK  0xfull
#define VFIO_NVME_CAP_MPSMAX_SHIFT 52	/* and at most 4096 << MPSMAX */
#define VFIO_NVME_CAP_MPSMAX_MASK  0xfull

/* 3.1.5: of CC. */
#define VFIO_NVME_CC_EN_SHIFT     0
#define VFIO_NVME_CC_EN_MASK      1u
#define VFIO_NVME_CC_CSS_SHIFT    4
#define VFIO_NVME_CC_CSS_MASK     7u
#define VFIO_NVME_CC_MPS_SHIFT    7
#define VFIO_NVME_CC_MPS_MASK     0xfu
#define VFIO_NVME_CC_AMS_SHIFT    11
#define VFIO_NVME_CC_AMS_MASK     7u
#define VFIO_NVME_CC_SHN_SHIFT    14	/* VFIO_NVME_SHN_… */
#define VFIO_NVME_CC_SHN_MASK     3u
#define VFIO_NVME_CC_IOSQES_SHIFT 16	/* 6: entries of 1 << 6 bytes */
#define VFIO_NVME_CC_IOSQES_MASK  0xfu
#define VFIO_NVME_CC_IOCQES_SHIFT 20	/* 4 */
#define VFIO_NVME_CC_IOCQES_MASK  0xfu

#define VFIO_NVME_SHN_NONE   0u
#define VFIO_NVME_SHN_NORMAL 1u
#define VFIO_NVME_SHN_ABRUPT 2u

/* 3.1.6: of CSTS. */
#define VFIO_NVME_CSTS_RDY_SHIFT   0
#define VFIO_NVME_CSTS_RDY_MASK    1u
#define VFIO_NVME_CSTS_CFS_SHIFT   1	/* fatal: only a reset helps */
#define VFIO_NVME_CSTS_CFS_MASK    1u
#define VFIO_NVME_CSTS_SHST_SHIFT  2	/* VFIO_NVME_SHST_… */
#define VFIO_NVME_CSTS_SHST_MASK   3u

#define VFIO_NVME_SHST_NORMAL    0u
#define VFIO_NVME_SHST_OCCURRING 1u
#define VFIO_NVME_SHST_COMPLETE  2u

/* 3.1.8: of AQA; both are the number of entries less one. */
#define VFIO_NVME_AQA_ASQS_SHIFT 0
#define VFIO_NVME_AQA_ASQS_MASK  0xfffu
#define VFIO_NVME_AQA_ACQS_SHIFT 16
#define VFIO_NVME_AQA_ACQS_MASK  0xfffu

#define VFIO_NVME_GET(value, field) \
	(((value) >> VFIO_NVME_##field##_SHIFT) & VFIO_NVME_##field##_MASK)
#define VFIO_NVME_PUT(value, field) \
	(((value) & VFIO_NVME_##field##_MASK) << VFIO_NVME_##field##_SHIFT)

/* ---- 4.2, 4.6: queue entries --------------------------------------------------------------- */

struct vfio_nvme_sgl {			/* 4.4 */
	uint64_t address;
	uint32_t length;
	uint8_t reserved[3];
	uint8_t type;			/* VFIO_NVME_SGL_… << 4 */
};

struct vfio_nvme_command {
	uint8_t opcode;
	uint8_t flags;			/* VFIO_NVME_FUSE_…, VFIO_NVME_PSDT_… */
	uint16_t cid;
	uint32_t nsid;
	uint32_t cdw2, cdw3;
	uint64_t mptr;
	union {
		__extension__ struct {
			uint64_t prp1, prp2;
		};
		struct vfio_nvme_sgl sgl;
	};
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

#define VFIO_NVME_FUSE_MASK 0x03u
#define VFIO_NVME_PSDT_MASK 0xc0u
#define VFIO_NVME_PSDT_PRP  0x00u
#define VFIO_NVME_PSDT_SGL  0x40u	/* metadata, of which there is none, contiguous */
#define VFIO_NVME_PSDT_SGL_METADATA 0x80u

#define VFIO_NVME_SGL_DATA         0x0u	/* the data itself */
#define VFIO_NVME_SGL_BIT_BUCKET   0x1u	/* read data that nobody wants */
#define VFIO_NVME_SGL_SEGMENT      0x2u	/* further descriptors */
#define VFIO_NVME_SGL_LAST_SEGMENT 0x3u

struct vfio_nvme_completion {
	uint32_t result;
	uint32_t reserved;
	uint16_t sqhd, sqid;
	uint16_t cid;
	uint16_t status;		/* bit 0: phase; VFIO_NVME_STATUS() << 1 */
};

/* ---- 4.6.1: status ------------------------------------------------------------------------- */

#define VFIO_NVME_STATUS(type, code) ((uint16_t)((type) << 8 | (code)))
#define VFIO_NVME_STATUS_DNR 0x4000u	/* do not retry; beside the type and the code */
#define VFIO_NVME_STATUS_MORE 0x2000u	/* there is more in the error log */

#define VFIO_NVME_GENERIC  0u
#define VFIO_NVME_SPECIFIC 1u
#define VFIO_NVME_MEDIA    2u

#define VFIO_NVME_SUCCESS              VFIO_NVME_STATUS(0, 0x00)
#define VFIO_NVME_INVALID_OPCODE       VFIO_NVME_STATUS(0, 0x01)
#define VFIO_NVME_INVALID_FIELD        VFIO_NVME_STATUS(0, 0x02)
#define VFIO_NVME_CID_CONFLICT         VFIO_NVME_STATUS(0, 0x03)
#define VFIO_NVME_DATA_TRANSFER        VFIO_NVME_STATUS(0, 0x04)
#define VFIO_NVME_INTERNAL             VFIO_NVME_STATUS(0, 0x06)
#define VFIO_NVME_ABORT_REQUESTED      VFIO_NVME_STATUS(0, 0x07)
#define VFIO_NVME_ABORT_SQ_DELETED     VFIO_NVME_STATUS(0, 0x08)
#define VFIO_NVME_INVALID_NAMESPACE    VFIO_NVME_STATUS(0, 0x0b)
#define VFIO_NVME_SEQUENCE             VFIO_NVME_STATUS(0, 0x0c)
#define VFIO_NVME_SGL_SEGMENT_INVALID  VFIO_NVME_STATUS(0, 0x0d)
#define VFIO_NVME_SGL_COUNT_INVALID    VFIO_NVME_STATUS(0, 0x0e)
#define VFIO_NVME_SGL_LENGTH_INVALID   VFIO_NVME_STATUS(0, 0x0f)
#define VFIO_NVME_SGL_TYPE_INVALID     VFIO_NVME_STATUS(0, 0x11)
#define VFIO_NVME_PRP_OFFSET_INVALID   VFIO_NVME_STATUS(0, 0x13)
#define VFIO_NVME_WRITE_PROTECTED      VFIO_NVME_STATUS(0, 0x20)
#define VFIO_NVME_LBA_RANGE            VFIO_NVME_STATUS(0, 0x80)
#define VFIO_NVME_CAPACITY             VFIO_NVME_STATUS(0, 0x81)
#define VFIO_NVME_NOT_READY            VFIO_NVME_STATUS(0, 0x82)

#define VFIO_NVME_CQ_INVALID           VFIO_NVME_STATUS(1, 0x00)
#define VFIO_NVME_QID_INVALID          VFIO_NVME_STATUS(1, 0x01)
#define VFIO_NVME_QUEUE_SIZE_INVALID   VFIO_NVME_STATUS(1, 0x02)
#define VFIO_NVME_ABORT_LIMIT          VFIO_NVME_STATUS(1, 0x03)
#define VFIO_NVME_EVENT_LIMIT          VFIO_NVME_STATUS(1, 0x05)
#define VFIO_NVME_FIRMWARE_SLOT        VFIO_NVME_STATUS(1, 0x06)
#define VFIO_NVME_VECTOR_INVALID       VFIO_NVME_STATUS(1, 0x08)
#define VFIO_NVME_LOG_PAGE_INVALID     VFIO_NVME_STATUS(1, 0x09)
#define VFIO_NVME_FORMAT_INVALID       VFIO_NVME_STATUS(1, 0x0a)
#define VFIO_NVME_QUEUE_DELETION       VFIO_NVME_STATUS(1, 0x0c)
#define VFIO_NVME_FEATURE_NOT_SAVEABLE VFIO_NVME_STATUS(1, 0x0d)
#define VFIO_NVME_FEATURE_NOT_CHANGEABLE VFIO_NVME_STATUS(1, 0x0e)
#define VFIO_NVME_FEATURE_NOT_NAMESPACE VFIO_NVME_STATUS(1, 0x0f)
#define VFIO_NVME_READ_ONLY_RANGE      VFIO_NVME_STATUS(1, 0x82)

#define VFIO_NVME_WRITE_FAULT          VFIO_NVME_STATUS(2, 0x80)
#define VFIO_NVME_READ_ERROR           VFIO_NVME_STATUS(2, 0x81)
#define VFIO_NVME_COMPARE_FAILURE      VFIO_NVME_STATUS(2, 0x85)

/* ---- 5: admin commands --------------------------------------------------------------------- */

enum vfio_nvme_admin_opcode {
	VFIO_NVME_DELETE_SQ = 0x00,
	VFIO_NVME_CREATE_SQ = 0x01,
	VFIO_NVME_GET_LOG_PAGE = 0x02,
	VFIO_NVME_DELETE_CQ = 0x04,
	VFIO_NVME_CREATE_CQ = 0x05,
	VFIO_NVME_IDENTIFY = 0x06,
	VFIO_NVME_ABORT = 0x08,
	VFIO_NVME_SET_FEATURES = 0x09,
	VFIO_NVME_GET_FEATURES = 0x0a,
	VFIO_NVME_ASYNC_EVENT = 0x0c,
	VFIO_NVME_DOORBELL_BUFFERS = 0x7c,
	VFIO_NVME_FORMAT = 0x80,
};

/* 5.3, 5.4: cdw11 of the two Create commands. */
#define VFIO_NVME_QUEUE_CONTIGUOUS 1u
#define VFIO_NVME_CQ_INTERRUPTS    2u	/* vector in bits 31:16 */

/* 5.15: cdw10 of Identify, CNS. */
#define VFIO_NVME_CNS_NAMESPACE   0x00u
#define VFIO_NVME_CNS_CONTROLLER  0x01u
#define VFIO_NVME_CNS_ACTIVE      0x02u	/* 1024 namespace numbers, ascending, above NSID */
#define VFIO_NVME_CNS_DESCRIPTORS 0x03u

/* 5.21: features. */
#define VFIO_NVME_FEATURE_ARBITRATION    0x01u
#define VFIO_NVME_FEATURE_POWER          0x02u
#define VFIO_NVME_FEATURE_TEMPERATURE    0x04u
#define VFIO_NVME_FEATURE_ERROR_RECOVERY 0x05u
#define VFIO_NVME_FEATURE_WRITE_CACHE    0x06u
#define VFIO_NVME_FEATURE_QUEUES         0x07u
#define VFIO_NVME_FEATURE_COALESCING     0x08u
#define VFIO_NVME_FEATURE_VECTOR         0x09u
#define VFIO_NVME_FEATURE_ATOMICITY      0x0au
#define VFIO_NVME_FEATURE_ASYNC_EVENTS   0x0bu
#define VFIO_NVME_FEATURE_TIMESTAMP      0x0eu

/* 5.14: log pages. */
#define VFIO_NVME_LOG_ERRORS   0x01u
#define VFIO_NVME_LOG_SMART    0x02u
#define VFIO_NVME_LOG_FIRMWARE 0x03u
#define VFIO_NVME_LOG_CHANGED  0x04u
#define VFIO_NVME_LOG_EFFECTS  0x05u

/* ---- 6: I/O commands ----------------------------------------------------------------------- */

enum vfio_nvme_opcode {
	VFIO_NVME_FLUSH = 0x00,
	VFIO_NVME_WRITE = 0x01,
	VFIO_NVME_READ = 0x02,
	VFIO_NVME_COMPARE = 0x05,
	VFIO_NVME_WRITE_ZEROES = 0x08,
	VFIO_NVME_DATASET_MANAGEMENT = 0x09,
};

#define VFIO_NVME_FUA        (1u << 30)	/* cdw12: on the medium before it completes */
#define VFIO_NVME_DEALLOCATE (1u << 25)	/* cdw12 of Write Zeroes: give the space back */

#define VFIO_NVME_DSM_DEALLOCATE 4u	/* cdw11 of Dataset Management */
#define VFIO_NVME_DSM_RANGES     256u

struct vfio_nvme_range {		/* 6.7 */
	uint32_t attributes, blocks;
	uint64_t lba;
};

/* ---- 5.15.2: Identify ---------------------------------------------------------------------- */

struct vfio_nvme_power_state {
	uint16_t max_power;		/* in 10 mW */
	uint8_t reserved[30];
};

struct vfio_nvme_controller_data {
	uint16_t vid, ssvid;
	char sn[20], mn[40], fr[8];	/* padded with blanks */
	uint8_t rab, ieee[3], cmic;
	uint8_t mdts;			/* most bytes of a command: page << mdts; 0: no limit */
	uint16_t cntlid;
	uint32_t ver, rtd3r, rtd3e, oaes, ctratt;
	uint16_t rrls;
	uint8_t reserved102[9];
	uint8_t cntrltype;		/* 1: I/O */
	uint8_t fguid[16];
	uint16_t crdt[3];
	uint8_t reserved134[122];
	uint16_t oacs;			/* VFIO_NVME_OACS_… */
	uint8_t acl, aerl, frmw, lpa, elpe, npss, avscc, apsta;
	uint16_t wctemp, cctemp, mtfa;
	uint32_t hmpre, hmmin;
	uint8_t tnvmcap[16], unvmcap[16];	/* bytes, 128 bits */
	uint32_t rpmbs;
	uint16_t edstt;
	uint8_t dsto, fwug;
	uint16_t kas, hctma, mntmt, mxtmt;
	uint32_t sanicap, hmminds;
	uint16_t hmmaxd, nsetidmax, endgidmax;
	uint8_t anatt, anacap;
	uint32_t anagrpmax, nanagrpid, pels;
	uint8_t reserved356[156];
	uint8_t sqes, cqes;		/* log2: least in bits 3:0, most in 7:4 */
	uint16_t maxcmd;
	uint32_t nn;			/* namespaces are 1 to nn */
	uint16_t oncs;			/* VFIO_NVME_ONCS_… */
	uint16_t fuses;
	uint8_t fna, vwc;		/* vwc bit 0: there is a volatile write cache */
	uint16_t awun, awupf;
	uint8_t nvscc, nwpc;
	uint16_t acwu;
	uint8_t reserved534[2];
	uint32_t sgls;			/* bits 1:0 not 0: there are SGLs */
	uint32_t mnan;
	uint8_t reserved544[224];
	char subnqn[256];		/* ends with NUL */
	uint8_t reserved1024[1024];
	struct vfio_nvme_power_state psd[32];
	uint8_t vendor[1024];
};

#define VFIO_NVME_OACS_FORMAT    0x0002u
#define VFIO_NVME_OACS_DOORBELLS 0x0100u
#define VFIO_NVME_ONCS_COMPARE   0x0001u
#define VFIO_NVME_ONCS_DSM       0x0004u
#define VFIO_NVME_ONCS_ZEROES    0x0008u
#define VFIO_NVME_ONCS_SELECT    0x0010u	/* SEL of Get Features, SAVE of Set */
#define VFIO_NVME_ONCS_TIMESTAMP 0x0040u

struct vfio_nvme_namespace_data {
	uint64_t nsze, ncap, nuse;	/* blocks */
	uint8_t nsfeat, nlbaf, flbas, mc, dpc, dps, nmic, rescap, fpi, dlfeat;
	uint16_t nawun, nawupf, nacwu, nabsn, nabo, nabspf, noiob;
	uint8_t nvmcap[16];
	uint16_t npwg, npwa, npdg, npda, nows;
	uint8_t reserved74[18];
	uint32_t anagrpid;
	uint8_t reserved96[3];
	uint8_t nsattr;
	uint16_t nvmsetid, endgid;
	uint8_t nguid[16], eui64[8];
	struct {
		uint16_t ms;		/* bytes of metadata */
		uint8_t lbads;		/* blocks are 1 << lbads bytes */
		uint8_t rp;
	} lbaf[16];
	uint8_t reserved192[192];
	uint8_t vendor[3712];
};

/* ---- 5.14.1: log pages --------------------------------------------------------------------- */

struct vfio_nvme_error_entry {
	uint64_t count;			/* 0: no entry */
	uint16_t sqid, cid, status, location;
	uint64_t lba;
	uint32_t nsid;
	uint8_t vendor, trtype, reserved30[2];
	uint64_t specific;
	uint16_t transport;
	uint8_t reserved42[22];
};

struct vfio_nvme_smart {
	uint8_t critical_warning;
	uint8_t temperature[2];		/* Kelvin, 16 bits */
	uint8_t spare, spare_threshold, used, endurance_warning;
	uint8_t reserved7[25];
	uint8_t units_read[16], units_written[16];	/* 1000 times 512 bytes, rounded up */
	uint8_t reads[16], writes[16];			/* commands */
	uint8_t busy_minutes[16], power_cycles[16], power_on_hours[16], unsafe_shutdowns[16];
	uint8_t media_errors[16], error_entries[16];
	uint32_t warning_minutes, critical_minutes;
	uint16_t sensors[8];
	uint8_t reserved216[296];
};

struct vfio_nvme_firmware {
	uint8_t active;
	uint8_t reserved1[7];
	char revisions[7][8];
	uint8_t reserved64[448];
};

#ifdef __cplusplus
}
#else
_Static_assert(sizeof(struct vfio_nvme_command) == 64, "4.2");
_Static_assert(sizeof(struct vfio_nvme_completion) == 16, "4.6");
_Static_assert(sizeof(struct vfio_nvme_range) == 16, "6.7");
_Static_assert(sizeof(struct vfio_nvme_controller_data) == 4096, "5.15.2.2");
_Static_assert(sizeof(struct vfio_nvme_namespace_data) == 4096, "5.15.2.1");
_Static_assert(sizeof(struct vfio_nvme_error_entry) == 64, "5.14.1.1");
_Static_assert(sizeof(struct vfio_nvme_smart) == 512, "5.14.1.2");
_Static_assert(sizeof(struct vfio_nvme_firmware) == 512, "5.14.1.3");
#endif

#endif

/* SPDX-License-Identifier: MIT */
/* Records how the kernel's vfio-pci answers for one device. Runs as root in a guest; see README.
 *
 *	record BDF NAME PART [PF-BDF]
 *
 * PART is `all`, `asserts` (QEMU's edu only), or `parent` (a function with SR-IOV, while it has
 * virtual ones). With PF-BDF, BDF is the virtual function that the physical one gets, which
 * vfio-pci drives, too.
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "sections.h"
#include "trace.h"

#define DEADLINE 540 /* seconds; the caller has one of its own */

static const char token_text[] = "01234567-89ab-cdef-0123-456789abcdef";

static void set_token(struct session *pf)
{
	const uint8_t token[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
				   0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
	char buffer[sizeof(struct vfio_device_feature) + 16];
	struct vfio_device_feature *feature = (struct vfio_device_feature *)buffer;

	feature->argsz = sizeof(buffer);
	feature->flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN;
	memcpy(feature->data, token, sizeof(token));
	if (ioctl(pf->device, VFIO_DEVICE_FEATURE, feature))
		fail("VFIO_DEVICE_FEATURE_PCI_VF_TOKEN");
}

/* The physical function is opened, unheard, for as long as the virtual one is recorded. */
static void open_parent(struct session *pf, const char *bdf)
{
	int out = dup(1), null = open("/dev/null", O_WRONLY);

	fflush(stdout);
	dup2(null, 1);
	session_open(pf, &kernel_road, bdf, "", NULL);
	fflush(stdout);
	dup2(out, 1);
	close(out);
	close(null);
	set_token(pf);
}

/* Only now: opening the physical function resets it, and QEMU's loses its virtual ones by that. */
static void enable_virtual(const char *pf)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", pf);
	int fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1)
		fail(path);
	close(fd);
	usleep(200000);
}

static void record_all(struct session *s)
{
	record_info(s);
	record_reads(s);
	record_regions(s);
	record_bars(s);
	record_irq_matrix(s);
	record_irq_descriptors(s);
	record_irq_life(s);
	record_msi(s);
	record_msix(s);
	record_command(s);
	record_patterns(s);
	record_extended(s);
	record_vpd(s);
	record_power(s);
	record_reset(s);
	record_pcie(s);
	record_af(s);
	record_dump(s, "at the end");
}

static void record_part(struct session *s, const char *part)
{
	if (!strcmp(part, "all")) {
		record_all(s);
		return;
	}
	record_info(s);
	if (!strcmp(part, "asserts")) {
		record_asserts(s);
		return;
	}
	enable_virtual(s->bdf);
	session_print_raw(s, "after");
	record_power(s);
}

int main(int argc, char **argv)
{
	static struct session session, parent;

	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: record BDF NAME PART [PF-BDF]\n");
		return 2;
	}
	alarm(DEADLINE);
	setvbuf(stdout, NULL, _IOLBF, 0);
	print_head("device", argv[2]);
	if (argc == 5) {
		open_parent(&parent, argv[4]);
		enable_virtual(argv[4]);
	}
	session_open(&session, &kernel_road, argv[1], argv[2], argc == 5 ? token_text : NULL);
	record_part(&session, argv[3]);
	printf("# end\n");
	session_close(&session);
	print_writable(&session);
	printf("# complete\n");
	return 0;
}

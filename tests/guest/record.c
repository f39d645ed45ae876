/* SPDX-License-Identifier: MIT */
/* Records how the kernel's vfio-pci answers for one device. Runs as root in a guest; see README.
 *
 *	record BDF NAME PART [PF-BDF]
 *
 * PART is `all`, `asserts` (QEMU's edu only), or `parent` (a function with SR-IOV, while it has
 * virtual ones). With PF-BDF, BDF is the virtual function that the physical one gets, which
 * vfio-pci drives, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent.h"
#include "sections.h"
#include "trace.h"

#define DEADLINE 540 /* seconds; the caller has one of its own */

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
	parent_enable(s->bdf);
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
		parent_open(&parent, argv[4]);
		parent_enable(argv[4]);
	}
	session_open(&session, &kernel_road, argv[1], argv[2], argc == 5 ? parent_token : NULL);
	record_part(&session, argv[3]);
	printf("# end\n");
	session_close(&session);
	print_writable(&session);
	printf("# complete\n");
	return 0;
}

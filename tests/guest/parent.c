/* SPDX-License-Identifier: MIT */
#include "parent.h"

#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char parent_token[] = "01234567-89ab-cdef-0123-456789abcdef";

static void set_token(struct session *pf)
{
	const uint8_t token[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
				   0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
	char buffer[sizeof(struct vfio_device_feature) + 16];
	struct vfio_device_feature *feature = (struct vfio_device_feature *)buffer;

	feature->argsz = sizeof(buffer);
	feature->flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN;
	memcpy(feature->data, token, sizeof(token));
	if (pf->road->ioctl(pf, VFIO_DEVICE_FEATURE, feature))
		fail("VFIO_DEVICE_FEATURE_PCI_VF_TOKEN");
}

void parent_open(struct session *pf, const char *bdf)
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

void parent_enable(const char *bdf)
{
	int fd = open_attribute(bdf, "sriov_numvfs", O_WRONLY);

	if (fd < 0 || write(fd, "1", 1) != 1)
		fail("sriov_numvfs");
	close(fd);
	usleep(200000);
}

/* SPDX-License-Identifier: MIT */
/*
 * VF tokens: the program that has a physical function, and those that have its virtual ones, agree on a
 * UUID; the kernel gives a virtual function only to who knows it, since the other can end its work.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kernel.h"
#include "base/error.h"

#define SHAPE "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"

_Static_assert(sizeof(SHAPE) == KERNEL_TOKEN, "a UUID and its NUL");

bool kernel_parse_token(const char *text, uint8_t uuid[16])
{
	static const char digits[] = "0123456789abcdef";
	unsigned int n = 0;

	for (size_t i = 0; i < sizeof(SHAPE); i++) {
		if (SHAPE[i] != 'x' ? text[i] != SHAPE[i] : !isxdigit((unsigned char)text[i]))
			return false;
		if (SHAPE[i] != 'x')
			continue;
		uuid[n / 2] = (uint8_t)(uuid[n / 2] << 4 |
					(strchr(digits, tolower((unsigned char)text[i])) - digits));
		n++;
	}
	return true;
}

int kernel_bad_token(const char *text, struct vfio_error *err)
{
	return error_set(err, EINVAL, VFIO_E_TOKEN, VFIO_BY_LIBRARY,
			 "write it as " SHAPE ", in hexadecimal digits",
			 "the VF token '%.40s' is no UUID", text);
}

int kernel_token_failed(const struct kernel *k, int e, struct vfio_error *err)
{
	if (e == EACCES && !k->token[0])
		return error_set(err, EACCES, VFIO_E_TOKEN, VFIO_BY_KERNEL,
				 "add ,vf_token=UUID to its name, with the token that the program of the "
				 "physical function has set: vfio_set_vf_token()",
				 "opening %s: the kernel asks for its VF token", k->place.bdf);
	if (e == EACCES)
		return error_set(err, EACCES, VFIO_E_TOKEN, VFIO_BY_KERNEL,
				 "ask the program that has the physical function, or the virtual ones, for "
				 "the right one", "opening %s: this VF token is not the right one",
				 k->place.bdf);
	return error_set(err, EINVAL, VFIO_E_TOKEN, VFIO_BY_KERNEL,
			 "leave ,vf_token=UUID away",
			 "opening %s: it takes no VF token, as its physical function has none, or it is "
			 "none itself", k->place.bdf);
}

int kernel_set_vf_token(struct vfio_dev *dev, const char *text)
{
	struct kernel *k = kernel_of(dev);
	uint8_t uuid[16];
	int r;

	if (!kernel_parse_token(text, uuid))
		return kernel_bad_token(text, &dev->error);
	r = kernel_ask_feature(k, KERNEL_VF_TOKEN | VFIO_DEVICE_FEATURE_SET, uuid, sizeof(uuid));
	if (r == -ENOTTY)
		return error_set(&dev->error, ENOTSUP, VFIO_E_TOKEN, VFIO_BY_KERNEL,
				 "set it for the physical function",
				 "%s has no VF token: it has no virtual functions", k->place.bdf);
	return r < 0 ? error_system(&dev->error, -r, "setting the VF token of %s", k->place.bdf) : 0;
}

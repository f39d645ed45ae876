/* SPDX-License-Identifier: MIT */
/* Device strings of the kernel's devices: an address or a node's name, and options behind commas. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backends/kernel.h"
#include "base/error.h"

#define TOKEN "vf_token="

/* vfio3 */
static bool is_node(const char *s, size_t len)
{
	return len > 4 && strncmp(s, "vfio", 4) == 0 && 4 + strspn(s + 4, "0123456789") == len;
}

/* Does it look like [dddd:]bb:dd.f? */
static bool is_address(const char *s, size_t len)
{
	return strspn(s, "0123456789abcdefABCDEF:.") == len && memchr(s, ':', len) &&
	       memchr(s, '.', len);
}

bool kernel_is_name(const char *name)
{
	size_t len = strcspn(name, ",");

	return is_node(name, len) || is_address(name, len);
}

int kernel_option(struct kernel_request *q, const char *text, size_t len, struct vfio_error *err)
{
	const size_t key = strlen(TOKEN);
	uint8_t unused[16];

	if (len < key || strncmp(text, TOKEN, key) || q->token[0])
		return error_set(err, EINVAL, VFIO_E_OPTION, VFIO_BY_LIBRARY,
				 "libvfio(7) has them: " TOKEN "UUID, and more behind fd:N",
				 "a device of the kernel's has no option '%.*s', or not twice",
				 len < 60 ? (int)len : 60, text);
	snprintf(q->token, sizeof(q->token), "%.*s", (int)(len - key), text + key);
	if (len - key != strlen(q->token) || !kernel_parse_token(q->token, unused))
		return kernel_bad_token(q->token, err);
	return 0;
}

static int options(struct kernel_request *q, const char *text, struct vfio_error *err)
{
	int r = 0;

	while (r == 0 && *text == ',') {
		size_t len = strcspn(++text, ",");

		r = kernel_option(q, text, len, err);
		text += len;
	}
	return r;
}

int kernel_find_name(struct kernel_request *q, const char *name, struct vfio_error *err)
{
	size_t len = strcspn(name, ",");
	char device[KERNEL_NAME], bdf[KERNEL_BDF];
	int r = options(q, name + len, err);

	if (r < 0)
		return r;
	snprintf(device, sizeof(device), "%.*s", len < sizeof(device) ? (int)len : 0, name);
	q->by_node = is_node(name, len);
	if (q->by_node)
		return kernel_find_node(q->roots, device, &q->place, err);
	if (!kernel_parse(device, bdf))
		return error_set(err, EINVAL, VFIO_E_NAME, VFIO_BY_LIBRARY,
				 "write it as 0000:03:00.0: domain, bus, device below 20, function "
				 "below 8", "'%.40s' is no PCI address", name);
	return kernel_find(q->roots, bdf, &q->place, err);
}

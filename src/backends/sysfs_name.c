/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "backends/sysfs.h"

#define DEVICES "/bus/pci/devices/"
#define LONGEST 3000

/* What lies beside sysfs, wherever that is: /host/sys has /host/dev. */
static void place(struct sysfs_root *root, const char *sys, size_t len)
{
	const char *slash;
	int base;

	while (len > 1 && sys[len - 1] == '/')
		len--;
	snprintf(root->sys, sizeof(root->sys), "%.*s", (int)len, sys);
	slash = strrchr(root->sys, '/');
	base = slash ? (int)(slash - root->sys) : 0;
	sys = slash ? root->sys : ".";
	base = slash ? base : 1;
	snprintf(root->dev, sizeof(root->dev), "%.*s/dev", base, sys);
	snprintf(root->proc, sizeof(root->proc), "%.*s/proc", base, sys);
	snprintf(root->run, sizeof(root->run), "%.*s/run", base, sys);
	root->roots = (struct kernel_roots){ root->sys, root->dev, root->proc };
}

bool sysfs_parse(const char *name, struct sysfs_root *root, char bdf[KERNEL_BDF])
{
	size_t len;
	char *end;

	bdf[0] = '\0';
	if (!strchr(name, '/')) {
		place(root, kernel_roots.sys, strlen(kernel_roots.sys));
		return kernel_parse(name, bdf);
	}
	len = strlen(name);
	if (len > LONGEST)
		return false;
	end = strrchr(name, '/');
	if (kernel_parse(end + 1, bdf)) {
		const size_t rest = (size_t)(end + 1 - name);

		if (rest <= strlen(DEVICES) ||
		    strncmp(end + 1 - strlen(DEVICES), DEVICES, strlen(DEVICES)))
			return false;
		len = rest - strlen(DEVICES);
	}
	place(root, name, len);
	return true;
}

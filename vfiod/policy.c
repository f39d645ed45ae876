/* SPDX-License-Identifier: MIT */
#include "policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys --------------------------------------------------------------------------------- */

size_t policy_count(void)
{
	size_t count;

	vfio_policy_keys(&count);
	return count;
}

const char *policy_name(size_t key)
{
	size_t count;

	return vfio_policy_keys(&count)[key].name;
}

const char *policy_values(size_t key)
{
	size_t count;

	return vfio_policy_keys(&count)[key].values;
}

size_t policy_find(const char *name, size_t len)
{
	size_t count, key = 0;
	const struct vfio_policy_key *keys = vfio_policy_keys(&count);

	while (key < count && (strncmp(keys[key].name, name, len) != 0 || keys[key].name[len]))
		key++;
	return key;
}

void policy_list_names(char *text, size_t size)
{
	size_t used = strlen(text);

	for (size_t key = 0; key < policy_count() && used < size; key++)
		used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "",
					 policy_name(key));
}

/* ---- values ------------------------------------------------------------------------------- */

void policy_finish(struct policy *policy)
{
	for (size_t key = 0; policy->values && key < policy_count(); key++)
		free(policy->values[key].text);
	free(policy->values);
	policy->values = NULL;
}

static int put(struct policy *policy, size_t key, const char *text, bool inherited)
{
	struct policy_value value = { strdup(text), inherited };

	if (!policy->values)
		policy->values = calloc(policy_count(), sizeof(*policy->values));
	if (!value.text || !policy->values) {
		free(value.text);
		return -ENOMEM;
	}
	free(policy->values[key].text);
	policy->values[key] = value;
	return 0;
}

int policy_set(struct policy *policy, size_t key, const char *text)
{
	return put(policy, key, text, false);
}

int policy_inherit(struct policy *policy, const struct policy *common)
{
	int ret = 0;

	for (size_t key = 0; key < policy_count() && ret == 0; key++)
		if (policy_said(common, key) && !policy_said(policy, key))
			ret = put(policy, key, policy_said(common, key), true);
	return ret;
}

const char *policy_said(const struct policy *policy, size_t key)
{
	return policy->values ? policy->values[key].text : NULL;
}

const char *policy_holds(const struct policy *policy, size_t key)
{
	const char *said = policy_said(policy, key);
	size_t count;

	return said ? said : vfio_policy_keys(&count)[key].standard;
}

bool policy_is_inherited(const struct policy *policy, size_t key)
{
	return policy->values && policy->values[key].inherited;
}

/* ---- devices ------------------------------------------------------------------------------ */

/* A device that does nothing, to ask the library what a key can be. */
static int open_scratch(struct vfio_dev **dev)
{
	static const struct vfio_function_ops ops = { .size = sizeof(ops) };
	const struct vfio_function_description description = {
		.size = sizeof(description),
		.name = "scratch",
		.vendor = 0x1234,
		.device = 0x0001,
		.class_code = 0xff0000,
	};
	struct vfio_function *fn;
	int ret = vfio_function_new(&fn, &description, &ops, NULL, NULL);

	if (ret < 0)
		return ret;
	ret = vfio_function_open(dev, fn, NULL);
	if (ret < 0)
		vfio_function_free(fn);
	return ret;
}

/* The library's sentence, which may have been too long for its record, and what is allowed. */
static char *explain(size_t key, const struct vfio_error *err)
{
	bool cut = strlen(err->what) + 1 >= sizeof(err->what);
	bool told = strstr(err->what, policy_values(key));
	char *text;

	if (asprintf(&text, "%s%s%s%s", err->what, cut ? "…" : "",
		     told ? "" : "; what is allowed is ", told ? "" : policy_values(key)) < 0)
		return NULL;
	return text;
}

char *policy_problem(size_t key, const char *text)
{
	struct vfio_dev *dev;
	char *problem = NULL;

	/* Without memory for this there is none for the real device, which then says so. */
	if (open_scratch(&dev) < 0)
		return NULL;
	if (vfio_policy_set(dev, policy_name(key), text) < 0 &&
	    vfio_last_error(dev)->code == VFIO_E_POLICY_VALUE)
		problem = explain(key, vfio_last_error(dev));
	vfio_close(dev);
	return problem;
}

int policy_apply(const struct policy *policy, struct vfio_dev *dev, size_t *failed)
{
	int ret = 0;

	for (size_t key = 0; key < policy_count() && ret == 0; key++) {
		*failed = key;
		if (policy_said(policy, key))
			ret = vfio_policy_set(dev, policy_name(key), policy_said(policy, key));
	}
	return ret;
}

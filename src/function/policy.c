/* SPDX-License-Identifier: MIT */
/*
 * What the administrator decides. One table has the keys, what they may be and what holds when
 * nothing is said: for vfio_policy_set(), for vfiod's configuration, and for people.
 */
#include "function/policy.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"
#include "base/export.h"

static const struct vfio_policy_key keys[] = {
	[VIEW] = { "view", "virtual, filtered", "virtual",
		   "show the virtual function, or its own registers with harmful writes refused" },
	[HIDE] = { "hide", "none, or capabilities: MSI-X, VPD, 0x09, ext:AER, ext:0x0b", "none",
		   "capabilities that are taken out of the lists" },
	[HIDDEN] = { "hidden", "raw, zero", "raw",
		     "what is read where a hidden capability lies" },
	[VECTORS] = { "vectors", "all, or a number up to 2048", "all",
		      "the most MSI or MSI-X vectors that a driver is granted" },
	[HOST_LACKS] = { "host-lacks", "none, or kinds of interrupts: intx, msi, msix", "none",
			 "kinds of interrupts that cannot be delivered as they are" },
	[LACKING] = { "lacking", "fail, hide, emulate", "fail",
		      "what becomes of an interrupt that the device has and the host lacks" },
	[MALFORMED] = { "malformed", "serve, refuse", "serve",
			"what becomes of a device whose lists of capabilities are broken" },
	[BEHAVIOUR] = { "behaviour", "latest, or a version: 1, 2", "latest",
			"the version of the library's behaviour that the device keeps to" },
	[AT_CLOSE] = { "at-close", "reset, keep", "reset",
		       "what becomes of the device's state when its user goes" },
	[MAX_MAPS] = { "max-maps", "a number up to 1048576", "1048576",
		       "the most DMA maps that a driver can have at a time" },
	[MAX_DMA] = { "max-dma", "all, or bytes: 65536, 64M, 8G", "all",
		      "the most memory that a driver can have mapped for DMA" },
	[IOVA] = { "iova", "all, or ranges of whole pages: 0x0-0xffff, 0x100000-0x7fffffff", "all",
		   "the I/O addresses that can be mapped" },
	[PROCESS_MEMORY] = { "process-memory", "refuse, allow", "refuse",
			     "whether a client may lend the memory of its process" },
};

#define NKEYS (sizeof(keys) / sizeof(keys[0]))

EXPORT const struct vfio_policy_key *vfio_policy_keys(size_t *count)
{
	*count = NKEYS;
	return keys;
}

void policy_init(struct policy *p)
{
	*p = (struct policy){
		.hide = "none", .vectors = UINT32_MAX, .behaviour = BEHAVIOUR_LATEST,
		.max_maps = SPACE_MAPS, .max_dma = UINT64_MAX, .iova = "all",
	};
}

/* ---- the calls ---------------------------------------------------------------------------- */

static int find_key(struct vfio_function *fn, const char *name)
{
	for (unsigned int i = 0; i < NKEYS; i++)
		if (strcmp(keys[i].name, name) == 0)
			return i;
	return side_keep(fn, error_set(fn->err, EINVAL, VFIO_E_POLICY_VALUE, VFIO_BY_LIBRARY,
				       "vfio_policy_keys() and `vfiod --print-policy` list the keys",
				       "no policy is called '%s'", name));
}

static bool is_used(const struct vfio_function *fn)
{
	const struct interrupts *irq = &fn->irq;

	return irq->active != NO_INDEX || irq->err >= 0 || irq->req >= 0 || fn->space.ranges.count;
}

/* These do not make the device anew. */
static bool is_run_time(enum policy_key key)
{
	return key == VECTORS || key == AT_CLOSE || key == MAX_MAPS || key == MAX_DMA ||
	       key == PROCESS_MEMORY;
}

/* What the policy says of memory. It cannot fail: ranges were looked at, and nothing is mapped. */
static void bound_memory(struct vfio_function *fn)
{
	const struct policy *p = &fn->policy;

	space_limit(&fn->space, p->max_maps, p->max_dma);
	fn->space.files.takes_process = p->process_memory;
	if (!fn->space.ranges.count)
		space_allow(&fn->space, p->ranges, p->nranges, fn->err);
}

/* Make the device anew, under this policy; as it was if that fails. */
static int adopt(struct vfio_function *fn, const struct policy *p)
{
	struct policy before = fn->policy;
	uint64_t resets = fn->resets;
	struct vfio_error told;
	int r;

	if (is_used(fn))
		return side_keep(fn, error_set(fn->err, EBUSY, VFIO_E_BUSY, VFIO_BY_FUNCTION,
				"wait until its user has gone",
				"the policy cannot change while interrupts are enabled or memory is "
				"mapped"));
	fn->policy = *p;
	r = function_view(fn);
	if (r == 0)
		r = function_power_on(fn);
	fn->resets = resets;		/* that was at nobody's wish */
	if (r == 0) {
		bound_memory(fn);
		return 0;
	}
	told = *fn->err;
	fn->policy = before;
	function_view(fn);
	function_power_on(fn);
	fn->resets = resets;
	*fn->err = told;
	return side_keep(fn, r);
}

static int refuse_value(struct vfio_function *fn, enum policy_key which, const char *value)
{
	const char *remedy = "`vfiod --print-policy` lists keys and values";
	char room[POLICY_WORD];
	const char *word = which == HIDE ? policy_bad_word(value, room) : NULL;

	if (word)
		error_set(fn->err, EINVAL, VFIO_E_POLICY_VALUE, VFIO_BY_LIBRARY, remedy,
			  "the policy 'hide': '%s' is no capability that is known, nor the number "
			  "of one", word);
	else if (which == HIDE && strlen(value) >= sizeof(fn->policy.hide))
		error_set(fn->err, EINVAL, VFIO_E_POLICY_VALUE, VFIO_BY_LIBRARY, remedy,
			  "the policy 'hide': the list has %zu bytes, and at most %zu are allowed",
			  strlen(value), sizeof(fn->policy.hide) - 1);
	else
		error_set(fn->err, EINVAL, VFIO_E_POLICY_VALUE, VFIO_BY_LIBRARY, remedy,
			  "the policy '%s' cannot be '%s': %s", keys[which].name, value,
			  keys[which].values);
	return side_keep(fn, -EINVAL);
}

int function_policy_set(struct vfio_function *fn, const char *key, const char *value)
{
	struct policy p = fn->policy;
	int which = find_key(fn, key);

	if (which < 0)
		return which;
	if (!policy_parse(&p, which, value))
		return refuse_value(fn, which, value);
	if (!is_run_time(which))
		return adopt(fn, &p);
	fn->policy = p;
	bound_memory(fn);
	return 0;
}

int function_policy_get(struct vfio_function *fn, const char *key, char *value, size_t size)
{
	char text[sizeof(fn->policy.hide)];
	int which = find_key(fn, key);

	if (which < 0)
		return which;
	policy_print(&fn->policy, which, text, sizeof(text));
	if (strlen(text) >= size)
		return error_set(fn->err, ENOSPC, VFIO_E_ARGUMENT, VFIO_BY_LIBRARY, NULL,
				 "the policy '%s' needs %zu bytes, and there are %zu", key,
				 strlen(text) + 1, size);
	strcpy(value, text);
	return 0;
}

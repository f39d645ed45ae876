/* SPDX-License-Identifier: MIT */
/*
 * What an administrator has decided about a device: values for the library's policy keys.
 *
 * The library's table says which keys there are, and the library alone knows which values they can
 * have. A key is known by its number in the table.
 */
#ifndef VFIOD_POLICY_H
#define VFIOD_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include <vfio/device.h>

struct policy_value {
	char *text;		/* NULL: nothing is said */
	bool inherited;		/* said for all devices, not for this one */
};

/* All zero: nothing is said of any key. */
struct policy {
	struct policy_value *values;	/* one for each key, or NULL */
};

void policy_finish(struct policy *policy);

size_t policy_count(void);
const char *policy_name(size_t key);
/* What it can be, for people. */
const char *policy_values(size_t key);
/* The number of a key with this name of len bytes, or policy_count(). */
size_t policy_find(const char *name, size_t len);
/* "view, hide, …", after what is in text already. */
void policy_list_names(char *text, size_t size);

/* 0 or -ENOMEM. */
int policy_set(struct policy *policy, size_t key, const char *text);
/* Take what common says of keys of which policy says nothing. 0 or -ENOMEM. */
int policy_inherit(struct policy *policy, const struct policy *common);

/* What is said, or NULL. */
const char *policy_said(const struct policy *policy, size_t key);
/* What holds: what is said, or what the library does when nothing is. */
const char *policy_holds(const struct policy *policy, size_t key);
bool policy_is_inherited(const struct policy *policy, size_t key);

/*
 * What is wrong with this value of the key, for the caller to free, or NULL. It is asked without
 * the device, which may still refuse what another one would not.
 */
char *policy_problem(size_t key, const char *text);

/* Set all that is said. 0, or a negative errno with *failed and the device's error record. */
int policy_apply(const struct policy *policy, struct vfio_dev *dev, size_t *failed);

#endif

/* SPDX-License-Identifier: MIT */
#include "print_policy.h"

#include <stdio.h>
#include <string.h>

#define MAX_WIDTH 100
#define VALUES_WIDTH 30
#define GAP 2

static int max(int a, size_t b)
{
	return (size_t)a > b ? a : (int)b;
}

/* How many bytes of text to put into a line of this width: whole words, if it has such. */
static int fit(const char *text, int width)
{
	int len = (int)strlen(text), cut = width;

	if (len <= width)
		return len;
	while (cut > 0 && text[cut] != ' ')
		cut--;
	return cut ? cut : width;
}

static const char *skip_space(const char *text)
{
	while (*text == ' ')
		text++;
	return text;
}

/* ---- the keys ----------------------------------------------------------------------------- */

struct widths {
	int name, standard;
};

/* One key, in as many lines as its two long texts take. */
static void print_row(const struct widths *widths, const char *name, const char *standard,
		      const char *values, const char *summary)
{
	int summary_width = MAX_WIDTH - widths->name - widths->standard - VALUES_WIDTH - 3 * GAP;

	do {
		int left = fit(values, VALUES_WIDTH), right = fit(summary, summary_width);

		printf("%-*s%-*s%-*.*s%.*s\n", widths->name + GAP, name, widths->standard + GAP,
		       standard, right ? VALUES_WIDTH + GAP : 0, left, values, right, summary);
		values = skip_space(values + left);
		summary = skip_space(summary + right);
		name = standard = "";
	} while (*values || *summary);
}

void print_policy_keys(void)
{
	size_t count;
	const struct vfio_policy_key *keys = vfio_policy_keys(&count);
	struct widths widths = { sizeof("KEY") - 1, sizeof("STANDARD") - 1 };

	for (size_t i = 0; i < count; i++) {
		widths.name = max(widths.name, strlen(keys[i].name));
		widths.standard = max(widths.standard, strlen(keys[i].standard));
	}
	print_row(&widths, "KEY", "STANDARD", "ALLOWED", "MEANING");
	for (size_t i = 0; i < count; i++)
		print_row(&widths, keys[i].name, keys[i].standard, keys[i].values,
			  keys[i].summary);
}

/* ---- the devices -------------------------------------------------------------------------- */

static const char *origin(const struct device_config *device, size_t key)
{
	if (!policy_said(&device->policy, key))
		return "standard";
	return policy_is_inherited(&device->policy, key) ? "[vfiod]" : "its section";
}

void print_policy_of(const struct config *config)
{
	const struct device_config *device;
	int device_width = sizeof("DEVICE") - 1, key_width = sizeof("KEY") - 1;

	STAILQ_FOREACH(device, &config->devices, entry)
		device_width = max(device_width, strlen(device->name));
	for (size_t key = 0; key < policy_count(); key++)
		key_width = max(key_width, strlen(policy_name(key)));
	printf("%-*s%-*s%-13s%s\n", device_width + GAP, "DEVICE", key_width + GAP, "KEY", "FROM",
	       "VALUE");
	STAILQ_FOREACH(device, &config->devices, entry)
		for (size_t key = 0; key < policy_count(); key++)
			printf("%-*s%-*s%-13s%s\n", device_width + GAP, device->name,
			       key_width + GAP, policy_name(key), origin(device, key),
			       policy_holds(&device->policy, key));
}

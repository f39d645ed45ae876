/* SPDX-License-Identifier: MIT */
/* --check and --audit: what the library finds, a line each, with the cure under it; or as JSON. */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include <vfio/check.h>

#include "lsvfio.h"

static const struct {
	const char *word, *key;
	int colour;
} verdicts[] = {
	[VFIO_PASS] = { "PASS", "pass", 32 },
	[VFIO_WARN] = { "WARN", "warn", 33 },
	[VFIO_FAIL] = { "FAIL", "fail", 31 },
};

/* Where findings go: to standard output, or into a list. */
struct report {
	const struct look *look;
	struct json_object *list;
	int worst;
};

static struct json_object *finding_value(const struct vfio_finding *f, const char *what,
					 const char *remedy)
{
	struct json_object *o = value_object();

	value_set(o, "verdict", value_string(verdicts[f->verdict].key));
	value_set(o, "topic", value_string(f->topic));
	value_set(o, "code", f->code ? value_number((uint64_t)f->code) : NULL);
	value_set(o, "what", value_string(what));
	value_set(o, "remedy", *remedy ? value_string(remedy) : NULL);
	return o;
}

static void print_finding(const struct vfio_finding *f, const char *what, const char *remedy,
			  const struct look *look)
{
	if (look->colour)
		printf("\033[%dm%s\033[0m", verdicts[f->verdict].colour,
		       verdicts[f->verdict].word);
	else
		fputs(verdicts[f->verdict].word, stdout);
	printf("  %-12s  ", f->topic);
	if (f->code)
		printf("VFIO-%03d: ", (int)f->code);
	puts(what);
	if (*remedy)
		printf("%20s%s\n", "", remedy);
}

static void take(void *arg, const struct vfio_finding *f)
{
	char *what = text_clean(f->what, strlen(f->what));
	char *remedy = text_clean(f->remedy, strlen(f->remedy));
	struct report *report = arg;

	if ((int)f->verdict > report->worst)
		report->worst = f->verdict;
	if (report->list)
		value_add(report->list, finding_value(f, what, remedy));
	else
		print_finding(f, what, remedy, report->look);
	free(what);
	free(remedy);
}

/* Nothing could be looked at: a finding, too. */
static void not_opened(struct report *report, const struct vfio_error *err)
{
	const struct vfio_finding f = {
		.verdict = VFIO_FAIL, .topic = "open", .code = err->code, .what = err->what,
		.remedy = err->remedy,
	};

	take(report, &f);
}

/* ---- one device ------------------------------------------------------------------------------ */

/* The library's name for a PCI device, or for the machine (NULL) whose sysfs it is. */
static char *observed_name(const struct sources *sources, const char *name)
{
	const char *here = strchr(sources->sysfs, '/') ? "" : "./";
	struct pci_address a;

	if (!name)
		return memory_printf("sysfs:%s%s", here, sources->sysfs);
	if (!pci_parse_address(name, &a))
		return memory_copy(name);
	return memory_printf("sysfs:%s%s/bus/pci/devices/%04x:%02x:%02x.%x", here, sources->sysfs,
			     a.domain, a.bus, a.slot, a.func);
}

static void check(struct report *report, const char *name)
{
	struct vfio_error err;

	if (vfio_check(name, take, report, &err) < 0)
		not_opened(report, &err);
}

static void audit(struct report *report, const char *name)
{
	struct vfio_error err;
	struct vfio_dev *dev;

	if (vfio_open(&dev, name, &err) < 0) {
		not_opened(report, &err);
		return;
	}
	if (vfio_audit(dev, take, report) < 0)
		not_opened(report, vfio_last_error(dev));
	vfio_close(dev);
}

static struct json_object *subject_value(const char *name, const struct report *report)
{
	struct json_object *o = value_object();
	char *clean = name ? text_clean(name, strlen(name)) : NULL;

	value_set(o, "device", value_string(clean));
	value_set(o, "verdict", value_string(verdicts[report->worst].key));
	value_set(o, "findings", report->list);
	free(clean);
	return o;
}

static void print_name(const char *name, const struct look *look, bool first)
{
	const char *text = name ? name : "this machine";
	char *clean = text_clean(text, strlen(text));

	printf(look->colour ? "%s\033[1m%s\033[0m\n" : "%s%s\n", first ? "" : "\n", clean);
	free(clean);
}

/* Its worst verdict. */
static int look_at(const struct action *action, const struct sources *sources, const char *name,
		   struct report *report)
{
	char *string = observed_name(sources, name);

	if (action->what == ACTION_CHECK)
		check(report, string);
	else
		audit(report, string);
	free(string);
	return report->worst;
}

int findings_print(const struct action *action, const struct sources *sources, char **names,
		   int n, const struct look *look, bool json)
{
	static const int status[] = {
		[VFIO_PASS] = EXIT_ALL, [VFIO_WARN] = EXIT_WARNED, [VFIO_FAIL] = EXIT_NONE,
	};
	struct json_object *devices = json ? value_list() : NULL;
	int worst = VFIO_PASS;

	for (int i = 0; i < (n ? n : 1); i++) {
		struct report report = { .look = look, .list = json ? value_list() : NULL };
		const char *name = n ? names[i] : NULL;

		if (!json)
			print_name(name, look, i == 0);
		if (look_at(action, sources, name, &report) > worst)
			worst = report.worst;
		if (json)
			value_add(devices, subject_value(name, &report));
	}
	if (json)
		json_print_devices(devices, NULL);
	return status[worst];
}

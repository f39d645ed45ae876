/* SPDX-License-Identifier: MIT */
/*
 * lsvfio: list the devices of running vfiods and the machine's PCI devices, or show some in full.
 *
 * Reading order: this file, model.h, lsvfio.h; then vfiod.c, pci.c and dump.c, where devices come
 * from, and list.c, show.c and json.c, where they go.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lsvfio.h"

enum {
	OPT_CONTROL = 256,
	OPT_CONFIG,
	OPT_SYSFS,
	OPT_NO_VFIOD,
	OPT_NO_PCI,
	OPT_COLOR,
	OPT_LIST_COLUMNS,
	OPT_ERRORS,
	OPT_CONFIG_MAP,
	OPT_TAINT,
	OPT_CHECK,
	OPT_AUDIT,
	OPT_BIND,
	OPT_UNBIND,
	OPT_DRIVER,
	OPT_FORCE,
	OPT_DRY_RUN,
};

#define TAINT "/run/libvfio/taint"

static const struct option long_options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "list-columns", no_argument, NULL, OPT_LIST_COLUMNS },
	{ "errors", no_argument, NULL, OPT_ERRORS },
	{ "hexdump", no_argument, NULL, 'x' },
	{ "config-map", no_argument, NULL, OPT_CONFIG_MAP },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "audit", no_argument, NULL, OPT_AUDIT },
	{ "bind", no_argument, NULL, OPT_BIND },
	{ "unbind", no_argument, NULL, OPT_UNBIND },
	{ "driver", required_argument, NULL, OPT_DRIVER },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "dry-run", no_argument, NULL, OPT_DRY_RUN },
	{ "json", no_argument, NULL, 'J' },
	{ "raw", no_argument, NULL, 'r' },
	{ "noheadings", no_argument, NULL, 'n' },
	{ "slot", required_argument, NULL, 's' },
	{ "id", required_argument, NULL, 'd' },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "control", required_argument, NULL, OPT_CONTROL },
	{ "sysfs", required_argument, NULL, OPT_SYSFS },
	{ "taint", required_argument, NULL, OPT_TAINT },
	{ "no-vfiod", no_argument, NULL, OPT_NO_VFIOD },
	{ "no-pci", no_argument, NULL, OPT_NO_PCI },
	{ "color", optional_argument, NULL, OPT_COLOR },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

static const char usage_text[] =
	"Usage: lsvfio [options] [DEVICE...]\n"
	"\n"
	"List vfiod's devices and the machine's PCI devices, or show each DEVICE in full.\n"
	"DEVICE is the name of a device of vfiod, a PCI address, or a device string\n"
	"(unix:PATH, fd:NUMBER, a module's name), which is then opened and so reset.\n"
	"\n"
	"Options:\n"
	"  -o, --output LIST        columns to print, or +LIST to add to the usual ones\n"
	"      --list-columns       print what columns there are\n"
	"      --errors             print only what the devices have recorded beside PCI\n"
	"  -x, --hexdump            print configuration space as lspci -F reads it\n"
	"      --config-map         print how each bit of configuration space behaves; for\n"
	"                           debugging, not for programs\n"
	"      --check              say what is in the way of using each DEVICE, or any, and\n"
	"                           what to do about it\n"
	"      --audit              say how well each DEVICE behaves\n"
	"      --bind               give each DEVICE to vfio-pci, unless it is in use\n"
	"      --unbind             give it back to the kernel's own driver\n"
	"      --driver NAME        to this driver instead of vfio-pci\n"
	"      --force              even if it is in use\n"
	"      --dry-run            only print what would be done\n"
	"  -J, --json               print JSON\n"
	"  -r, --raw                print columns one blank apart\n"
	"  -n, --noheadings         print no headings\n"
	"  -s, --slot SLOT          list only [[[domain]:]bus]:][slot][.func]\n"
	"  -d, --id ID              list only [vendor]:[device][:class]\n"
	"      --config FILE        show what FILE holds of configuration space: raw bytes, or\n"
	"                           the output of lspci -xxxx; repeatable\n"
	"      --control PATH       ask the vfiod of this control socket; repeatable\n"
	"      --sysfs DIR          read DIR instead of /sys\n"
	"      --taint FILE         read FILE instead of " TAINT "\n"
	"      --no-vfiod           leave vfiod's devices out\n"
	"      --no-pci             leave PCI devices out\n"
	"      --color[=WHEN]       auto, always or never\n"
	"  -h, --help               print this\n"
	"  -V, --version            print the version\n"
	"\n"
	"Exit status: 0 all right, 1 failure, 2 wrong usage, 3 warnings of --check or --audit,\n"
	"64 some DEVICEs not found.\n";

struct options {
	struct sources sources;
	struct ids *ids;
	const char *output;
	const char *list_only;	/* an option that was given and is for the list alone */
	const char *colour;
	bool json, list_columns, errors, hexdump, config_map;
	struct action action;
	struct paths dumps;
	const char *record;	/* of taint; NULL: this machine's, if it is this machine that is shown */
	struct taint taint;
	struct columns columns;
	struct look look;
};

static int wrong_usage(const char *what, const char *argument)
{
	char *clean = text_clean(argument, strlen(argument));

	fprintf(stderr, "lsvfio: %s: %s; 'lsvfio --help' lists the options\n", clean, what);
	free(clean);
	return EXIT_USAGE;
}

static bool want_colour(const char *when)
{
	const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

	if (strcmp(when, "auto"))
		return !strcmp(when, "always");
	return isatty(STDOUT_FILENO) && !(none && *none) && !(term && !strcmp(term, "dumb"));
}

static int select_devices(const char *(*select)(struct ids *, const char *), struct options *o,
			  const char *text)
{
	const char *wrong = select(o->ids, text);

	return wrong ? wrong_usage(wrong, text) : 0;
}

static int set_colour(struct options *o, const char *when)
{
	o->colour = when ? when : "auto";
	if (strcmp(o->colour, "auto") && strcmp(o->colour, "always") && strcmp(o->colour, "never"))
		return wrong_usage("--color takes auto, always or never", o->colour);
	return 0;
}

/* Options of the list. */
static int list_option(struct options *o, int c)
{
	static const char *const names[] = {
		['o'] = "--output", ['r'] = "--raw", ['n'] = "--noheadings", ['s'] = "--slot",
		['d'] = "--id",
	};

	o->list_only = names[c];
	switch (c) {
	case 'o':
		o->output = optarg;
		return 0;
	case 'r':
		o->look.raw = true;
		return 0;
	case 'n':
		o->look.noheadings = true;
		return 0;
	case 's':
		return select_devices(ids_select_slot, o, optarg);
	default:
		return select_devices(ids_select_id, o, optarg);
	}
}

/* What is printed of each device. */
static int form_option(struct options *o, int c)
{
	switch (c) {
	case OPT_ERRORS:
		o->errors = true;
		return 0;
	case OPT_CONFIG_MAP:
		o->config_map = o->sources.map = true;
		return 0;
	default:
		o->hexdump = true;
		return 0;
	}
}

/* What is done instead of printing devices, and how. */
static int action_option(struct action *action, int c)
{
	static const char *const names[] = {
		[ACTION_CHECK] = "--check", [ACTION_AUDIT] = "--audit", [ACTION_BIND] = "--bind",
		[ACTION_UNBIND] = "--unbind",
	};

	switch (c) {
	case OPT_DRIVER:
		action->driver = optarg;
		return 0;
	case OPT_FORCE:
		action->force = true;
		return 0;
	case OPT_DRY_RUN:
		action->dry = true;
		return 0;
	}
	if (action->option)
		return wrong_usage("only one of --check, --audit, --bind, --unbind",
				   action->option);
	action->what = ACTION_CHECK + (c - OPT_CHECK);
	action->option = names[action->what];
	return 0;
}

static int source_option(struct sources *sources, int c)
{
	switch (c) {
	case OPT_CONTROL:
		sources->vfiods.named = true;
		paths_add(&sources->vfiods.paths, optarg);
		return 0;
	case OPT_SYSFS:
		sources->sysfs = optarg;
		sources->sysfs_named = true;
		return 0;
	case OPT_NO_VFIOD:
		sources->vfiod = false;
		return 0;
	default:
		sources->pci = false;
		return 0;
	}
}

static int one_option(struct options *o, int c)
{
	switch (c) {
	case 'o':
	case 'r':
	case 'n':
	case 's':
	case 'd':
		return list_option(o, c);
	case 'J':
		o->json = true;
		return 0;
	case OPT_COLOR:
		return set_colour(o, optarg);
	case OPT_LIST_COLUMNS:
		o->list_columns = true;
		return 0;
	case OPT_ERRORS:
	case OPT_CONFIG_MAP:
	case 'x':
		return form_option(o, c);
	case OPT_TAINT:
		o->record = optarg;
		return 0;
	case OPT_CHECK:
	case OPT_AUDIT:
	case OPT_BIND:
	case OPT_UNBIND:
	case OPT_DRIVER:
	case OPT_FORCE:
	case OPT_DRY_RUN:
		return action_option(&o->action, c);
	case OPT_CONFIG:
		paths_add(&o->dumps, optarg);
		return 0;
	case OPT_CONTROL:
	case OPT_SYSFS:
	case OPT_NO_VFIOD:
	case OPT_NO_PCI:
		return source_option(&o->sources, c);
	default:
		fputs("'lsvfio --help' lists the options\n", stderr);
		return EXIT_USAGE;
	}
}

/* -1 to go on, or the exit status. */
static int parse_options(struct options *o, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "o:Jrns:d:xhV", long_options, NULL)) != -1) {
		int r;

		if (c == 'h') {
			fputs(usage_text, stdout);
			return EXIT_ALL;
		}
		if (c == 'V') {
			puts("lsvfio (libvfio) " LIBVFIO_VERSION);
			return EXIT_ALL;
		}
		r = one_option(o, c);
		if (r)
			return r;
	}
	return -1;
}

static int check_action(const struct options *o, bool named)
{
	const struct action *action = &o->action;
	const char *option = action->option;
	bool binds = action->what == ACTION_BIND || action->what == ACTION_UNBIND;

	if ((action->force || action->dry) && !binds)
		return wrong_usage("these are for --bind and --unbind", "--force, --dry-run");
	if (action->driver && action->what != ACTION_BIND)
		return wrong_usage("this is for --bind", "--driver");
	if (!option)
		return -1;
	if (o->list_only || o->errors || o->hexdump || o->config_map || o->dumps.n)
		return wrong_usage("this prints something else than the other options", option);
	if (action->what != ACTION_CHECK && !named)
		return wrong_usage("this is of a DEVICE, and none is named", option);
	if (binds && o->json)
		return wrong_usage("not together with --json", option);
	return -1;
}

static int check_options(struct options *o, bool full)
{
	char *wrong = columns_parse(&o->columns, o->output);

	if (wrong) {
		fprintf(stderr, "lsvfio: --output: %s\n", wrong);
		free(wrong);
		return EXIT_USAGE;
	}
	if (full && o->list_only)
		return wrong_usage("this is for the list, and a DEVICE or a file is named",
				   o->list_only);
	if (o->errors && o->list_only)
		return wrong_usage("this is for the list, and --errors prints none", o->list_only);
	if (o->errors && o->dumps.n)
		return wrong_usage("not together with --errors: a file has no records",
				   "--config");
	if (o->errors + o->hexdump + o->config_map > 1)
		return wrong_usage("only one of them", "--errors, --hexdump, --config-map");
	if ((o->hexdump || o->config_map) && !full)
		return wrong_usage("this is of a DEVICE or a file, and none is named",
				   o->hexdump ? "--hexdump" : "--config-map");
	if (o->json && o->hexdump)
		return wrong_usage("not together with --json", "--hexdump");
	if (o->json && o->look.raw)
		return wrong_usage("not together with --json", "--raw");
	if (o->sources.vfiods.named && !o->sources.vfiod)
		return wrong_usage("not together with --control", "--no-vfiod");
	if (o->sources.sysfs_named && !o->sources.pci)
		return wrong_usage("not together with --sysfs", "--no-pci");
	o->look.colour = want_colour(o->colour);
	return -1;
}

/* A machine may have no PCI; a folder that was named must be there. */
static bool list_pci(struct device_list *list, const struct options *o)
{
	int r = pci_list(list, o->sources.sysfs, o->ids);
	char *clean;

	if (r == 0 || (r == -ENOENT && !o->sources.sysfs_named))
		return true;
	clean = text_clean(o->sources.sysfs, strlen(o->sources.sysfs));
	fprintf(stderr, "lsvfio: PCI devices cannot be listed: %s/bus/pci/devices: %s\n", clean,
		strerror(-r));
	free(clean);
	return false;
}

static void print_errors(const struct device_list *list, const struct options *o)
{
	if (o->json)
		json_print_errors(list);
	else
		errors_print(list, &o->look);
}

/* PCI devices have no records where one could look without opening them. */
static int list_errors(struct options *o)
{
	struct device_list list = TAILQ_HEAD_INITIALIZER(list);
	bool ok = !o->sources.vfiod || vfiod_list(&list, &o->sources.vfiods, DESCRIBED, o->ids);

	print_errors(&list, o);
	device_list_free(&list);
	return ok ? EXIT_ALL : EXIT_NONE;
}

/* False when the record that was named cannot be read. */
static bool mark_taint(struct options *o, struct device_list *list)
{
	bool ok = true;

	if (o->record || !o->sources.sysfs_named)
		ok = taint_read(&o->taint, o->record ? o->record : TAINT, o->record) || !o->record;
	taint_mark(&o->taint, list);
	return ok;
}

static int list_devices(struct options *o)
{
	struct device_list list = TAILQ_HEAD_INITIALIZER(list);
	bool described = columns_described(&o->columns) || ids_selects_id(o->ids);
	bool ok = true;

	if (o->sources.vfiod)
		ok = vfiod_list(&list, &o->sources.vfiods, described ? IDENTIFIED : AS_LISTED,
				o->ids);
	if (o->sources.pci && !list_pci(&list, o))
		ok = false;
	if (!mark_taint(o, &list))
		ok = false;
	if (o->json)
		json_print_list(&list, &o->columns, &o->taint);
	else
		list_print(&list, &o->columns, &o->look);
	if (!o->json && !o->look.raw && !o->look.noheadings)
		taint_print(&o->taint);
	device_list_free(&list);
	return ok ? EXIT_ALL : EXIT_NONE;
}

static void print_full(struct device_list *list, const struct options *o)
{
	struct device *d;

	TAILQ_FOREACH(d, list, entry)
		ids_name(o->ids, &d->id);
	if (o->json) {
		json_print_full(list, &o->taint);
		return;
	}
	TAILQ_FOREACH(d, list, entry) {
		if (d != TAILQ_FIRST(list))
			putchar('\n');
		show_print(d, &o->look);
	}
}

static void print_maps(const struct device_list *list, const struct options *o)
{
	const struct device *d;

	if (o->json) {
		json_print_map(list);
		return;
	}
	TAILQ_FOREACH(d, list, entry) {
		if (d != TAILQ_FIRST(list))
			putchar('\n');
		config_map_print(d, &o->look);
	}
}

static void print_form(struct device_list *list, const struct options *o)
{
	if (o->errors)
		print_errors(list, o);
	else if (o->hexdump)
		config_dump(list);
	else if (o->config_map)
		print_maps(list, o);
	else
		print_full(list, o);
}

static int show_devices(struct options *o, char **names, int n)
{
	struct device_list list = TAILQ_HEAD_INITIALIZER(list);
	int found = 0, asked = n + (int)o->dumps.n;

	for (size_t i = 0; i < o->dumps.n; i++)
		if (dump_show(&list, o->dumps.path[i]))
			found++;
	for (int i = 0; i < n; i++)
		if (lookup_device(&list, &o->sources, names[i]))
			found++;
	if (!mark_taint(o, &list))
		asked++;
	print_form(&list, o);
	device_list_free(&list);
	if (found == asked)
		return EXIT_ALL;
	return found ? EXIT_SOME : EXIT_NONE;
}

static int run(struct options *o, char **names, int n)
{
	bool full = n || o->dumps.n;
	int r = check_action(o, n);

	if (r < 0)
		r = check_options(o, full);
	if (r >= 0)
		return r;
	if (o->action.what == ACTION_BIND || o->action.what == ACTION_UNBIND)
		return bind_devices(&o->action, o->sources.sysfs, names, n);
	if (o->action.option)
		return findings_print(&o->action, &o->sources, names, n, &o->look, o->json);
	if (o->list_columns) {
		columns_print(o->look.raw, o->look.noheadings);
		return EXIT_ALL;
	}
	if (o->sources.vfiod && !o->sources.vfiods.named)
		runtime_scan(&o->sources.vfiods.paths);
	if (full)
		return show_devices(o, names, n);
	return o->errors ? list_errors(o) : list_devices(o);
}

/* What could not be written was not shown. */
static int close_stdout(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, "lsvfio: the output cannot be written: %s\n", strerror(errno));
	return EXIT_NONE;
}

int main(int argc, char **argv)
{
	struct options o = {
		.sources = { .vfiod = true, .pci = true, .sysfs = "/sys" },
		.colour = "auto",
	};
	int status;

	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C");
	o.ids = ids_open();
	status = parse_options(&o, argc, argv);
	if (status < 0)
		status = run(&o, argv + optind, argc - optind);
	ids_close(o.ids);
	paths_free(&o.sources.vfiods.paths);
	paths_free(&o.dumps);
	taint_free(&o.taint);
	return close_stdout(status);
}

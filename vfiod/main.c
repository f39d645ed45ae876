/* SPDX-License-Identifier: MIT */
/* vfiod: serve PCI devices to other processes over vfio-user. This file reads the command line. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "message.h"
#include "policy.h"
#include "print_policy.h"
#include "privileges.h"
#include "supervisor.h"
#include "title.h"

#define DEFAULT_CONFIG "/etc/vfiod/vfiod.conf"
#define EXIT_USAGE 2

struct arguments {
	const char *device, *socket_path, *config, *control, *user;
	const char *fd_text;
	int fd;
	unsigned int timeout_ms;	/* 0: not given */
	int level;
	bool check_config, print_policy, unsafe;
	struct policy policy;
};

enum { CHECK_CONFIG = 256, PRINT_CAPABILITIES, PRINT_POLICY, CONTROL, UNSAFE };

static const struct row {
	int key;			/* below 256: the short option, too */
	const char *name, *argument, *help;
} rows[] = {
	{ 'd', "device", "STRING", "serve this one device, in the foreground" },
	{ 's', "socket-path", "PATH", "make the device's socket here" },
	{ 'f', "fd", "N", "or use this inherited socket, listening or connected" },
	{ 'c', "config", "FILE", "serve the devices of FILE (" DEFAULT_CONFIG ")" },
	{ CHECK_CONFIG, "check-config", NULL, "only say what is wrong with the configuration" },
	{ CONTROL, "control", "PATH", "make the control socket here" },
	{ 'u', "user", "NAME", "root's device processes run as NAME ("
	  PRIVILEGES_DEFAULT_USER ")" },
	{ 't', "timeout", "MS", "drop a client that owes something so long (5000)" },
	{ 'p', "policy", "KEY=VALUE", "decide this about the device; repeatable" },
	{ UNSAFE, "unsafe", NULL, "serve a device that nothing isolates, to root alone" },
	{ PRINT_POLICY, "print-policy", NULL, "list the policies, and what holds for each device" },
	{ PRINT_CAPABILITIES, "print-capabilities", NULL, "say in JSON what vfiod can do" },
	{ 'q', "quiet", NULL, "log only warnings and errors" },
	{ 'v', "verbose", NULL, "log everything" },
	{ 'h', "help", NULL, "print this help" },
	{ 'V', "version", NULL, "print the version" },
};

#define NROWS (sizeof(rows) / sizeof(rows[0]))

static void print_help(void)
{
	char left[40];

	printf("Usage: vfiod --device STRING (--socket-path PATH | --fd N) [OPTION…]\n"
	       "       vfiod [--config FILE] [OPTION…]\n"
	       "Serve PCI devices to other processes over vfio-user.\n\n");
	for (size_t i = 0; i < NROWS; i++) {
		snprintf(left, sizeof(left), "--%s%s%s", rows[i].name, rows[i].argument ? " " : "",
			 rows[i].argument ? rows[i].argument : "");
		if (rows[i].key < 256)
			printf("  -%c, %-20s %s\n", rows[i].key, left, rows[i].help);
		else
			printf("      %-20s %s\n", left, rows[i].help);
	}
	printf("\nExample:\n"
	       "  vfiod --device edu --socket-path /tmp/edu.sock\n\n"
	       "See vfiod(8) and vfiod.conf(5).\n");
}

static void print_capabilities(void)
{
	static const char *const features[] = { "device", "config", "control", "policy" };
	struct json_object *list = json_object_new_array();
	struct json_object *json = message_new("type", json_object_new_string("vfio-user"));

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		json_object_array_add(list, json_object_new_string(features[i]));
	json_object_object_add(json, "features", list);
	json_object_object_add(json, "version", json_object_new_string(LIBVFIO_VERSION));
	printf("%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
	json_object_put(json);
}

static _Noreturn void usage(const char *problem, const char *what)
{
	fprintf(stderr, "vfiod: %s%s%s\nTry 'vfiod --help'.\n", problem, what ? ": " : "",
		what ? what : "");
	exit(EXIT_USAGE);
}

/* ---- reading ------------------------------------------------------------------------------ */

static int parse_fd(const char *text)
{
	char *end;
	long fd;

	errno = 0;
	fd = strtol(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || fd > INT_MAX)
		usage("--fd wants the number of a descriptor, not", text);
	if (fcntl((int)fd, F_GETFD) < 0)
		usage("--fd: no such descriptor is open", text);
	return (int)fd;
}

static _Noreturn void unknown_policy(const char *text, size_t len)
{
	char names[400] = "", *problem;

	policy_list_names(names, sizeof(names));
	if (asprintf(&problem, "there is no key '%.*s'; allowed are %s", (int)len, text, names) < 0)
		problem = NULL;
	usage("--policy", problem);
}

static void take_policy(struct arguments *arguments, const char *text)
{
	size_t len = strcspn(text, "="), key = policy_find(text, len);
	char *problem;

	if (!text[len])
		usage("--policy wants KEY=VALUE, not", text);
	if (key == policy_count())
		unknown_policy(text, len);
	problem = policy_problem(key, text + len + 1);
	if (problem)
		usage("--policy", problem);
	if (policy_set(&arguments->policy, key, text + len + 1) < 0)
		usage("--policy", strerror(ENOMEM));
}

static void take_option(struct arguments *arguments, int key)
{
	switch (key) {
	case 'd': arguments->device = optarg; break;
	case 's': arguments->socket_path = optarg; break;
	case 'f': arguments->fd_text = optarg; break;
	case 'c': arguments->config = optarg; break;
	case 'u': arguments->user = optarg; break;
	case 't':
		if (!config_parse_timeout(optarg, &arguments->timeout_ms))
			usage("--timeout wants milliseconds from 1 to 600000, not", optarg);
		break;
	case 'q': arguments->level = LOG_WARNING; break;
	case 'v': arguments->level = LOG_DEBUG; break;
	case CHECK_CONFIG: arguments->check_config = true; break;
	case CONTROL: arguments->control = optarg; break;
	case 'p': take_policy(arguments, optarg); break;
	case UNSAFE: arguments->unsafe = true; break;
	case PRINT_POLICY: arguments->print_policy = true; break;
	case PRINT_CAPABILITIES: print_capabilities(); exit(EXIT_SUCCESS);
	case 'h': print_help(); exit(EXIT_SUCCESS);
	case 'V': printf("vfiod %s\n", LIBVFIO_VERSION); exit(EXIT_SUCCESS);
	default: usage("an option is wrong", NULL);	/* getopt has said which */
	}
}

static void parse_options(struct arguments *arguments, int argc, char *argv[])
{
	struct option options[NROWS + 1] = { 0 };
	char letters[2 * NROWS + 1], *letter = letters;
	int key;

	for (size_t i = 0; i < NROWS; i++) {
		options[i] = (struct option){ rows[i].name,
			rows[i].argument ? required_argument : no_argument, NULL, rows[i].key };
		if (rows[i].key >= 256)
			continue;
		*letter++ = (char)rows[i].key;
		if (rows[i].argument)
			*letter++ = ':';
	}
	*letter = '\0';
	while ((key = getopt_long(argc, argv, letters, options, NULL)) != -1)
		take_option(arguments, key);
	if (optind < argc)
		usage("there is an argument too many", argv[optind]);
}

/* As of a file's devices: both or neither. */
static void check_unsafe(const struct arguments *arguments)
{
	bool by_name = arguments->device && config_is_unsafe(arguments->device);

	if (arguments->unsafe && !arguments->device)
		usage("--unsafe wants --device STRING with it; FILE has it as a key", NULL);
	if (arguments->unsafe && !by_name)
		usage("--unsafe is for devices named 'uio:...' and 'unsafe-...', and not for",
		      arguments->device);
	if (by_name && !arguments->unsafe)
		usage("nothing keeps the device from any memory of the machine: it takes --unsafe, too",
		      arguments->device);
}

static void check_arguments(struct arguments *arguments)
{
	bool socket = arguments->socket_path || arguments->fd_text;

	if (arguments->socket_path && arguments->fd_text)
		usage("--socket-path and --fd exclude each other", NULL);
	if (arguments->device && arguments->config)
		usage("--device and --config exclude each other", NULL);
	if (arguments->device && arguments->check_config)
		usage("--device and --check-config exclude each other", NULL);
	if (arguments->device && arguments->print_policy)
		usage("--device and --print-policy exclude each other", NULL);
	if (arguments->policy.values && !arguments->device)
		usage("--policy wants --device STRING with it; FILE has it as keys", NULL);
	if (arguments->device && !socket)
		usage("--device wants --socket-path PATH or --fd N with it", NULL);
	if (!arguments->device && socket)
		usage("--socket-path and --fd want --device STRING with them", NULL);
	if (arguments->device && (!*arguments->device || *arguments->device == ','))
		usage("--device wants a device string, for example", "edu");
	if (arguments->device && !is_utf8(arguments->device))
		usage("--device is not in UTF-8", NULL);
	check_unsafe(arguments);
	if (arguments->fd_text)
		arguments->fd = parse_fd(arguments->fd_text);
}

/* Clients are in other directories: they need the whole path. */
static char *absolute_path(const char *path)
{
	char *directory, *whole = NULL;

	if (!*path || !is_utf8(path))
		usage("a socket's path must not be empty, and must be in UTF-8", NULL);
	if (*path == '/')
		return strdup(path);
	directory = getcwd(NULL, 0);
	if (directory && asprintf(&whole, "%s/%s", directory, path) < 0)
		whole = NULL;
	free(directory);
	return whole;
}

/* ---- the program -------------------------------------------------------------------------- */

static int out_of_memory(void)
{
	log_error(NULL, "out of memory");
	return -ENOMEM;
}

static int configure_device(struct config *config, struct arguments *arguments)
{
	char *path = NULL;
	struct device_config *device;

	if (arguments->socket_path) {
		path = absolute_path(arguments->socket_path);
		if (!path)
			return out_of_memory();
	}
	device = config_add_device(config, arguments->device, path, arguments->fd);
	free(path);
	if (!device)
		return out_of_memory();
	device->access.unsafe = arguments->unsafe;
	device->policy = arguments->policy;
	arguments->policy = (struct policy){ 0 };
	return 0;
}

static int configure_file(struct config *config, const char *path)
{
	unsigned int errors = config_load(config, path);

	if (!errors)
		return 0;
	log_error(NULL, "%s: %u error%s, nothing is started", path, errors, errors == 1 ? "" : "s");
	return -EINVAL;
}

/* The command line goes before the file. */
static int override_control(struct config *config, const char *path)
{
	char *whole = absolute_path(path);

	if (!whole)
		return out_of_memory();
	config->control_first = whole;
	return 0;
}

/* Without --config only what there is. */
static int print_policy(struct config *config, const char *path)
{
	int ret = path ? configure_file(config, path) : 0;

	if (ret < 0)
		return EXIT_FAILURE;
	print_policy_keys();
	if (path) {
		putchar('\n');
		print_policy_of(config);
	}
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run(struct config *config, struct arguments *arguments)
{
	const char *path = arguments->config ? arguments->config : DEFAULT_CONFIG;
	struct user user;
	int ret;

	if (arguments->print_policy)
		return print_policy(config, arguments->config);
	if (arguments->device)
		ret = configure_device(config, arguments);
	else
		ret = configure_file(config, path);
	if (arguments->timeout_ms)
		config->timeout_ms = arguments->timeout_ms;
	if (ret == 0 && arguments->control)
		ret = override_control(config, arguments->control);
	if (ret == 0)
		ret = privileges_find_user(&user, arguments->user ? arguments->user : config->user);
	if (ret < 0)
		return EXIT_FAILURE;
	if (!arguments->check_config)
		return supervise(config, &user);
	log_notice(NULL, "%s: no errors, %u device%s", path, config->ndevices,
		   config->ndevices == 1 ? "" : "s");
	return EXIT_SUCCESS;
}

/* Or the first sockets would get the numbers of stdin, stdout and stderr. */
static void open_standard_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char *argv[])
{
	struct arguments arguments = { .fd = -1, .level = LOG_INFO };
	struct config config;
	int status;

	open_standard_descriptors();
	parse_options(&arguments, argc, argv);
	check_arguments(&arguments);
	log_open(arguments.level);
	title_init(argc, argv);
	config_init(&config);
	status = run(&config, &arguments);
	config_finish(&config);
	policy_finish(&arguments.policy);
	return status;
}

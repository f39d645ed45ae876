/* SPDX-License-Identifier: MIT */
/*
 * vfio-nvme: look at an NVMe disk, copy files onto it and back, and measure it, through the
 * user-level driver of drivers/nvme.
 *
 * Reading order: this file, program.h; disk.c, how a disk is opened; transfer.c, many commands
 * under way at once; worker.c, the same without a wasted instruction.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "program.h"

static const struct command {
	const char *name;
	unsigned int bit;		/* of options */
	const char *file;		/* the argument; NULL: none, "[FILE]": it may be left out */
	int (*run)(struct program *program);
	const char *summary;
} commands[] = {
	{ "identify", OF_IDENTIFY, NULL, command_identify,
	  "show the controller and its namespaces" },
	{ "smart", OF_SMART, NULL, command_smart,
	  "show the SMART log and the error log" },
	{ "read", OF_READ, "[FILE]", command_read,
	  "read blocks into FILE, or standard output" },
	{ "write", OF_WRITE, "[FILE]", command_write,
	  "write blocks from FILE, or standard input" },
	{ "copy-in", OF_COPY_IN, "FILE", command_copy_in,
	  "copy FILE onto the disk; the rest of its last block is zeros" },
	{ "copy-out", OF_COPY_OUT, "FILE", command_copy_out,
	  "copy bytes of the disk into FILE" },
	{ "flush", OF_FLUSH, NULL, command_flush,
	  "bring what was written to the medium" },
	{ "reset", OF_RESET, NULL, command_reset,
	  "reset the controller and bring it up again" },
	{ "bench", OF_BENCH, NULL, command_bench,
	  "measure how fast it is; patterns that write destroy what is there" },
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

static int help(void)
{
	puts("Usage: " PROGRAM " [-d STRING] COMMAND [options] [FILE]\n"
	     "\n"
	     "Drive an NVMe disk from user space.\n"
	     "\n"
	     "Commands:");
	for (size_t i = 0; i < COMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].summary);
	puts("\nOptions of all commands:");
	options_print(stdout, 0);
	puts("\n"
	     "'" PROGRAM " COMMAND --help' lists those of a command.\n"
	     "Sizes may end in k, M, G or T.\n"
	     "\n"
	     "Exit status: 0 all right, 1 something failed, 2 wrong command line, 3 the disk was\n"
	     "wanted back, or has reported an error.");
	return 0;
}

static int command_help(const struct command *command)
{
	printf("Usage: " PROGRAM " %s [options]%s%s\n\n%c%s.\n\nOptions:\n", command->name,
	       command->file ? " " : "", command->file ? command->file : "",
	       command->summary[0] - 'a' + 'A', command->summary + 1);
	options_print(stdout, command->bit);
	return 0;
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

/* The arguments behind the options: at most a file. */
static int take_file(struct settings *settings, const struct command *command, int argc,
		     char **argv)
{
	if (argc - optind > (command->file ? 1 : 0))
		return usage_error("%s: '%s' is one argument too many", command->name,
				   argv[argc - 1]);
	settings->file = argv[optind];
	if (!settings->file && command->file && *command->file != '[')
		return usage_error("%s: %s is missing", command->name, command->file);
	return OPTIONS_GO_ON;
}

static int parse(struct settings *settings, const struct command **command, int argc, char **argv)
{
	int ret = options_parse(settings, 0, argc, argv);

	if (ret != OPTIONS_GO_ON)
		return ret == OPTIONS_HELP ? help() : ret;
	if (optind == argc)
		return usage_error("no command is given");
	*command = find_command(argv[optind]);
	if (!*command)
		return usage_error("'%s' is no command", argv[optind]);
	argc -= optind;
	argv += optind;
	ret = options_parse(settings, (*command)->bit, argc, argv);
	if (ret != OPTIONS_GO_ON)
		return ret == OPTIONS_HELP ? command_help(*command) : ret;
	return take_file(settings, *command, argc, argv);
}

/* What could not be written was not shown. */
static int close_stdout(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	fprintf(stderr, PROGRAM ": the output cannot be written: %s\n", strerror(errno));
	return EXIT_WRONG;
}

/*
 * A standard descriptor that is closed would become the next file's, a disk perhaps, and what is
 * printed would go there. Nothing can be read from what stands in for it, or written.
 */
static void keep_places(void)
{
	int fd;

	do
		fd = open("/", O_PATH | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* What failed may be because of an event that nobody had looked for yet: then both are told. */
static int tell_failure(const struct program *program)
{
	vfio_error_print(stderr, PROGRAM, &program->error);
	if (!program->event.err)
		return EXIT_WRONG;
	if (program->event.code != program->error.code)
		vfio_error_print(stderr, PROGRAM, &program->event);
	return EXIT_LEFT;
}

int main(int argc, char **argv)
{
	struct program program = { .nvme = NULL };
	const struct command *command = NULL;
	int ret;

	keep_places();
	setlocale(LC_CTYPE, "");
	settings_init(&program.settings);
	ret = parse(&program.settings, &command, argc, argv);
	if (ret >= 0)
		return close_stdout(ret);
	catch_signals();
	ret = command->run(&program);
	if (ret < 0)
		disk_must_be_left(&program);
	vfio_nvme_close(program.nvme);
	if (ret < 0)
		ret = tell_failure(&program);
	return close_stdout(ret);
}

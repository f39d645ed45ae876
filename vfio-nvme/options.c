/* SPDX-License-Identifier: MIT */
/* The one table of options: getopt_long(3), what is checked, and the help are all made from it. */
#include <getopt.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "program.h"

enum kind { FLAG, TEXT, NUMBER, SIZE, SECONDS, HELP, VERSION };

struct option_row {
	const char *name;
	char letter;			/* 0: none */
	enum kind kind;
	unsigned int commands;
	size_t member;			/* of struct settings */
	uint64_t least, most;		/* of numbers; of SECONDS in milliseconds */
	const char *argument, *help;
};

#define AT(member) offsetof(struct settings, member)
#define COPIES (OF_COPY_IN | OF_COPY_OUT)
#define TRANSFERS (COPIES | OF_READ | OF_WRITE)

static const struct option_row rows[] = {
	{ "device", 'd', TEXT, OF_ALL, AT(device), 0, 0, "STRING",
	  "the device (default: $VFIO_DEVICE): unix:/run/vfiod/nvme0.sock,\n"
	  "0000:03:00.0, or nvme,file=disk.img for one in this process" },
	{ "timeout", 0, NUMBER, OF_ALL, AT(timeout), 1, 86400, "SECONDS",
	  "how long a command may take (default: 30)" },
	{ "namespace", 'n', NUMBER, TRANSFERS | OF_FLUSH | OF_BENCH, AT(nsid), 1, UINT32_MAX - 1,
	  "NUMBER", "the namespace (default: the first)" },
	{ "offset", 'o', SIZE, TRANSFERS, AT(offset), 0, UINT64_MAX - 1, "BYTES",
	  "where on the disk, in bytes" },
	{ "lba", 'l', NUMBER, TRANSFERS, AT(lba), 0, UINT64_MAX - 1, "BLOCK",
	  "where on the disk, in blocks" },
	{ "size", 's', SIZE, TRANSFERS & ~OF_COPY_IN, AT(size), 0, UINT64_MAX - 1, "BYTES",
	  "how much, in bytes" },
	{ "count", 'c', NUMBER, TRANSFERS & ~OF_COPY_IN, AT(count), 0, UINT64_MAX - 1, "BLOCKS",
	  "how much, in blocks" },
	{ "pattern", 'p', TEXT, OF_BENCH, AT(pattern), 0, 0, "PATTERN",
	  "randread (default), randwrite, randrw, read or write" },
	{ "size", 's', SIZE, OF_BENCH, AT(size), 1, 1u << 30, "BYTES",
	  "bytes of one command (default: 4k)" },
	{ "depth", 'D', NUMBER, TRANSFERS | OF_BENCH, AT(depth), 1, 65535, "NUMBER",
	  "commands under way at once, in each queue" },
	{ "queues", 'Q', NUMBER, OF_BENCH, AT(queues), 1, 1024, "NUMBER",
	  "queues, each with a thread of its own (default: 1)" },
	{ "seconds", 't', SECONDS, OF_BENCH, AT(milliseconds), 1, 86400000, "NUMBER",
	  "how long, as 5 (default) or 0.25" },
	{ "interrupts", 0, FLAG, OF_BENCH, AT(interrupts), 0, 0, NULL,
	  "sleep until an interrupt when nothing is done for a while (default)" },
	{ "poll", 0, FLAG, OF_BENCH, AT(poll), 0, 0, NULL,
	  "never sleep, use no interrupts" },
	{ "no-pin", 0, FLAG, OF_BENCH, AT(no_pin), 0, 0, NULL,
	  "let the kernel choose where threads run" },
	{ "plain", 0, TEXT, OF_BENCH, AT(plain), 0, 0, "FILE",
	  "use no device: pread(2) of FILE by the same pattern, to compare" },
	{ "yes", 'y', FLAG, OF_BENCH, AT(yes), 0, 0, NULL,
	  "do not ask before patterns that write, which destroy what is there" },
	{ "verify", 0, FLAG, COPIES, AT(verify), 0, 0, NULL,
	  "read again what was written, and compare" },
	{ "json", 'J', FLAG, OF_IDENTIFY | OF_SMART | OF_BENCH, AT(json), 0, 0, NULL,
	  "print JSON" },
	{ "quiet", 'q', FLAG, COPIES | OF_WRITE | OF_FLUSH | OF_RESET, AT(quiet), 0, 0, NULL,
	  "print errors only" },
	{ "help", 'h', HELP, OF_ALL, 0, 0, 0, NULL, "print this" },
	{ "version", 'V', VERSION, OF_ALL, 0, 0, 0, NULL, "print the version" },
};

#define ROWS (sizeof(rows) / sizeof(*rows))
#define FIRST_VALUE 256		/* of getopt_long(), behind all letters */

void settings_init(struct settings *settings)
{
	*settings = (struct settings){
		.timeout = 30, .offset = NOT_GIVEN, .lba = NOT_GIVEN, .size = NOT_GIVEN,
		.count = NOT_GIVEN, .depth = 32, .queues = 1, .milliseconds = 5000, .pattern = "randread",
	};
}

int usage_error(const char *format, ...)
{
	va_list args;

	fputs(PROGRAM ": ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("\nTry '" PROGRAM " --help'.\n", stderr);
	return EXIT_USAGE;
}

/* Is it an option there? Before the command are those that all commands have. */
static bool has(const struct option_row *row, unsigned int command)
{
	return command ? row->commands & command : row->commands == OF_ALL;
}

static int set_number(const struct option_row *row, uint64_t *to, const char *value)
{
	bool seconds = row->kind == SECONDS;
	double scale = seconds ? 1000 : 1;
	uint64_t n;

	if (!(seconds ? parse_seconds(value, &n) : parse_size(value, &n)))
		return usage_error("--%s: '%s' is not a number%s", row->name, value,
				   row->kind == SIZE ? ", as 512, 4k or 1M are" : "");
	if (n < row->least)
		return usage_error("--%s: '%s' is less than %.16g", row->name, value,
				   (double)row->least / scale);
	if (n > row->most)
		return usage_error("--%s: '%s' is more than %.16g", row->name, value,
				   (double)row->most / scale);
	*to = n;
	return OPTIONS_GO_ON;
}

static int set(struct settings *settings, const struct option_row *row, const char *value)
{
	void *member = (char *)settings + row->member;

	switch (row->kind) {
	case FLAG:
		*(bool *)member = true;
		return OPTIONS_GO_ON;
	case TEXT:
		*(const char **)member = value;
		return OPTIONS_GO_ON;
	default:
		return set_number(row, member, value);
	}
}

/* Fill the tables of getopt_long() with the options of a command. */
static void make_tables(unsigned int command, struct option *options, char *letters)
{
	/* Stop at the command; say nothing, we do; a missing argument is ':'. */
	letters += sprintf(letters, "%s:", command ? "" : "+");
	for (size_t i = 0; i < ROWS; i++) {
		const struct option_row *row = &rows[i];

		if (!has(row, command))
			continue;
		*options++ = (struct option){
			.name = row->name,
			.has_arg = row->argument ? required_argument : no_argument,
			.val = FIRST_VALUE + (int)i,
		};
		if (row->letter)
			letters += sprintf(letters, "%c%s", row->letter, row->argument ? ":" : "");
	}
	*options = (struct option){ .name = NULL };
}

static const struct option_row *find_row(unsigned int command, int c)
{
	if (c >= FIRST_VALUE)
		return &rows[c - FIRST_VALUE];
	for (size_t i = 0; i < ROWS; i++)
		if (rows[i].letter == c && has(&rows[i], command))
			return &rows[i];
	return NULL;
}

/* last is the argument that getopt_long() looked at, unless that is inside of one: "-abc". */
static int wrong_option(unsigned int command, int c, const char *last)
{
	char letter[] = { '-', (char)optopt, '\0' };
	const char *option = optopt > 0 && optopt < FIRST_VALUE ? letter : last;

	if (c == ':')
		return usage_error("%s needs an argument", option);
	return usage_error(command ? "%s is no option of this command" :
			   "%s is no option that stands before a command", option);
}

int options_parse(struct settings *settings, unsigned int command, int argc, char **argv)
{
	struct option options[ROWS + 1];
	char letters[2 * ROWS + 3];
	int c;

	make_tables(command, options, letters);
	optind = 0;	/* glibc: begin anew */
	while ((c = getopt_long(argc, argv, letters, options, NULL)) != -1) {
		const struct option_row *row = c == '?' || c == ':' ? NULL : find_row(command, c);
		int ret;

		if (!row)
			return wrong_option(command, c, argv[optind - 1]);
		if (row->kind == HELP)
			return OPTIONS_HELP;
		if (row->kind == VERSION) {
			puts(PROGRAM " " LIBVFIO_VERSION);
			return 0;
		}
		ret = set(settings, row, optarg);
		if (ret >= 0)
			return ret;
	}
	return OPTIONS_GO_ON;
}

static void print_row(FILE *out, const struct option_row *row)
{
	const char *line = row->help;
	char left[32], letter[5] = "   ";

	if (row->letter)
		snprintf(letter, sizeof(letter), "-%c,", row->letter);
	snprintf(left, sizeof(left), "%s --%s%s%s", letter, row->name, row->argument ? "=" : "",
		 row->argument ? row->argument : "");
	fprintf(out, "  %-26s ", left);
	for (const char *end; (end = strchr(line, '\n')); line = end + 1)
		fprintf(out, "%.*s\n%29s", (int)(end - line), line, "");
	fprintf(out, "%s\n", line);
}

void options_print(FILE *out, unsigned int command)
{
	for (size_t i = 0; i < ROWS; i++)
		if (has(&rows[i], command))
			print_row(out, &rows[i]);
}

/* SPDX-License-Identifier: MIT */
/*
 * vfio-nvme: what its files share. Calls that can fail return 0 or a positive number, or a negative
 * errno with program->error filled.
 */
#ifndef VFIO_NVME_PROGRAM_H
#define VFIO_NVME_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <vfio-nvme.h>

#define PROGRAM "vfio-nvme"

enum { EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_LEFT = 3 };

#define NOT_GIVEN UINT64_MAX

/* ---- the command line: options.c --------------------------------------------------------- */

struct settings {
	const char *device;		/* NULL: $VFIO_DEVICE */
	const char *file;		/* NULL: none; "-" is a standard stream */
	const char *pattern, *plain;
	uint64_t nsid, timeout;
	uint64_t offset, lba, size, count;
	uint64_t depth, queues, milliseconds;
	bool json, quiet, verify, yes, poll, interrupts, no_pin;
};

/* Commands that an option belongs to. */
#define OF_IDENTIFY 0x001u
#define OF_SMART    0x002u
#define OF_READ     0x004u
#define OF_WRITE    0x008u
#define OF_COPY_IN  0x010u
#define OF_COPY_OUT 0x020u
#define OF_FLUSH    0x040u
#define OF_RESET    0x080u
#define OF_BENCH    0x100u
#define OF_ALL      0x1ffu

void settings_init(struct settings *settings);

/* Returns what follows, or the exit status. command 0: the options that stand before it. */
enum { OPTIONS_GO_ON = -1, OPTIONS_HELP = -2 };
int options_parse(struct settings *settings, unsigned int command, int argc, char **argv);

/* Print the options of a command, one or two lines for each. */
void options_print(FILE *out, unsigned int command);

/* Say on standard error what is wrong with the command line. Returns EXIT_USAGE. */
int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- a run ------------------------------------------------------------------------------- */

struct program {
	struct settings settings;
	struct vfio_error error;		/* of whatever failed */
	struct vfio_error event;		/* err is not 0: why the disk is to be left */
	bool watched;				/* its events are */
	struct vfio_nvme *nvme;
	const struct vfio_nvme_namespace *ns;	/* the one that was named, or the first */
};

/* Commands: 0, a negative errno, or a positive exit status of which a message tells already. */
int command_identify(struct program *program);
int command_smart(struct program *program);
int command_read(struct program *program);
int command_write(struct program *program);
int command_copy_in(struct program *program);
int command_copy_out(struct program *program);
int command_flush(struct program *program);
int command_reset(struct program *program);
int command_bench(struct program *program);

/* ---- the disk: disk.c -------------------------------------------------------------------- */

int disk_open(struct program *program, const struct vfio_nvme_options *options);

/* disk_open(), and find the namespace: program->ns. It has blocks of a usual size, at least one. */
int disk_open_namespace(struct program *program, const struct vfio_nvme_options *options);

/* The device string, for messages. */
const char *disk_name(const struct program *program);

static inline uint64_t disk_bytes(const struct program *program)
{
	return program->ns->blocks << program->ns->block_shift;
}

/*
 * An I/O queue for the owner's thread, or another, that can have *depth commands under way; or fewer,
 * as *depth says then.
 */
int disk_queue(struct program *program, struct vfio_nvme_queue **queue, uint64_t *depth,
	       bool threaded);

/* n buffers of size bytes that the disk can reach, in one piece if there is one. */
int disk_memory(struct program *program, struct vfio_dma *buffers, uint64_t n, uint64_t size);
void disk_memory_free(struct program *program, struct vfio_dma *buffers, uint64_t n);

/* Bring what was written to the medium; nothing else is under way in the queue. */
int disk_flush(struct program *program, struct vfio_nvme_queue *queue);

/* -EROFS for a namespace that cannot be written. */
int disk_check_writable(struct program *program);

/* ---- errors: errors.c -------------------------------------------------------------------- */

/* Signals that end a program end it in order: stop_signal is the one that came. */
extern _Atomic int stop_signal;

void catch_signals(void);

/*
 * Is the disk to be left, because it is wanted back or has reported an error? From then on it is,
 * and program->event says why. For the owner's thread.
 */
bool disk_must_be_left(struct program *program);

/* -EINTR when one has come, or why the disk is to be left; undone is what does not happen now. */
int check_stop(struct program *program, const char *undone);

/* An argument that does not go with this disk. Returns -err. */
int argument_error(struct program *program, int err, const char *remedy, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A system call on a file failed with errno: "doing 'path'". Returns -errno. */
int file_error(struct program *program, const char *doing, const char *path, const char *remedy);

/* A command on [lba, lba + blocks) was answered with status. Returns -EIO. */
int status_error(struct program *program, const char *doing, uint64_t lba, uint64_t blocks,
		 uint16_t status);

/* A call on a queue failed with ret: ask the controller why. Returns a negative errno. */
int queue_error(struct program *program, const char *doing, int ret);

/* The controller has a record of what failed with ret. Returns ret. */
int driver_error(struct program *program, int ret);

/* ---- time and numbers: numbers.c --------------------------------------------------------- */

uint64_t now_ns(void);

/* "4k", "1M", "512" or "0x200", to a number; false when it is none. */
bool parse_size(const char *text, uint64_t *value);

/* "5" or "0.25", seconds, to milliseconds; false when it is none. */
bool parse_seconds(const char *text, uint64_t *milliseconds);

/* "64.0 MiB", into text. Returns it. */
#define SIZE_TEXT 32
const char *size_text(char *text, uint64_t bytes);

/* MiB a second. */
double rate(uint64_t bytes, uint64_t ns);

/* Does who reads the output take UTF-8? */
bool is_utf8(void);

#endif

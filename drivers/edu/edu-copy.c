/* SPDX-License-Identifier: MIT */
/*
 * edu-copy: send a file through the 4 KiB buffer of an edu device and back, and see whether it is
 * still the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "crc32.h"
#include "edu.h"
#include "output.h"

#define PROGRAM "edu-copy"

enum { EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_LEFT = 3 };

/*
 * Half the buffer: older versions of QEMU take a transfer to the buffer's last byte for one beyond it,
 * and end.
 */
#define PIECE (EDU_BUFFER_SIZE / 2)

struct request {
	const char *device;		/* NULL: $VFIO_DEVICE */
	const char *in, *out;
	bool intx, quiet;
};

/* One run of the program. */
struct run {
	struct request request;
	struct vfio_error error;	/* of whatever failed */
	struct vfio_error event;	/* err is not 0: why the device is to be left */
	struct edu *edu;
	bool watched;			/* its events are */
	struct vfio_dma there, back;	/* one piece on its way out, one on its way home */
	struct output output;
	int in;
	uint64_t size;			/* of the file, when it was opened */
	uint64_t done;
	uint32_t crc;			/* of what was read from the file */
	double seconds;
};

static volatile sig_atomic_t stop_signal;

static void stop(int signal)
{
	stop_signal = signal;
}

/* Let the signals that end a program end it in order, without a temporary file left behind. */
static void catch_signals(void)
{
	const struct sigaction orderly = { .sa_handler = stop };
	const struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGINT, &orderly, NULL);
	sigaction(SIGTERM, &orderly, NULL);
	sigaction(SIGHUP, &orderly, NULL);
	sigaction(SIGXFSZ, &ignore, NULL);	/* write() says EFBIG */
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- errors ------------------------------------------------------------------------------ */

/* The driver has a record of what failed. */
static int edu_failed(struct run *run, int ret)
{
	run->error = *edu_error(run->edu);
	return ret;
}

static int library_failed(struct run *run, int ret)
{
	run->error = *vfio_last_error(edu_device(run->edu));
	return ret;
}

/* The device answered, and wrongly. */
static int wrong_answer(struct run *run, const char *what)
{
	run->error = (struct vfio_error){ .err = EIO, .code = VFIO_E_DEVICE,
					  .who = VFIO_BY_MODEL };
	snprintf(run->error.what, sizeof(run->error.what), "%s", what);
	snprintf(run->error.remedy, sizeof(run->error.remedy),
		 "the device does not do what an edu does: look at its log, or try another");
	return -EIO;
}

/* It is wanted back, or has reported an error. A device that knows no events has none. */
static bool must_be_left(struct run *run)
{
	if (run->watched && !run->event.err) {
		struct vfio_dev *dev = edu_device(run->edu);

		if (vfio_event(dev) < 0)
			run->event = *vfio_last_error(dev);
	}
	return run->event.err != 0;
}

static int check_stop(struct run *run)
{
	if (!stop_signal && must_be_left(run)) {
		run->error = run->event;
		snprintf(run->error.what, sizeof(run->error.what),
			 "%.100s; after %" PRIu64 " bytes, and '%.60s' was not written",
			 run->event.what, run->done, run->request.out);
		return -run->event.err;
	}
	if (!stop_signal)
		return 0;
	run->error = (struct vfio_error){ .err = EINTR, .code = VFIO_E_SYSTEM,
					  .who = VFIO_BY_KERNEL };
	snprintf(run->error.what, sizeof(run->error.what),
		 "stopped by signal %d (%s) after %" PRIu64 " bytes; '%s' was not written",
		 (int)stop_signal, strsignal(stop_signal), run->done, run->request.out);
	return -EINTR;
}

/* ---- talk -------------------------------------------------------------------------------- */

/* The effective capabilities of this process, in words. */
static void read_capabilities(char *text, size_t size)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	uint64_t caps;

	snprintf(text, size, "capabilities unknown");
	while (status && fgets(line, sizeof(line), status)) {
		if (sscanf(line, "CapEff: %" SCNx64, &caps) != 1)
			continue;
		if (caps)
			snprintf(text, size, "capabilities 0x%" PRIx64, caps);
		else
			snprintf(text, size, "no capabilities");
	}
	if (status)
		fclose(status);
}

static void print_identity(const struct run *run)
{
	const char *device = run->request.device ? run->request.device : getenv("VFIO_DEVICE");
	char caps[64];

	read_capabilities(caps, sizeof(caps));
	printf(PROGRAM ": uid %u, %s, device %s (%s)\n", (unsigned int)geteuid(), caps,
	       device, vfio_backend_name(edu_device(run->edu)));
	fflush(stdout);
}

static double rate(const struct run *run)
{
	return run->seconds > 0 ? (double)run->done / run->seconds / (1 << 20) : 0;
}

static void print_progress(const struct run *run)
{
	/* The file may have grown since its size was taken. */
	uint64_t percent = run->done < run->size ? run->done * 100 / run->size : 100;

	fprintf(stderr, "\r%3" PRIu64 " %%  %.1f MiB/s ", percent, rate(run));
}

static void print_summary(const struct run *run)
{
	printf("%" PRIu64 " bytes there and back in %.3f s, %.1f MiB/s, %" PRIu64
	       " interrupts (%s)\n",
	       run->done, run->seconds, rate(run), edu_interrupts(run->edu),
	       edu_interrupt_name(run->edu));
}

/* ---- the work ---------------------------------------------------------------------------- */

static int open_input(struct run *run)
{
	static const char remedy[] = "name a regular file that may be read";
	const char *path = run->request.in;
	struct stat st;

	/* Opening a named pipe would otherwise wait for somebody to write to it. */
	run->in = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (run->in < 0)
		return file_error(&run->error, "reading", path, remedy);
	if (fstat(run->in, &st) < 0)
		return file_error(&run->error, "reading", path, remedy);
	if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
		return file_error(&run->error, "reading", path, remedy);
	}
	run->size = (uint64_t)st.st_size;
	return 0;
}

/* The device, and two pages of memory for it: one that it may only read, one only write. */
static int open_device(struct run *run)
{
	struct vfio_dev *dev;
	int ret = edu_open(&run->edu, run->request.device, &run->error);

	if (ret < 0)
		return ret;
	if (run->request.intx) {
		ret = edu_use_interrupt(run->edu, EDU_INTX);
		if (ret < 0)
			return edu_failed(run, ret);
	}
	dev = edu_device(run->edu);
	run->watched = vfio_event_fd(dev) >= 0;
	ret = vfio_dma_alloc(dev, &run->there, PIECE, VFIO_DMA_READ);
	if (ret == 0)
		ret = vfio_dma_alloc(dev, &run->back, PIECE, VFIO_DMA_WRITE);
	return ret < 0 ? library_failed(run, ret) : 0;
}

/* Read the next piece into the memory that the device reads. Returns its length, 0 at the end. */
static int read_piece(struct run *run)
{
	size_t len = 0;

	while (len < PIECE) {
		ssize_t n = read(run->in, (uint8_t *)run->there.vaddr + len,
				 PIECE - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return file_error(&run->error, "reading", run->request.in, "");
		if (n == 0)
			break;
		len += (size_t)n;
	}
	run->crc = crc32_add(run->crc, run->there.vaddr, len);
	return (int)len;
}

/* One piece: there, back, and into the output. */
static int send_piece(struct run *run, uint32_t len)
{
	int ret = edu_copy_to(run->edu, 0, run->there.iova, len);

	if (ret < 0)
		return edu_failed(run, ret);
	/* Leave something else there, so that a device that moves nothing does not look right. */
	memset(run->back.vaddr, ~*(const uint8_t *)run->there.vaddr, len);
	ret = edu_copy_from(run->edu, run->back.iova, 0, len);
	if (ret < 0)
		return edu_failed(run, ret);
	run->done += len;
	return output_write(&run->output, run->back.vaddr, len, &run->error);
}

static int copy(struct run *run)
{
	bool progress = !run->request.quiet && isatty(STDERR_FILENO);
	double start = now(), shown = start;
	int len, ret = 0;

	while (ret == 0 && (len = read_piece(run)) != 0) {
		ret = len < 0 ? len : send_piece(run, (uint32_t)len);
		if (ret == 0)
			ret = check_stop(run);
		run->seconds = now() - start;
		if (progress && start + run->seconds - shown >= 0.1) {
			print_progress(run);
			shown = start + run->seconds;
		}
	}
	if (progress) {
		print_progress(run);
		fputc('\n', stderr);
	}
	return ret;
}

/* Is on the disk what was in the file? */
static int compare(struct run *run)
{
	uint32_t crc;
	bool match;
	int ret = output_verify(&run->output, &crc, &run->error);

	if (ret < 0)
		return ret;
	match = crc == run->crc;
	if (!run->request.quiet)
		printf("CRC-32 of FILE %08" PRIx32 ", of OUT %08" PRIx32 ": %s\n", run->crc, crc,
		       match ? "MATCH" : "MISMATCH");
	return match ? output_keep(&run->output, &run->error) :
		       wrong_answer(run, "the file came back changed, and OUT was not written");
}

static int check_factorial(struct run *run)
{
	const uint32_t n = 10, expected = 3628800;
	uint32_t result;
	int ret = edu_factorial(run->edu, n, &result);

	if (ret < 0)
		return edu_failed(run, ret);
	if (!run->request.quiet)
		printf("%" PRIu32 "! = %" PRIu32 ", by interrupt: %s\n", n, result,
		       result == expected ? "right" : "WRONG");
	return result == expected ? 0 : wrong_answer(run, "10! is not 3628800 to this device");
}

static int work(struct run *run)
{
	int ret = open_input(run);

	if (ret == 0)
		ret = output_open(&run->output, run->request.out, &run->error);
	if (ret == 0)
		ret = open_device(run);
	if (ret == 0 && !run->request.quiet)
		print_identity(run);
	if (ret == 0)
		ret = copy(run);
	if (ret == 0 && !run->request.quiet)
		print_summary(run);
	if (ret == 0)
		ret = compare(run);
	if (ret == 0)
		ret = check_factorial(run);
	return ret;
}

/* What failed may be because of an event that nobody had looked for yet: then both are told. */
static int tell_failure(const struct run *run)
{
	vfio_error_print(stderr, PROGRAM, &run->error);
	if (!run->event.err)
		return EXIT_WRONG;
	if (run->event.code != run->error.code)
		vfio_error_print(stderr, PROGRAM, &run->event);
	return EXIT_LEFT;
}

static void finish(struct run *run)
{
	edu_close(run->edu);
	output_close(&run->output);
	if (run->in >= 0)
		close(run->in);
}

/* ---- the command line -------------------------------------------------------------------- */

static const struct option options[] = {
	{ "device",  required_argument, NULL, 'd' },
	{ "intx",    no_argument,       NULL, 'i' },
	{ "quiet",   no_argument,       NULL, 'q' },
	{ "help",    no_argument,       NULL, 'h' },
	{ "version", no_argument,       NULL, 'V' },
	{ NULL,      0,                 NULL, 0 },
};

static const char usage[] =
	"Usage: " PROGRAM " [options] FILE OUT\n"
	"\n"
	"Send FILE through the DMA engine of an edu device and back, and write to OUT\n"
	"what came back.\n"
	"\n"
	"Options:\n"
	"  -d, --device STRING  the device (default: $VFIO_DEVICE), for example\n"
	"                       unix:/run/vfiod/edu.sock, 0000:03:00.0, or edu for one in\n"
	"                       this process\n"
	"      --intx           use INTx instead of MSI\n"
	"  -q, --quiet          print errors only\n"
	"  -h, --help           print this text\n"
	"  -V, --version        print the version\n"
	"\n"
	"The exit status is 0 when everything came back unchanged and each operation\n"
	"ended with its interrupt; 1 when not; 2 for a wrong command line; 3 when the\n"
	"device was wanted back, or has reported an error.\n";

static int usage_error(const char *why)
{
	if (why)
		fprintf(stderr, PROGRAM ": %s\n", why);
	fprintf(stderr, "Try '" PROGRAM " --help'.\n");
	return EXIT_USAGE;
}

/* Returns -1 to go on, or the exit status. */
static int parse(struct request *request, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "d:qhV", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			request->device = optarg;
			break;
		case 'i':
			request->intx = true;
			break;
		case 'q':
			request->quiet = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			puts(PROGRAM " " LIBVFIO_VERSION);
			return 0;
		default:
			return usage_error(NULL);
		}
	}
	if (argc - optind != 2)
		return usage_error("expected two arguments, FILE and OUT");
	request->in = argv[optind];
	request->out = argv[optind + 1];
	return -1;
}

int main(int argc, char **argv)
{
	struct run run = { .in = -1, .output = { .fd = -1 } };
	int ret = parse(&run.request, argc, argv);

	if (ret >= 0)
		return ret;
	catch_signals();
	ret = work(&run);
	if (ret < 0)
		must_be_left(&run);
	finish(&run);
	if (ret < 0)
		return tell_failure(&run);
	if (fflush(stdout) || ferror(stdout)) {
		perror(PROGRAM ": writing to standard output");
		return EXIT_WRONG;
	}
	return EXIT_SUCCESS;
}

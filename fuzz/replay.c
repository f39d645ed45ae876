/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target without a fuzzer: run it on every file of the folders (or on the files) given, and
 * say how many there were. None is a failure, so that a lost corpus does not look like a success.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "input.h"

#define INPUT_ROOM (1u << 20)

/* In a block of exactly its size, so that a sanitizer sees a read past the end. */
static int run_file(const char *path)
{
	static uint8_t room[INPUT_ROOM];
	FILE *f = fopen(path, "rb");
	uint8_t *exact;
	size_t n;

	if (!f) {
		fprintf(stderr, "opening %s: %s\n", path, strerror(errno));
		return -1;
	}
	n = fread(room, 1, sizeof(room), f);
	fclose(f);
	exact = malloc(n ? n : 1);
	if (!exact) {
		fprintf(stderr, "reading %s: out of memory\n", path);
		return -1;
	}
	memcpy(exact, room, n);
	fprintf(stderr, "%s: %zu bytes\n", path, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 1;
}

/* How many inputs were run; negative when one could not be read. */
static int run_folder(const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, NULL, alphasort), ran = 0;

	if (n < 0) {
		fprintf(stderr, "listing %s: %s\n", folder, strerror(errno));
		return -1;
	}
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
		if (names[i]->d_name[0] != '.' && ran >= 0)
			ran = run_file(path) < 0 ? -1 : ran + 1;
		free(names[i]);
	}
	free(names);
	return ran;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;
		int n;

		n = stat(argv[i], &st) == 0 && S_ISREG(st.st_mode) ? run_file(argv[i])
								   : run_folder(argv[i]);
		if (n < 0)
			return EXIT_FAILURE;
		total += n;
	}
	if (!total) {
		fprintf(stderr, "usage: %s CORPUS…: no input was found\n", argv[0]);
		return EXIT_FAILURE;
	}
	printf("%d inputs\n", total);
	return EXIT_SUCCESS;
}

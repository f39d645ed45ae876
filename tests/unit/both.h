/* SPDX-License-Identifier: MIT */
/*
 * Run a group of tests over each back end, unchanged: a model in this process, and the same model
 * behind a socket that a thread serves.
 */
#ifndef TESTS_BOTH_H
#define TESTS_BOTH_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <vfio/server.h>

#include "model.h"

struct both {
	bool is_socket;
	struct model model;
	struct vfio_dev *dev;		/* what the test drives */
	struct vfio_server *server;	/* socket only, as the thread that runs it */
	pthread_t thread;
	bool serving;
};

/* Setup and teardown of one test; *state is a struct both. */
int both_setup(void **state);
int both_teardown(void **state);

#define BOTH(test) cmocka_unit_test_setup_teardown(test, both_setup, both_teardown)

/* A device over one of the back ends, for tests that have several. */
int both_open(struct both *b, bool is_socket);

/* Run the tests over each back end; the number of failures. */
int both_run(const struct CMUnitTest *tests, size_t count);

/* Close the driver's handle, and (socket) stop the server and free the device. */
void both_close(struct both *b);

/* A server of the model's, without a client or a thread. options may be NULL. */
int both_new_server(struct both *b, const struct vfio_server_options *options);

/* Run the server in a thread; and stop that: connections stay, and nobody answers. */
int both_start_serving(struct both *b);
void both_stop_serving(struct both *b);

/*
 * Maps and bytes that the device grants, and I/O addresses that it allows (n 0: all). A server's
 * thread is stopped meanwhile.
 */
void both_limit(struct both *b, uint64_t maps, uint64_t bytes);
void both_allow(struct both *b, const struct vfio_iova_range *ranges, unsigned int n);

/* Assert that the last call left a record with this errno and code, in words. */
void assert_record(const struct vfio_error *e, int err, enum vfio_error_code code);

/* Registers of the model's BAR 0. */
uint32_t model_get(struct both *b, enum model_register reg);
void model_put(struct both *b, enum model_register reg, uint64_t value);

/* Let the device do DMA; its result. */
int model_dma(struct both *b, enum model_command command, uint64_t iova, uint32_t length);

#endif

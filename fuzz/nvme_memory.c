/* SPDX-License-Identifier: MIT */
/*
 * The host's memory. The device sees it through a view of its own, which allows what the map
 * allows, and nothing when there is no map; between places, and behind them, there is nothing.
 * Whoever touches what he may not dies of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fd.h"
#include "nvme_host.h"

#define READ  VFIO_DMA_READ
#define WRITE VFIO_DMA_WRITE
#define RW    VFIO_DMA_RW

/* Neighbours, a hole behind them, and the very last addresses. */
static const struct place places[PLACES] = {
	{ .iova = WINDOW_AT, .pages = 8, .kind = HERE, .prot = RW },
	{ .iova = WINDOW_AT + 8 * PAGE, .pages = 4, .kind = PEER, .prot = RW },
	{ .iova = WINDOW_AT + 12 * PAGE, .pages = 2, .kind = HERE, .prot = READ },
	{ .iova = WINDOW_AT + 14 * PAGE, .pages = 2, .kind = HERE, .prot = WRITE },
	{ .iova = WINDOW_AT + 16 * PAGE, .pages = 4, .kind = LOOSE, .prot = RW },
	{ .iova = WINDOW_AT + 20 * PAGE, .pages = 2, .kind = PEER, .prot = READ },
	{ .iova = WINDOW_AT + 22 * PAGE, .pages = 2, .kind = HERE, .prot = RW },
	{ .iova = -2 * (uint64_t)PAGE, .pages = 2, .kind = HERE, .prot = RW },
	[HONEST] = { .iova = HONEST_AT, .pages = HONEST_PAGES, .kind = HERE, .prot = RW },
};

static void *map(void *at, size_t len, int prot, int flags, int fd)
{
	void *p = mmap(at, len, prot, flags, fd, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void make(struct host *h, struct place *p)
{
	size_t len = p->pages * PAGE;

	p->fd = memfd_create("fuzz-nvme", MFD_CLOEXEC);
	CHECK(p->fd >= 0 && ftruncate(p->fd, len) == 0);
	if (p->kind != LOOSE)
		p->bytes = map(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd);
	if (p->kind != HERE)
		return;
	p->view = map(NULL, len + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	map(p->view + PAGE, len, PROT_NONE, MAP_SHARED | MAP_FIXED, p->fd);
}

void host_map(struct host *h, struct place *p)
{
	struct dma_map m = {
		.iova = p->iova, .size = p->pages * PAGE, .prot = p->prot, .fd = -1,
	};
	int prot = p->prot & WRITE ? PROT_READ | PROT_WRITE : PROT_READ;

	if (p->mapped)
		return;
	if (p->kind == HERE) {
		CHECK(mprotect(p->view + PAGE, m.size, prot) == 0);
		m.vaddr = p->view + PAGE;
	} else if (p->kind == PEER) {
		m.peer = &h->peer;
	} else {
		m.fd = p->fd;
	}
	/* A file that is too short cannot be mapped. */
	p->mapped = h->dev->backend->dma_map(h->dev, &m) == 0;
	CHECK(p->mapped || p->kind == LOOSE);
}

static void forget(struct place *p)
{
	p->mapped = false;
	if (p->kind == HERE)
		CHECK(mprotect(p->view + PAGE, p->pages * PAGE, PROT_NONE) == 0);
}

void host_unmap(struct host *h, struct place *p)
{
	uint64_t bytes;

	if (!p->mapped)
		return;
	CHECK(h->dev->backend->dma_unmap(h->dev, p->iova, p->pages * PAGE, &bytes) == 0);
	CHECK(bytes == p->pages * PAGE);
	forget(p);
}

void host_gone(struct host *h)
{
	for (unsigned int i = 0; i < PLACES; i++)
		forget(&h->places[i]);
}

struct place *host_place(struct host *h, uint64_t iova)
{
	for (unsigned int i = 0; i < PLACES; i++)
		if (iova - h->places[i].iova < h->places[i].pages * PAGE)
			return &h->places[i];
	return NULL;
}

void host_put(struct host *h, uint64_t iova, const void *data, size_t len)
{
	struct place *p = host_place(h, iova);
	size_t at = p ? iova - p->iova : 0;

	if (!p || len > p->pages * PAGE - at)
		return;
	if (p->bytes)
		memcpy(p->bytes + at, data, len);
	else if (pwrite(p->fd, data, len, at) < 0)
		CHECK(errno == EFBIG);
}

uint8_t *host_bytes(struct host *h, unsigned int page)
{
	return h->places[HONEST].bytes + page * PAGE;
}

/* ---- memory that is asked for -------------------------------------------------------------- */

static uint8_t *peer_bytes(struct host *h, uint64_t iova, size_t len, uint32_t prot)
{
	struct place *p = host_place(h, iova);

	CHECK(p && p->mapped && p->kind == PEER && (p->prot & prot));
	CHECK(len <= p->pages * PAGE - (iova - p->iova));
	h->asked(h->asked_arg);
	return h->peer_fails ? NULL : p->bytes + (iova - p->iova);
}

static int peer_read(void *arg, uint64_t iova, void *buf, size_t len)
{
	const uint8_t *at = peer_bytes(arg, iova, len, READ);

	if (at)
		memcpy(buf, at, len);
	return at ? 0 : -EIO;
}

static int peer_write(void *arg, uint64_t iova, const void *buf, size_t len)
{
	uint8_t *at = peer_bytes(arg, iova, len, WRITE);

	if (at)
		memcpy(at, buf, len);
	return at ? 0 : -EIO;
}

/* ---- life ---------------------------------------------------------------------------------- */

extern const struct vfio_device_module vfio_device_module;

/* On a disk, if there is one, since what is in memory does not go by the ring. */
static int make_file(unsigned int how)
{
	int fd = how & OPEN_RING ? open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;

	return fd < 0 ? memfd_create("fuzz-nvme-disk", MFD_CLOEXEC | MFD_ALLOW_SEALING) : fd;
}

/* Files can be opened again, by their numbers here. */
static void make_files(struct host *h, unsigned int how)
{
	uint8_t page[PAGE];

	for (unsigned int i = 0; i < 2; i++) {
		h->files[i] = make_file(how);
		CHECK(h->files[i] >= 0 && ftruncate(h->files[i], NS_BYTES) == 0);
		for (unsigned int k = 3; k < 6; k++) {
			memset(page, 0x30 + k, sizeof(page));
			CHECK(pwrite(h->files[i], page, PAGE, k * PAGE) == PAGE);
		}
	}
	h->files_fit = true;
}

static int create(struct host *h, unsigned int how, struct vfio_error *err)
{
	char options[256];

	snprintf(options, sizeof(options),
		 "memory=%u,memory=%u,block=4096,file=/proc/self/fd/%d%s,file=/proc/self/fd/%d,ro,"
		 "queues=6,serial=fuzz,poll=%u,look=100,io=%s", NS_BYTES, NS_BYTES, h->files[0],
		 how & OPEN_DIRECT ? ",block=4096,direct" : "", h->files[1],
		 how & OPEN_POLLS ? 50 : 0, how & OPEN_RING ? "uring" : "sync");
	return vfio_device_module.create(&h->fn, options, err);
}

void host_open(struct host *h, unsigned int how)
{
	struct vfio_error err = { 0 };

	memcpy(h->places, places, sizeof(places));
	h->peer = (struct dma_peer){ .read = peer_read, .write = peer_write, .arg = h };
	make_files(h, how);
	/* Not every file system knows direct I/O. */
	if (create(h, how, &err) < 0)
		CHECK(how & OPEN_DIRECT && create(h, how & ~OPEN_DIRECT, &err) == 0);
	CHECK(vfio_function_open(&h->dev, h->fn, &err) == 0);
	for (unsigned int i = 0; i < PLACES; i++) {
		make(h, &h->places[i]);
		host_map(h, &h->places[i]);
	}
}

void host_close(struct host *h)
{
	vfio_close(h->dev);
	for (unsigned int i = 0; i < PLACES; i++) {
		struct place *p = &h->places[i];

		if (p->bytes)
			munmap(p->bytes, p->pages * PAGE);
		if (p->view)
			munmap(p->view, p->pages * PAGE + 2 * PAGE);
		fd_close(&p->fd);
	}
	fd_close(&h->files[0]);
	fd_close(&h->files[1]);
}

/* SPDX-License-Identifier: MIT */
/*
 * What devices that see the same memory share: a container and its groups, or an iommufd. A device
 * that is alone has such a space, too.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "backends/kernel.h"
#include "base/fd.h"

static struct kernel_space *space_new(void)
{
	struct kernel_space *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->container = s->iommufd = -1;
	range_map_init(&s->maps);
	return s;
}

int kernel_space_join(struct kernel_space *s, struct kernel *k)
{
	if (!s)
		s = space_new();
	if (!s)
		return -ENOMEM;
	for (unsigned int i = 0; i < KERNEL_USERS; i++) {
		if (s->users[i])
			continue;
		s->users[i] = k;
		s->nusers++;
		k->space = s;
		k->number = i;
		return 0;
	}
	return -ENOSPC;
}

/* ---- groups -------------------------------------------------------------------------------- */

struct kernel_group *kernel_space_find_group(struct kernel_space *s, int64_t number)
{
	for (unsigned int i = 0; i < KERNEL_USERS; i++)
		if (s->groups[i].users && s->groups[i].number == number)
			return &s->groups[i];
	return NULL;
}

/* There are not more groups than users, and so there is always room. */
struct kernel_group *kernel_space_add_group(struct kernel_space *s, int64_t number, int fd)
{
	struct kernel_group *g = kernel_space_find_group(s, number);

	for (unsigned int i = 0; !g; i++)
		if (!s->groups[i].users) {
			g = &s->groups[i];
			g->number = number;
			g->fd = fd;
			g->is_passed = false;
		}
	g->users++;
	return g;
}

static void leave_group(struct kernel *k)
{
	struct kernel_group *g = k->group;

	k->group = NULL;
	if (!g || --g->users)
		return;
	if (g->is_passed)
		ioctl(g->fd, VFIO_GROUP_UNSET_CONTAINER);
	fd_close(&g->fd);
}

/* ---- the last to leave --------------------------------------------------------------------- */

uint64_t kernel_space_peers(const struct kernel *k)
{
	uint64_t peers = 0;

	for (unsigned int i = 0; i < KERNEL_USERS; i++) {
		const struct kernel *other = k->space->users[i];

		if (other && other->ioas == k->ioas)
			peers |= KERNEL_USER(other);
	}
	return peers;
}

static void space_free(struct kernel_space *s)
{
	fd_close(&s->container);
	fd_close(&s->iommufd);
	range_map_finish(&s->maps);
	free(s);
}

void kernel_space_leave(struct kernel *k)
{
	struct kernel_space *s = k->space;

	/* Else everything goes with the descriptors. */
	if (s->nusers > 1 || s->is_passed || k->is_passed) {
		kernel_cdev_forget_dirty(k);
		kernel_dma_drop(k);
		if (k->ioas && kernel_space_peers(k) == KERNEL_USER(k))
			kernel_cdev_drop(s, k->ioas);
	}
	leave_group(k);
	s->users[k->number] = NULL;
	if (--s->nusers == 0)
		space_free(s);
}

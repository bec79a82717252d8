/* SPDX-License-Identifier: ISC */
/* Interfaces: what the kernel says about them, and when it changes.
 *
 * Theory of operation
 *
 * Messages of the rtnetlink group "link" are only taken as a hint that something
 * has changed; then all interfaces are asked for at once and every link compares
 * what it has with what there is.  So nothing depends on having seen each
 * message (the kernel drops them when the queue is full), and vanished, renamed,
 * returned and resized interfaces are one case.  Hints come in bursts: there is
 * at most one look per SCAN_GAP_NS. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "libpeernet/base/pn_assert.h"
#include "pnstackd/link/link_impl.h"

#define SCAN_GAP_NS	PN_MS(50)
#define SCAN_RETRY_NS	PN_S(1)
#define NEWS_MAX	256	/* messages read per callback */

static int nl_open(unsigned int groups, int flags)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK, .nl_groups = groups };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

static void link_attr(struct ifstate *s, struct rtattr *a)
{
	size_t len = RTA_PAYLOAD(a);
	const uint8_t *data = RTA_DATA(a);
	uint32_t v;

	switch (a->rta_type) {
	case IFLA_IFNAME:
		if (len && len <= sizeof(s->name))
			memcpy(s->name, data, len - 1);
		break;
	case IFLA_MTU:
		if (len == sizeof(v)) {
			memcpy(&v, data, sizeof(v));
			s->mtu = v;
		}
		break;
	case IFLA_MASTER:
		if (len == sizeof(v)) {
			memcpy(&v, data, sizeof(v));
			s->master = (int)v;
		}
		break;
	case IFLA_ADDRESS:
		if (len == sizeof(s->mac))
			memcpy(s->mac, data, len);
		break;
	default:
		break;
	}
}

/* One RTM_NEWLINK.  The kernel is trusted, its lengths are checked all the same. */
static void link_message(struct ifstate *s, struct nlmsghdr *h)
{
	struct ifinfomsg *ifi = NLMSG_DATA(h);
	struct rtattr *a = IFLA_RTA(ifi);
	int left = (int)h->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*ifi));

	memset(s, 0, sizeof(*s));
	s->index = ifi->ifi_index;
	s->flags = ifi->ifi_flags;
	s->type = ifi->ifi_type;
	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		link_attr(s, a);
}

/* Return: 1 done, 0 more to come, -errno */
static int scan_part(char *buf, ssize_t len, struct ifstate *out, size_t max, size_t *count)
{
	struct nlmsghdr *h = (struct nlmsghdr *)(void *)buf;
	unsigned int left = (unsigned int)len;

	for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return -EIO;
		if (h->nlmsg_type != RTM_NEWLINK || *count >= max)
			continue;
		if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
			continue;
		link_message(&out[*count], h);
		if (out[*count].name[0])
			(*count)++;
	}
	return 0;
}

int ifscan_read(struct ifstate *out, size_t max)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg ifi;
	} req = {
		.h = { .nlmsg_len = sizeof(req), .nlmsg_type = RTM_GETLINK,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = 1 },
	};
	struct timeval tv = { .tv_usec = 500000 };
	int fd = nl_open(0, 0), err = 0;
	size_t count = 0;
	char *buf;

	if (fd < 0)
		return fd;
	buf = malloc(65536);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	if (!buf || send(fd, &req, sizeof(req), 0) < 0)
		err = buf ? -errno : -ENOMEM;
	while (!err) {
		ssize_t n = recv(fd, buf, 65536, 0);

		if (n < 0 && errno == EINTR)
			continue;
		err = n <= 0 ? -EIO : scan_part(buf, n, out, max, &count);
	}
	free(buf);
	close(fd);
	return err < 0 ? err : (int)count;
}

void ifscan_run(struct link_set *set, struct pn_time now)
{
	struct ifstate *ifs = calloc(IFSCAN_MAX, sizeof(*ifs));
	int n = ifs ? ifscan_read(ifs, IFSCAN_MAX) : -ENOMEM;
	struct link *link, *next;

	set->scanned_at = now;
	set->scan_at = n < 0 ? pn_time_add(now, SCAN_RETRY_NS) : PN_TIME_NEVER;
	set->wake = pn_time_min(set->wake, set->scan_at);
	for (link = set->links; link && n >= 0; link = next) {
		next = link->next;
		if (link->ops->scan)
			link->ops->scan(link, ifs, (size_t)n, now);
	}
	for (link = set->links; link; link = next) {
		next = link->next;
		if (link->doomed)
			link_remove(link, now);
	}
	free(ifs);
}

static void on_news(void *arg, uint32_t events, struct pn_time now)
{
	struct link_set *set = arg;
	char buf[8192];
	int i;

	(void)events;
	for (i = 0; i < NEWS_MAX; i++) {
		if (recv(set->nl_fd, buf, sizeof(buf), MSG_DONTWAIT) < 0 &&
		    errno != ENOBUFS && errno != EINTR)
			break;
	}
	set->scan_at = pn_time_add(set->scanned_at, SCAN_GAP_NS);
	if (pn_time_before(set->scan_at, now))
		set->scan_at = now;
	set->wake = pn_time_min(set->wake, set->scan_at);
}

int ifscan_start(struct link_set *set)
{
	if (set->nl_fd >= 0)
		return 0;
	set->nl_fd = nl_open(RTMGRP_LINK, SOCK_NONBLOCK);
	if (set->nl_fd < 0) {
		int err = set->nl_fd;

		set->nl_fd = -1;
		return err;
	}
	set->nl_watch = loop_watch_add(set->loop, set->nl_fd, LOOP_IN, on_news, set);
	if (!set->nl_watch) {
		close(set->nl_fd);
		set->nl_fd = -1;
		return -ENOMEM;
	}
	return 0;
}

void ifscan_stop(struct link_set *set)
{
	if (set->nl_fd < 0)
		return;
	loop_watch_del(set->loop, set->nl_watch);
	close(set->nl_fd);
	set->nl_fd = -1;
}

/* SPDX-License-Identifier: ISC */
/* What making sockets costs: an ordinary program, run natively or over the shim.
 *
 *	sockrate serve PORT                    accepts, sends back what comes
 *	sockrate connect HOST PORT COUNT       one after the other: median and p99 in us
 *	sockrate rate HOST PORT SECONDS JOBS   connect and close, so many at a time: per second
 *	sockrate hold HOST PORT COUNT          open at once, a byte there and back through each: s
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG 4096
#define JOBS_MAX 64
#define EVENTS 256

static struct addrinfo *target;

static void fatal(const char *what)
{
	fprintf(stderr, "sockrate: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void resolve(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	int err = getaddrinfo(host, port, &hints, &target);

	if (err) {
		fprintf(stderr, "sockrate: %s: %s\n", host, gai_strerror(err));
		exit(1);
	}
}

static int open_one(void)
{
	int fd = socket(target->ai_family, SOCK_STREAM, 0);

	if (fd < 0)
		fatal("socket");
	if (connect(fd, target->ai_addr, target->ai_addrlen))
		fatal("connect");
	return fd;
}

/* --- serve --------------------------------------------------------------- */

static void answer(int fd)
{
	char buf[4096];
	ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
		close(fd);
}

static void serve(const char *port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(port)) };
	struct epoll_event ev[EVENTS], add = { .events = EPOLLIN };
	int listener = socket(AF_INET6, SOCK_STREAM, 0), ep = epoll_create1(0), n, i, fd;
	int on = 1, off = 0;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(listener, (struct sockaddr *)&any, sizeof(any)) || listen(listener, BACKLOG))
		fatal("listen");
	add.data.fd = listener;
	epoll_ctl(ep, EPOLL_CTL_ADD, listener, &add);
	puts("ready");
	fflush(stdout);
	for (;;) {
		n = epoll_wait(ep, ev, EVENTS, -1);
		for (i = 0; i < n; i++) {
			if (ev[i].data.fd != listener) {
				answer(ev[i].data.fd);
				continue;
			}
			fd = accept(listener, NULL, NULL);
			if (fd < 0)
				continue;
			add.data.fd = fd;
			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &add);
		}
	}
}

/* --- clients -------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void measure_connect(unsigned count)
{
	uint64_t *ns = calloc(count, sizeof(*ns)), start;
	unsigned i;
	int fd;

	if (!ns)
		fatal("memory");
	for (i = 0; i < count; i++) {
		start = now_ns();
		fd = open_one();
		ns[i] = now_ns() - start;
		close(fd);
	}
	qsort(ns, count, sizeof(*ns), by_value);
	printf("%.1f %.1f\n", (double)ns[count / 2] / 1e3, (double)ns[count * 99 / 100] / 1e3);
	free(ns);
}

static uint64_t until;

static void *job(void *arg)
{
	unsigned *done = arg;

	while (now_ns() < until) {
		close(open_one());
		++*done;
	}
	return NULL;
}

static void measure_rate(double seconds, unsigned jobs)
{
	unsigned done[JOBS_MAX] = { 0 }, sum = 0, i;
	pthread_t thread[JOBS_MAX];
	uint64_t start = now_ns();

	until = start + (uint64_t)(seconds * 1e9);
	for (i = 0; i < jobs; i++)
		if (pthread_create(&thread[i], NULL, job, &done[i]))
			fatal("thread");
	for (i = 0; i < jobs; i++) {
		pthread_join(thread[i], NULL);
		sum += done[i];
	}
	printf("%.0f\n", sum / ((double)(now_ns() - start) / 1e9));
}

static void measure_hold(unsigned count)
{
	int *fd = calloc(count, sizeof(*fd));
	uint64_t start = now_ns();
	unsigned i;
	char c;

	if (!fd)
		fatal("memory");
	for (i = 0; i < count; i++)
		fd[i] = open_one();
	for (i = 0; i < count; i++)
		if (send(fd[i], "x", 1, MSG_NOSIGNAL) != 1)
			fatal("send");
	for (i = 0; i < count; i++)
		if (recv(fd[i], &c, 1, 0) != 1 || c != 'x')
			fatal("recv");
	printf("%.2f\n", (double)(now_ns() - start) / 1e9);
	free(fd);
}

int main(int argc, char **argv)
{
	struct rlimit lim;

	if (!getrlimit(RLIMIT_NOFILE, &lim)) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	if (argc == 3 && !strcmp(argv[1], "serve"))
		serve(argv[2]);
	if (argc < 5) {
		fputs("usage: sockrate serve PORT\n"
		      "       sockrate connect HOST PORT COUNT\n"
		      "       sockrate rate HOST PORT SECONDS JOBS\n"
		      "       sockrate hold HOST PORT COUNT\n", stderr);
		return 2;
	}
	resolve(argv[2], argv[3]);
	if (!strcmp(argv[1], "connect"))
		measure_connect((unsigned)atoi(argv[4]));
	else if (!strcmp(argv[1], "rate") && argc == 6 && atoi(argv[5]) <= JOBS_MAX)
		measure_rate(atof(argv[4]), (unsigned)atoi(argv[5]));
	else if (!strcmp(argv[1], "hold"))
		measure_hold((unsigned)atoi(argv[4]));
	else
		return 2;
	return 0;
}

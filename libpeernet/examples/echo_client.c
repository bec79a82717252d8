/* SPDX-License-Identifier: ISC */
/* echo_client - sends its standard input to a name and port and prints what comes back
 *
 * usage: echo_client NAME PORT       (cc echo_client.c -lpeernet)
 *        echo hello | echo_client alice.pn.alt 7
 */
#include <peernet.h>

#include <netdb.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int dial(const char *name, const char *port)
{
	struct pn_addrinfo *list;
	int fd, r;

	r = pn_getaddrinfo(name, port, SOCK_STREAM, &list);
	if (r != 0) {
		fprintf(stderr, "echo_client: %s: %s\n", name, gai_strerror(r));
		return -1;
	}
	fd = pn_socket(PF_PEERNET, SOCK_STREAM, 0);
	if (fd >= 0 && pn_connect(fd, &list->ai_addr, sizeof(list->ai_addr)) < 0) {
		perror("pn_connect");
		pn_close(fd);
		fd = -1;
	}
	pn_freeaddrinfo(list);
	return fd;
}

static bool write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0)
			return false;
		buf += n;
		len -= (size_t)n;
	}
	return true;
}

static void copy(int from, int to)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0) {
		if (!write_all(to, buf, (size_t)n))
			break;
	}
}

int main(int argc, char **argv)
{
	socklen_t len = sizeof(int);
	int err = 0, fd;
	pid_t sender;

	if (argc != 3) {
		fprintf(stderr, "usage: echo_client NAME PORT\n");
		return 2;
	}
	fd = dial(argv[1], argv[2]);
	if (fd < 0)
		return 1;
	/* Who sends and receives in turn stops when both ways are full: use two. */
	sender = fork();
	if (sender == 0) {
		copy(STDIN_FILENO, fd);
		shutdown(fd, SHUT_WR);
		_exit(0);
	}
	copy(fd, STDOUT_FILENO);
	/* End of file: was it a good one? */
	pn_getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	if (err) {
		fprintf(stderr, "echo_client: %s\n", strerror(err));
		kill(sender, SIGTERM);
	}
	waitpid(sender, NULL, 0);
	pn_close(fd);
	return err ? 1 : 0;
}

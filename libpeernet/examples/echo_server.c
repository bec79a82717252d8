/* SPDX-License-Identifier: ISC */
/* echo_server - sends back what comes, one client after the other, each in a process
 * of its own.
 *
 * usage: echo_server PORT            (cc echo_server.c -lpeernet)
 */
#include <peernet.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void serve(int fd)
{
	char buf[65536];
	ssize_t n;

	/* A stream is an ordinary descriptor: read() and write() will do. */
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		ssize_t done = 0;

		while (done < n) {
			ssize_t w = write(fd, buf + done, (size_t)(n - done));

			if (w < 0)
				return;
			done += w;
		}
	}
}

static void print_peer(const struct sockaddr_pn *peer)
{
	char hit[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, peer->spn_hit, hit, sizeof(hit));
	printf("connection from %s port %u\n", hit, ntohs(peer->spn_port));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct sockaddr_pn addr = { .spn_family = AF_PEERNET };
	int fd;

	if (argc != 2) {
		fprintf(stderr, "usage: echo_server PORT\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	addr.spn_port = htons((uint16_t)atoi(argv[1]));
	fd = pn_socket(PF_PEERNET, SOCK_STREAM, 0);
	if (fd < 0 || pn_bind(fd, &addr, sizeof(addr)) < 0 || pn_listen(fd, 16) < 0) {
		perror("echo_server");
		return 1;
	}
	printf("listening on port %s\n", argv[1]);
	fflush(stdout);
	for (;;) {
		struct sockaddr_pn peer;
		socklen_t len = sizeof(peer);
		int client = pn_accept(fd, &peer, &len);

		if (client < 0) {
			perror("pn_accept");
			return 1;
		}
		print_peer(&peer);
		if (fork() == 0) {
			close(fd);
			serve(client);
			_exit(0);
		}
		close(client);
	}
}

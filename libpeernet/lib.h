/* SPDX-License-Identifier: ISC */
/* lib.h - what the files of libpeernet share
 *
 * Theory of operation
 *
 * The library remembers nothing about descriptors: everything is read off the
 * socket, so that dup(), fork(), exec() and descriptor passing work and no table has
 * to be kept in step.  SO_TYPE tells streams from datagrams; the abstract name that the
 * socket (or, for an accepted one, its other end) is bound to tells role, addresses and
 * key.  The only thing kept per process is the connector, a cache that any call can
 * make again; it is invisible, and safe with threads and fork().
 */
#ifndef PN_LIB_H
#define PN_LIB_H

#include "libpeernet/client.h"
#include "libpeernet/peernet.h"

/** pn_lib_client() - the process's client */
struct pn_client *pn_lib_client(void);

/** pn_lib_result() - 0 or a count as it is; a negative errno into errno and -1 */
long pn_lib_result(long r);

/** pn_lib_type() - Return: SOCK_STREAM, SOCK_SEQPACKET (datagrams), or -errno */
int pn_lib_type(int fd);

/** pn_lib_dgram_key() - the key of a datagram socket.  Return: 0, -ENOTSOCK... */
int pn_lib_dgram_key(int fd, uint8_t key[16]);

/** pn_lib_target() - HIT and port of an address to send to; an address of zeros is
 *  this node.  Return: 0, -EINVAL, -EAFNOSUPPORT, -EADDRNOTAVAIL (port 0) */
int pn_lib_target(const struct sockaddr_pn *addr, socklen_t len, uint8_t hit[16],
		  uint16_t *port);

/** pn_lib_address() - fill in an address as accept() does: cut to @len, which then
 *  tells the whole length
 *  @with_id: ask the daemon for the identity behind the HIT */
void pn_lib_address(const uint8_t hit[16], uint16_t port, bool with_id,
		    struct sockaddr_pn *addr, socklen_t *len);

#endif

/* SPDX-License-Identifier: ISC */
/* Socket options of TCP, UDP, IP and IPv6, kept for sockets that have none.
 *
 * An AF_UNIX descriptor refuses them all.  What a program sets is kept here,
 * is read back as set, is inherited by accepted sockets, and is set for real
 * when the socket becomes one of the kernel's.  Nothing here makes a system
 * call. */
#ifndef SHIM_OPTSTORE_H
#define SHIM_OPTSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define OPT_MAX		128	/* options known at most */
#define OPT_CC_LEN	16	/* bytes of a congestion control's name */

/**
 * struct opt_store - The options of one socket
 * @set:	Which the program has set, a bit each, by index of the table
 * @value:	Their values; meaningless unless set
 * @cc:		TCP_CONGESTION; empty unless set
 */
struct opt_store {
	uint64_t set[(OPT_MAX + 63) / 64];
	int value[OPT_MAX];
	char cc[OPT_CC_LEN];
};

/** opt_set() - Keep an option
 * @stream:	A TCP socket; else UDP
 * Return: 0; ENOPROTOOPT unknown; EINVAL length or value; EPERM, ENOENT for
 *	   what cannot be had
 */
int opt_set(struct opt_store *s, bool stream, int level, int name, const void *value,
	    socklen_t len);

/** opt_get() - Read an option back; its default if never set
 * @len:	Room at @value; then the bytes there
 * Return: 0; ENOPROTOOPT unknown; EINVAL
 */
int opt_get(const struct opt_store *s, bool stream, int level, int name, void *value,
	    socklen_t *len);

/** opt_out() - Hand something to a program that asks for an option
 * @len:	Room at @value; then the bytes there
 * Return: 0; EFAULT
 */
int opt_out(const void *from, size_t n, void *value, socklen_t *len);

/** opt_is_ours() - Does this option live here (else the kernel answers)? */
bool opt_is_ours(int level, int name);

/** opt_knows() - Does the table have it, for TCP or UDP? */
bool opt_knows(bool stream, int level, int name);

/** opt_is_switch() - Does the table have it, as one that is on or off? */
bool opt_is_switch(bool stream, int level, int name);

/** opt_stored() - Has it been set, and to what, as the program passed it? */
bool opt_stored(const struct opt_store *s, int level, int name, int *value);

/** opt_int() - The value of an option of one integer; its default if unset */
int opt_int(const struct opt_store *s, int level, int name);

/** opt_each() - Walk the options that are set
 * @at:		0 first; then what the last call left there
 * Return: false at the end
 */
bool opt_each(const struct opt_store *s, unsigned int *at, int *level, int *name, int *value);

#endif /* SHIM_OPTSTORE_H */

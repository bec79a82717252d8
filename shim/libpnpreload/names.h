/* SPDX-License-Identifier: ISC */
/* Names under .pn.alt and HITs: what is ours to resolve. */
#ifndef SHIM_NAMES_H
#define SHIM_NAMES_H

#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdbool.h>
#include <stdint.h>

enum name_kind {
	NAME_FOREIGN,	/* libc's */
	NAME_OURS,	/* the daemon resolves it */
	NAME_BAD,	/* ours, but malformed: nobody resolves it */
	NAME_HIT,	/* a HIT literal; no question needed */
};

/** name_kind_of() - Whose is this name?
 * @name:	May be NULL: foreign.  May have escapes as in the DNS's files; one of ours is then bad
 * @hit:	Set if NAME_HIT
 */
enum name_kind name_kind_of(const char *name, uint8_t hit[16]);

/** name_lookup() - Ask the daemon, unless there is no question
 * @hit:	Set; read if NAME_HIT
 * Return: 0 or errno
 */
int name_lookup(const char *name, enum name_kind kind, uint8_t hit[16]);

/** name_h_errno() - The h_errno for what dm_resolve() returned */
int name_h_errno(int err);

/** name_eai() - The EAI_ code for what dm_resolve() returned */
int name_eai(int err);

/** name_is_foreign() - Is it for another resolver to ask the DNS?  Under PEERNET_ONLY, none is
 * @name:	May be NULL
 */
bool name_is_foreign(const char *name);

/** name_literal() - A name that is not foreign as an address, for another resolver
 * @family:	AF_INET; else it is IPv6
 * @text:	INET6_ADDRSTRLEN bytes
 * Return: 0 or errno
 */
int name_literal(const char *name, int family, char *text);

/** name_join() - A name with a domain behind, as libc puts the two together
 * @domain:	NULL: none
 * @all:	Set
 * Return: @all; NULL if it is foreign, or too long, which libc refuses itself
 */
const char *name_join(const char *name, const char *domain, char all[NS_MAXDNAME + 1]);

/**
 * struct search_list - What has been hidden of libc's
 * @domain:	As it was; meaningless unless @hidden
 * @hidden:	Something has
 */
struct search_list {
	char *domain[MAXDNSRCH + 1];
	bool hidden;
};

/** search_has_ours() - Would a domain of libc's search list make this host's name ours?
 * @name:	May be NULL: no; an address: no
 */
bool search_has_ours(const char *name);

/** search_hide() - Take such domains out, for one call
 * @state:	This thread's _res, or one of the program's
 * @kept:	Set, for search_show(), which puts them back
 */
void search_hide(res_state state, const char *name, struct search_list *kept);

/** search_hide_host() - The same for this thread's _res, where libc does not look for addresses
 *
 * Then nor does this: the list's file may be out of reach where no names are used.
 */
void search_hide_host(const char *name, struct search_list *kept);
void search_show(res_state state, const struct search_list *kept);

/** idn_to_ascii() - A name as libc sees it with AI_IDN
 * Return: for free(); NULL if it is of ASCII already, or libc cannot do it either
 */
char *idn_to_ascii(const char *name);

/** hostent_fill() - A struct hostent in the caller's memory
 * @buf:	For all that it points to; any alignment
 * Return: 0; ERANGE if @len is too small
 */
int hostent_fill(struct hostent *h, char *buf, size_t len, const char *name, int family,
		 const void *addr);

struct msghdr;
struct sa_dest;

/** dns_connected() - A socket of libc's is connected to @dest; it may be the DNS's */
void dns_connected(int fd, const struct sa_dest *dest);

/** dns_is_client() - Is it connected to the DNS? */
bool dns_is_client(int fd);

/** dns_dup() - What is known of @from holds for @to as well */
void dns_dup(int from, int to);

/** dns_forget() - The numbers from @first to @last are about to be closed */
void dns_forget(unsigned int first, unsigned int last);

/** dns_is_leak() - Is it a question to the DNS about a name of ours?  ECONNREFUSED then
 * @dest:	Where it goes; NULL: where the socket is connected to
 */
bool dns_is_leak(int fd, const struct sa_dest *dest, const struct msghdr *msg);

/** dns_buf_is_leak() - The same of some bytes for a connected socket */
bool dns_buf_is_leak(int fd, const void *buf, size_t n);

#endif /* SHIM_NAMES_H */

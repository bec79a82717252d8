/* SPDX-License-Identifier: ISC */
/* Names: the text of an identity, host names under .pn.alt, and HITs.
 *
 *	<52 characters of base32>.pn.alt	an identity
 *	label.pn.alt				a petname, a local alias
 *	anything else				not ours ("foreign")
 *
 * A HIT is an identity as an IPv6 address: 28 bits of prefix (2001:20::/28,
 * RFC 7343), 4 bits of our own (PN_HIT_NIBBLE), 96 bits of hash.  The hash is
 * made elsewhere; here one is only recognised. */
#ifndef PN_NAME_H
#define PN_NAME_H

#include "libpeernet/base/pn_assert.h"
#include "libpeernet/base/pn_limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PN_NAME_SUFFIX		".pn.alt"	/* RFC 9476 */
#define PN_HIT_NIBBLE		0x1	/* low half of a HIT's fourth byte */
#define PN_HIT_HASH_OFF		4	/* bytes before the hash in a HIT */
#define PN_NAME_REASON_MAX	96	/* bytes with NUL */
#define PN_ID_NAME_LEN		59	/* characters of an identity's name */

static_assert(PN_ID_NAME_LEN ==
	      PN_ID_TEXT_LEN + sizeof(PN_NAME_SUFFIX) - 1,
	      "key and suffix");

/**
 * enum pn_name_kind - What a host name is
 */
enum pn_name_kind {
	PN_NAME_FOREIGN,	/* not under .pn.alt: leave it to others */
	PN_NAME_ID,		/* an identity; @id is set */
	PN_NAME_PETNAME,	/* a petname; @label is set */
};

/**
 * struct pn_name - A host name, taken apart
 * @kind:	What it is; PN_NAME_FOREIGN if malformed
 * @id:		The identity; zero unless PN_NAME_ID
 * @label:	The petname in lower case; empty unless PN_NAME_PETNAME
 * @reason:	What is wrong with it, for people; empty unless malformed
 */
struct pn_name {
	enum pn_name_kind kind;
	uint8_t id[PN_ID_LEN];
	char label[PN_LABEL_MAX + 1];
	char reason[PN_NAME_REASON_MAX];
};

/** pn_id_to_text() - An identity in base32 (RFC 4648), lower case, no padding
 * @id:		The identity
 * @text:	Filled with 52 characters and NUL
 */
void pn_id_to_text(const uint8_t id[PN_ID_LEN],
		   char text[PN_ID_TEXT_LEN + 1]);

/** pn_id_from_text() - The identity that 52 characters of base32 stand for
 * @text:	Characters of either case, borrowed; need not end in NUL
 * @text_len:	Characters at @text
 * @id:		Set on success, else left alone
 *
 * Each identity has exactly one text: the four bits too many must be zero.
 *
 * Return: 0; PN_EMSGSIZE if there are not 52 characters; PN_EINVAL for one
 *	   that is not of the alphabet, or bits set behind the end
 */
PN_MUST_CHECK int pn_id_from_text(const char *text, size_t text_len,
				  uint8_t id[PN_ID_LEN]);

/** pn_id_to_name() - The host name of an identity
 * @id:		The identity
 * @name:	Filled with the text, ".pn.alt" and NUL
 */
void pn_id_to_name(const uint8_t id[PN_ID_LEN], char name[PN_ID_NAME_LEN + 1]);

/** pn_name_parse() - Take a host name apart
 * @s:		The name, ends in NUL; either case, may end in one dot
 * @out:	Always set; on failure kind PN_NAME_FOREIGN and a reason
 *
 * Under .pn.alt there is one label, and no more.  It is letters, digits and
 * hyphens (not at an end).  A label without a hyphen that is at least 40
 * characters long is taken for a key, so that a mistyped one is not quietly
 * looked up as a petname.
 *
 * Return: 0 (also for a foreign name); PN_EINVAL if it is under .pn.alt and
 *	   malformed: it must then not be handed to anybody else (not to the
 *	   DNS), and @out->reason says what is wrong with it
 */
PN_MUST_CHECK int pn_name_parse(const char *s, struct pn_name *out);

/** pn_label_ok() - Can these characters be a petname?
 * @label:	Characters, borrowed; need not end in NUL
 * @label_len:	Characters at @label
 *
 * Return: true for what pn_name_parse() takes as a petname
 */
bool pn_label_ok(const char *label, size_t label_len);

/** pn_is_orchid() - Is this IPv6 address in 2001:20::/28?
 * @ip:		Address, big endian
 *
 * Return: true or false.  No such address is ever for the Internet
 */
static inline bool pn_is_orchid(const uint8_t ip[PN_HIT_LEN])
{
	return ip[0] == 0x20 && ip[1] == 0x01 && ip[2] == 0x00 &&
	       (ip[3] & 0xf0) == 0x20;
}

/** pn_is_hit() - Is this IPv6 address a HIT of PeerNet?
 * @ip:		Address, big endian
 *
 * Return: true if it is in 2001:20::/28 and our own four bits follow
 */
static inline bool pn_is_hit(const uint8_t ip[PN_HIT_LEN])
{
	return pn_is_orchid(ip) && (ip[3] & 0x0f) == PN_HIT_NIBBLE;
}

/** pn_hit_set_prefix() - Write the 32 bits before a HIT's hash
 * @hit:	Its first four bytes are set
 */
static inline void pn_hit_set_prefix(uint8_t hit[PN_HIT_LEN])
{
	hit[0] = 0x20;
	hit[1] = 0x01;
	hit[2] = 0x00;
	hit[3] = 0x20 | PN_HIT_NIBBLE;
}

#endif /* PN_NAME_H */

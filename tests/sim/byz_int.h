/* SPDX-License-Identifier: ISC */
/* byz_int.h - what the files of the Byzantine nodes know of each other
 *
 *   byzantine.c  who is one, and since when; the wrappers; those that drop
 *   byz_lies.c   lies in control messages: metrics, cheap, claim
 *   byz_again.c  lookups and replays: forge, replay
 *
 * A wrapper is linked in place of the function that it wraps (Makefile,
 * SIM_WRAPS) for all calls from another file; real_*() is that function.
 */
#ifndef SIM_BYZ_INT_H
#define SIM_BYZ_INT_H

#include "tests/sim/byzantine.h"

#include "pnstackd/net/net_int.h"

#define WRAP(ret, name, ...) \
	ret __real_##name(__VA_ARGS__); \
	ret __wrap_##name(__VA_ARGS__); \
	ret __wrap_##name(__VA_ARGS__)

/** byz_now() - what the node that makes a call is at this moment */
enum byz_kind byz_now(const struct net *net);

/** byz_rng() - random numbers of all Byzantine nodes */
struct rng *byz_rng(void);

/** byz_act() - one misdeed more */
void byz_act(void);

/** byz_node() - Return: number of the node that makes a call */
uint32_t byz_node(const struct net *net);

/** byz_time() - true time */
uint64_t byz_time(void);

/* byz_lies.c */
/** lies_edit() - change an update message that is about to leave
 *  @buf: ADJ_CTL_MAX bytes
 *  Return: length of what to send instead, in @buf; 0: as it was */
size_t lies_edit(struct net *net, enum byz_kind kind, const uint8_t *msg, size_t len,
		 uint8_t *buf);
/** lies_kind() - Return: they lie in update messages */
bool lies_kind(enum byz_kind kind);
/** lies_about() - Return: in this message such a liar has something to change: in records
 *  who claims areas, in routes the others */
bool lies_about(enum byz_kind kind, const uint8_t *msg, size_t len);
/** lies_edit_join() - the same for a join message */
size_t lies_edit_join(const uint8_t *msg, size_t len, uint8_t *buf);

/* byz_again.c */
/** again_answer() - change the answer to a lookup that is about to leave
 *  @buf: @cap bytes for what to send in its place, @len at least
 *  Return: its length; 0: none shall leave */
size_t again_answer(struct net *net, const uint8_t *payload, size_t len, uint8_t *buf, size_t cap);
/** again_query() - an answer to a query that should have been passed on
 *  Return: its length; 0: there shall be none */
size_t again_query(const uint8_t *payload, size_t len, uint8_t *buf, size_t cap);
/** again_packet() - a packet came: keep a copy, and maybe bring an older one back
 *  Return: a packet to be handled as if it had come over @adj too, or NULL */
struct pn_pkt *again_packet(struct net *net, uint32_t *adj, const struct pn_pkt *pkt);
/** again_frame() - the same for frames: an older one leaves */
void again_frame(struct net *net, const struct pn_pkt *pkt);
/** again_message() - a control message leaves: keep it
 *  @buf: ADJ_CTL_MAX bytes for an old one that shall follow
 *  Return: its length; 0: none */
size_t again_message(struct net *net, uint32_t adj, const uint8_t *msg, size_t len, uint8_t *buf);
/** again_told() - a control message of a liar leaves: keep it */
void again_told(struct net *net, uint32_t adj, const uint8_t *msg, size_t len);
/** again_tell() - one of what a liar told lately
 *  @buf: ADJ_CTL_MAX bytes
 *  Return: its length; 0: none */
size_t again_tell(struct net *net, uint32_t *adj, uint8_t *buf);
void again_start(uint32_t nodes);
void again_end(void);

#endif

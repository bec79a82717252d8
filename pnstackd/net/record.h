/* SPDX-License-Identifier: ISC */
/* record.h - area records: what one area of the tree is, signed by its leader
 *
 * An area belongs to its first leader: the id is a hash of the leader's
 * identity, facet, boot counter and a nonce, so nobody else can sign a record
 * for it.  A leader that has to leave its parent raises the epoch: a listing
 * of the older epoch no longer counts for it.  When it dies its area may be
 * succeeded by another in the same place and of the same line (succeed.c).
 *
 * Records are immutable once made.  A node keeps one copy of each version it
 * needs in a pool and refers to it by a counted handle.
 */
#ifndef PN_RECORD_H
#define PN_RECORD_H

#include "pnstackd/net/net_int.h"

#define REC_WIRE_LEN 196         /* bytes on the wire, signature included */
#define REC_LEVEL_MAX 62         /* highest level an area may hang at */

struct rec_child {
	uint64_t id;             /* 0: free */
	uint64_t leader;         /* node id (rec_node_id()) of its leader */
	uint32_t epoch;
	uint8_t count;           /* coarse node count, see rec_count_code() */
};

struct rec {
	uint64_t id;
	uint8_t leader_id[PN_ID_LEN];
	uint64_t boot;           /* boot counter of the leader when it made the area */
	uint32_t nonce;          /* 0: a leaf */
	uint16_t facet;          /* the leader's */
	uint64_t leader;         /* node id of the leader, derived from these */
	uint32_t epoch, seq;
	uint8_t base;            /* level of its contents: its block has 2^base addresses */
	uint8_t top;             /* level it hangs at; NET_TOP_NONE for a root */
	uint8_t bit;             /* its bit at that level */
	uint8_t count;           /* coarse node count */
	uint64_t parent;         /* 0 for a root */
	uint64_t deputy;         /* node id of who may succeed the leader, 0 none */
	uint64_t prev;           /* area that this one succeeds; 0 none */
	uint64_t line;           /* id of the first of that line of areas; the own if prev is 0 */
	struct rec_child child[2]; /* by bit; both free in a leaf */
	uint8_t sig[64];
};

/** rec_node_id() - the name of one facet of one node since its last boot */
uint64_t rec_node_id(const uint8_t id[PN_ID_LEN], uint16_t facet, uint64_t boot);

/** rec_init() - a fresh area of ours: id from the nonce, no parent; not signed */
void rec_init(struct rec *r, const struct net *net, uint16_t facet, uint32_t nonce);

/** rec_sign() - raise seq, coarse counts stay as set, sign with the node's key */
void rec_sign(const struct net *net, struct rec *r);

void rec_build(struct pn_wr *w, const struct rec *r);

/** rec_parse() - one record, its id checked against its leader, not its signature
 *  Return: 0, PN_EBADMSG; the reader is moved past it */
PN_MUST_CHECK int rec_parse(struct pn_rd *rd, struct rec *out);

/** rec_verify() - signature; PN_EAUTH */
PN_MUST_CHECK int rec_verify(const struct rec *r);

/** rec_newer() - Return: @a replaces @b (same id) */
bool rec_newer(const struct rec *a, const struct rec *b);

/** rec_lists() - Return: the bit under which @p lists (id, epoch, leader), or -1 */
int rec_lists(const struct rec *p, uint64_t id, uint32_t epoch, uint64_t leader);

/* Coarse counts: eight steps per doubling, exact up to 16.  rec_count_sum() rounds
 * to the nearest, so that the error does not grow with the height. */
uint32_t rec_count_value(uint8_t code);
uint8_t rec_count_sum(uint8_t a, uint8_t b);
#define REC_COUNT_ONE 0          /* the code of 1 */
#define REC_COUNT_LEAF 255       /* 1 as well: a node that carries nobody else's traffic */

/** rec_height_fits() - Return: so many nodes (coarse) may have grown 2 log2 + @slack high */
bool rec_height_fits(uint8_t base, uint8_t count, unsigned slack);
#define HEIGHT_GRANT 8           /* no slot is given that makes a tree taller */
#define HEIGHT_BELIEF 12         /* nobody believes in an area that is; counts may lag */

/* Pool of versions ------------------------------------------------------- */

typedef uint16_t rec_ref;        /* 0: none */

struct rec_pool {
	struct rec *rec;         /* [cap], rec_ref - 1 is the index */
	uint16_t *refs;
	uint16_t *next;          /* hash chain or free list */
	uint16_t *owner;         /* who brought it; 0 ourselves */
	uint16_t *owned;         /* [owners], how many each has brought */
	uint16_t *bucket;        /* heads, power of two */
	uint32_t cap, bucket_count, owners;
	uint16_t free;
	uint32_t used;
};

/** rec_pool_carve() - @owners: they are numbered from 1 to this */
void rec_pool_carve(struct rec_pool *p, struct arena *a, uint32_t cap, uint32_t owners);
void rec_pool_init(struct rec_pool *p);
/** rec_intern() - a counted handle for this version; 0 when the pool is full
 *  @spare: entries that must stay free, for those who matter more */
rec_ref rec_intern(struct rec_pool *p, const struct rec *r, uint32_t spare);
/** rec_intern_for() - the same for somebody who may bring @quota of them
 *  @owner: from 1 */
rec_ref rec_intern_for(struct rec_pool *p, const struct rec *r, uint32_t spare, uint32_t owner,
		       uint32_t quota);
/** rec_find() - is this very version there?  Not counted; 0: no */
rec_ref rec_find(struct rec_pool *p, const struct rec *r);
rec_ref rec_get(struct rec_pool *p, rec_ref ref);   /* one more reference */
void rec_put(struct rec_pool *p, rec_ref ref);      /* 0 does nothing */
static inline const struct rec *rec_at(const struct rec_pool *p, rec_ref ref)
{
	PN_ASSERT(ref != 0);
	return &p->rec[ref - 1];
}

#endif

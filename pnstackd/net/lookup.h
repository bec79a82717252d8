/* SPDX-License-Identifier: ISC */
/* lookup.h - the lookup service: from an identity to its addresses
 *
 *   lookup.c         theory; messages; dispatch
 *   lookup_record.c  signed address records
 *   lookup_own.c     registering ourselves
 *   lookup_table.c   records kept for others: the table
 *   lookup_store.c   the anchor: what it takes
 *   lookup_answer.c  the anchor: what it answers
 *   lookup_hand.c    the anchor: handing records on, second copies
 *   lookup_left.c    telling the places that we left where we are now
 *   lookup_client.c  asking
 */
#ifndef PN_LOOKUP_H
#define PN_LOOKUP_H

#include "pnstackd/net/net_int.h"
#include "pnstackd/net/limit.h"

/* Address records -------------------------------------------------------------
 *
 *   identity 32 | seq 8 (boot << 32 | n) | stamp 4 | lifetime 2 (s) | area 8 |
 *   base 1 | count 1 | count x address (base rounded up to bytes, at least 1) |
 *   signature 64 over all that, purpose SIGN_LOOKUP
 *
 * In the answer of him whom it is about it looks the same, but the signature is for that
 * answer only: over all that | qid 8 | address of the asker 8, purpose SIGN_ANSWER.
 *
 * Addresses are those inside the area: their lowest base bits. */
#define ADDR_RECORD_HEAD (PN_ID_LEN + 8 + 4 + 2 + 8 + 1 + 1)
#define ADDR_RECORD_MIN (ADDR_RECORD_HEAD + 1 + 64)
#define ADDR_RECORD_MAX NET_RECORD_MAX
#define ADDR_LIFETIME_MAX 14400      /* s */
static_assert(ADDR_RECORD_HEAD + 4 * NET_ADDRS_MAX + 64 <= ADDR_RECORD_MAX,
	      "all addresses of a hub, in any network of up to 2^32; else the last are left out");
static_assert(NET_ADDRS_MAX <= UINT8_MAX, "count has one byte");

struct addr_record {
	uint8_t id[PN_ID_LEN];
	uint8_t hit[PN_HIT_LEN];     /* of id; not on the wire */
	uint64_t seq;                /* grows when an address changes */
	uint32_t stamp;              /* grows when it is registered again */
	uint16_t lifetime_s;         /* 1..ADDR_LIFETIME_MAX */
	uint64_t area;               /* the addresses are inside this one */
	uint8_t base;                /* whose block has 2^base; 0..64 */
	uint16_t count;              /* 1..NET_ADDRS_MAX */
	uint64_t addrs[NET_ADDRS_MAX];
};

/* The question that somebody answers himself. */
struct addr_ask { uint64_t qid, asker; };

/** addr_record_build() - signed with our key; all fields but id and hit are used
 *  @ask: NULL; or it is good for the answer to that question only
 *  Return: bytes written, at most ADDR_RECORD_MAX; addresses that do not fit are left
 *  out; 0: @cap too small */
size_t addr_record_build(const struct net *net, const struct addr_record *rec,
			 const struct addr_ask *ask, uint8_t *buf, size_t cap);

/** addr_record_parse() - the form only, not the signature
 *  Return: 0, PN_EBADMSG; @rec untouched then */
PN_MUST_CHECK int addr_record_parse(struct addr_record *rec, const uint8_t *buf, size_t len);

/** addr_record_verify() - Return: 0, PN_EAUTH.  @buf as it was parsed; @ask as it was built */
PN_MUST_CHECK int addr_record_verify(const struct addr_record *rec, const struct addr_ask *ask,
				     const uint8_t *buf, size_t len);

/** addr_record_newer() - Return: (@seq, @stamp) is newer than (@old_seq, @old_stamp) */
bool addr_record_newer(uint64_t seq, uint32_t stamp, uint64_t old_seq, uint32_t old_stamp);

/** addr_low() - the part of an address inside a block of 2^base */
static inline uint64_t addr_low(uint64_t addr, unsigned base)
{
	return base >= 64 ? addr : addr & ((UINT64_C(1) << base) - 1);
}

/** addr_prefix() - what stands above the addresses of an area that we are in
 *  Return: false if none of our facets is in it */
bool addr_prefix(const struct net *net, uint64_t area, unsigned base, uint64_t *prefix);

/** lookup_key() - where an identity's record is anchored */
uint64_t lookup_key(const uint8_t hit[PN_HIT_LEN], uint8_t replica);

/* Messages, payload of NET_PROTO_LOOKUP ----------------------------------------
 *
 *   STORE   kind 1 | replica 1 | flags 1 | lifetime left 4 (ms) | cookie 8 | record
 *           along the key; flags bit 0: an anchor hands it on, bit 1: a second copy;
 *           to an anchor's address, flags bit 2: we have left, this is where we are
 *   STORED  kind 1 | status 1 | cookie 8
 *           to the source address
 *   QUERY   kind 1 | step 1 | flags 1 | qid 8 | HIT 16 | area 8 | zeros
 *           along the key; as long as the asker wants the answer to be, at most;
 *           flags bit 0: who knows nothing passes it on, bit 1: who knows where he is
 *           lets himself answer
 *   ANSWER  kind 1 | step 1 | status 1 | qid 8 | status 0: record,
 *           1: nothing, unknown here, 2: length 2 that the query must have,
 *           3: record, signed for this answer by him whom it is about
 *           to the source address; never longer than the query
 *   MOVED   kind 1 | record
 *           to the source of a packet that found us although we had moved */
enum lookup_msg { LOOKUP_STORE = 1, LOOKUP_STORED, LOOKUP_QUERY, LOOKUP_ANSWER, LOOKUP_MOVED };
#define LOOKUP_F_HANDOVER 1u
#define LOOKUP_F_SECOND 2u
#define LOOKUP_F_LEFT 4u
#define LOOKUP_Q_ON 1u
#define LOOKUP_Q_HIMSELF 2u
#define LOOKUP_STEP_HIMSELF 0x40u    /* in the step of a query: it goes to himself */
#define LOOKUP_STORE_LEN (1 + 1 + 1 + 4 + 8)          /* before the record */
#define LOOKUP_STORED_LEN (1 + 1 + 8)
#define LOOKUP_QUERY_LEN (1 + 1 + 1 + 8 + PN_HIT_LEN + 8) /* before the zeros */
#define LOOKUP_ANSWER_LEN (1 + 1 + 1 + 8)             /* before the record */
#define LOOKUP_QUERY_MAX (LOOKUP_ANSWER_LEN + ADDR_RECORD_MAX)
#define LOOKUP_PAYLOAD_MAX (LOOKUP_STORE_LEN + ADDR_RECORD_MAX)
static_assert(NET_HDR_LEN + LOOKUP_PAYLOAD_MAX <= PN_MTU_MIN, "a STORE fits everywhere");

enum lookup_stored { STORED_OK, STORED_OLD };   /* OLD: the anchor has a newer one */
enum lookup_answer { ANSWER_RECORD, ANSWER_UNKNOWN, ANSWER_LONGER, ANSWER_HIMSELF };

/* State -------------------------------------------------------------------- */

#define LOOKUP_REPLICAS 3            /* in the whole network; 1 in a smaller area */
#define LOOKUP_HINT LOOKUP_REPLICAS  /* "replica" of a record kept where its owner was */
#define LOOKUP_LEFT 8                /* anchors of areas we left that are being told */
#define HINT_NS PN_S(60)             /* so long a hint is good, see lookup_left.c */
#define LOOKUP_QUERIES 64            /* identities asked for at once, at most */
#define LOOKUP_WAITERS 128           /* net_lookup() tokens waiting: two for each query */
#define LOOKUP_QUERY_WANT 144        /* length of a query: room for some addresses */
#define LOOKUP_STEPS (TREE_SCOPES_MAX + LOOKUP_REPLICAS)

/* Timers, TIMER_LOOKUP: the queries, then these */
#define LOOKUP_TIMER_OWN LOOKUP_QUERIES
#define LOOKUP_TIMER_SCAN (LOOKUP_QUERIES + 1)
#define LOOKUP_TIMER_LOCAL (LOOKUP_QUERIES + 2)       /* fwd.c */
static_assert(LOOKUP_TIMER_LOCAL + 1 == NET_LOOKUP_TIMERS, "told to net.c");

#define STORED_NONE UINT32_MAX
#define STORED_RAW 128               /* bytes of a record that an entry has room for */
#define STORED_SOURCES 256           /* sources that are counted; power of two */

/* A record kept for somebody. */
struct stored {
	bool used;
	bool handing;                /* sent on, not yet acknowledged */
	bool second;                 /* given to us as a second copy */
	bool synced;                 /* the other copy is where it should be, as of sig */
	bool own_source;             /* it came from its identity, not from an anchor */
	uint8_t replica;
	uint8_t base;
	uint8_t tries;
	uint8_t source;              /* who is counted for it */
	uint8_t above;               /* its second copy must be at this level or a higher one */
	uint16_t len;
	uint16_t large;              /* its place if it is longer than STORED_RAW, + 1 */
	uint32_t stamp;
	uint32_t next;               /* in its bucket, or free */
	uint8_t hit[PN_HIT_LEN];
	uint64_t area;
	uint64_t seq;
	uint64_t cookie;             /* of the handing on */
	uint64_t sig;                /* what its place looked like, see lookup_hand.c */
	struct pn_time expires, next_try;
	struct pn_time drop_at;      /* it is not needed here any more; NEVER: it is */
	struct net_timer timer;      /* TIMER_RECORD */
	uint8_t raw[STORED_RAW];
};

struct large { uint16_t next; uint8_t raw[ADDR_RECORD_MAX]; };

/* One area in which we are registered. */
struct registration {
	bool used, seen;
	bool widest;                 /* the whole network: all replicas */
	uint8_t base;
	uint16_t facet;              /* from which it is sent */
	uint64_t area;
	uint64_t id;                 /* of the area, as of the last registration */
	uint64_t seq;
	uint32_t stamp;
	uint64_t digest;             /* of our addresses inside */
	struct pn_time refresh_at;
	struct reg_replica {
		bool acked;
		uint8_t tries;
		uint64_t cookie;
		struct pn_time next_try, sent_at;
	} rep[LOOKUP_REPLICAS];
	uint64_t anchor;             /* that acknowledged last; 0 none */
	uint32_t anchor_tag;
};

/* An anchor in an area that we have left. */
struct left {
	uint8_t tries;               /* still to be made; 0: free */
	uint64_t anchor, cookie;
	uint32_t tag;
	struct pn_time next_try, until;
};

struct query {
	bool used;
	bool pausing;                /* all said unknown: once more after a moment */
	bool stale;                  /* somebody had an answer that is no news */
	bool for_peer;               /* peer.c waits for it, */
	bool doubt;                  /* and an address that it has does not work */
	bool begun, climbing;        /* the one that climbs was sent; and is under way */
	uint8_t scopes;              /* areas of ours, when it began */
	uint8_t rounds;              /* in which all were asked at once */
	uint8_t pauses;
	uint8_t attempts;
	uint8_t again;               /* packets sent because of what an answer says */
	uint32_t unknown, pending;   /* bit per step */
	uint16_t want;               /* length of the query */
	uint8_t hit[PN_HIT_LEN];
	uint64_t qid;
	uint64_t min_seq;            /* a record is news if it is newer than this */
	struct pn_time sent_at, until;
	struct net_timer timer;      /* TIMER_LOOKUP */
};

struct waiter { bool used; uint8_t query; uint64_t token; };
struct negative { struct pn_time until; uint8_t hit[PN_HIT_LEN]; };

/* How long an answer takes, for areas of about one size (RFC 6298). */
struct lookup_rtt { uint32_t srtt_us, var_us; };
#define LOOKUP_RTTS (64 / TREE_SCOPE_STEP + 1)

struct lookup {
	bool ready;
	uint64_t secret;             /* of the hash tables */
	struct limit answers;        /* queries answered */
	struct limit stores;         /* signatures checked for others */
	struct limit signs;          /* answers about ourselves, signed for one asker each */
	struct lookup_rtt rtt[LOOKUP_RTTS];

	struct registration *regs;
	uint32_t reg_max, reg_high;  /* all in use are below reg_high */
	uint32_t own_n;              /* versions of our addresses since start */
	bool dirty;                  /* something changed: look at rebuild_at */
	struct pn_time rebuild_at, built_at;
	struct net_timer own_timer;
	struct left left[LOOKUP_LEFT];
	uint8_t left_at;             /* next to be overwritten */

	struct stored *records;
	struct large *large;
	uint32_t *buckets;
	uint32_t record_max, bucket_mask, record_count;
	uint32_t record_free;        /* given back; else the next one is: */
	uint32_t record_fresh;       /* never used: this and all after it */
	uint16_t large_max, large_fresh, large_free;
	uint16_t per_source[STORED_SOURCES];
	uint32_t scan_at, scan_left; /* cursor; records still to be looked at quickly */
	struct net_timer scan_timer;

	struct query *queries;       /* [query_max] */
	uint32_t query_max;
	struct waiter *waiters;      /* [waiter_max] */
	struct negative *negatives;  /* [query_max] */
	uint32_t waiter_max;
	uint32_t negative_at;        /* next to be overwritten */
};

/* lookup.c */
struct lookup_store_msg {
	uint16_t facet;              /* from where */
	uint8_t base;                /* of the area of the walk */
	uint8_t replica, flags;
	int level;                   /* second copy: across this level; else -1 */
	uint64_t left_ns, cookie;
};
/** lookup_send_store() - one STORE along the key of @hit */
void lookup_send_store(struct net *net, const struct lookup_store_msg *m,
		       const uint8_t hit[PN_HIT_LEN], const uint8_t *raw, size_t len,
		       struct pn_time now);
/** lookup_rtt_sample(), lookup_timeout_ns() - how long to wait for an answer */
void lookup_rtt_sample(struct net *net, unsigned base, uint64_t ns);
uint64_t lookup_timeout_ns(const struct net *net, unsigned base);
/** lookup_nearest() - the replica of @hit in that network whose walk leaves the facet's side
 *  at the lowest level: it is likely to be near */
uint8_t lookup_nearest(const struct net *net, uint16_t facet, const uint8_t hit[PN_HIT_LEN],
		       unsigned base);

/* lookup_own.c */
void own_init(struct net *net, struct pn_time now);
void own_changed(struct net *net, struct pn_time now);
void own_expire(struct net *net, struct pn_time now);
/** own_on_stored() - Return: it was for one of our registrations */
bool own_on_stored(struct net *net, const struct net_hdr *hdr, uint64_t cookie,
		   struct pn_time now);
/** own_record() - our record in an area, as new as can be
 *  @area:  0: the whole network
 *  @ask:   as addr_record_build()
 *  Return: bytes, 0: we are not registered there */
size_t own_record(struct net *net, uint64_t area, const struct addr_ask *ask, uint8_t *buf,
		  size_t cap);

/* lookup_table.c */
void table_init(struct net *net);
struct stored *store_find(struct net *net, const uint8_t hit[PN_HIT_LEN], uint8_t replica,
			  uint64_t area);
/** store_next() - walk all records of an identity: @after NULL for the first */
struct stored *store_next(struct net *net, const uint8_t hit[PN_HIT_LEN],
			  const struct stored *after);
/** store_insert() - Return: NULL: this source has too many, or there is no room */
struct stored *store_insert(struct net *net, const struct addr_record *rec, uint8_t replica,
			    uint64_t source, bool own_source);
void store_remove(struct net *net, struct stored *s);
/** store_set_raw() - Return: false: no room for one so long */
bool store_set_raw(struct net *net, struct stored *s, const uint8_t *raw, size_t len);
const uint8_t *store_raw(const struct net *net, const struct stored *s);
void store_rearm(struct net *net, struct stored *s);

/* lookup_store.c */
void store_on_store(struct net *net, const struct net_hdr *hdr, struct pn_rd *rd,
		    struct pn_time now);
/** store_on_left() - its owner is not where our record says */
void store_on_left(struct net *net, const struct net_hdr *hdr, struct pn_rd *rd,
		   struct pn_time now);

/* lookup_answer.c */
void answer_on_query(struct net *net, const struct net_hdr *hdr, const uint8_t *payload,
		     size_t len, struct pn_time now);

/* lookup_left.c */
/** left_area() - we are not in that area any more: tell its anchor */
void left_area(struct net *net, const struct registration *reg, struct pn_time now);
struct pn_time left_next(const struct net *net);
void left_expire(struct net *net, struct pn_time now);
/** left_on_stored() - Return: it was for one of these */
bool left_on_stored(struct net *net, uint64_t cookie);
/** lookup_tell_moved() - tell the source of a packet that we have another address now
 *  @room: bytes that the packet had; the answer is never longer */
void lookup_tell_moved(struct net *net, const struct net_hdr *hdr, size_t room,
		       struct pn_time now);
void lookup_on_moved(struct net *net, const struct net_hdr *hdr, struct pn_rd *rd,
		     struct pn_time now);

/* lookup_hand.c */
/** store_returned() - what we handed on has come back to us */
void store_returned(struct net *net, struct stored *s);
/** store_on_stored() - an acknowledgement that is not for our own registration */
void store_on_stored(struct net *net, uint64_t cookie, struct pn_time now);
void store_scan(struct net *net, struct pn_time now);
/** store_hurry() - anchors may have moved: look at all records soon */
void store_hurry(struct net *net, struct pn_time now);
/** store_check() - one record is new: is its other copy in place? */
void store_check(struct net *net, struct stored *s, struct pn_time now);

/* lookup_client.c */
void client_init(struct net *net);
/** client_forget() - who was unknown may be known now */
void client_forget(struct net *net);
void client_on_answer(struct net *net, const struct net_hdr *hdr, struct pn_rd *rd,
		      struct pn_time now);
/** client_on_error() - the query went to him, whom it is about, and did not arrive
 *  @rd: the first bytes of it, behind the kind */
void client_on_error(struct net *net, struct pn_rd *rd, struct pn_time now);
void client_expire(struct net *net, uint32_t index, struct pn_time now);
/** lookup_start() - ask for an identity on behalf of peer.c, who gets
 *  peer_on_record() or peer_on_lookup_failed(), later
 *  @min_seq: only a record newer than this is news
 *  @doubt:   the address that was known does not work: he shall answer himself; what he
 *            says then is told, too, though it is not newer
 *  Return: 0; PN_EUNREACH: nobody knew it a moment ago; PN_EFULL */
int lookup_start(struct net *net, const uint8_t hit[PN_HIT_LEN], uint64_t min_seq, bool doubt,
		 struct pn_time now);

#endif

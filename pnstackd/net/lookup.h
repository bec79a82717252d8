/* SPDX-License-Identifier: ISC */
/* lookup.h - the lookup service: from an identity to its addresses
 *
 *   lookup.c         messages, timers, registering ourselves
 *   lookup_record.c  signed address records
 *   lookup_store.c   the anchor: records kept for others, handing them on
 *   lookup_client.c  asking
 */
#ifndef PN_LOOKUP_H
#define PN_LOOKUP_H

#include "pnstackd/net/net_int.h"
#include "pnstackd/net/limit.h"

/* Address records -------------------------------------------------------------
 *
 *   identity 32 | seq 8 (boot << 32 | n) | lifetime 4 (s) | count 2 | count x
 *   address 8 | signature 64 over all that, purpose SIGN_LOOKUP */
#define ADDR_RECORD_MIN (PN_ID_LEN + 8 + 4 + 2 + 8 + 64)
#define ADDR_RECORD_MAX (PN_ID_LEN + 8 + 4 + 2 + 8 * NET_ADDRS_MAX + 64)
#define ADDR_LIFETIME_MAX 3600       /* s */
static_assert(ADDR_RECORD_MAX <= NET_RECORD_MAX, "the facade promises this");

struct addr_record {
	uint8_t id[PN_ID_LEN];
	uint8_t hit[PN_HIT_LEN];     /* of id; not on the wire */
	uint64_t seq;
	uint32_t lifetime_s;         /* 1..ADDR_LIFETIME_MAX */
	uint16_t count;              /* 1..NET_ADDRS_MAX */
	uint64_t addrs[NET_ADDRS_MAX];
};

/** addr_record_build() - signed with our key; @rec: seq, lifetime_s, count, addrs
 *  Return: bytes written, at most ADDR_RECORD_MAX; 0: @cap too small */
size_t addr_record_build(const struct net *net, const struct addr_record *rec, uint8_t *buf,
			 size_t cap);

/** addr_record_parse() - the form only, not the signature
 *  Return: 0, PN_EBADMSG; @rec untouched then */
PN_MUST_CHECK int addr_record_parse(struct addr_record *rec, const uint8_t *buf, size_t len);

/** addr_record_verify() - Return: 0, PN_EAUTH.  @buf as it was parsed */
PN_MUST_CHECK int addr_record_verify(const struct addr_record *rec, const uint8_t *buf, size_t len);

/** lookup_key() - where an identity's record is anchored */
uint64_t lookup_key(const uint8_t hit[PN_HIT_LEN], uint8_t replica);

/* Messages, payload of NET_PROTO_LOOKUP ----------------------------------------
 *
 *   STORE   kind 1 | replica 1 | flags 1 | lifetime left 4 (ms) | cookie 8 | record
 *           along the key; flags bit 0: an anchor hands it on
 *   STORED  kind 1 | replica 1 | status 1 | cookie 8 | HIT 16
 *           to the source address
 *   QUERY   kind 1 | replica 1 | zero 1 | qid 8 | HIT 16 | zeros
 *           along the key; as long as the asker wants the answer to be, at most
 *   ANSWER  kind 1 | replica 1 | status 1 | qid 8 | status 0: record,
 *           1: nothing, unknown here, 2: length 2 that the query must have
 *           to the source address; never longer than the query */
enum lookup_msg { LOOKUP_STORE = 1, LOOKUP_STORED, LOOKUP_QUERY, LOOKUP_ANSWER };
#define LOOKUP_F_HANDOVER 1u
#define LOOKUP_STORE_LEN (1 + 1 + 1 + 4 + 8)          /* before the record */
#define LOOKUP_STORED_LEN (1 + 1 + 1 + 8 + PN_HIT_LEN)
#define LOOKUP_QUERY_LEN (1 + 1 + 1 + 8 + PN_HIT_LEN) /* before the zeros */
#define LOOKUP_ANSWER_LEN (1 + 1 + 1 + 8)             /* before the record */
#define LOOKUP_QUERY_MAX (LOOKUP_ANSWER_LEN + ADDR_RECORD_MAX)
#define LOOKUP_PAYLOAD_MAX (LOOKUP_STORE_LEN + ADDR_RECORD_MAX)
static_assert(NET_HDR_LEN + LOOKUP_PAYLOAD_MAX <= PN_MTU_MIN, "a STORE fits everywhere");

enum lookup_stored { STORED_OK, STORED_OLD };   /* OLD: the anchor has a newer one */
enum lookup_answer { ANSWER_RECORD, ANSWER_UNKNOWN, ANSWER_LONGER };

/* State -------------------------------------------------------------------- */

#define LOOKUP_REPLICAS 3
#define LOOKUP_QUERIES 64            /* identities asked for at once, at most */
#define LOOKUP_WAITERS 128           /* net_lookup() tokens waiting: two for each query */
#define LOOKUP_QUERY_WANT 160        /* length of a query: room for 4 addresses */

/* Timers, TIMER_LOOKUP: the queries, then these */
#define LOOKUP_TIMER_OWN LOOKUP_QUERIES
#define LOOKUP_TIMER_SCAN (LOOKUP_QUERIES + 1)
#define LOOKUP_TIMER_LOCAL (LOOKUP_QUERIES + 2)       /* fwd.c */
static_assert(LOOKUP_TIMER_LOCAL + 1 == NET_LOOKUP_TIMERS, "told to net.c");

#define STORED_NONE UINT32_MAX

/* A record kept for somebody. */
struct stored {
	bool used;
	bool handing;                /* sent on, not yet acknowledged */
	uint8_t replica;
	uint8_t tries;
	uint8_t hit[PN_HIT_LEN];
	uint64_t seq;
	uint64_t cookie;             /* of the handing on */
	struct pn_time expires, next_try;
	struct net_timer timer;      /* TIMER_RECORD */
	uint32_t next;               /* in its bucket, or free */
	uint16_t len;
	uint8_t raw[ADDR_RECORD_MAX];
};

/* One of our own three registrations. */
struct registration {
	bool acked;
	uint8_t tries;
	uint64_t cookie;
	struct pn_time next_try;
};

struct query {
	bool used;
	bool pausing;                /* all said unknown: once more after a moment */
	bool retried;
	bool have_stale;             /* only an answer that is no news */
	bool for_peer;               /* peer.c waits for it */
	uint8_t replica;             /* asked last */
	uint8_t attempts;
	uint8_t unknown;             /* bit per replica that does not know */
	uint16_t want;               /* length of the query */
	uint8_t hit[PN_HIT_LEN];
	uint64_t qid;
	uint64_t min_seq;            /* a record is news if it is newer than this */
	struct addr_record stale;
	struct net_timer timer;      /* TIMER_LOOKUP */
};

struct waiter { bool used; uint8_t query; uint64_t token; };
struct negative { struct pn_time until; uint8_t hit[PN_HIT_LEN]; };

struct lookup {
	bool ready;
	uint64_t secret;             /* of the hash table */
	struct limit answers;        /* queries answered */
	struct limit stores;         /* signatures checked for others */

	uint8_t own[ADDR_RECORD_MAX];/* our newest record */
	uint16_t own_len;
	uint32_t own_n;              /* counts our records since start */
	bool dirty;                  /* addresses changed: build a new one at rebuild_at */
	struct pn_time rebuild_at, refresh_at, built_at;
	struct registration reg[LOOKUP_REPLICAS];
	struct net_timer own_timer;

	struct stored *records;
	uint32_t *buckets;
	uint32_t record_max, bucket_mask, record_count;
	uint32_t record_free;        /* given back; else the next one is: */
	uint32_t record_fresh;       /* never used: this and all after it */
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
/** lookup_send_store() - one STORE along the key */
void lookup_send_store(struct net *net, uint8_t replica, bool handover, uint64_t left_ns,
		       uint64_t cookie, const uint8_t *raw, size_t len, struct pn_time now);

/* lookup_store.c */
void store_init(struct net *net);
struct stored *store_find(struct net *net, const uint8_t hit[PN_HIT_LEN], uint8_t replica);
void store_on_store(struct net *net, const struct net_hdr *hdr, struct pn_rd *rd,
		    struct pn_time now);
/** lookup_own_renew() - our own record, before it is told: if an address changed since
 *  it was made, a new one */
void lookup_own_renew(struct net *net);

/** store_on_stored() - an acknowledgement that is not for our own registration */
void store_on_stored(struct net *net, const uint8_t hit[PN_HIT_LEN], uint8_t replica,
		     uint64_t cookie, struct pn_time now);
void store_on_query(struct net *net, const struct net_hdr *hdr, const uint8_t *payload, size_t len,
		    struct pn_time now);
void store_scan(struct net *net, struct pn_time now);
/** store_hurry() - anchors may have moved: look at all records soon */
void store_hurry(struct net *net, struct pn_time now);

/* lookup_client.c */
void client_init(struct net *net);
void client_on_answer(struct net *net, struct pn_rd *rd, struct pn_time now);
void client_expire(struct net *net, uint32_t index, struct pn_time now);
/** lookup_start() - ask for an identity on behalf of peer.c, who gets
 *  peer_on_record() or peer_on_lookup_failed(), later
 *  @min_seq: only a record newer than this is news
 *  Return: 0; PN_EUNREACH: nobody knew it a moment ago; PN_EFULL */
int lookup_start(struct net *net, const uint8_t hit[PN_HIT_LEN], uint64_t min_seq,
		 struct pn_time now);

#endif

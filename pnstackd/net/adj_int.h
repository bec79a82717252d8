/* SPDX-License-Identifier: ISC */
/* adj_int.h - what the files of the adjacency module share
 *
 *   adj.c        the table: entries, states, up and down, internal adjacencies
 *   adj_policy.c who may be a neighbour
 *   adj_link.c   links, static peers of tunnels
 *   adj_ring.c   stations of an Ethernet; which of them are neighbours
 *   adj_short.c  shortcuts to the others
 *   adj_hs.c     handshakes in and out, cookies, rekeying
 *   adj_seal.c   sealed frames: out, in, split in two and put together
 *   adj_ctl.c    what is inside sealed control frames: reliable and soft messages
 *   adj_cap.c    the share of a link that control frames may take
 *   adj_live.c   hellos, signs of life, round-trip time, loss, cost; all timers
 */
#ifndef PN_NET_ADJ_INT_H
#define PN_NET_ADJ_INT_H

#include "pnstackd/net/net_int.h"
#include "pnstackd/net/noise.h"
#include "pnstackd/net/replay.h"

/* Frames, by their first byte.  All but HELLO, SOLICIT and ANNOUNCE are told in
 * noise.h and adj_seal.c.
 *
 *   hello     0 type 1 | version 1 | flags 2 (bit 0: answers another; bit 1:
 *             knows nobody yet) | boot 8 |
 *             12 identity 32 | 44 capabilities 4 | 48 next one within 4 (tenths of
 *             a second) | 52 signature 64 of 4 to 47 and the network secret
 *   solicit   0 type 1 | version 1 | zero 2 | 4 nonce 8 | 12 mac 16 | zeros up to 80
 *   announce  0 type 1 | version 1 | zero 2 | 4 nonce 8 | 12 boot 8 | 20 identity 32 |
 *             52 mac 16
 * A mac is BLAKE2b of what stands before it, keyed with the network secret. */
enum frame_type {
	FRAME_HELLO = 1,
	FRAME_INIT = NOISE_TYPE_INIT,
	FRAME_RESPONSE = NOISE_TYPE_RESPONSE,
	FRAME_COOKIE = NOISE_TYPE_COOKIE,
	FRAME_DATA = 5,
	FRAME_CONTROL = 6,
	FRAME_SPLIT = 7,
	FRAME_SOLICIT = 8,
	FRAME_ANNOUNCE = 9,
};
#define FRAME_HDR_LEN      16
#define FRAME_OVERHEAD     (FRAME_HDR_LEN + CRYPTO_TAG_LEN)
/* bytes in front of a frame, for the counts of traffic */
#define HDR_ETHERNET       14
#define HDR_UDP_IP         28
#define FRAME_MAX          (PN_PKT_MAX + FRAME_OVERHEAD)
#define LINK_MTU_MIN       700  /* a packet of PN_MTU_MIN must fit in two frames */
#define HELLO_LEN          116
#define HELLO_F_ANSWER     1u
#define HELLO_F_NEW        2u
#define SOLICIT_LEN        80
#define ANNOUNCE_LEN       68
static_assert(PN_MTU_MIN + FRAME_OVERHEAD <= 2 * (LINK_MTU_MIN - FRAME_HDR_LEN), "two frames");
static_assert(ANNOUNCE_LEN <= SOLICIT_LEN, "no answer is larger than the question");
static_assert(FRAME_OVERHEAD + FRAME_HDR_LEN <= PN_PKT_HEADROOM, "headroom");

/* Limits */
#define ADJ_TABLE_MAX      16384 /* entries: an index has 16 bits on the wire */
#define LINK_ACCEPT_MAX    96    /* adjacencies on one Ethernet link, pending ones too */
#define STATIONS_DEFAULT   512   /* of all Ethernets */
#define REDIRECT_MAX       16    /* remembered */
#define CTL_WINDOW         4     /* control messages in flight */
#define CAP_BURST          65536 /* bytes of control traffic at once: a start takes some */
#define SPLIT_SLOTS        2     /* frames being put together, per adjacency */
#define SEEN_DEFAULT       64    /* timestamps of identities that are gone */
#define EXPELLED_DEFAULT   32    /* identities refused for a while */
#define HS_LOAD_PER_S      200   /* initiations per second; above: cookies */
#define HS_MAX_PER_S       2000  /* above: dropped */

/* Times */
#define HELLO_NS           PN_S(1)      /* while data flows, or something changed lately */
#define HELLO_REST_NS      PN_S(4)
#define HELLO_LOSSY_NS     PN_S(2)      /* at rest, where hellos were lost lately */
#define HELLO_REST_ADJS    16           /* with more of them it grows in proportion, up to */
#define HELLO_REST_MAX_NS  PN_S(12)
#define CHANGE_NS          PN_S(5)      /* so long is lately */
#define BUSY_NS            PN_S(2)      /* data flows if BUSY_PACKETS went within so long */
#define BUSY_PACKETS       4
#define OWE_NS             PN_MS(200)   /* data came, nothing sent back for so long: hello */
#define QUIET_BUSY_NS      PN_MS(300)   /* sent, nothing heard for so long: ask */
#define QUIET_SPARE_NS     PN_MS(300)   /* a promised hello may be so late */
#define PROBE_NS           PN_MS(75)    /* between two questions */
#define PROBES_MIN         8            /* unanswered: dead; more where frames get lost */
#define PROBES_SUSPECT     2            /* unanswered: better not rely on it */
#define DEAD_NS            PN_S(3)      /* of asking: dead, whatever the count */
#define ACK_DELAY_NS       PN_MS(25)
#define RTO_MIN_NS         PN_MS(50)
#define RTO_START_NS       PN_MS(100)
#define RTO_MAX_NS         PN_S(2)
#define CTL_GIVE_UP_NS     PN_S(4)      /* no acknowledgement for so long: dead */
#define SHORT_IDLE_NS      PN_S(30)     /* a shortcut without data is closed */
#define REKEY_NS           PN_S(120)    /* by the initiator; the responder 15 s later */
#define REKEY_COUNT        (UINT64_C(1) << 36)
#define KEYS_MAX_NS        PN_S(300)    /* never used longer */
#define KEYS_MAX_COUNT     (UINT64_C(1) << 40)
#define PREV_NS            PN_S(10)     /* old keys, for frames on their way */
#define PENDING_NS         PN_S(5)      /* a response waits for its first frame */
#define PENDING_SURE_NS    PN_S(1)      /* and is not pushed out on Ethernet for so long */
#define SPLIT_NS           PN_MS(500)   /* half a frame waits for the other */
#define COST_HOLD_NS       PN_S(3)      /* a cost is changed after it held so long */
#define EVENT_EVERY_NS     PN_S(5)      /* NET_EV_AUTH_FAILED of one link */

/** enum adj_state - what an entry is
 *  ADJ_FREE     nothing.  Leaves by adj_alloc()
 *  ADJ_DIAL     we try to reach it, or (static peer) wait to try again.  Leaves to UP
 *               with a response or the first frame under keys that we answered for;
 *               to ENDED when a station did not answer
 *  ADJ_PENDING  we answered an initiation of a stranger.  Leaves to UP with the first
 *               frame under the new keys, to ENDED after PENDING_NS
 *  ADJ_UP       session CUR is there.  Leaves to DIAL (static) or ENDED
 *  ADJ_ENDED    waits to be collected by its timer */
enum adj_state { ADJ_FREE, ADJ_DIAL, ADJ_PENDING, ADJ_UP, ADJ_ENDED };

/** struct session - keys of one handshake
 *  @local:     index by which the neighbour names it; 0: unused
 *  @instance:  of our side and of theirs: equal in two sessions if the later one
 *              only renews keys */
struct session {
	uint32_t local, remote;
	struct crypto_aead aead;
	uint64_t tx_counter;
	struct pn_time born;
	uint64_t instance, peer_instance;
	uint32_t mtu;                /* largest frame: the smaller of both links' */
	bool initiator;
	bool seal_full;
	bool leaf;                   /* so it told */
	bool tree;                   /* either side wanted it to be in the tree */
};
enum session_slot { CUR, PREV, NEXT, SESSIONS };

/** struct cap - a token bucket for control traffic
 *  @byte_ns: a byte is granted every so often
 *  @full_at: when it would be full again */
struct cap { uint64_t byte_ns; struct pn_time full_at; };

/** struct split - one frame of two halves, of which one is here; pkt NULL: none */
struct split {
	struct pn_pkt *pkt;
	uint64_t counter;
	uint16_t total;
	uint8_t part;
	struct pn_time until;
};

/** struct replay_old - what is left of the window of the keys before: 64 counters */
struct replay_old { uint64_t top, seen; };

struct adj {
	enum adj_state state;
	bool is_static;              /* configured: dialled for ever */
	bool want_id;                /* static: pub.id is configured, not just announced */
	bool id_known;               /* pub.id is set */
	struct pn_lladdr ll;         /* where frames go */
	struct pn_lladdr dial_ll;    /* static: as configured */
	uint32_t hint;
	struct net_timer timer;
	struct pn_time collect_at;   /* PENDING: give up */

	struct session sess[SESSIONS];
	struct replay replay;        /* of CUR */
	struct replay_old replay_prev; /* of PREV; NEXT has seen nothing yet */
	struct pn_lladdr next_ll;    /* of NEXT */
	struct pn_time next_until, prev_until;

	/* Handshake as initiator */
	struct noise_state hs;
	struct pn_time hs_sent, hs_next;   /* last initiation; next try, NEVER: none */
	uint64_t hs_instance;
	uint64_t nonce;              /* of the last solicit; 0 none */
	uint8_t hs_tries;
	bool has_cookie, has_mac1;
	uint8_t mac1[NOISE_MAC_LEN], cookie[NOISE_COOKIE_LEN];
	struct pn_time cookie_until;
	/* as responder: newest timestamp of the neighbour */
	uint64_t seen_boot, seen_counter;
	struct pn_time response_sent;

	/* Ethernet: adj_ring.c, adj_short.c */
	bool want, was_wanted;       /* it shall be in the tree, says our ring */
	bool peer_wants;             /* says its */
	uint32_t hs_caps;            /* told in the initiation under way */
	struct pn_time unwanted_at;  /* since when nobody wants it; NEVER */
	struct pn_time data_at;      /* last data of users; ZERO: none yet */
	struct pn_time advise_at;    /* no redirect before */
	uint64_t short_dst;          /* a redirect named it for this address; 0 none */
	uint64_t peer_addr, peer_root; /* shortcut: told by it; root 0: nothing yet */

	/* Control messages */
	struct pn_pktq ctl_q;        /* not acknowledged yet, oldest first */
	uint16_t ctl_una, ctl_next;  /* sequence number of the first in ctl_q; behind its last */
	uint16_t ctl_sent;           /* first that is to be sent (again) */
	uint16_t ctl_expect;         /* next from the neighbour */
	bool ctl_blocked;            /* told PN_EAGAIN */
	bool ack_now, hello_now, hello_ask;
	bool dirty;                  /* in the list of those to flush */
	uint16_t dirty_next;
	uint8_t ctl_tries;
	struct pn_time ack_at, rto_at, ctl_progress, retry_at;
	struct pn_time cap_at;       /* messages wait for the bucket until; NEVER: they do not */
	struct cap cap;              /* of a tunnel */
	uint64_t rto_ns;
	struct pn_pkt *open;         /* control frame being filled */
	enum net_counter_id open_what; /* what its bytes are counted as */

	/* Life */
	struct pn_time up_at, rx_at, hello_at, probe_at;
	struct pn_time expect_at;    /* first thing sent since rx_at that wants an answer */
	struct pn_time owe_at;       /* until then we owe a sign of life; NEVER: we do not */
	struct pn_time busy_from, busy_until, fast_until;
	uint64_t hello_ns, peer_hello_ns; /* interval that we, that it promised last */
	uint8_t busy_packets;        /* since busy_from */
	uint8_t measure;             /* hellos still to be sent fast, and to ask */
	uint8_t probes;
	bool unsent;                 /* the host could not send to it, and nothing came since */
	uint16_t hello_seq;
	struct pn_time hello_sent;
	bool echo_valid;
	uint32_t echo_ts;            /* of the neighbour's last hello */
	struct pn_time echo_at;
	uint16_t heard_seq;          /* hellos heard */
	uint16_t heard_map;
	uint8_t heard_of;            /* bits of the map in use */
	uint8_t peer_heard, peer_of; /* what it told of ours */
	uint64_t srtt_ns, rttvar_ns; /* 0: unknown */
	uint64_t mean_ns;            /* the same over MEAN_SAMPLES, for the cost, */
	uint8_t mean_of;             /* or as many as there were */
	int8_t side;                 /* so many in a row were longer, or (below 0) shorter */
	struct pn_time cost_since;   /* another cost would be right; NEVER: no */

	struct split split[SPLIT_SLOTS];
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
};

struct link {
	bool used, carrier;
	struct net_link_config cfg;
	struct net_timer timer;
	struct pn_time hello_at, fast_until, answer_at, event_at;
	struct pn_time ring_at, change_at, verify_at, dial_at;
	struct cap cap;              /* of an Ethernet, in all */
	struct net_link_control control;
	uint32_t heard;              /* entries in the table of stations */
	uint8_t hellos;              /* sent since the link began, saturates */
};

struct seen { uint64_t key, boot, counter; };

/** struct station - somebody on an Ethernet: signed a hello, or passed a handshake
 *  @until:    forgotten then
 *  @retry_at: did not answer: not on the ring before */
struct station {
	bool used, above, leaf;
	uint8_t link, fails;
	uint8_t id[PN_ID_LEN];
	struct pn_lladdr ll;
	uint64_t boot;
	struct pn_time until, retry_at;
	struct pn_time answer_at;    /* its hello is not answered before */
};

/** struct redirect - who is said to have an address, on the same link */
struct redirect {
	uint64_t dst;
	int link;
	uint8_t id[PN_ID_LEN];
	struct pn_lladdr ll;
	struct pn_time until;
};

struct expelled { uint8_t id[PN_ID_LEN]; struct pn_time until; };

struct adj_table {
	struct adj *a;               /* [max] */
	struct adj_pub *pub;         /* [max], same index */
	uint32_t max, used;          /* used: one above the highest in use */
	uint32_t up_count;           /* in ADJ_UP, internal ones not counted */
	uint32_t short_count;        /* of these, shortcuts */
	struct link *links;          /* [link_max] */
	uint32_t link_max;
	uint32_t next_link;
	uint8_t (*allowed)[PN_ID_LEN];
	uint32_t allowed_count;
	bool allow_all, has_secret, leaving;
	uint8_t secret[32];
	uint32_t caps;
	uint8_t mac1_key[32], cookie_key[32], cookie_secret[32];
	struct pn_time cookie_until;
	uint64_t hs_counter;         /* of our initiations */
	struct pn_time hs_window;    /* a second in which initiations are counted */
	uint32_t hs_count;
	struct seen *seen;           /* [seen_mask + 1] */
	struct expelled *expelled;   /* [expelled_max] */
	struct redirect *redirects;  /* [redirect_max] */
	uint32_t seen_mask, expelled_max, redirect_max;
	uint64_t *windows;           /* [max][window_words], of the adjacencies' replay */
	uint32_t window_words;
	struct station *stations;    /* [station_max] */
	uint16_t *ring;              /* [station_max]: scratch */
	uint32_t station_max, station_used;
	bool hello_signed;
	uint8_t hello_sig[CRYPTO_SIG_LEN];
	struct crypto_ciphers ciphers;
	uint16_t dirty_head;         /* index + 1 */
	struct pn_pktq internal_q;   /* messages between our own facets */
};

static inline struct adj *adj_of(const struct net *net, uint32_t i)
{
	PN_ASSERT(i < net->adjs->max);
	return &net->adjs->a[i];
}
static inline struct adj_pub *pub_of(const struct net *net, uint32_t i)
{
	PN_ASSERT(i < net->adjs->max);
	return &net->adjs->pub[i];
}
static inline struct link *link_of(const struct net *net, int link)
{
	PN_ASSERT(link >= 0);
	PN_ASSERT((uint32_t)link < net->adjs->link_max);
	return &net->adjs->links[link];
}

/* adj.c */
#define ADJ_NONE UINT32_MAX
uint32_t adj_alloc(struct net *net, int link, const struct pn_lladdr *ll);   /* or ADJ_NONE */
void adj_set_id(struct net *net, uint32_t i, const uint8_t id[PN_ID_LEN]);
uint32_t adj_find_id(const struct net *net, int link, const uint8_t id[PN_ID_LEN]);
uint32_t adj_find_ll(const struct net *net, int link, const struct pn_lladdr *ll);
/** adj_collect() - frees an entry that is ADJ_ENDED */
void adj_collect(struct net *net, uint32_t i);
/** adj_promote() - session NEXT takes effect: as renewed keys, or as a new adjacency */
void adj_promote(struct net *net, uint32_t i, struct pn_time now);
/** adj_go_down() - ends it: static ones are dialled again, others collected */
void adj_go_down(struct net *net, uint32_t i, enum net_err why, struct pn_time now);
/** adj_to_tree() - a shortcut becomes a neighbour */
void adj_to_tree(struct net *net, uint32_t i, struct pn_time now);
/** adj_end() - gives up an entry that is not up, static or not */
void adj_end(struct net *net, uint32_t i, struct pn_time now);
void adj_auth_event(struct net *net, int link, const struct pn_lladdr *ll, enum net_err reason,
		    struct pn_time now);
uint32_t adj_pick_local(struct net *net, uint32_t i);

/* adj_policy.c */
bool adj_allowed(const struct net *net, const uint8_t id[PN_ID_LEN]);
/** adj_expelled_ns() - Return: for how long an identity is still refused; 0: it is not */
uint64_t adj_expelled_ns(const struct net *net, const uint8_t id[PN_ID_LEN], struct pn_time now);

/* adj_link.c */
void link_on_solicit(struct net *net, const struct pn_pkt *pkt, struct pn_time now);
void link_on_announce(struct net *net, const struct pn_pkt *pkt, struct pn_time now);
/** dial_pause_ns() - how long after so many tries in vain a static peer is dialled again */
uint64_t dial_pause_ns(unsigned tries);
/** link_dial() - one try to reach an entry in ADJ_DIAL; sets hs_next */
void link_dial(struct net *net, uint32_t i, struct pn_time now);
/** frame_new() - an empty frame to a station; NULL (counted): no buffer */
struct pn_pkt *frame_new(struct net *net, int link, const struct pn_lladdr *ll);
/** frame_out() - hand a frame to the host: takes it
 *  @what: COUNT_tx_..._bytes, to which its length is added, with the link's header */
void frame_out(struct net *net, struct pn_pkt *pkt, enum net_counter_id what);

/* adj_ring.c */
void ring_start(struct net *net, int link, struct pn_time now);
void ring_stop(struct net *net, int link);
void link_on_hello(struct net *net, const struct pn_pkt *pkt, struct pn_time now);
/** link_hurry() - a station went silent: hello faster for a while */
void link_hurry(struct net *net, int link, struct pn_time now);
/** ring_on_up() - a station passed the handshake */
void ring_on_up(struct net *net, uint32_t i, struct pn_time now);
/** ring_on_silent() - it does not answer: for @pause_ns, each time longer, it does not count */
void ring_on_silent(struct net *net, uint32_t i, uint64_t pause_ns, struct pn_time now);
/** ring_on_goodbye() - it left */
void ring_on_goodbye(struct net *net, int link, const uint8_t *id, struct pn_time now);

/* adj_short.c */
void short_on_redirect(struct net *net, uint32_t i, struct pn_rd *rd, struct pn_time now);
void short_on_address(struct net *net, uint32_t i, struct pn_rd *rd);

/* adj_hs.c */
bool hs_admit(struct net *net, struct pn_time now);   /* false: too many per second */
void hs_initiate(struct net *net, uint32_t i, struct pn_time now);
void hs_on_init(struct net *net, const struct pn_pkt *pkt, struct pn_time now);
void hs_on_response(struct net *net, const struct pn_pkt *pkt, struct pn_time now);
void hs_on_cookie(struct net *net, const struct pn_pkt *pkt, struct pn_time now);
void hs_forget(struct adj *a);
void session_wipe(struct session *s);

/* adj_cap.c */
void cap_init(struct cap *c, const struct net_link_config *cfg);
/** cap_charge() - a control frame of @len bytes, and the link's header, goes out to entry @i, in
 *  any case */
void cap_charge(struct net *net, uint32_t i, size_t len, struct pn_time now);
/** cap_wait() - Return: when messages may go out to entry @i; not after @now: they may */
struct pn_time cap_wait(const struct net *net, uint32_t i, struct pn_time now);

/* adj_seal.c */
/** seal_control() - takes @pkt, plain records; seals and sends it */
void seal_control(struct net *net, uint32_t i, struct pn_pkt *pkt, enum net_counter_id what);
void seal_on_frame(struct net *net, struct pn_pkt *pkt, struct pn_time now);  /* takes */
void seal_on_split(struct net *net, struct pn_pkt *pkt, struct pn_time now);  /* takes */
void split_drop(struct net *net, struct adj *a, bool all, struct pn_time now);
struct pn_time split_deadline(const struct adj *a);

/* adj_ctl.c */
void ctlq_reset(struct net *net, struct adj *a);
void ctlq_on_records(struct net *net, uint32_t i, const uint8_t *p, size_t len, struct pn_time now);
void ctlq_on_rto(struct net *net, uint32_t i);
/** ctlq_rto() - how long to wait for an acknowledgement, by the measured round trip */
uint64_t ctlq_rto(const struct adj *a);
void ctlq_mark(struct net *net, uint32_t i);          /* flush it before net_output() */
void ctlq_flush(struct net *net, struct pn_time now); /* all that are marked */
void ctlq_flush_one(struct net *net, uint32_t i, struct pn_time now);
void ctlq_goodbye(struct net *net, uint32_t i, enum net_err why);
void ctlq_redirect(struct net *net, uint32_t i, uint64_t dst, const uint8_t *id,
		   const struct pn_lladdr *ll);
void ctlq_internal_drain(struct net *net, struct pn_time now);

/* adj_live.c */
#define HELLO_BODY_MIN 5
#define HELLO_BODY_LEN 17    /* with times */
void live_start(struct net *net, uint32_t i, uint64_t rtt_ns, struct pn_time now);
void live_rearm(struct net *net, uint32_t i, struct pn_time now);
void live_on_rx(struct net *net, uint32_t i, struct pn_time now);
/** live_on_unsent() - the host could not send to it */
void live_on_unsent(struct net *net, uint32_t i, struct pn_time now);
/** live_expect() - something went out that the neighbour should answer, somehow */
void live_expect(struct net *net, uint32_t i, struct pn_time now);
/** live_owe() - something came that its sender wants an answer to, somehow */
void live_owe(struct net *net, uint32_t i, struct pn_time now);
/** live_on_data() - data of users went out or came */
void live_on_data(struct net *net, uint32_t i, struct pn_time now);
/** live_change() - an adjacency was lost: for a while all hellos go faster */
void live_change(struct net *net, struct pn_time now);
void live_rtt(struct adj *a, uint64_t sample_ns);
/** live_hello_timed() - shall the next hello tell the time? */
bool live_hello_timed(const struct net *net, uint32_t i, struct pn_time now);
void live_hello_build(struct net *net, uint32_t i, struct pn_wr *w, bool timed,
		      struct pn_time now);
bool live_on_hello(struct net *net, uint32_t i, struct pn_rd *r, struct pn_time now);

#endif

/* SPDX-License-Identifier: ISC */
/* nbhd_int.h - what the parts of the neighbourhood share: nbhd.c keeps the index and hears
 * neighbours, nbhd_tell.c keeps our own list and tells them.  See nbhd.c. */
#ifndef PN_NBHD_INT_H
#define PN_NBHD_INT_H

#include "pnstackd/net/ctl_int.h"
#include "pnstackd/net/nbhd.h"

#define REL_MAX 8
#define TOLD_RESET 1u
#define TOLD_LEN 0x0fu
#define TOLD_NEIGHBOUR 0x40u
#define TOLD_GONE 0x80u

enum place_kind { PLACE_DEAD, PLACE_OWN, PLACE_NEAR, PLACE_FACET, PLACE_BEYOND };

/* Twelve bytes: there are many. */
struct place {
	uint32_t high, low;          /* address */
	uint16_t adj;                /* PLACE_OWN: facet */
	uint8_t place;               /* enum place_kind */
	uint8_t hops;
};

struct news {
	uint64_t rel;                /* to our first facet */
	uint32_t version;            /* rises in the log */
	bool neighbour, gone, stale; /* stale: something newer stands behind it */
	bool seen;
};

struct told {                        /* by adjacency */
	uint64_t base_sent;          /* our first facet, relative to our end of it */
	uint64_t base;               /* the same, as the neighbour told it */
	uint64_t applied;            /* absolute: what its entries in the index go by */
	uint32_t version;            /* of our log: told up to here */
	uint32_t count;              /* of its entries in the index */
	uint32_t facets;             /* of them, told on: counted in want_facets() */
	bool reset;                  /* must be told to forget */
	bool any;                    /* has been told something */
	struct bucket news;          /* that it may tell */
};

struct nbhd {
	struct place *index;
	uint32_t index_max, index_count, sorted;
	struct news *log, *want;
	uint32_t log_max, log_count, want_max;
	uint32_t version;
	struct told *told;
	uint32_t told_max;
	bool dirty;                  /* the index is not in order */
	bool tell;                   /* our own list may have changed */
	struct pn_time tell_at;      /* not earlier than this */
};

static_assert(sizeof(struct place) == 12, "entries are many");

static inline struct nbhd *nbhd_of(const struct net *net)
{
	return net->ctl->nbhd;
}

static inline uint64_t place_addr(const struct place *e)
{
	return (uint64_t)e->high << 32 | e->low;
}

/** nbhd_sort() - in place, bounded whatever neighbours tell; elements of at most a struct news */
void nbhd_sort(void *base, size_t n, size_t size, int (*compare)(const void *, const void *));
/** nbhd_log_update() - bring our own list up to date.  Return: there is news */
bool nbhd_log_update(const struct net *net, struct nbhd *n);

#endif

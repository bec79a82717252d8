/* SPDX-License-Identifier: ISC */
/* check.h - the contracts of the network layer, over a picture of all nodes
 *
 * The picture is plain data (struct snapshot), made from the nodes of a run by
 * snapshot.c and by hand in unit tests.  A *facet* is one place in the tree;
 * a node has one or several.  Facets are sorted by node, so that those of one
 * node stand together; they are neighbours of each other without an entry.
 */
#ifndef SIM_CHECK_H
#define SIM_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct snap_area {
	uint64_t id;
	uint8_t base;		/* it occupies a block of 2^base addresses */
	uint8_t top;		/* level it hangs at; SNAP_TOP_NONE: root */
	uint8_t bit;
};
#define SNAP_TOP_NONE 255

struct snap_facet {
	uint32_t node;
	uint16_t facet;
	uint32_t component;	/* of the physical graph of live nodes */
	uint64_t addr;
	uint64_t known;		/* bit k: has a usable route to the sibling at level k */
	uint32_t area_first;	/* in areas: its chain, from the leaf to the root */
	uint32_t area_count;
	uint32_t adj_first;	/* in adjs: neighbours that are other nodes' facets */
	uint32_t adj_count;
};

struct snapshot {
	struct snap_facet *facets;
	uint32_t facet_count;
	struct snap_area *areas;
	uint32_t area_count;
	uint32_t *adjs;		/* indexes of facets; each adjacency stands at both ends */
	uint32_t adj_count;
	uint32_t component_count;
	char **names;		/* of nodes, for the texts; borrowed, may be NULL */
};

/* What is checked.  The first six over a snapshot, the others while running. */
enum check {
	CHECK_ONE_NETWORK,	 /* a component has one root */
	CHECK_ADDRESSES_DISTINCT, /* in a component */
	CHECK_CHAINS,		 /* each address is what its chain of areas says */
	CHECK_AREAS_CONNECTED,	 /* each area is one connected set of facets in one block */
	CHECK_SIBLINGS_KNOWN,	 /* a sibling block that is not empty is in the table */
	CHECK_HEIGHT_BOUNDED,	 /* 2 log2(facets) + 4 */
	CHECK_SNAPSHOT_COUNT,
	CHECK_REACHABLE = CHECK_SNAPSHOT_COUNT, /* at rest next hops lead everywhere */
	CHECK_DELIVERY_IDENTITY, /* no packet or answer to or from a wrong identity */
	CHECK_TERMINATION,	 /* no walk along next hops goes on for ever */
	CHECK_NO_UNBOUNDED,	 /* buffers, work and traffic stay within bounds */
	CHECK_COUNT
};
extern const char *const check_names[CHECK_COUNT];

struct violations {
	bool bad[CHECK_COUNT];
	char text[CHECK_COUNT][256]; /* the first of each */
};

/** violation() - note one, unless one of its kind is noted already */
void violation(struct violations *v, enum check check, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** violations_any() - Return: true if there is one */
bool violations_any(const struct violations *v);

/** check_snapshot() - check all that a snapshot can show
 *  @v:     out; cleared first
 *  Return: true if everything holds */
bool check_snapshot(const struct snapshot *s, struct violations *v);

/** check_height_limit() - Return: greatest height allowed with @n facets */
unsigned check_height_limit(uint32_t n);

#endif

/* SPDX-License-Identifier: ISC */
/* What the tests of adjacencies share: one lab at a time. */
#ifndef TESTS_ADJ_LAB_H
#define TESTS_ADJ_LAB_H

#include "pnstackd/net/adj_int.h"
#include "tests/unit/lab.h"
#include "tests/unit/unit.h"

static struct lab *lab;

static inline void nodes(uint64_t seed, int n)
{
	lab = lab_new(seed);
	for (int i = 0; i < n; i++)
		lab_node(lab);
}

static inline void start_all(void)
{
	for (int i = 0; i < lab->nodes; i++)
		lab_start(lab, i);
}

static inline void done(void)
{
	CU_ASSERT_EQUAL(lab_free(lab), 0);
}

/* Two nodes on an Ethernet, one network */
static inline void pair(uint64_t seed)
{
	nodes(seed, 2);
	start_all();
	lab_wire(lab, NET_LINK_ETHERNET, PN_US(100));
	lab_plug(lab, 0, 0);
	lab_plug(lab, 0, 1);
	CU_ASSERT(lab_until_neighbours(lab, 0, 1, PN_S(1)) != UINT64_MAX);
	CU_ASSERT(lab_until_neighbours(lab, 1, 1, PN_S(1)) != UINT64_MAX);
	lab_run(lab, PN_S(5));
	CU_ASSERT(lab_merged(lab, 0, 1));
}

static inline void tunnel_pair(uint64_t seed, uint64_t delay_ns, uint32_t mtu)
{
	struct net_link_config cfg = { .mtu = mtu, .listen = true };

	nodes(seed, 2);
	start_all();
	lab_wire(lab, NET_LINK_TUNNEL, delay_ns);
	lab_plug_cfg(lab, 0, 0, &cfg);
	lab_plug_cfg(lab, 0, 1, &cfg);
}

static inline uint64_t counter(int n, const char *name)
{
	return lab_counter(lab, n, name);
}

#endif

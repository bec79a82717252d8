/* SPDX-License-Identifier: ISC */
/* A run over time.
 *
 * Counters are kept for each node, since a node that crashes takes its own away: a
 * value below the last one is that of a new life.  How much of the network is
 * reachable is found by walks along next hops between WALKS pairs, the same ones in
 * every row, so that the line does not shake. */
#include "tests/sim/node.h"
#include "tests/sim/series.h"
#include "tests/sim/measure.h"
#include "tests/sim/util.h"


#define WALKS 200

/* Counters told, in the order of the columns */
static const char *const counters[] = {
	"tree_grants", "tree_detaches", "adj_up", "adj_down", "fwd_forwarded", "fwd_no_route",
	"lookup_queries", "lookup_answers",
};
enum { COUNTERS = sizeof(counters) / sizeof(counters[0]) };

static struct {
	FILE *f;
	const struct sim *sim;
	const struct traffic *traffic;
	size_t at[COUNTERS];	/* their numbers */
	uint64_t (*last)[COUNTERS]; /* of each node */
	uint64_t *addrs;	/* of each node, as a hash; 0: was not live */
	uint32_t pair[WALKS][2];
	uint64_t frames, bytes, lost;
	double row_s;
} series;

static void counters_find(const struct net *net)
{
	struct net_counter c;
	unsigned k;
	size_t i;

	for (k = 0; k < COUNTERS; k++)
		for (i = 0; net_counter_at(net, i, &c); i++)
			if (!strcmp(c.name, counters[k]))
				series.at[k] = i + 1;
}

bool series_create(const char *file)
{
	unsigned i;

	memset(&series, 0, sizeof(series));
	series.f = fopen(file, "w");
	if (!series.f)
		return false;
	fputs("t_s,phase,live,crashed,components,networks,height,height_allowed,table_mean,"
	      "violated,reachable,bytes_per_node_s,frames_per_node_s,frames_lost,readdressed,"
	      "pings_sent,pings_answered,probes_sent,probes_arrived,honest_answered", series.f);
	for (i = 0; i < COUNTERS; i++)
		fprintf(series.f, ",%s", counters[i]);
	fputc('\n', series.f);
	return true;
}

void series_start(const struct sim *sim, const struct traffic *traffic)
{
	uint32_t n = sim->topo->node_count, i;
	struct rng r;

	if (!series.f)
		return;
	series.sim = sim;
	series.traffic = traffic;
	series.last = sim_calloc(n, sizeof(*series.last));
	series.addrs = sim_calloc(n, sizeof(*series.addrs));
	rng_init(&r, sim->cfg.seed, "series");
	for (i = 0; i < WALKS; i++) {
		series.pair[i][0] = (uint32_t)rng_below(&r, n);
		series.pair[i][1] = (uint32_t)rng_below(&r, n);
	}
}

void series_stop(void)
{
	free(series.last);
	free(series.addrs);
	series.last = NULL;
	series.addrs = NULL;
	series.sim = NULL;
}

bool series_wanted(void)
{
	return series.f;
}

/* Share of the pairs that are connected whose walk ends well; 1 if there are none */
static double reachable(const struct snapshot *s)
{
	const struct sim *sim = series.sim;
	uint32_t *component = sim_calloc(sim->topo->node_count, sizeof(*component));
	uint32_t i, pairs = 0, good = 0;

	memset(component, 0xff, sim->topo->node_count * sizeof(*component));
	for (i = 0; i < s->facet_count; i++)
		component[s->facets[i].node] = s->facets[i].component;
	for (i = 0; i < WALKS; i++) {
		uint32_t a = series.pair[i][0], b = series.pair[i][1];

		if (a == b || component[a] == UINT32_MAX || component[a] != component[b])
			continue;
		pairs++;
		good += measure_walk(sim, a, b, (uint16_t)i, NULL) >= 0;
	}
	free(component);
	return pairs ? (double)good / pairs : 1;
}

/* What all nodes counted since the last row, and how many have another address */
static void nodes_count(uint64_t sum[COUNTERS], uint32_t *live, uint32_t *crashed,
			uint32_t *readdressed)
{
	const struct sim *sim = series.sim;
	struct net_counter c;
	uint32_t i;
	unsigned k;

	memset(sum, 0, COUNTERS * sizeof(*sum));
	for (i = 0; i < sim->topo->node_count; i++) {
		const struct net *net = sim->nodes[i].net;
		uint64_t addr;

		if (!sim_node_live(sim, i)) {
			*crashed += series.addrs[i] != 0;
			series.addrs[i] = 0;
			continue;
		}
		++*live;
		if (!series.at[0])
			counters_find(net);
		addr = sim_addresses_hash(sim, i);
		*readdressed += series.addrs[i] && series.addrs[i] != addr;
		series.addrs[i] = addr;
		for (k = 0; k < COUNTERS; k++) {
			uint64_t *last = &series.last[i][k];

			if (!series.at[k] || !net_counter_at(net, series.at[k] - 1, &c))
				continue;
			sum[k] += c.value - (c.value < *last ? 0 : *last);
			*last = c.value;
		}
	}
}

void series_row(const struct snapshot *s, const struct violations *v, const char *phase,
		double answered)
{
	const struct sim *sim = series.sim;
	const struct traffic *t = series.traffic;
	uint32_t live = 0, crashed = 0, readdressed = 0, bad = 0, i;
	uint64_t sum[COUNTERS];
	struct tables tables;
	double now, node_s;

	if (!series.sim)
		return;
	now = sim_seconds(sim);
	measure_tables(s, &tables);
	nodes_count(sum, &live, &crashed, &readdressed);
	for (i = 0; i < CHECK_COUNT; i++)
		bad += v->bad[i];
	node_s = (now - series.row_s) * (live ? live : 1);
	if (node_s <= 0)
		node_s = 1;
	fprintf(series.f, "%.3f,%s,%u,%u,%u,%u,%u,%u,%.2f,%u,%.4f,%.1f,%.2f,%llu,%u", now, phase,
		live, crashed, s->component_count, tables.networks, tables.height,
		check_height_limit(s->facet_count ? s->facet_count : 1), tables.mean, bad,
		reachable(s), (double)(sim->sent_bytes - series.bytes) / node_s,
		(double)(sim->sent_frames - series.frames) / node_s,
		(unsigned long long)(sim->lost_frames - series.lost), readdressed);
	fprintf(series.f, ",%u,%u,%llu,%llu,", t->ping_count, t->ping_answered,
		(unsigned long long)t->probe_sent, (unsigned long long)t->probe_arrived);
	if (answered >= 0)
		fprintf(series.f, "%.4f", answered);
	for (i = 0; i < COUNTERS; i++)
		fprintf(series.f, ",%llu", (unsigned long long)sum[i]);
	fputc('\n', series.f);
	series.frames = sim->sent_frames;
	series.bytes = sim->sent_bytes;
	series.lost = sim->lost_frames;
	series.row_s = now;
}

bool series_close(void)
{
	bool ok = true;

	if (series.f) {
		ok = !ferror(series.f);
		ok = fclose(series.f) == 0 && ok;
	}
	series.f = NULL;
	return ok;
}

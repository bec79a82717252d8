/* SPDX-License-Identifier: ISC */
/* Runs the session tests: two or three sets of sessions in one process, joined
 * by a fake network in virtual time.
 *
 * usage: unit-session           the tests
 *        unit-session bulk MB [DELAY_US]   how fast is a bulk transfer in memory? */
#include "app.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <CUnit/Basic.h>

extern CU_SuiteInfo suite_session_stream, suite_session_life, suite_session_dgram,
		    suite_session_parts;

#define SPAN (64U << 10)

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t bulk_want, bulk_sent, bulk_got;
static stream_id bulk_tx;

static void bulk_push(struct world *w)
{
	size_t n;

	while (bulk_tx && bulk_sent < bulk_want &&
	       stream_write_space(w->node[0].set, bulk_tx, &n) != NULL) {
		n = pn_min(n, bulk_want - bulk_sent);
		stream_write_commit(w->node[0].set, bulk_tx, n, w->now);
		bulk_sent += n;
	}
}

static void bulk_event(struct world *w, int node, const struct session_event *ev)
{
	size_t len;
	bool fin;

	switch (ev->kind) {
	case STREAM_EV_INCOMING:
		stream_accept(w->node[node].set, ev->stream, 1, w->now);
		break;
	case STREAM_EV_READABLE:
		while (stream_peek(w->node[node].set, ev->stream, &len, &fin) && len) {
			stream_consume(w->node[node].set, ev->stream, len, w->now);
			bulk_got += len;
		}
		break;
	case STREAM_EV_OPEN:
	case STREAM_EV_WRITABLE:
		bulk_push(w);
		break;
	default:
		break;
	}
}

static bool bulk_done(struct world *w)
{
	(void)w;
	return bulk_got == bulk_want;
}

static int bulk(uint64_t bytes, uint64_t delay_us)
{
	struct pn_time begin;
	struct world w;
	uint64_t t0;
	double s;

	world_init(&w, 2);
	w.on_event = bulk_event;
	w.delay_ns = PN_US(delay_us);
	bulk_want = bytes;
	bulk_tx = stream_open(w.node[0].set, NULL, w.node[1].hit, 1, 2, 1, w.now);
	begin = w.now;
	t0 = cpu_ns();
	if (!world_run(&w, PN_S(1000), bulk_done)) {
		fprintf(stderr, "stalled at %llu bytes\n", (unsigned long long)bulk_got);
		return 1;
	}
	s = (double)(cpu_ns() - t0) / 1e9;
	printf("bulk, both sides in one thread, packets of %u bytes: "
	       "%.2f Gbit/s, %.0f ns a packet (CPU time)\n",
	       w.mtu, (double)bytes * 8 / s / 1e9, s * 1e9 / (double)w.packets);
	s = (double)pn_time_since(w.now, begin) / 1e9;
	printf("in virtual time, %llu us each way: %.2f Gbit/s\n", (unsigned long long)delay_us,
	       (double)bytes * 8 / s / 1e9);
	world_fini(&w);
	return 0;
}

int main(int argc, char **argv)
{
	CU_SuiteInfo *const infos[] = { &suite_session_parts, &suite_session_stream,
					&suite_session_life, &suite_session_dgram };
	unsigned int failed;

	if (argc > 2 && !strcmp(argv[1], "bulk"))
		return bulk(strtoull(argv[2], NULL, 10) * 1000000,
			    argc > 3 ? strtoull(argv[3], NULL, 10) : 50);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	for (size_t i = 0; i < PN_ARRAY_LEN(infos); i++) {
		CU_SuiteInfo one[] = { *infos[i], CU_SUITE_INFO_NULL };

		if (CU_register_suites(one) != CUE_SUCCESS)
			return 2;
	}
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}

/* SPDX-License-Identifier: ISC */
/* A hostile peer and a hostile network, against sessions.
 *
 * An input is a row of steps: what 1 | argument 1 | length 1 | bytes
 *   0 the bytes as a packet from anywhere
 *   1 the oldest packet on the way is changed: place 2, value 1, ...
 *   2 the bytes as a datagram frame from an authentic peer (half of them whole,
 *     half behind a valid first byte)
 *   3 a stream dialled with the bytes as its header and first data
 *   4 time passes: argument in ms; and deliveries happen
 *   5 the oldest packets on the way are lost: argument % 8
 *   6 a program does something to a stream: argument says to which and what
 *   7 the bytes as a Retry token
 * Both nodes use the null cipher, so that changed packets get through to what
 * stands behind the encryption.  They live for ROUNDS inputs. */
#define WORLD_POOL	1024
#define SOURCE_BYTES	40000

#include "tests/unit/session/app.h"
#include "pnstackd/session/session_internal.h"

/* The session layer with its test's network instead of the real one */
#include "tests/unit/session/fake_net.c"
#include "tests/unit/session/app.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define ROUNDS 200

static struct world w;
static int rounds;

static void begin(void)
{
	world_init(&w, 2);
	for (int i = 0; i < 2; i++)
		world_stop(&w, i, false);
	app_init(&w);
	w.cfg.null_cipher = true;
	w.cfg.stream_max = 256;
	w.cfg.session_max = 8;
	w.delay_ns = PN_MS(1);
	for (int i = 0; i < 2; i++)
		world_start(&w, i, (uint32_t)rounds);
}

static void live(uint64_t ns)
{
	world_run(&w, ns, NULL);
	/* the application's table starts anew before it is full */
	for (uint32_t i = 0; the_app.count > APP_STREAMS - 300 && i < the_app.count; i++)
		if (w.node[the_app.s[i].node].set)
			app_close(&w, &the_app.s[i]);
	if (the_app.count > APP_STREAMS - 300)
		the_app.count = 0;
}

static struct conn *some_conn(int node)
{
	for (uint32_t i = 0; i < w.cfg.session_max; i++)
		if (w.node[node].set->conns[i].state == CONN_UP)
			return &w.node[node].set->conns[i];
	return NULL;
}

static void packet(unsigned arg, const uint8_t *p, size_t n)
{
	struct pn_pkt *pkt = pn_pkt_get(&w.pool);
	struct conn *c = some_conn(arg & 1);

	if (!pkt)
		return;
	memcpy(pn_pkt_append(pkt, (uint32_t)n), p, n);
	/* some find a connection */
	if ((arg & 2) && c && n > 1 + SCID_LEN)
		memcpy(pkt->data + 1, &c->scid[0], SCID_LEN);
	pkt->src = arg & 4 ? 0x1000 : 0x6666;
	pkt->tag = arg;
	pkt->ecn = (uint8_t)(arg & 3);
	session_input(w.node[arg & 1].set, &pkt, 1, w.now);
}

static void mutate(unsigned arg, const uint8_t *p, size_t n)
{
	int to = (int)(arg & 1);
	struct pn_pkt *pkt;

	if (!w.node[to].inbox.head)	/* so let there be one */
		session_datagram_send(w.node[!to].set, NULL, w.node[to].hit, 1, 2,
				      the_app.dgram[0], arg, false, w.now);
	session_flush(w.node[!to].set, w.now);
	pkt = w.node[to].inbox.head;
	for (; pkt && n >= 3; p += 3, n -= 3)
		pkt->data[(p[0] << 8 | p[1]) % pkt->len] ^= p[2];
	if (pkt && n)
		pkt->len = pkt->len * (1U + p[0]) / 256 + 1;
}

static void frame(unsigned arg, const uint8_t *p, size_t n)
{
	struct conn *c = some_conn(arg & 1);
	uint8_t buf[256];

	if (!c)
		return;
	buf[0] = (uint8_t)(arg >> 1) % 6;
	memcpy(buf + 1, p, n);
	w.node[arg & 1].set->now = w.now;
	if (arg & 0x80)
		dgram_on_frame(c, p, n);
	else
		dgram_on_frame(c, buf, n + 1);
}

static void dial(unsigned arg, const uint8_t *p, size_t n)
{
	int from = (int)(arg & 1);
	struct app_stream *a = app_open_hit(&w, from, w.node[!from].hit, PORT_ECHO);
	struct stream *s = stream_at(w.node[from].set, a->id);

	if (!s || (arg & 2))	/* half of them as they should be */
		return;
	s->pre_len = (uint8_t)pn_min(n, sizeof(s->pre));
	memcpy(s->pre, p, s->pre_len);
	if (n > sizeof(s->pre))
		stream_write(s->set, a->id, p + sizeof(s->pre), n - sizeof(s->pre), w.now);
}

static void lose(unsigned arg)
{
	for (unsigned i = 0; i < arg % 8; i++)
		pn_pkt_put(&w.pool, pn_pktq_pop(&w.node[arg >> 7].inbox));
}

static void program(unsigned arg)
{
	struct app_stream *s;
	struct session_set *set;

	if (!the_app.count)
		return;
	s = &the_app.s[(arg >> 3) % the_app.count];
	set = w.node[s->node].set;
	switch (arg & 7) {
	case 0:
		s->to_send = s->end_sent ? s->to_send : s->sent + 20000;
		app_push(&w, s);
		break;
	case 1:
		stream_shutdown(set, s->id, w.now);
		s->end_sent = true;
		break;
	case 2:
		stream_stop(set, s->id, w.now);
		break;
	case 3:
		stream_reset(set, s->id, w.now);
		break;
	case 4:
		app_close(&w, s);
		break;
	case 5:
		app_pull(&w, s);
		break;
	case 6:
		app_open(&w, (int)(arg >> 3) & 1, !((arg >> 3) & 1), PORT_SOURCE, 0);
		break;
	default:
		session_datagram_send(set, NULL, w.node[!s->node].hit, 5, 53, the_app.dgram[0],
				      arg * 250, false, w.now);
	}
}

static void step(unsigned what, unsigned arg, const uint8_t *p, size_t n)
{
	struct pn_pkt from = { .src = 5, .tag = arg };
	ngtcp2_cid scid = { .datalen = 8 }, odcid;

	switch (what % 8) {
	case 0:
		packet(arg, p, n);
		break;
	case 1:
		mutate(arg, p, n);
		break;
	case 2:
		frame(arg, p, n);
		break;
	case 3:
		dial(arg, p, n);
		break;
	case 4:
		live(PN_MS(arg));
		break;
	case 5:
		lose(arg);
		break;
	case 6:
		program(arg);
		break;
	default:
		if (retry_token_check(w.node[0].set, p, n, &from, &scid, &odcid))
			abort();	/* nobody can forge one */
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!rounds++)
		begin();
	while (len >= 3) {
		size_t n = pn_min(data[2], len - 3);

		step(data[0], data[1], data + 3, n);
		data += 3 + n;
		len -= 3 + n;
	}
	live(PN_MS(3));
	if (rounds == ROUNDS) {
		world_fini(&w);
		rounds = 0;
	}
	return 0;
}

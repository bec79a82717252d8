/* SPDX-License-Identifier: ISC */
/* The small parts, each against a naive twin. */
#include "app.h"
#include "pnstackd/session/session_internal.h"

#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

static uint64_t rng = 42;

static uint32_t rnd(void)
{
	rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rng >> 33);
}

#define KEYS 200

static void test_map(void)
{
	uint32_t twin[KEYS];	/* value + 1 */
	struct map m;

	memset(twin, 0, sizeof(twin));
	CU_ASSERT_TRUE_FATAL(map_init(&m, KEYS / 2, 0));	/* worst hash there is */
	for (int i = 0; i < 100000; i++) {
		uint32_t k = rnd() % KEYS, used = 0;
		/* keys that fall close together */
		uint64_t key = (uint64_t)(k % 7) << 40 | (uint64_t)(k / 7) << 33;

		for (int j = 0; j < KEYS; j++)
			used += twin[j] != 0;
		if (rnd() % 2) {
			bool ok = map_put(&m, key, (uint32_t)i);

			CU_ASSERT_EQUAL(ok, !twin[k] && used <= m.mask / 2);
			if (ok)
				twin[k] = (uint32_t)i + 1;
		} else {
			map_del(&m, key);
			twin[k] = 0;
		}
		k = rnd() % KEYS;
		key = (uint64_t)(k % 7) << 40 | (uint64_t)(k / 7) << 33;
		if (map_get(&m, key) != twin[k] - 1)
			CU_FAIL_FATAL("map and twin differ");
	}
	map_fini(&m);
}

/* Bytes in at one end, sent, acknowledged, checked against their offsets. */
static void test_sendbuf(void)
{
	struct sendbuf b;
	ngtcp2_vec vec[4];
	uint64_t total;

	sendbuf_init(&b);
	for (int i = 0; i < 200000; i++) {
		size_t n, k;
		uint64_t off, bytes;
		uint8_t *p;

		switch (rnd() % 3) {
		case 0:
			if (sendbuf_kept(&b) > 300000)
				break;
			p = sendbuf_space(&b, &n);
			CU_ASSERT_PTR_NOT_NULL_FATAL(p);
			n = pn_min(n, rnd() % 20000);
			for (k = 0; k < n; k++)
				p[k] = app_byte(3, b.end + k);
			sendbuf_commit(&b, n);
			break;
		case 1:
			n = sendbuf_vec(&b, vec, 4, &bytes);
			off = b.sent;
			for (k = 0; k < n; k++) {
				for (size_t j = 0; j < vec[k].len; j += 97)
					if (vec[k].base[j] != app_byte(3, off + j))
						CU_FAIL_FATAL("wrong byte");
				off += vec[k].len;
			}
			if (off - b.sent != bytes || (!bytes && sendbuf_unsent(&b)))
				CU_FAIL_FATAL("wrong count");
			sendbuf_advance(&b, bytes ? rnd() % (bytes + 1) : 0);
			break;
		default:
			total = b.sent - b.base;
			sendbuf_acked(&b, b.base + (total ? rnd() % (total + 1) : 0));
			if (rnd() % 8 == 0)
				sendbuf_acked(&b, b.sent);
		}
	}
	CU_ASSERT_TRUE(b.end > 10000000);
	sendbuf_fini(&b);
}

static void test_recvbuf(void)
{
	static uint8_t in[70000];
	struct recvbuf b;
	uint64_t put = 0, got = 0;

	recvbuf_init(&b);
	for (int i = 0; i < 50000; i++) {
		size_t n;
		const uint8_t *p;

		if (rnd() % 2 && b.bytes < 300000) {
			n = rnd() % (rnd() % 16 ? 3000 : sizeof(in));
			for (size_t k = 0; k < n; k++)
				in[k] = app_byte(5, put + k);
			CU_ASSERT_TRUE_FATAL(recvbuf_put(&b, in, n));
			put += n;
		} else {
			p = recvbuf_peek(&b, &n);
			if (n > put - got || (!n && put != got))
				CU_FAIL_FATAL("wrong length");
			/* NOLINTNEXTLINE(clang-analyzer-core.DivideZero): n is not SIZE_MAX */
			n = n ? rnd() % (n + 1) : 0;
			for (size_t k = 0; k < n; k++)
				if (p[k] != app_byte(5, got + k))
					CU_FAIL_FATAL("wrong byte");
			recvbuf_consume(&b, n);
			got += n;
		}
		CU_ASSERT_EQUAL_FATAL(b.bytes, put - got);
	}
	recvbuf_fini(&b);
}

static void test_errmap(void)
{
	static const int errs[] = { PN_ERESET, PN_EREFUSED, PN_EFULL, PN_ETIMEDOUT, PN_EUNREACH,
				    PN_EAUTH, PN_EPROTO, PN_EBADMSG, PN_ENOMEM, PN_ECLOSED };

	for (size_t i = 0; i < PN_ARRAY_LEN(errs); i++)
		CU_ASSERT_EQUAL(err_from_wire(err_to_wire(errs[i])), errs[i]);
	CU_ASSERT_EQUAL(err_from_wire(0x123456), PN_ERESET);
	CU_ASSERT_EQUAL(err_from_close(0x100 + 42, false), PN_EAUTH);
	CU_ASSERT_EQUAL(err_from_close(0x0a, false), PN_EPROTO);
}

/* Each truncation and each changed byte of a Retry token is refused. */
static void test_retry_token(void)
{
	struct world w;
	struct pn_pkt pkt;
	ngtcp2_cid odcid, scid, out;
	uint8_t token[RETRY_TOKEN_MAX];
	size_t len;

	world_init(&w, 1);
	memset(&pkt, 0, sizeof(pkt));
	pkt.src = 77;
	pkt.tag = 5;
	ngtcp2_cid_init(&odcid, (const uint8_t *)"0123456789abcdef", 16);
	ngtcp2_cid_init(&scid, (const uint8_t *)"fedcba98", 8);
	len = retry_token_make(w.node[0].set, token, &pkt, &odcid, &scid);
	CU_ASSERT_TRUE(retry_token_check(w.node[0].set, token, len, &pkt, &scid, &out));
	CU_ASSERT_TRUE(ngtcp2_cid_eq(&out, &odcid));
	for (size_t i = 0; i < len; i++) {
		uint8_t *heap = malloc(i ? i : 1);

		memcpy(heap, token, i);
		CU_ASSERT_FALSE(retry_token_check(w.node[0].set, heap, i, &pkt, &scid, &out));
		free(heap);
		token[i] ^= 1;
		CU_ASSERT_FALSE(retry_token_check(w.node[0].set, token, len, &pkt, &scid, &out));
		token[i] ^= 1;
	}
	pkt.src++;
	CU_ASSERT_FALSE(retry_token_check(w.node[0].set, token, len, &pkt, &scid, &out));
	pkt.src--;
	w.node[0].set->now.ns += PN_S(11);
	CU_ASSERT_FALSE(retry_token_check(w.node[0].set, token, len, &pkt, &scid, &out));
	world_fini(&w);
}

static CU_TestInfo tests[] = {
	{ "map against a twin", test_map },
	{ "send buffer", test_sendbuf },
	{ "receive buffer", test_recvbuf },
	{ "error codes", test_errmap },
	{ "Retry tokens", test_retry_token },
	CU_TEST_INFO_NULL,
};

CU_SuiteInfo suite_session_parts = { .pName = "session parts", .pTests = tests };

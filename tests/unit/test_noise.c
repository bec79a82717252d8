// SPDX-License-Identifier: ISC
/* The handshake by itself: both sides agree, and nobody else gets in. */
#include "libpeernet/base/pn_error.h"
#include "pnstackd/net/noise.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

struct side { uint8_t id[32], sign[64], dh_secret[32], dh_public[32], psk[32]; };

static struct side alice, bob, eve;
static const struct noise_options alice_opt = { NOISE_CAP_AES, 1500, 11, 22 };
static const struct noise_options bob_opt = { NOISE_CAP_SEAL_FULL, 1400, 33, 44 };

static void side_init(struct side *s, uint8_t n)
{
	uint8_t seed[32] = { n };

	memset(s, 0, sizeof(*s));
	crypto_identity(seed, s->id, s->sign);
	crypto_dh_of_sign_key(s->dh_secret, s->dh_public, s->sign);
}

static int setup(void)
{
	side_init(&alice, 1);
	side_init(&bob, 2);
	side_init(&eve, 3);
	return 0;
}

static struct noise_local local_of(const struct side *s)
{
	return (struct noise_local){ s->id, s->dh_secret, s->dh_public, s->psk };
}

static size_t initiate(struct noise_state *st, const struct side *from, const struct side *to,
		       uint8_t *frame)
{
	struct noise_local us = local_of(from);
	uint8_t e[32] = { 9, 9, from->id[0] };
	size_t len = noise_create_initiation(st, &us, to->id, e, 5, 6, &alice_opt, 0x1234, frame);

	CU_ASSERT_FATAL(len > 0);
	CU_ASSERT_EQUAL(noise_frame_len(frame, len), len);
	noise_macs_set(frame, len, to->id, NULL);
	return len;
}

static size_t respond(struct noise_keys *keys, const struct noise_initiation *in, uint8_t *frame)
{
	uint8_t e[32] = { 8 };
	size_t len = noise_create_response(keys, in, e, &bob_opt, 0x5678, frame);

	CU_ASSERT_FATAL(len > 0);
	noise_macs_set(frame, len, alice.id, NULL);
	return len;
}

static void test_agree(void)
{
	struct noise_local a = local_of(&alice), b = local_of(&bob);
	uint8_t init[NOISE_INIT_MAX], resp[NOISE_RESPONSE_MAX];
	struct noise_keys ka, kb;
	struct noise_initiation in;
	struct noise_options opt;
	struct noise_state st = { 0 };
	uint32_t index;
	size_t n = initiate(&st, &alice, &bob, init), m;

	CU_ASSERT_EQUAL_FATAL(noise_consume_initiation(&in, &b, init, n), 0);
	CU_ASSERT(memcmp(in.id, alice.id, 32) == 0);
	CU_ASSERT_EQUAL(in.boot, 5);
	CU_ASSERT_EQUAL(in.counter, 6);
	CU_ASSERT_EQUAL(in.sender_index, 0x1234);
	CU_ASSERT(memcmp(&in.options, &alice_opt, sizeof(alice_opt)) == 0);

	m = respond(&kb, &in, resp);
	CU_ASSERT_EQUAL(noise_response_receiver(resp, m), 0x1234);
	CU_ASSERT_EQUAL_FATAL(noise_consume_response(&ka, &opt, &index, &st, &a, resp, m), 0);
	CU_ASSERT_EQUAL(index, 0x5678);
	CU_ASSERT(memcmp(&opt, &bob_opt, sizeof(opt)) == 0);
	CU_ASSERT(memcmp(ka.tx, kb.rx, 32) == 0);
	CU_ASSERT(memcmp(ka.rx, kb.tx, 32) == 0);
	CU_ASSERT(memcmp(ka.rx, ka.tx, 32) != 0);
}

static void test_strangers(void)
{
	struct noise_local e = local_of(&eve), b = local_of(&bob), a = local_of(&alice);
	uint8_t init[NOISE_INIT_MAX], resp[NOISE_RESPONSE_MAX], key[32];
	struct noise_initiation in, untouched;
	struct noise_state st = { 0 };
	struct noise_options opt;
	struct noise_keys k;
	uint32_t index;
	size_t n = initiate(&st, &alice, &bob, init), m;

	memset(&in, 0x77, sizeof(in));
	untouched = in;
	/* meant for bob: eve can not read it, and sees so by mac1 */
	CU_ASSERT_EQUAL(noise_consume_initiation(&in, &e, init, n), PN_EAUTH);
	noise_mac1_key(key, eve.id);
	CU_ASSERT(!noise_mac1_check(init, n, key));
	noise_mac1_key(key, bob.id);
	CU_ASSERT(noise_mac1_check(init, n, key));
	/* another network secret */
	bob.psk[31] = 1;
	CU_ASSERT_EQUAL(noise_consume_initiation(&in, &b, init, n), PN_EAUTH);
	CU_ASSERT(memcmp(&in, &untouched, sizeof(in)) == 0);
	bob.psk[31] = 0;
	/* somebody else answers */
	CU_ASSERT_EQUAL_FATAL(noise_consume_initiation(&in, &b, init, n), 0);
	in.dh_public[3] ^= 1;
	m = respond(&k, &in, resp);
	CU_ASSERT_EQUAL(noise_consume_response(&k, &opt, &index, &st, &a, resp, m), PN_EAUTH);
	/* an identity that is no point of the curve */
	memset(key, 0, sizeof(key));
	CU_ASSERT_EQUAL(noise_create_initiation(&st, &a, key, key, 1, 1, &alice_opt, 1, init), 0);
	CU_ASSERT(!st.active);
}

/* Every truncation and every changed bit must be refused. */
static void test_damage(void)
{
	struct noise_local a = local_of(&alice), b = local_of(&bob);
	uint8_t init[NOISE_INIT_MAX], resp[NOISE_RESPONSE_MAX], ka[32], kb[32];
	struct noise_initiation in, good;
	struct noise_state st = { 0 };
	struct noise_options opt;
	struct noise_keys k;
	uint32_t index;
	size_t n = initiate(&st, &alice, &bob, init), m, accepted = 0;

	noise_mac1_key(ka, alice.id);
	noise_mac1_key(kb, bob.id);
	CU_ASSERT_EQUAL_FATAL(noise_consume_initiation(&good, &b, init, n), 0);
	m = respond(&k, &good, resp);
	for (size_t cut = 0; cut < n; cut++) {
		uint8_t *p = unit_copy(init, cut);

		accepted += noise_frame_len(p, cut) != 0;
		accepted += noise_consume_initiation(&in, &b, p, cut) == 0;
		free(p);
	}
	for (size_t cut = 0; cut < m; cut++) {
		uint8_t *p = unit_copy(resp, cut);

		accepted += noise_frame_len(p, cut) != 0;
		accepted += noise_consume_response(&k, &opt, &index, &st, &a, p, cut) == 0;
		free(p);
	}
	for (size_t bit = 0; bit < (n - NOISE_MAC_LEN) * 8; bit++) {
		init[bit / 8] ^= (uint8_t)(1 << bit % 8);
		accepted += noise_frame_len(init, n) == n && noise_mac1_check(init, n, kb);
		init[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t at = 8; at < n - 2 * NOISE_MAC_LEN; at++) {
		init[at] ^= 0x40;
		accepted += noise_consume_initiation(&in, &b, init, n) == 0;
		init[at] ^= 0x40;
	}
	for (size_t at = 12; at < m - 2 * NOISE_MAC_LEN; at++) {
		resp[at] ^= 0x40;
		accepted += noise_mac1_check(resp, m, ka);
		accepted += noise_consume_response(&k, &opt, &index, &st, &a, resp, m) == 0;
		resp[at] ^= 0x40;
	}
	CU_ASSERT_EQUAL(accepted, 0);
	CU_ASSERT_EQUAL(noise_consume_response(&k, &opt, &index, &st, &a, resp, m), 0);
}

static void test_cookie(void)
{
	struct pn_lladdr here = { 6, { 1, 2, 3, 4, 5, 6 } }, there = { 6, { 1, 2, 3, 4, 5, 7 } };
	uint8_t init[NOISE_INIT_MAX], frame[NOISE_COOKIE_FRAME_LEN], secret[32] = { 4 };
	uint8_t cookie[16], other[16], got[16], key[32], nonce[16] = { 3 }, mac1[16];
	struct noise_state st = { 0 };
	size_t n = initiate(&st, &alice, &bob, init), accepted = 0;

	memcpy(mac1, init + n - 32, 16);
	noise_cookie_of(cookie, secret, &here);
	noise_cookie_of(other, secret, &there);
	CU_ASSERT(memcmp(cookie, other, 16) != 0);
	CU_ASSERT(!noise_mac2_check(init, n, cookie));
	noise_cookie_key(key, bob.id);
	CU_ASSERT_EQUAL(noise_create_cookie(frame, init, n, cookie, key, nonce), sizeof(frame));
	CU_ASSERT_EQUAL(noise_cookie_receiver(frame, sizeof(frame)), 0x1234);
	for (size_t at = 8; at < sizeof(frame); at++) {
		uint8_t *p = unit_copy(frame, at);

		accepted += noise_consume_cookie(got, p, at, bob.id, mac1) == 0;
		free(p);
		frame[at] ^= 1;
		accepted += noise_consume_cookie(got, frame, sizeof(frame), bob.id, mac1) == 0;
		frame[at] ^= 1;
	}
	CU_ASSERT_EQUAL(accepted, 0);
	CU_ASSERT_EQUAL(noise_consume_cookie(got, frame, sizeof(frame), eve.id, mac1), PN_EAUTH);
	CU_ASSERT_EQUAL_FATAL(noise_consume_cookie(got, frame, sizeof(frame), bob.id, mac1), 0);
	noise_macs_set(init, n, bob.id, got);
	CU_ASSERT(noise_mac2_check(init, n, cookie));
	CU_ASSERT(!noise_mac2_check(init, n, other));
}

static bool options(const uint8_t *p, size_t len, struct noise_options *out)
{
	uint8_t *copy = unit_copy(p, len);
	struct pn_rd r;
	bool ok;

	pn_rd_init(&r, copy, len);
	ok = noise_options_parse(&r, out);
	free(copy);
	return ok;
}

static void test_options(void)
{
	struct noise_options o = { 0 };
	uint8_t buf[64], more[80];
	struct pn_wr w;

	pn_wr_init(&w, buf, sizeof(buf));
	noise_options_build(&w, &alice_opt);
	CU_ASSERT(options(buf, w.len, &o));
	CU_ASSERT(memcmp(&o, &alice_opt, sizeof(o)) == 0);
	for (size_t cut = 0; cut < w.len; cut++)
		CU_ASSERT(!options(buf, cut, &o));
	/* one of a later version, in front and behind */
	memcpy(more, "\xc8\x03xyz", 5);
	memcpy(more + 5, buf, w.len);
	memcpy(more + 5 + w.len, "\xc9\x00", 2);
	CU_ASSERT(options(more, w.len + 7, &o));
	/* a known one of the wrong length */
	buf[1] = 3;
	CU_ASSERT(!options(buf, w.len, &o));
}

static CU_TestInfo tests[] = {
	{ "both sides agree", test_agree },
	{ "strangers", test_strangers },
	{ "truncated and changed", test_damage },
	{ "cookies", test_cookie },
	{ "options", test_options },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_noise;
CU_SuiteInfo suite_noise = { .pName = "noise", .pInitFunc = setup, .pTests = tests };

// SPDX-License-Identifier: ISC
/* Handshake frames: raw bytes, and true frames with some bytes changed, into each
 * consume function.  First byte: what to do; the rest: bytes, or changes of two
 * bytes place and two bytes value each.  Nothing but the unchanged frame may open. */
#include "libpeernet/base/pn_error.h"
#include "pnstackd/net/noise.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { INIT, RESPONSE, COOKIE, KINDS };

static uint8_t id[2][32], dh_secret[2][32], dh_public[2][32], psk[32];
static uint8_t frame[KINDS][NOISE_INIT_MAX];
static size_t frame_len[KINDS];
static struct noise_state state;
static bool ready;

static struct noise_local side(int n)
{
	return (struct noise_local){ id[n], dh_secret[n], dh_public[n], psk };
}

static void prepare(void)
{
	const struct noise_options opt = { 1, 1500, 2, 3 };
	struct noise_local a, b;
	struct noise_initiation in;
	struct noise_keys keys;
	uint8_t e[32] = { 5 }, cookie[16] = { 6 }, key[32], nonce[16] = { 7 };

	for (int n = 0; n < 2; n++) {
		uint8_t seed[32] = { (uint8_t)(n + 1) }, sign[64];

		crypto_identity(seed, id[n], sign);
		crypto_dh_of_sign_key(dh_secret[n], dh_public[n], sign);
	}
	a = side(0);
	b = side(1);
	frame_len[INIT] = noise_create_initiation(&state, &a, id[1], e, 1, 1,
						  &opt, 77, frame[INIT]);
	noise_macs_set(frame[INIT], frame_len[INIT], id[1], NULL);
	if (noise_consume_initiation(&in, &b, frame[INIT], frame_len[INIT]))
		abort();
	e[1] = 1;
	frame_len[RESPONSE] = noise_create_response(&keys, &in, e, &opt, 88, frame[RESPONSE]);
	noise_macs_set(frame[RESPONSE], frame_len[RESPONSE], id[0], NULL);
	noise_cookie_key(key, id[1]);
	frame_len[COOKIE] = noise_create_cookie(frame[COOKIE], frame[INIT], frame_len[INIT], cookie,
						key, nonce);
	ready = true;
}

/* Return: did it open? */
static bool consume(int kind, const uint8_t *p, size_t len)
{
	struct noise_local a = side(0), b = side(1);
	struct noise_initiation in;
	struct noise_options opt;
	struct noise_keys keys;
	uint8_t cookie[16], key[32];
	uint32_t index;
	size_t n;

	if (kind == COOKIE)
		return noise_consume_cookie(cookie, p, len, id[1],
					    frame[INIT] + frame_len[INIT] - 32) == 0;
	n = noise_frame_len(p, len);
	PN_ASSERT(n <= len);
	noise_mac1_key(key, id[kind == INIT]);
	if (n && noise_mac1_check(p, n, key) && memcmp(p, frame[kind], n - 32) != 0)
		abort();	/* forged mac1 */
	if (kind == INIT)
		return noise_consume_initiation(&in, &b, p, len) == 0;
	return noise_consume_response(&keys, &opt, &index, &state, &a, p, len) == 0;
}

static void changed(int kind, const uint8_t *data, size_t len)
{
	/* what the sealed parts cover: in front of the macs, behind type, version, indexes */
	static const size_t from[KINDS] = { 8, 12, 8 }, macs[KINDS] = { 32, 32, 0 };
	size_t n = frame_len[kind], cut = n;
	uint8_t *p = malloc(n);
	bool same;

	if (!p)
		return;
	memcpy(p, frame[kind], n);
	for (; len >= 3; data += 3, len -= 3)
		p[(data[0] | data[1] << 8) % n] ^= data[2];
	if (len)
		cut = data[0] % (n + 1);
	same = cut == n && memcmp(p + from[kind], frame[kind] + from[kind],
				  n - from[kind] - macs[kind]) == 0 &&
	       memcmp(p + 2, frame[kind] + 2, 2) == 0;
	if (consume(kind, p, cut) && !same && cut + macs[kind] < n)
		abort();
	if (cut == n && same && p[0] == frame[kind][0] && !consume(kind, p, n))
		abort();
	free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct noise_options opt;
	struct pn_rd r;

	if (!ready)
		prepare();
	if (len < 1)
		return 0;
	if (data[0] < KINDS) {
		consume(data[0], data + 1, len - 1);
	} else if (data[0] < 2 * KINDS) {
		changed(data[0] - KINDS, data + 1, len - 1);
	} else {
		pn_rd_init(&r, data + 1, len - 1);
		if (noise_options_parse(&r, &opt)) {
			PN_ASSERT(opt.mtu != 0);
			PN_ASSERT(opt.instance != 0);
		}
	}
	return 0;
}

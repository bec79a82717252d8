/* SPDX-License-Identifier: ISC */
/* Petnames, identities behind HITs, IPv4 addresses that stand for HITs, keys. */
#include "pnstackd/api/api_int.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static uint8_t own[PN_ID_LEN], bob[PN_ID_LEN], eve[PN_ID_LEN];
static char bob_text[PN_ID_TEXT_LEN + 1], eve_text[PN_ID_TEXT_LEN + 1];

static int setup(void)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/petnames.XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	memset(own, 1, sizeof(own));
	memset(bob, 2, sizeof(bob));
	memset(eve, 3, sizeof(eve));
	pn_id_to_text(bob, bob_text);
	pn_id_to_text(eve, eve_text);
	return 0;
}

static int teardown(void)
{
	return unlink(path) < 0;
}

/* Every "@" of @text stands for Bob's identity, every "%" for Eve's */
static struct names *with_file(const char *text)
{
	FILE *f = fopen(path, "w");
	struct names *n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	for (; *text; text++) {
		if (*text == '@')
			fputs(bob_text, f);
		else if (*text == '%')
			fputs(eve_text, f);
		else
			fputc(*text, f);
	}
	fclose(f);
	n = names_new(path, own);
	CU_ASSERT_PTR_NOT_NULL_FATAL(n);
	return n;
}

static int resolve(struct names *n, const char *text, const uint8_t *want)
{
	uint8_t hit[PN_HIT_LEN], want_hit[PN_HIT_LEN], id[PN_ID_LEN];
	char why[160] = "";
	bool known = false;
	int r = names_resolve(n, text, hit, id, &known, why, sizeof(why));

	if (r < 0) {
		CU_ASSERT(strlen(why) > 0);
		return r;
	}
	net_identity_hit(want, want_hit);
	CU_ASSERT(known);
	CU_ASSERT(!memcmp(id, want, PN_ID_LEN));
	CU_ASSERT(!memcmp(hit, want_hit, PN_HIT_LEN));
	return 0;
}

static void test_file(void)
{
	struct names *n = with_file("# friends\n\n@ bob Bobby\t# and more\n"
				    "%.pn.alt eve.pn.alt\r\n");

	CU_ASSERT_STRING_EQUAL(names_error(n), "");
	CU_ASSERT_EQUAL(names_count(n), 3);
	CU_ASSERT_EQUAL(resolve(n, "bob", bob), 0);
	CU_ASSERT_EQUAL(resolve(n, "BOBBY.pn.alt", bob), 0);
	CU_ASSERT_EQUAL(resolve(n, "bobby.pn.alt.", bob), 0);
	CU_ASSERT_EQUAL(resolve(n, "eve", eve), 0);
	CU_ASSERT_EQUAL(resolve(n, bob_text, bob), 0);
	CU_ASSERT_EQUAL(resolve(n, "mallory", bob), PN_ENOENT);
	CU_ASSERT_EQUAL(resolve(n, "mallory.pn.alt", bob), PN_ENOENT);
	CU_ASSERT_EQUAL(resolve(n, "www.example.org", bob), PN_ENOENT);
	CU_ASSERT_EQUAL(resolve(n, "a.b.pn.alt", bob), PN_EINVAL);
	CU_ASSERT_EQUAL(resolve(n, "2001:db8::1", bob), PN_EINVAL);
	CU_ASSERT_STRING_EQUAL(names_petname(n, bob), "bob");
	CU_ASSERT_PTR_NULL(names_petname(n, own));
	names_free(n);
}

static void test_errors(void)
{
	static const struct {
		const char *text;
		const char *error;      /* is in it */
		size_t count;           /* names that are good all the same */
	} cases[] = {
		{ "@ bob\nnonsense here\n% eve\n", ":2: not an identity", 2 },
		{ "@\n", ":1: no petname", 0 },
		{ "@ bob\n% bob\n", ":2: petname given twice: 'bob'", 1 },
		{ "@ b_b\n", ":1: not a petname: 'b_b'", 0 },
		{ "@ -bob bob-\n", ":1: not a petname: '-bob'", 0 },
		{ "@ %\n", ":1: not a petname", 0 },
		{ "@ www.example.org\n", ":1: not a petname", 0 },
	};
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(cases); i++) {
		struct names *n = with_file(cases[i].text);

		CU_ASSERT_PTR_NOT_NULL(strstr(names_error(n), cases[i].error));
		CU_ASSERT_PTR_NOT_NULL(strstr(names_error(n), path));
		CU_ASSERT_EQUAL(names_count(n), cases[i].count);
		names_free(n);
	}
}

static void test_refresh(void)
{
	struct names *n = with_file("@ bob\n"), *other;

	CU_ASSERT_FALSE(names_refresh(n));
	other = with_file("% eve eva\n");   /* another size: seen whatever the clock does */
	CU_ASSERT_TRUE(names_refresh(n));
	CU_ASSERT_EQUAL(resolve(n, "bob", bob), PN_ENOENT);
	CU_ASSERT_EQUAL(resolve(n, "eva", eve), 0);
	unlink(path);
	CU_ASSERT_TRUE(names_refresh(n));
	CU_ASSERT_EQUAL(names_count(n), 0);
	CU_ASSERT_STRING_EQUAL(names_error(n), "");
	names_free(other);
	names_free(n);
	names_free(with_file(""));
}

static void test_identities(void)
{
	struct names *n = with_file("@ bob\n");
	uint8_t hit[PN_HIT_LEN], id[PN_ID_LEN];
	char text[INET6_ADDRSTRLEN], why[160];
	bool known = true;

	net_identity_hit(own, hit);
	CU_ASSERT(!memcmp(names_identity(n, hit), own, PN_ID_LEN));
	net_identity_hit(bob, hit);
	CU_ASSERT(!memcmp(names_identity(n, hit), bob, PN_ID_LEN));
	net_identity_hit(eve, hit);
	CU_ASSERT_PTR_NULL(names_identity(n, hit));
	inet_ntop(AF_INET6, hit, text, sizeof(text));
	CU_ASSERT_EQUAL(names_resolve(n, text, hit, id, &known, why, sizeof(why)), 0);
	CU_ASSERT_FALSE(known);
	names_learn(n, eve);
	CU_ASSERT(!memcmp(names_identity(n, hit), eve, PN_ID_LEN));
	CU_ASSERT_EQUAL(resolve(n, text, eve), 0);
	names_free(n);
}

static void test_map4(void)
{
	struct map4 *m = map4_new(), *again = map4_new();
	uint8_t hit[PN_HIT_LEN], seen[PN_HIT_LEN];
	uint32_t addr, same;
	uint64_t state = 7;
	int i;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	for (i = 0; i < 5000; i++) {
		uint64_t a = unit_random(&state), b = unit_random(&state);

		memcpy(hit, &a, 8);
		memcpy(hit + 8, &b, 8);
		CU_ASSERT_EQUAL_FATAL(map4_get(m, hit, &addr), 0);
		CU_ASSERT_EQUAL(addr >> 17, 0xc6120000u >> 17);
		CU_ASSERT(!memcmp(map4_find(m, addr), hit, PN_HIT_LEN));
		CU_ASSERT_EQUAL(map4_get(m, hit, &same), 0);
		CU_ASSERT_EQUAL(addr, same);
		if (i == 0) {
			/* the same after a restart */
			CU_ASSERT_EQUAL(map4_get(again, hit, &same), 0);
			CU_ASSERT_EQUAL(addr, same);
			memcpy(seen, hit, PN_HIT_LEN);
		}
	}
	seen[0] ^= 1;   /* another HIT that wants the same address */
	CU_ASSERT_EQUAL(map4_get(again, seen, &addr), 0);
	CU_ASSERT_NOT_EQUAL(addr, same);
	CU_ASSERT_PTR_NULL(map4_find(again, 0x01020304));
	map4_free(m);
	map4_free(again);
}

static void test_map4_full(void)
{
	struct map4 *m = map4_new();
	uint8_t hit[PN_HIT_LEN] = { 1 };
	uint32_t addr, i, got = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	for (i = 0; i < 70000; i++) {
		hit[12] = 1;
		hit[13] = (uint8_t)(i >> 16);
		hit[14] = (uint8_t)(i >> 8);
		hit[15] = (uint8_t)i;
		if (map4_get(m, hit, &addr) == 0)
			got++;
	}
	CU_ASSERT_EQUAL(got, 65536);
	map4_free(m);
}

static void test_keys(void)
{
	static struct key_node nodes[1000];
	struct key_node twin = { .kind = KEY_DGRAM };
	struct keytab t;
	size_t i;

	CU_ASSERT_FATAL(keytab_init(&t, 64, 42));
	for (i = 0; i < 1000; i++) {
		memset(&nodes[i], 0, sizeof(nodes[i]));
		nodes[i].key[0] = (uint8_t)(i + 1);
		nodes[i].key[1] = (uint8_t)((i + 1) >> 8);
		CU_ASSERT(keytab_insert(&t, &nodes[i]));
	}
	CU_ASSERT_FALSE(keytab_insert(&t, &twin));   /* all zero */
	twin.key[0] = 5;
	CU_ASSERT_FALSE(keytab_insert(&t, &twin));   /* taken */
	for (i = 0; i < 1000; i += 2)
		keytab_remove(&t, &nodes[i]);
	for (i = 0; i < 1000; i++)
		CU_ASSERT_PTR_EQUAL(keytab_lookup(&t, nodes[i].key), i % 2 ? &nodes[i] : NULL);
	keytab_fini(&t);
}

static void test_errs(void)
{
	static struct errs e;
	const struct pn_time now = { PN_S(5) };
	uint8_t key[16] = { 9 };
	struct err_kept *k;
	int code;

	for (code = PN_ERROR_FIRST; code >= PN_ERROR_LAST; code--) {
		CU_ASSERT(errs_errno(code) > 0);
		CU_ASSERT_NOT_EQUAL(errs_errno(code), EIO);
	}
	CU_ASSERT_EQUAL(errs_errno(0), 0);
	CU_ASSERT_EQUAL(errs_errno(-1), EIO);
	CU_ASSERT_STRING_EQUAL(errs_name(ECONNREFUSED), "ECONNREFUSED");
	memset(&e, 0, sizeof(e));
	errs_keep(&e, key, 1, 0, now);
	CU_ASSERT_PTR_NULL(errs_find(&e, key, now));
	errs_keep(&e, key, 1, ECONNRESET, now);
	k = errs_find(&e, key, now);
	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	CU_ASSERT_EQUAL(k->err, ECONNRESET);
	CU_ASSERT_PTR_NULL(errs_find(&e, key, pn_time_add(now, ERRS_KEPT_NS)));
	k->err = 0;
	CU_ASSERT_PTR_NULL(errs_find(&e, key, now));
}

static CU_TestInfo tests[] = {
	{ "file", test_file },
	{ "errors with line numbers", test_errors },
	{ "read again", test_refresh },
	{ "identities behind HITs", test_identities },
	{ "IPv4 addresses for HITs", test_map4 },
	{ "IPv4 addresses run out", test_map4_full },
	{ "keys", test_keys },
	{ "error codes", test_errs },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_petnames;
CU_SuiteInfo suite_petnames = {
	.pName = "petnames",
	.pInitFunc = setup,
	.pCleanupFunc = teardown,
	.pTests = tests,
};

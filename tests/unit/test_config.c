// SPDX-License-Identifier: ISC
/* The configuration file, the key file and the boot counter. */
#include "pnstackd/host/config.h"
#include "pnstackd/host/identity.h"
#include "pnstackd/loop/loop.h"
#include "pnstackd/session/session.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaq"

static struct config *config_new(void)
{
	struct config *cfg = calloc(1, sizeof(*cfg));

	if (!cfg)
		abort();
	config_default(cfg);
	return cfg;
}

static int parse(struct config *cfg, const char *text, char why[CONFIG_WHY_MAX])
{
	why[0] = '\0';
	return config_parse(cfg, text, strlen(text), "f", why, CONFIG_WHY_MAX);
}

static const char full[] =
	"{ \"state\": \"/s\", \"identity\": \"/k\", \"petnames\": \"/p\",\n"
	"  \"links\": [ \"eth:eth0\", { \"link\": \"udp:h:1#" ID "\", \"cost\": 5,\n"
	"               \"seal\": \"full\" } ],\n"
	"  \"api\": { \"path\": \"/a\", \"mode\": \"0640\", \"group\": \"g\" },\n"
	"  \"user\": \"u\", \"ethernet\": false, \"loop\": \"epoll\",\n"
	"  \"log\": { \"level\": \"debug\", \"file\": \"/l\" },\n"
	"  \"allow\": [ \"" ID "\", \"" ID ".pn.alt\" ], \"secret-file\": \"/x\",\n"
	"  \"limits\": { \"neighbours\": 3, \"records\": 4, \"peers\": 9, \"sessions\": 6,\n"
	"    \"streams\": 7, \"sockets\": 8, \"packets\": 512, \"packet-size\": 9216 },\n"
	"  \"session\": { \"cc\": \"bbr\", \"window\": 65536, \"idle\": 60 } }\n";

static void check_full(const struct config *cfg)
{
	CU_ASSERT_STRING_EQUAL(cfg->state, "/s");
	CU_ASSERT_STRING_EQUAL(cfg->identity, "/k");
	CU_ASSERT_STRING_EQUAL(cfg->petnames, "/p");
	CU_ASSERT_EQUAL(cfg->link_count, 2);
	CU_ASSERT_STRING_EQUAL(cfg->links[0].spec.ifname, "eth0");
	CU_ASSERT_EQUAL(cfg->links[1].spec.cost, 5);
	CU_ASSERT_TRUE(cfg->links[1].spec.seal_full);
	CU_ASSERT_TRUE(cfg->links[1].spec.has_id);
	CU_ASSERT_STRING_EQUAL(cfg->api_path, "/a");
	CU_ASSERT_EQUAL(cfg->api_mode, 0640);
	CU_ASSERT_STRING_EQUAL(cfg->group, "g");
	CU_ASSERT_STRING_EQUAL(cfg->user, "u");
	CU_ASSERT_FALSE(cfg->ethernet);
	CU_ASSERT_EQUAL(cfg->loop, LOOP_EPOLL);
	CU_ASSERT_EQUAL(cfg->log_level, 3);
	CU_ASSERT_STRING_EQUAL(cfg->log_file, "/l");
	CU_ASSERT_EQUAL(cfg->allow_count, 2);
	CU_ASSERT_STRING_EQUAL(cfg->secret_file, "/x");
	CU_ASSERT_EQUAL(cfg->limit_neighbours, 3);
	CU_ASSERT_EQUAL(cfg->limit_packet_size, 9216);
	CU_ASSERT_EQUAL(cfg->session_cc, SESSION_CC_BBR);
	CU_ASSERT_EQUAL(cfg->session_window, 65536);
	CU_ASSERT_EQUAL(cfg->session_idle_s, 60);
}

static void test_all_keys(void)
{
	struct config *cfg = config_new();
	char why[CONFIG_WHY_MAX];

	CU_ASSERT_EQUAL(parse(cfg, full, why), 0);
	CU_ASSERT_STRING_EQUAL(why, "");
	check_full(cfg);
	free(cfg);
}

/* What is printed parses again, to the same. */
static void test_print(void)
{
	struct config *a = config_new(), *b = config_new();
	char why[CONFIG_WHY_MAX];
	char *once, *twice;

	CU_ASSERT_EQUAL(parse(a, full, why), 0);
	once = config_print(a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(once);
	CU_ASSERT_EQUAL(parse(b, once, why), 0);
	check_full(b);
	twice = config_print(b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(twice);
	CU_ASSERT_STRING_EQUAL(once, twice);
	free(once);
	free(twice);
	config_default(a);
	once = config_print(a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(once);
	CU_ASSERT_EQUAL(parse(b, once, why), 0);
	free(once);
	free(a);
	free(b);
}

/* text, and what the complaint begins with and contains */
static const struct {
	const char *text, *begin, *part;
} wrong[] = {
	{ "", "f:", "" },
	{ "{", "f:1: ", "" },
	{ "[]", "f:1: ", "object" },
	{ "{\n\"colour\": 1 }", "f:2: colour: ", "unknown key" },
	{ "{ \"api\": {\n\n\"port\": 1 } }", "f:3: api.port: ", "unknown key" },
	{ "{ \"api\": 1 }", "f:1: api: ", "object" },
	{ "{ \"log\": { \"level\": \"loud\" } }", "f:1: log.level: ", "\"debug\"" },
	{ "{ \"log\": { \"level\": 3 } }", "f:1: log.level: ", "\"err\"" },
	{ "{ \"state\": 1 }", "f:1: state: ", "string" },
	{ "{ \"state\": \"relative\" }", "f:1: state: ", "absolute" },
	{ "{ \"state\": \"stderr\" }", "f:1: state: ", "absolute" },
	{ "{ \"state\": \"/a\\u0000b\" }", "f:", "" },
	{ "{ \"state\": \"/a\",\n\"state\": \"/b\" }", "f:2: ", "duplicate" },
	{ "{ \"api\": { \"mode\": \"0999\" } }", "f:1: api.mode: ", "octal" },
	{ "{ \"api\": { \"mode\": \"4755\" } }", "f:1: api.mode: ", "octal" },
	{ "{ \"ethernet\": \"no\" }", "f:1: ethernet: ", "true or false" },
	{ "{ \"limits\": { \"packets\": 1 } }", "f:1: limits.packets: ", "from 256 to" },
	{ "{ \"limits\": { \"packets\": -1 } }", "f:1: limits.packets: ", "from 256 to" },
	{ "{ \"limits\": { \"packets\": 1.5 } }", "f:1: limits.packets: ", "number" },
	{ "{ \"links\": \"eth:eth0\" }", "f:1: links: ", "list" },
	{ "{ \"links\": [ \"eth:\" ] }", "f:1: links: ", "link \"eth:\"" },
	{ "{ \"links\": [ \"eth:a\", 5 ] }", "f:1: links: ", "entry 2" },
	{ "{ \"links\": [ \"eth:a\", \"eth:a,cost=5\" ] }", "f:1: links: ", "twice" },
	{ "{ \"links\": [ { \"cost\": 5 } ] }", "f:1: links: ", "needs \"link\"" },
	{ "{ \"links\": [ { \"link\": \"eth:a\", \"cost\": [] } ] }", "f:", "entry 1" },
	{ "{ \"allow\": [ \"alice\" ] }", "f:1: allow: ", "\"alice\"" },
	{ "{ \"user\": \"0123456789012345678901234567890123456789012345678901234567890123\" }",
	  "f:1: user: ", "longer" },
};

static void test_wrong(void)
{
	struct config *cfg = config_new(), *before = config_new();
	char why[CONFIG_WHY_MAX];
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(wrong); i++) {
		CU_ASSERT_NOT_EQUAL(parse(cfg, wrong[i].text, why), 0);
		CU_ASSERT_EQUAL(strncmp(why, wrong[i].begin, strlen(wrong[i].begin)), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, wrong[i].part));
		CU_ASSERT_EQUAL(memcmp(cfg, before, sizeof(*cfg)), 0);
	}
	free(cfg);
	free(before);
}

static void test_mutations(void)
{
	struct config *cfg = config_new();
	char why[CONFIG_WHY_MAX];
	uint64_t seed = 7;
	int i;

	for (i = 0; i < 1500; i++) {
		char *text = unit_copy(full, sizeof(full));

		text[unit_random(&seed) % (sizeof(full) - 1)] = (char)unit_random(&seed);
		if (config_parse(cfg, text, sizeof(full) - 1, "f", why, sizeof(why)))
			CU_ASSERT_FATAL(why[0] != '\0');
		free(text);
	}
	free(cfg);
}

/* --- files ------------------------------------------------------------------- */

static char dir[] = "/tmp/pn-unit-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put_file(const char *name, const char *text, size_t len, mode_t mode)
{
	FILE *f = fopen(in_dir(name), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fwrite(text, 1, len, f);
	fclose(f);
	chmod(in_dir(name), mode);
}

static void test_identity(void)
{
	struct identity a, b;
	char why[CONFIG_WHY_MAX];
	struct stat st;

	CU_ASSERT_EQUAL_FATAL(identity_load(&a, in_dir("sub/deep/key"), why, sizeof(why)), 0);
	CU_ASSERT_TRUE(a.made);
	CU_ASSERT_EQUAL(a.boot, 1);
	CU_ASSERT_EQUAL(stat(in_dir("sub/deep/key"), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(st.st_size, PN_ID_LEN);
	/* a second daemon must not have it */
	CU_ASSERT_NOT_EQUAL(identity_load(&b, in_dir("sub/deep/key"), why, sizeof(why)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "in use"));
	close(a.lock_fd);
	CU_ASSERT_EQUAL_FATAL(identity_load(&b, in_dir("sub/deep/key"), why, sizeof(why)), 0);
	CU_ASSERT_FALSE(b.made);
	CU_ASSERT_EQUAL(b.boot, 2);
	CU_ASSERT_EQUAL(memcmp(a.seed, b.seed, sizeof(a.seed)), 0);
	identity_fini(&b);
	/* the counter lost: it must not fall */
	CU_ASSERT_EQUAL(unlink(in_dir("sub/deep/key.boot")), 0);
	CU_ASSERT_EQUAL_FATAL(identity_load(&b, in_dir("sub/deep/key"), why, sizeof(why)), 0);
	CU_ASSERT_TRUE(b.boot_lost);
	CU_ASSERT(b.boot > 1000000);
	identity_fini(&b);
}

static void test_bad_key(void)
{
	static const struct {
		size_t len;
		mode_t mode;
		const char *part;
	} bad[] = {
		{ 31, 0600, "31 bytes" }, { 33, 0600, "33 bytes" }, { 0, 0600, "0 bytes" },
		{ 32, 0640, "0640" }, { 32, 0604, "0604" },
	};
	struct identity id;
	char why[CONFIG_WHY_MAX], key[40] = "0123456789abcdef0123456789abcdef0";
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(bad); i++) {
		put_file("bad", key, bad[i].len, bad[i].mode);
		CU_ASSERT_NOT_EQUAL(identity_load(&id, in_dir("bad"), why, sizeof(why)), 0);
		CU_ASSERT_EQUAL(strncmp(why, in_dir("bad"), strlen(in_dir("bad"))), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(why, bad[i].part));
		CU_ASSERT_EQUAL(access(in_dir("bad.boot"), F_OK), -1);
	}
	CU_ASSERT_NOT_EQUAL(identity_load(&id, dir, why, sizeof(why)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "regular"));
}

static void test_secret(void)
{
	static const char hex[] =
		"00112233445566778899aAbBcCdDeEfF00112233445566778899aabbccddeeff\n";
	uint8_t secret[32];
	char why[CONFIG_WHY_MAX];

	put_file("secret", hex, sizeof(hex) - 1, 0600);
	CU_ASSERT_EQUAL(secret_load(secret, in_dir("secret"), why, sizeof(why)), 0);
	CU_ASSERT_EQUAL(secret[1], 0x11);
	CU_ASSERT_EQUAL(secret[15], 0xff);
	put_file("secret", hex, sizeof(hex) - 1, 0644);
	CU_ASSERT_NOT_EQUAL(secret_load(secret, in_dir("secret"), why, sizeof(why)), 0);
	put_file("secret", hex, 63, 0600);
	CU_ASSERT_NOT_EQUAL(secret_load(secret, in_dir("secret"), why, sizeof(why)), 0);
	put_file("secret", "zz", 2, 0600);
	CU_ASSERT_NOT_EQUAL(secret_load(secret, in_dir("secret"), why, sizeof(why)), 0);
	CU_ASSERT_NOT_EQUAL(secret_load(secret, in_dir("none"), why, sizeof(why)), 0);
}

static int suite_begin(void)
{
	return mkdtemp(dir) ? 0 : 1;
}

/* Started by the systemd unit the daemon is a user of its own, but the system's. */
static void test_unit_defaults(void)
{
	bool was_root = geteuid() == 0 && seteuid(65534) == 0;
	char file[CONFIG_PATH_MAX];
	struct config *cfg;

	setenv("RUNTIME_DIRECTORY", "/run/peernet", 1);
	cfg = config_new();
	config_default_file(file, sizeof(file));
	CU_ASSERT_STRING_EQUAL(file, "/etc/peernet/pnstackd.conf");
	CU_ASSERT_STRING_EQUAL(cfg->petnames, "/etc/peernet/petnames");
	CU_ASSERT_EQUAL(cfg->api_mode, 0666);
	free(cfg);

	setenv("RUNTIME_DIRECTORY", "/run/user/1000/peernet", 1);
	cfg = config_new();
	CU_ASSERT_EQUAL(cfg->api_mode, geteuid() == 0 ? 0666 : 0600);
	free(cfg);
	unsetenv("RUNTIME_DIRECTORY");
	if (was_root)
		CU_ASSERT_EQUAL(seteuid(0), 0);
}

static int suite_end(void)
{
	static const char *const files[] = { "sub/deep/key", "sub/deep/key.boot", "sub/deep", "sub",
					     "bad", "secret" };
	size_t i;

	for (i = 0; i < PN_ARRAY_LEN(files); i++)
		remove(in_dir(files[i]));
	return rmdir(dir);
}

static CU_TestInfo tests[] = {
	{ "all keys", test_all_keys },
	{ "printed it parses again", test_print },
	{ "wrong files and the complaint", test_wrong },
	{ "mutations", test_mutations },
	{ "key and boot counter", test_identity },
	{ "bad keys", test_bad_key },
	{ "network secret", test_secret },
	{ "defaults under systemd", test_unit_defaults },
	CU_TEST_INFO_NULL,
};

extern CU_SuiteInfo suite_config;
CU_SuiteInfo suite_config = {
	.pName = "config",
	.pTests = tests,
	.pInitFunc = suite_begin,
	.pCleanupFunc = suite_end,
};

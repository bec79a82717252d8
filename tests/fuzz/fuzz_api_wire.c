/* SPDX-License-Identifier: ISC */
/* Messages between programs and the daemon: what is taken can be built again.  The first
 * byte chooses the message, the rest is its bytes. */
#include "libpeernet/api_wire.h"
#include "libpeernet/base/pn_assert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void one_connect(const uint8_t *data, size_t len)
{
	uint8_t again[PN_WIRE_CONNECT_LEN];
	struct pn_wire_connect c;

	if (pn_wire_connect_parse(data, len, &c) < 0)
		return;
	PN_ASSERT(len == PN_WIRE_CONNECT_LEN);
	pn_wire_connect_build(&c, again);
	PN_ASSERT(!memcmp(data, again, 10));
	PN_ASSERT(!memcmp(data + 12, again + 12, 36));
}

static void one_msg(const uint8_t *data, size_t len)
{
	uint8_t again[PN_WIRE_MSG_LEN];
	struct pn_wire_msg m;
	const uint8_t *payload;
	size_t payload_len;

	if (pn_wire_msg_parse(data, len, &m, &payload, &payload_len) < 0)
		return;
	PN_ASSERT(payload_len == len - PN_WIRE_MSG_LEN);
	PN_ASSERT(payload == data + PN_WIRE_MSG_LEN);
	pn_wire_msg_build(&m, again);
	PN_ASSERT(!memcmp(data, again, 44));
}

static void one_reply(const uint8_t *data, size_t len)
{
	uint8_t again[PN_WIRE_REPLY_LEN + PN_WIRE_NAME_MAX];
	struct pn_wire_reply r;

	if (pn_wire_reply_parse(data, len, &r) < 0)
		return;
	PN_ASSERT(pn_wire_reply_build(&r, again) == len);
	PN_ASSERT(!memcmp(data + 2, again + 2, len - 2));
}

static void one_dgram(const uint8_t *data, size_t len)
{
	uint8_t again[PN_WIRE_DGRAM_LEN];
	struct pn_wire_dgram d;

	if (pn_wire_dgram_parse(data, len, &d) < 0)
		return;
	pn_wire_dgram_build(&d, again);
	PN_ASSERT(!memcmp(data, again, PN_WIRE_DGRAM_LEN));
}

static void one_name(const uint8_t *data, size_t len)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX }, again;
	struct pn_wire_name n;
	socklen_t un_len;

	len = pn_min(len, sizeof(un.sun_path));
	memcpy(un.sun_path, data, len);
	un_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (pn_wire_name_parse(&un, un_len, &n) < 0)
		return;
	PN_ASSERT(pn_wire_name_build(&n, &again) == un_len);
	PN_ASSERT(!memcmp(&un, &again, un_len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const messages[])(const uint8_t *, size_t) = {
		one_connect, one_msg, one_reply, one_dgram, one_name,
	};
	uint8_t *copy;

	if (!len)
		return 0;
	len--;
	copy = malloc(len ? len : 1);   /* exactly as long: the sanitizer sees the edge */
	if (!copy)
		return 0;
	memcpy(copy, data + 1, len);
	messages[data[0] % PN_ARRAY_LEN(messages)](copy, len);
	free(copy);
	return 0;
}

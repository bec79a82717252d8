/* SPDX-License-Identifier: ISC */
/* Nodes in the daemon's JSON. */
#include "tools/common/node.h"

#include <stdio.h>
#include <string.h>

#include "libpeernet/base/name.h"
#include "tools/common/ctl.h"
#include "tools/common/tool.h"

#define SHORT_LEN 8

void node_parse(const json_t *object, struct node *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->identity, sizeof(out->identity), "%s", ctl_str(object, "identity"));
	snprintf(out->hit, sizeof(out->hit), "%s", ctl_str(object, "hit"));
	snprintf(out->petname, sizeof(out->petname), "%s", ctl_str(object, "name"));
	snprintf(out->address, sizeof(out->address), "%s", ctl_str(object, "address"));
	tool_clean(out->identity);
	tool_clean(out->hit);
	tool_clean(out->petname);
	tool_clean(out->address);
	out->has_addr = node_parse_address(out->address, &out->addr);
}

bool node_known(const struct node *n)
{
	return n->identity[0] || n->hit[0];
}

bool node_same(const struct node *a, const struct node *b)
{
	return !strcmp(a->hit, b->hit);
}

const char *node_text(const struct node *n, bool full, char buf[NODE_TEXT_MAX])
{
	const char *pet = n->petname;

	if (full && n->identity[0])
		snprintf(buf, NODE_TEXT_MAX, *pet ? "%s" PN_NAME_SUFFIX " (%s)" :
			 "%s" PN_NAME_SUFFIX, n->identity, pet);
	else if (*pet)
		snprintf(buf, NODE_TEXT_MAX, "%s", pet);
	else if (n->identity[0])
		snprintf(buf, NODE_TEXT_MAX, "%.*s..", SHORT_LEN, n->identity);
	else
		snprintf(buf, NODE_TEXT_MAX, "%s", n->hit);
	return buf;
}

bool node_parse_address(const char *text, uint64_t *out)
{
	uint64_t n = 0;
	size_t digits = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
		text += 2;
	for (; *text; text++, digits++) {
		const char *hex = "0123456789abcdef", *at;

		at = strchr(hex, *text >= 'A' && *text <= 'F' ? *text + ('a' - 'A') : *text);
		if (!at || digits == 16)
			return false;
		n = n << 4 | (uint64_t)(at - hex);
	}
	if (!digits)
		return false;
	*out = n;
	return true;
}

int node_level(uint64_t a, uint64_t b)
{
	return a == b ? -1 : 63 - __builtin_clzll(a ^ b);
}

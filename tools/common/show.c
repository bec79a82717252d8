/* SPDX-License-Identifier: ISC */
/* JSON objects as tables. */
#include "tools/common/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "libpeernet/base/pn_assert.h"
#include "tools/common/node.h"
#include "tools/common/table.h"
#include "tools/common/tool.h"

static const json_t *member(const json_t *object, const char *key)
{
	const char *dot = strchr(key, '.');
	char first[64];

	if (!*key)
		return object;
	if (!dot)
		return json_object_get(object, key);
	snprintf(first, sizeof(first), "%.*s", (int)(dot - key), key);
	return json_object_get(json_object_get(object, first), dot + 1);
}

static void text_value(const json_t *v, char *buf, size_t len)
{
	if (json_is_string(v))
		snprintf(buf, len, "%s", json_string_value(v));
	else if (json_is_integer(v))
		snprintf(buf, len, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_real(v))
		snprintf(buf, len, "%.6g", json_real_value(v));
	else if (json_is_boolean(v))
		snprintf(buf, len, "%s", json_is_true(v) ? "yes" : "no");
}

static void node_value(const json_t *v, bool full, char *buf, size_t len)
{
	char text[NODE_TEXT_MAX];
	struct node node;

	node_parse(v, &node);
	snprintf(buf, len, "%s", node_text(&node, full, text));
}

static void list_value(const json_t *v, char *buf, size_t len)
{
	size_t i, at = 0;
	uint64_t addr;
	json_t *o;

	json_array_foreach((json_t *)(uintptr_t)v, i, o) {
		char one[256] = "";

		text_value(o, one, sizeof(one));
		if (!strncmp(one, "0x", 2) && node_parse_address(one, &addr))
			snprintf(one, sizeof(one), "%" PRIx64, addr);
		at += (size_t)snprintf(buf + at, len - at, "%s%s", at ? "," : "", one);
		if (at >= len)
			return;
	}
}

const char *show_value(const json_t *object, const struct show_column *column, bool full,
		       char buf[SHOW_VALUE_MAX])
{
	const json_t *v = member(object, column->key);
	uint64_t n = json_is_integer(v) && json_integer_value(v) > 0 ?
		     (uint64_t)json_integer_value(v) : 0;
	char text[TOOL_DURATION_MAX];

	buf[0] = '\0';
	switch (column->format) {
	case SHOW_NODE:
		node_value(v, full, buf, SHOW_VALUE_MAX);
		break;
	case SHOW_ADDR:
		text_value(v, buf, SHOW_VALUE_MAX);
		if (node_parse_address(buf, &n))
			snprintf(buf, SHOW_VALUE_MAX, "%" PRIx64, n);
		break;
	case SHOW_LIST:
		list_value(v, buf, SHOW_VALUE_MAX);
		break;
	case SHOW_TEXT:
		text_value(v, buf, SHOW_VALUE_MAX);
		break;
	case SHOW_MS:
		if (n)   /* 0 is not known */
			snprintf(buf, SHOW_VALUE_MAX, "%s ms", tool_format_ms(n, text));
		break;
	case SHOW_AGE:
		if (json_is_integer(v))
			snprintf(buf, SHOW_VALUE_MAX, "%s", tool_format_age(n, text));
		break;
	case SHOW_BYTES:
		if (json_is_integer(v))
			snprintf(buf, SHOW_VALUE_MAX, "%s", tool_format_bytes(n, text));
		break;
	}
	return tool_clean(buf);
}

void show_list(const json_t *list, const struct show_column *columns, size_t count,
	       const char *none, bool full)
{
	const char *heads[TABLE_COLUMNS_MAX];
	char buf[SHOW_VALUE_MAX];
	struct table *t;
	size_t i, row;
	json_t *o;

	PN_ASSERT(count <= TABLE_COLUMNS_MAX);
	if (!json_array_size(list)) {
		fflush(stdout);
		fprintf(stderr, "%s\n", none);
		return;
	}
	for (i = 0; i < count; i++)
		heads[i] = columns[i].head;
	t = table_new(heads, count);
	json_array_foreach((json_t *)(uintptr_t)list, row, o) {
		for (i = 0; i < count; i++)
			table_cell(t, "%s", show_value(o, &columns[i], full, buf));
	}
	table_print(t, stdout);
	table_free(t);
}

void show_record(const json_t *object, const struct show_column *columns, size_t count, bool full)
{
	char buf[SHOW_VALUE_MAX];
	size_t i, width = 0;

	for (i = 0; i < count; i++) {
		if (strlen(columns[i].head) > width)
			width = strlen(columns[i].head);
	}
	for (i = 0; i < count; i++) {
		if (*show_value(object, &columns[i], full, buf))
			printf("%-*s  %s\n", (int)width, columns[i].head, buf);
	}
}

/* SPDX-License-Identifier: ISC */
/* Aligned columns. */
#include "tools/common/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "libpeernet/base/pn_assert.h"
#include "tools/common/tool.h"

struct table {
	const char *const *heads;
	size_t columns;
	size_t width[TABLE_COLUMNS_MAX];   /* characters */
	char **cells;                      /* row by row, owned */
	size_t count, cap;                 /* cells */
};

static const char *head_text(const char *head)
{
	return head[0] == '>' ? head + 1 : head;
}

struct table *table_new(const char *const *heads, size_t columns)
{
	struct table *t = calloc(1, sizeof(*t));
	size_t i;

	PN_ASSERT(columns > 0);
	PN_ASSERT(columns <= TABLE_COLUMNS_MAX);
	if (!t)
		tool_die("out of memory");
	t->heads = heads;
	t->columns = columns;
	for (i = 0; i < columns; i++)
		t->width[i] = strlen(head_text(heads[i]));
	return t;
}

void table_free(struct table *t)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

void table_cell(struct table *t, const char *fmt, ...)
{
	size_t column = t->count % t->columns;
	char *text;
	va_list ap;
	int len;

	if (t->count == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		char **cells = realloc(t->cells, cap * sizeof(*cells));

		if (!cells)
			tool_die("out of memory");
		t->cells = cells;
		t->cap = cap;
	}
	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0)
		tool_die("out of memory");
	tool_clean(text);
	t->cells[t->count++] = text;
	if ((size_t)len > t->width[column])
		t->width[column] = (size_t)len;
}

size_t table_rows(const struct table *t)
{
	return t->count / t->columns;
}

static void print_cell(const struct table *t, size_t column, const char *text, FILE *to)
{
	int width = (int)t->width[column];
	const char *gap = column ? "  " : "";

	if (!*text)
		text = "-";
	if (t->heads[column][0] == '>')
		fprintf(to, "%s%*s", gap, width, text);
	else if (column + 1 < t->columns)
		fprintf(to, "%s%-*s", gap, width, text);
	else
		fprintf(to, "%s%s", gap, text);
	if (column + 1 == t->columns)
		fputc('\n', to);
}

void table_print(const struct table *t, FILE *to)
{
	size_t i;

	PN_ASSERT(t->count % t->columns == 0);
	for (i = 0; i < t->columns; i++)
		print_cell(t, i, head_text(t->heads[i]), to);
	for (i = 0; i < t->count; i++)
		print_cell(t, i % t->columns, t->cells[i], to);
}

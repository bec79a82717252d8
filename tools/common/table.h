/* SPDX-License-Identifier: ISC */
/* table.h - aligned columns for people
 *
 * A table is filled cell by cell and printed at the end, when it is known how wide
 * the columns are.  Trailing blanks are not printed, an empty cell is shown as "-".
 */
#ifndef PN_TABLE_H
#define PN_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMNS_MAX 16

struct table;

/** table_new() - exits when out of memory
 *  @heads: one per column, borrowed until table_free(); a first character '>' aligns
 *          the column to the right and is not printed
 *  @columns: at most TABLE_COLUMNS_MAX */
struct table *table_new(const char *const *heads, size_t columns);
void table_free(struct table *t);

/** table_cell() - the next cell, row after row; unprintable bytes become '?' */
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

size_t table_rows(const struct table *t);

/** table_print() - with its heads; all rows must be complete */
void table_print(const struct table *t, FILE *to);

#endif

/* SPDX-License-Identifier: ISC */
/* show.h - lists of the daemon's JSON objects as tables, by a table of columns */
#ifndef PN_SHOW_H
#define PN_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/** enum show_format - how a member is printed; a missing one is "-"
 * SHOW_TEXT:   string as it is, integer in decimal, true as "yes"
 * SHOW_NODE:   object with an identity: petname, or shortened identity
 * SHOW_ADDR:   address without the zeros in front
 * SHOW_MS:     nanoseconds as milliseconds
 * SHOW_AGE:    nanoseconds as a duration
 * SHOW_BYTES:  bytes
 * SHOW_LIST:   array of strings, with commas between; addresses as SHOW_ADDR
 */
enum show_format { SHOW_TEXT, SHOW_NODE, SHOW_ADDR, SHOW_MS, SHOW_AGE, SHOW_BYTES, SHOW_LIST };

/** struct show_column
 * @head:  as for table_new()
 * @key:   of the member; "" the object itself; "a.b" member b of the object a
 */
struct show_column {
	const char *head;
	const char *key;
	enum show_format format;
};

/** show_list() - print an array of objects as a table
 *  @none:  what to say, on standard error, if it is empty
 *  @full:  names in full */
void show_list(const json_t *list, const struct show_column *columns, size_t count,
	       const char *none, bool full);

/** show_record() - print one object, a line for each column, its head in front;
 *  members that are missing are left out */
void show_record(const json_t *object, const struct show_column *columns, size_t count,
		 bool full);

#define SHOW_VALUE_MAX 4096
/** show_value() - one member as text; "" if there is none.  Return: @buf */
const char *show_value(const json_t *object, const struct show_column *column, bool full,
		       char buf[SHOW_VALUE_MAX]);

#endif

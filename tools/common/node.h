/* SPDX-License-Identifier: ISC */
/* node.h - a node as the daemon's JSON names it */
#ifndef PN_NODE_H
#define PN_NODE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define NODE_TEXT_MAX 160

/** struct node - "" or false where the daemon does not know
 * @identity: 52 characters
 * @petname:  as in the petnames file
 */
struct node {
	char identity[64];
	char hit[48];
	char petname[64];
	char address[32];
	bool has_addr;
	uint64_t addr;
};

/** node_parse() - members "identity", "hit", "name", "address" of @object
 *  (NULL: nothing known); text from elsewhere is made printable */
void node_parse(const json_t *object, struct node *out);

/** node_known() - do we know anything about who it is? */
bool node_known(const struct node *n);

/** node_same() - do both name the same identity? */
bool node_same(const struct node *a, const struct node *b);

/** node_text() - for people: the petname, else the first eight characters of the
 *  identity and two dots, else the HIT; with @full the whole name, and the petname in
 *  brackets
 *  Return: @buf */
const char *node_text(const struct node *n, bool full, char buf[NODE_TEXT_MAX]);

/** node_parse_address() - "0x1f" or "1f" of at most 16 hexadecimal digits
 *  Return: false if it is none */
bool node_parse_address(const char *text, uint64_t *out);

/** node_level() - highest bit in which two addresses differ; -1: the same */
int node_level(uint64_t a, uint64_t b);

#endif

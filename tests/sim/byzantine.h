/* SPDX-License-Identifier: ISC */
/* byzantine.h - nodes that do not keep to the rules
 *
 * They are ordinary nodes with the code of everybody; between that code and its
 * links stand wrappers (ld --wrap) that change what a Byzantine node forwards,
 * says or answers.  The product knows nothing of it.  One run at a time.
 */
#ifndef SIM_BYZANTINE_H
#define SIM_BYZANTINE_H

#include "tests/sim/medium.h"

enum byz_kind {
	BYZ_HONEST,
	BYZ_DROP,		/* forwards no packet of others, but all that is control */
	BYZ_METRICS,		/* says that everything is next to it */
	BYZ_CHEAP,		/* says that everything is as near as is still believed */
	BYZ_CLAIM,		/* says that it is where others are, and what they are */
	BYZ_FORGE,		/* answers lookups wrongly, late or not at all */
	BYZ_REPLAY,		/* says again what it said or heard long ago */
	BYZ_KINDS
};

/* So many nodes of one kind. */
struct byz_group {
	enum byz_kind kind;
	double share;		/* of all nodes, 0 to 1; at least one node if not 0 */
	double at_s;		/* they turn at this time; negative: when the damage is measured */
};

#define BYZ_GROUPS_MAX 8

struct byz_config {
	struct byz_group group[BYZ_GROUPS_MAX];
	uint32_t count;
	double within;		/* seconds in which a pair must have found a way */
};

/** byz_parse() - KIND:SHARE[@SECONDS]
 *  Return: false if it is none, or there are too many groups */
bool byz_parse(struct byz_config *cfg, const char *text);

/** byz_kind_name() - Return: the word of byz_parse() */
const char *byz_kind_name(enum byz_kind kind);

/** byz_start() - choose the nodes and begin to watch @sim; none if @cfg has no group
 *  @sim: borrowed until byz_end() */
void byz_start(struct sim *sim, const struct byz_config *cfg);
void byz_end(void);

/** byz_turn() - those that wait for it turn now */
void byz_turn(void);

/** byz_tick() - let liars lie: at rest nobody tells anything, but they do
 *  Called about once a second */
void byz_tick(void);

/** byz_kind_of() - what a node is, or will be; BYZ_HONEST: nothing special */
enum byz_kind byz_kind_of(uint32_t node);

/** byz_drops() - Return: there are nodes that drop, or will */
bool byz_drops(void);

/** byz_parted() - Return: one end of that link drops, and the other has expelled it for that.  It
 *  may: who is behind a dropper is not to be reached */
bool byz_parted(uint32_t edge);

/** byz_parted_links() - Return: a digest of all links of live nodes that are parted so; 0: none */
uint64_t byz_parted_links(void);

/** byz_lies() - Return: true if a node tells lies by now, so that a picture of all
 *  nodes need not make sense (one that only drops packets tells none) */
bool byz_lies(void);

/** byz_unread() - Return: control messages that a liar could not read, since the
 *  simulator does not know their form: should be 0, or it lied less than it could */
uint64_t byz_unread(void);

/** byz_acts() - Return: how often they did what they should not */
uint64_t byz_acts(void);

#endif

/* SPDX-License-Identifier: ISC */
/* identity.h - the secret key and the boot counter, in files */
#ifndef PN_IDENTITY_H
#define PN_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libpeernet/base/pn_limits.h"

/**
 * struct identity - Who this node is
 * @seed:	secret; wipe with identity_fini()
 * @boot:	higher than at every start before
 * @made:	the key was made just now
 * @boot_lost:	the counter's file was not there or damaged; the clock stood in
 * @lock_fd:	holds the key file, so that no second daemon uses it
 */
struct identity {
	uint8_t seed[PN_ID_LEN];
	uint64_t boot;
	bool made;
	bool boot_lost;
	int lock_fd;
};

/** identity_load() - read the key, or make it and its directory; count the start
 *  Return: 0, or a negative code with @why: one line that names the file.
 *  Then nothing that was there before is changed */
int identity_load(struct identity *id, const char *path, char *why, size_t why_len);
void identity_fini(struct identity *id);

/** secret_load() - the network's secret: a file with 64 hexadecimal digits
 *  Return: 0, or a negative code with @why */
int secret_load(uint8_t secret[32], const char *path, char *why, size_t why_len);

#endif

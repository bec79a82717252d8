/* SPDX-License-Identifier: ISC */
/* log.h - what the daemon tells its operator
 *
 * Lines are lower case without a full stop.  Started by systemd they carry the
 * <N> prefix of the journal and no time, else a time stamp and the level.
 * Logging keeps errno.  Keys are never printed. */
#ifndef PN_LOG_H
#define PN_LOG_H

#include <stdbool.h>

#include "libpeernet/base/pn_assert.h"

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVEL_TRACE };
#define LOG_LEVELS 5

/** log_init() - lines go to standard error */
void log_init(void);

/** log_file() - append lines to a file from now on; NULL: standard error.
 *  Opened again by log_reopen(), after rotation.
 *  Return: 0 or -errno; lines then go on to where they went */
int log_file(const char *path);
int log_reopen(void);

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/** log_level_from_name() - "err", "warn", "info", "debug", "trace"
 *  Return: the level, -1 unknown */
int log_level_from_name(const char *name);
const char *log_level_name(enum log_level level);
extern const char *const log_level_names[LOG_LEVELS + 1];

PN_PRINTF(2, 3) void log_write_(enum log_level level, const char *fmt, ...);
bool log_is_on_(enum log_level level);

#define log_at(level_, ...)						\
	do {								\
		if (log_is_on_(level_))					\
			log_write_(level_, __VA_ARGS__);		\
	} while (0)
#define log_err(...)	log_at(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...)	log_at(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)	log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)	log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_trace(...)	log_at(LOG_LEVEL_TRACE, __VA_ARGS__)

#endif

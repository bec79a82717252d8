/* SPDX-License-Identifier: ISC */
/* Putting a changed configuration into effect: links, log.  Petnames are read
 * again by the API when their file changes; what else has changed needs a new
 * start, and is said so. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pnstackd/host/daemon_impl.h"
#include "pnstackd/host/log.h"

static const struct config_link *config_find(const struct config *cfg, const struct config_link *l)
{
	size_t i;

	for (i = 0; i < cfg->link_count; i++) {
		if (!strcmp(cfg->links[i].text, l->text))
			return &cfg->links[i];
	}
	return NULL;
}

/* Links that were configured and are no more go, new ones come.  What was added
 * through the API stays. */
static void reload_links(struct daemon *d, const struct config *fresh)
{
	struct pn_time now = loop_now();
	char why[CONFIG_WHY_MAX];
	size_t i;

	for (i = 0; i < d->cfg->link_count; i++) {
		const struct config_link *l = &d->cfg->links[i];

		if (!config_find(fresh, l) && !link_del(d->links, l->spec.name, now))
			log_info("link %s: removed", l->spec.name);
	}
	for (i = 0; i < fresh->link_count; i++) {
		const struct config_link *l = &fresh->links[i];

		if (config_find(d->cfg, l))
			continue;
		if (link_add(d->links, &l->spec, now, why, sizeof(why)) < 0)
			log_err("link %s: %s", l->spec.name, why);
		else
			log_info("link %s: added", l->spec.name);
	}
}

/* What cannot change while we run: say so once per reload. */
static void reload_warn(const struct config *old, const struct config *fresh)
{
	struct config *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));

	if (a && b) {
		*a = *old;
		*b = *fresh;
		/* leave out what takes effect */
		a->log_level = b->log_level;
		memcpy(a->log_file, b->log_file, sizeof(a->log_file));
		memcpy(a->file, b->file, sizeof(a->file));
		memcpy(a->links, b->links, sizeof(a->links));
		a->link_count = b->link_count;
		a->links_given = b->links_given;
		if (memcmp(a, b, sizeof(*a)) != 0)
			log_warn("only links and log take effect now, the rest at the next start");
	}
	free(a);
	free(b);
}

int daemon_reload(void *host, char *why, size_t why_len)
{
	struct daemon *d = host;
	struct config *fresh = calloc(1, sizeof(*fresh));
	int err;

	if (!fresh) {
		snprintf(why, why_len, "out of memory");
		return PN_ENOMEM;
	}
	err = daemon_config(d->opt, fresh, why, why_len);
	if (err) {
		log_err("%s", why);
		log_err("the configuration was not read again, the old one stays");
		free(fresh);
		return err;
	}
	if (strcmp(fresh->log_file, d->cfg->log_file) != 0)
		err = log_file(strcmp(fresh->log_file, "stderr") ? fresh->log_file : NULL);
	else
		err = log_reopen();
	if (err)
		log_err("log.file: %s: %s", fresh->log_file, strerror(-err));
	log_set_level((enum log_level)fresh->log_level);
	reload_warn(d->cfg, fresh);
	reload_links(d, fresh);
	*d->cfg = *fresh;
	free(fresh);
	log_info("configuration read again");
	return 0;
}

int daemon_log_level(void *host, const char *level)
{
	int n;

	(void)host;
	if (level) {
		n = log_level_from_name(level);
		if (n < 0)
			return PN_EINVAL;
		log_set_level((enum log_level)n);
		log_info("log level %s", level);
	}
	return (int)log_get_level();
}

void daemon_link_log(void *arg, int level, const char *text)
{
	(void)arg;
	log_at((enum log_level)level, "%s", text);
}

/* SPDX-License-Identifier: ISC */
/* eth:auto - every Ethernet interface there is.
 *
 * It is no link itself: it makes one for each interface that is up, can
 * multicast, is Ethernet and no port of a bridge or bond; they come and go with
 * the interfaces. */
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pnstackd/link/link_impl.h"

static bool auto_suits(const struct ifstate *is)
{
	unsigned int need = IFF_UP | IFF_BROADCAST | IFF_MULTICAST;

	return is->type == ARPHRD_ETHER && (is->flags & need) == need &&
	       !(is->flags & (IFF_LOOPBACK | IFF_NOARP)) && !is->master;
}

uint32_t eth_frame_max(const struct link_spec *spec)
{
	struct ifstate *ifs = calloc(IFSCAN_MAX, sizeof(*ifs));
	bool all = !strcmp(spec->ifname, "auto");
	int i, n = ifs ? ifscan_read(ifs, IFSCAN_MAX) : 0;
	uint32_t most = 0;

	for (i = 0; i < n; i++) {
		if (all ? auto_suits(&ifs[i]) : !strcmp(ifs[i].name, spec->ifname))
			most = ifs[i].mtu > most ? ifs[i].mtu : most;
	}
	free(ifs);
	return spec->mtu && spec->mtu < most ? spec->mtu : most;
}

static void auto_take(struct link *link, const struct ifstate *is, struct pn_time now)
{
	struct link_spec spec = link->spec;
	struct link *l;
	char why[LINK_WHY_MAX] = "too many links";
	int err = PN_EFULL;

	for (l = link->set->links; l; l = l->next) {
		if (l->ops == &link_eth_ops && !strcmp(l->spec.ifname, is->name))
			return;
	}
	memcpy(spec.ifname, is->name, sizeof(spec.ifname));
	snprintf(spec.name, sizeof(spec.name), "eth:%s", is->name);
	l = link->set->count < LINK_MAX ? link_new(link->set, &spec) : NULL;
	if (l) {
		l->automatic = true;
		err = link_start(l, now, why, sizeof(why));
	}
	if (err)
		link_log(link, LINK_LOG_DEBUG, "%s left out: %s", is->name, why);
	if (l && err)
		l->doomed = true;
}

static void auto_scan(struct link *link, const struct ifstate *ifs, size_t n, struct pn_time now)
{
	struct link *l;
	unsigned int count = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (auto_suits(&ifs[i]))
			auto_take(link, &ifs[i], now);
	}
	for (l = link->set->links; l; l = l->next)
		count += l->automatic && !l->doomed;
	link_state(link, "follows %u interface%s", count, count == 1 ? "" : "s");
}

static int auto_start(struct link *link, struct pn_time now, char *why, size_t why_len)
{
	int err = eth_prepare(link, why, why_len);

	if (err)
		return err;
	link_state(link, "looking for interfaces");
	link->set->scan_at = now;
	link->set->wake = pn_time_min(link->set->wake, now);
	return 0;
}

static void auto_stop(struct link *link)
{
	(void)link;
}

const struct link_ops link_auto_ops = {
	.type = "ethernet",
	.start = auto_start,
	.stop = auto_stop,
	.transmit = eth_transmit,
	.wake = eth_wake,
	.scan = auto_scan,
};

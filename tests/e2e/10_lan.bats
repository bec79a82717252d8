#!/usr/bin/env bats
# A LAN of 40 stations: one switch (a bridge in a namespace of its own), no IP.
#
#	01  02  03  ...  40
#	 |   |   |        |
#	===== the switch =====

setup_file()
{
	load lib
	load many
	net_up || return 0
	export LOG_LEVEL=info
	mapfile -t all < <(seq -f n%02g "${LAN_STATIONS:-40}")
	nodes_quick "${all[@]}"
	lan switch "${all[@]}"
	for n in "${all[@]}"; do
		configure "$n" eth:lan0
	done
	begin=${EPOCHREALTIME/[.,]/}
	start_many "${all[@]}"
	echo "$begin" >"$PN_DIR/begin"
}

setup()
{
	load lib
	load many
	[ -n "${PN_DIR-}" ] || skip "needs to make network namespaces"
	mapfile -t all < <(nodes)
}

teardown()
{
	[ -n "${BATS_TEST_COMPLETED-}" ] || networks "${all[@]}"
}

teardown_file()
{
	load lib
	[ -z "${PN_DIR-}" ] || ip netns del "$PN_TAG-switch" 2>/dev/null || true
	net_down
}

@test "all stations of a LAN reach each other" {
	wait_until 20 all_know "${all[@]}"
	wait_until 30 all_reach "${all[@]}" || all_pairs 1 "${all[@]}"
	echo "# all pairs $(since "$(cat "$PN_DIR/begin")") ms after the first start" >&3
	wait_until 20 settled "${all[@]}"
	all_pairs 5 "${all[@]}"
}

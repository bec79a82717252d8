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
@test "each has few neighbours among the many stations" {
	# adjacencies that carry what is told about the network: O(log n), not n - 1
	for n in "${all[@]}"; do
		ctl "$n" --json neighbours
	done | jq -s 'map([.neighbours[] | select(.shortcut | not)] | length) | sort |
		{ least: .[0], median: .[length / 2 | floor], most: .[-1] }' >"$PN_DIR/adjacencies"
	echo "# adjacencies: $(jq -c . "$PN_DIR/adjacencies")" >&3
	jq -e --argjson n "${#all[@]}" '.most <= 4 * ($n | log2)' "$PN_DIR/adjacencies"
}

@test "data goes from station to station, in one hop" {
	# the way is direct once the two know each other
	direct()
	{
		on "$n" "$PN_BUILD/pntrace" --json -q 1 "$far" |
			jq -e '.reached and (.hops | length) == 1' >/dev/null
	}
	for n in "${all[0]}" "${all[-1]}"; do
		for ((i = 1; i < ${#all[@]} - 1; i += 4)); do
			far=${all[i]}
			wait_until 5 direct || {
				on "$n" "$PN_BUILD/pntrace" "$far"
				false
			}
		done
	done
}

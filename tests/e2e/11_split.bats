#!/usr/bin/env bats
# A network is cut in two and joined again.
#
#	a1 -- a2 -- a3 -- a4
#	 |     |     |     |
#	a5 -- a6 -- a7 -- a8 == w98 == b1 -- b2
#	 |     |     |     |            |     |
#	a9 -- aa -- ab -- ac == w99 == b3 -- b4

setup()
{
	load lib
	load many
	net_up || skip "needs to make network namespaces"
	export LOG_LEVEL=info
	left=(a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac)
	right=(b1 b2 b3 b4)
	nodes_quick "${left[@]}" "${right[@]}"
	wires_quick <<-END
		1 a1 a2
		2 a2 a3
		3 a3 a4
		4 a5 a6
		5 a6 a7
		6 a7 a8
		7 a9 aa
		8 aa ab
		9 ab ac
		10 a1 a5
		11 a2 a6
		12 a3 a7
		13 a4 a8
		14 a5 a9
		15 a6 aa
		16 a7 ab
		17 a8 ac
		20 b1 b2
		21 b3 b4
		22 b1 b3
		23 b2 b4
		98 a8 b1
		99 ac b3
	END
	for n in "${left[@]}" "${right[@]}"; do
		configure "$n" eth:auto
	done
	start_many "${left[@]}" "${right[@]}"
	wait_until 10 all_know "${left[@]}" "${right[@]}"
	wait_until 20 settled "${left[@]}" "${right[@]}"
	mkdir "$PN_DIR/www"
}

teardown()
{
	[ -n "${BATS_TEST_COMPLETED-}" ] || networks "${left[@]}" "${right[@]}"
	kill_spawned
	net_down
}

cut()
{
	ip -n "$PN_TAG-b1" link set w98 down && ip -n "$PN_TAG-b3" link set w99 down
}

join_again()
{
	ip -n "$PN_TAG-b1" link set w98 up && ip -n "$PN_TAG-b3" link set w99 up
}

two_networks()
{
	one_network "${left[@]}" && one_network "${right[@]}" && ! one_network a1 b1
}

# found_by NODE NODE...: does the lookup service, not a memory, know them?
found_by()
{
	local asks=$1 name
	shift
	for name; do
		ctl "$asks" lookup "$name" >/dev/null 2>&1 || {
			echo "$asks does not find $name"
			return 1
		}
	done
}

@test "both halves of a cut network go on, merge again, and only the smaller is re-addressed" {
	head -c 6000000 /dev/urandom >"$PN_DIR/www/file"
	serve ac
	serve b4
	# an end of a download that stands still for 3 s: the halves shall not feel it
	fetch a1 ac 400000 --speed-limit 1000 --speed-time 3
	fetch b1 b4 400000 --speed-limit 1000 --speed-time 3
	wait_until 10 arrived 1000000
	begin=${EPOCHREALTIME/[.,]/}
	cut
	wait_until 20 two_networks
	echo "# two networks after $(since "$begin") ms" >&3
	wait_until 20 all_reach "${left[@]}" || all_pairs 1 "${left[@]}"
	echo "# all pairs of the larger after $(since "$begin") ms" >&3
	wait_until 20 all_reach "${right[@]}" || all_pairs 1 "${right[@]}"
	echo "# all pairs of both after $(since "$begin") ms" >&3
	wait_until 10 found_by a1 "${left[@]}" || found_by a1 "${left[@]}"
	wait_until 10 found_by b1 "${right[@]}" || found_by b1 "${right[@]}"
	run on a1 "$PN_BUILD/pnping" -q -c 1 -W 1 b1
	[ "$status" -eq 1 ]
	wait_until 20 at_rest "${left[@]}"
	addresses_of "${left[@]}" >"$PN_DIR/before"
	begin=${EPOCHREALTIME/[.,]/}
	join_again
	wait_until 20 one_network "${left[@]}" "${right[@]}"
	echo "# one network again after $(since "$begin") ms" >&3
	wait_until 20 all_reach "${left[@]}" "${right[@]}" ||
		all_pairs 1 "${left[@]}" "${right[@]}"
	echo "# all pairs after $(since "$begin") ms" >&3
	wait_until 20 settled "${left[@]}" "${right[@]}"
	all_pairs 5 "${left[@]}" "${right[@]}"
	fetched a1 30
	fetched b1 30
	addresses_of "${left[@]}" | diff "$PN_DIR/before" -
}

@test "a download over the cut waits, and goes on after the merger" {
	head -c 4000000 /dev/urandom >"$PN_DIR/www/file"
	serve b4
	fetch a1 b4 500000
	wait_until 10 arrived 1000000
	cut
	wait_until 20 two_networks
	join_again
	begin=${EPOCHREALTIME/[.,]/}
	wait_until 20 arrived 2500000
	echo "# went on within $(since "$begin") ms" >&3
	fetched a1 30
}

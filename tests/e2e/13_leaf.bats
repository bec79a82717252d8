#!/usr/bin/env bats
# A leaf in the middle, `"leaf": true`, and a longer way around it.
#
#	a --- leaf --- b
#	|              |
#	c ------------ d

setup()
{
	load lib
	load many
	net_up || skip "needs to make network namespaces"
	all=(a b c d leaf)
	nodes_quick "${all[@]}"
	wires_quick <<-END
		1 a leaf
		2 leaf b
		3 a c
		4 c d
		5 d b
	END
	for n in a b c d; do
		configure "$n" eth:auto
	done
	CONFIG_MORE='"leaf": true' configure leaf eth:auto
	start_many "${all[@]}"
	wait_until 10 all_know "${all[@]}"
	wait_until 20 settled "${all[@]}"
}

teardown()
{
	[ -n "${BATS_TEST_COMPLETED-}" ] || networks $(nodes_running)
	net_down
}

reaches_not()
{
	! on a "$PN_BUILD/pnping" -q -c 1 -W 1 b >/dev/null
}

@test "a leaf is reached by all and carries nobody else's traffic" {
	neighbours_told()
	{
		ctl a --json neighbours | jq -e 'any(.neighbours[]; .name == "leaf" and .leaf) and
			any(.neighbours[]; .name == "c" and (.leaf | not))' >/dev/null &&
			ctl leaf --json status | jq -e '.neighbours == 2' >/dev/null
	}
	wait_until 15 neighbours_told
	wait_until 15 settled "${all[@]}"
	run on a "$PN_BUILD/pntrace" --json -q 1 b
	[ "$(jq -r '[.hops[].name] | join(" ")' <<<"$output")" = "c d b" ]
	on a "$PN_BUILD/pnping" -q -c 20 -i 0.02 b
	on leaf "$PN_BUILD/pnping" -q -c 5 -i 0.02 a b c d
	[ "$(ctl leaf --json counters | jq .counters.fwd_forwarded)" -eq 0 ]
	# not even when it is the only way
	power_off c
	wait_until 15 reaches_not
	run on a "$PN_BUILD/pnping" -q -c 5 -i 0.2 -W 1 b
	[ "$status" -eq 1 ]
	[ "$(ctl leaf --json counters | jq .counters.fwd_forwarded)" -eq 0 ]
}

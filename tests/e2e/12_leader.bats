#!/usr/bin/env bats
# The leader of the root dies while others ping and download.
#
#	n1 -- n2 -- n3 -- n4 -- n5
#	 |     |     |     |     |
#	n6 -- n7 -- n8 -- n9 -- na
#	 |     |     |     |     |
#	nb -- nc -- nd -- ne -- nf
#	 |     |     |     |     |
#	ng -- nh -- ni -- nj -- nk

setup()
{
	local i
	load lib
	load many
	net_up || skip "needs to make network namespaces"
	export LOG_LEVEL=info
	all=(n{1..9} n{a..k})
	nodes_quick "${all[@]}"
	for i in {0..19}; do
		[ $((i % 5)) -eq 4 ] || echo "$i ${all[i]} ${all[i + 1]}"
		[ "$i" -ge 15 ] || echo "$((i + 50)) ${all[i]} ${all[i + 5]}"
	done | wires_quick
	for n in "${all[@]}"; do
		configure "$n" eth:auto
	done
	start_many "${all[@]}"
	wait_until 10 all_know "${all[@]}"
	wait_until 20 settled "${all[@]}"
	mkdir "$PN_DIR/www"
}

teardown()
{
	[ -n "${BATS_TEST_COMPLETED-}" ] || networks $(nodes_running)
	kill_spawned
	net_down
}

# root_leader: who leads the whole network
root_leader()
{
	ctl n1 --json areas | jq -r '[.areas[] | select(has("top") | not)][0].leader.name'
}

# lose_leader HOW: a ping and two downloads between others go on meanwhile; sets $leader,
# $lost and $moved
lose_leader()
{
	local others=() n
	leader=$(root_leader)
	for n in n1 nk n5 ng n8 nd; do
		[ "$n" = "$leader" ] || others+=("$n")
	done
	head -c 4000000 /dev/urandom >"$PN_DIR/www/file"
	serve "${others[1]}"
	serve "${others[3]}"
	addresses_of "${all[@]}" | grep -v "^$leader " >"$PN_DIR/before"
	fetch "${others[0]}" "${others[1]}" 500000
	fetch "${others[2]}" "${others[3]}" 500000
	wait_until 10 arrived 1000000
	spawn "${others[4]}" "$PN_DIR/ping" "$PN_BUILD/pnping" --json -i 0.01 -W 2 "${others[0]}"
	ping=$SPAWNED
	begin=${EPOCHREALTIME/[.,]/}
	"$1" "$leader" "${2-}"
	fetched "${others[0]}" 20
	fetched "${others[2]}" 20
	kill -INT "$ping"
	wait "$ping"
	survivors=()
	for n in "${all[@]}"; do
		[ "$n" = "$leader" ] || survivors+=("$n")
	done
	wait_until 20 all_reach "${survivors[@]}" || all_pairs 1 "${survivors[@]}"
	ms=$(since "$begin")
	addresses_of "${survivors[@]}" >"$PN_DIR/after"
	moved=$(diff "$PN_DIR/before" "$PN_DIR/after" | grep -c '^>' || true)
	# probes that were still on their way at the end are not lost
	lost=$(jq '.sent - .received' "$PN_DIR/ping")
	echo "# $leader died ($1): of $(jq .sent "$PN_DIR/ping") pings, 100 a second, $lost lost;" \
		"all reach each other $ms ms after it; $moved of ${#survivors[@]} re-addressed" >&3
}

# Nobody depends on the root: what is lost is lost on the way through the dead node, until
# its neighbours notice (4 s of silence if nothing else tells), and the addresses of all but a
# few stay: where the leader was the only way between two areas they have to be found new ones.
@test "the root's leader is switched off" {
	lose_leader power_off
	[ "$lost" -le 100 ]
	[ "$moved" -le 4 ]
}

@test "the root's leader dies without a word" {
	lose_leader stop KILL
	[ "$lost" -le 400 ]
	[ "$moved" -le 4 ]
}

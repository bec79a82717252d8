#!/usr/bin/env bats
# A grid of 49 nodes (tests/topologies/grid4-0049.json): a namespace and a daemon each,
# with `eth:auto`; 84 cables, veth pairs without any IP.
#
#	0001 -- 0002 -- ... -- 0007
#	  |       |              |
#	0008 -- 0009 -- ... -- 000e
#	  .       .              .
#
# Then nodes die and cables are moved while survivors download from each other.  What
# happens when is drawn by plan.py and paced by the downloads themselves: each step comes
# when another part of all bytes is there.
#
# GRID_SEED, GRID_KILLS, GRID_MOVES, GRID_GETS, GRID_BYTES and GRID_TOPOLOGY make it
# another test (`make soak` does).

setup_file()
{
	load lib
	load many
	net_up || return 0
	export LOG_LEVEL=info
	topology=${GRID_TOPOLOGY:-$PN_ROOT/tests/topologies/grid4-0049.json}
	export GETS=${GRID_GETS:-6} BYTES=${GRID_BYTES:-5000000}
	export KILLS=${GRID_KILLS:-10} MOVES=${GRID_MOVES:-10}
	"$PN_ROOT/tests/e2e/plan.py" "$topology" "${GRID_SEED:-1}" "$KILLS" "$MOVES" "$GETS" \
		>"$PN_DIR/plan"
	mapfile -t all < <(awk '$1 == "wire" { print $3; print $4 }' "$PN_DIR/plan" | sort -u)
	nodes_quick "${all[@]}"
	sed -n 's/^wire //p' "$PN_DIR/plan" | wires_quick
	for n in "${all[@]}"; do
		configure "$n" eth:auto
	done
	start_many "${all[@]}"
}

setup()
{
	load lib
	load many
	[ -n "${PN_DIR-}" ] || skip "needs to make network namespaces"
	mapfile -t all < <(nodes_running)
}

teardown()
{
	[ -n "${BATS_TEST_COMPLETED-}" ] || report
	kill_spawned
}

teardown_file()
{
	load lib
	net_down
}

# report: what is needed to understand a failure, not 49 logs
report()
{
	echo "plan of seed ${GRID_SEED:-1}:"
	grep -v ^wire "$PN_DIR/plan"
	tail -n 3 "$PN_DIR"/curl.* "$PN_DIR"/server.* 2>/dev/null
	networks $(nodes_running)
}

@test "all nodes of the grid reach each other" {
	wait_until 20 all_know "${all[@]}"
	begin=${EPOCHREALTIME/[.,]/}
	wait_until $((20 + ${#all[@]} / 5)) all_reach "${all[@]}" || all_pairs 1 "${all[@]}"
	echo "# all pairs after $(since "$begin") ms" >&3
	# and once it has come to rest nothing is lost
	wait_until 20 settled "${all[@]}"
	all_pairs 5 "${all[@]}"
}

@test "survivors' downloads end right while nodes die and cables move" {
	mkdir "$PN_DIR/www"
	head -c "$BYTES" /dev/urandom >"$PN_DIR/www/file"
	while read -r _ _ server; do
		serve "$server"
	done < <(grep ^get "$PN_DIR/plan")
	while read -r _ client server; do
		fetch "$client" "$server" $((BYTES / 12))
	done < <(grep ^get "$PN_DIR/plan")
	total=$((BYTES * GETS)) step=0 steps=$((KILLS + MOVES))
	begin=${EPOCHREALTIME/[.,]/}
	while read -r what a b c d; do
		step=$((step + 1))
		wait_until 30 arrived $((total * step / (steps + 4))) || {
			echo "no progress before step $step: $what $a $b $c $d"
			false
		}
		echo "$(since "$begin") ms: $what $a $b $c $d"
		case $what$((step % 4)) in
		kill[01]) power_off "$a" ;;
		kill*) stop "$a" KILL ;;
		move*) wire_move "$a" "$c" "$d" ;;
		esac
	done < <(grep -E '^(kill|move)' "$PN_DIR/plan")
	while read -r _ client _; do
		fetched "$client" 60
		echo "$(since "$begin") ms: $client is done"
	done < <(grep ^get "$PN_DIR/plan")
	echo "# $GETS downloads took $(since "$begin") ms" >&3
}

@test "afterwards all survivors reach each other" {
	begin=${EPOCHREALTIME/[.,]/}
	wait_until $((20 + ${#all[@]} / 5)) all_reach "${all[@]}" || all_pairs 1 "${all[@]}"
	echo "# all pairs after $(since "$begin") ms" >&3
}

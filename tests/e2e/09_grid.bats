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
# another test (`make soak` does).  Of more than 64 nodes not all are asked for all: that
# takes longer than the network.

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

nodes_running()
{
	local n
	for n in $(nodes); do
		if running "$n"; then
			echo "$n"
		fi
	done
}

# report: what is needed to understand a failure, not 49 logs
report()
{
	local n
	echo "plan of seed ${GRID_SEED:-1}:"
	grep -v ^wire "$PN_DIR/plan"
	tail -n 3 "$PN_DIR"/curl.* "$PN_DIR"/server.* 2>/dev/null
	echo "networks, heights:"
	for n in $(nodes_running); do
		ctl "$n" --json status | jq -c '{root, height}'
	done | sort | uniq -c
	grep -hE ' (err|warn) ' "$PN_DIR"/*/log | tail -n 40
}

kill_spawned()
{
	local pid
	while read -r pid; do
		kill "$pid" 2>/dev/null || true
	done < <(cat "$PN_DIR"/spawned 2>/dev/null)
	rm -f "$PN_DIR/spawned"
}

spawn_kept()
{
	spawn "$@"
	echo "$SPAWNED" >>"$PN_DIR/spawned"
}

# all_pairs SECONDS: each node reaches each within so long; tells who does not
all_pairs()
{
	local i n failed=0 stride=$((1 + ${#all[@]} / 64))
	for ((i = 0; i < ${#all[@]}; i += stride)); do
		n=${all[i]}
		on "$n" "$PN_BUILD/pnping" --json -c 1 -W "$1" "${all[@]}" |
			jq -r --arg n "$n" '.targets[] | select(.received == 0) |
				"\($n) does not reach \(.target)"' >>"$PN_DIR/unreached"
		[ "${PIPESTATUS[0]}" -eq 0 ] || failed=1
	done
	return $failed
}

# all_reach: as all_pairs, for wait_until
all_reach()
{
	rm -f "$PN_DIR/unreached"
	all_pairs 1
}

@test "all nodes of the grid reach each other" {
	all_know()
	{
		local n
		for n in "${all[@]}"; do
			knows_name "$n" "${all[-1]}" || return 1
		done
	}
	wait_until 20 all_know
	begin=${EPOCHREALTIME/[.,]/}
	wait_until $((20 + ${#all[@]} / 5)) all_reach || {
		head -n 40 "$PN_DIR/unreached"
		false
	}
	echo "# all pairs after $(((${EPOCHREALTIME/[.,]/} - begin) / 1000)) ms" >&3
	# and from then on nothing is lost
	rm -f "$PN_DIR/unreached"
	all_pairs 5 || {
		head -n 40 "$PN_DIR/unreached"
		false
	}
}

@test "survivors' downloads end right while nodes die and cables move" {
	serves()
	{
		ctl "$1" --json sockets | jq -e 'any(.sockets[]; .type == "listener")' >/dev/null
	}
	# arrived BYTES: of all downloads together
	arrived()
	{
		[ "$(stat -c %s "$PN_DIR"/got.* | awk '{ n += $1 } END { print n + 0 }')" -ge "$1" ]
	}
	mkdir "$PN_DIR/www"
	head -c "$BYTES" /dev/urandom >"$PN_DIR/www/file"
	while read -r _ client server; do
		spawn_kept "$server" "$PN_DIR/server.$server" "$PN_BUILD/pnrun" \
			python3 -m http.server -d "$PN_DIR/www" 8000
		wait_until 10 serves "$server"
	done < <(grep ^get "$PN_DIR/plan")
	while read -r _ client server; do
		touch "$PN_DIR/got.$client"
		spawn_kept "$client" "$PN_DIR/curl.$client" "$PN_BUILD/pnrun" curl -sS \
			--limit-rate $((BYTES / 12)) -o "$PN_DIR/got.$client" "http://$server.pn.alt:8000/file"
		echo "$SPAWNED" >"$PN_DIR/pid.$client"
	done < <(grep ^get "$PN_DIR/plan")
	total=$((BYTES * GETS)) step=0 steps=$((KILLS + MOVES))
	begin=${EPOCHREALTIME/[.,]/}
	while read -r what a b c d; do
		step=$((step + 1))
		wait_until 30 arrived $((total * step / (steps + 4))) || {
			echo "no progress before step $step: $what $a $b $c $d"
			false
		}
		echo "$(((${EPOCHREALTIME/[.,]/} - begin) / 1000)) ms: $what $a $b $c $d"
		case $what$((step % 4)) in
		kill[01]) power_off "$a" ;;
		kill*) stop "$a" KILL ;;
		move*) wire_move "$a" "$c" "$d" ;;
		esac
	done < <(grep -E '^(kill|move)' "$PN_DIR/plan")
	for pid in "$PN_DIR"/pid.*; do
		client=${pid##*.}
		wait_until 60 dead "$(cat "$pid")" || {
			echo "the download of $client does not end: $(stat -c %s "$PN_DIR/got.$client")"
			false
		}
		wait "$(cat "$pid")"
		echo "$(((${EPOCHREALTIME/[.,]/} - begin) / 1000)) ms: $client is done"
		cmp "$PN_DIR/www/file" "$PN_DIR/got.$client"
	done
	echo "# $GETS downloads took $(((${EPOCHREALTIME/[.,]/} - begin) / 1000)) ms" >&3
}

@test "afterwards all survivors reach each other" {
	begin=${EPOCHREALTIME/[.,]/}
	wait_until $((20 + ${#all[@]} / 5)) all_reach || {
		head -n 40 "$PN_DIR/unreached"
		false
	}
	echo "# all pairs after $(((${EPOCHREALTIME/[.,]/} - begin) / 1000)) ms" >&3
}

#!/usr/bin/env bats
# The example programs of libpeernet, over one relay.
#
#	A ---- B ---- C

setup_file()
{
	load lib
	net_up || return 0
	node A B C
	cable A ab B ba
	cable B bc C cb
	configure A eth:ab
	configure B eth:ba eth:bc
	configure C eth:cb
	start A
	start B
	start C
	A=$(name_of A) C=$(name_of C)
	export A C
	reachable()
	{
		on A "$PN_BUILD/pnping" -q -c 1 -W 1 "$C" >/dev/null
	}
	wait_until 20 reachable
}

setup()
{
	load lib
	[ -n "${PN_DIR-}" ] || skip "needs to make network namespaces"
}

teardown()
{
	kill "${SPAWNED-}" 2>/dev/null || true
	[ -n "${BATS_TEST_COMPLETED-}" ] || show_logs
}

teardown_file()
{
	load lib
	net_down
}

listens()
{
	ctl "$1" --json sockets | jq -e --argjson p "$2" \
		'any(.sockets[]; .type == "listener" and .port == $p)' >/dev/null
}

bound()
{
	ctl "$1" --json sockets | jq -e --argjson p "$2" \
		'any(.sockets[]; .type == "datagram" and .local_port == $p)' >/dev/null
}

@test "streams: echo server and client, a line and a megabyte" {
	spawn C "$PN_DIR/server" "$PN_BUILD/example-echo_server" 7000
	wait_until 5 listens C 7000
	run on A "$PN_BUILD/example-echo_client" "$C" 7000 <<<"hello over there"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"hello over there"* ]]
	# the server says who called
	grep -q "connection from $(hit_of A)" "$PN_DIR/server"
	seq 150000 >"$PN_DIR/in"
	on A timeout 20 "$PN_BUILD/example-echo_client" "$C" 7000 <"$PN_DIR/in" >"$PN_DIR/out"
	cmp "$PN_DIR/in" "$PN_DIR/out"
}

@test "streams: several clients at once, and to a server on the same node" {
	spawn C "$PN_DIR/server" "$PN_BUILD/example-echo_server" 7001
	wait_until 5 listens C 7001
	pids=()
	for i in 1 2 3 4 5; do
		seq "$i" 2 20000 >"$PN_DIR/in$i"
		node=A
		[ "$i" -ne 5 ] || node=C
		on "$node" timeout 20 "$PN_BUILD/example-echo_client" "$C" 7001 \
			<"$PN_DIR/in$i" >"$PN_DIR/out$i" 3>&- &
		pids+=($!)
	done
	for i in 1 2 3 4 5; do
		wait "${pids[i - 1]}"
		cmp "$PN_DIR/in$i" "$PN_DIR/out$i"
	done
}

@test "streams: nobody listens, nobody there, no daemon: the right error" {
	run on A "$PN_BUILD/example-echo_client" "$C" 7999 </dev/null
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"Connection refused"* ]]
	run on A "$PN_BUILD/example-echo_client" \
		aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.pn.alt 7999 </dev/null
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"No route to host"* ]]
	PEERNET_SOCKET=$PN_DIR/nothing.sock run "$PN_BUILD/example-echo_client" "$C" 7999 </dev/null
	echo "$output"
	[ "$status" -eq 1 ]
}

@test "a port below 1024 is for root" {
	[ "$PN_INSIDE" = root ] || skip "has no other user here"
	run on A setpriv --reuid 65534 --regid 65534 --clear-groups \
		"$PN_BUILD/example-echo_server" 700
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *"Permission denied"* ]]
}

@test "datagrams: there and back, and an answer from where nobody listens" {
	spawn C "$PN_DIR/server" "$PN_BUILD/example-dgram_echo" 7002
	wait_until 5 bound C 7002
	run on A timeout 10 "$PN_BUILD/example-dgram_echo" "$C" 7002 "a small datagram"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"a small datagram"* ]]
	run on A timeout 10 "$PN_BUILD/example-dgram_echo" "$C" 7998 "to nobody"
	echo "$output"
	[ "$status" -ne 0 ]
}

#!/usr/bin/env bats
# A line of five nodes: Ethernet, Ethernet, UDP, Ethernet.
#
#	A ---- B ---- C ~~~~ D ---- E

setup_file()
{
	load lib
	net_up || return 0
	node A B C D E
	cable A ab B ba
	cable B bc C cb
	cable C cd D dc
	cable D de E ed
	address C cd 192.0.2.1/24
	address D dc 192.0.2.2/24
	configure A eth:ab
	configure B eth:ba eth:bc
	configure C eth:cb udp:192.0.2.2:6264
	configure D udp-listen:6264 eth:de
	configure E eth:ed
	for n in A B C D E; do
		start "$n"
	done
	for n in A B C D E; do
		echo "$(name_of "$n") ${n,,}"
	done >"$PN_DIR/petnames"
	# the file is looked at once a second
	for n in A B C D E; do
		wait_until 5 ctl "$n" resolve e >/dev/null 2>&1
	done
}

setup()
{
	load lib
	[ -n "${PN_DIR-}" ] || skip "needs to make network namespaces"
}

teardown()
{
	[ -n "${BATS_TEST_COMPLETED-}" ] || show_logs
}

teardown_file()
{
	load lib
	net_down
}

one_network()
{
	local n root first=
	for n in A B C D E; do
		root=$(ctl "$n" --json status | jq -r .root)
		[ "$root" = "${first:=$root}" ] || return 1
	done
}

@test "five nodes become one network, with different addresses" {
	wait_until 20 one_network
	addresses=$(for n in A B C D E; do ctl "$n" --json status | jq -r ".addresses[0]"; done | sort -u)
	[ "$(wc -l <<<"$addresses")" -eq 5 ]
}

@test "pnping: over four hops, summary, exit code 0" {
	run on A "$PN_BUILD/pnping" -c 5 -i 0.05 "$(name_of E)"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *'5 packets transmitted, 5 received, 0% packet loss'* ]]
	[[ ${lines[-1]} =~ ^rtt\ min/avg/max/p99/mdev\ =\ ([0-9.]+/){4}[0-9.]+\ ms$ ]]
}

@test "pnping: by HIT, by petname, --json, sizes" {
	on A "$PN_BUILD/pnping" -q -c 1 "$(hit_of E)"
	on A "$PN_BUILD/pnping" -q -c 1 e
	on A "$PN_BUILD/pnping" -q -c 1 e.pn.alt
	on A "$PN_BUILD/pnping" -q -c 1 -s 0 e
	on A "$PN_BUILD/pnping" -q -c 1 -s 1200 e
	on A "$PN_BUILD/pnping" --json -c 4 -A e | jq -e '
		.sent == 4 and .received == 4 and (.rtts_ns | length) == 4 and .loss_percent == 0 and
		.min_ns <= .p50_ns and .p50_ns <= .p99_ns and .p99_ns <= .max_ns and .min_ns > 0'
}

@test "pnping: several names, the exit code of the worst" {
	run on A "$PN_BUILD/pnping" -c 2 -i 0.05 b c d e
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(grep -c 'bytes from [bcde]: seq=[12] ' <<<"$output")" -eq 8 ]
	[[ $output == *'e: 2/2 received, 0% loss, rtt min/avg/max'* ]]
	[[ ${lines[-1]} == '4 of 4 names answered, time '* ]]
	on A "$PN_BUILD/pnping" --json -A -c 3 e b e | jq -e '
		.names == 3 and .answered == 3 and [.targets[].target] == ["e", "b", "e"] and
		all(.targets[]; .sent == 3 and .received == 3 and (.rtts_ns | length) == 3)'
	run on A "$PN_BUILD/pnping" --json -c 1 -W 2 b \
		aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.pn.alt
	echo "$output"
	[ "$status" -eq 1 ]
	jq -e '.answered == 1 and .targets[0].received == 1 and .targets[1].received == 0' \
		<<<"$output"
	run on A "$PN_BUILD/pnping" -c 1 b nobody-knows-me
	[ "$status" -eq 2 ]
}

@test "pnping: nobody answers: exit code 1; hop limit: an error that says so" {
	run on A "$PN_BUILD/pnping" -c 1 -W 3 \
		aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.pn.alt
	echo "$output"
	[ "$status" -eq 1 ]
	run on A "$PN_BUILD/pnping" -c 1 -t 2 e
	echo "$output"
	[ "$status" -eq 1 ]
	[[ $output == *'hop limit'* ]]
}

@test "pnping: SIGQUIT prints, SIGINT ends it with the summary" {
	spawn A "$PN_DIR/out" "$PN_BUILD/pnping" -i 0.05 e
	wait_until 5 grep -q 'seq=3' "$PN_DIR/out"
	kill -QUIT "$SPAWNED"
	wait_until 5 grep -q 'packets, min/avg/max = ' "$PN_DIR/out"
	kill -INT "$SPAWNED"
	wait "$SPAWNED"
	# the last may have been on its way
	awk '/packets transmitted/ { exit $1 - $4 > 1 }' "$PN_DIR/out"
}

@test "tools: bad names and usage: one line, exit code 2" {
	for name in nobody-knows-me bad..name.pn.alt aaaa.bbbb.pn.alt www.example.org ::1; do
		for tool in pnping pntrace 'pnctl lookup' 'pnctl resolve'; do
			# shellcheck disable=SC2086
			run on A "$PN_BUILD"/$tool "$name"
			echo "$tool $name: $status $output"
			[ "$status" -eq 2 ]
			[ "${#lines[@]}" -eq 1 ]
			[[ $output == *"$name"* ]]
		done
	done
	for args in 'pnping' 'pnping -c 0 e' 'pnping -i 1x e' 'pnping --nonsense e' \
		'pntrace' 'pntrace -q 11 e' 'pnctl' 'pnctl frobnicate' 'pnctl lookup' \
		'pnctl link' 'pnctl link frob x' 'pnctl id x'; do
		# shellcheck disable=SC2086
		run on A "$PN_BUILD"/$args
		echo "$args: $status $output"
		[ "$status" -eq 2 ]
		[ "${#lines[@]}" -le 2 ]
	done
}

@test "tools: no daemon: one line that names the socket, exit code 2" {
	for tool in 'pnping x' 'pntrace x' 'pnctl id'; do
		# shellcheck disable=SC2086
		PEERNET_SOCKET=$PN_DIR/nothing.sock run "$PN_BUILD"/$tool
		[ "$status" -eq 2 ]
		[ "${#lines[@]}" -eq 1 ]
		[[ $output == *"$PN_DIR/nothing.sock"* ]]
	done
}

@test "pntrace: each hop with identity, address and round trips" {
	run on A "$PN_BUILD/pntrace" "$(name_of E)"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 5 ]
	hops=(b c d e)
	for i in 0 1 2 3; do
		[[ ${lines[i + 1]} =~ ^\ $((i + 1))\ \ ${hops[i]}\ .*address.*\ ms ]]
	done
	on A "$PN_BUILD/pntrace" --json e | jq -e --arg e "$(name_of E)" '
		.reached and (.hops | length) == 4 and (.hops[3].identity + ".pn.alt") == $e and
		all(.hops[]; (.rtts_ns | length) == 3 and .address != null)'
}

@test "pnctl: every table has a line for what there is" {
	for command in status neighbours expelled areas routes sessions links counters; do
		run ctl C "$command"
		echo "$command: $output"
		[ "$status" -eq 0 ]
		[ "${#lines[@]}" -ge 2 ] || [[ $command == @(sessions|expelled) ]]
		ctl C --json "$command" | jq -e 'type == "object"' >/dev/null
	done
	ctl C neighbours | grep -q '^b .*eth:cb'
	ctl C neighbours | grep -q '^d .*udp:192.0.2.2:6264'
	ctl C links | grep -q '^eth:cb'
	ctl C --json links | jq -e 'all(.links[]; .control_bps >= 64000 and .control_bytes > 0 and
		.control_dropped == 0)'
	# whoever does not lead the root knows who would go on with it
	ctl C --json areas | jq -e 'all(.areas[1:][]; .deputy != null or .leading)'
	ctl C --json neighbours | jq -e 'all(.neighbours[]; .leaf == false and .shortcut == false)'
}

@test "pnctl lookup: finds a far node, and says when there is none" {
	run ctl A lookup e
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"$(id_of E)"* ]]
	ctl A --json lookup e | jq -e --arg a "$(ctl E --json status | jq -r ".addresses[0]")" '
		.addresses == [ $a ]'
	run ctl A lookup aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.pn.alt
	echo "$output"
	[ "$status" -eq 1 ]
}

@test "pnctl: log level, reload, events" {
	ctl A log info
	[ "$(ctl A log)" = info ]
	run ctl A log loud
	[ "$status" -eq 2 ]
	ctl A log debug
	ctl A reload
	echo '{ "nonsense": 1 }' >"$PN_DIR/A/pnstackd.conf"
	run ctl A reload
	echo "$output"
	[ "$status" -eq 2 ]
	[[ $output == *nonsense* ]]
}

@test "SIGTERM says goodbye: the neighbour knows at once; events tell it" {
	spawn D "$PN_DIR/events" "$PN_BUILD/pnctl" --json events neighbour
	follower=$SPAWNED
	# it follows when the daemon has one more control connection, which it logs
	subscribed()
	{
		grep -q "control connection.*pid $follower " "$PN_DIR/D/log"
	}
	wait_until 5 subscribed
	name=$(id_of E)
	stop E
	gone()
	{
		! ctl D --json neighbours | grep -q "$name"
	}
	wait_until 1 gone
	wait_until 2 grep -q "$name" "$PN_DIR/events"
	kill "$follower"
	jq -e --arg n "$name" '.event == "neighbour" and .what == "down" and .identity == $n and
		.reason != null' "$PN_DIR/events"
}

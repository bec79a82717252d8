#!/usr/bin/env bats
# Two nodes, one link after the other.
#
#	A a0 ---- b0 B		a0 192.0.2.1, 2001:db8::1; b0 192.0.2.2, 2001:db8::2

setup()
{
	load lib
	net_up || skip "needs to make network namespaces"
	node A B
	cable A a0 B b0
}

teardown()
{
	[ -n "${BATS_TEST_COMPLETED-}" ] || show_logs
	net_down
}

with_ip()
{
	address A a0 192.0.2.1/24 2001:db8::1/64
	address B b0 192.0.2.2/24 2001:db8::2/64
}

# sees NODE NODE: is the second a neighbour of the first?
sees()
{
	local name
	name=$(id_of "$2")
	ctl "$1" --json neighbours | jq -e --arg n "$name" 'any(.neighbours[]; .identity == $n)' \
		>/dev/null
}

sees_not()
{
	! sees "$1" "$2"
}

# pings NODE NODE: soon, for neighbours are not one network at once, and then always
pings()
{
	local name
	name=$(name_of "$2")
	wait_until 10 on "$1" "$PN_BUILD/pnping" -q -c 1 -W 1 "$name" >/dev/null
	on "$1" "$PN_BUILD/pnping" -q -c 5 -i 0.05 "$name" | grep '5 received'
}

@test "two nodes on one cable find each other, without IP and without configuration" {
	CONFIG_MORE='"ethernet": true' configure A eth:auto
	configure B eth:auto
	start A
	start B
	wait_until 10 sees A B
	wait_until 10 sees B A
	pings A B
	[ -z "$(on A ip -4 -o addr show dev a0)" ]
}

@test "UDP over IPv4, with the identity" {
	with_ip
	configure B udp-listen:6264
	start B
	configure A "udp:192.0.2.2:6264#$(id_of B)"
	start A
	wait_until 10 sees A B
	pings B A
}

@test "UDP over IPv6, without the identity" {
	with_ip
	configure B udp-listen:6264
	start B
	configure A 'udp:[2001:db8::2]:6264'
	start A
	wait_until 10 sees A B
	pings B A
}

@test "a peer that is not who it should be is no neighbour, and the log says so" {
	with_ip
	configure B udp-listen:6264
	start B
	configure A "udp:192.0.2.2:6264#aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	start A
	failed()
	{
		ctl A --json counters | jq -e '.counters | to_entries |
			any((.key | test("handshake|identity|auth")) and .value > 0)' >/dev/null
	}
	refused()
	{
		grep -q 'handshake.*failed' "$PN_DIR/A/log" "$PN_DIR/B/log" || failed
	}
	wait_until 10 refused
	sees_not A B
	sees_not B A
}

@test "links are added and removed at run time, errors name the link" {
	with_ip
	configure A
	configure B udp-listen:6264
	start A
	start B
	run ctl A link add "udp:192.0.2.2:6264#$(id_of B)"
	[ "$status" -eq 0 ]
	wait_until 10 sees A B
	run ctl A link add "udp:192.0.2.2:6264#$(id_of B)"
	[ "$status" -eq 2 ]
	[[ $output == *udp:192.0.2.2:6264* ]]
	ctl A link del udp:192.0.2.2:6264
	wait_until 10 sees_not A B
	# it says goodbye: B need not wait for a time-out
	wait_until 2 sees_not B A
	run ctl A link del udp:192.0.2.2:6264
	[ "$status" -eq 2 ]
	[[ $output == *udp:192.0.2.2:6264* ]]
	run ctl A link add nonsense:1
	[ "$status" -eq 2 ]
	[[ $output == *nonsense* ]]
}

@test "an interface that disappears and returns is taken up again" {
	configure A eth:a0
	configure B eth:b0
	start A
	start B
	wait_until 10 sees A B
	on A ip link del a0
	wait_until 8 sees_not A B
	cable A a0 B b0
	wait_until 15 sees A B
	wait_until 15 sees B A
	pings A B
}

@test "a cable that is unplugged is noticed at once, and plugged in again" {
	configure A eth:a0
	configure B eth:b0
	start A
	start B
	wait_until 10 sees A B
	on B ip link set b0 down
	wait_until 2 sees_not A B
	on B ip link set b0 up
	wait_until 15 sees A B
}

@test "a killed neighbour is noticed by its silence" {
	configure A eth:a0
	configure B eth:b0
	start A
	start B
	wait_until 10 sees A B
	stop B KILL
	gone()
	{
		ctl A --json neighbours | jq -e '.neighbours == []' >/dev/null
	}
	wait_until 15 gone
}

@test "a closed network answers only identities on its list" {
	with_ip
	configure A
	start A
	id=$(id_of A)
	stop A
	CONFIG_MORE='"allow": [ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" ]' \
		configure B udp-listen:6264
	start B
	configure A udp:192.0.2.2:6264
	start A
	refused()
	{
		ctl B --json counters | jq -e '.counters | to_entries |
			any((.key | test("refused")) and .value > 0)' >/dev/null
	}
	wait_until 10 refused
	sees_not A B
	stop B
	CONFIG_MORE='"allow": [ "'"$id"'" ]' configure B udp-listen:6264
	start B
	wait_until 20 sees A B
}

@test "a link of 700 bytes: packets of 1280 are cut in two and put together" {
	on A ip link set a0 mtu 700
	on B ip link set b0 mtu 700
	configure A eth:a0
	configure B eth:b0
	start A
	start B
	wait_until 10 sees A B
	pings A B
	on A "$PN_BUILD/pnping" -q -c 3 -i 0.05 -w 5 -s 1200 "$(name_of B)"
	spawn B "$PN_DIR/server" "$PN_BUILD/example-echo_server" 7000
	listens()
	{
		ctl B --json sockets | jq -e 'any(.sockets[]; .port == 7000)' >/dev/null
	}
	wait_until 5 listens
	seq 100000 >"$PN_DIR/in"
	on A timeout 20 "$PN_BUILD/example-echo_client" "$(name_of B)" 7000 \
		<"$PN_DIR/in" >"$PN_DIR/out"
	cmp "$PN_DIR/in" "$PN_DIR/out"
}

# rtt_is LINK_OF_A LINK_OF_B MS: every round trip takes that long, and a little more
rtt_is()
{
	configure A "$1"
	configure B "$2"
	start B
	start A
	wait_until 10 on A "$PN_BUILD/pnping" -q -c 1 -W 1 "$(name_of B)" >/dev/null
	on A "$PN_BUILD/pnping" -q -c 20 -i 0.05 -w 10 "$(name_of B)" | tee "$PN_DIR/pings"
	awk -F'[ /]' -v rtt="$3" '/min\/avg/ { for (i = 1; i < NF && $i != "="; i++) ;
		found = $(i + 1) >= rtt && $(i + 2) < rtt + 10 } END { exit !found }' "$PN_DIR/pings"
	stop A
	stop B
}

@test "a delay at both ends is twice in the round trip, over Ethernet and a tunnel" {
	with_ip
	rtt_is eth:a0,delay=30ms eth:b0,delay=30ms 60
	rtt_is udp:192.0.2.2:6264,delay=15ms udp-listen:6264,delay=15ms 30
	rtt_is eth:a0 eth:b0 0
}

@test "what a link loses on purpose is counted, and a wrong option told in one line" {
	configure A eth:a0,loss=30%
	configure B eth:b0
	start A
	start B
	wait_until 20 on A "$PN_BUILD/pnping" -q -c 1 -W 1 "$(name_of B)" >/dev/null
	on A "$PN_BUILD/pnping" -q -c 40 -i 0.02 -W 1 "$(name_of B)" | tee "$PN_DIR/pings" || true
	run grep "40 received" "$PN_DIR/pings"
	[ "$status" -eq 1 ]
	ctl A --json links | jq -e '.links[] | .tx_dropped > 0'
	configure A eth:a0,loss=300%
	run "$PN_BUILD/pnstackd" -t -c "$PN_DIR/A/pnstackd.conf"
	echo "$output"
	[ "$status" -eq 2 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *"loss=300%: must be 0 to 100 percent, as in 1%"* ]]
}

#!/usr/bin/env bats
# A path breaks during a transfer and there is another one.
#
#	    B
#	  /   \
#	A       D
#	  \   /
#	    C

setup()
{
	load lib
	net_up || skip "needs to make network namespaces"
	node A B C D
	cable A ab B ba
	cable B bd D db
	cable A ac C ca
	cable C cd D dc
	configure A eth:ab eth:ac
	configure B eth:ba eth:bd
	configure C eth:ca eth:cd
	configure D eth:db eth:dc
	for n in A B C D; do
		start "$n"
		echo "$(name_of "$n") ${n,,}"
	done >"$PN_DIR/petnames"
	wait_until 20 reachable
}

teardown()
{
	[ -n "${BATS_TEST_COMPLETED-}" ] || show_logs
	net_down
}

reachable()
{
	on A "$PN_BUILD/pnping" -q -c 1 -W 1 d >/dev/null
}

# first_hop: the name of the node through which A reaches D
first_hop()
{
	on A "$PN_BUILD/pntrace" --json -q 1 d | jq -r '.hops[0].name'
}

serves()
{
	ctl D --json sockets | jq -e 'any(.sockets[]; .type == "listener" and .port == 8000)' \
		>/dev/null
}

has_grown_to()
{
	[ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -ge "$2" ]
}

# transfer CUT...: fetch 60 MB; after a quarter, CUT breaks the path; the download must
# end with the right bytes and not pause for longer than 5 s
transfer()
{
	mkdir "$PN_DIR/www"
	head -c 60000000 /dev/urandom >"$PN_DIR/www/file"
	spawn D "$PN_DIR/server" "$PN_BUILD/pnrun" python3 -m http.server -d "$PN_DIR/www" 8000
	wait_until 10 serves
	touch "$PN_DIR/got"
	spawn A "$PN_DIR/curl" "$PN_BUILD/pnrun" curl -sS --limit-rate 15M -o "$PN_DIR/got" \
		http://d.pn.alt:8000/file
	curl=$SPAWNED
	wait_until 20 has_grown_to "$PN_DIR/got" 15000000
	"$@"
	size=$(stat -c %s "$PN_DIR/got")
	# what is in the pipe may still arrive; then it must go on within 5 s
	wait_until 5 has_grown_to "$PN_DIR/got" $((size + 8000000))
	wait_until 30 dead "$curl"
	wait "$curl"
	cmp "$PN_DIR/www/file" "$PN_DIR/got"
}

@test "a cable of the path in use is unplugged" {
	unplug()
	{
		case $(first_hop) in
		b) on B ip link set dev bd down ;;
		c) on C ip link set dev cd down ;;
		*) return 1 ;;
		esac
	}
	transfer unplug
}

@test "the node on the path in use dies without a word" {
	die()
	{
		case $(first_hop) in
		b) stop B KILL ;;
		c) stop C KILL ;;
		*) return 1 ;;
		esac
	}
	transfer die
}

# counted NODE NAME: a counter of the node's daemon
counted()
{
	ctl "$1" --json counters | jq ".counters.$2"
}

first_hop_is()
{
	[ "$(first_hop)" = "$1" ]
}

has_lines()
{
	[ "$(wc -l <"$1")" -ge "$2" ]
}

@test "the kernel refuses to send on the path in use: the other one is taken at once" {
	stop A TERM
	stop B TERM
	address A ab 192.0.2.1/30
	address B ba 192.0.2.2/30
	configure B "udp-listen:6264,cost=4" eth:bd
	start B
	configure A eth:ac "udp:192.0.2.2:6264#$(id_of B),cost=4"
	start A
	wait_until 20 reachable
	wait_until 20 first_hop_is b
	spawn A "$PN_DIR/pings" "$PN_BUILD/pnping" -c 300 -i 0.01 d
	pings=$SPAWNED
	wait_until 10 has_lines "$PN_DIR/pings" 50
	on A ip route add unreachable 192.0.2.2/32
	wait_until 20 dead "$pings"
	[ "$(counted A tx_unsent)" -gt 0 ]
	# silence alone is noticed after 0.45 s: 45 pings
	received=$(sed -nE 's/.* ([0-9]+) received.*/\1/p' "$PN_DIR/pings")
	echo "$received of 300"
	[ "$received" -ge 290 ]
}

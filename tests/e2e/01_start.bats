#!/usr/bin/env bats
# Starting and refusing to start: key, configuration, socket, links.  One node A with
# an interface a0 (the other end of the cable is in B).
#
#	A a0 ---- b0 B

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

# refuses STATUS PATTERN OPTION...: the daemon of A ends with that status and says why
# in one line
refuses()
{
	local want=$1 pattern=$2
	shift 2
	run on A timeout 10 "$PN_BUILD/pnstackd" -L err "$@"
	echo "status $status: $output"
	[ "$status" -eq "$want" ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output =~ $pattern ]]
}

# config TEXT: A's configuration file
config()
{
	echo "$1" >"$PN_DIR/A/pnstackd.conf"
}

@test "a key is made once, readable by nobody else, and names the node" {
	configure A eth:a0
	start A
	first=$(ctl A id)
	[ "$(wc -l <<<"$first")" -eq 2 ]
	[[ $(head -n 1 <<<"$first") =~ ^[a-z2-7]{52}\.pn\.alt$ ]]
	[[ $(tail -n 1 <<<"$first") =~ ^2001:21: ]]
	for file in "$PN_DIR"/A/state/*; do
		[ "$(stat -c %a "$file")" -eq 600 ]
	done
	stop A
	start A
	[ "$(ctl A id)" = "$first" ]
}

@test "SIGTERM ends it with 0 and takes the socket away" {
	configure A eth:a0
	start A
	pid=$(cat "$PN_DIR/A/pid")
	kill -TERM "$pid"
	wait_until 5 ended A
	wait "$pid"
	[ ! -e "$PN_DIR/A/api.sock" ]
}

@test "a damaged key file is refused and left as it is" {
	configure A eth:a0
	start A
	stop A
	key=$(ls "$PN_DIR"/A/state/* | grep -v '\.boot$')
	head -c 7 "$key" >"$PN_DIR/short" && cat "$PN_DIR/short" >"$key"
	refuses 1 "$key" -c "$PN_DIR/A/pnstackd.conf"
	cmp "$key" "$PN_DIR/short"
}

@test "a key file that others may read is refused" {
	configure A eth:a0
	start A
	stop A
	key=$(ls "$PN_DIR"/A/state/* | grep -v '\.boot$')
	chmod 644 "$key"
	refuses 1 "$key.*(mode|permission|readable)" -c "$PN_DIR/A/pnstackd.conf"
}

@test "an unknown key in the configuration: file, line and key are named" {
	config '{
		"state": "'"$PN_DIR"'/A/state",
		"lnks": [ "eth:a0" ]
	}'
	refuses 2 'pnstackd\.conf:3: lnks: unknown key' -c "$PN_DIR/A/pnstackd.conf"
}

@test "bad values in the configuration: file, key and reason are named" {
	config '{ "log": { "level": "loud" } }'
	refuses 2 'pnstackd\.conf.*log\.level: must be one of' -c "$PN_DIR/A/pnstackd.conf"
	config '{ "api": { "mode": 660 } }'
	refuses 2 'pnstackd\.conf.*api\.mode: must be a file mode' -c "$PN_DIR/A/pnstackd.conf"
	config '{ "limits": { "streams": -5 } }'
	refuses 2 'pnstackd\.conf.*limits\.streams: must be a number' -c "$PN_DIR/A/pnstackd.conf"
	config '{ "links": [ "udp:host:99999" ] }'
	refuses 2 'pnstackd\.conf.*99999' -c "$PN_DIR/A/pnstackd.conf"
	config '{ "links": [ "carrier-pigeon:1" ] }'
	refuses 2 'pnstackd\.conf.*carrier-pigeon' -c "$PN_DIR/A/pnstackd.conf"
	config '{ "links": [ "udp:192.0.2.1:6264#abc" ] }'
	refuses 2 'pnstackd\.conf.*identity' -c "$PN_DIR/A/pnstackd.conf"
	config '{ "state": '
	refuses 2 'pnstackd\.conf:[0-9]+: ' -c "$PN_DIR/A/pnstackd.conf"
	refuses 2 '/nonexistent/file' -c /nonexistent/file
}

@test "bad command lines" {
	run "$PN_BUILD/pnstackd" --frobnicate
	[ "$status" -eq 2 ]
	[[ $output == *frobnicate* ]]
	refuses 2 'eth:this-name-is-far-too-long' -l eth:this-name-is-far-too-long
}

@test "what --print-config prints is read again to the same" {
	configure A eth:a0 udp-listen:6264,cost=7 udp:192.0.2.1:6264
	on A "$PN_BUILD/pnstackd" -p -c "$PN_DIR/A/pnstackd.conf" >"$PN_DIR/one"
	on A "$PN_BUILD/pnstackd" -p -c "$PN_DIR/one" >"$PN_DIR/two"
	cmp "$PN_DIR/one" "$PN_DIR/two"
	grep -q cost=7 "$PN_DIR/two"
}

@test "a second daemon on the same socket, or with the same key, is refused" {
	configure A eth:a0
	start A
	refuses 1 'api\.sock' -c "$PN_DIR/A/pnstackd.conf" -S "$PN_DIR/A/other"
	refuses 1 'A/state' -c "$PN_DIR/A/pnstackd.conf" -s "$PN_DIR/A/other.sock"
	# the first one is not hurt
	ctl A id
}

@test "a socket left behind by a crash is taken over" {
	configure A eth:a0
	start A
	stop A KILL
	[ -e "$PN_DIR/A/api.sock" ]
	start A
	ctl A id
}

@test "a full disk: no half key, one line, and a start when there is space" {
	mkdir "$PN_DIR/small"
	mount -t tmpfs -o size=16k tmpfs "$PN_DIR/small" || skip "cannot mount a tmpfs"
	configure A eth:a0
	head -c 100000 /dev/zero >"$PN_DIR/small/fill" 2>/dev/null || true
	mkdir -p "$PN_DIR/small/state" || true
	refuses 1 "small.*No space left" -c "$PN_DIR/A/pnstackd.conf" -S "$PN_DIR/small/state"
	rm "$PN_DIR/small/fill"
	start A -S "$PN_DIR/small/state"
	ctl A id
}

@test "an interface that is not there is waited for, and said so" {
	configure A eth:later
	start A
	ctl A --json links | jq -e '.links[0].state == "waiting for the interface"'
	grep -q later "$PN_DIR/A/log"
}

@test "an interface with an MTU that is too small is refused with its name" {
	on A ip link set a0 mtu 600
	configure A eth:a0
	refuses 1 'eth:a0.*(MTU|mtu).*700' -c "$PN_DIR/A/pnstackd.conf"
}

@test "a port that is taken, and one that is not ours to take" {
	configure A udp-listen:6264
	start A
	configure B udp-listen:6264
	# in A's namespace
	refuses 1 'udp-listen:6264' -c "$PN_DIR/B/pnstackd.conf"
}

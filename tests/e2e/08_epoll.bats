#!/usr/bin/env bats
# Where io_uring is forbidden the daemon says so and uses epoll.
#
#	A (epoll) ---- B (io_uring, if it is there)

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

meet()
{
	name=$(name_of B)
	pings()
	{
		on A "$PN_BUILD/pnping" -q -c 2 -i 0.01 -W 1 "$name" >/dev/null
	}
	wait_until 10 pings
	spawn B "$PN_DIR/server" "$PN_BUILD/example-echo_server" 7000
	listens()
	{
		ctl B --json sockets | jq -e 'any(.sockets[]; .port == 7000)' >/dev/null
	}
	wait_until 5 listens
	seq 200000 >"$PN_DIR/in"
	on A timeout 20 "$PN_BUILD/example-echo_client" "$name" 7000 <"$PN_DIR/in" >"$PN_DIR/out"
	cmp "$PN_DIR/in" "$PN_DIR/out"
}

@test "\"loop\": \"epoll\" in the configuration" {
	CONFIG_MORE='"loop": "epoll"' configure A eth:a0
	configure B eth:b0
	start A
	start B
	ctl A --json status | jq -e '.loop == "epoll"'
	meet
}

@test "io_uring forbidden by a seccomp filter: it says so and works" {
	configure A eth:a0
	configure B eth:b0
	# the daemon is started by a program that first forbids io_uring_setup (425)
	spawn A "$PN_DIR/A/log" python3 -c '
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def op(code, jt, jf, k):
    return struct.pack("HBBI", code, jt, jf, k)
# load the number; if it is 425: EPERM, else allow
code = op(0x20, 0, 0, 0) + op(0x15, 0, 1, 425) + op(0x06, 0, 0, 0x00050001) + \
    op(0x06, 0, 0, 0x7fff0000)
buf = ctypes.create_string_buffer(code)
prog = struct.pack("HxxxxxxP", 4, ctypes.addressof(buf))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.create_string_buffer(prog), 0, 0):
    sys.exit("no seccomp here")
os.execv(sys.argv[1], sys.argv[1:])
' "$PN_BUILD/pnstackd" -c "$PN_DIR/A/pnstackd.conf"
	echo "$SPAWNED" >"$PN_DIR/A/pid"
	wait_until 10 answers_or_ended A
	! grep -q 'no seccomp here' "$PN_DIR/A/log" || skip "no seccomp filters here"
	start B
	ctl A --json status | jq -e '.loop == "epoll"'
	grep -iq 'io_uring.*epoll' "$PN_DIR/A/log"
	meet
}

#!/usr/bin/env bats
# What the shim does for unmodified programs, natively, on the loopback of A, and over the shim,
# the server on B and the client on A.  Programs at their work are in programs.bats.
#
#	A a0 ---- b0 B

bats_require_minimum_version 1.5.0

setup_file()
{
	load lib
	net_up || return 0
	pair_up
	head -c 3000000 /dev/urandom >"$PN_DIR/file"
}

teardown_file()
{
	load lib
	net_down
}

setup()
{
	load lib
	[ -n "${PN_DIR-}" ] || skip "needs to make network namespaces"
	cd "$PN_DIR" || return
	server_pid=
	mounted=
}

teardown()
{
	[ -z "$mounted" ] || umount "$mounted"
	if [ -z "${BATS_TEST_COMPLETED-}" ]; then
		tail -n 20 "$PN_DIR"/server.log "$PN_DIR"/trace 2>/dev/null
		show_logs 10
	fi
	server_stop
}

# server MODE PORT PROGRAM...: started and listening; output in server.log
server()
{
	local mode=$1 port=$2
	shift 2
	rm -f trace server.log
	if [ "$mode" = native ]; then
		spawn A server.log timeout 60 "$@"
		server_pid=$SPAWNED
		wait_until 10 listens "$port"
	else
		spawn B server.log timeout 60 "$PN_BUILD/pnrun" -t trace "$@"
		server_pid=$SPAWNED
		wait_until 10 listens_traced "$port"
	fi
}

listens()
{
	on A ss -Hltun "sport = :$1" | grep -q .
}

listens_traced()
{
	grep -q "on PeerNet, port $1: done" trace 2>/dev/null
}

server_stop()
{
	[ -n "$server_pid" ] || return 0
	kill "$server_pid" 2>/dev/null || true
	wait "$server_pid" 2>/dev/null || true
	server_pid=
}

# client MODE PROGRAM...
client()
{
	local mode=$1
	shift
	if [ "$mode" = native ]; then
		on A timeout 30 "$@"
	else
		on A timeout 30 "$PN_BUILD/pnrun" "$@"
	fi
}

# host MODE: where the server is
host()
{
	if [ "$1" = native ]; then
		echo 127.0.0.1
	else
		echo "$B_NAME"
	fi
}

@test "what listens over the shim is still reached past PeerNet" {
	server shim 8000 python3 -u -m http.server 8000
	on B timeout 30 curl -sS http://127.0.0.1:8000/file | cmp - file
	on B timeout 30 "$PN_BUILD/pnrun" curl -sS http://127.0.0.1:8000/file | cmp - file
	server_stop
	PEERNET_LISTEN=peernet server shim 8000 python3 -u -m http.server 8000
	run on B timeout 30 curl -sS http://127.0.0.1:8000/file
	[ "$status" -eq 7 ]
	client shim curl -sS "http://$B_NAME:8000/file" | cmp - file
}

@test "what programs expect of sockets" {
	local mode
	for mode in native shim; do
		server $mode 7103 python3 "$PN_ROOT/tests/e2e/sockets.py" serve
		wait_until 10 grep -q ready server.log
		client $mode python3 "$PN_ROOT/tests/e2e/sockets.py" test "$(host $mode)"
		server_stop
	done
}

# A server that takes its time, with room for one, and many that come at once: none is refused
# (some go away before), whether they come over PeerNet, from the same node, or over the kernel's
# network.  There fewer come: TCP tries again after one second, three, seven.
@test "who finds the backlog full waits" {
	local mode
	for mode in shim local kernel; do
		cat >slow.py <<-'END'
			import socket, time
			with socket.create_server(("", 7105), backlog=1) as s:
			    while True:
			        c, _ = s.accept()
			        with c:
			            try:
			                c.sendall(c.recv(100))
			            except OSError:
			                pass
			        time.sleep(0.005)
		END
		server shim 7105 python3 -u slow.py
		cat >many.py <<-'END'
			import socket, sys, threading, time
			bad = []
			def one(i):
			    if i % 4 == 3:  # goes away while it waits
			        with socket.socket() as s:
			            s.setblocking(False)
			            s.connect_ex((sys.argv[1], 7105))
			            time.sleep(0.03)
			            return
			    try:
			        with socket.create_connection((sys.argv[1], 7105), timeout=20) as s:
			            s.sendall(b"%d" % i)
			            assert s.recv(100) == b"%d" % i
			    except Exception as e:
			        bad.append(repr(e))
			all = [threading.Thread(target=one, args=(i,)) for i in range(int(sys.argv[2]))]
			for t in all:
			    t.start()
			for t in all:
			    t.join()
			sys.exit("\n".join(bad) or 0)
		END
		case $mode in
		local) on B timeout 30 "$PN_BUILD/pnrun" python3 many.py "$B_NAME" 40 ;;
		kernel) on B timeout 30 python3 many.py 127.0.0.1 5 ;;
		shim) client shim python3 many.py "$B_NAME" 40 ;;
		esac
		server_stop
	done
	ctl B --json counters | jq -e '.counters.api_refused_backlog_full == 0'
}

# One port of the same user, or many of another one
@test "a program that does not accept costs others nothing" {
	local -a ports=(7106) as=()
	if [ "${PN_INSIDE-}" != "user namespace" ]; then
		ports=(7106 7107 7108 7109 7110 7111)
		as=(setpriv --reuid nobody --clear-groups)
	fi
	server shim 7105 python3 -u -c '
import socket, time
with socket.create_server(("::", 7105), family=socket.AF_INET6, backlog=1) as s:
    while True:
        c, _ = s.accept()
        with c:
            c.sendall(c.recv(3))
        time.sleep(0.01)'
	spawn B idle.log timeout 60 "${as[@]}" "$PN_BUILD/pnrun" python3 -u -c '
import socket, sys, time
keep = []
for port in sys.argv[2:]:
    keep.append(socket.create_server(("::", int(port)), family=socket.AF_INET6, backlog=1))
for port in sys.argv[2:]:
    for _ in range(600 // len(sys.argv[2:])):
        s = socket.socket(socket.AF_INET6)
        s.setblocking(False)
        s.connect_ex((sys.argv[1], int(port)))
        keep.append(s)
print("full", flush=True)
time.sleep(30)' "$(hit_of B)" "${ports[@]}"
	wait_until 20 grep -q full idle.log
	client shim python3 -c '
import socket, sys, threading
bad = []
def one():
    try:
        with socket.create_connection((sys.argv[1], 7105), timeout=20) as s:
            s.sendall(b"abc")
            assert s.recv(3) == b"abc"
    except Exception as e:
        bad.append(repr(e))
all = [threading.Thread(target=one) for _ in range(30)]
for t in all:
    t.start()
for t in all:
    t.join()
sys.exit("\n".join(bad[:5]) or 0)' "$B_NAME"
	kill "$SPAWNED"
}

@test "errors that programs understand" {
	run client shim curl -sS "http://$B_NAME:81/"
	[ "$status" -eq 7 ]
	run client shim nc -z "$B_NAME" 81
	[ "$status" -eq 1 ]
	run client shim curl -sS http://nobody.pn.alt/
	[ "$status" -eq 6 ]
	run client shim curl -sS http://two.labels.pn.alt/
	[ "$status" -eq 6 ]
}

# has_trapped FILTER
has_trapped()
{
	tcpdump -n -r trapped "$1" 2>/dev/null | grep -q .
}

# What leaves A towards the kernel's network, were there one: a packet trap that sees
# whatever goes to a name server or to the addresses that are PeerNet's.
@test "nothing leaks when the daemon is down" {
	on A ip link add trap type veth peer name trapped
	on A ip link set trapped up
	on A ip addr add 192.0.2.1/24 dev trap
	on A ip link set trap up
	on A ip route add default via 192.0.2.2 dev trap
	on A ip neigh replace 192.0.2.2 lladdr 02:00:00:00:00:01 dev trap
	on A ip -6 addr add 2001:db8::1/64 dev trap nodad
	on A ip -6 route add default via 2001:db8::2 dev trap
	on A ip -6 neigh replace 2001:db8::2 lladdr 02:00:00:00:00:01 dev trap
	spawn A tcpdump.log timeout 60 tcpdump -n -i trap -Z root -U -w trapped \
		'port 53 or net 198.18.0.0/15 or net 2001:20::/28'
	wait_until 10 grep -q 'listening\|not permitted' tcpdump.log
	! grep -q 'not permitted' tcpdump.log || skip "tcpdump cannot give up root here"
	for target in "$B_NAME" nobody.pn.alt bad..pn.alt '[2001:21::1]' '[2001:20::1]' 198.18.0.1 \
		'[::ffff:198.18.0.1]'; do
		run nsenter --net="/run/netns/$PN_TAG-A" env PEERNET_SOCKET=/nonexistent \
			timeout 10 "$PN_BUILD/pnrun" curl -sS -m 5 "http://$target/"
		echo "$target: $status $output"
		[ "$status" -eq 6 ] || [ "$status" -eq 7 ]
	done
	for call in 'res_querydomain(b"nobody", b"pn.alt", 1, 28, buf, 512)' \
		'__res_querydomain(b"nobody.pn", b"alt", 1, 28, buf, 512)' \
		'res_query(b"nobody.pn.alt", 1, 28, buf, 512)' \
		'res_query(b"nobody.p\\110.alt", 1, 28, buf, 512)' \
		'res_search(b"nobody.\\p\\n.alt", 1, 28, buf, 512)' \
		'__res_querydomain(b"nobody.p\\110", b"alt", 1, 28, buf, 512)' \
		'getaddrinfo_a(0, (ctypes.c_void_p * 1)(ctypes.addressof(one)), 1, None)'; do
		run on A timeout 20 "$PN_BUILD/pnrun" python3 -c "
import ctypes
buf = ctypes.create_string_buffer(512)
libc = ctypes.CDLL(None)
one = (ctypes.c_void_p * 16)(ctypes.cast(ctypes.c_char_p(b'nobody.pn.alt'), ctypes.c_void_p))
print(libc.$call, libc.gai_error(one))"
		echo "$call: $output"
		[[ $output =~ ^(-1|0 -2)( |$) ]]
	done
	run on A timeout 20 "$PN_BUILD/pnrun" getent ahosts 'nobody.p\110.alt'
	[ "$status" -eq 2 ]
	run on A timeout 20 "$PN_BUILD/pnrun" python3 "$PN_ROOT/tests/e2e/resolver.py" send nobody.pn.alt 28
	[ "$output" = "3 -" ]
	# c-ares has sockets of its own
	run on A timeout 20 "$PN_BUILD/pnrun" aria2c -q --dry-run http://nobody.pn.alt/
	[ "$status" -ne 0 ]
	# the trap works: this one is seen
	run on A timeout 2 "$PN_BUILD/pnrun" curl -sS -m 1 http://203.0.113.7:53/
	wait_until 10 has_trapped "port 53"
	kill "$SPAWNED"
	wait "$SPAWNED" || true
	has_trapped "port 53"
	run ! has_trapped 'net 198.18.0.0/15 or net 2001:20::/28 or udp port 53'
	on A ip link del trap
}

@test "programs that are started by others, with and without an environment" {
	run on A "$PN_BUILD/pnrun" sh -c "env -i getent hosts $B_NAME"
	[[ $output == 2001:21:*"$B_NAME" ]]
	# other libraries, whose names begin as the shim's does; the loader says that they are missing
	run on A env LD_PRELOAD="$PN_BUILD/libpnpreload.so.old" "$PN_BUILD/pnrun" getent hosts "$B_NAME"
	[[ $output == *2001:21:*"$B_NAME" ]]
	run on A "$PN_BUILD/pnrun" env LD_PRELOAD="/x $PN_BUILD/libpnpreload.sox" getent hosts "$B_NAME"
	[[ $output == *2001:21:*"$B_NAME" ]]
	run on A "$PN_BUILD/pnrun" env PEERNET=off getent hosts "$B_NAME"
	[ "$status" -eq 2 ]
	run on A "$PN_BUILD/pnrun" python3 -c 'import subprocess, sys
subprocess.run(["getent", "hosts", sys.argv[1]], env={"PATH": "/usr/bin"}, check=True)' "$B_NAME"
	[[ $output == 2001:21:*"$B_NAME" ]]
	run on A "$PN_BUILD/pnrun" python3 -c 'import ctypes, sys
argv = (ctypes.c_char_p * 4)(b"getent", b"hosts", sys.argv[1].encode())
ctypes.CDLL(None).execveat(-100, b"/usr/bin/getent", argv, (ctypes.c_char_p * 1)(), 0)' "$B_NAME"
	[[ $output == 2001:21:*"$B_NAME" ]]
	[ "$(uname -m)" = x86_64 ] || return 0
	run on A "$PN_BUILD/pnrun" python3 -c 'import ctypes, sys
argv = (ctypes.c_char_p * 4)(b"getent", b"hosts", sys.argv[1].encode())
ctypes.CDLL(None).syscall(322, -100, b"/usr/bin/getent", argv, (ctypes.c_char_p * 1)(), 0)' "$B_NAME"
	[[ $output == 2001:21:*"$B_NAME" ]]
}

@test "a name that is shorter than its HIT fits where the HIT does not" {
	echo "$B_NAME shorty" >petnames
	wait_until 5 ctl A resolve shorty >/dev/null 2>&1
	run on A timeout 20 "$PN_BUILD/pnrun" python3 - "$(hit_of B)" <<-'END'
		import ctypes, socket, struct, sys
		libc, hit = ctypes.CDLL(None), socket.inet_pton(socket.AF_INET6, sys.argv[1])
		sa = struct.pack("=H2sI16sI", socket.AF_INET6, b"\0\x50", 0, hit, 0)
		def ask(room, flags):
		    host, serv = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
		    err = libc.getnameinfo(sa, len(sa), host, room, serv, 64, flags)
		    return err, host.value.decode(), serv.value.decode()
		NAMEREQD, NUMERIC = 8, 3
		for room in range(1, 64):
		    for flags in 2, NAMEREQD | 2:
		        got, want = ask(room, flags), (0, "shorty.pn.alt", "80")
		        assert got == want if room > 13 else got[0] == -12, (room, flags, got)
		    got, want = ask(room, NUMERIC), (0, sys.argv[1], "80")
		    assert got == want if room > len(want[1]) else got[0] == -12, (room, got)
	END
	echo "$output"
	rm petnames
	[ "$status" -eq 0 ]
}

# AAAA is 28, A is 1, MX is 15
@test "questions to the DNS are answered in its place" {
	local hit addr4
	hit=$(hit_of B)
	addr4=$(on A "$PN_BUILD/pnrun" getent ahostsv4 "$B_NAME" | awk '{ print $1; exit }')
	[[ $addr4 == 198.1[89].* ]]
	for how in query search nquery nsearch querydomain nquerydomain send nsend; do
		resolver $how "$B_NAME" 28
		[ "$output" = "0 $hit" ]
		resolver $how "$B_NAME" 1
		[ "$output" = "0 $addr4" ]
		resolver $how "$B_NAME" 15
		[[ $output == "h_errno 4" || $output == "0 -" ]]
		resolver $how nobody.pn.alt 28
		[[ $output == "h_errno 1" || $output == "3 -" ]]
	done
}

# dig, node.js, nginx and others; what they ask for others is sent, in each way
@test "resolvers of programs' own do not ask the DNS for names of ours" {
	local own="$PN_ROOT/tests/e2e/own_dns.py"
	spawn A dns.log timeout 60 python3 "$own" serve asked
	wait_until 10 grep -q ready asked
	run on A timeout 20 "$PN_BUILD/pnrun" python3 "$own" ask "$B_NAME" NOBODY.pn.alt \
		4.3.2.1.2.0.0.1.0.0.2.ip6.arpa 1.0.18.198.in-addr.arpa
	echo "$output"
	[ "$(grep -c ECONNREFUSED <<<"$output")" -eq 60 ]
	run ! grep -q sent <<<"$output"
	run on A timeout 20 "$PN_BUILD/pnrun" python3 "$own" ask example.org 1.0.20.198.in-addr.arpa
	echo "$output"
	[ "$(grep -c sent <<<"$output")" -eq 30 ]
	# and those that are sent before another one
	wait_until 10 eval '[ "$(grep -c "^[ut]" asked)" -eq 42 ]'
	run ! grep -qi 'pn.alt\|ip6.arpa\|18.198' asked
	kill "$SPAWNED"
}

# libc puts its domains behind a name, and with AI_IDN takes other dots and letters
@test "what libc makes of a name does not get to the DNS either" {
	local own="$PN_ROOT/tests/e2e/own_dns.py" wide="${B_NAME%.pn.alt}。ｐｎ.alt"
	rm -f asked resolv.conf
	printf '%s\n' 'nameserver 127.0.0.1' 'search pn.alt example.org alt' \
		'options timeout:1 attempts:1' >resolv.conf
	mount --bind resolv.conf /etc/resolv.conf || skip "cannot have a resolv.conf here"
	mounted=/etc/resolv.conf
	spawn A dns.log timeout 60 python3 "$own" serve asked
	wait_until 10 grep -q ready asked
	run on A timeout 20 "$PN_BUILD/pnrun" python3 "$own" libc web web.pn nobody.pn。alt "$wide" \
		80 0x50 "10 x" web:80 ::80
	echo "$output"
	[ "$(grep -c "^$wide getaddrinfo.* idn $(hit_of B)$" <<<"$output")" -eq 2 ] ||
		grep -q "^$wide getaddrinfo idn -105" <<<"$output" # libidn2 is not there
	# all others are asked for, and the other domains are looked in
	grep -q '^udp web.example.org$' asked
	grep -q '^udp web.pn$' asked
	run ! grep -iF pn.alt asked
	# without the shim they are
	on A timeout 20 env PEERNET=off python3 "$own" libc web web.pn
	grep -q '^udp web.pn.alt$' asked
	kill "$SPAWNED"
}

# resolver HOW NAME TYPE
resolver()
{
	run on A timeout 20 "$PN_BUILD/pnrun" python3 "$PN_ROOT/tests/e2e/resolver.py" "$@"
	echo "$*: $output"
}

# As servers of many parts do: one listens, starts the next, which may not speak to the daemon
# any more when somebody comes
@test "who inherits a listener and then gives up its rights" {
	local mode
	[ "${PN_INSIDE-}" != "user namespace" ] || skip "nobody is no user here: needs root"
	cat >heir.py <<-'END'
		import os, socket, sys
		if sys.argv[1:] != ["heir"]:
		    s = socket.create_server(("::", 7104), family=socket.AF_INET6, dualstack_ipv6=True)
		    os.dup2(s.fileno(), 9)
		    os.execv(sys.executable, [sys.executable, sys.argv[0], "heir"])
		s = socket.socket(fileno=9)
		os.setgroups([])
		os.setgid(65534)
		os.setuid(65534)
		while True:
		    conn, peer = s.accept()
		    conn.sendall(b"from nobody")
		    conn.close()
	END
	chmod 600 B/api.sock
	for mode in native shim; do
		server $mode 7104 python3 heir.py
		client $mode python3 - "$(host $mode)" >heir.out <<-'END'
			import socket, sys
			print(socket.create_connection((sys.argv[1], 7104), 10).recv(100).decode())
		END
		[ "$(cat heir.out)" = "from nobody" ]
		server_stop
	done
	chmod 666 B/api.sock
}

# calls MODE COUNT: system calls about descriptors of a client that sends and receives so often
calls()
{
	local how=()
	[ "$1" = native ] || how=("$PN_BUILD/pnrun")
	on A timeout 30 strace -f -qq -e trace=%net,%desc -o calls "${how[@]}" python3 -c '
import socket, sys
with socket.create_connection((sys.argv[1], 7101)) as s:
    for _ in range(int(sys.argv[2])):
        s.send(b"x")
        assert s.recv(1) == b"x"' "$(host "$1")" "$2"
	wc -l <calls
}

@test "sending and receiving on streams makes no other system call" {
	local mode few many
	strace -qq -o /dev/null true 2>/dev/null || skip "strace cannot trace here"
	for mode in native shim; do
		server $mode 7101 python3 "$PN_ROOT/tests/e2e/sockets.py" serve
		wait_until 10 grep -q ready server.log
		few=$(calls $mode 100)
		many=$(calls $mode 1100)
		echo "$mode: $few, $many"
		# 1000 times two, give or take what the interpreter does now and then
		[ $((many - few)) -gt 1900 ]
		[ $((many - few)) -lt 2100 ]
		server_stop
	done
}

# Threads that open and close, while another one starts programs
@test "threads" {
	server shim 7101 python3 "$PN_ROOT/tests/e2e/sockets.py" serve
	client shim python3 - "$B_NAME" <<-'END'
		import os, socket, subprocess, sys, threading
		bad = []
		def work():
		    for _ in range(50):
		        try:
		            with socket.create_connection((sys.argv[1], 7101), timeout=10) as s:
		                s.sendall(b"abc")
		                assert s.recv(3) == b"abc"
		            for fd in os.pipe():
		                os.close(fd)
		        except Exception as e:
		            bad.append(repr(e))
		def start():
		    for _ in range(20):
		        subprocess.run(["true"], check=True)
		all = [threading.Thread(target=work) for _ in range(5)]
		all.append(threading.Thread(target=start))
		for t in all:
		    t.start()
		for t in all:
		    t.join()
		sys.exit("\n".join(bad[:5]) or 0)
	END
}

@test "PEERNET_ONLY" {
	server shim 8000 python3 -u -m http.server 8000
	client shim env PEERNET_ONLY=1 true
	on A timeout 30 "$PN_BUILD/pnrun" -o curl -sS "http://$B_NAME:8000/file" | cmp - file
	run on B timeout 30 "$PN_BUILD/pnrun" -o curl -sS http://127.0.0.1:8000/file
	[ "$status" -eq 7 ]
	run on B timeout 30 "$PN_BUILD/pnrun" -o curl -sS http://localhost:8000/file
	[ "$status" -ne 0 ]
}

@test "pnrun refuses what cannot be preloaded" {
	echo 'int main(void) { return 0; }' >t.c
	"${CC:-cc}" -static -o static t.c || skip "no static C library"
	run -126 "$PN_BUILD/pnrun" ./static
	[[ $output == *"statically linked"* ]]
	run -127 "$PN_BUILD/pnrun" no-such-program
	run -126 "$PN_BUILD/pnrun" ./file
	run -125 "$PN_BUILD/pnrun"
	run -125 env PNRUN_SHIM=/nonexistent "$PN_BUILD/pnrun" true
	[[ $output == *"/nonexistent"* ]]
	run -3 on A "$PN_BUILD/pnrun" sh -c 'exit 3'
}

# Programs that get rights from their file; under no_new_privs they do not, and run
@test "pnrun refuses programs with more rights than their user's" {
	mount | grep -q " on $(df --output=target . | tail -1) .*nosuid" && skip "a nosuid mount"
	chmod 755 .
	cp "$(command -v env)" own
	cp own setuid && chown nobody setuid && chmod u+s setuid
	cp own setgid && chgrp nogroup setgid && chmod g+s setgid
	run -126 on A "$PN_BUILD/pnrun" ./setuid true
	[[ $output == *"./setuid is setuid"* ]]
	run -126 on A "$PN_BUILD/pnrun" ./setgid true
	[[ $output == *"./setgid is setgid"* ]]
	printf '#!%s -i\n' "$PWD/setuid" >script && chmod +x script
	run -126 on A "$PN_BUILD/pnrun" ./script
	[[ $output == *"setuid is setuid"* ]]
	run -0 on A setpriv --no-new-privs "$PN_BUILD/pnrun" ./setuid \
		sh -c 'grep -q libpnpreload /proc/$$/maps'
	chown "$(id -u)" setuid && chmod u+s setuid
	run -0 on A "$PN_BUILD/pnrun" ./setuid sh -c 'grep -q libpnpreload /proc/$$/maps'
}

# Capabilities of the file: root has them anyway, others get them
@test "pnrun refuses programs with file capabilities" {
	cp "$(command -v env)" able
	python3 -c 'import os, struct
os.setxattr("able", "security.capability", struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0))' ||
		skip "no file capabilities here"
	chmod 755 . able
	run -0 on A "$PN_BUILD/pnrun" ./able true
	run -126 on A setpriv --reuid nobody --clear-groups "$PN_BUILD/pnrun" ./able true
	[[ $output == *"file capabilities"* ]]
	run -0 on A setpriv --reuid nobody --clear-groups --no-new-privs \
		"$PN_BUILD/pnrun" ./able true
}

# One byte of the header: the machine; and a loader that is not GNU's
@test "pnrun refuses programs for another machine or C library" {
	cp "$(command -v env)" other
	printf '\377' | dd of=other bs=1 seek=18 conv=notrunc status=none
	run -126 "$PN_BUILD/pnrun" ./other
	[[ $output == *"another architecture"* ]]
	cp "$(command -v env)" other
	printf '\001' | dd of=other bs=1 seek=4 conv=notrunc status=none
	run -126 "$PN_BUILD/pnrun" ./other
	[[ $output == *"another architecture"* ]]
	echo 'int main(void) { return 0; }' >m.c
	"${CC:-cc}" -Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1 -o musl m.c
	run -126 "$PN_BUILD/pnrun" ./musl
	[[ $output == *"not the GNU C library"* ]]
}

#!/usr/bin/env bats
# The daemon is killed and started anew, and servers listen again by themselves.
#
#	A a0 ---- b0 B

bats_require_minimum_version 1.5.0

setup_file()
{
	load lib
	net_up || return 0
	pair_up
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
}

teardown()
{
	if [ -z "${BATS_TEST_COMPLETED-}" ]; then
		tail -n 20 trace server.log 2>/dev/null
		show_logs 10
	fi
	[ -z "$server_pid" ] || kill "$server_pid" || true
}

# server PROGRAM...
server()
{
	rm -f trace server.log
	spawn B server.log timeout 60 "$@"
	server_pid=$SPAWNED
}

listening()
{
	ctl B --json sockets | jq -e --argjson port "$1" 'any(.sockets[]; .port == $port)' >/dev/null
}

# get PORT: what the server there answers to a client on A
get()
{
	on A timeout 10 "$PN_BUILD/pnrun" nc -N -w 5 "$B_NAME" "$1" </dev/null
}

# got PORT PATTERN
got()
{
	[[ $(get "$1") == $2 ]]
}

restart()
{
	stop B KILL
	# a client that comes meanwhile is told so
	run on B timeout 10 "$PN_BUILD/pnrun" nc -z "$(name_of A)" 9
	[ "$status" -eq 1 ]
	start B
	wait_until 15 listening "$1"
	wait_until 15 on A "$PN_BUILD/pnping" -c 1 -W 1 "$B_NAME" >/dev/null
}

# echoes PORT: a server of datagrams on B does
echoes()
{
	wait_until 15 on A "$PN_BUILD/pnping" -c 1 -W 1 "$B_NAME" >/dev/null
	wait_until 15 echoed "$1"
}

echoed()
{
	echo hello | on A timeout 10 "$PN_BUILD/pnrun" nc -u -w 1 "$B_NAME" "$1" | grep -q hello
}

@test "workers that share a listener listen again, and the kernel's clients wait for it" {
	server "$PN_BUILD/pnrun" -t trace python3 -c '
import os, socket
listener = socket.create_server(("0.0.0.0", 16448))
for worker in range(3):
    if os.fork() == 0:
        break
while True:
    conn, _ = listener.accept()
    conn.sendall(f"worker {os.getpid()}\n".encode())
    conn.close()'
	wait_until 10 listening 16448
	got 16448 "worker *"
	restart 16448
	got 16448 "worker *"
	run on B timeout 10 nc -w 5 127.0.0.1 16448 </dev/null
	[[ $output == "worker "* ]]
	# and once more
	restart 16448
	for _ in 1 2 3 4; do
		got 16448 "worker *"
	done
	[ "$(grep -c "listen on PeerNet again" trace)" -eq 2 ]
}

@test "a server that polls" {
	server "$PN_BUILD/pnrun" -t trace python3 -m http.server 8000
	wait_until 10 listening 8000
	restart 8000
	echo there >file
	run on A timeout 10 "$PN_BUILD/pnrun" curl -sS "http://$B_NAME:8000/file"
	[ "$output" = there ]
}

@test "a server with libpeernet" {
	server "$PN_BUILD/example-echo_server" 7000
	wait_until 10 listening 7000
	restart 7000
	echo again >in
	on A timeout 10 "$PN_BUILD/example-echo_client" "$B_NAME" 7000 <in | cmp in
}

@test "a server of datagrams" {
	server "$PN_BUILD/pnrun" -t trace python3 -c '
import select, socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 7777))
s.setblocking(False)
ep = select.epoll()
ep.register(s, select.EPOLLIN)
turns = 0
while True:
    ep.poll()
    turns += 1
    try:
        data, peer = s.recvfrom(100)
        s.sendto(data.strip() + b" in turn %d" % turns, peer)
    except BlockingIOError:
        pass
    except OSError as e:
        print(e, flush=True)'
	wait_until 10 grep -q "datagrams on PeerNet, port 7777: done" trace
	stop B KILL
	wait_until 10 grep -q "Network is down" server.log
	start B
	wait_until 15 grep -q "datagrams on PeerNet again, port 7777" trace
	wait_until 15 on A "$PN_BUILD/pnping" -c 1 -W 1 "$B_NAME" >/dev/null
	answered()
	{
		echo hello | on A timeout 10 "$PN_BUILD/pnrun" nc -u -w 1 "$B_NAME" 7777 >out
		grep -q "hello in turn" out
	}
	wait_until 15 answered
	# it has not turned round and round meanwhile
	[ "$(grep -c "Network is down" server.log)" -eq 1 ]
	[ "$(grep -oE "[0-9]+$" out)" -lt 20 ]
}

@test "who closed its listener is not woken" {
	server "$PN_BUILD/pnrun" -t trace python3 -m http.server 8001
	wait_until 10 listening 8001
	stop B KILL
	kill "$server_pid"
	wait "$server_pid" || true
	server_pid=
	start B
	run ! listening 8001
}

# A process learns of the new daemon when it asks it something; until then it may accept and
# connect.
@test "streams that come after a restart end well" {
	server "$PN_BUILD/pnrun" -t trace python3 -u -c '
import os, socket
listener = socket.create_server(("::", 7301), family=socket.AF_INET6)
for worker in range(3):
    if os.fork() == 0:
        break
while True:
    conn, _ = listener.accept()
    with conn:
        try:
            while conn.recv(100):
                pass
            print("end", flush=True)
            conn.sendall(b"there")
        except OSError as e:
            print(e, flush=True)'
	wait_until 10 listening 7301
	rm -f again client.log
	spawn B client.log timeout 60 "$PN_BUILD/pnrun" -t trace.client python3 -u -c '
import os, socket, sys, time
def once(wait):
    with socket.socket(socket.AF_INET6) as s:
        s.settimeout(wait)
        s.connect((sys.argv[1], 7301))
        s.shutdown(socket.SHUT_WR)
        try:
            while s.recv(100):
                pass
            print("end", flush=True)
        except OSError as e:
            print(e, flush=True)
once(None)
while not os.path.exists("again"):
    time.sleep(0.1)
for i in range(4):
    once(5 if i & 1 else None)
once(5)' "$(hit_of B)"
	lines()
	{
		[ "$(wc -l <"$1")" -ge "$2" ]
	}
	wait_until 10 lines client.log 1
	restart 7301
	touch again
	wait_until 15 lines client.log 6
	for _ in 1 2 3 4 5 6 7 8; do
		got 7301 there
	done
	cat server.log client.log
	run ! grep -v end server.log
	run ! grep -v end client.log
}

# It finds out when the new daemon looks for listeners no more
@test "a server of datagrams that was busy all the time" {
	server "$PN_BUILD/pnrun" -t trace python3 -u -c '
import select, signal, socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 7778))
s.setblocking(False)
ep = select.epoll()
ep.register(s, select.EPOLLIN)
time.sleep(16)
while True:
    ep.poll()
    try:
        data, peer = s.recvfrom(100)
        s.sendto(data, peer)
    except BlockingIOError:
        pass
    except OSError as e:
        print(e, flush=True)'
	wait_until 10 grep -q "datagrams on PeerNet, port 7778: done" trace
	stop B KILL
	start B
	wait_until 20 grep -q "Network is down" server.log
	echoes 7778
}

# Each of them has to have the port again, and says so by itself
@test "processes that share a socket for datagrams" {
	server "$PN_BUILD/pnrun" -t trace python3 -u -c '
import os, select, socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 7779))
s.setblocking(False)
for worker in range(2):
    if os.fork() == 0:
        break
turns = 0
while turns < 1000:
    select.select([s], [], [])
    turns += 1
    try:
        data, peer = s.recvfrom(100)
        s.sendto(data, peer)
    except BlockingIOError:
        pass
    except OSError as e:
        print(e, flush=True)
print("turns round and round")'
	wait_until 10 grep -q "datagrams on PeerNet, port 7779: done" trace
	stop B KILL
	wait_until 10 grep -q "Network is down" server.log
	start B
	for _ in 1 2 3 4 5 6 7 8; do     # who goes round and round says so meanwhile
		echoes 7779
	done
	cat server.log
	run ! grep -E "Address|turns" server.log
}

# They find out at the same time
@test "threads that share a socket for datagrams" {
	server "$PN_BUILD/pnrun" -t trace python3 -u -c '
import socket, threading
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 7781))
def serve():
    while True:
        try:
            data, peer = s.recvfrom(100)
            s.sendto(data, peer)
        except OSError as e:
            print(e, flush=True)
threads = [threading.Thread(target=serve) for _ in range(8)]
for t in threads:
    t.start()'
	wait_until 10 grep -q "datagrams on PeerNet, port 7781: done" trace
	for _ in 1 2 3; do
		stop B KILL
		wait_until 10 grep -q "Network is down" server.log
		start B
		echoes 7781
	done
	cat server.log
	run ! grep -vE "^(.*Network is down)*$" server.log
	[ "$(grep -o "Network is down" server.log | wc -l)" -le 24 ]
}

# It became one of PeerNet'"'"'s after the program had registered it
@test "a client of datagrams with epoll" {
	local client
	rm -f trace server.log client.log
	spawn A server.log timeout 60 "$PN_BUILD/pnrun" -t trace python3 -u -c '
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 7780))
while True:
    data, peer = s.recvfrom(100)
    s.sendto(data, peer)'
	server_pid=$SPAWNED
	wait_until 10 grep -q "datagrams on PeerNet, port 7780: done" trace
	spawn B client.log timeout 60 "$PN_BUILD/pnrun" -t trace.client python3 -u -c '
import select, socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setblocking(False)
ep = select.epoll()
ep.register(s, select.EPOLLIN)
while True:
    try:
        s.sendto(b"hello", (sys.argv[1], 7780))
    except OSError as e:
        print(e, flush=True)
    for fd, event in ep.poll(0.2):
        try:
            print(s.recv(100), flush=True)
        except OSError as e:
            print(e, flush=True)' "$(hit_of A)"
	client=$SPAWNED
	wait_until 10 grep -q hello client.log
	stop B KILL
	wait_until 10 grep -q "down" client.log
	start B
	: >client.log
	wait_until 15 grep -q hello client.log
	kill "$client"
}

# They bear the listener'"'"'s name, and are not to be woken
@test "a server that has not closed its connections accepts without an error" {
	server "$PN_BUILD/pnrun" -t trace python3 -u -c '
import socket
listener = socket.create_server(("::", 7303), family=socket.AF_INET6, backlog=100)
conns = []
while True:
    try:
        conn, _ = listener.accept()
        conns.append(conn)
        conn.sendall(b"there")
        conn.shutdown(socket.SHUT_WR)
    except OSError as e:
        print(e, flush=True)'
	wait_until 10 listening 7303
	run on A timeout 20 "$PN_BUILD/pnrun" python3 -c '
import socket, sys
for _ in range(60):
    with socket.create_connection((sys.argv[1], 7303)) as s:
        assert s.recv(9) == b"there"' "$B_NAME"
	[ "$status" -eq 0 ]
	restart 7303
	got 7303 there
	cat server.log
	[ ! -s server.log ]
}

# Who listened once there needs no right to do it again
@test "a server that has given up its privileges" {
	server "$PN_BUILD/pnrun" -t trace python3 -u -c '
import os, socket
listener = socket.create_server(("::", 81), family=socket.AF_INET6)
os.setgid(65534)
os.setuid(65534)
while True:
    conn, _ = listener.accept()
    conn.sendall(b"there")
    conn.close()'
	wait_until 10 listening 81
	restart 81
	got 81 there
}

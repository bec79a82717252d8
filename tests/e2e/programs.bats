#!/usr/bin/env bats
# THE TABLE: unmodified programs of Debian, as client and as server, in three columns at the same
# time: natively, on the loopback of N; over the shim, the server on B and the client on A; and
# over the shim, on D and C, where the daemons delay each frame by 30 ms and lose one in a hundred.
# What each does, and looks at, stands in programs.bash; the call that makes it hard:
#
#	curl, wget      non-blocking connect, poll, getaddrinfo in a thread; many at once
#	ab              epoll before connect, keep-alive
#	aria2           a resolver of its own (c-ares), parts of a file at once
#	netcat-openbsd  TCP and UDP; recvfrom(MSG_PEEK), then connect() of a UDP server
#	socat           fork for each connection, select, half-close; fork for each datagram
#	python3         http.server: IPv4 only, threads, a backlog of five, sendfile; asyncio: epoll,
#	                listeners for both families on one port
#	node            libuv: accept4 in a loop, writev, shutdown, sockets registered before connect
#	nginx           sendfile, forked workers with EPOLLEXCLUSIVE or SO_REUSEPORT, listeners that
#	                are handed to new workers, a client of its own
#	redis           two listeners, pipelines, many small writes
#	vsftpd, lftp    the server connects to the client, from a port it binds; getifaddrs; capabilities,
#	                seccomp, chroot
#	dovecot         listeners that are inherited, then chroot and no rights; connections that are
#	                passed on in messages
#	postgresql      a process for each connection, epoll, latches; cancelling by another connection
#	git             a daemon that forks, its children's input and output a socket; CGI
#	openssh         re-executes itself for each connection, gives up its rights, chroot, seccomp
#	iperf3          TCP_INFO and other options, select, parallel streams, UDP
#	fossil          a server that forks for each request
#
# The table itself is in $PN_BUILD/programs.md afterwards.
#
#	N      A a0 ---- b0 B      C c0 -- 30 ms, 1 % -- d0 D

bats_require_minimum_version 1.5.0

setup_file()
{
	load lib
	net_up || return 0
	node N A B C D
	cable A a0 B b0
	cable C c0 D d0
	configure A eth:a0
	configure B eth:b0
	configure C eth:c0,delay=30ms,loss=1%
	configure D eth:d0,delay=30ms,loss=1%
	local name
	for name in A B C D; do
		start "$name"
		declare -gx "${name}_NAME=$(name_of "$name")"
	done
	mkdir "$PN_DIR/logs" "$PN_DIR/cells"
	wait_until 15 on A "$PN_BUILD/pnping" -c 1 -W 1 "$B_NAME" >/dev/null
	wait_until 15 on C "$PN_BUILD/pnping" -c 1 -W 1 "$D_NAME" >/dev/null
}

teardown_file()
{
	load lib
	[ -z "${PN_DIR-}" ] || table >"$PN_BUILD/programs.md"
	net_down
}

setup()
{
	load lib
	[ -n "${PN_DIR-}" ] || skip "needs to make network namespaces"
	cd "$PN_DIR" || return
}

teardown()
{
	[ -n "${BATS_TEST_COMPLETED-}" ] || show_logs 10
}

# the table as it came to be, in Markdown
table()
{
	echo "| Program | as | what | native | over PeerNet | 30 ms, 1 % loss |"
	echo "|---|---|---|---|---|---|"
	cat "$PN_DIR/table" 2>/dev/null
}

# cell ROW COLUMN: its work; the outcome in cells/
cell()
{
	local from=$EPOCHREALTIME us outcome=FAILED
	timeout 90 "$PN_ROOT/tests/e2e/programs.bash" "$1" "$2" >"logs/$1.$2" 2>&1 3>&- &&
		outcome=ok
	us=$((${EPOCHREALTIME/[.,]/} - ${from/[.,]/}))
	printf '%s, %d.%d s' "$outcome" $((us / 1000000)) $((us / 100000 % 10)) >"cells/$1.$2"
}

# works PROGRAM ROLE ROW WHAT: in all columns
works()
{
	local column bad=0
	for column in native shim slow; do
		cell "$3" "$column" &
	done
	wait
	for column in native shim slow; do
		grep -q ^ok "cells/$3.$column" && continue
		bad=1
		echo "--- $3, $column: $(cat "cells/$3.$column")"
		tail -n 15 "logs/$3.$column"
		echo "--- its server"
		tail -n 10 "rows/$3.$column/server.log" || true
	done
	echo "| $1 | $2 | $4 | $(cat "cells/$3.native") | $(cat "cells/$3.shim") |" \
		"$(cat "cells/$3.slow") |" >>table
	return $bad
}

# needs_root WHO: in a user namespace nobody can become somebody else
needs_root()
{
	[ "${PN_INSIDE-}" != "user namespace" ] || skip "$1 gives up the rights of root: needs root"
}

@test "curl" {
	works curl client curl "files from http.server, IPv6 and IPv4, many at once"
}

@test "wget" {
	works wget client wget "a file, the rest of a file, a tree"
}

@test "ab" {
	needs_root nginx
	works ab client ab "requests at once to nginx, with and without keep-alive"
}

@test "aria2" {
	needs_root nginx
	works aria2 client aria2 "a file in parts, from nginx"
}

@test "netcat, TCP" {
	works netcat-openbsd both nc_tcp "bytes both ways, a port scan"
}

@test "netcat, UDP" {
	works netcat-openbsd both nc_udp "datagrams both ways"
}

@test "socat" {
	works socat both socat "fork for each connection, and for each datagram"
}

@test "python3 http.server" {
	works "python3 http.server, urllib" both python_http "files to many threads at once"
}

@test "python3 asyncio" {
	works "python3 asyncio" both asyncio "streams and datagrams"
}

@test "node, server" {
	works node server node_server "files to curl and from it"
}

@test "node, client" {
	works node client node_client "files on connections kept alive"
}

@test "nginx, static" {
	needs_root nginx
	works nginx server nginx_static "sendfile, ranges, two workers"
}

@test "nginx, proxy" {
	needs_root nginx
	works nginx both nginx_proxy "proxy_pass to http.server on the client's node"
}

@test "nginx, reuseport" {
	needs_root nginx
	works nginx server nginx_reuseport "two workers with listeners of their own"
}

@test "nginx, reload" {
	needs_root nginx
	works nginx server nginx_reload "another configuration during a download"
}

@test "redis" {
	works "redis, redis-benchmark" both redis "values, pipelines; each command counted"
}

@test "FTP" {
	needs_root vsftpd
	works "vsftpd, lftp, curl" both ftp "files both ways, passive and active"
}

@test "IMAP" {
	needs_root dovecot
	[[ $(dovecot --version) == 2.3.* ]] || skip "2.4 has another configuration"
	works "dovecot, curl" both imap "a letter there and back, a search, a wrong password"
}

@test "PostgreSQL" {
	needs_root postgresql
	works "postgresql, psql, pgbench" both postgresql "COPY both ways, transactions, a cancelled query"
}

@test "git over its own protocol" {
	works git both git "git://: clone, push, fsck"
}

@test "git over HTTP" {
	works git both git_http "http://: clone, push, fsck; CGI of http.server"
}

@test "ssh" {
	needs_root sshd
	works "openssh ssh, sshd" both ssh "a command with data both ways, its status, a terminal"
}

@test "scp" {
	needs_root sshd
	works "openssh scp, sshd" both scp "there and back, over SFTP and without"
}

@test "fossil" {
	works fossil both fossil "a wiki cloned, and synchronised both ways"
}

@test "iperf3, TCP" {
	works iperf3 both iperf3 "TCP, backwards (-R), four streams (-P 4)"
}

@test "iperf3, UDP" {
	works iperf3 both iperf3_udp "UDP, 4 and 1 Mbit/s, both ways"
}

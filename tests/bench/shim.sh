#!/bin/bash
# What sockets over the shim cost beside native ones: a Markdown table, on standard output.
#
# usage: tests/e2e/inside.sh tests/bench/shim.sh
#	COUNT=2000 SECONDS_EACH=3 HOLD=10000
#
# Native: over the loopback of one namespace.  Shim: client on A, server on B, one
# Ethernet link (veth) between, session up.  Medians of three, taken in turn.
set -u
cd "$(dirname "$0")/../e2e" || exit 2
. ./lib.bash
count=${COUNT:-2000} seconds=${SECONDS_EACH:-3} hold=${HOLD:-10000} port=7300
net_up || { echo "shim: needs to make network namespaces" >&2; exit 2; }
trap net_down EXIT
ulimit -n "$(ulimit -Hn)"
tool=$PN_BUILD/sockrate run=$PN_BUILD/pnrun
node A B
cable A a0 B b0
configure A eth:a0
configure B eth:b0
start A
start B
host=$(name_of B)
wait_until 15 on A "$PN_BUILD/pnping" -c 1 -W 1 "$host" >/dev/null || exit 1

server()
{
	: >"$PN_DIR/ready"
	spawn "$1" "$PN_DIR/ready" "${@:2}" "$tool" serve "$port"
	wait_until 10 grep -q ready "$PN_DIR/ready"
}
server A
native_pid=$SPAWNED
server B "$run"
shim_pid=$SPAWNED

median()
{
	sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
# row NAME ARGUMENT...: of sockrate, HOST and PORT standing for themselves
row()
{
	local name=$1 i
	shift
	: >"$PN_DIR/native"
	: >"$PN_DIR/shim"
	for i in 1 2 3; do
		on A "$tool" "$1" 127.0.0.1 "$port" "${@:2}" >>"$PN_DIR/native" || return
		on A "$run" "$tool" "$1" "$host" "$port" "${@:2}" >>"$PN_DIR/shim" || return
	done
	echo "| $name | $(median <"$PN_DIR/native") | $(median <"$PN_DIR/shim") |"
}
echo "| | native | shim, one hop |"
echo "|---|---|---|"
row "connect, median of $count (us)" connect "$count"
row "connect, accept and close, 1 at a time (per second)" rate "$seconds" 1
row "connect, accept and close, 16 at a time (per second)" rate "$seconds" 16
echo "| $hold sockets open in one process | $(on A "$tool" hold 127.0.0.1 "$port" "$hold") \
| $(on A "$run" "$tool" hold "$host" "$port" "$hold") |"
kill "$native_pid" "$shim_pid"

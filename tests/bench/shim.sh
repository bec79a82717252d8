#!/bin/bash
# What sockets over the shim cost beside native ones: a Markdown table, on standard output.
#
# usage: tests/e2e/inside.sh tests/bench/shim.sh
#	COUNT=2000 SECONDS_EACH=3 HOLD=10000 REQUESTS=20000
#
# Native: over the loopback of one namespace.  Shim: client on A, server on B, one
# Ethernet link (veth) between, session up.  Medians of three, taken in turn.
set -u
cd "$(dirname "$0")/../e2e" || exit 2
. ./lib.bash
count=${COUNT:-2000} seconds=${SECONDS_EACH:-3} hold=${HOLD:-10000}
requests=${REQUESTS:-20000}
net_up || { echo "shim: needs to make network namespaces" >&2; exit 2; }
ulimit -n "$(ulimit -Hn)"
tool=$PN_BUILD/sockrate run=$PN_BUILD/pnrun
LOG_LEVEL=info                  # as users have it
pair_up || exit 1
host=$B_NAME

cd "$PN_DIR" || exit
mkdir A/www B/www
for d in A/www B/www; do
	cat >$d/nginx.conf <<-END
		daemon off; master_process off; pid nginx.pid; error_log stderr;
		events { worker_connections 4096; }
		http { access_log off; server { listen 7302 backlog=511; root .; } }
	END
	head -c 1000 /dev/zero >$d/small
done
servers=()
# serve_both PORT PROGRAM...: natively on A, and over the shim on B, in directories of their own
serve_both()
{
	local port=$1
	shift
	spawn A A/www/log env -C A/www "$@"
	servers+=("$SPAWNED")
	spawn B B/www/log env -C B/www "$run" "$@"
	servers+=("$SPAWNED")
	wait_until 10 on A nc -z 127.0.0.1 "$port" && wait_until 10 on A "$run" nc -z "$host" "$port"
}
trap '[ -z "${DEBUG-}" ] || tail -n 5 [AB]/www/log >&2; kill "${servers[@]}" 2>/dev/null; net_down' EXIT
serve_both 7300 "$tool" serve 7300 &&
serve_both 7301 redis-server --port 7301 --bind '* -::*' --protected-mode no --save '' &&
serve_both 7302 nginx -p . -e stderr -c nginx.conf || exit 1

median()
{
	sort -g | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
# each prints one number; HOW is nothing or pnrun
sockets()
{
	"${how[@]}" "$tool" "$1" "$at" 7300 "${@:2}"
}
redis()
{
	"${how[@]}" redis-benchmark -h "$at" -p 7301 -t "$1" -c 50 -n "$requests" -q --csv |
		tail -n 1 | cut -d'"' -f4
}
web()
{
	"${how[@]}" ab -q -c 100 -n "$requests" "http://$at:7302/small" |
		awk '/^Failed|^Non-2xx/ && $NF + 0 { exit 1 } /^Requests per second/ { print $4 }'
}
# row NAME COMMAND...: native and shim in turn, three times or $repeats
row()
{
	local name=$1 i how at
	shift
	: >results.native
	: >results.shim
	for ((i = 0; i < ${repeats:-3}; i++)); do
		how=(on A) at=127.0.0.1
		"$@" >>results.native || exit 1
		how=(on A "$run") at=$host
		"$@" >>results.shim || exit 1
	done
	printf '| %s | %s | %s |' "$name" "$(median <results.native)" "$(median <results.shim)"
	echo " $(median <results.native) $(median <results.shim)" |
		awk '{ printf " %.2f |\n", $2 / $1 }'
}
echo "| | native | shim, one hop | ratio |"
echo "|---|---|---|---|"
row "connect, median of $count (us)" sockets connect "$count"
row "connect, accept and close, 1 at a time (per second)" sockets rate "$seconds" 1
row "connect, accept and close, 16 at a time (per second)" sockets rate "$seconds" 16
repeats=1 row "$hold sockets open in one process (s)" sockets hold "$hold"
row "redis-benchmark SET, -c 50 (per second)" redis set
row "redis-benchmark GET, -c 50 (per second)" redis get
row "ab -c 100, 1,000 bytes of nginx (per second)" web

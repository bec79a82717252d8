#!/bin/bash
# make demo: five nodes, a fetch by name over four hops, and a path that breaks.
#
#	A ---- B ---- C ~~~~ (the Internet) ~~~~ D ---- E
#	 cable  cable    r1 ---- r2                cable
#	        |                                  |
#	        + ~ ~ ~ ~ ~ ~ r3 ~ ~ ~ ~ ~ ~ ~ ~ ~ +	added in step 6
#
# A to E are network namespaces with a pnstackd each.  On the cables there is no IP at
# all; C reaches D by UDP through the IP routers r1 and r2, as over the Internet.
#
# usage: demo.sh		(build first; `make demo` does everything)
set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/e2e/lib.bash
. "$here/lib.bash"

if [ -z "${PN_INSIDE+set}" ]; then
	exec "$here/inside.sh" "$here/demo.sh" "$@"
fi

size=$((100 * 1000 * 1000))
begin=${EPOCHREALTIME/[.,]/}

say()
{
	printf '%s\n' "$*"
}

step()
{
	step_number=$((${step_number-0} + 1))
	printf '\n%s== %d. %s%s\n' "$bold" "$step_number" "$*" "$plain"
}

# shown NODE COMMAND...: show the command, then run it on the node
shown()
{
	local node=$1
	shift
	say "$node\$ ${*//"$PN_BUILD/"/}"
	on "$node" "$@"
}

fail()
{
	printf '\ndemo: %s\n' "$*" >&2
	show_logs 15 >&2
	exit 1
}

clean_up()
{
	rc=$?
	trap '' INT TERM HUP
	trap - EXIT
	[ "$rc" -eq 0 ] || say "(cleaning up)"
	kill ${download:+"$download"} ${server:+"$server"} ${watcher:+"$watcher"} 2>/dev/null
	net_down
	exit "$rc"
}

if [ -t 1 ]; then
	bold=$'\e[1m' plain=$'\e[0m'
else
	bold='' plain=''
fi
for program in jq curl python3 ip nsenter; do
	command -v "$program" >/dev/null || {
		echo "demo: no $program here; run: make deps" >&2
		exit 2
	}
done
for program in pnstackd pnctl pnping pntrace pnrun libpnpreload.so; do
	[ -e "$PN_BUILD/$program" ] || {
		echo "demo: no $PN_BUILD/$program; run: make" >&2
		exit 2
	}
done
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
TMPDIR=${PN_INSIDE:+/run} net_up || {
	echo "demo: network namespaces are needed: become root, or install sudo" >&2
	exit 2
}

# --- the world ----------------------------------------------------------------

build_world()
{
	node A B C D E r1 r2 r3 &&
	cable A to-b B to-a && cable B to-c C to-b && cable D to-e E to-d &&
	cable C net r1 c && cable r1 r2 r2 r1 && cable r2 d D net &&
	address C net 192.0.2.2/24 && address r1 c 192.0.2.1/24 &&
	address r1 r2 198.51.100.1/24 && address r2 r1 198.51.100.2/24 &&
	address r2 d 203.0.113.1/24 && address D net 203.0.113.2/24 &&
	on C ip route add default via 192.0.2.1 &&
	on r1 ip route add 203.0.113.0/24 via 198.51.100.2 &&
	on r2 ip route add 192.0.2.0/24 via 198.51.100.1 &&
	on D ip route add default via 203.0.113.1 &&
	on r1 sysctl -qw net.ipv4.ip_forward=1 && on r2 sysctl -qw net.ipv4.ip_forward=1 &&
	on r3 sysctl -qw net.ipv4.ip_forward=1
}

# B and D get a way to each other through a second provider
build_second_provider()
{
	cable B net r3 b && cable r3 d D net2 &&
	address B net 10.1.0.2/24 && address r3 b 10.1.0.1/24 &&
	address r3 d 10.2.0.1/24 && address D net2 10.2.0.2/24 &&
	on B ip route add default via 10.1.0.1 &&
	on D ip route add 10.1.0.0/24 via 10.2.0.1
}

start_daemons()
{
	configure D eth:to-e udp-listen:6264 && start D || return
	configure C eth:to-b "udp:203.0.113.2:6264#$(id_of D)" &&
	configure A eth:to-b && configure B eth:to-a eth:to-c && configure E eth:to-d &&
	start C && start A && start B && start E
}

# one_network NODE...: are they in the same area tree?
one_network()
{
	local name root first=
	for name; do
		root=$(ctl "$name" --json status | jq -r .root)
		[ "$root" = "${first:=$root}" ] || return 1
	done
}

# --- downloads ------------------------------------------------------------------

# watch_file FILE EVENTS: note when the file grew; one line "microseconds bytes" each
watch_file()
{
	python3 -c '
import os, sys, time
path, last = sys.argv[1], -1
while True:
    try:
        size = os.stat(path).st_size
    except FileNotFoundError:
        size = 0
    if size != last:
        print(int(time.time() * 1e6), size, flush=True)
        last = size
    time.sleep(0.002)
' "$1" >"$2"
}

has_grown_to()
{
	[ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -ge "$2" ]
}

# longest_pause EVENTS SINCE: the longest time without a new byte after SINCE, in ms
longest_pause()
{
	awk -v since="$2" '$1 < since { last = since; next }
		last { d = $1 - last; if (d > max) max = d }
		{ last = $1 }
		END { printf "%d", max / 1000 }' "$1"
}

checksum()
{
	sha256sum "$1" | cut -d' ' -f1
}

# --- the show ---------------------------------------------------------------------

say "Five nodes, each with its own key, in network namespaces:"
say
say "   A ----- B ----- C ~~~~~ r1 ----- r2 ~~~~~ D ----- E"
say "     cable   cable     UDP through two IP     cable"
say "                       routers"
say
say "The cables carry no IP. A and E have no address but their names."

build_world || fail "cannot build the namespaces"

step "Neighbours find each other"
start_daemons || fail "the daemons did not start"
for n in A B C D E; do
	jq -n --arg a "$(name_of "$n")" --arg b "$n" -r '"\($a) \($b | ascii_downcase)"'
done >"$PN_DIR/petnames"
# that file is looked at once a second
for n in A B C D E; do
	wait_until 5 ctl "$n" resolve e >/dev/null 2>&1 || fail "$n does not read its petnames"
done
wait_until 20 one_network A B C D E || fail "the five nodes did not become one network in 20 s"
say "B hears A and C on its two cables; nobody configured that:"
shown B "$PN_BUILD/pnctl" neighbours
say "C was given one line, udp:203.0.113.2:6264#<identity of D>:"
shown C "$PN_BUILD/pnctl" neighbours

step "They have become one network"
for n in A B C D E; do
	say "$n: $(ctl "$n" --json status | jq -r \
		'"address \(.addresses[0]) in a tree of height \(.height), network \(.root)"')"
done
say "(The petnames a to e are in a file; without it nodes show by their keys.)"

E=$(name_of E)
step "A pings E, whose name is its key"
shown A "$PN_BUILD/pnping" -c 5 -i 0.2 "$E" || fail "E does not answer"

step "The way from A to E"
shown A "$PN_BUILD/pntrace" "$E" || fail "the trace did not reach E"

step "An unmodified curl fetches 100 MB from an unmodified python3 -m http.server"
mkdir "$PN_DIR/www" || fail "cannot make a directory"
cd "$PN_DIR/www" || fail "cannot go to $PN_DIR/www"
head -c "$size" /dev/urandom >file || fail "no space for the file to be served"
want=$(checksum file)
say "E\$ pnrun python3 -m http.server 8000"
spawn E "$PN_DIR/E/http.log" "$PN_BUILD/pnrun" python3 -m http.server 8000
server=$SPAWNED
serves()
{
	ctl E --json sockets | jq -e 'any(.sockets[]; .type == "listener" and .port == 8000)' \
		>/dev/null
}
wait_until 10 serves || fail "the web server did not start: $(tail -n 3 "$PN_DIR/E/http.log")"
say "A\$ pnrun curl -o file http://$E:8000/file"
on A "$PN_BUILD/pnrun" curl -sS -o "$PN_DIR/A/file" \
	-w '   %{size_download} bytes in %{time_total} s, %{speed_download} bytes/s\n' \
	"http://$E:8000/file" || fail "curl failed"
[ "$(checksum "$PN_DIR/A/file")" = "$want" ] || fail "the file arrived damaged"
say "   sha256 $want: the same on both sides"
rm "$PN_DIR/A/file"

step "A second path is added: B ~~~ r3 ~~~ D, through another provider"
build_second_provider || fail "cannot add the second path"
shown D "$PN_BUILD/pnctl" link add udp-listen:10.2.0.2:6265,cost=2000 &&
	shown B "$PN_BUILD/pnctl" link add "udp:10.2.0.2:6265#$(id_of D),cost=2000" ||
	fail "the link was refused"
has_backup()
{
	ctl B --json neighbours | jq -e --arg d "$id_D" 'any(.neighbours[]; .identity == $d)' >/dev/null
}
id_D=$(id_of D)
wait_until 10 has_backup || fail "B and D did not become neighbours"
wait_until 20 one_network A B C D E || fail "the network did not come to rest"
# through_c NODE NAME: do packets from NODE to NAME pass C?
through_c()
{
	on "$1" "$PN_BUILD/pntrace" --json -q 1 "$2" | jq -e 'any(.hops[]; .name == "c")' >/dev/null
}
both_through_c()
{
	through_c A "$E" && through_c E "$(name_of A)"
}
wait_until 5 both_through_c || fail "the dear path is used although there is another one"
say "It is dear (cost=2000), so that for now everything still goes through C, both ways:"
shown A "$PN_BUILD/pntrace" -q 1 "$E" || fail "the trace did not reach E"
shown E "$PN_BUILD/pntrace" -q 1 "$(name_of A)" || fail "the trace did not reach A"

step "The first path is cut during a download"
say "A\$ pnrun curl --limit-rate 20M http://<E>:8000/file"
touch "$PN_DIR/A/file2"
watch_file "$PN_DIR/A/file2" "$PN_DIR/events" &
watcher=$!
spawn A "$PN_DIR/A/curl.log" \
	"$PN_BUILD/pnrun" curl -sS --limit-rate 20M -o "$PN_DIR/A/file2" "http://$E:8000/file"
download=$SPAWNED
wait_until 20 has_grown_to "$PN_DIR/A/file2" $((size / 4)) || fail "the download does not start"
cut=${EPOCHREALTIME/[.,]/}
on r1 ip route replace blackhole 203.0.113.0/24 &&
	on r2 ip route replace blackhole 192.0.2.0/24 || fail "cannot cut the path"
say "   after $(stat -c %s "$PN_DIR/A/file2") bytes the line between r1 and r2 is cut"
say "   (nobody is told: packets just vanish in there)"
wait_until 40 dead "$download" || fail "the download does not end"
wait "$download" || fail "the download broke off: $(cat "$PN_DIR/A/curl.log")"
download=
kill "$watcher"
wait "$watcher" 2>/dev/null
watcher=
pause=$(longest_pause "$PN_DIR/events" "$cut")
[ "$(checksum "$PN_DIR/A/file2")" = "$want" ] || fail "the file arrived damaged"
say "   the download went on by itself and ended: sha256 is right"
say "   it paused for $((pause / 1000)).$(printf %03d $((pause % 1000))) s"
reaches_e()
{
	on A "$PN_BUILD/pnping" -q -c 1 -W 1 "$E" >/dev/null
}
wait_until 15 reaches_e || fail "E cannot be reached any more"
say "Now the way is another one:"
shown A "$PN_BUILD/pntrace" -q 1 "$E" || fail "the trace did not reach E"
[ "$pause" -le 5000 ] || fail "a pause of $pause ms is longer than the 5 s that were promised"

elapsed=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000000))
printf '\n%sThat was all, in %d seconds. Nothing of it is left behind.%s\n' \
	"$bold" "$elapsed" "$plain"

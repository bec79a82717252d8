# shellcheck shell=bash
# Nodes in network namespaces, for the tests and the demo.
#
# A node NAME is a network namespace, a directory $PN_DIR/NAME (configuration, key,
# log, socket) and perhaps a running daemon.  Namespaces carry $PN_TAG, everything
# goes away with net_down.

: "${PN_ROOT:=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}"
: "${PN_BUILD:=$PN_ROOT/build}"
export PN_ROOT PN_BUILD

# net_up: somewhere to put nodes.  Return: 1 if this user cannot make namespaces here
net_up()
{
	export PN_TAG=pn$$x$RANDOM
	[ "$(id -u)" -eq 0 ] || return 1
	PN_DIR=$(mktemp -d "${TMPDIR:-/tmp}/peernet-XXXXXX") || return 1
	chmod 755 "$PN_DIR"
	export PN_DIR
	if ! ip netns add "$PN_TAG-probe" 2>/dev/null; then
		rm -rf "$PN_DIR"
		return 1
	fi
	ip netns del "$PN_TAG-probe"
}

# net_down: end all daemons, remove all namespaces and files
net_down()
{
	local node pid
	[ -n "${PN_DIR-}" ] || return 0
	# all are told before the first is waited for
	for pid in "$PN_DIR"/*/pid; do
		[ ! -e "$pid" ] || kill -TERM "$(cat "$pid")" 2>/dev/null || true
	done
	for node in $(nodes); do
		stop "$node" TERM
		# programs that a test left behind in there
		for pid in $(ip netns pids "$PN_TAG-$node" 2>/dev/null); do
			kill -KILL "$pid" 2>/dev/null
		done
		ip netns del "$PN_TAG-$node" 2>/dev/null
	done
	for node in $(awk -v dir="$PN_DIR/" 'index($2, dir) == 1 { print $2 }' /proc/mounts); do
		umount "$node"
	done
	rm -rf "$PN_DIR"
	unset PN_DIR
}

# nodes: all of them
nodes()
{
	(cd "$PN_DIR" && ls -d -- */ 2>/dev/null | tr -d /)
}

# node NAME...: make them, with a loopback and without IPv6 of their own accord
node()
{
	local name
	for name; do
		ip netns add "$PN_TAG-$name" || return
		mkdir -p "$PN_DIR/$name"
		on "$name" ip link set lo up
		on "$name" sysctl -qw net.ipv6.conf.default.addr_gen_mode=1 2>/dev/null
	done
	return 0
}

# on NODE COMMAND...: run it in the node's namespace, talking to the node's daemon
on()
{
	local name=$1
	shift
	PEERNET_SOCKET="$PN_DIR/$name/api.sock" nsenter --net="/run/netns/$PN_TAG-$name" "$@"
}

# spawn NODE FILE COMMAND...: the same in the background, with its output in FILE;
# its process id is in $SPAWNED
spawn()
{
	local name=$1 file=$2
	shift 2
	# 3 is the descriptor on which bats waits; each exec keeps the process id
	(
		export PEERNET_SOCKET="$PN_DIR/$name/api.sock"
		exec nsenter --net="/run/netns/$PN_TAG-$name" "$@"
	) >>"$file" 2>&1 </dev/null 3>&- &
	SPAWNED=$!
}

# cable NODE INTERFACE NODE INTERFACE: an Ethernet cable without any IP address
cable()
{
	ip link add name "$2" netns "$PN_TAG-$1" type veth peer name "$4" netns "$PN_TAG-$3" &&
		on "$1" ip link set dev "$2" up && on "$3" ip link set dev "$4" up
}

# address NODE INTERFACE ADDRESS/LEN...
address()
{
	local name=$1 interface=$2 a
	shift 2
	for a; do
		case $a in
		*:*) on "$name" ip addr add "$a" dev "$interface" nodad || return ;;
		*) on "$name" ip addr add "$a" dev "$interface" || return ;;
		esac
	done
}

# configure NODE LINK...: write its configuration; $CONFIG_MORE is put into it, as
# '"ethernet": false'
configure()
{
	local name=$1 dir=$PN_DIR/$1 link list=
	shift
	for link; do
		list="$list${list:+, }\"$link\""
	done
	cat >"$dir/pnstackd.conf" <<-END
	{
		"state": "$dir/state",
		"petnames": "$PN_DIR/petnames",
		"api": { "path": "$dir/api.sock", "mode": "0666" },
		"log": { "level": "${LOG_LEVEL:-debug}" },
		${CONFIG_MORE:+$CONFIG_MORE,}
		"links": [ $list ]
	}
	END
}

# start NODE [OPTION...]: start its daemon and wait until it answers
start()
{
	local name=$1
	shift
	start_only "$name" "$@"
	if ! wait_until 10 answers_or_ended "$name" || ! answers "$name"; then
		echo "the daemon of $name did not start:" >&2
		tail -n 5 "$PN_DIR/$name/log" >&2
		return 1
	fi
}

# start_only NODE [OPTION...]: without waiting
start_only()
{
	local name=$1
	shift
	spawn "$name" "$PN_DIR/$name/log" "$PN_BUILD/pnstackd" -c "$PN_DIR/$name/pnstackd.conf" "$@"
	echo "$SPAWNED" >"$PN_DIR/$name/pid"
}

answers()
{
	ctl "$1" id >/dev/null 2>&1
}

answers_or_ended()
{
	answers "$1" || ! running "$1"
}

# alive PID: a zombie is not
alive()
{
	local word state=
	while read -r word state _; do
		[ "$word" != State: ] || break
	done 2>/dev/null <"/proc/$1/status" || return
	[ -n "$state" ] && [ "$state" != Z ]
}

dead()
{
	! alive "$1"
}

# running NODE: is its daemon alive?
running()
{
	local pid
	pid=$(cat "$PN_DIR/$1/pid" 2>/dev/null) && alive "$pid"
}

ended()
{
	! running "$1"
}

# stop NODE [SIGNAL]: and wait for its end
stop()
{
	local pid
	pid=$(cat "$PN_DIR/$1/pid" 2>/dev/null) || return 0
	kill -"${2:-TERM}" "$pid" 2>/dev/null || true
	wait_until 10 ended "$1" || kill -KILL "$pid" 2>/dev/null || true
	# it is a child of ours only if this process has started it
	wait "$pid" 2>/dev/null || true
	rm -f "$PN_DIR/$1/pid"
}

# ctl NODE ARGUMENT...: pnctl for that node
ctl()
{
	local name=$1
	shift
	"$PN_BUILD/pnctl" -s "$PN_DIR/$name/api.sock" "$@"
}

# name_of NODE, hit_of NODE
name_of()
{
	ctl "$1" --json id | jq -r .host
}

hit_of()
{
	ctl "$1" --json id | jq -r .hit
}

# wait_until SECONDS COMMAND...: until it succeeds.  Return: 1 when the time is over
wait_until()
{
	local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# show_logs: the end of each log, for a test that has failed
show_logs()
{
	local node
	for node in $(nodes); do
		[ -e "$PN_DIR/$node/log" ] || continue
		echo "--- log of $node"
		tail -n "${1:-30}" "$PN_DIR/$node/log"
	done
}

# id_of NODE: the key alone, 52 characters
id_of()
{
	ctl "$1" --json id | jq -r .identity
}

# pair_up: two nodes, a cable, and daemons that have met; B's name is in $B_NAME.
#	A a0 ---- b0 B
pair_up()
{
	node A B
	cable A a0 B b0
	configure A eth:a0
	configure B eth:b0
	start A
	start B
	B_NAME=$(name_of B)
	export B_NAME
	wait_until 15 on A "$PN_BUILD/pnping" -c 1 -W 1 "$B_NAME" >/dev/null
}

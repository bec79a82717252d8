# shellcheck shell=bash
# Many nodes at once: what lib.bash does one by one takes too long for fifty.  Load it
# after lib.bash.

# batch: `ip` commands from standard input, all in one process
batch()
{
	ip -batch -
}

# nodes_quick NAME...: as node(), for many
nodes_quick()
{
	local name
	printf "netns add $PN_TAG-%s\n" "$@" | batch || return
	for name; do
		mkdir -p "$PN_DIR/$name"
		echo 1 | on "$name" tee /proc/sys/net/ipv6/conf/default/addr_gen_mode >/dev/null
	done
	for name; do
		echo "link set lo up" | ip -n "$PN_TAG-$name" -batch - || return
	done
}

# wires_quick: lines "NUMBER NODE NODE" from standard input become cables; the interface
# is called wNUMBER at both ends
wires_quick()
{
	local number a b name
	declare -A up=()
	while read -r number a b; do
		echo "link add name w$number netns $PN_TAG-$a type veth" \
			"peer name w$number netns $PN_TAG-$b" >&3
		up[$a]+="link set dev w$number up"$'\n'
		up[$b]+="link set dev w$number up"$'\n'
	done 3>"$PN_DIR/wires" && batch <"$PN_DIR/wires" || return
	for name in "${!up[@]}"; do
		ip -n "$PN_TAG-$name" -batch - <<<"${up[$name]}" || return
	done
}

# wire_move NUMBER FROM TO: unplug the end of that cable at FROM and put it into TO
wire_move()
{
	ip -n "$PN_TAG-$2" link set dev "w$1" netns "$PN_TAG-$3" &&
		ip -n "$PN_TAG-$3" link set dev "w$1" up
}

# power_off NODE: the daemon has no time for a word, and its cables lose their carrier
power_off()
{
	stop "$1" KILL
	ip -n "$PN_TAG-$1" -o link show type veth |
		sed 's/^[0-9]*: \(w[0-9]*\)@.*/link set dev \1 down/' | ip -n "$PN_TAG-$1" -batch -
}

# start_many NODE...: all at the same time; waits until each answers, and writes the file
# of petnames: each node is called as its namespace
start_many()
{
	local name
	for name; do
		start_only "$name"
		# bash shall not tell of each that is killed
		disown "$SPAWNED"
	done
	for name; do
		wait_until 20 answers "$name" || {
			echo "the daemon of $name did not start:" >&2
			tail -n 5 "$PN_DIR/$name/log" >&2
			return 1
		}
	done
	names_file "$@" >"$PN_DIR/petnames"
}

# names_file NODE...: lines of a file of petnames
names_file()
{
	local name id
	for name; do
		read -r id _ < <(ctl "$name" id)
		echo "$id $name"
	done
}

# knows_name NODE PETNAME
knows_name()
{
	ctl "$1" resolve "$2" >/dev/null 2>&1
}

# all_know NODE...: has each read the file of petnames?  It is looked at once a second
all_know()
{
	local name
	for name; do
		knows_name "$name" "${*: -1}" || return
	done
}

# reaches NODE SECONDS NODE...: does the first reach all others, each within so long?
# Tells whom not.
reaches()
{
	local name=$1 wait=$2 out
	shift 2
	out=$(on "$name" "$PN_BUILD/pnping" --json -c 1 -W "$wait" "$@") && return
	jq -r --arg n "$name" '.targets[] | select(.received == 0) |
		"\($n) does not reach \(.target)" + if .errors > 0 then " (error)" else "" end' \
		<<<"$out"
	return 1
}

# all_pairs SECONDS NODE...: does each reach each?  Tells who does not.  Of more than 64
# nodes not all are asked for all: that takes longer than the network.
all_pairs()
{
	local i wait=$1 pids=()
	shift
	rm -f "$PN_DIR"/unreached.*
	for ((i = 1; i <= $#; i += 1 + $# / 64)); do
		reaches "${!i}" "$wait" "$@" >"$PN_DIR/unreached.${!i}" 3>&- &
		pids+=($!)
		# not more of them than keep the processors busy
		if [ ${#pids[@]} -eq 4 ]; then
			wait "${pids[@]}" || true
			pids=()
		fi
	done
	[ ${#pids[@]} -eq 0 ] || wait "${pids[@]}" || true
	cat "$PN_DIR"/unreached.* | tee "$PN_DIR/unreached"
	[ ! -s "$PN_DIR/unreached" ]
}

# all_reach NODE...: as all_pairs, for wait_until.  All ask each time: it is the asking
# that makes a node look again for somebody who has moved.
all_reach()
{
	all_pairs 1 "$@" >/dev/null
}

# nodes_running: those whose daemon lives
nodes_running()
{
	local name
	for name in $(nodes); do
		if running "$name"; then
			echo "$name"
		fi
	done
}

# statuses NODE...: an object for each
statuses()
{
	local name
	for name; do
		ctl "$name" --json status
	done
}

# one_network NODE...: have all the same root?
one_network()
{
	[ "$(statuses "$@" | jq -r .root | sort -u | wc -l)" -eq 1 ]
}

# addresses_of NODE...: lines "NODE ADDRESS..."
addresses_of()
{
	statuses "$@" | jq -r '"\(.name) \(.addresses | join(" "))"'
}

# settled NODE...: all reach each other, and nobody's address has changed meanwhile
settled()
{
	local before
	before=$(addresses_of "$@")
	all_reach "$@" && [ "$before" = "$(addresses_of "$@")" ]
}

# since MICROSECONDS: milliseconds from then, a value of ${EPOCHREALTIME/[.,]/}, to now
since()
{
	echo $(((${EPOCHREALTIME/[.,]/} - $1) / 1000))
}

# at_rest NODE...: asked again and again, it says yes when for 4 s nobody's address has changed:
# what a cut has left without a leader waits 2.5 s before it moves
at_rest()
{
	local now
	now=$(addresses_of "$@")
	[ "$now" = "${rest_addresses-}" ] || {
		rest_addresses=$now
		rest_since=${EPOCHREALTIME/[.,]/}
	}
	[ "$(since "$rest_since")" -ge 4000 ]
}

# networks NODE...: roots, heights and numbers of neighbours, and how many have them; and
# what the two of the first pair that all_pairs found wanting think of the network
networks()
{
	local name from to
	if read -r from _ _ _ to _ 2>/dev/null <"$PN_DIR/unreached"; then
		on "$from" "$PN_BUILD/pntrace" -q 1 "$to"
		for name in "$from" "$to"; do
			echo "--- $name"
			for what in status neighbours areas routes; do
				ctl "$name" $what
			done
			ctl "$name" lookup "$from"
			ctl "$name" lookup "$to"
		done
		echo "---"
	fi
	statuses "$@" | jq -c '{root, height, neighbours}' | sort | uniq -c
	grep -hE ' (err|warn) ' "$PN_DIR"/*/log | tail -n 20
}

# serve NODE: an HTTP server on port 8000 with the files of $PN_DIR/www; its process id
# is in $SPAWNED and goes to $PN_DIR/spawned, for kill_spawned
serve()
{
	spawn "$1" "$PN_DIR/server.$1" "$PN_BUILD/pnrun" \
		python3 -m http.server -d "$PN_DIR/www" 8000
	echo "$SPAWNED" >>"$PN_DIR/spawned"
	wait_until 10 serves "$1"
}

serves()
{
	ctl "$1" --json sockets | jq -e 'any(.sockets[]; .type == "listener" and .port == 8000)' \
		>/dev/null
}

# fetch CLIENT SERVER BYTES_PER_SECOND [CURL OPTION...]: download "file" into
# $PN_DIR/got.CLIENT in the background; $SPAWNED as above
fetch()
{
	local client=$1 server=$2 rate=$3
	shift 3
	: >"$PN_DIR/got.$client"
	spawn "$client" "$PN_DIR/curl.$client" "$PN_BUILD/pnrun" curl -sS --limit-rate "$rate" \
		-o "$PN_DIR/got.$client" "$@" "http://$server.pn.alt:8000/file"
	echo "$SPAWNED" >>"$PN_DIR/spawned"
	echo "$SPAWNED" >"$PN_DIR/pid.$client"
}

# fetched CLIENT SECONDS: does its download end within that time, with the right bytes?
fetched()
{
	local pid
	pid=$(cat "$PN_DIR/pid.$1")
	wait_until "$2" dead "$pid" || {
		echo "the download of $1 does not end: $(stat -c %s "$PN_DIR/got.$1") bytes"
		return 1
	}
	wait "$pid" || {
		echo "the download of $1 failed: $(tail -n 1 "$PN_DIR/curl.$1")"
		return 1
	}
	cmp "$PN_DIR/www/file" "$PN_DIR/got.$1"
}

# arrived BYTES: of all downloads together
arrived()
{
	[ "$(stat -c %s "$PN_DIR"/got.* | awk '{ n += $1 } END { print n + 0 }')" -ge "$1" ]
}

kill_spawned()
{
	local pid
	for pid in $(cat "$PN_DIR"/spawned 2>/dev/null); do
		kill "$pid" 2>/dev/null || true
	done
	rm -f "$PN_DIR/spawned"
}

# lan SWITCH NODE...: an Ethernet switch, a namespace with a bridge; each node has the
# interface lan0 on it, without any IP address
lan()
{
	local switch=$PN_TAG-$1 name number=0
	shift
	ip netns add "$switch" || return
	{
		# no spanning tree: a port forwards as soon as it is up
		echo "link add name br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
		echo "link set dev br0 up"
		for name; do
			number=$((number + 1))
			echo "link add name p$number type veth peer name lan0 netns $PN_TAG-$name"
			echo "link set dev p$number master br0 up"
		done
	} >"$PN_DIR/ports"
	ip -n "$switch" -batch "$PN_DIR/ports" || return
	for name; do
		ip -n "$PN_TAG-$name" link set lan0 up || return
	done
}

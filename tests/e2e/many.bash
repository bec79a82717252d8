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

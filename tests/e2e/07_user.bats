#!/usr/bin/env bats
# An ordinary user without any right: UDP links only, a daemon and a socket of his own.
#
#	A 127.0.0.1:7001 ~~~~ B 127.0.0.1:7002	(the same namespace)

setup()
{
	load lib
	PN_DIR=$(mktemp -d "${TMPDIR:-/tmp}/peernet-XXXXXX")
	export PN_DIR
	USER_DIR=$PN_DIR/user
	mkdir "$USER_DIR" "$USER_DIR/a" "$USER_DIR/b"
	as=()
	if [ "${PN_INSIDE-}" = "user namespace" ]; then
		# root of a user namespace has nobody else to become, but a further namespace
		as=(unshare --user --map-user=1000 --map-group=1000)
	elif [ "$(id -u)" -eq 0 ]; then
		as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
		chmod 755 "$PN_DIR"
		chmod -R 777 "$USER_DIR"
	fi
	pids=()
}

teardown()
{
	if [ -z "${BATS_TEST_COMPLETED-}" ]; then
		tail -n 20 "$USER_DIR"/*/log
	fi
	[ "${#pids[@]}" -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
	wait
	rm -rf "$PN_DIR"
}

# daemon NAME OPTION...: as that user, with all of its files below its own directory
daemon()
{
	local dir=$USER_DIR/$1
	shift
	(
		export HOME=$dir XDG_RUNTIME_DIR=$dir XDG_STATE_HOME=$dir XDG_CONFIG_HOME=$dir
		unset PEERNET_SOCKET
		exec "${as[@]}" "$PN_BUILD/pnstackd" -L debug "$@"
	) >"$dir/log" 2>&1 </dev/null 3>&- &
	pids+=($!)
	wait_until 10 ready "$dir"
}

ready()
{
	"${as[@]}" "$PN_BUILD/pnctl" -s "$1/peernet.sock" id >/dev/null 2>&1
}

user_ctl()
{
	local dir=$USER_DIR/$1
	shift
	"${as[@]}" "$PN_BUILD/pnctl" -s "$dir/peernet.sock" "$@"
}

@test "two daemons of an ordinary user meet over UDP, and a program goes over them" {
	daemon a -l udp-listen:127.0.0.1:7001
	daemon b -l udp-listen:127.0.0.1:7002 -l udp:127.0.0.1:7001
	name=$(user_ctl b --json id | jq -r .host)
	pings()
	{
		"${as[@]}" "$PN_BUILD/pnping" --socket "$USER_DIR/a/peernet.sock" -q -c 1 -W 1 \
			"$name" >/dev/null
	}
	wait_until 10 pings
	(
		PEERNET_SOCKET=$USER_DIR/b/peernet.sock exec "${as[@]}" \
			"$PN_BUILD/example-echo_server" 7000
	) >"$PN_DIR/server" 2>&1 3>&- &
	pids+=($!)
	listens()
	{
		user_ctl b --json sockets | jq -e 'any(.sockets[]; .port == 7000)' >/dev/null
	}
	wait_until 5 listens
	PEERNET_SOCKET=$USER_DIR/a/peernet.sock run "${as[@]}" \
		timeout 10 "$PN_BUILD/example-echo_client" "$name" 7000 <<<"without any right"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"without any right"* ]]
}

@test "without links it listens for UDP, and says that Ethernet needs a right" {
	daemon a
	user_ctl a --json links | jq -e 'any(.links[]; .link == "udp-listen:6264")'
	run user_ctl a link add eth:lo
	echo "$output"
	[ "$status" -eq 2 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *eth:lo* ]]
}

@test "no place for the socket: one line that says what to do" {
	run env -u XDG_RUNTIME_DIR -u PEERNET_SOCKET HOME="$USER_DIR/a" "${as[@]}" \
		timeout 10 "$PN_BUILD/pnstackd" -L err -l udp-listen:127.0.0.1:7003
	echo "$output"
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *XDG_RUNTIME_DIR* ]]
}

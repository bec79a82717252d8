#!/usr/bin/env bats
# Two people, a wiki and a repository without a server between them: each runs fossil and git on
# their own node, and they call each other by name.  Then Bob carries his node to another place in
# the network while he fetches.
#
#	alice -- r1 -- r2 -- r3 -- bob
#	           \ - - - - - - - /		where he goes

bats_require_minimum_version 1.5.0

setup_file()
{
	load lib
	net_up || return 0
	local name
	node alice bob r1 r2 r3
	cable alice a1 r1 a
	cable r1 right r2 left
	cable r2 right r3 left
	# 30 Mbit/s, so that there is time to walk
	cable r3 b bob b1
	for name in r1 r2; do
		configure "$name" eth:auto
	done
	configure alice eth:a1
	configure r3 eth:left eth:b,rate=30mbit
	configure bob eth:b1 eth:b2
	for name in alice bob r1 r2 r3; do
		start "$name"
		echo "$(name_of "$name") $name"
	done >"$PN_DIR/petnames"
	wait_until 20 on alice "$PN_BUILD/pnping" -q -c 1 -W 1 bob >/dev/null
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
	servers=
}

teardown()
{
	[ -n "${BATS_TEST_COMPLETED-}" ] || show_logs 10
	local pid
	for pid in $servers; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
}

# as PERSON PROGRAM...: at home, on their own node
as()
{
	local who=$1
	shift
	mkdir -p "home/$who"
	(
		cd "home/$who" || exit
		HOME=$PWD USER=$who GIT_CONFIG_NOSYSTEM=1 on "$who" timeout 60 "$@"
	)
}

# serves PERSON PORT PROGRAM...: from then on
serves()
{
	local who=$1 port=$2
	shift 2
	spawn "$who" "$who.log" env -C "home/$who" HOME="$PN_DIR/home/$who" USER="$who" \
		"$PN_BUILD/pnrun" "$@"
	servers+=" $SPAWNED"
	wait_until 10 listens "$who" "$port"
}

listens()
{
	ctl "$1" --json sockets | jq -e --argjson port "$2" 'any(.sockets[]; .port == $port)' >/dev/null
}

# received: bytes that Bob has got; received_more COUNT: so many since $before?
received()
{
	ctl bob --json links | jq '[.links[].rx_bytes] | add'
}

received_more()
{
	[ "$(received)" -ge $((before + $1)) ]
}

# Bob pulls his plug, and puts it in at r1 (and the other way round)
bob_goes()
{
	if on bob ip link show b2 >/dev/null 2>&1; then
		on bob ip link del b2
		cable r3 b bob b1
	else
		on bob ip link del b1
		cable r1 b bob b2
	fi
}

@test "two people edit a wiki, each on their own node" {
	as alice fossil init --admin-user alice wiki.fossil
	as alice fossil user new bob "" bobs-word -R wiki.fossil
	as alice fossil user capabilities bob dev -R wiki.fossil
	echo "Alice was here" | as alice fossil wiki create Start - -R wiki.fossil
	serves alice 8081 fossil server --port 8081 wiki.fossil
	as bob "$PN_BUILD/pnrun" fossil clone --admin-user bob \
		http://bob:bobs-word@alice.pn.alt:8081/ wiki.fossil
	as bob fossil user new alice "" alices-word -R wiki.fossil
	as bob fossil user capabilities alice dev -R wiki.fossil
	serves bob 8082 fossil server --port 8082 wiki.fossil
	# both edit; then Bob calls Alice, both edit again, and Alice calls Bob
	echo "A page of Bob's" | as bob fossil wiki create Bob - -R wiki.fossil
	echo "A page of Alice's" | as alice fossil wiki create Alice - -R wiki.fossil
	as bob "$PN_BUILD/pnrun" fossil sync --once http://bob:bobs-word@alice.pn.alt:8081/ \
		-R wiki.fossil
	[ "$(as alice fossil wiki export Bob -R wiki.fossil)" = "A page of Bob's" ]
	[ "$(as bob fossil wiki export Alice -R wiki.fossil)" = "A page of Alice's" ]
	echo "Bob was here, too" | as bob fossil wiki commit Start - -R wiki.fossil
	echo "Alice on Bob's page" | as alice fossil wiki commit Bob - -R wiki.fossil
	as alice "$PN_BUILD/pnrun" fossil sync --once \
		http://alice:alices-word@bob.pn.alt:8082/ -R wiki.fossil
	[ "$(as alice fossil wiki export Start -R wiki.fossil)" = "Bob was here, too" ]
	[ "$(as bob fossil wiki export Bob -R wiki.fossil)" = "Alice on Bob's page" ]
}

@test "Bob moves while he synchronises the wiki" {
	serves alice 8081 fossil server --port 8081 wiki.fossil
	mkdir -p home/alice/work
	as alice sh -c "cd work && fossil open --user alice ../wiki.fossil &&
		head -c 10000000 /dev/urandom >big && fossil add big && fossil commit --no-warnings -m big big"
	before=$(received)
	as bob "$PN_BUILD/pnrun" fossil sync --once http://bob:bobs-word@alice.pn.alt:8081/ \
		-R wiki.fossil 3>&- &
	sync=$!
	wait_until 20 received_more 2000000
	bob_goes
	alive "$sync"
	wait "$sync"
	as bob fossil cat big -R wiki.fossil -r trunk >home/bob/big
	cmp home/alice/work/big home/bob/big
	as bob fossil test-integrity wiki.fossil
}

@test "the same with git, and Bob moves back" {
	for who in alice bob; do
		as "$who" git config --global user.name "$who"
		as "$who" git config --global user.email "$who@example.org"
		as "$who" git config --global init.defaultBranch main
	done
	as alice sh -c 'git init -q code && cd code && head -c 10000000 /dev/urandom >big &&
		git add big && git commit -qm "the first"'
	serves alice 9418 git daemon --reuseaddr --base-path=. --export-all
	before=$(received)
	as bob "$PN_BUILD/pnrun" git clone -q git://alice.pn.alt/code 3>&- &
	clone=$!
	wait_until 20 received_more 2000000
	bob_goes
	alive "$clone"
	wait "$clone"
	cmp home/alice/code/big home/bob/code/big
	serves bob 9418 git daemon --reuseaddr --base-path=. --export-all
	as bob sh -c 'cd code && echo Bob >bob && git add bob && git commit -qm "of Bob"'
	as alice sh -c 'cd code && echo Alice >alice && git add alice && git commit -qm "of Alice"'
	as alice "$PN_BUILD/pnrun" git -C code pull -q --no-rebase --no-edit \
		git://bob.pn.alt/code main
	as bob "$PN_BUILD/pnrun" git -C code pull -q --ff-only
	[ "$(cat home/alice/code/bob home/bob/code/alice)" = $'Bob\nAlice' ]
	[ "$(as alice git -C code rev-parse main)" = "$(as bob git -C code rev-parse main)" ]
	as bob git -C code fsck --full
}

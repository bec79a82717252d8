#!/usr/bin/env bats
# Sequences of socket calls, natively and over the shim: return values, errno, poll bits
# and addresses must be the same, but for what sockdiff/differences lists with a reason.
# The sequences are in sockdiff/*.seq; sockdiff/sockdiff.h tells how they are run.
#
# Two hosts: near on A and far on B, the kernel's TCP and UDP over one cable, PeerNet over
# the other.  And one host: both on A, over loopback and within A's daemon.
#
#	A a0 ---- b0 B		PeerNet
#	A a1 ---- b1 B		10.9.0.0/24, fd00:9::/64

bats_require_minimum_version 1.5.0

setup_file()
{
	load lib
	net_up || return 0
	pair_up
	cable A a1 B b1
	address A a1 10.9.0.1/24 fd00:9::1/64
	address B b1 10.9.0.2/24 fd00:9::2/64
	# each refused datagram is told, however many there are
	local n
	for n in A B; do
		on "$n" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_ratemask=0 \
			net.ipv6.icmp.ratelimit=0 net.ipv6.icmp.ratemask=
	done
	A_NAME=$(name_of A)
	export A_NAME
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
	[ -x "$PN_BUILD/sockdiff" ] || skip "sockdiff is not built"
	cd "$PN_DIR" || return
	dir=$PN_ROOT/tests/e2e/sockdiff
}

# addresses MODE NEAR FAR: self, peer and nowhere, for IPv4 and IPv6, as NEAR sees them
addresses()
{
	local nowhere=2001:21:dead:beef:dead:beef:dead:beef
	case $1,$2,$3 in
	native,A,B) echo 10.9.0.1 10.9.0.2 10.9.0.77 fd00:9::1 fd00:9::2 fd00:9::77 ;;
	native,B,A) echo 10.9.0.2 10.9.0.1 10.9.0.77 fd00:9::2 fd00:9::1 fd00:9::77 ;;
	native,A,A) echo 127.0.0.1 127.0.0.1 10.9.0.77 ::1 ::1 fd00:9::77 ;;
	shim,A,B) echo "$A_NAME $B_NAME $nowhere $A_NAME $B_NAME $nowhere" ;;
	shim,B,A) echo "$B_NAME $A_NAME $nowhere $B_NAME $A_NAME $nowhere" ;;
	shim,A,A) echo "$A_NAME $A_NAME $nowhere $A_NAME $A_NAME $nowhere" ;;
	esac
}

# walk MODE FAR: all sequences, near on A, far there; into MODE-FAR
walk()
{
	local mode=$1 far=$2 run=()
	[ "$mode" = native ] || run=("$PN_BUILD/pnrun")
	rm -f wire
	# shellcheck disable=SC2046 # they are words
	spawn "$far" far.log timeout 100 "${run[@]}" "$PN_BUILD/sockdiff" far wire \
		$(addresses "$mode" "$far" A)
	wait_until 10 test -S wire
	# shellcheck disable=SC2046
	on A timeout 100 "${run[@]}" "$PN_BUILD/sockdiff" near wire \
		$(addresses "$mode" A "$far") "$dir"/tcp.seq "$dir"/udp.seq "$dir"/proc.seq "$dir"/options.seq \
		>"$mode-$far"
}

@test "natively, two hosts and one" {
	walk native B
	walk native A
	# what waits for something that does not come would compare well
	run ! grep -hE 'never|HANGS' native-B native-A
}

@test "over PeerNet, two hosts" {
	walk shim B
}

@test "over PeerNet, one host" {
	walk shim A
}

@test "no differences but those listed" {
	"$dir"/compare.py "$dir"/differences native-B shim-B native-A shim-A
}

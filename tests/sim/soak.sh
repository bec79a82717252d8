#!/bin/bash
# New seeds for as long as one likes: random networks, links and faults.
#
# usage: soak.sh [SECONDS]	SOAK_S=SECONDS, default 3600
#	SOAK_FROM=N		first seed; default: the time
#	SOAK_ONE=N		this seed only, and say what it does
#	SOAK_SIZE=small|all	networks of up to 60 nodes only, default all
#
# Each seed draws a topology, what its links do to frames and what faults happen.
# Under faults nothing unsafe may ever happen; when they have stopped the contract
# must hold in time: 10 s up to 300 nodes, 30 s above; half as long again for each of
# these: links lose frames (four times if one in twenty), or need 10 ms or more (three
# times if each frame another 10 to 50); and in addition what it takes to notice
# silence.  A run that breaks this is printed with the command that repeats it, and
# added to soak.failed in the build directory; a line of that is good for a file in
# tests/sim/seeds.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=${PN_BUILD:-build}
sim=$build/pnsim
seconds=${1:-${SOAK_S:-3600}}
failed=$build/soak.failed
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
command -v jq >/dev/null || { echo "soak: needs jq" >&2; exit 2; }

# draw N: a number below N, in $drawn.  Bash's own generator is the same everywhere
draw()
{
	drawn=$(((RANDOM * 32768 + RANDOM) % $1))
}
# one LIST...: one of its words, in $word
one()
{
	draw $#
	shift "$drawn"
	word=$1
}
# chance PERCENT: does it happen?
chance()
{
	draw 100
	[ "$drawn" -lt "$1" ]
}
# size LOW HIGH: small sizes are as likely as large ones, in $drawn
size()
{
	local low=$1 high=$2

	[ "${SOAK_SIZE:-all}" = all ] || [ "$high" -lt 60 ] || high=60
	while [ $((2 * low)) -lt "$high" ] && chance 60; do
		low=$((2 * low))
	done
	[ $((2 * low)) -ge "$high" ] || high=$((2 * low))
	draw $((high - low + 1))
	drawn=$((low + drawn))
}

# in $topology, $nodes (about)
draw_topology()
{
	local maps w
	one line ring star grid grid rtree geometric geometric geometric scalefree islands \
		map map
	case $word in
	line | ring) size 3 80; nodes=$drawn topology=$word:$drawn ;;
	star) size 3 120; nodes=$drawn topology=star:$drawn ;;
	rtree | scalefree) size 3 300; nodes=$drawn topology=$word:$drawn ;;
	geometric) size 4 400; nodes=$drawn topology=geometric:$drawn ;;
	grid)
		size 2 15; w=$drawn
		size 2 15; nodes=$((w * drawn)) topology=grid:${w}x$drawn ;;
	islands)
		size 4 80; w=$drawn
		size 4 80; nodes=$((w + drawn))
		topology=islands:grid:2x$((w / 2))+rtree:$drawn ;;
	map)
		maps=(tests/topologies/*.json)
		draw ${#maps[@]}
		topology=${maps[$drawn]}
		nodes=$(jq '[.links[] | .source, .target] | unique | length' "$topology")
		if chance 70; then
			size 10 200; nodes=$drawn
			options+=(--nodes-limit "$drawn")
		fi ;;
	esac
}

# what links do; in $bad: how much they delay or lose frames
draw_links()
{
	bad=0
	if chance 50; then
		one 0.1 0.5 1 1..5 1..20 5 10..50
		options+=(--delay "$word")
		case $word in 10..50) bad=$((bad + 3)) ;; *0) bad=$((bad + 1)) ;; esac
	fi
	if chance 30; then
		one 0.001 0.01 0.02 0.05
		options+=(--loss "$word")
		case $word in 0.05) bad=$((bad + 4)) ;; *) bad=$((bad + 1)) ;; esac
	fi
	! chance 15 || { one 0.001 0.01 0.1; options+=(--duplicate "$word"); }
	! chance 20 || options+=(--reorder)
	! chance 20 || { one 0.1 0.5; options+=(--jitter "$word"); }
	! chance 20 || { one 20 100 300; options+=(--clock-drift "$word"); }
	! chance 15 || { one 1 3 10; options+=(--start-spread "$word"); spread=$word; }
	! chance 10 || options+=(--start-in-order)
}

# a line of a scenario, in $fault
draw_fault()
{
	local at
	draw 20
	at="at ${drawn}s"
	one crash crash leader return cut cut flap oneway slow clock loss partition churn move
	case $word in
	crash) one random "2 random" "10%"; fault="$at crash $word" ;;
	leader) fault="$at crash leader" ;;
	return) one with-key new-key; fault="at 2${drawn}s return all $word" ;;
	cut) one random "3 random" "10%"; fault="$at cut $word for 8s" ;;
	flap) one random "3 random"; fault="$at flap $word for 10s" ;;
	oneway) fault="$at oneway random for 8s" ;;
	slow) one 20ms 200ms; fault="$at slow random delay $word for 8s" ;;
	clock) one 100 -100 500; fault="$at clock random ${word}ppm" ;;
	loss) one 5% 20%; fault="$at set loss $word for 8s" ;;
	partition) one 0.2 0.5; fault="$at partition $word for 15s" ;;
	churn) one 5% 20%; fault="$at churn $word/min for 30s" ;;
	move) fault="$at move random" ;;
	esac
	case $fault in
	*crash* | *cut* | *flap* | *partition* | *churn* | *move*)
		! chance 30 || fault="$fault silent" silent=1 ;;
	esac
}

draw_faults()
{
	local i
	silent=
	if chance 15; then
		options+=(--silent) silent=1
	fi
	if chance 40; then
		draw 6
		options+=(--kill $((drawn + 1)))
		! chance 30 || options+=(--kill-leader)
	elif [ "$nodes" -ge 12 ] && chance 70; then
		draw 5
		for ((i = drawn + 1; i > 0; i--)); do
			draw_fault
			options+=(--fault "$fault")
		done
	elif [ "$nodes" -ge 12 ] && [[ $topology == geometric:* ]] && chance 30; then
		one 10/10 60/10 100/5
		options+=(--mobility "$word") silent=1
	fi
	if chance 10; then
		one 0.02 0.1 0.2
		options+=(--byzantine "drop:$word")
	fi
}

# the options of a seed, in the array $options
draw_run()
{
	local seed=$1 time
	RANDOM=$((seed % 32768))
	draw $((seed / 32768 % 32768 + 1)) # the other half of a long seed
	options=() spread=0
	draw_topology
	draw_links
	draw_faults
	time=$((nodes <= 300 ? 10 : 30))
	time=$((time * (2 + bad) / 2))
	options=(--topology "$topology" --seed "$seed" "${options[@]}"
		--within $((time + spread)) --cap $((4 * time + spread))
		--recover-within $((time + (${silent:-0} * 4))) --pings 50 --pairs 2000)
}

# quoted WORD...: as a shell would read them
quoted()
{
	local word text=
	for word; do
		[[ $word != *[!a-zA-Z0-9_./:=,+-]* ]] || word="'$word'"
		text="$text $word"
	done
	echo "${text# }"
}

# run SEED: Return: status
run()
{
	local rc why line
	draw_run "$1"
	line=$(quoted "${options[@]}")
	[ -z "${SOAK_ONE:-}" ] || echo "pnsim $line"
	timeout 900 "$sim" "${options[@]}" --json >"$tmp/out" 2>"$tmp/err"
	rc=$?
	[ $rc != 0 ] || return 0
	case $rc in
	1) why=$(sed -nE '/"invariants"/,/}/{s/^ *"([a-z_]+)": "(.*)",?$/\1: \2/p}' "$tmp/out" | head -3) ;;
	124) why="took longer than 900 s" ;;
	*) why=$(grep -v '^$' "$tmp/err" | tail -3) ;;
	esac
	echo "FAILED (exit $rc): pnsim $line"
	echo "$why" | sed 's/^/	/'
	{
		echo "$why" | sed "s/^/# $(git describe --always --dirty 2>/dev/null) exit $rc: /"
		echo "$line"
	} >>"$failed"
	return 1
}

if [ -n "${SOAK_ONE:-}" ]; then
	run "$SOAK_ONE" && echo ok
	exit
fi
seed=${SOAK_FROM:-$(date +%s)}
runs=0 bad_runs=0
end=$((SECONDS + seconds))
while [ $SECONDS -lt $end ]; do
	run "$seed" || bad_runs=$((bad_runs + 1))
	runs=$((runs + 1)) seed=$((seed + 1))
done
echo "soak: $runs runs in $seconds s, $bad_runs failed${bad_runs:+ (see $failed)}"
[ "$bad_runs" = 0 ]

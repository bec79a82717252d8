#!/bin/bash
# Simulated networks, one TAP line for each; used by `make sim`.
#
#  1. pnsim refuses what is wrong and can find a violation.
#  2. Two runs with one seed are equal, byte for byte.
#  3. Each topology converges in time and heals after crashes.
#  4. Each seed that ever failed: the files in tests/sim/seeds are lines of
#     options for pnsim, with comments that tell what was wrong.
#
# SEED=N runs part 3 with that seed only; SEEDS="1 2 3" with several.
#
# One worker for each processor (JOBS=N: so many) goes through the whole list, and runs
# what no other has taken yet.
set -u
cd "$(dirname "$0")/../.." || exit 2
sim=${PN_BUILD:-build}/pnsim
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
if [ -z "${CLAIMS:-}" ]; then
	trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM
	for _ in $(seq "${JOBS:-$(nproc)}"); do
		CLAIMS=$tmp tests/sim/run.sh &
		workers+=($!)
	done
	rc=0
	for worker in "${workers[@]}"; do
		wait "$worker" || rc=1
	done
	exit $rc
fi
failed=0
count=0
case $sim in
*asan*)	seeds=${SEED:-${SEEDS:-1}} slow=1 ;;
*)	seeds=${SEED:-${SEEDS:-1 2}} slow= ;;
esac

# turn: nobody has run the next test yet, so this worker does
turn()
{
	count=$((count + 1))
	mkdir "$CLAIMS/test$count" 2>/dev/null
}

# ok NAME [TEXT]: written at once, since others write as well
ok()
{
	printf 'ok - %s\n%s' "$1" "${2:+#   $2
}"
}
not_ok()
{
	printf 'not ok - %s\n%s' "$1" "$([ ! -s "$tmp/err" ] || sed 's/^/# /' "$tmp/err")"$'\n'
	failed=1
}

# refuses STATUS NAME OPTION...: exit code, and one line that says something
refuses()
{
	local status=$1 name=$2 rc
	turn || return
	shift 2
	"$sim" "$@" >"$tmp/out" 2>"$tmp/err"
	rc=$?
	if [ $rc = "$status" ] && [ -s "$tmp/err" ]; then
		ok "$name"
	else
		not_ok "$name: exit $rc"
	fi
}

# simulate NAME OPTION...: all contracts hold
simulate()
{
	turn && run "$@"
}
run()
{
	local name=$1 rc
	shift
	timeout 600 "$sim" "$@" --json >"$tmp/out" 2>"$tmp/err"
	rc=$?
	if [ $rc = 0 ]; then
		# with one line of figures
		ok "$name" "$(sed -nE 's/^  "(converged_s|height|stretch_mean|control_bytes_per_node_s|delivery)": (.*),$/\1 \2/p' \
			"$tmp/out" | paste -sd' ')"
	else
		# what was violated stands in the object
		sed -nE '/"invariants"/,/}/{/true/d;p}; /"repeat"/p' "$tmp/out" >>"$tmp/err"
		not_ok "$name: exit $rc"
	fi
}

# works LEAST NAME OPTION...: and at least that share of honest pairs work
works()
{
	local least=$1
	turn || return
	shift
	run "$@"
	if sed -nE 's/^ *"working": (.*),$/\1/p' "$tmp/out" | grep -q . &&
	    sed -nE 's/^ *"working": (.*),$/\1/p' "$tmp/out" | awk -v l="$least" '$1 < l { exit 1 }'; then
		ok "$1: $least of the pairs work"
	else
		not_ok "$1: $least of the pairs work"
	fi
}

# mean_works LEAST NAME OPTION...: the same, the mean over four seeds: how much is in a liar's
# way depends on where he is
mean_works()
{
	local least=$1 name=$2 s
	turn || return
	shift 2
	: >"$tmp/values"
	for s in 1 2 3 4; do
		run "$name, seed $s" "$@" --seed "$s"
		[ -z "$slow" ] || return 0	# for the sanitizers one will do
		sed -nE 's/^ *"working": (.*),$/\1/p' "$tmp/out" >>"$tmp/values"
	done
	if awk -v l="$least" '{ sum += $1 } END { exit NR != 4 || sum < 4 * l }' "$tmp/values"; then
		ok "$name: $least of the pairs work"
	else
		not_ok "$name: $least of the pairs work"
	fi
}

# at_most MOST FIGURE NAME: what the last simulation says, the mean over all crashes
at_most()
{
	if sed -nE "s/^ *\"$2\": (.*),\$/\1/p" "$tmp/out" | awk -v m="$1" \
	    '{ n++ } $1 > m { bad = 1 } END { exit !n || bad }'; then
		ok "$3: $2 at most $1"
	else
		not_ok "$3: $2 at most $1"
	fi
}

bad_scenario()
{
	printf 'at 1s crash random\nat noon heal\n' >"$tmp/bad.scn"
	if "$sim" --topology line:4 --scenario "$tmp/bad.scn" 2>"$tmp/err" ||
	    ! grep -q "bad.scn:2: " "$tmp/err"; then
		not_ok "a bad line of a scenario is told with its number"
	else
		ok "a bad line of a scenario is told with its number"
	fi
}

violations_noticed()
{
	if "$sim" --topology line:8 --within 0.001 --json >"$tmp/out" 2>"$tmp/err"; then
		not_ok "a bound that cannot be held is noticed"
	elif grep -q '"one_network": ".*seed 1' "$tmp/out"; then
		ok "a bound that cannot be held is noticed"
	else
		not_ok "a bound that cannot be held is noticed: no text"
	fi
}

repeats()
{
	"$sim" --topology grid:5x5 --seed 7 --loss 0.02 --kill 2 --json >"$tmp/first" 2>"$tmp/err"
	"$sim" --topology grid:5x5 --seed 7 --loss 0.02 --kill 2 --json >"$tmp/second" 2>>"$tmp/err"
	if [ -s "$tmp/first" ] && cmp -s "$tmp/first" "$tmp/second"; then
		ok "the same seed gives the same run"
	else
		not_ok "the same seed gives the same run"
	fi
}

# Areas are cut in two: packets go around at once, and the larger part goes on with it
crashes_of_many()
{
	run "crashes of many" --topology geometric:300 --seed 14 --kill 12 --recover-within 15
	at_most 0.2 outage_mean_s "crashes of many"
	at_most 3 readdressed_mean "crashes of many"
}

# Each third node has a link with it: who falls out comes in beside the next hub, and most of
# the others stay where they are (216 of them moved before facet.c made room)
hub_dies()
{
	run "a hub dies" --topology tests/topologies/freifunk-ulm.json --seed 2 --kill 1 \
		--kill-hub --pings 50 --pairs 200 --recover-within 10
	at_most 100 readdressed_mean "a hub dies"
}

leaves_rows_and_pictures()
{
	"$sim" --topology geometric:40 --kill 2 --out "$tmp/run" >"$tmp/out" 2>"$tmp/err"
	if [ "$(sed 1d "$tmp/run/run.csv" | wc -l)" -gt 20 ] &&
	    awk -F, 'NR == 1 { n = NF } NF != n { exit 1 }' "$tmp/run/run.csv"; then
		ok "a run leaves rows over time"
	else
		not_ok "a run leaves rows over time"
	fi
	if ! command -v gnuplot >/dev/null || ! command -v dot >/dev/null; then
		ok "pictures # SKIP no gnuplot or graphviz"
	elif "$sim" plot -o "$tmp/pictures" "$tmp/run" 2>"$tmp/err" &&
	    [ "$(find "$tmp/pictures" -name '*.png' -size +4k | wc -l)" = 5 ]; then
		ok "pictures"
	else
		not_ok "pictures"
	fi
	if PATH=/nonexistent "$sim" plot "$tmp/run" 2>"$tmp/err" ||
	    [ "$(wc -l <"$tmp/err")" != 1 ]; then
		not_ok "no gnuplot: one line says so"
	else
		ok "no gnuplot: one line says so"
	fi
}

# Nobody hears anybody, then all do
faults_noticed()
{
	if "$sim" --topology grid:3x3 --pings 0 --json --recover-within 20 \
	    --fault "cut all for 5s" --fault "at 4s pings 50/s for 1s least 1%" \
	    >"$tmp/out" 2>"$tmp/err" && grep -q '"asked": 0,' "$tmp/out"; then
		ok "all links are cut and mended"
	else
		not_ok "all links are cut and mended"
	fi
	if "$sim" --topology grid:3x3 --pings 0 --json --fault "set loss 100% for 15s" \
	    --fault "pings 50/s for 2s least 50%" >"$tmp/out" 2>"$tmp/err" ||
	    ! grep -q '"reachable": "pings at 0.000 s: [0-9]* of' "$tmp/out"; then
		not_ok "pings that are lost are noticed"
	else
		ok "pings that are lost are noticed"
	fi
}

queue_drops()
{
	# 1,000 bytes a second and a short queue: frames must be dropped
	"$sim" --topology line:3 --pings 400 --cap 20 --rate 64k --queue 1k --json \
		>"$tmp/out" 2>"$tmp/err"
	if grep -q '"frames_queue_dropped": [1-9]' "$tmp/out"; then
		ok "a full queue drops frames"
	else
		not_ok "a full queue drops frames"
	fi
}

if [ -z "${SEED:-}" ]; then
	refuses 2 "no topology" --seed 1
	refuses 2 "a topology that is not there" --topology /nonexistent.json
	echo '{"links":[{"source":1}]}' >"$tmp/bad.json"
	refuses 2 "a link without a target" --topology "$tmp/bad.json"
	echo '{"links":[' >"$tmp/bad.json"
	refuses 2 "a file that is cut off" --topology "$tmp/bad.json"
	refuses 2 "a generator without a size" --topology grid:0x3
	refuses 2 "a seed that is no number" --topology line:4 --seed x
	refuses 2 "a Byzantine kind that there is not" --topology line:4 --byzantine saint:0.5
	refuses 2 "a rate that is no rate" --topology line:4 --rate fast
	refuses 2 "a scenario that is not there" --topology line:4 --scenario /nonexistent.scn
	refuses 2 "a fault that is none" --topology line:4 --fault "at 1s explode"
	refuses 2 "mobility of cables" --topology line:4 --mobility 60m/10s
	turn && bad_scenario
	turn && violations_noticed
	turn && repeats

	# In the middle of a line one dropper cuts it: nobody is connected through
	# honest nodes with the other side, and all others must not notice
	simulate "a dropper on a line" --topology line:20 --byzantine drop:0.05 --byzantine-within 5

	# One tenth drop: each way leads over one of them, and over the next when that is avoided
	mean_works 0.9 "droppers" --topology geometric:100 --byzantine drop:0.1 --byzantine-within 15

	turn && crashes_of_many
	turn && hub_dies

	# One tenth tell everybody that they are the best way to anywhere: no packet circles for
	# long, nobody floods
	works 0.9 "liars about metrics" --topology geometric:100 --byzantine metrics:0.1 \
		--byzantine-within 10
	mean_works 0.95 "many liars about metrics" --topology geometric:200 --byzantine metrics:0.1
	mean_works 0.9 "liars who are believed" --topology geometric:100 --byzantine cheap:0.1 \
		--byzantine-within 10
	mean_works 0.75 "claims of areas" --topology geometric:60 --byzantine claim:0.1 \
		--byzantine-within 15

	turn && leaves_rows_and_pictures
	turn && faults_noticed
	turn && queue_drops

	while read -r file; do
		while read -r line; do
			case $line in
			'' | '#'*) ;;
			*)	eval "words=($line)" # as a shell reads them: faults have spaces
				simulate "$(basename "$file"): $line" "${words[@]}" ;;
			esac
		done <"$file"
	done < <(find tests/sim/seeds -type f ! -name README.md | sort)
fi

for seed in $seeds; do
	for t in line-0050 rtree-0050 grid4-0049; do
		simulate "$t, seed $seed" --topology tests/topologies/$t.json --seed "$seed" \
			--within 8 --kill 10 --recover-within 12
	done
	for t in crashes partition bad-links burst from-start; do
		simulate "scenario $t, seed $seed" --topology geometric:60 --seed "$seed" --pings 0 \
			--recover-within 15 --scenario tests/sim/scenarios/$t.scn
	done
	[ -z "$slow" ] || continue
	simulate "scenario churn, seed $seed" --topology geometric:60 --seed "$seed" --pings 0 \
		--recover-within 15 --scenario tests/sim/scenarios/churn.scn
	simulate "scenario partition of islands, seed $seed" --topology islands:30x30 --seed "$seed" \
		--pings 0 --recover-within 15 --scenario tests/sim/scenarios/partition.scn
	simulate "mobility, seed $seed" --topology geometric:50/150 --seed "$seed" --pings 0 \
		--recover-within 15 --fault "mobility 60m/10s steps 10"
	simulate "mobility on radio, seed $seed" --topology geometric:50/150 --seed "$seed" --pings 0 \
		--radio --silent --recover-within 20 --fault "mobility 60m/10s steps 5"
	simulate "a LAN, seed $seed" --topology lan:60 --seed "$seed" --kill 3 --recover-within 30
	simulate "clocks that run wrong, seed $seed" --topology grid:7x7 --seed "$seed" \
		--clock-drift 1000 --delay 1..20 --start-in-order --start-spread 5
	for t in grid4-0225 rtree-0300 freifunk-leipzig; do
		simulate "$t, seed $seed" --topology tests/topologies/$t.json --seed "$seed" \
			--within 15 --kill 10 --recover-within 12
	done
	# when a hub of more than 50 neighbours dies, crooked areas move once the rest is at rest
	for t in freifunk-bielefeld freifunk-ulm; do
		simulate "$t, seed $seed" --topology tests/topologies/$t.json --seed "$seed" \
			--within 15 --kill 10 --recover-within 20
	done
	simulate "freifunk-berlin, seed $seed" --topology tests/topologies/freifunk-berlin.json \
		--seed "$seed" --within 15
	simulate "grid with loss, seed $seed" --topology grid:7x7 --seed "$seed" --loss 0.05
	simulate "silent crashes, seed $seed" --topology grid:6x6 --seed "$seed" --kill 4 --silent
	simulate "a LAN of 30, seed $seed" --topology lan:30 --seed "$seed" --within 8 --kill 3 \
		--recover-within 12
done
exit $failed

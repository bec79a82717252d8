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
set -u
cd "$(dirname "$0")/../.." || exit 2
sim=${PN_BUILD:-build}/pnsim
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
failed=0
count=0
case $sim in
*asan*)	seeds=${SEED:-${SEEDS:-1}} slow=1 ;;
*)	seeds=${SEED:-${SEEDS:-1 2}} slow= ;;
esac

ok()
{
	count=$((count + 1))
	echo "ok $count - $1"
}
not_ok()
{
	count=$((count + 1))
	echo "not ok $count - $1"
	[ ! -s "$tmp/err" ] || sed 's/^/# /' "$tmp/err"
	failed=1
}

# refuses STATUS NAME OPTION...: exit code, and one line that says something
refuses()
{
	local status=$1 name=$2 rc
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
	local name=$1 rc
	shift
	timeout 600 "$sim" "$@" --json >"$tmp/out" 2>"$tmp/err"
	rc=$?
	if [ $rc = 0 ]; then
		ok "$name"
		# one line of figures
		sed -nE 's/^  "(converged_s|height|stretch_mean|control_bytes_per_node_s|delivery)": (.*),$/\1 \2/p' \
			"$tmp/out" | paste -sd' ' | sed 's/^/#   /'
	else
		# what was violated stands in the object
		sed -nE '/"invariants"/,/}/{/true/d;p}; /"repeat"/p' "$tmp/out" >>"$tmp/err"
		not_ok "$name: exit $rc"
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
	if "$sim" --topology line:8 --within 0.001 --json >"$tmp/out" 2>"$tmp/err"; then
		not_ok "a bound that cannot be held is noticed"
	elif grep -q '"one_network": ".*seed 1' "$tmp/out"; then
		ok "a bound that cannot be held is noticed"
	else
		not_ok "a bound that cannot be held is noticed: no text"
	fi

	"$sim" --topology grid:5x5 --seed 7 --loss 0.02 --kill 2 --json >"$tmp/first" 2>"$tmp/err"
	"$sim" --topology grid:5x5 --seed 7 --loss 0.02 --kill 2 --json >"$tmp/second" 2>>"$tmp/err"
	if [ -s "$tmp/first" ] && cmp -s "$tmp/first" "$tmp/second"; then
		ok "the same seed gives the same run"
	else
		not_ok "the same seed gives the same run"
	fi

	# In the middle of a line one dropper cuts it: nobody is connected through
	# honest nodes with the other side, and all others must not notice
	simulate "a dropper on a line" --topology line:20 --byzantine drop:0.05 --byzantine-within 5

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

	while read -r file; do
		while read -r line; do
			case $line in
			'' | '#'*) ;;
			*)	# shellcheck disable=SC2086 # options, split at spaces
				simulate "$(basename "$file"): $line" $line ;;
			esac
		done <"$file"
	done < <(find tests/sim/seeds -type f ! -name README.md | sort)
fi

for seed in $seeds; do
	for t in line-0050 rtree-0050 grid4-0049; do
		simulate "$t, seed $seed" --topology tests/topologies/$t.json --seed "$seed" \
			--within 8 --kill 10 --recover-within 12
	done
	[ -z "$slow" ] || continue
	for t in grid4-0225 rtree-0300 freifunk-leipzig freifunk-ulm freifunk-bielefeld; do
		simulate "$t, seed $seed" --topology tests/topologies/$t.json --seed "$seed" \
			--within 15 --kill 10 --recover-within 12
	done
	simulate "freifunk-berlin, seed $seed" --topology tests/topologies/freifunk-berlin.json \
		--seed "$seed" --within 15
	simulate "grid with loss, seed $seed" --topology grid:7x7 --seed "$seed" --loss 0.05
	simulate "silent crashes, seed $seed" --topology grid:6x6 --seed "$seed" --kill 4 --silent
done
exit $failed

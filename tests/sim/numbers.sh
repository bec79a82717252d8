#!/bin/bash
# What the network layer promises, measured: a Markdown table, on standard output.
#
# usage: numbers.sh [WORD...]	only rows whose name has one of these words
#	SEEDS="1 2 3"		default 1 to 10
#	BIG_SEEDS="1"		for networks of 3,000 nodes and more; default 1 to 3
#	KEEP=DIR		results as JSON are left there, and taken from there
#
# A row is the median over the seeds and the worst of them beside the target; "holds"
# speaks of the worst.  Runs that several rows want are made once.
set -u
cd "$(dirname "$0")/../.." || exit 2
sim=${PN_BUILD:-build}/pnsim
seeds=${SEEDS:-1 2 3 4 5 6 7 8 9 10}
big_seeds=${BIG_SEEDS:-$(echo $seeds | cut -d' ' -f1-3)}
words=("$@")
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM
keep=${KEEP:-$tmp}
mkdir -p "$keep" || exit 2
command -v jq >/dev/null || { echo "numbers: needs jq" >&2; exit 2; }
missed=0

# result OPTION...: the name of the file with the result of this run, in $file
result()
{
	local TIMEFORMAT=%U
	file=$keep/$(echo "$*" | tr -c 'a-zA-Z0-9.\n' _).json
	[ -s "$file" ] && return
	[ ! -t 2 ] || printf '\r%s\033[K' "$*" >&2
	# exit 1 is a violation: the figures are there all the same
	{ time timeout 3000 "$sim" "$@" --json >"$tmp/out" 2>"$tmp/err"; } 2>"$tmp/cpu"
	if jq --arg cpu "$(cat "$tmp/cpu")" '. + { cpu_s: ($cpu | tonumber) }' \
	    "$tmp/out" >"$tmp/result" 2>/dev/null && [ -s "$tmp/result" ]; then
		mv "$tmp/result" "$file"
	else
		echo "numbers: pnsim $*: $(tail -1 "$tmp/err")" >&2
		rm -f "$file"
	fi
}

wanted()
{
	local word
	[ ${#words[@]} != 0 ] || return 0
	for word in "${words[@]}"; do
		[[ $1 != *"$word"* ]] || return 0
	done
	return 1
}

# row NAME SEEDS low|high TARGET JQ OPTION...: one line; low is better, or high.  A
# result of null is worse than any number, and "TARGET" may be a jq expression
row()
{
	local name=$1 list=$2 better=$3 target=$4 expr=$5 seed file line
	shift 5
	wanted "$name" || return 0
	: >"$tmp/values"
	: >"$tmp/targets"
	for seed in $list; do
		result "$@" --seed "$seed"
		if [ -s "$file" ]; then
			jq -c "$expr" "$file" >>"$tmp/values"
			jq -c "$target" "$file" >>"$tmp/targets"
		else
			echo null >>"$tmp/values"
		fi
	done
	line=$(jq -rs --arg name "$name" --arg better "$better" --slurpfile t "$tmp/targets" '
		def show: if . == null then "none" else . * 1000 | round / 1000 | tostring end;
		($t | map(select(. != null)) | if $better == "low" then min else max end) as $target |
		(map(select(. != null)) | sort) as $good |
		(map(select(. == null)) | length) as $none |
		(if $better == "low" then $good else $good | reverse end |
			. + [range($none) | null]) as $all |
		$all[(length - 1) / 2 | floor] as $low | $all[length / 2 | floor] as $high |
		(if $high == null then $high else ($low + $high) / 2 end) as $median |
		$all[-1] as $worst |
		(if $worst == null then false elif $better == "low" then $worst <= $target
			else $worst >= $target end) as $holds |
		"| \($name) | \(if $better == "low" then "≤" else "≥" end) \($target | show) | " +
		"\($median | show) | \($worst | show) | \(length) | \(if $holds then "yes" else
		if $median != null and (if $better == "low" then $median <= $target
			else $median >= $target end) then "median only" else "**no**" end end) |"
		' "$tmp/values")
	[ ! -t 2 ] || printf '\r\033[K' >&2
	echo "$line"
	[[ $line == *"| yes |" ]] || missed=$((missed + 1))
}

log2='(.nodes | log2 | floor)'
maps=$(ls tests/topologies/freifunk-*.json)

# base TOPOLOGY: the options of a run at rest
base()
{
	base=(--topology "$1" --cap 90)
}

echo "pnsim of $(git describe --always --dirty 2>/dev/null), seeds $seeds; 3,000 nodes and more:" \
	"$big_seeds"
echo
echo "| | target | median | worst | seeds | holds |"
echo "|---|---|---|---|---|---|"

# pings99_s is when pings are sent of which 99 % are answered within two seconds: a node
# keeps one while it still looks for the other.  So the contracts' time stands beside it.
for t in line-0050 grid4-0049 rtree-0050; do
	base tests/topologies/$t.json
	row "start: 99 % of pings, $t (s)" "$seeds" low 3 .pings99_s "${base[@]}"
	row "start: all contracts hold, $t (s)" "$seeds" low 3 .converged_s "${base[@]}"
done
base geometric:300; row "start: 99 % of pings, geometric 300 (s)" "$seeds" low 6 .pings99_s "${base[@]}"
base geometric:1000; row "start: 99 % of pings, geometric 1,000 (s)" "$seeds" low 10 .pings99_s "${base[@]}"
row "start: 99 % of pings, geometric 10,000 (s)" "$big_seeds" low 30 .pings99_s \
	--topology geometric:10000 --cap 60 --seconds 40 --pings 100

for t in grid:10x10 grid:32x32 geometric:300 geometric:1000 $maps; do
	name=$(basename "$t" .json)
	base "$t"
	row "height at rest, $name (log2 N + 5)" "$seeds" low "$log2 + 5" .height "${base[@]}"
done

base grid:10x10
row "bytes at rest, grid 10x10 (a node and s)" "$seeds" low 250 .control_bytes_per_node_s "${base[@]}"
ten=
if [ -s "$tmp/values" ]; then
	ten=$(jq -s 'map(select(. != null)) | sort | .[length / 2 | floor] // empty' "$tmp/values")
fi
base grid:32x32
row "bytes at rest, grid 32x32 (1.5 times grid 10x10, at most 375)" "$seeds" low \
	"[375, 1.5 * ${ten:-250}] | min" .control_bytes_per_node_s "${base[@]}"

for t in $maps; do
	base "$t"
	row "stretch, $(basename "$t" .json)" "$seeds" low 1.10 .stretch_mean "${base[@]}"
done
base geometric:1000
row "stretch, geometric 1,000" "$seeds" low 1.25 .stretch_mean "${base[@]}"
row "stretch, scale-free 3,000" "$big_seeds" low 1.35 .stretch_mean --topology scalefree:3000 \
	--cap 90 --pings 0

row "mobility1, 60 m every 10 s (share of pings)" "$seeds" high 0.97 '.scenario.traffic[0].share' \
	--topology geometric:50/150 --mobility 60/10
row "mobility2, 50 m to 400 m every 10 s (share of pings, the worst distance)" "$seeds" high 0.97 \
	'[.scenario.traffic[].share] | min' --topology geometric:50/150 \
	--scenario tests/sim/scenarios/mobility2.scn
row "outage per crash, carrier lost (s of pings)" "$seeds" low 0.05 .crashes.outage_mean_s \
	--topology grid:10x10 --kill 10 --recover-within 30
row "outage per crash, silent (s of pings)" "$seeds" low 1 .crashes.outage_mean_s \
	--topology grid:10x10 --kill 10 --silent --recover-within 30
row "outage per crash of pairs through the node, carrier lost (s of pings)" "$seeds" low 0.05 \
	.crashes.outage_through_mean_s --topology grid:10x10 --kill 10 --recover-within 30
row "outage per crash of pairs through the node, silent (s of pings)" "$seeds" low 1 \
	.crashes.outage_through_mean_s --topology grid:10x10 --kill 10 --silent --recover-within 30
row "nodes re-addressed per crash, geometric 300" "$seeds" low 1 .crashes.readdressed_mean \
	--topology geometric:300 --kill 12 --recover-within 30
row "nodes re-addressed per crash of the root's leader, geometric 300" "$seeds" low 1 \
	.crashes.readdressed_mean --topology geometric:300 --kill 6 --kill-leader --recover-within 30
row "10 % droppers, geometric 1,000: pairs that work after 30 s" "$seeds" high 0.9 \
	.byzantine.working --topology geometric:1000 --byzantine drop:0.1
row "lookups answered, 10 % churn a minute, geometric 300" "$seeds" high 0.999 \
	'[.scenario.traffic[] | select(.fault == "churn")][0].share' --topology geometric:300 --churn 0.1
row "cost of a lookup, 10 % churn a minute (median, times the path)" "$seeds" low 2 \
	'[.scenario.traffic[] | select(.fault == "churn")][0].cost_median' \
	--topology geometric:300 --churn 0.1
row "pnsim: 1,000 nodes for 60 virtual s (s of one core)" "$(echo $seeds | cut -d' ' -f1-3)" low 60 \
	.cpu_s --topology geometric:1000 --seconds 60 --pings 0 --pairs 0 --early-pings 0
row "pnsim: memory of a node, geometric 1,000 (kB)" "$(echo $seeds | cut -d' ' -f1-3)" low 100 \
	'.mem_per_node / 1000' --topology geometric:1000 --seconds 60 --pings 0 --pairs 0 --early-pings 0

echo
echo "$missed of the rows miss their target with some seed."

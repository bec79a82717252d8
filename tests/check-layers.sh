#!/bin/bash
# Checks the layers (style rules 4, 5 and 16); prints one TAP line per check.
#
#  1. Each core archive, linked with those below it, needs no symbol from
#     outside but those listed in tests/layers/LAYER.allow.
#  2. Nobody includes upward, and the core includes no system header that
#     could do I/O.
#  3. Each header compiles alone.
#
# usage: CC=... FLAGS=... check-layers.sh BUILD_DIRECTORY
set -u
build=$1
tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT
failed=0

# result NAME FAULTS: ok if there are no faults
result()
{
	if [ -z "$2" ]; then
		echo "ok $1"
	else
		echo "not ok $1"
		sed 's/^/# /' <<<"$2"
		failed=1
	fi
}

# symbols LAYER LOWER...: undefined symbols outside the list.  A line of the
# list is a shell pattern.
symbols()
{
	local layer=$1 archives=() patterns faults a
	for a; do
		archives+=("$build/$a.a")
	done
	if [ -z "$(ar t "$build/$layer.a")" ]; then
		return
	fi
	ld -r -o "$tmp/$layer.o" --whole-archive "${archives[@]}" || {
		result "symbols of $layer" "ld -r failed"
		return
	}
	# "# comment" and spaces off; a glob to a regular expression
	patterns=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' \
		-e 's/\./\\./g' -e 's/\*/.*/g' -e 's/.*/^&$/' \
		$(for a; do echo "tests/layers/$a.allow"; done))
	faults=$(nm -u "$tmp/$layer.o" | awk '{ print $2 }' | sort -u |
		grep -vE -f <(echo "$patterns"))
	if [ -n "$faults" ]; then	# say which object wants it
		faults=$(for f in $faults; do
			(cd "$build" && nm -Au "$layer.a") |
				awk -v f="$f" '$NF == f { print f " wanted by " $1 }'
		done)
	fi
	result "symbols of $layer" "${faults:-}"
}

# includes NAME REGEX FILE...: every #include must match
includes()
{
	local name=$1 regex=$2
	shift 2
	[ $# -gt 0 ] || return
	result "includes of $name" "$(grep -nHE '^[[:space:]]*#[[:space:]]*include' "$@" |
		grep -vE "include[[:space:]]*($regex)")"
}

symbols base
symbols net base
symbols session net base

# Files of a directory and those below; nothing if it is not there
files()
{
	find "$@" -name '*.[ch]' 2>/dev/null | sort
}
# own: a file of the same directory may be named without its directory
own='"[a-z0-9_]+\.h"'
base='"libpeernet/base/'
plain='<(assert|inttypes|limits|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdlib|string)\.h>'
primitives='<(sodium|sodium/[a-z0-9_]+|openssl/[a-z0-9_]+)\.h>'
quic='<(ngtcp2|gnutls)/[a-z0-9_]+\.h>'

includes base "$own|$base|$plain" $(files libpeernet/base)
includes net "$own|$base|\"pnstackd/net/|$plain" \
	$(files pnstackd/net | grep -v '/crypto[^/]*$')
includes "net's crypto" "$own|$base|\"pnstackd/net/|$plain|$primitives" \
	$(files pnstackd/net | grep '/crypto[^/]*$')
includes session "$own|$base|\"pnstackd/(net|session)/|$plain|$primitives|$quic" \
	$(files pnstackd/session)
includes loop "$own|$base|\"pnstackd/loop/|<" $(files pnstackd/loop)
includes link "$own|$base|\"pnstackd/(net|loop|link)/|<" $(files pnstackd/link)
includes api "$own|\"libpeernet/|\"pnstackd/(net|session|loop|link|api)/|<" \
	$(files pnstackd/api)
includes libpeernet "$own|\"libpeernet/|<" \
	$(files libpeernet | grep -v '^libpeernet/base/')
includes shim "$own|\"(libpeernet|shim)/|<" $(files shim)
includes tools "$own|\"(libpeernet|tools)/|<" $(files tools)
includes sim "$own|$base|\"(pnstackd/(net|session)|tests)/|<" $(files tests/sim)

faults=
for h in $(files libpeernet pnstackd shim tools tests | grep '\.h$'); do
	# as a file of its own directory would include it
	echo "#include \"$(basename "$h")\"" >"$tmp/alone.c"
	$CC $FLAGS -iquote "$(dirname "$h")" -fsyntax-only "$tmp/alone.c" \
		>"$tmp/out" 2>&1 || faults+="$h: $(head -n 3 "$tmp/out")"$'\n'
done
result "each header compiles alone" "$faults"
exit $failed

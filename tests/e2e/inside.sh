#!/bin/bash
# Runs a command where it may make network namespaces, and where nothing that it
# leaves running, mounted or lying about outlives it: in a user, network, mount and
# process namespace of its own.  An ordinary user gets that where the system allows
# unprivileged user namespaces; else sudo is asked for.  Says which on standard error.
#
# usage: inside.sh COMMAND [ARG...]
#
# In there $PN_INSIDE is "root", "user namespace" or "sudo", and /run is an empty
# tmpfs.  Without a way to get there the command runs where it is, with PN_INSIDE
# empty: it has to find out that it cannot do what it wants.
set -u

if [ $# -eq 0 ]; then
	echo "usage: inside.sh COMMAND [ARG...]" >&2
	exit 2
fi

# The first process in there.  bash takes in orphans; a signal of the terminal must
# reach the command, which cleans up, but not end this one before it.
# shellcheck disable=SC2016
init='
	mount -t tmpfs -o mode=0755 tmpfs /run || exit 2
	ip link set lo up
	trap : INT TERM HUP
	"$@"
	exit $?'

# enter HOW WORDS PREFIX...: does not return if it works
enter()
{
	local how=$1 words=$2
	shift 2
	"$@" true 2>/dev/null </dev/null || return
	echo "inside: $words" >&2
	[ "$how" = sudo ] || export PN_INSIDE=$how
	exec "$@" env PN_INSIDE="$how" PATH="$PATH:/usr/sbin:/sbin" \
		bash -c "$init" inside "${command[@]}"
}

command=("$@")
spaces=(--net --mount --propagation private --pid --fork --kill-child --mount-proc)

if [ "$(id -u)" -eq 0 ]; then
	enter root "running as root, in namespaces of its own" unshare "${spaces[@]}"
else
	enter "user namespace" "running as $(id -un), in a user namespace (no root needed)" \
		unshare --user --map-root-user "${spaces[@]}"
	if command -v sudo >/dev/null; then
		echo "inside: this system allows no unprivileged user namespaces; using sudo" >&2
		sudo -v &&
			enter sudo "running through sudo, in namespaces of its own" \
				sudo --preserve-env="PN_BUILD$(printf ',%s' "${!GRID_@}")" unshare "${spaces[@]}"
	fi
fi
echo "inside: cannot make namespaces here (not root, no unprivileged user namespaces)" >&2
exec env PN_INSIDE= "$@"

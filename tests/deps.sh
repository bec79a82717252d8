#!/bin/bash
# Installs the Debian packages that are missing, and says so.
#
# usage: deps.sh {build|test|demo}...
set -u

build="build-essential pkg-config libpcap-dev liburing-dev libjansson-dev
	libsodium-dev libssl-dev libgnutls28-dev libngtcp2-dev
	libngtcp2-crypto-gnutls-dev"
demo="iproute2 curl jq python3 procps util-linux"
# the programs of tests/e2e/programs.bats
programs="wget netcat-openbsd socat iperf3 nodejs nginx redis-server redis-tools git
	openssh-client openssh-server fossil apache2-utils aria2 vsftpd lftp dovecot-imapd
	postgresql postgresql-client"
# gnuplot-nox and graphviz: the pictures of `pnsim plot`; nothing else needs them
# strace: shows that the shim adds no system calls
test="$demo libcunit1-dev bats mandoc $programs tcpdump strace iputils-ping gnuplot-nox graphviz"
# what they would start, now and at each boot: package:unit
services="nginx:nginx redis-server:redis-server openssh-server:ssh vsftpd:vsftpd
	dovecot-imapd:dovecot postgresql:postgresql"

wanted=
for set in "$@"; do
	case $set in
	build) wanted="$wanted $build" ;;
	test) wanted="$wanted $test" ;;
	demo) wanted="$wanted $demo" ;;
	*) wanted= && break ;;
	esac
done
if [ -z "$wanted" ]; then
	echo "usage: deps.sh {build|test|demo}..." >&2
	exit 2
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
	echo "deps: this is no Debian-like system; install what these Debian" \
		"packages hold by hand, then run make all:"
	echo $wanted
	# whoever has done so can go on: make itself names what it lacks
	exit 0
fi

missing=
for pkg in $wanted; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$pkg" 2>/dev/null)
	[ "$state" = installed ] || missing="$missing $pkg"
done
if [ -z "$missing" ]; then
	echo "deps: all packages are there ($*)"
	exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "deps: missing:$missing" >&2
		echo "deps: you are not root and there is no sudo; as root, run:" >&2
		echo "apt-get install$missing" >&2
		exit 1
	fi
	as_root=sudo
fi

echo "deps: installing with ${as_root:+$as_root }apt-get:$missing"
# A stale list is the usual reason for a failure, but an unreachable mirror of
# something else is none: go on and let the installation decide
$as_root apt-get -q update ||
	echo "deps: apt-get update failed; trying with the lists there are" >&2
# A server that is installed for the tests does not make a server of this machine
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
	$as_root chmod 755 $policy
	trap '$as_root rm -f $policy' EXIT
fi
if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y \
	--no-install-recommends $missing </dev/null; then
	echo "deps: could not install:$missing" >&2
	exit 1
fi
for service in $services; do
	case " $missing " in
	*" ${service%:*} "*) $as_root systemctl -q disable "${service#*:}" 2>/dev/null ;;
	esac
done
echo "deps: done"

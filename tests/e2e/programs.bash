#!/bin/bash
# One program at work, for programs.bats.
#
# usage: programs.bash ROW COLUMN
#
# A row is a program in a role, a function row_NAME below; its status says whether all that was
# carried was right.  A column says where the server and the client run: "native" on the loopback
# of node N; "shim" on B and A; "slow" on D and C, between which the cable has a delay and loses
# frames.  PN_DIR and the names of the nodes are in the environment.  It works in a directory of
# its own, and nothing that it starts outlives it.  What it does goes to standard error.
set -eEu
# shellcheck source=tests/e2e/lib.bash
. "${BASH_SOURCE[0]%/*}/lib.bash"

row=$1 column=$2
pnrun=("$PN_BUILD/pnrun")
few=20 some=200 many=2000	# round trips, by the time that there is
size=3000000 rate=4M
case $column in
native) S=N C=N S_HOST=127.0.0.1 C_HOST=127.0.0.1 pnrun=() ;;
shim) S=B C=A S_HOST=$B_NAME C_HOST=$A_NAME ;;
slow)
	S=D C=C S_HOST=$D_NAME C_HOST=$C_NAME
	few=4 some=40 many=100 size=200000 rate=1M
	;;
esac

# --- servers and clients ------------------------------------------------------

# serve PORT PROGRAM...: a server, with its output in server.log, until it listens
serve()
{
	serve_on "$S" "$@"
}

serve_on()
{
	local node=$1 port=$2
	shift 2
	spawn "$node" server.log timeout 60 ${pnrun[@]+"${pnrun[@]}"} "$@"
	servers+=" $SPAWNED"
	wait_until 10 listens_or_dead "$node" "$port"
	alive "$SPAWNED"
}

# listens NODE PORT
listens()
{
	if [ "$column" = native ]; then
		on "$1" ss -Hltun "sport = :$2" | grep -q .
	else
		ctl "$1" --json sockets | jq -e --argjson port "$2" \
			'any(.sockets[]; .port == $port or .local_port == $port)' >/dev/null
	fi
}

listens_or_dead()
{
	listens "$@" || dead "$SPAWNED"
}

# client PROGRAM...
client()
{
	on "$C" timeout 40 ${pnrun[@]+"${pnrun[@]}"} "$@"
}

# the end of all servers
servers=
servers_stop()
{
	local pid
	for pid in $servers; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	servers=
}

on_exit()
{
	local pid
	servers_stop
	for pid in $(jobs -p); do
		kill -KILL "$pid" 2>/dev/null || true
	done
}

# alike FILE FILE
alike()
{
	cmp "$1" "$2"
}

has_size()
{
	[ "$(stat -c %s "$1")" -ge "$2" ]
}

# --- clients of HTTP -------------------------------------------------------------

row_curl()
{
	local i
	serve 8000 python3 -u -m http.server 8000
	client curl -sS -o got "http://$S_HOST:8000/file"
	alike file got
	client curl -4 -sS -o got "http://$S_HOST:8000/file"
	alike file got
	# many at once, each on a connection of its own
	client curl -sS --no-progress-meter -Z --parallel-max "$few" -o 'got#1' \
		"http://$S_HOST:8000/small?[1-$few]"
	for ((i = 1; i <= few; i++)); do
		alike small "got$i"
	done
}

row_wget()
{
	serve 8000 python3 -u -m http.server 8000
	client wget -q -O got "http://$S_HOST:8000/file"
	alike file got
	# a part of it, and a mirror of a tree
	head -c 1000 file >part
	client wget -q -c -O part "http://$S_HOST:8000/file"
	alike file part
	client wget -q -r -nH -P mirror "http://$S_HOST:8000/tree/"
	diff -r -x 'index.html*' tree mirror/tree
}

# It has its own resolver, c-ares, and takes the file in pieces on connections at once
row_aria2()
{
	nginx_conf 1 "listen 8080; listen [::]:8080;"
	serve 8080 nginx -p . -e stderr -c nginx.conf
	client aria2c -q -x 4 -s 4 -k 1M --min-split-size=1M -o got "http://$S_HOST:8080/file"
	alike file got
}

row_ab()
{
	local len
	len=$(stat -c %s small)
	nginx_conf 1 "listen 8080; listen [::]:8080;"
	serve 8080 nginx -p . -e stderr -c nginx.conf
	for keep in "" -k; do
		client ab -q -r $keep -n "$some" -c "$few" "http://$S_HOST:8080/small" >ab.out
		grep -Eq "^Complete requests: +$some$" ab.out
		grep -Eq "^Failed requests: +0$" ab.out
		grep -Eq "^HTML transferred: +$((some * len)) bytes$" ab.out
	done
}

# --- plain sockets -------------------------------------------------------------------

# nc ends when both its inputs have, and forgets what it has not written by then: so no end of
# input comes before all bytes have arrived
row_nc_tcp()
{
	mkfifo go
	touch got back
	serve 9001 sh -c 'cat go | nc -N -l -p 9001 >got'
	{ head -c 100000 file && wait_until 20 has_size back 100000; } >go &
	{ head -c 200000 file && wait_until 20 has_size got 200000; } |
		client nc -N "$S_HOST" 9001 >back
	wait "$SPAWNED"
	head -c 200000 file | cmp - got
	head -c 100000 file | cmp - back
	serve 9002 nc -k -l -p 9002
	client nc -z "$S_HOST" 9002
}

# Datagrams get lost: each is sent until it has arrived
row_nc_udp()
{
	mkfifo go
	touch got back
	serve 9002 sh -c 'cat <>go | nc -u -l -p 9002 >got'
	{
		wait_until 20 say_until "from the client" got
		wait_until 20 say_until "from the server" back go
	} | client nc -u -q 0 "$S_HOST" 9002 >back
	[ "$(sort -u got)" = "from the client" ]
	[ "$(sort -u back)" = "from the server" ]
}

# say_until TEXT FILE [WHERE]: says it once more unless it is in the file
say_until()
{
	grep -q "$1" "$2" && return
	echo "$1" >"${3:-/dev/stdout}"
	sleep 0.1
	grep -q "$1" "$2"
}

row_socat()
{
	local i pids=
	serve 9003 socat TCP6-LISTEN:9003,fork,reuseaddr,ipv6only=0 EXEC:cat
	for ((i = 1; i <= few; i++)); do
		client socat -t 20 - "TCP:$S_HOST:9003" <small >"got$i" &
		pids+=" $!"
	done
	for i in $pids; do
		wait "$i"
	done
	for ((i = 1; i <= few; i++)); do
		alike small "got$i"
	done
	client socat -t 20 - "TCP:$S_HOST:9003" <file >got
	alike file got
	# datagrams up to a size that goes in pieces
	serve 9004 socat UDP6-RECVFROM:9004,fork,ipv6only=0 EXEC:cat
	for i in 10 1000 5000; do
		head -c "$i" file >sent
		wait_until 20 echoed_udp "$S_HOST:9004"
	done
}

# echoed_udp HOST:PORT: datagrams get lost
echoed_udp()
{
	client socat -T 0.5 -b 10000 - "UDP:$1" <sent >got
	cmp -s sent got
}

# --- languages ------------------------------------------------------------------------

row_python_http()
{
	serve 8000 python3 -u -m http.server 8000
	client python3 - "http://$S_HOST:8000" "$few" <<-'END'
		import concurrent.futures, sys, urllib.error, urllib.request
		url, n = sys.argv[1], int(sys.argv[2])
		want = {name: open(name, "rb").read() for name in ("file", "small")}
		def get(name):
		    with urllib.request.urlopen(url + "/" + name, timeout=30) as r:
		        assert r.read() == want[name], name
		with concurrent.futures.ThreadPoolExecutor(n) as pool:
		    list(pool.map(get, ["small"] * n + ["file"] * 2))
		try:
		    get("nothing")
		    sys.exit("no error")
		except urllib.error.HTTPError as e:
		    assert e.code == 404
	END
	servers_stop
	serve 8001 python3 -u -m http.server --bind :: 8001
	client curl -sS -o got "http://$S_HOST:8001/small"
	alike small got
}

row_asyncio()
{
	cat >server.py <<-'END'
		import asyncio
		async def one(r, w):
		    while data := await r.read(65536):
		        w.write(data)
		        await w.drain()
		    w.close()
		class Echo(asyncio.DatagramProtocol):
		    def connection_made(self, transport):
		        self.transport = transport
		    def datagram_received(self, data, peer):
		        self.transport.sendto(data, peer)
		async def main():
		    loop = asyncio.get_running_loop()
		    await loop.create_datagram_endpoint(Echo, ("0.0.0.0", 7102))
		    async with await asyncio.start_server(one, None, 7101) as s:
		        await s.serve_forever()
		asyncio.run(main())
	END
	cat >client.py <<-'END'
		import asyncio, os, sys
		host, n = sys.argv[1], int(sys.argv[2])
		data = open("file", "rb").read()[:100000]
		async def one(i):
		    r, w = await asyncio.open_connection(host, 7101)
		    w.write(data[i:])
		    w.write_eof()
		    assert await r.read() == data[i:]
		    w.close()
		    await w.wait_closed()
		class Ask(asyncio.DatagramProtocol):
		    def __init__(self):
		        self.answers = asyncio.Queue()
		    def datagram_received(self, data, peer):
		        self.answers.put_nowait(data)
		async def datagrams():
		    t, p = await asyncio.get_running_loop().create_datagram_endpoint(
		        Ask, remote_addr=(host, 7102))
		    for size in 1, 1000, 3000:
		        for _ in range(50):  # some get lost
		            t.sendto(data[:size])
		            try:
		                got = await asyncio.wait_for(p.answers.get(), 0.3)
		            except asyncio.TimeoutError:
		                continue
		            if len(got) == size:
		                break
		        assert got == data[:size]
		    t.close()
		async def main():
		    await asyncio.gather(datagrams(), *(one(i) for i in range(n)))
		asyncio.run(asyncio.wait_for(main(), 30))
	END
	serve 7101 python3 server.py
	client python3 client.py "$S_HOST" "$few"
}

node_server='
	const http = require("http"), fs = require("fs"), crypto = require("crypto");
	http.createServer((req, res) => {
		if (req.method === "GET")
			return fs.createReadStream("." + req.url.split("?")[0]).pipe(res);
		const hash = crypto.createHash("sha256");
		req.on("data", d => hash.update(d));
		req.on("end", () => res.end(hash.digest("hex")));
	}).listen(8002);'

node_client='
	const http = require("http"), fs = require("fs"), [url, n] = process.argv.slice(1);
	const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
	const want = { file: fs.readFileSync("file"), small: fs.readFileSync("small") };
	const get = name => new Promise((done, fail) => {
		http.get(url + "/" + name, { agent }, res => {
			const parts = [];
			res.on("data", d => parts.push(d)).on("error", fail);
			res.on("end", () => Buffer.concat(parts).equals(want[name]) ? done() :
				fail(new Error(name + " differs")));
		}).on("error", fail);
	});
	Promise.all([get("file")].concat(Array(+n).fill("small").map(get)))
		.then(() => process.exit(0), e => { console.error(e); process.exit(1); });'

row_node_server()
{
	serve 8002 node -e "$node_server"
	client curl -sS -o got "http://$S_HOST:8002/file"
	alike file got
	client curl -sS -T file -o got "http://$S_HOST:8002/"
	[ "$(cat got)" = "$(sha256sum <file | cut -c 1-64)" ]
	client curl -sS --no-progress-meter -Z -o 'got#1' "http://$S_HOST:8002/small?[1-$few]"
	alike small "got$few"
}

row_node_client()
{
	serve 8000 python3 -u -m http.server 8000
	client node -e "$node_client" "http://$S_HOST:8000" "$few"
}

# --- nginx -----------------------------------------------------------------------------

# nginx_conf WORKERS SERVER...: each server is what stands in its block
nginx_conf()
{
	local workers=$1 block temp
	shift
	cat >nginx.conf <<-END
		daemon off;
		user root;
		worker_processes $workers;
		pid nginx.pid;
		events { worker_connections 256; }
		http {
			access_log off;
			sendfile on;
			tcp_nopush on;
			add_header X-Worker \$pid;
			$(for temp in client_body proxy fastcgi uwsgi scgi; do
				echo "${temp}_temp_path temp_$temp;"
			done)
			$(for block; do
				echo "server { root .; $block }"
			done)
		}
	END
}

row_nginx_static()
{
	nginx_conf 2 "listen 8080; listen [::]:8080;"
	serve 8080 nginx -p . -e stderr -c nginx.conf
	client curl -sS -o got "http://$S_HOST:8080/file"
	alike file got
	client curl -sS -r 1000-1999 -o got "http://$S_HOST:8080/file"
	tail -c +1001 file | head -c 1000 | cmp - got
	# one connection, many requests
	client curl -sS --no-progress-meter -o 'got#1' "http://$S_HOST:8080/small?[1-$few]"
	alike small "got$few"
}

# The server is a client, too: of what the client's node serves
row_nginx_proxy()
{
	serve_on "$C" 8000 python3 -u -m http.server 8000
	nginx_conf 1 "listen 8080; listen [::]:8080; location / {
		proxy_pass http://$C_HOST:8000; }"
	serve 8080 nginx -p . -e stderr -c nginx.conf
	client curl -sS -o got "http://$S_HOST:8080/file"
	alike file got
	client curl -sS --no-progress-meter -Z -o 'got#1' "http://$S_HOST:8080/small?[1-$few]"
	alike small "got$few"
}

# Each worker has listeners of its own, and gets something
row_nginx_reuseport()
{
	nginx_conf 2 "listen 8080 reuseport; listen [::]:8080 reuseport;"
	serve 8080 nginx -p . -e stderr -c nginx.conf
	client curl -sS --no-progress-meter -Z --parallel-max "$few" -D headers -o 'got#1' \
		"http://$S_HOST:8080/small?[1-40]"
	alike small got40
	# headers of transfers at once may be mixed up in the file: ask again, one by one
	for ((i = 0; i < 20; i++)); do
		client curl -sS -D - -o /dev/null "http://$S_HOST:8080/small"
	done | grep -i x-worker: | sort | uniq -c >workers
	[ "$(wc -l <workers)" -eq 2 ]
}

# What is under way goes on at the old workers, what is new comes to the new ones
row_nginx_reload()
{
	local long
	nginx_conf 2 "listen 8080; listen [::]:8080; limit_rate_after 1000;
		limit_rate $((size / 2)); add_header X-Conf old;"
	serve 8080 nginx -p . -e stderr -c nginx.conf
	client curl -sS -D headers -o got "http://$S_HOST:8080/file" &
	long=$!
	wait_until 10 grep -sqi "x-conf: old" headers
	nginx_conf 2 "listen 8080; listen [::]:8080; add_header X-Conf new;"
	kill -HUP "$(cat nginx.pid)"
	wait_until 10 conf_is_new
	alive "$long"
	wait "$long"
	alike file got
}

conf_is_new()
{
	client curl -sS -D - -o got2 "http://$S_HOST:8080/small" >headers2
	alike small got2
	grep -qi "x-conf: new" headers2
}

# --- redis ---------------------------------------------------------------------------------

row_redis()
{
	serve 6379 redis-server --port 6379 --bind '* -::*' --protected-mode no --save '' --dir .
	client redis-cli -h "$S_HOST" -x set file <file >/dev/null
	client redis-cli -h "$S_HOST" --raw get file >got
	{ cat file && echo; } | cmp - got
	client redis-cli -h "$S_HOST" config resetstat >/dev/null
	client redis-benchmark -h "$S_HOST" -t set,get,lpush -n "$many" -c 20 -q
	client redis-benchmark -h "$S_HOST" -t set -n "$many" -c 5 -P 10 -q
	client redis-cli -h "$S_HOST" info commandstats >stats
	grep -q "cmdstat_set:calls=$((2 * many))," stats
	grep -q "cmdstat_get:calls=$many," stats
	[ "$(client redis-cli -h "$S_HOST" llen mylist)" -eq "$many" ]
}

# --- FTP, mail, databases ----------------------------------------------------------------

# Who connects for the data: the client (EPSV), or the server, from port 20 (EPRT)
row_ftp()
{
	local how
	mkdir -p pub/up empty
	chmod 777 pub/up
	cp file small pub
	cat >vsftpd.conf <<-END
		listen=NO
		listen_ipv6=YES
		listen_port=2121
		background=NO
		anonymous_enable=YES
		ftp_username=daemon
		anon_root=$PWD/pub
		secure_chroot_dir=$PWD/empty
		write_enable=YES
		anon_upload_enable=YES
		anon_umask=022
		connect_from_port_20=YES
	END
	serve 2121 vsftpd "$PWD/vsftpd.conf"
	for how in --ftp-pasv "--ftp-port -"; do
		# shellcheck disable=SC2086
		client curl -sS $how -T small "ftp://$S_HOST:2121/up/${how%% *}"
		alike small "pub/up/${how%% *}"
		# shellcheck disable=SC2086
		client curl -sS $how -o got "ftp://$S_HOST:2121/file"
		alike file got
	done
	for how in on off; do
		client lftp -c "set ftp:passive-mode $how; open ftp://$S_HOST:2121;
			get file -o got.$how; put small -o up/$how"
		alike file got.$how
		alike small pub/up/$how
	done
}

row_imap()
{
	mkdir run mail
	chown nobody mail
	cat >dovecot.conf <<-END
		base_dir = $PWD/run
		state_dir = $PWD/run
		log_path = /dev/stderr
		protocols = imap
		ssl = no
		disable_plaintext_auth = no
		mail_location = maildir:$PWD/mail
		default_login_user = nobody
		default_internal_user = nobody
		default_internal_group = nogroup
		passdb {
			driver = static
			args = password=secret
		}
		userdb {
			driver = static
			args = uid=nobody gid=nogroup home=$PWD/mail
		}
		service imap-login {
			inet_listener imap {
				port = 1143
			}
			inet_listener imaps {
				port = 0
			}
		}
	END
	{
		printf 'Subject: %s\r\n\r\n' "$column"
		head -c 100000 file | base64 | sed 's/$/\r/'
	} >letter
	serve 1143 dovecot -F -c "$PWD/dovecot.conf"
	client curl -sS -u alice:secret -T letter "imap://$S_HOST:1143/INBOX"
	client curl -sS -u alice:secret -o got "imap://$S_HOST:1143/INBOX;MAILINDEX=1"
	alike letter got
	client curl -sS -u alice:secret "imap://$S_HOST:1143/INBOX?SUBJECT%20$column" | grep -q "SEARCH 1"
	! client curl -sS -u alice:wrong "imap://$S_HOST:1143/INBOX"
}

row_postgresql()
{
	local bin as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
	bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
	mkdir db
	chown postgres db
	"${as[@]}" "$bin/initdb" -N -A trust -D db >/dev/null
	echo "host all all all trust" >>db/pg_hba.conf
	serve 5432 "${as[@]}" "$bin/postgres" -D db -c unix_socket_directories= \
		-c listen_addresses='*' -c dynamic_shared_memory_type=mmap -c fsync=off
	export PGHOST=$S_HOST PGUSER=postgres
	wait_until 10 client psql -qAtc "select 1"
	base64 file >lines
	client psql -qc "create table t (line text)" -c "\\copy t from lines" -c "\\copy t to back"
	alike lines back
	client pgbench -iq -I dtGvp
	client pgbench -n -c 3 -j 2 -t "$few"
	[ "$(client psql -qAtc "select count(*) from pgbench_history")" -eq $((3 * few)) ]
	# a question is withdrawn on a connection of its own
	client timeout -s INT 1 psql -c "select pg_sleep(30)" 2>cancelled || true
	grep -q "canceling statement due to user request" cancelled
}

# --- git, fossil, ssh ---------------------------------------------------------------------------

repository()
{
	export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
	git config --global user.name "$column"
	git config --global user.email "$column@example.org"
	git config --global init.defaultBranch main
	git config --global safe.directory '*'
	git init -q --bare served/repo
	git -C served/repo config http.receivepack true
	git init -q first
	cp -r file tree first/
	git -C first add .
	git -C first commit -qm "the first"
	git -C first push -q ../served/repo main
}

# clone_and_push URL
clone_and_push()
{
	client git clone -q "$1" second
	alike file second/file
	diff -r tree second/tree
	head -c 50000 /dev/urandom >second/more
	git -C second add .
	git -C second commit -qm "the second"
	client git -C second push -q origin main
	[ "$(git -C served/repo rev-parse main)" = "$(git -C second rev-parse main)" ]
	git -C served/repo fsck --full --strict 2>&1
}

row_git()
{
	repository
	serve 9418 git daemon --reuseaddr --base-path=served --export-all --enable=receive-pack
	clone_and_push "git://$S_HOST/repo"
}

row_git_http()
{
	repository
	mkdir served/cgi-bin
	cat >served/cgi-bin/git <<-END
		#!/bin/sh
		GIT_PROJECT_ROOT=$PWD/served GIT_HTTP_EXPORT_ALL=1 REMOTE_USER=$column \\
			exec git http-backend
	END
	chmod 755 served/cgi-bin/git
	chmod -R a+rwX .	# as root, http.server runs it as nobody
	serve 8000 python3 -u -m http.server --cgi -d served 8000
	clone_and_push "http://$S_HOST:8000/cgi-bin/git/repo"
}

ssh_up()
{
	mkdir -p /run/sshd
	chmod 700 .
	ssh-keygen -q -t ed25519 -N '' -f host_key
	ssh-keygen -q -t ed25519 -N '' -f key
	cp key.pub authorized
	cat >sshd_config <<-END
		Port 2222
		HostKey $PWD/host_key
		AuthorizedKeysFile $PWD/authorized
		PidFile none
		StrictModes no
		UsePAM no
		PasswordAuthentication no
		Subsystem sftp internal-sftp
	END
	echo "[$S_HOST]:2222 $(cut -d ' ' -f 1,2 host_key.pub)" >known
	cat >ssh_config <<-END
		IdentityFile $PWD/key
		IdentitiesOnly yes
		UserKnownHostsFile $PWD/known
		StrictHostKeyChecking yes
		User root
		Port 2222
	END
	serve 2222 /usr/sbin/sshd -D -e -f "$PWD/sshd_config"
}

row_ssh()
{
	local n
	ssh_up
	client ssh -F ssh_config "$S_HOST" 'cat; exit 3' <file >got || [ $? -eq 3 ]
	alike file got
	n=$(client ssh -F ssh_config -tt "$S_HOST" 'tty >/dev/null && seq 1000' | tr -d '\r' | wc -l)
	[ "$n" -eq 1000 ]
}

row_scp()
{
	ssh_up
	client scp -q -F ssh_config file "$S_HOST:$PWD/there"
	alike file there
	client scp -q -r -F ssh_config "$S_HOST:$PWD/tree" back
	diff -r tree back
	client scp -q -O -F ssh_config "$S_HOST:$PWD/file" old	# the protocol before sftp
	alike file old
}

row_fossil()
{
	local url
	export HOME=$PWD USER=alice
	fossil init --admin-user alice served.fossil >/dev/null
	fossil user password alice secret -R served.fossil
	echo "A page of the server's" | fossil wiki create Hello - -R served.fossil
	serve 8081 fossil server --port 8081 served.fossil
	url=http://alice:secret@$S_HOST:8081/
	client fossil clone --once "$url" copy.fossil
	[ "$(fossil wiki export Hello -R copy.fossil)" = "A page of the server's" ]
	head -c 100000 file | base64 >page
	fossil wiki create Mine page -R copy.fossil
	echo "Changed at the server" | fossil wiki commit Hello - -R served.fossil
	client fossil sync --once "$url" -R copy.fossil
	fossil wiki export Mine -R served.fossil | diff - page
	[ "$(fossil wiki export Hello -R copy.fossil)" = "Changed at the server" ]
	fossil test-integrity copy.fossil
}

# --- iperf3 ---------------------------------------------------------------------------------------

# The data is iperf3's own and it looks at none of it: only how much arrives can be told.  (With
# -F it would send a file, but puts what a write has left over at the wrong place, natively too.)
row_iperf3()
{
	local count=0 options
	serve 9005 iperf3 --forceflush -s -p 9005
	for options in "" "-R" "-P 4" "-P 4 -R"; do
		count=$((count + 1))
		wait_until 10 served $count
		# shellcheck disable=SC2086
		client iperf3 -J -c "$S_HOST" -p 9005 -t 1 $options >result
		jq -e '.end | .sum_received.bytes > 100000 and
			.sum_received.bytes <= .sum_sent.bytes' result
	done
}

# iperf3 does not say its first datagram again when that is lost, natively neither
row_iperf3_udp()
{
	local options
	for options in "" "-R"; do
		for _ in 1 2 3; do
			serve 9005 iperf3 --forceflush -s -p 9005
			# shellcheck disable=SC2086
			! client timeout 8 iperf3 -J -c "$S_HOST" -p 9005 -t 1 -u -b "$rate" \
				-l 1200 $options >result || break
			servers_stop
			wait_until 10 listens_not "$S" 9005
		done
		# as much as was asked for, and one in a hundred may be lost each way
		jq -e '.end.sum | .bits_per_second > 900000 and
			.lost_percent < 8' result
		servers_stop
		wait_until 10 listens_not "$S" 9005
	done
}

listens_not()
{
	! listens "$@"
}

# served COUNT: is the server ready for that test?
served()
{
	[ "$(grep -c "Server listening" server.log)" -ge "$1" ]
}

# --- the directory ----------------------------------------------------------------------------------

mkdir -p "$PN_DIR/rows/$row.$column"
cd "$PN_DIR/rows/$row.$column"
trap on_exit EXIT
head -c "$size" /dev/urandom >file
head -c 3000 file >small
mkdir tree tree/below
head -c 5000 file >tree/one
head -c 500 file >tree/below/two
PS4='+ ${BASH_LINENO[0]}: '
set -x
"row_$row"

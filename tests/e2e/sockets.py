#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What programs expect of sockets, asked natively and over the shim alike.

    sockets.py serve                  servers on the ports below; prints "ready"
    sockets.py test HOST [TEST ...]   client tests against them

The same tests run without the shim against 127.0.0.1, so that they are known to be true
of real sockets.
"""
import ctypes
import errno
import fcntl
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ECHO, RESET, UDP, CLOSED = 7101, 7102, 7103, 7199
WAIT = 10  # s, for anything


def serve_echo(listener):
    while True:
        conn, peer = listener.accept()
        if os.fork() == 0:  # a forked child has the connection alone
            listener.close()
            while data := conn.recv(65536):
                conn.sendall(data)
            conn.close()
            os._exit(0)
        conn.close()


def serve_reset(listener):
    while True:
        conn, _ = listener.accept()
        conn.recv(1)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        conn.close()


def serve_udp(sock):
    while True:
        data, peer = sock.recvfrom(65536)
        sock.sendto(data, peer)


def serve():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    jobs = []
    for port, job in ((ECHO, serve_echo), (RESET, serve_reset)):
        sock = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        assert sock.getsockname()[1] == port
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
        jobs.append(threading.Thread(target=job, args=(sock,), daemon=True))
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", UDP))
    assert sock.getsockname()[1] == UDP
    jobs.append(threading.Thread(target=serve_udp, args=(sock,), daemon=True))
    for job in jobs:
        job.start()
    print("ready", flush=True)
    signal.pause()


def address(port, kind=socket.SOCK_STREAM):
    return socket.getaddrinfo(HOST, port, type=kind)[0]


def fresh(port=ECHO, kind=socket.SOCK_STREAM):
    family, kind, proto, _, addr = address(port, kind)
    return socket.socket(family, kind, proto), addr


def connected(port=ECHO, kind=socket.SOCK_STREAM):
    sock, addr = fresh(port, kind)
    sock.settimeout(WAIT)
    sock.connect(addr)
    sock.settimeout(None)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", WAIT, 0))
    return sock


def read_exactly(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        assert more, "early end of file"
        data += more
    return data


def error_of(call, *args):
    try:
        call(*args)
    except OSError as e:
        return e.errno
    return 0


def test_echo_and_half_close():
    data = os.urandom(1 << 20)
    sock = connected()
    sender = threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR)))
    sender.start()
    assert read_exactly(sock, len(data)) == data
    sender.join()
    assert sock.recv(1) == b""


def test_epoll_before_connect():
    sock, addr = fresh()
    sock.setblocking(False)
    ep = select.epoll()
    ep.register(sock, select.EPOLLOUT | select.EPOLLET)
    ep.poll(0)  # an unconnected socket may say what it likes
    assert error_of(sock.connect, addr) == errno.EINPROGRESS
    deadline = time.monotonic() + WAIT
    while sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
        assert time.monotonic() < deadline
        if not ep.poll(WAIT):
            raise AssertionError("never writable")
        if error_of(sock.getpeername) == 0:
            break
    assert error_of(sock.connect, addr) in (0, errno.EISCONN)
    assert error_of(sock.connect, addr) == errno.EISCONN
    assert sock.getpeername()[1] == ECHO
    sock.send(b"x")
    sock.setblocking(True)
    assert sock.recv(1) == b"x"


def test_poll_waits_for_the_answer():
    sock, addr = fresh()
    sock.setblocking(False)
    assert error_of(sock.connect, addr) == errno.EINPROGRESS
    _, writable, _ = select.select([], [sock], [], WAIT)
    assert writable and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    sock.setblocking(True)
    sock.sendall(b"y" * 300000)  # its buffer must have its size again
    assert read_exactly(sock, 300000) == b"y" * 300000


def test_refused_nonblocking():
    sock, addr = fresh(CLOSED)
    sock.setblocking(False)
    assert error_of(sock.connect, addr) == errno.EINPROGRESS
    p = select.poll()
    p.register(sock, select.POLLOUT)
    assert p.poll(WAIT * 1000)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_refused_then_again():
    sock, addr = fresh(CLOSED)
    assert error_of(sock.connect, addr) == errno.ECONNREFUSED
    assert error_of(sock.connect, addr[:1] + (ECHO,) + addr[2:]) == 0
    sock.send(b"z")
    assert sock.recv(1) == b"z"


def test_not_connected():
    sock, _ = fresh()
    assert error_of(sock.getpeername) == errno.ENOTCONN
    assert error_of(sock.recv, 1) == errno.ENOTCONN
    assert sock.getsockname()[1] == 0


def test_options():
    sock = connected()
    tcp = socket.IPPROTO_TCP
    for level, name in ((tcp, socket.TCP_NODELAY), (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                        (tcp, socket.TCP_CORK)):
        sock.setsockopt(level, name, 1)
        assert sock.getsockopt(level, name) == 1
    sock.setsockopt(tcp, socket.TCP_CORK, 0)
    sock.setsockopt(tcp, socket.TCP_KEEPIDLE, 77)
    assert sock.getsockopt(tcp, socket.TCP_KEEPIDLE) == 77
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 20000)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 40000
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_STREAM
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) == tcp
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == sock.family
    assert sock.getsockopt(tcp, socket.TCP_INFO, 8)[0] == 1  # established
    assert len(sock.getsockopt(tcp, socket.TCP_INFO, 104)) == 104
    assert sock.getsockopt(tcp, socket.TCP_MAXSEG) > 500
    assert sock.getsockopt(tcp, 13, 16).rstrip(b"\0").isalpha()  # TCP_CONGESTION
    assert error_of(sock.setsockopt, tcp, 9999, 1) == errno.ENOPROTOOPT
    assert error_of(sock.setsockopt, tcp, 31, b"tls") in (errno.ENOENT, 0)  # TCP_ULP


def test_receive_timeout():
    sock = connected()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 50000))
    assert error_of(sock.recv, 1) == errno.EAGAIN


def test_addresses():
    sock = connected()
    host, port = sock.getpeername()[:2]
    assert (host, port) == address(ECHO)[4][:2]
    assert sock.getsockname()[1] != 0
    sock.send(b"1")
    assert sock.recvmsg(0)[0] == b""  # waits for something, and leaves it there
    assert sock.recvfrom(1)[0] == b"1"


class Ifaddrs(ctypes.Structure):
    """As far as it is of interest; ifa_next and ifa_addr"""
    _fields_ = [(n, ctypes.c_void_p) for n in ("next", "name", "flags", "addr", "mask")]


def addresses():
    """What getifaddrs() tells"""
    libc, found, start = ctypes.CDLL(None), set(), ctypes.c_void_p()
    assert libc.getifaddrs(ctypes.byref(start)) == 0
    at = start.value
    while at:
        one = Ifaddrs.from_address(at)
        family = ctypes.c_uint16.from_address(one.addr).value if one.addr else 0
        for known, where, size in (socket.AF_INET, 4, 4), (socket.AF_INET6, 8, 16):
            if family == known:
                found.add(socket.inet_ntop(known, ctypes.string_at(one.addr + where, size)))
        at = one.next
    libc.freeifaddrs(start)
    return found


def test_own_address_is_an_interface_s():
    assert connected().getsockname()[0] in addresses()


def test_dup():
    sock = connected()
    fd = os.dup(sock.fileno())
    spare = os.open("/dev/null", os.O_RDONLY)
    os.dup2(fd, spare)
    os.close(fd)
    other = socket.socket(fileno=spare)
    sock.close()
    assert other.getpeername()[1] == ECHO
    other.send(b"d")
    assert other.recv(1) == b"d"


def is_open(fd):
    return error_of(fcntl.fcntl, fd, fcntl.F_GETFD) == 0


def test_dup_that_fails():
    """Also onto numbers that are in use, but not by the program"""
    libc = ctypes.CDLL(None, use_errno=True)
    sock = connected()
    for to in [fd for fd in range(3, 1100) if not is_open(fd)]:
        for from_, flags, why in (99999, 0, errno.EBADF), (sock.fileno(), 1, errno.EINVAL):
            assert libc.dup3(from_, to, flags) == -1 and ctypes.get_errno() == why
            assert not is_open(to), to
        assert error_of(os.dup2, 99999, to) == errno.EBADF and not is_open(to)
    assert address(ECHO) and connected().getpeername()[1] == ECHO


def links():
    """What every number is, those that are not the program's included"""
    return {n: os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
            if os.path.lexists(f"/proc/self/fd/{n}")}


def test_dup_that_fails_moves_nothing():
    """And where no number is left, the answer is the same"""
    libc = ctypes.CDLL(None, use_errno=True)
    sock = connected()
    before, limits, taken = links(), resource.getrlimit(resource.RLIMIT_NOFILE), []
    hidden = [int(n) for n in before if not is_open(int(n))]

    def try_all():
        for to in hidden:
            assert libc.dup3(99999, to, 0) == -1 and ctypes.get_errno() == errno.EBADF
            assert libc.dup3(sock.fileno(), to, 1) == -1 and ctypes.get_errno() == errno.EINVAL

    try_all()
    assert links() == before
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(hidden, default=20) + 1, limits[1]))
    try:
        while not error_of(lambda: taken.append(os.dup(0))):
            pass
        try_all()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in taken:
            os.close(fd)
    assert links() == before


def test_vfork_and_every_number():
    """The child has each number for itself, and so has its own child"""
    libc = ctypes.PyDLL(None)  # keeps the interpreter's lock, which the child needs
    sock = connected()
    shim = "libpnpreload" in os.environ.get("LD_PRELOAD", "")
    child = libc.vfork() if shim else libc.fork()  # the kernel's shares the stack
    if child == 0:
        numbers = [int(n) for n in links() if not is_open(int(n))]
        for to in numbers:
            libc.dup2(sock.fileno(), to)
        grandchild = libc.fork()
        lost = sum(not is_open(to) for to in numbers)
        if grandchild == 0:
            os._exit(lost)
        os._exit(lost + os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_child_closes_everything():
    sock = connected()
    assert subprocess.run(["true"], close_fds=True).returncode == 0
    assert sock.getpeername()[1] == ECHO
    sock.send(b"c")
    assert sock.recv(1) == b"c"
    assert address(ECHO)  # the way to the daemon is still there


def test_inherited_through_exec():
    sock = connected()
    os.set_inheritable(sock.fileno(), True)
    code = ("import socket,sys; s = socket.socket(fileno=int(sys.argv[1])); "
            "s.send(b'e'); print(s.family.name, s.getpeername()[1], s.recv(1).decode())")
    out = subprocess.run([sys.executable, "-c", code, str(sock.fileno())], close_fds=False,
                         capture_output=True, text=True, timeout=WAIT)
    assert out.stdout.split() == [sock.family.name, str(ECHO), "e"], out


def test_chroot():
    """A program that has used no socket before it goes where no files are"""
    _, addr = fresh()
    code = ("import os,socket,sys; os.chroot(sys.argv[1]); "
            f"s = socket.socket(socket.{fresh()[0].family.name}); s.connect({addr!r}); "
            "s.send(b'c'); print(s.recv(1).decode())")
    with tempfile.TemporaryDirectory() as empty:
        out = subprocess.run([sys.executable, "-c", code, empty], capture_output=True, text=True,
                             timeout=WAIT)
    assert out.stdout == "c\n", out


def passed_on(sock, code):
    """What another program says of a socket that it gets in a message"""
    ours, theirs = socket.socketpair()
    code = ("import socket,sys; c = socket.socket(fileno=int(sys.argv[1])); "
            "s = socket.socket(fileno=socket.recv_fds(c, 1, 1)[1][0]); " + code)
    child = subprocess.Popen([sys.executable, "-c", code, str(theirs.fileno()), HOST],
                             pass_fds=[theirs.fileno()], stdout=subprocess.PIPE, text=True)
    socket.send_fds(ours, [b"x"], [sock.fileno()])
    return child.communicate(timeout=WAIT)[0].split()


def test_passed_in_a_message():
    sock = connected()
    out = passed_on(sock, "s.send(b'm'); "
                          "print(s.family.name, s.getpeername()[1], s.recv(1).decode())")
    assert out == [sock.family.name, str(ECHO), "m"], out
    fresh_one, addr = fresh()
    out = passed_on(fresh_one, f"s.connect({addr!r}); s.send(b'n'); "
                               "print(s.family.name, s.getpeername()[1], s.recv(1).decode())")
    assert out == [fresh_one.family.name, str(ECHO), "n"], out
    listener = socket.create_server(("0.0.0.0", 0))
    out = passed_on(listener, "print(s.family.name, *s.getsockname())")
    assert out == ["AF_INET", "0.0.0.0", str(listener.getsockname()[1])], out


def syscall(number, *args):
    libc = ctypes.CDLL(None, use_errno=True)
    ret = libc.syscall(ctypes.c_long(number), *(
        a if isinstance(a, bytes) else ctypes.c_long(a) for a in args))
    return ret if ret >= 0 else -ctypes.get_errno()


def raw(addr):
    """A struct sockaddr for the address of a socket"""
    if len(addr) == 2:
        return struct.pack("=H2s4s8x", socket.AF_INET, addr[1].to_bytes(2, "big"),
                           socket.inet_aton(addr[0]))
    return struct.pack("=H2sI16sI", socket.AF_INET6, addr[1].to_bytes(2, "big"), 0,
                       socket.inet_pton(socket.AF_INET6, addr[0]), 0)


def test_calls_by_number():
    if os.uname().machine != "x86_64":
        return
    family, kind, _, _, addr = address(ECHO)
    fd = syscall(41, family, kind, 0)  # socket
    assert fd >= 0
    assert syscall(42, fd, raw(addr), len(raw(addr))) == 0  # connect
    copy = syscall(32, fd)  # dup
    assert syscall(3, fd) == 0  # close
    sock = socket.socket(fileno=copy)
    assert sock.getpeername()[1] == ECHO
    assert syscall(1, copy, b"raw", 3) == 3  # write
    assert read_exactly(sock, 3) == b"raw"
    assert syscall(42, copy, raw(addr), len(raw(addr))) == -errno.EISCONN
    udp_fd = syscall(41, family, socket.SOCK_DGRAM, 0)
    to = raw(address(UDP)[4])
    poll = select.poll()
    poll.register(udp_fd, select.POLLIN)
    for _ in range(20):  # datagrams may be lost
        assert syscall(44, udp_fd, b"four", 4, 0, to, len(to)) == 4  # sendto
        if poll.poll(500):
            break
    assert socket.socket(fileno=udp_fd).recv(9) == b"four"


def test_close_range():
    pid = os.fork()
    if pid == 0:
        os.closerange(3, 65536)
        os._exit(0 if address(ECHO) and connected().getpeername()[1] == ECHO else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_close_range_that_is_wrong():
    sock, libc = connected(), ctypes.CDLL(None, use_errno=True)
    fd = sock.fileno()
    for first, last, flags in ((fd, fd, 1 << 8), (fd, fd, 1 << 8 | 2), (fd + 1, fd, 0)):
        assert libc.close_range(first, last, flags) == -1
        assert ctypes.get_errno() == errno.EINVAL
    sock.send(b"o")
    assert sock.recv(1) == b"o"


def test_fork_both_use_it():
    sock = connected()
    pid = os.fork()
    if pid == 0:
        sock.send(b"f")
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert sock.recv(1) == b"f"


def test_sendfile():
    sock = connected()
    with tempfile.TemporaryFile() as f:
        f.write(b"s" * 5000)
        f.flush()
        assert os.sendfile(sock.fileno(), f.fileno(), 0, 5000) == 5000
    assert read_exactly(sock, 5000) == b"s" * 5000


def test_makefile():
    sock = connected()
    with sock.makefile("rwb") as f:
        sock.close()
        f.write(b"line\n")
        f.flush()
        assert f.readline() == b"line\n"


def test_kernel_after_epoll():
    """A socket that an epoll set has already goes to the kernel's network."""
    listener = socket.create_server(("127.0.0.1", 0))
    sock = socket.socket()
    sock.setblocking(False)
    ep = select.epoll()
    ep.register(sock, select.EPOLLOUT | select.EPOLLET)
    ep.poll(0)
    if (r := error_of(sock.connect, listener.getsockname())) == errno.ENETUNREACH:
        return  # PEERNET_ONLY
    assert r in (0, errno.EINPROGRESS), errno.errorcode[r]
    assert ep.poll(WAIT)[0][0] == sock.fileno()
    assert sock.getpeername() == listener.getsockname()
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_listen_ephemeral():
    sock = socket.create_server(("", 0))
    assert sock.getsockname()[0] == "0.0.0.0" and sock.getsockname()[1] > 0
    other = socket.socket()
    assert error_of(other.bind, sock.getsockname()) == errno.EADDRINUSE
    sock.setblocking(False)
    assert error_of(sock.accept) == errno.EAGAIN


def test_two_families_one_port():
    one = socket.create_server(("0.0.0.0", 0))
    port = one.getsockname()[1]
    two = socket.create_server(("::", port), family=socket.AF_INET6)
    assert two.getsockname()[1] == port


def test_reset():
    sock = connected(RESET)
    sock.send(b"r")
    assert error_of(sock.recv, 1) == errno.ECONNRESET


def test_interrupted_connect():
    """A signal in connect() does not lose the connection."""
    hits = []
    signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    socks = [connected() for _ in range(20)]
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert hits
    for sock in socks:
        sock.sendall(b"i")
        assert sock.recv(1) == b"i"


def udp_round(sock, data):
    for _ in range(20):  # datagrams may be lost
        sock.send(data)
        try:
            return sock.recv(70000)
        except BlockingIOError:
            pass
    raise AssertionError("no answer")


def udp():
    sock = connected(UDP, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 500000))
    return sock


def test_udp_connected():
    sock = udp()
    assert sock.getpeername()[1] == UDP and sock.getsockname()[1] != 0
    for n in (0, 1, 1400, 9000, 65507 if sock.family == socket.AF_INET else 65000):
        assert len(udp_round(sock, b"u" * n)) == n
    assert error_of(sock.send, b"u" * 65536) == errno.EMSGSIZE
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_DGRAM


def test_udp_unconnected():
    sock, addr = fresh(UDP, socket.SOCK_DGRAM)
    ep = select.epoll()
    ep.register(sock, select.EPOLLIN)
    for _ in range(20):
        sock.sendto(b"unconnected", addr)
        if ep.poll(0.5):
            break
    size, _, flags, peer = sock.recvmsg_into([bytearray(2)], 0, socket.MSG_PEEK)
    assert size == 2 and flags & socket.MSG_TRUNC and peer[:2] == addr[:2]
    assert sock.recv(2, socket.MSG_PEEK) == b"un"
    assert sock.recvfrom(100) == (b"unconnected", peer)
    assert error_of(sock.recv, 1, socket.MSG_DONTWAIT) == errno.EAGAIN


def test_udp_passed_on():
    sock = udp()
    sock.send(b"its port is known")
    out = passed_on(sock, "s.send(b'x'); print(s.family.name, s.getsockname()[1], s.getpeername()[1])")
    assert out == [sock.family.name, str(sock.getsockname()[1]), str(UDP)], out
    sock, addr = fresh(UDP, socket.SOCK_DGRAM)
    sock.sendto(b"its port is known", addr)
    out = passed_on(sock, f"s.sendto(b'x', {addr!r}); print(s.getsockname()[1])")
    assert out == [str(sock.getsockname()[1])], out


def test_udp_refused():
    sock = connected(CLOSED, socket.SOCK_DGRAM)
    sock.send(b"nobody")
    assert error_of(sock.recv, 1) == errno.ECONNREFUSED


def main():
    global HOST
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    if sys.argv[1] == "serve":
        return serve()
    HOST = sys.argv[2]
    names = sys.argv[3:] or [n for n in globals() if n.startswith("test_")]
    failed = 0
    for name in names:
        try:
            globals()[name]()
            print("ok", name, flush=True)
        except Exception as e:  # pylint: disable=broad-except
            failed += 1
            where = e.__traceback__
            while where.tb_next and where.tb_next.tb_frame.f_code.co_filename == __file__:
                where = where.tb_next
            print(f"FAILED {name}: line {where.tb_lineno}: {e!r}", flush=True)
    return 1 if failed else 0


sys.exit(main())

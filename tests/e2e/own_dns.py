#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A resolver of its own, as many programs have one.

    own_dns.py serve FILE       a server of the DNS on 127.0.0.1, which answers nothing: each
                                name that it is asked for is a line of FILE
    own_dns.py ask NAME...      asks for each name in all ways; prints what came of it
    own_dns.py libc NAME...     the same by libc's functions, at once
"""
import ctypes
import errno
import locale
import os
import socket
import struct
import sys
import threading

SERVER = ("127.0.0.1", 53)
WRITE = 1 if os.uname().machine == "x86_64" else 64  # __NR_write


def question(name):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    return struct.pack(">6H", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 28, 1)


def name_in(msg):
    at, parts = 12, []
    while msg[at]:
        parts.append(msg[at + 1:at + 1 + msg[at]].decode())
        at += 1 + msg[at]
    return ".".join(parts)


def serve(path):
    out = open(path, "a", buffering=1)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(SERVER)
    tcp = socket.create_server(SERVER)

    def one(conn):
        msg = b""
        while more := conn.recv(1000):
            msg += more
            while len(msg) >= 2 and len(msg) >= 2 + struct.unpack(">H", msg[:2])[0]:
                print("tcp", name_in(msg[2:]), file=out)
                msg = msg[2 + struct.unpack(">H", msg[:2])[0]:]

    def streams():
        while True:
            threading.Thread(target=one, args=(tcp.accept()[0],), daemon=True).start()

    threading.Thread(target=streams, daemon=True).start()
    print("ready", file=out)
    while True:
        print("udp", name_in(udp.recv(1000)), file=out)


def connected(kind=socket.SOCK_DGRAM):
    s = socket.socket(socket.AF_INET, kind)
    s.connect(SERVER)
    return s


def in_two(s, msg):
    s.sendall(struct.pack(">H", len(msg)))
    s.sendall(msg)


def by_fd(call):
    with connected() as s:
        call(s.fileno())


def raw(fd, msg):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(WRITE, fd, msg, len(msg)) < 0:
        raise OSError(ctypes.get_errno(), "syscall")


def whole(msg):
    return struct.pack(">H", len(msg)) + msg


FIRST = whole(question("first.example"))  # of another name, before the one that is asked for


def fast_open(msg):
    s = socket.socket()
    s.bind(("127.0.0.1", 0))  # so that it is libc's
    s.sendto(FIRST, socket.MSG_FASTOPEN, SERVER)
    s.sendall(whole(msg))


WAYS = {
    "send": lambda m: connected().send(m),
    "sendto": lambda m: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(m, SERVER),
    "sendto any": lambda m: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(
        m, ("0.0.0.0", 53)),
    "sendmsg": lambda m: connected().sendmsg([m[:5], m[5:]]),
    "sendmsg to": lambda m: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg(
        [m], [], 0, SERVER),
    "write": lambda m: by_fd(lambda fd: os.write(fd, m)),
    "writev": lambda m: by_fd(lambda fd: os.writev(fd, [m[:13], m[13:]])),
    "syscall": lambda m: by_fd(lambda fd: raw(fd, m)),
    "dup": lambda m: by_fd(lambda fd: os.write(os.dup(fd), m)),
    "stream": lambda m: connected(socket.SOCK_STREAM).sendall(whole(m)),
    "stream in two": lambda m: in_two(connected(socket.SOCK_STREAM), m),
    "fast open": lambda m: socket.socket().sendto(whole(m), socket.MSG_FASTOPEN, SERVER),
    "fast open, then send": fast_open,
    "stream second": lambda m: connected(socket.SOCK_STREAM).sendall(FIRST + whole(m)),
    "stream third": lambda m: connected(socket.SOCK_STREAM).sendmsg(
        [FIRST[:20], FIRST[20:] + FIRST, b"", whole(m)[:15], whole(m)[15:]]),
}


def ask(name):
    for way, call in WAYS.items():
        try:
            call(question(name))
            print(name, way, "sent")
        except OSError as e:
            print(name, way, errno.errorcode[e.errno])


class Addrinfo(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int) for n in ("flags", "family", "socktype", "protocol")] + [
        ("addrlen", ctypes.c_uint32), ("addr", ctypes.c_void_p), ("canonname", ctypes.c_void_p),
        ("next", ctypes.c_void_p)]


class Gaicb(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("service", ctypes.c_char_p),
                ("request", ctypes.POINTER(Addrinfo)), ("result", ctypes.POINTER(Addrinfo)),
                ("ret", ctypes.c_int), ("reserved", ctypes.c_int * 5)]


AI_IDN = 0x40
libc = ctypes.CDLL(None)
libc.gethostbyname.restype = libc.gethostbyname2.restype = ctypes.c_void_p


def found(err, info):
    if err:
        return err
    return socket.inet_ntop(socket.AF_INET6, ctypes.string_at(info.contents.addr + 8, 16))


def by_getaddrinfo(name, flags):
    out, hints = ctypes.POINTER(Addrinfo)(), Addrinfo(flags, socket.AF_INET6, 1)
    return found(libc.getaddrinfo(name, None, ctypes.byref(hints), ctypes.byref(out)), out)


def by_getaddrinfo_a(name, flags):
    one = Gaicb(name, None, ctypes.pointer(Addrinfo(flags, socket.AF_INET6, 1)))
    assert libc.getaddrinfo_a(0, (ctypes.c_void_p * 1)(ctypes.addressof(one)), 1, None) == 0
    return found(libc.gai_error(ctypes.byref(one)), one.result)


def reentrant(call, *args):
    host, buf, out, err = (ctypes.create_string_buffer(n) for n in (64, 1000, 8, 4))
    call(*args, host, buf, ctypes.c_size_t(1000), out, err)
    return any(out.raw)


def search(name, state=None):
    answer = ctypes.create_string_buffer(512)
    if not state:
        return libc.res_search(name, 1, 28, answer, 512)
    assert libc.__res_ninit(state) == 0
    return libc.res_nsearch(state, name, 1, 28, answer, 512)


LIBC_WAYS = {
    "getaddrinfo": lambda n: by_getaddrinfo(n, 0),
    "getaddrinfo idn": lambda n: by_getaddrinfo(n, AI_IDN),
    "getaddrinfo_a": lambda n: by_getaddrinfo_a(n, 0),
    "getaddrinfo_a idn": lambda n: by_getaddrinfo_a(n, AI_IDN),
    "gethostbyname": libc.gethostbyname,
    "gethostbyname2": lambda n: libc.gethostbyname2(n, socket.AF_INET6),
    "gethostbyname_r": lambda n: reentrant(libc.gethostbyname_r, n),
    "gethostbyname2_r": lambda n: reentrant(libc.gethostbyname2_r, n, socket.AF_INET6),
    "res_search": search,
    "res_nsearch": lambda n: search(n, ctypes.create_string_buffer(4096)),
}


def ask_libc(names):
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
    all_ = [threading.Thread(target=lambda w=way, c=call, n=name: os.write(
                1, f"{n} {w} {c(n.encode())}\n".encode()))
            for name in names for way, call in LIBC_WAYS.items()]
    for t in all_:
        t.start()
    for t in all_:
        t.join()


if sys.argv[1] == "serve":
    serve(sys.argv[2])
if sys.argv[1] == "libc":
    sys.exit(ask_libc(sys.argv[2:]))
for arg in sys.argv[2:]:
    ask(arg)

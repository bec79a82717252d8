#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Asks the resolver library a question to the DNS.

    resolver.py HOW NAME TYPE     HOW is what comes after res_ in the call's name

Prints the code of the answer and its address ("-": none), or h_errno.
"""
import ctypes
import socket
import sys

HOW, NAME, TYPE = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3])
ROOM = 512

libc = ctypes.CDLL(None)
answer = ctypes.create_string_buffer(ROOM)
state = ctypes.create_string_buffer(4096)  # more than a struct __res_state
assert libc.__res_ninit(state) == 0
first = (state,) if HOW.startswith("n") else ()
if HOW.endswith("send"):
    msg = ctypes.create_string_buffer(ROOM)
    n = libc.res_mkquery(0, NAME, 1, TYPE, None, 0, None, msg, ROOM)
    assert n > 0
    question = (msg, n)
elif HOW.endswith("domain"):
    question = (*NAME.split(b".", 1), 1, TYPE)
else:
    question = (NAME, 1, TYPE)
n = getattr(libc, "res_" + HOW)(*first, *question, answer, ROOM)
if n < 0:
    libc.__h_errno_location.restype = ctypes.POINTER(ctypes.c_int)
    print("h_errno", libc.__h_errno_location()[0])
    sys.exit()
raw = answer.raw[:n]
if HOW.endswith("send"):
    assert raw[:2] == msg.raw[:2]
addr = "-"
if raw[7] == 1:
    size = 4 if TYPE == 1 else 16
    addr = socket.inet_ntop(socket.AF_INET if size == 4 else socket.AF_INET6, raw[n - size:])
print(raw[3] & 15, addr)

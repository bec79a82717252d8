#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Draws what shall happen to a network: who dies, which cables move, who downloads.

The survivors stay one connected network after each single step, so that whatever
does not arrive is a fault of ours.  The same topology, seed and numbers give the
same plan.

usage: plan.py TOPOLOGY.json SEED KILLS MOVES DOWNLOADS
Prints one line each:
	wire NUMBER NODE NODE		a cable of the topology
	get CLIENT SERVER		a download, between nodes that survive
	kill NODE
	move NUMBER STAYS FROM TO	cable NUMBER: the end at FROM is put into TO
"""
import json
import random
import sys


def connected(nodes, wires):
    """nodes: set; wires: iterable of pairs.  Is that one network?"""
    near = {n: [] for n in nodes}
    for a, b in wires:
        if a in nodes and b in nodes:
            near[a].append(b)
            near[b].append(a)
    start = min(nodes)
    seen, todo = {start}, [start]
    while todo:
        for n in near[todo.pop()]:
            if n not in seen:
                seen.add(n)
                todo.append(n)
    return seen == nodes


def draw_kill(rng, nodes, wires, spared):
    """A node that dies without cutting the others in two"""
    for node in rng.sample(sorted(nodes - spared), len(nodes - spared)):
        if connected(nodes - {node}, wires.values()):
            return node
    sys.exit("plan: nobody may die here")


def draw_move(rng, nodes, wires):
    """A cable that may be missing, and another node for one of its ends"""
    live = [n for n, (a, b) in sorted(wires.items()) if a in nodes and b in nodes]
    for number in rng.sample(live, len(live)):
        rest = [w for n, w in wires.items() if n != number]
        if not connected(nodes, rest):
            continue
        stays, leaves = rng.sample(wires[number], 2)
        near = {b if a == stays else a for a, b in wires.values() if stays in (a, b)}
        free = sorted(nodes - near - {stays})
        if free:
            return number, stays, leaves, rng.choice(free)
    sys.exit("plan: no cable may move here")


def main():
    path, seed, kills, moves, downloads = sys.argv[1], *map(int, sys.argv[2:])
    rng = random.Random(seed)
    with open(path, encoding="ascii") as f:
        links = json.load(f)["links"]
    wires = {i: (str(l["source"]), str(l["target"])) for i, l in enumerate(links)}
    nodes = {n for w in wires.values() for n in w}
    for number, (a, b) in wires.items():
        print("wire", number, a, b)
    ends = rng.sample(sorted(nodes), 2 * downloads)
    for client, server in zip(ends[::2], ends[1::2]):
        print("get", client, server)
    for step in range(max(kills, moves)):
        if step < kills:
            node = draw_kill(rng, nodes, wires, set(ends))
            nodes.remove(node)
            print("kill", node)
        if step < moves:
            number, stays, leaves, to = draw_move(rng, nodes, wires)
            wires[number] = stays, to
            print("move", number, stays, leaves, to)


main()

#!/usr/bin/env python3
"""A model of how a loop falls asleep and is woken (engine/topo/loop.c, io/uring.c), gone through in every order there is.

Each program below is what the C says, access by access. Stores wait in a buffer of their thread, as they do on x86-64, until a fence, a locked
operation or a system call; a load sees its own thread's buffer first. Two publishers hand over two items each and wake; the loop takes items and
sleeps without a timeout. A state from which nobody can go on, with an item that was not taken, is a lost wake.

    wake.py                    1 if any order of the programs loses a wake
    wake.py --canary NAME      takes one access out; 1 if that is not found: a model that finds nothing proves nothing
"""

import argparse
import sys

PUBLISHERS, ITEMS = 2, 2


def publish(number, wake):
    """Store an item, then wake: wb_loop_turn of a loop that feeds, or whoever calls wb_loop_wake."""
    item = [("store", f"item{number}", 1), ("fence", "publisher's fence"), ("load", "asleep", "sleeping"), ("unless", "asleep", "next"), *wake,
            ("label", "next")]
    return [step if step[0] not in ("unless", "if", "go", "label") else (*step[:-1], f"{step[-1]}{turn}") for turn in range(ITEMS) for step in item]


def look(found):
    """A turn: each item is taken; goes to `found` if there was one. A completion of the eventfd may be met on the way."""
    steps = [("reap",), ("set", "any", 0)]
    for n in range(PUBLISHERS):
        steps += [("load", "one", f"item{n}"), ("unless", "one", f"{found}{n}"), ("store", f"item{n}", 0), ("set", "any", 1), ("label", f"{found}{n}")]
    return [*steps, ("if", "any", found)]


def loop(wait):
    """wb_loop_run with spin_ns 0, and block."""
    return [("label", "run"), *look("run"), ("store", "sleeping", 1), ("fence", "loop's fence"), *look("awake"), *wait,
            ("label", "awake"), ("store", "sleeping", 0), ("go", "run")]


FUTEX = loop([("sleep", "sleeping", 1)]), [("swap", "was", "sleeping", 0), ("unless", "was", "next"), ("wake",)]
URING = (loop([("swap", None, "waiting", 1), ("load", "woken", "woken"), ("if", "woken", "woke"), ("poll",), ("label", "woke"),
               ("store", "waiting", 0), ("swap", None, "woken", 0)]),
         [("swap", "was", "woken", 1), ("if", "was", "next"), ("load", "waits", "waiting"), ("unless", "waits", "next"), ("signal",)])

CANARIES = {
    "no_fence_of_the_loop": lambda program: [step for step in program if step != ("fence", "loop's fence")],
    "no_fence_of_the_publisher": lambda program: [step for step in program if step != ("fence", "publisher's fence")],
    "no_second_look": lambda program: program if ("label", "run") not in program else without_second_look(program),
    "no_look_at_woken": lambda program: [step for step in program if step != ("if", "woken", "woke")],
    "waiting_is_a_plain_store": lambda program: [("store", "waiting", 1) if step == ("swap", None, "waiting", 1) else step for step in program],
}


def without_second_look(program):
    at = program.index(("fence", "loop's fence")) + 1
    return program[:at] + program[at + len(look("awake")):]


class Thread:
    def __init__(self, steps):
        self.labels, self.steps = {}, []
        for step in steps:
            if step[0] == "label":
                self.labels[step[1]] = len(self.steps)
            else:
                self.steps.append(step)

    def settle(self, at, registers):
        """Goes on over what no other thread can see. A register is asked once."""
        while at < len(self.steps) and self.steps[at][0] in ("set", "if", "unless", "go"):
            kind, *words = self.steps[at]
            if kind == "set":
                registers[words[0]] = words[1]
            at = self.labels[words[-1]] if kind == "go" or (kind != "set" and bool(registers.pop(words[0], 0)) == (kind == "if")) else at + 1
        return at


# A state: memory, whether the loop sleeps on the futex, then for each thread where it is, its registers, its buffer. All sorted tuples.


def after(state, threads, who, completed=True):
    """The state once this thread has made its next access and all that follows from it, or None if it has ended or waits. completed: whether the
    kernel has told by now that the eventfd was written."""
    memory, asleep, all_at = state
    at, registers, buffer = all_at[who]
    thread = threads[who]
    if at == len(thread.steps) or (asleep and who == 0):
        return None
    memory, registers = dict(memory), dict(registers)
    kind, *words = thread.steps[at]
    if kind in ("fence", "swap", "sleep", "wake", "poll", "signal") and buffer:
        return None  # the buffer empties first
    if kind == "store":
        buffer = (*buffer, tuple(words))
    elif kind == "load":
        registers[words[0]] = next((value for name, value in reversed(buffer) if name == words[1]), memory.get(words[1], 0))
    elif kind == "swap":
        registers[words[0]], memory[words[1]] = memory.get(words[1], 0), words[2]
        registers.pop(None, None)
    elif kind == "sleep":
        asleep = memory.get(words[0], 0) == words[1]
    elif kind == "wake":
        asleep = False
    elif kind == "signal":
        memory["eventfd"] = 1
    elif kind == "reap":
        if completed:
            memory["eventfd"] = 0
    elif kind == "poll":
        if not memory.get("eventfd", 0):
            return None
        memory["eventfd"] = 0
    at = thread.settle(at + 1, registers)
    return packed(memory), asleep, (*all_at[:who], (at, packed(registers), buffer), *all_at[who + 1:])


def drained(state, who):
    memory, asleep, all_at = state
    at, registers, buffer = all_at[who]
    if not buffer:
        return None
    memory = dict(memory)
    memory[buffer[0][0]] = buffer[0][1]
    return packed(memory), asleep, (*all_at[:who], (at, registers, buffer[1:]), *all_at[who + 1:])


def packed(values):
    return tuple(sorted((name, value) for name, value in values.items() if value))


def lost(programs):
    """How many states were seen, and one that nobody leaves although an item lies there (None: there is none)."""
    threads = [Thread(program) for program in programs]
    start = ((), False, tuple((thread.settle(0, {}), (), ()) for thread in threads))
    seen, todo = {start}, [start]
    while todo:
        state = todo.pop()
        found = [step(state, who) for who in range(len(threads)) for step in (lambda s, w: after(s, threads, w), lambda s, w: after(s, threads, w, False), drained)]
        found = [one for one in found if one]
        if not found and any(name.startswith("item") for name, _ in state[0]):
            return len(seen), state
        for one in found:
            if one not in seen:
                seen.add(one)
                todo.append(one)
    return len(seen), None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--canary", choices=CANARIES)
    options = parser.parse_args()
    change = CANARIES[options.canary] if options.canary else lambda program: program
    found = False
    for name, (sleeper, wake) in ("futex", FUTEX), ("io_uring", URING):
        programs = [change(sleeper)] + [change(publish(number, wake)) for number in range(PUBLISHERS)]
        states, stuck = lost(programs)
        print(f"{name}: {states} states, {f'a wake is lost: {stuck}' if stuck else 'no wake is lost'}")
        found |= stuck is not None
    return found != bool(options.canary)


if __name__ == "__main__":
    sys.exit(main())

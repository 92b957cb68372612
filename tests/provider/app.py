#!/usr/bin/python3 -SE
# SPDX-License-Identifier: Apache-2.0
"""An app that does what its arguments say, in order, and then waits for SIGTERM.

    say TEXT      prints it
    env           prints its environment as one line of JSON
    length NAME   prints how long a variable is
    listen        listens on 127.0.0.1:$PORT and answers each line with its pid
    flood N       prints N lines
    limits        prints its limits, user and groups
    child KIND    forks one that waits: "plain" as it is, "deaf" to SIGTERM, "slow" to end after SIGTERM
    deaf          hears no SIGTERM
    exit N        ends
    die           dies of SIGKILL
    bomb          its children fork children, without end
"""
import json
import os
import resource
import signal
import socket
import sys
import threading


def tell(text):
    os.write(1, (text + "\n").encode())


def serve():
    listener = socket.socket()
    listener.bind(("127.0.0.1", int(os.environ["PORT"])))
    listener.listen()

    def answer():
        while True:
            client, _ = listener.accept()
            with client:
                client.recv(100)
                client.sendall(f"{os.getpid()}\n".encode())
    threading.Thread(target=answer, daemon=True).start()


def child(kind):
    ready, told = os.pipe()
    if os.fork():
        os.read(ready, 1)
        return
    if kind == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if kind == "slow":
        def late(*_):
            threading.Event().wait(0.3)
            tell("child has finished")
            os._exit(0)
        signal.signal(signal.SIGTERM, late)
    tell(f"child {os.getpid()}")
    os.write(told, b".")
    while True:
        signal.pause()


def limits():
    tell(json.dumps({"files": resource.getrlimit(resource.RLIMIT_NOFILE), "data": resource.getrlimit(resource.RLIMIT_DATA),
                     "uid": os.getuid(), "groups": os.getgroups(), "gid": os.getgid(), "cwd": os.getcwd(),
                     "session": os.getsid(0) == os.getpid(), "fds": sorted(os.listdir("/proc/self/fd"))[:8],
                     "privileges": open("/proc/self/status").read().split("NoNewPrivs:")[1].split()[0],
                     "stdin": os.readlink("/proc/self/fd/0"), "args": sys.argv[1:]}))


def bomb():
    """Each lives for a while and leaves two, up to a number that a machine bears."""
    for _ in range(5):
        os.fork()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell(f"child {os.getpid()}")
    while True:
        signal.pause()


def main(words):
    words = iter(words)
    for word in words:
        if word == "say":
            tell(next(words))
        elif word == "env":
            tell(json.dumps(dict(os.environ)))
        elif word == "length":
            tell(f"length {len(os.environ[next(words)])}")
        elif word == "listen":
            serve()
        elif word == "flood":
            for i in range(int(next(words))):
                tell(f"line {i}")
        elif word == "limits":
            limits()
        elif word == "child":
            child(next(words))
        elif word == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif word == "exit":
            sys.exit(int(next(words)))
        elif word == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif word == "bomb":
            bomb()
    tell("ready")
    while True:
        signal.pause()


def end(*_):
    tell("ending")
    os._exit(0)


signal.signal(signal.SIGTERM, end)
main(sys.argv[1:])

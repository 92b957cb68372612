#!/usr/bin/python3 -SE
# SPDX-License-Identifier: Apache-2.0
"""An edge that speaks the link protocol and tells the test what happens to it.

The file it is started with is JSON: `bind` and `count` to listen on; `start`, what it does before
it is ready: "exit N", "kill" (dies of SIGKILL) or nothing; `linger`, how many requests it has in
flight once superseded. Started as control, it does what `control` says: "exit N", or "stay" until it
is told to end; nothing: "exit 0". Started as unit, it ends. Each event goes as one JSON datagram to the socket FAKE_EVENTS. A
client sends one line and gets one: "pid", "die", "report N", "upgrade", "listen BIND", "unlisten BIND",
"memory NAME:SIZE" (says what is in it, and adds a letter).
"""
import array
import json
import mmap
import os
import selectors
import signal
import socket
import struct
import sys

MAGIC = 0x534C4B01
MESSAGE = struct.Struct("<6IQI324s")
ANSWER = struct.Struct("<IiI256s")
NOTICE = struct.Struct("<IIiIQII")
LISTEN, UNLISTEN, READY, REPORT, UPGRADE, MEMORY = range(1, 7)
NOTICES = ["none", "drain", "reload", "reopen", "peer"]


class Edge:
    def __init__(self):
        request, notice = os.environ["SLUICE_LINK"].split(",")
        self.request = socket.socket(fileno=int(request))
        self.notice = socket.socket(fileno=int(notice))
        self.events = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.conf = json.load(open(sys.argv[2]))
        self.loop = selectors.DefaultSelector()

    def tell(self, event, **more):
        text = json.dumps({"event": event, "pid": os.getpid(), **more})
        self.events.sendto(text.encode(), os.environ["FAKE_EVENTS"])

    def send(self, kind, value=0):
        self.request.send(MESSAGE.pack(MAGIC, kind, 0, 0, 0, 0, value, 0, b""))

    def ask(self, kind, bind="", count=0, value=0):
        """The status, the error and the descriptors of the answer."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        text = bind.encode()
        message = MESSAGE.pack(MAGIC, kind, count, 0, os.getuid(), os.getgid(), value, len(text), text)
        rights = array.array("i", [theirs.fileno()])
        self.request.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        theirs.close()
        fds = []
        while True:
            data, control, _, _ = mine.recvmsg(ANSWER.size, socket.CMSG_SPACE(64 * 4))
            _, status, total, error = ANSWER.unpack(data)
            for _, _, part in control:
                fds += array.array("i", part)
            if len(fds) >= total:
                return status, error.rstrip(b"\0").decode(), fds

    def listen(self, bind, count):
        status, error, fds = self.ask(LISTEN, bind, count)
        for fd in fds:
            self.loop.register(socket.socket(fileno=fd), selectors.EVENT_READ, self.accept)
        return f"{status} {len(fds)} {error}"

    def accept(self, listener):
        try:
            client, _ = listener.accept()
        except BlockingIOError:
            return
        with client:
            client.setblocking(True)
            words = client.makefile("r").readline().split()
            if not words:
                return
            if words[0] == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            client.sendall((str(self.obey(*words)) + "\n").encode())

    def obey(self, word, value=""):
        if word == "report":
            self.send(REPORT, int(value))
        elif word == "upgrade":
            status, error, _ = self.ask(UPGRADE)
            return f"{status} {error}"
        elif word == "listen":
            return self.listen(value, 1)
        elif word == "unlisten":
            return self.ask(UNLISTEN, value)[0]
        elif word == "memory":
            return self.memory(*value.split(":"))
        return os.getpid()

    def memory(self, name, size):
        status, error, fds = self.ask(MEMORY, name, value=int(size))
        if status:
            return f"{status} {error}"
        with mmap.mmap(fds[0], int(size)) as block:
            text = block[:].rstrip(b"\0")
            block[len(text):len(text) + 1] = b"x"
        os.close(fds[0])
        return f"0 {len(text)}"

    def on_notice(self, _):
        data = self.notice.recv(NOTICE.size)
        if not data:  # the signal that the supervisor's end brings is what has to end us
            self.loop.unregister(self.notice)
            return
        _, kind, pid, generation, in_flight, is_superseded, _ = NOTICE.unpack(data)
        self.tell(NOTICES[kind], peer=pid, generation=generation, in_flight=in_flight,
                  superseded=is_superseded)
        if kind == NOTICES.index("drain"):
            self.drain(is_superseded)

    def drain(self, is_superseded):
        """Ends at once, unless `linger` says that something is in flight: then SIGTERM ends it."""
        linger = self.conf.get("linger")
        if not linger or not is_superseded:
            sys.exit(0)
        for key in list(self.loop.get_map().values()):
            if key.fileobj is not self.notice:
                self.loop.unregister(key.fileobj)
                key.fileobj.close()
        self.send(REPORT, linger)

    def run(self):
        self.tell("start", args=sys.argv[1:], environment=sorted(
            name for name in os.environ if name.startswith("SLUICE_")))
        start = self.conf.get("start", "").split()
        if start and start[0] == "exit":
            sys.exit(int(start[1]))
        if start and start[0] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        self.loop.register(self.notice, selectors.EVENT_READ, self.on_notice)
        answer = self.listen(self.conf["bind"], self.conf.get("count", 1))
        if not answer.startswith("0 "):
            self.tell("refused", answer=answer)
            sys.exit(1)
        self.send(READY, 1)
        self.tell("ready", sockets=int(answer.split()[1]))
        while True:
            for key, _ in self.loop.select():
                key.data(key.fileobj)


def control():
    """The process beside the edge; its link stays silent."""
    word, *more = json.load(open(sys.argv[2])).get("control", "exit 0").split()
    events = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    text = json.dumps({"event": "control", "pid": os.getpid(), "args": sys.argv[1:],
                       "environment": [name for name in os.environ if name.startswith("SLUICE_")]})
    events.sendto(text.encode(), os.environ["FAKE_EVENTS"])
    while word == "stay":
        signal.pause()
    sys.exit(int(more[0]))


def end(number, frame):
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, signal.SIG_IGN)
if sys.argv[1] == "unit":  # nothing was left behind
    sys.exit(0)
if sys.argv[1] == "unit":  # nothing was left behind
    sys.exit(0)
control() if sys.argv[1] == "control" else Edge().run()

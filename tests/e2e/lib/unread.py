# SPDX-License-Identifier: Apache-2.0
"""Whether what was sent into a connection on this machine has been read by its other end: sock_diag(7) of that end."""

import array
import errno
import fcntl
import os
import socket
import struct
import termios

SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, NLMSG_ERROR = 20, 1, 2
NETLINK_SOCK_DIAG = 4
ANY_COOKIE = b"\xff" * 8


def _waiting_to_leave(sock):
    """Bytes that the other end's kernel has not acknowledged: TIOCOUTQ."""
    count = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
    return count[0]


def _request(sock):
    """struct nlmsghdr, struct inet_diag_req_v2: the socket whose own address is our peer's."""
    (theirs, port), (ours, our_port) = sock.getpeername()[:2], sock.getsockname()[:2]
    sides = [socket.inet_pton(sock.family, address).ljust(16, b"\0") for address in (theirs, ours)]
    body = struct.pack("=BBBxI", sock.family, socket.IPPROTO_TCP, 0, 0xFFFFFFFF)
    body += struct.pack("!HH", port, our_port) + sides[0] + sides[1] + struct.pack("=I", 0) + ANY_COOKIE
    return struct.pack("=IHHII", 16 + len(body), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0) + body


def unread(sock):
    """Bytes of ours that the other end has still to read; 0 when it is gone, or on another machine."""
    try:
        request = _request(sock)
    except OSError:  # it has no other end any more
        return 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        netlink.send(request)
        answer = netlink.recv(65536)
    kind, = struct.unpack_from("=H", answer, 4)
    if kind == NLMSG_ERROR:
        code = -struct.unpack_from("=i", answer, 16)[0]
        if code != errno.ENOENT:
            raise OSError(code, os.strerror(code))
        return _waiting_to_leave(sock)
    rqueue, = struct.unpack_from("=I", answer, 16 + 4 + 48 + 4)  # struct inet_diag_msg: idiag_rqueue
    return rqueue + _waiting_to_leave(sock)

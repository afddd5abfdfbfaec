"""A WebSocket server in a few lines, that sends exactly the bytes a test wants. One client at a time, on 127.0.0.1."""

import base64
import errno
import hashlib
import io
import json
import os
import select
import socket
import ssl
import struct
import threading
import time

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLMSG_ERROR, TCP_LISTEN = 4, 20, 2, 10
PATIENCE = 60 * float(os.environ.get("WIREBOOK_SLOW", "1"))


def frame(payload, opcode=1, fin=True, rsv=0):
    head = bytes([(0x80 if fin else 0) | rsv | opcode])
    n = len(payload)
    if n < 126:
        head += bytes([n])
    elif n < 65536:
        head += b"\x7e" + struct.pack(">H", n)
    else:
        head += b"\x7f" + struct.pack(">Q", n)
    return head + payload


def queued(local, remote):
    """Bytes that a TCP connection's end has not read, and those sent that the other kernel has not taken; asked of sock_diag(7)."""
    address = b"".join(socket.inet_aton(host) + bytes(12) for host in (local[0], remote[0]))
    asked = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xffffffff) + struct.pack("!HH", local[1], remote[1]) + address + struct.pack("=Iq", 0, -1)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(asked), SOCK_DIAG_BY_FAMILY, 1, 0, 0) + asked)
        answer = kernel.recv(4096)
    kind, error = struct.unpack_from("=H", answer, 4)[0], struct.unpack_from("=i", answer, 16)[0]
    if kind == NLMSG_ERROR:
        assert error == -errno.ENOENT, os.strerror(-error)
        return 0, 0  # there is no such end any more
    assert answer[17] != TCP_LISTEN, "not of a connection"
    return struct.unpack_from("=II", answer, 16 + 4 + 48 + 4)


def accepting(key):
    """The head that accepts a request with this Sec-WebSocket-Key."""
    accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"


class Client:
    """One connection: the upgrade is done, frames of the client are read by read()."""

    def __init__(self, sock):
        self.sock = sock
        self.stream = sock.makefile("rb")

    def head(self):
        lines = []
        while True:
            line = self.stream.readline()
            if line in (b"\r\n", b""):
                return lines
            lines.append(line)

    def answer(self):
        """Reads the request (its lines are kept in .request); returns the head that accepts it."""
        self.request = self.head()
        key = next(line.split(b":", 1)[1].strip() for line in self.request if line.lower().startswith(b"sec-websocket-key:"))
        return accepting(key)

    def upgrade(self):
        self.send(self.answer())

    def read(self):
        """(opcode, payload) of the next frame, or (None, b"") at the end. Checks that the client masks, and sets no reserved bit."""
        head = self.stream.read(2)
        if len(head) < 2:
            return None, b""
        n = head[1] & 0x7F
        assert head[1] & 0x80, "a client must mask its frames"
        assert not head[0] & 0x70, "the node compresses nothing of its own"
        if n == 126:
            n = struct.unpack(">H", self.stream.read(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self.stream.read(8))[0]
        mask = self.stream.read(4)
        data = self.stream.read(n)
        return head[0] & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(data))

    def subscribed(self):
        opcode, payload = self.read()
        assert opcode == 1, opcode
        return json.loads(payload)

    def until(self, opcode, payload):
        """Reads until this frame comes."""
        got = self.read()
        while got != (opcode, payload):
            assert got[0] is not None, f"hung up before {payload}"
            got = self.read()

    def send(self, data):
        self.sock.sendall(data)

    def text(self, message):
        self.send(frame(message if isinstance(message, bytes) else message.encode()))

    def wait_close(self):
        """Reads until the client's close frame and returns its code; None if it hung up without one."""
        while True:
            opcode, payload = self.read()
            if opcode is None:
                return None
            if opcode == 8:
                return struct.unpack(">H", payload[:2])[0]

    def taken(self):
        """Waits until the other end has read every byte sent to it: what is sent next, it reads apart."""
        ours, theirs = self.sock.getsockname(), self.sock.getpeername()
        end = time.monotonic() + PATIENCE
        while queued(ours, theirs)[1] or queued(theirs, ours)[0]:
            assert time.monotonic() < end, "the other end does not read"
            os.sched_yield()  # the kernel tells nobody

    def hang_up(self):
        """Ends the TCP connection, without a close frame."""
        self.stream.close()
        self.sock.close()

    def close(self):
        try:
            self.send(frame(struct.pack(">H", 1000), opcode=8))
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


class Secure(Client):
    """The same over TLS, whose records pass through the hands of the test: seal() makes them, sock.sendall() sends any bytes."""

    class Plain(io.RawIOBase):
        def __init__(self, client):
            self.client = client

        def readable(self):
            return True

        def readinto(self, room):
            try:
                data = self.client.turn(lambda: self.client.tls.read(len(room)))
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                data = b""
            room[:len(data)] = data
            return len(data)

    def __init__(self, sock, context):
        self.sock = sock
        self.into, self.outof = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.into, self.outof, server_side=True)
        self.stream = io.BufferedReader(self.Plain(self))

    def turn(self, step):
        """Does step, which may want more from the other end first."""
        while True:
            try:
                done = step()
                self.flush()
                return done
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                self.into.write(data) if data else self.into.write_eof()
            except ssl.SSLError:
                self.flush()
                raise

    def flush(self):
        self.sock.sendall(self.outof.read())

    def shake(self):
        self.turn(self.tls.do_handshake)

    def seal(self, data):
        """The records that carry data."""
        while data:
            data = data[self.tls.write(data):]
        return self.outof.read()

    def send(self, data):
        self.sock.sendall(self.seal(data))


class Listener:
    """A server that the test's own thread drives: meet() waits for the next connection."""

    def __init__(self, scheme="ws"):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(PATIENCE)
        self.port = self.socket.getsockname()[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}/"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def accept(self):
        sock, _ = self.socket.accept()
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def meet(self):
        return Client(self.accept())

    def waiting(self):
        """Whether a connection is there that was not met."""
        return bool(select.select([self.socket], [], [], 0)[0])


class Peer:
    """Serves each connection with serve(client, number); number counts from 0. Errors of serve are kept in .errors."""

    def __init__(self, serve):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.errors = []
        self.served = 0
        self.serve = serve
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            sock, _ = self.listener.accept()
            client = Client(sock)
            try:
                self.serve(client, self.served)
            except (BrokenPipeError, ConnectionResetError):
                pass
            except Exception as error:  # shown by the test that owns the peer
                self.errors.append(repr(error))
            self.served += 1
            client.close()

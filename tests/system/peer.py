"""A WebSocket server in a few lines, that sends exactly the bytes a test wants. One client at a time, on 127.0.0.1."""

import base64
import hashlib
import json
import socket
import struct
import threading


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

    def upgrade(self):
        key = next(line.split(b":", 1)[1].strip() for line in self.head() if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept +
                          b"\r\n\r\n")

    def read(self):
        """(opcode, payload) of the next frame, or (None, b"") at the end. Checks that the client masks."""
        head = self.stream.read(2)
        if len(head) < 2:
            return None, b""
        n = head[1] & 0x7F
        assert head[1] & 0x80, "a client must mask its frames"
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

    def close(self):
        try:
            self.send(frame(struct.pack(">H", 1000), opcode=8))
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


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

#!/usr/bin/env python3
"""The node as a TLS client of servers that are not what they say, or whose records come to harm. `test_tls.py [NAME...]`."""

import fcntl
import os
import socket
import ssl
import struct
import subprocess
import termios
import threading
import time

from harness import SLOW, all_at_once, certificates, load, logged, main, node, openssl
from peer import PATIENCE, Listener, Secure, accepting, frame

SNAPSHOT = b'{"type":"snapshot","product_id":"BTC-USD","asks":[["101","2"]],"bids":[["100","1"]]}'
FILLER = b'{"type":"filler","pad":"****"}'
HANDSHAKE, ALERT, DATA = 22, 21, 23
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def context_of(directory, version=None, name="server"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{directory}/{name}.pem", f"{directory}/{name}.key")
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def started(directory, number, *words, scheme="wss"):
    listener = Listener(scheme)
    return listener, node(listener.url, f"{directory}/{number}", "--max-message", "1M", "--journal", "4M", "--ca", f"{directory}/ca.pem", *words)


def secure(listener, context):
    client = Secure(listener.accept(), context)
    client.shake()
    client.upgrade()
    client.subscribed()
    return client


def taken(client):
    """All that was sent is a record by now."""
    client.send(frame(b"taken", 9))
    client.until(10, b"taken")


def wait_end(sock):
    """Reads until the node hangs up."""
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    sock.close()


def serve(listener, context, program):
    """A good connection up to a live book; then the node ends."""
    client = secure(listener, context)
    client.send(frame(SNAPSHOT))
    taken(client)
    program.signal()
    assert client.wait_close() == 1000
    client.close()
    program.ends(0)


def told(program, words):
    lines = [line for line in program.out["stderr"].splitlines() if "next attempt in" in line]
    assert len(lines) == 1 and all(word in lines[0] for word in words), f"not {words}: {program.out['stderr']}"


# ---------------------------------------------------------------------------------------------- who the server is


def signed(directory, name, authority, start, end):
    """NAME.pem in directory: the server's key, signed by the authority for a time of its own."""
    with open(f"{directory}/conf", "w") as file:
        file.write("[ca]\ndefault_ca=c\n[c]\ndatabase=index\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=supplied\n"
                   "[leaf]\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n[req]\ndistinguished_name=d\n[d]\n")
    open(f"{directory}/index", "w").close()
    with open(f"{directory}/serial", "w") as file:
        file.write("01\n")
    openssl("ca", "-config", "conf", "-batch", "-notext", "-in", "server.csr", "-extensions", "leaf", "-out", f"{name}.pem", "-cert", f"{authority}.pem", "-keyfile",
            f"{authority}.key", "-startdate", start, "-enddate", end, cwd=directory)


def a_server_that_is_not_who_it_should_be_ends_the_node_with_1_and_says_why(directory):
    certificates(directory)
    certificates(directory, host="IP:127.0.0.2,DNS:elsewhere.test", name="elsewhere")
    os.mkdir(f"{directory}/foreign")
    certificates(f"{directory}/foreign")
    for kind in "pem", "key":
        os.rename(f"{directory}/foreign/ca.{kind}", f"{directory}/stranger.{kind}")
    signed(directory, "expired", "ca", "20200101000000Z", "20210101000000Z")
    signed(directory, "early", "ca", "21000101000000Z", "21100101000000Z")
    signed(directory, "unknown", "stranger", "20200101000000Z", "21100101000000Z")
    openssl("req", "-config", "conf", "-x509", "-key", "server.key", "-subj", "/CN=127.0.0.1", "-days", "30", "-extensions", "leaf", "-out", "self.pem", cwd=directory)
    cases = [("elsewhere", "wrong host: the certificate is not for 127.0.0.1"), ("expired", "certificate has expired"), ("early", "certificate is not yet valid"),
             ("self", "self-signed certificate"), ("unknown", "unknown CA: no trusted authority has signed the certificate")]

    def one(number, case):
        (name, words), version = case
        key = "elsewhere" if name == "elsewhere" else "server"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{directory}/{name}.pem", f"{directory}/{key}.key")
        context.minimum_version = context.maximum_version = version
        listener, program = started(directory, number)
        with listener:
            client = Secure(listener.accept(), context)
            try:
                client.shake()
                assert client.head() == [], "the request was sent to a stranger"
            except (ssl.SSLError, ConnectionResetError):
                pass
            client.sock.close()
            program.ends(1)
            assert not listener.waiting(), f"tried again: {program.out['stderr']}"
        assert words in program.out["stderr"].splitlines()[-1], program.out["stderr"]

    all_at_once(one, [(case, version) for case in cases for version in VERSIONS])


# ---------------------------------------------------------------------------------------------- what the server speaks


def a_server_of_tls_1_1_or_older_is_refused_by_name_and_tried_again(directory):
    certificates(directory)

    def one(number, version):
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        old.load_cert_chain(f"{directory}/server.pem", f"{directory}/server.key")
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = version
        listener, program = started(directory, number)
        with listener:
            client = Secure(listener.accept(), old)
            try:
                client.shake()
                assert False, "an old version was agreed on"
            except ssl.SSLError:
                pass
            wait_end(client.sock)
            serve(listener, context_of(directory), program)
        told(program, ["alert 70, protocol_version"])

    all_at_once(one, [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1])


def a_server_hello_of_tls_1_1_is_refused_by_the_node_itself(directory):
    certificates(directory)
    hello = b"\x03\x02" + b"R" * 32 + b"\0" + b"\xc0\x13" + b"\0" + b"\0\0"
    message = b"\x02" + struct.pack(">I", len(hello))[1:] + hello
    for number, record in enumerate([b"\x03\x02", b"\x03\x03"]):
        listener, program = started(directory, number)
        with listener:
            sock = listener.accept()
            sock.recv(65536)
            sock.sendall(bytes([HANDSHAKE]) + record + struct.pack(">H", len(message)) + message)
            answer = sock.recv(65536)
            assert answer == b"" or answer[0] == ALERT, answer
            sock.close()
            serve(listener, context_of(directory), program)
        told(program, ["TLS", "version"])


def bytes_that_are_no_tls_are_refused_in_words_and_tried_again(directory):
    certificates(directory)

    def one(number, case):
        data, words = case
        listener, program = started(directory, number)
        with listener:
            sock = listener.accept()
            sock.recv(65536)
            sock.sendall(data)
            wait_end(sock)
            serve(listener, context_of(directory), program)
        told(program, words)

    all_at_once(one, [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", ["the peer does not speak TLS"]),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", ["the peer does not speak TLS"]),
        (b"\0" * 100, ["the peer does not speak TLS"]),
        (frame(SNAPSHOT), ["the peer does not speak TLS"]),
        (b"\x15\x03\x03\x00\x02\x02\x28", ["alert 40", "handshake_failure"]),
        (b"\x15\x03\x03\x00\x02\x02\x46", ["alert 70", "protocol_version"]),
        (b"\x16\x03\x03\xff\xff" + b"\2" * 100, ["wrong record length"]),
        (b"\x17\x03\x03\x00\x10" + b"\2" * 16, ["out of order"]),
    ])


def a_handshake_that_never_ends_is_given_up_after_ten_seconds_and_tried_again(directory):
    certificates(directory)

    def one(number, data):
        began = time.monotonic()
        listener, program = started(directory, number)
        with listener:
            sock = listener.accept()
            sock.recv(65536)
            sock.sendall(data)
            wait_end(sock)
            assert 9 < time.monotonic() - began < 20 * SLOW
            serve(listener, context_of(directory), program)
        told(program, ["timed out: TLS handshake"])

    all_at_once(one, [b"", b"\x16", b"\x16\x03\x03\x40\x00\x02\x00\x3f"])


def a_server_that_asks_for_a_certificate_of_the_node_is_told_there_is_none(directory):
    certificates(directory)

    def one(number, version):
        asking = context_of(directory, version)
        asking.load_verify_locations(f"{directory}/ca.pem")
        asking.verify_mode = ssl.CERT_REQUIRED
        listener, program = started(directory, number)
        with listener:
            client = Secure(listener.accept(), asking)
            try:
                client.shake()
                assert False, "no certificate was shown"
            except ssl.SSLError:
                pass
            wait_end(client.sock)
            serve(listener, context_of(directory), program)
        told(program, ["alert 116, certificate_required" if version == ssl.TLSVersion.TLSv1_3 else "alert 40, handshake_failure"])

    all_at_once(one, VERSIONS)


# ---------------------------------------------------------------------------------------------- records


def ends_in(directory, cases):
    """For each (damage, words), in both versions: what came before is a record, nothing after is, the node says the words and comes again."""
    certificates(directory)

    def one(number, case):
        (damage, words), version = case
        context = context_of(directory, version)
        place = f"{directory}/{number}"
        listener, program = started(directory, number)
        with listener:
            client = secure(listener, context)
            client.send(frame(SNAPSHOT))
            taken(client)
            damage(client)
            if client.sock.fileno() >= 0:
                wait_end(client.sock)
            serve(listener, context, program)
        told(program, ["disconnected", *words])
        report = load(f"{place}/report.json")
        assert report["reconnects"] == 1 and report["rejected"] == {} and report["products"]["BTC-USD"]["snapshots"] == 2, report
        assert report["products"]["BTC-USD"]["state"] == "live", report["products"]
        assert logged(place, "text") == [SNAPSHOT, SNAPSHOT], logged(place, "text")

    all_at_once(one, [(case, version) for case in cases for version in VERSIONS])


def tampered(at):
    def damage(client):
        record = bytearray(client.seal(frame(FILLER)))
        record[at] ^= 1
        client.sock.sendall(bytes(record) + client.seal(frame(FILLER)))

    return damage


def a_record_that_was_tampered_with_is_never_read_and_ends_the_connection(directory):
    ends_in(directory, [(tampered(at), ["TLS: a record was damaged or tampered with"]) for at in [-1, -16, -17, 5, 20]])


def a_record_that_was_replayed_left_out_or_moved_is_never_read(directory):
    def replayed(client):
        record = client.seal(frame(b"", 10))
        client.sock.sendall(record + record + client.seal(frame(FILLER)))

    def left_out(client):
        client.seal(frame(FILLER))
        client.sock.sendall(client.seal(frame(FILLER)))

    def swapped(client):
        first, second = client.seal(frame(FILLER)), client.seal(frame(FILLER))
        client.sock.sendall(second + first)

    ends_in(directory, [(damage, ["TLS: a record was damaged or tampered with"]) for damage in (replayed, left_out, swapped)])


def a_record_of_a_length_or_kind_that_cannot_be_is_refused_by_its_header(directory):
    def header(kind, version, count, more=b""):
        return lambda client: client.sock.sendall(struct.pack(">BHH", kind, version, count) + more)

    ends_in(directory, [
        (header(DATA, 0x0303, 16384 + 2049), ["length"]),
        (header(DATA, 0x0303, 65535), ["length"]),
        (header(DATA, 0x0303, 3, b"abc"), ["TLS: a record was damaged"]),
        (header(99, 0x0303, 16, b"x" * 16), ["record"]),
        (header(DATA, 0x0301, 16, b"x" * 16), ["protocol version"]),
        (header(0x48, 0x5454, 0x502f, b"1.1 400 Bad Request\r\n\r\n"), ["protocol version"]),
    ])


def a_connection_that_is_cut_within_a_record_or_without_close_notify_is_told_and_tried_again(directory):
    def cut(at):
        def damage(client):
            record = client.seal(frame(FILLER))
            client.sock.sendall(record[:at])
            client.sock.shutdown(socket.SHUT_WR)

        return damage

    def reset(client):
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sock.close()

    ends_in(directory, [(cut(0), ["hung up without a close frame"]), (cut(1), ["hung up without a close frame"]), (cut(5), ["hung up without a close frame"]),
                        (cut(-1), ["hung up without a close frame"]), (reset, ["Connection reset by peer"])])


def a_close_notify_without_a_close_frame_is_told_and_tried_again(directory):
    def notify(client):
        try:
            client.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        client.flush()

    ends_in(directory, [(notify, ["the peer closed TLS"])])


def a_message_that_is_cut_short_by_close_notify_is_no_message(directory):
    def notify(client):
        client.send(frame(FILLER)[:-1])
        try:
            client.tls.unwrap()
        except ssl.SSLWantReadError:
            pass
        client.flush()

    ends_in(directory, [(notify, ["the peer closed TLS"])])


def records_of_one_byte_empty_ones_and_segments_that_cut_them_are_no_trouble(directory):
    certificates(directory)
    for number, version in enumerate(VERSIONS):
        context = context_of(directory, version)
        listener, program = started(directory, number, "--once")
        with listener:
            client = secure(listener, context)
            for byte in frame(SNAPSHOT) + frame(FILLER):
                client.send(bytes([byte]))
            records = client.seal(frame(FILLER)) + client.seal(frame(FILLER))
            for byte in records:
                client.sock.sendall(bytes([byte]))
                client.taken()
            client.send(frame(FILLER) * 2000)
            taken(client)
            client.send(frame(struct.pack(">H", 1000), 8))
            assert client.wait_close() == 1000
            client.sock.close()
        program.ends(0)
        assert logged(f"{directory}/{number}", "text") == [SNAPSHOT] + [FILLER] * 2003


# ---------------------------------------------------------------------------------------------- new keys on an old connection


class ServerProgram:
    """openssl s_server: unlike Python's ssl it can ask for a new handshake, or for new keys. What is written to it goes to the node as it is, but that a write
    which begins with a letter of its own is a command."""

    def __init__(self, directory, *words):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.program = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-cert", f"{directory}/server.pem", "-key", f"{directory}/server.key",
                                         *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.shown = b""
        self.wait_for(b"ACCEPT")

    def wait_for(self, text):
        timer = threading.Timer(PATIENCE, self.program.kill)
        timer.start()
        while text not in self.shown:
            data = os.read(self.program.stdout.fileno(), 65536)
            assert data, self.shown
            self.shown += data
        timer.cancel()
        before, self.shown = self.shown.split(text, 1)
        return before

    def write(self, data):
        os.write(self.program.stdin.fileno(), data)
        while struct.unpack("i", fcntl.ioctl(self.program.stdin.fileno(), termios.FIONREAD, b"\0" * 4))[0]:
            os.sched_yield()  # what is written next, it reads apart

    def end(self):
        self.program.kill()
        self.program.communicate()


def upgraded_by_program(directory, *words):
    server = ServerProgram(directory, *words)
    program = node(f"wss://127.0.0.1:{server.port}/", directory, "--ca", f"{directory}/ca.pem", "--max-message", "1M", "--journal", "4M", "--once")
    server.wait_for(b"Sec-WebSocket-Key: ")
    server.write(accepting(server.wait_for(b"\r\n")))
    program.wait_for("connected to")
    return server, program


def a_server_that_asks_to_renegotiate_is_not_obeyed(directory):
    """TLS 1.2: openssl insists, and gives the connection up when the second handshake does not come."""
    certificates(directory)
    server, program = upgraded_by_program(directory, "-tls1_2")
    server.write(frame(SNAPSHOT))
    server.write(b"R\n")
    server.wait_for(b"no renegotiation")
    program.wait_for("the peer refused: alert 40, handshake_failure")
    server.end()
    program.ends(0)
    assert logged(directory, "text") == [SNAPSHOT] and logged(directory, "violation,partial") == []


def new_keys_of_tls_1_3_are_followed(directory):
    """In the server's direction, then in both."""
    certificates(directory)
    server, program = upgraded_by_program(directory, "-tls1_3")
    for command in b"k\n", b"K\n", b"k\n":
        server.write(frame(FILLER))
        server.write(command)
    server.write(frame(SNAPSHOT) + frame(b"", 9))
    for _ in range(3):
        server.wait_for(b"SSL_do_handshake -> 1")  # shown with what the node sends next, the pong
    server.write(frame(struct.pack(">H", 1000), 8))
    program.wait_for("peer closed with 1000")
    server.end()
    program.ends(0)
    assert logged(directory, "text") == [FILLER, FILLER, FILLER, SNAPSHOT] and logged(directory, "violation,partial") == []


if __name__ == "__main__":
    main(globals())

#!/usr/bin/env python3
"""`wirebook health` against a node, and against what only looks like one. `test_health.py [NAME...]`."""

import os
import re
import socket
import threading

from harness import LIMIT, Program, certificates, kept_port, main, mock, node

TOKEN = "a-token-of-visible-characters"


def listening(program):
    """Where the node says that it listens, as --listen takes it."""
    program.wait_for("listening at ")
    return re.search(r"listening at https?://(\S+)", program.out["stderr"])[1]


def asked(*words, code=0, **options):
    return Program("health", "--timeout", LIMIT, *words, **options).ends(code).out


def a_node_is_alive_at_once_and_ready_when_its_books_are_live(directory):
    port, _place = kept_port()
    program = node(f"ws://127.0.0.1:{port}/", directory, "--listen", "127.0.0.1:0")
    at = listening(program)
    assert '"ok"' in asked("--listen", at)["stdout"]
    told = asked("--listen", at, "--ready", code=1)
    assert "BTC-USD" in told["stdout"] and "answered with 503" in told["stderr"], told
    exchange = mock("--port", port)
    program.wait_for("connected to")
    while Program("health", "--ready", env={"WIREBOOK_LISTEN": at}).wait() != 0:
        program.pump(0.05)
    program.signal()
    program.ends(0)
    exchange.signal()
    assert "wirebook health: " in asked("--listen", at, code=1)["stderr"], "it has ended"


def a_token_comes_from_a_file_or_the_environment_and_is_needed(directory):
    with open(f"{directory}/token", "w") as file:
        file.write(TOKEN + "\n")
    os.chmod(f"{directory}/token", 0o600)
    exchange = mock("--product", "BTC-USD")
    program = node(exchange.url, directory, "--listen", "0.0.0.0:0", "--listen-token-file", f"{directory}/token")
    at = listening(program)
    assert "answered with 401" in asked("--listen", at, code=1)["stderr"]
    assert "answered with 401" in asked("--listen", at, code=1, env={"WIREBOOK_LISTEN_TOKEN": TOKEN + "x"})["stderr"]
    asked("--listen", at, env={"WIREBOOK_LISTEN_TOKEN": TOKEN})
    asked("--listen", at, "--listen-token-file", f"{directory}/token")
    program.signal()
    program.ends(0)
    exchange.signal()


def a_node_with_tls_is_asked_over_tls(directory):
    certificates(directory)
    exchange = mock("--product", "BTC-USD")
    program = node(exchange.url, directory, "--listen", "127.0.0.1:0", "--listen-cert", f"{directory}/server.pem", "--listen-key", f"{directory}/server.key")
    at = listening(program)
    assert '"ok"' in asked("--listen", at, "--tls")["stdout"]
    asked("--listen", at, code=1)
    program.signal()
    program.ends(0)
    exchange.signal()


def what_is_no_healthy_node_is_told_by_the_exit_code(directory):
    def answer(listener, text):
        while True:
            try:
                client = listener.accept()[0]
            except OSError:
                return
            with client:
                client.recv(4096)
                if text:
                    client.sendall(text)
                else:
                    client.recv(1)  # until it has left

    for text, words in ((b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno", "answered with 503"), (b"SSH-2.0-x\r\n", ""), (b"", "in time"),
                        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ncut", "")):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=answer, args=(listener, text))
            thread.start()
            try:
                said = asked("--listen", f"127.0.0.1:{listener.getsockname()[1]}", "--timeout", LIMIT if text else 0.5, code=1)["stderr"]
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                thread.join()
            assert words in said and said.startswith("wirebook health: "), (text, said)
    for words, hint in (([], "--listen"), (["--listen", "8080"], "--listen"), (["--listen", "127.0.0.1:"], "--listen"), (["--listen", "x" * 400 + ":1"], "too long"),
                        (["--listen", "127.0.0.1:1", "now"], "'now' is no option"), (["--listen", "127.0.0.1:1", "--listen-token-file", f"{directory}/none"], "no token")):
        assert hint in asked(*words, code=2)["stderr"], words
    for token in ("white space", "x" * 513, "line\nbreak"):
        assert "visible ASCII" in asked("--listen", "127.0.0.1:1", code=2, env={"WIREBOOK_LISTEN_TOKEN": token})["stderr"], token


if __name__ == "__main__":
    main(globals())

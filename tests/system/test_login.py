#!/usr/bin/env python3
"""The node logs in: to the mock exchange, to peers that verify by openssl; what it says of mistakes; where its secrets are not. `test_login.py [NAME...]`."""

import base64
import ctypes
import email.utils
import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import tempfile
import time

from harness import LIMIT, Program, certificates, load, logged, main, mock, node, openssl, same, wait_until
from peer import Listener, frame
from test_node import BOOK

KEY, PASSPHRASE = "0123456789abcdef0123456789abcdef", "a \"passphrase\" \\ of ours"
NAME = "organizations/00000000-0000-4000-8000-000000000001/apiKeys/00000000-0000-4000-8000-000000000002"
SNAPSHOT = b'{"type":"snapshot","product_id":"BTC-USD","asks":[["101","2"]],"bids":[["100","1"]]}'
LEVEL2 = ["--channel", "level2,heartbeat"]
SMALL = ["--max-message", "1M", "--journal", "4M"]
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def written(path, content, mode=0o600):
    with open(path, "w") as file:
        file.write(content if isinstance(content, str) else json.dumps(content))
    os.chmod(path, mode)
    return path


def secret_of(number=0):
    return base64.b64encode(hashlib.sha512(b"of a test %d" % number).digest()).decode()


def exchange_key(directory, name="exchange.json", **changed):
    return written(f"{directory}/{name}", {"key": KEY, "secret": secret_of(), "passphrase": PASSPHRASE, **changed})


def read(path, mode="r"):
    with open(path, mode) as file:
        return file.read()


def portal_keys(place):
    """ec.json and ed.json as the portal hands them out, and their public halves, made by openssl."""
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ec.pem", cwd=place)
    openssl("genpkey", "-algorithm", "ed25519", "-out", "ed.pem", cwd=place)
    for kind in ("ec", "ed"):
        openssl("pkey", "-in", f"{kind}.pem", "-pubout", "-out", f"{kind}.pub", cwd=place)
        openssl("pkey", "-in", f"{kind}.pem", "-outform", "DER", "-out", f"{kind}.der", cwd=place)
        openssl("pkey", "-in", f"{kind}.pem", "-pubout", "-outform", "DER", "-out", f"{kind}.pub.der", cwd=place)
    both = read(f"{place}/ed.der", "rb")[-32:] + read(f"{place}/ed.pub.der", "rb")[-32:]
    written(f"{place}/ec.json", {"name": NAME, "privateKey": read(f"{place}/ec.pem")})
    written(f"{place}/ed.json", {"id": "an-id", "privateKey": base64.b64encode(both).decode()})


def accounts(place):
    return written(f"{place}/accounts.json", {"exchange": [{"key": KEY, "secret": secret_of(), "passphrase": PASSPHRASE}],
                                                  "advanced": [{"name": NAME, "publicKey": read(f"{place}/ec.pub")}] if os.path.exists(f"{place}/ec.pub") else []})


def checking(directory, *words):
    return mock("--login-file", accounts(directory), "--rate", 200, "--levels", 100, "--report", f"{directory}/mock.json", *words)


def logins(directory, exchange):
    exchange.signal()
    exchange.ends(0)
    return load(f"{directory}/mock.json")["logins"]


def is_live(directory, program):
    """By its report; the node has begun, or a signal would end it."""
    os.path.exists(f"{directory}/report.json") and os.unlink(f"{directory}/report.json")
    program.signal(signal.SIGUSR1)
    wait_until(lambda: program.pump(0.02) or os.path.exists(f"{directory}/report.json"), "a report")
    return load(f"{directory}/report.json")["products"]["BTC-USD"]["state"] == "live"


# ---------------------------------------------------------------------------------------------- logging in


def a_node_with_a_key_gets_level2_over_wss_and_its_secrets_are_nowhere(directory):
    """All that the node leaves behind is searched: log, output, report, segments, its command line, its environment."""
    certificates(directory)
    exchange = checking(directory, "--tls", "--cert", f"{directory}/server.pem", "--key", f"{directory}/server.key", "--scenario", "reset")
    program = node(exchange.url, directory, *LEVEL2, "--key-file", exchange_key(directory), "--ca", f"{directory}/ca.pem", "--log", f"{directory}/log",
                   "--log-level", "debug")
    wait_until(lambda: program.pump(0.02) or (os.path.exists(f"{directory}/log") and "connected to" in read(f"{directory}/log")), "a connection")
    wait_until(lambda: is_live(directory, program) and load(f"{directory}/report.json")["products"]["BTC-USD"]["snapshots"] >= 2, "live again after a reset")
    left = read(f"/proc/{program.child.pid}/cmdline", "rb") + read(f"/proc/{program.child.pid}/environ", "rb")
    program.signal()
    program.ends(0)
    counts, sent = logins(directory, exchange), [json.loads(text) for text in logged(directory, "sent")]
    assert len(sent) >= 2 and counts == {"accepted": len(sent)}, (counts, sent)
    for message in sent:
        assert [message[field] for field in ("signature", "key", "passphrase")] == ["***"] * 3, message
        assert abs(int(message["timestamp"]) - time.time()) < LIMIT, message
    for folder, _, files in os.walk(directory):
        left += b"".join(read(f"{folder}/{name}", "rb") for name in files if name not in ("exchange.json", "accounts.json"))
    left += "".join(program.out.values()).encode()
    assert "logs in with an Exchange key".encode() in left and b"level2" in left
    for secret in [KEY, secret_of(), PASSPHRASE, json.dumps(PASSPHRASE)[1:-1]] + signatures(sent):
        assert secret.encode() not in left, f"{secret} was left behind"
    checked = Program("run", "--check-config", "--key-file", f"{directory}/exchange.json", *LEVEL2).ends(0)
    assert "exchange.json" in checked.out["stdout"] and not any(secret in checked.out["stdout"] for secret in (KEY, secret_of(), PASSPHRASE))


def a_node_with_a_key_keeps_books_of_orders_from_the_channels_that_need_one(directory):
    for channel in ("full", "level3"):
        place = f"{directory}/{channel}"
        os.mkdir(place)
        exchange = mock("--login-file", accounts(place), "--product", "BTC,ETH", "--levels", 100, "--rate", 300, "--messages", 900, "--limits", "enforce",
                        "--report", f"{place}/mock.json", "--depth", 1000, "--once")
        port = exchange.url.rstrip("/").rsplit(":", 1)[1]
        node(exchange.url, place, "--rest", f"http://127.0.0.1:{port}", "--key-file", exchange_key(place), "--channel", f"{channel},heartbeat",
             "--product", "BTC,ETH", "--once").ends(0)
        exchange.ends(0)
        same(f"{place}/mock.json", f"{place}/report.json", *BOOK)
        told = load(f"{place}/mock.json")
        assert told["logins"] == {"accepted": 1} and not any(told["breaches"].values()), told
        Program("replay", "--product", "BTC,ETH", "--console", "off", "--depth", 1000, "--report", f"{place}/replay.json", f"{place}/data").ends(0)
        same(f"{place}/report.json", f"{place}/replay.json", *BOOK)


def signatures(sent):
    return [base64.b64encode(hmac.new(base64.b64decode(secret_of()), f"{m['timestamp']}GET/users/self/verify".encode(), hashlib.sha256).digest()).decode()
            for m in sent]


def a_key_in_the_environment_logs_in_and_is_gone_from_it(directory):
    for number, words in enumerate(([], ["--layout", "pipelined"])):
        place = f"{directory}/{number}"
        os.mkdir(place)
        exchange = checking(place)
        program = node(exchange.url, place, *LEVEL2, *SMALL, *words,
                       env={"WIREBOOK_KEY": KEY, "WIREBOOK_SECRET": secret_of(), "WIREBOOK_PASSPHRASE": PASSPHRASE, "WIREBOOK_LOG_LEVEL": "info"})
        program.wait_for("connected to")
        wait_until(lambda: is_live(place, program), "a live book")
        environment = read(f"/proc/{program.child.pid}/environ", "rb")
        assert b"WIREBOOK_LOG_LEVEL=info" in environment, "it is its environment"
        assert not any(secret.encode() in environment for secret in (KEY, secret_of(), PASSPHRASE)), environment
        program.signal()
        program.ends(0)
        assert logins(place, exchange) == {"accepted": 1}
        assert "an Exchange key of the environment" in program.out["stderr"]


def what_a_command_of_a_sealed_segment_inherits_has_no_key(directory):
    exchange = checking(directory)
    program = node(exchange.url, directory, *LEVEL2, *SMALL, "--rotate-seconds", 1, "--on-seal", f"sh -c 'env >> {directory}/env'",
                   env={"WIREBOOK_KEY": KEY, "WIREBOOK_SECRET": secret_of(), "WIREBOOK_PASSPHRASE": PASSPHRASE, "WIREBOOK_LOG_LEVEL": "info"})
    wait_until(lambda: program.pump(0.02) or (os.path.exists(f"{directory}/env") and "WIREBOOK_LOG_LEVEL" in read(f"{directory}/env")), "a command was run")
    program.signal()
    program.ends(0)
    exchange.signal()
    assert KEY not in read(f"{directory}/env") and "WIREBOOK_SECRET" not in read(f"{directory}/env")


def a_confined_node_logs_in_again_after_its_key_file_is_gone(directory):
    exchange = checking(directory, "--scenario", "close", "--scenario-after", 20)
    program = node(exchange.url.replace("127.0.0.1", "localhost"), directory, *LEVEL2, *SMALL, "--confine", "on", "--key-file", exchange_key(directory),
                   env={"ASAN_OPTIONS": "detect_leaks=0"})
    program.wait_for("connected to")
    os.unlink(f"{directory}/exchange.json")
    program.wait_for("connected to", times=2)
    wait_until(lambda: is_live(directory, program), "live again")
    program.signal()
    program.ends(0)
    assert logins(directory, exchange) == {"accepted": 2}


def resubscribing_a_product_logs_in_again(directory):
    exchange = checking(directory, "--scenario", "badnumber")
    program = node(exchange.url, directory, *LEVEL2, *SMALL, "--key-file", exchange_key(directory))
    program.wait_for("connected to")
    wait_until(lambda: is_live(directory, program) and load(f"{directory}/report.json")["resyncs"] == 1, "resynchronised")
    program.signal()
    program.ends(0)
    assert logins(directory, exchange) == {"accepted": 3}
    sent = [json.loads(text) for text in logged(directory, "sent")]
    assert [(m["type"], m["signature"]) for m in sent] == [("subscribe", "***"), ("unsubscribe", "***"), ("subscribe", "***")], sent


def verified(directory, kind, token):
    """The claims of a token, whose signature openssl has verified."""
    head, claims, signature = token.split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    with open(f"{directory}/signed", "wb") as file:
        file.write(f"{head}.{claims}".encode())
    if kind == "ec":
        numbers = [n.lstrip(b"\0") or b"\0" for n in (raw[:32], raw[32:])]
        numbers = [b"\0" + n if n[0] & 0x80 else n for n in numbers]
        body = b"".join(bytes([2, len(n)]) + n for n in numbers)
        raw = bytes([0x30, len(body)]) + body
    with open(f"{directory}/signature", "wb") as file:
        file.write(raw)
    if kind == "ec":
        openssl("dgst", "-sha256", "-verify", "ec.pub", "-signature", "signature", "signed", cwd=directory)
    else:
        openssl("pkeyutl", "-verify", "-pubin", "-inkey", "ed.pub", "-rawin", "-in", "signed", "-sigfile", "signature", cwd=directory)
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (head, claims)]


def tokens_for_advanced_trade_are_good_to_openssl_and_never_the_same(directory):
    portal_keys(directory)
    for kind, name, algorithm in (("ec", NAME, "ES256"), ("ed", "an-id", "EdDSA")):
        with Listener() as listener:
            program = node(listener.url, f"{directory}/{kind}", *SMALL, "--feed", "coinbase-advanced", "--key-file", f"{directory}/{kind}.json",
                           "--confine", "on", env={"ASAN_OPTIONS": "detect_leaks=0"})
            client = listener.meet()
            client.upgrade()
            seen = []
            for channel in ("level2", "heartbeats"):
                message = client.subscribed()
                assert (message["type"], message["channel"]) == ("subscribe", channel), message
                head, claims = verified(directory, kind, message["jwt"])
                assert head == {"alg": algorithm, "typ": "JWT", "kid": name, "nonce": head["nonce"]} and re.fullmatch("[0-9a-f]{32}", head["nonce"]), head
                assert claims == {"iss": "cdp", "sub": name, "nbf": claims["nbf"], "exp": claims["nbf"] + 120}, claims
                assert abs(claims["nbf"] - time.time()) < LIMIT, claims
                seen += [message["jwt"], head["nonce"]]
            assert len(set(seen)) == 4, seen
            client.text('{"type":"error","message":"authentication failure"}')
            program.wait_for("authentication failure")
            program.wait_for("the key was refused")
            program.signal()
            assert client.wait_close() == 1000
            client.close()
            program.ends(0)
            assert [json.loads(text)["jwt"] for text in logged(f"{directory}/{kind}", "sent")] == ["***"] * 2
            assert not any(token in "".join(program.out.values()) for token in seen)


def the_mock_takes_tokens_of_both_kinds_of_key_and_no_other(directory):
    portal_keys(directory)
    written(f"{directory}/all.json", {"advanced": [{"name": NAME, "publicKey": read(f"{directory}/ec.pub")},
                                                   {"name": "an-id", "publicKey": read(f"{directory}/ed.pub")}]})
    written(f"{directory}/wrong.json", {"name": NAME, "privateKey": json.loads(read(f"{directory}/ed.json"))["privateKey"]})
    for kind, words, counted in (("ec", [], "accepted"), ("ed", [], "accepted"), ("wrong", [], "wrong_signature"), ("ec", ["--login-ahead", 200], "expired")):
        with tempfile.TemporaryDirectory(dir=directory) as place:
            exchange = mock("--dialect", "coinbase-advanced", "--login-file", f"{directory}/all.json", "--rate", 200, "--levels", 100, "--report",
                            f"{place}/mock.json", *words)
            program = node(exchange.url, place, *SMALL, "--feed", "coinbase-advanced", "--key-file", f"{directory}/{kind}.json")
            if counted == "accepted":
                program.wait_for("connected to")
                wait_until(lambda: is_live(place, program), "a live book")
            else:
                program.wait_for("authentication failure\"}: the key was refused")
            program.signal()
            program.ends(0)
            counts = logins(place, exchange)
            assert counts[counted] >= 1 and sum(counts.values()) == counts[counted], counts


def with_a_key_and_no_url_the_feed_is_the_direct_one(directory):
    """In a network of its own, in which there is nothing to connect to."""
    key = exchange_key(directory)
    for words, wanted in ((["--key-file", key], "wss://ws-direct.exchange.coinbase.com"), ([], "wss://ws-feed.exchange.coinbase.com"),
                          (["--key-file", key, "--url", "wss://127.0.0.1:1"], "wss://127.0.0.1:1"),
                          (["--key-file", key, "--mock", "--mock-port", 1], "ws://127.0.0.1:1/")):
        try:
            program = Program("run", "--once", "--no-store", "--console", "off", "--report", f"{directory}/report.json", *words, prepare=alone)
        except subprocess.SubprocessError:
            print("not checked: this kernel lets nobody have a network of his own")
            return
        program.ends(1)
        assert load(f"{directory}/report.json")["lines"][0]["url"] == wanted, load(f"{directory}/report.json")["lines"]


def alone():
    if ctypes.CDLL(None).unshare(CLONE_NEWNET) and ctypes.CDLL(None).unshare(CLONE_NEWUSER | CLONE_NEWNET):
        raise OSError("no network namespaces")


# ---------------------------------------------------------------------------------------------- mistakes


def each_mistake_is_told_before_anything_is_connected(directory):
    portal_keys(directory)
    openssl("genrsa", "-out", "rsa.pem", "2048", cwd=directory)
    openssl("pkcs8", "-topk8", "-passout", "pass:x", "-in", "ec.pem", "-out", "locked.pem", cwd=directory)
    advanced = ["--feed", "coinbase-advanced"]

    def portal(name, file):
        return written(f"{directory}/{name}.json", {"name": NAME, "privateKey": read(f"{directory}/{file}")})

    good = exchange_key(directory)
    os.symlink(good, f"{directory}/link")
    readable = exchange_key(directory, "readable.json")
    os.chmod(readable, 0o640)
    os.symlink(readable, f"{directory}/readable-link")
    for words, said in (([f"{directory}/ec.json"], "key of the developer portal (Coinbase app, Advanced Trade), for --feed coinbase-advanced"),
                        ([f"{directory}/ed.json"], "key of the developer portal"),
                        ([good, *advanced], "it is one of the Exchange, for --feed coinbase-exchange"),
                        ([exchange_key(directory, "1.json", secret="not base64 at all!")], "the secret is no base64"),
                        ([exchange_key(directory, "2.json", passphrase="")], "no passphrase"),
                        ([written(f"{directory}/3.json", {"key": KEY, "secret": secret_of()}), *advanced], "an Exchange key is for --feed coinbase-exchange"),
                        ([portal("rsa", "rsa.pem"), *advanced], "an RSA key"), ([portal("locked", "locked.pem"), *advanced], "encrypted with a password"),
                        ([portal("public", "ec.pub"), *advanced], "a public key"), ([f"{directory}/nowhere"], "No such file"),
                        ([readable], "is open to others (mode 640): chmod 600"), ([f"{directory}/readable-link"], "is open to others"),
                        ([directory], "is not a regular file")):
        program = Program("run", "--url", "ws://127.0.0.1:1/", "--no-store", "--key-file", *words).ends(2)
        assert said in program.out["stderr"], f"not {said!r}: {program.out['stderr']}"
        assert not any(secret in program.out["stderr"] for secret in (KEY, secret_of(), PASSPHRASE)), program.out["stderr"]
    both = Program("run", "--no-store", env={"WIREBOOK_KEY_FILE": good, "WIREBOOK_KEY": "x"}).ends(2)
    assert "give one of them" in both.out["stderr"], both.out["stderr"]
    Program("run", "--check-config", "--key-file", f"{directory}/link").ends(0)
    Program("run", "--check-config", "--key-file", good, env={"WIREBOOK_KEY": "a flag wins over it"}).ends(0)


def refused_by(directory, number, mock_words, words):
    """A node whose login the mock refuses: what it says, and what the mock counted."""
    place = f"{directory}/{number}"
    os.mkdir(place)
    exchange = checking(place, *mock_words)
    program = node(exchange.url, place, *LEVEL2, *SMALL, *words)
    program.wait_for("exchange says: ")
    program.signal()
    program.ends(0)
    line = next(line for line in program.out["stderr"].splitlines() if "exchange says: " in line)
    return line, logins(place, exchange)


def what_the_exchange_says_of_a_login_is_explained(directory):
    for number, (changed, mock_words, said, words, counted) in enumerate((
            ({"secret": secret_of(1)}, [], "invalid signature", "the secret does not belong to this key", "wrong_signature"),
            ({"passphrase": "another"}, [], "Invalid Passphrase", "not the account's password", "wrong_passphrase"),
            ({"key": "stranger"}, [], "Invalid API Key", "there is no such key", "unknown_key"),
            ({}, ["--login-ahead", 100], "timestamp expired", "set this machine's clock", "wrong_timestamp"))):
        line, counts = refused_by(directory, number, mock_words, ["--key-file", exchange_key(directory, **changed)])
        assert said in line and words in line, line
        assert counts["accepted"] == 0 and counts[counted] >= 1 and len(counts) == 2, counts
    line, counts = refused_by(directory, "none", [], [])
    assert "now require authentication" in line and "this channel needs a login: --key-file" in line, line
    assert counts == {"accepted": 0}, counts


def a_clock_that_is_off_is_told_by_the_date_of_the_upgrade(directory):
    for number, (ahead, words) in enumerate(((100, "behind the exchange's"), (-100, "ahead of the exchange's"), (0, None))):
        with Listener() as listener:
            program = node(listener.url, f"{directory}/{number}", *LEVEL2, *SMALL, "--key-file", exchange_key(directory))
            client = listener.meet()
            head = client.answer()[:-2]
            date = email.utils.formatdate(time.time() + ahead, usegmt=True).encode()
            client.send(head + b"Date: " + date + b"\r\n\r\n")
            client.subscribed()
            client.text(json.dumps({"type": "error", "message": "Authentication Failed", "reason": '{"message":"request timestamp expired"}'}))
            program.wait_for("exchange says: ")
            program.signal()
            client.wait_close()
            client.close()
            program.ends(0)
            told = [line for line in program.out["stderr"].splitlines() if "this machine's clock is" in line]
            assert len(told) == (2 if words else 0) and all(re.search(r"clock is (9\d|10\d) s " + words, line) for line in told), program.out["stderr"]


def a_login_goes_by_tls_or_to_loopback_only(directory):
    for url in ("ws://192.0.2.1:80/", "ws://[2001:db8::1]:80/"):
        program = node(url, directory, *LEVEL2, *SMALL, "--key-file", exchange_key(directory)).ends(1)
        assert "a login goes by wss, or to loopback" in program.out["stderr"], program.out["stderr"]


# ---------------------------------------------------------------------------------------------- core dumps


def dumped(program):
    """What a core of a running program would hold, read as root's debugger does; None where the kernel lets nobody look in."""
    kept, mapping, resident = b"", None, 0
    try:
        with open(f"/proc/{program.child.pid}/smaps") as smaps, open(f"/proc/{program.child.pid}/mem", "rb", buffering=0) as memory:
            for line in smaps:
                found = re.match("([0-9a-f]+)-([0-9a-f]+) r", line)
                mapping = (int(found[1], 16), int(found[2], 16)) if found else mapping
                resident = int(line.split()[1]) if line.startswith("Rss:") else resident
                if line.startswith("VmFlags:") and mapping and resident and not set(line.split()) & {"dd", "io"}:
                    memory.seek(mapping[0])
                    kept += memory.read(mapping[1] - mapping[0])
                    mapping = None
    except PermissionError:
        return None
    return kept


def every_form_of(kind, directory):
    """The bytes that must not be in a dump."""
    if kind == "exchange":
        raw = base64.b64decode(secret_of())
        return [secret_of().encode(), raw[:32], raw[32:], PASSPHRASE.encode(), json.dumps(PASSPHRASE)[1:-1].encode(), KEY.encode()]
    der = read(f"{directory}/{kind}.der", "rb")
    text = json.loads(read(f"{directory}/{kind}.json"))["privateKey"]
    if kind == "ec":
        scalar = der[7:39] if der[5:7] == b"\x04\x20" else der[der.index(b"\x02\x01\x01\x04\x20") + 5:][:32]
        return [scalar, scalar[::-1], *(line.encode() for line in text.split("\n")[1:-2] if len(line) > 40)]
    seed = der[-32:]
    inner = bytearray(hashlib.sha512(seed).digest()[:32])
    first, last = inner[0], inner[31]
    inner[0], inner[31] = first & 248, last & 127 | 64
    return [seed, bytes(inner), hashlib.sha512(seed).digest()[32:], text[:40].encode()]


def no_form_of_a_key_is_in_a_dump_of_the_memory(directory):
    """Not even of a node that has signed, and in a dump that root makes. Others may make none, nor does the kernel when the node crashes."""
    portal_keys(directory)
    exchange_key(directory)
    for kind, feed in (("exchange", "coinbase-exchange"), ("ec", "coinbase-advanced"), ("ed", "coinbase-advanced")):
        with Listener() as listener:
            channels = LEVEL2 if kind == "exchange" else []
            program = node(listener.url, f"{directory}/of-{kind}", *SMALL, *channels, "--no-store", "--feed", feed, "--key-file", f"{directory}/{kind}.json",
                           "--layout", "pipelined")
            client = listener.meet()
            client.upgrade()
            message = client.subscribed()
            assert "signature" in message or "jwt" in message
            client.send(frame(b"taken", 9))
            client.until(10, b"taken")
            core = dumped(program)
            if core is None:
                assert os.getuid(), "root may look"
                core = b"the secret does not belong to this key"
            assert b"the secret does not belong to this key" in core, "it is this program's memory"
            found = [n for n, secret in enumerate(every_form_of(kind, directory)) if secret in core]
            assert not found, f"{kind}: forms {found}"
            proof = (message.get("signature") or message["jwt"].rsplit(".", 1)[1]).encode()
            assert proof not in core, f"{kind}: what was signed"
            assert os.stat(f"/proc/{program.child.pid}/mem").st_uid == 0
            program.signal(signal.SIGABRT)
            code = program.wait()
            assert code == -signal.SIGABRT, code
            client.hang_up()


if __name__ == "__main__":
    main(globals())

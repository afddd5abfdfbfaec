#!/usr/bin/env python3
"""The node's way from TCP to WebSocket, past servers that answer otherwise: what a user reads, and whether the node stops or tries again.
`test_upgrade.py [NAME...]`."""

import email.utils
import time

from harness import SLOW, all_at_once, load, logged, main, node
from peer import Listener, frame

SNAPSHOT = b'{"type":"snapshot","product_id":"BTC-USD","asks":[["101","2"]],"bids":[["100","1"]]}'
SMALL = ["--max-message", "1M", "--journal", "4M"]


def started(directory, number, *words):
    listener = Listener()
    return listener, node(listener.url, f"{directory}/{number}", *SMALL, *words)


def refuse(listener, answer):
    """Answers the next request with these bytes, or with what answer(client) makes of it, and hangs up when the node does. Returns when it answered."""
    client = listener.meet()
    if callable(answer):
        answer = answer(client)
    else:
        client.head()
    sent = time.monotonic()
    client.send(answer)
    try:
        while client.sock.recv(65536):
            pass
    except ConnectionResetError:
        pass
    client.hang_up()
    return sent


def serve(listener, program, directory):
    """A good connection for the node, up to a live book; then the node ends."""
    client = listener.meet()
    client.upgrade()
    client.subscribed()
    client.send(frame(SNAPSHOT))
    client.send(frame(b"taken", 9))
    client.until(10, b"taken")
    program.signal()
    assert client.wait_close() == 1000
    client.close()
    program.ends(0)
    product = load(f"{directory}/report.json")["products"]["BTC-USD"]
    assert product["snapshots"] == 1, product
    assert product["state"] == "live", product


def stops(directory, cases):
    """For each (answer, words): the node ends with 1 after one attempt, having said the words."""

    def one(number, case):
        answer, words = case
        listener, program = started(directory, number)
        with listener:
            refuse(listener, answer)
            program.ends(1)
            assert not listener.waiting(), f"tried again: {program.out['stderr']}"
        for word in words:
            assert word in program.out["stderr"].splitlines()[-1], f"not {word!r}: {program.out['stderr']}"

    all_at_once(one, cases)


def tries_again(directory, cases, *options):
    """For each (answer, words, least, most): the node says the words, comes again after that many seconds, and then all is well."""

    def one(number, case):
        answer, words, least, most = case
        place = f"{directory}/{number}"
        listener, program = started(directory, number, *options)
        with listener:
            began = refuse(listener, answer)
            serve(listener, program, place)
            waited = time.monotonic() - began
        said = [line for line in program.out["stderr"].splitlines() if "not connected" in line]
        assert len(said) == 1 and all(word in said[0] for word in words), f"not {words}: {program.out['stderr']}"
        wait_ms = int(said[0].split("next attempt in ")[1].split(" ms")[0])
        assert least * 1000 <= wait_ms <= most * 1000 and waited >= least - 0.1, f"came after {waited} s: {said[0]}"
        assert load(f"{place}/report.json")["reconnects"] == 1

    all_at_once(one, cases)


def answer(status, *lines, body=b""):
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


# ---------------------------------------------------------------------------------------------- statuses


def a_redirect_ends_the_node_with_1_naming_the_place_and_is_never_followed(directory):
    """Where to connect is the user's to say; another host may be somebody else's."""
    with Listener() as other:
        for number, status in enumerate(["301 Moved Permanently", "302 Found", "303 See Other", "307 Temporary Redirect", "308 Permanent Redirect"]):
            stops(f"{directory}/{number}", [
                (answer(status, f"Location: {other.url}elsewhere"), [status, f"moved to {other.url}elsewhere"]),
                (answer(status, "Location: wss://elsewhere.test/feed"), [status, "moved to wss://elsewhere.test/feed"]),
                (answer(status, "Location: /relative"), [status, "moved to /relative"]),
                (answer(status), [status]),
            ])
        assert not other.waiting(), "followed"


def a_redirects_words_cannot_harm_the_terminal(directory):
    stops(directory, [(answer("302 Found", "Location: wss://x/\u202e\u009b2J" + "y" * 3000), ["302 Found", "moved to wss://x/??"])])


def statuses_that_time_does_not_heal_end_the_node_with_1_and_their_words(directory):
    names = ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "405 Method Not Allowed", "407 Proxy Authentication Required",
             "410 Gone", "426 Upgrade Required", "451 Unavailable For Legal Reasons"]
    cases = [(answer(name), [name]) for name in names]
    cases.append((answer("401 Unauthorized", 'WWW-Authenticate: Basic realm="feed"', body=b"who are you?"), ["401 Unauthorized"]))
    cases.append((answer("403"), ["403"]))
    cases.append((b"HTTP/1.0 403 Forbidden\r\n\r\n", ["403 Forbidden"]))
    stops(directory, cases)


def statuses_that_time_heals_are_tried_again_with_back_off(directory):
    names = ["408 Request Timeout", "425 Too Early", "429 Too Many Requests", "500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable",
             "504 Gateway Timeout", "200 OK"]
    tries_again(directory, [(answer(name, body=b"<html>"), [name], 0.125, 0.25) for name in names])


def retry_after_in_seconds_is_the_least_that_is_waited(directory):
    tries_again(directory, [
        (answer("429 Too Many Requests", "Retry-After: 1"), ["429 Too Many Requests, retry after 1 s"], 1, 1),
        (answer("503 Service Unavailable", "Retry-After: 2"), ["503 Service Unavailable, retry after 2 s"], 2, 2),
        (answer("429 Too Many Requests", "retry-after: \t1 "), ["retry after 1 s"], 1, 1),
        (answer("429 Too Many Requests", "Retry-After: 0"), ["429"], 0.125, 0.25),
        (answer("429 Too Many Requests", "Retry-After: -1"), ["429"], 0.125, 0.25),
        (answer("429 Too Many Requests", "Retry-After: soon"), ["429"], 0.125, 0.25),
    ])


def retry_after_as_a_date_is_the_least_that_is_waited(directory):
    """RFC 9110 10.2.3. Dates are whole seconds: the one named has begun when the node comes."""
    for form in ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"]:
        date = time.strftime(form, time.gmtime(time.time() + 3))
        listener, program = started(directory, form[-2:])
        with listener:
            refuse(listener, answer("503 Service Unavailable", f"Retry-After: {date}"))
            serve(listener, program, f"{directory}/{form[-2:]}")
            assert time.strftime("%Y%m%d%H%M%S", time.gmtime()) >= time.strftime("%Y%m%d%H%M%S", time.strptime(date, form)), "came too early"
        assert f"503 Service Unavailable, retry after {date}; next attempt in" in program.out["stderr"], program.out["stderr"]
    tries_again(directory, [(answer("429 Too Many Requests", "Retry-After: " + email.utils.formatdate(time.time() + after, usegmt=True)),
                             ["429 Too Many Requests"], *wait) for after, wait in [(-100, (0.125, 0.25))]])


def retry_after_is_not_believed_above_an_hour(directory):
    for number, seconds in enumerate(["3601", "4294967296", "99999999999999999999999", "Fri, 31 Dec 2100 23:59:59 GMT"]):
        listener, program = started(directory, number)
        with listener:
            refuse(listener, answer("503 Service Unavailable", f"Retry-After: {seconds}"))
            program.wait_for("next attempt in 3600000 ms")
            program.signal()
            program.ends(0)


def a_node_that_was_let_in_once_tries_again_whatever_is_answered_later(directory):
    listener, program = started(directory, 0)
    with listener:
        client = listener.meet()
        client.upgrade()
        client.subscribed()
        client.close()
        refuse(listener, answer("404 Not Found"))
        refuse(listener, answer("302 Found", "Location: wss://elsewhere.test/"))
        serve(listener, program, f"{directory}/0")
    for words in ["404 Not Found; next attempt in", "302 Found, moved to wss://elsewhere.test/; next attempt in"]:
        assert words in program.out["stderr"], program.out["stderr"]


def once_ends_with_1_after_one_attempt_whatever_is_answered(directory):
    for number, status in enumerate(["503 Service Unavailable", "404 Not Found"]):
        listener, program = started(directory, number, "--once")
        with listener:
            refuse(listener, answer(status, "Retry-After: 1"))
            program.ends(1)
        assert status in program.out["stderr"].splitlines()[-1], program.out["stderr"]


def the_answer_of_a_refusal_is_kept_with_its_body(directory):
    listener, program = started(directory, 0)
    head = answer("403 Forbidden", "X-Why: because", body=b"go away")
    with listener:
        refuse(listener, head)
        program.ends(1)
    assert b"".join(logged(f"{directory}/0", "http")) == head


# ---------------------------------------------------------------------------------------------- a 101 that is none


def changed(old, new):
    return lambda client: client.answer().replace(old, new)


def a_101_that_proves_nothing_is_refused_by_name_and_tried_again(directory):
    accept = b"Sec-WebSocket-Accept: "
    soon = (0.125, 0.25)
    tries_again(directory, [
        (changed(accept, accept + b"x"), ["wrong Sec-WebSocket-Accept", "should be"], *soon),
        (lambda client: client.answer() and b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n", ['wrong Sec-WebSocket-Accept "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="'], *soon),
        (changed(accept, b"X-Accept: "), ["0 Sec-WebSocket-Accept"], *soon),
        (changed(b"Upgrade: websocket\r\n", b""), ["without (one) Upgrade: websocket"], *soon),
        (changed(b"Upgrade: websocket", b"Upgrade: h2c"), ["without (one) Upgrade: websocket"], *soon),
        (changed(b"Connection: Upgrade\r\n", b""), ["without Connection: Upgrade"], *soon),
        (changed(b"Connection: Upgrade", b"Connection: close"), ["without Connection: Upgrade"], *soon),
        (changed(b"HTTP/1.1", b"HTTP/1.0"), ["HTTP/1.0"], *soon),
        (changed(accept, b"Sec-WebSocket-Protocol: chat\r\n" + accept), ['Sec-WebSocket-Protocol "chat", which was not asked for'], *soon),
        (changed(accept, b"Sec-WebSocket-Extensions: x-made-up\r\n" + accept), ['Sec-WebSocket-Extensions "x-made-up", which was not asked for'], *soon),
    ])


def compression_is_not_offered_and_a_server_that_claims_it_is_refused(directory):
    """RFC 6455 4.1 and 9.1, RFC 7692; Autobahn 12 and 13."""
    requests = []

    def claimed(value):
        def make(client):
            head = client.answer()[:-2] + b"Sec-WebSocket-Extensions: " + value + b"\r\n\r\n"
            requests.append(b"".join(client.request).lower())
            return head + frame(b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=0x40)

        return make

    tries_again(directory, [(claimed(value), [f'Sec-WebSocket-Extensions "{value.decode()}", which was not asked for'], 0.125, 0.25) for value in
                            [b"permessage-deflate", b"permessage-deflate; client_max_window_bits=15", b"x-webkit-deflate-frame"]])
    assert len(requests) == 3 and not any(b"extensions" in request or b"protocol" in request for request in requests), requests


# ---------------------------------------------------------------------------------------------- heads cut, large, endless, and no heads


def crumbs(data):
    return [data[at:at + 1] for at in range(len(data))]


def a_head_may_come_in_any_pieces_behind_interim_answers_and_with_frames_in_its_last_segment(directory):
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"

    def one(number, pieces):
        place = f"{directory}/{number}"
        listener, program = started(directory, number, "--once")
        with listener:
            client = listener.meet()
            for piece in pieces(client.answer()):
                client.send(piece)
                client.taken()
            client.subscribed()
            client.send(frame(b"taken", 9))
            client.until(10, b"taken")
            client.send(frame(b"\x03\xe8", 8))
            assert client.wait_close() == 1000
            client.hang_up()
        program.ends(0)
        report = load(f"{place}/report.json")
        assert report["products"]["BTC-USD"]["snapshots"] == 2 and report["rejected"] == {}, report
        assert logged(place, "text") == [SNAPSHOT] * 2

    two = frame(SNAPSHOT) * 2
    all_at_once(one, [
        lambda head: [head + two],
        lambda head: crumbs(head + two),
        lambda head: [head, two],
        lambda head: [head[:-1], head[-1:] + two],
        lambda head: [head + two[:1], two[1:]],
        lambda head: [interim + head + two],
        lambda head: [*crumbs(interim + head), two],
        lambda head: [head[:-2] + b"X-Pad: " + b"x" * 16000 + b"\r\n\r\n" + two],
    ])


def a_head_larger_than_the_limit_is_refused_as_such_before_it_ends(directory):
    soon = (0.125, 0.25)
    tries_again(directory, [
        (lambda client: client.answer()[:-2] + b"X-Pad: " + b"x" * 16384, ["the head is larger than 16384 bytes"], *soon),
        (lambda client: client.answer()[:-2] + b"X: y\r\n" * 4096, ["the head is larger than 16384 bytes"], *soon),
        (lambda client: b"HTTP/1.1 100 Continue\r\n\r\n" * 700, ["the head is larger than 16384 bytes"], *soon),
        (b"HTTP/1.1 " + b"1" * 16384, ["not HTTP"], *soon),
    ])


def bytes_that_are_no_http_are_refused_in_words_and_tried_again(directory):
    soon = (0.125, 0.25)
    tries_again(directory, [
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", ["does not begin with HTTP/1"], *soon),
        (b"\x15\x03\x01\x00\x02\x02\x28", ["does not begin with HTTP/1"], *soon),
        (frame(SNAPSHOT), ["does not begin with HTTP/1"], *soon),
        (b"\x00" * 100, ["does not begin with HTTP/1"], *soon),
        (b"HTTP/2.0 101 Switching Protocols\r\n\r\n", ["does not begin with HTTP/1"], *soon),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade : websocket\r\n\r\n", ["a blank in a header name"], *soon),
        (changed(b"Upgrade: websocket\r\n", b"Upgrade:\r\n websocket\r\n"), ["a folded header line"], *soon),
        (changed(b"\r\n", b"\n"), ["a bare line feed"], *soon),
        (b"HTTP/1.1 999 What\r\n\r\n", ["the status line must be"], *soon),
    ])


def a_peer_that_hangs_up_before_it_answers_is_tried_again(directory):
    def one(number, data):
        place = f"{directory}/{number}"
        listener, program = started(directory, number)
        with listener:
            client = listener.meet()
            client.head()
            client.send(data)
            client.hang_up()
            serve(listener, program, place)
        assert "not connected: the peer hung up before it answered the upgrade" in program.out["stderr"], program.out["stderr"]
        assert b"".join(logged(place, "http")).startswith(data)

    all_at_once(one, [b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso", b"H"])


def a_head_that_never_ends_is_given_up_after_ten_seconds_however_it_drips(directory):
    def one(number, drip):
        began = time.monotonic()
        listener, program = started(directory, number)
        with listener:
            client = listener.meet()
            head = client.answer()[:-2]
            client.sock.settimeout(0.2)
            try:
                while True:
                    client.send(drip(head))
                    head = b""
                    try:
                        if not client.sock.recv(4096):
                            break
                    except TimeoutError:
                        assert time.monotonic() < began + 30 * SLOW, "holds on to it"
            except (BrokenPipeError, ConnectionResetError):
                pass
            assert 9 < time.monotonic() - began < 20 * SLOW, time.monotonic() - began
            program.wait_for("timed out: waiting for the upgrade; next attempt in")
            client.hang_up()
            serve(listener, program, f"{directory}/{number}")

    all_at_once(one, [lambda head: b"", lambda head: head, lambda head: head or b"X: y\r\n", lambda head: head and head[:1] or b"",
                      lambda head: b"HTTP/1.1 100 Continue\r\n\r\n"], workers=5)


if __name__ == "__main__":
    main(globals())

"""A gRPC client that costs little: the frames of a request are made once, and answers are only counted. What is measured with it is the server.

HTTP/2 as in RFC 9113 and 7541, one connection, a stream for each request: headers are sent as literals once and then by their numbers in the
connection's table; windows are opened so far that no answer waits for the client.
"""
import socket
import struct
import time

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS = 1, 1, 4
WINDOW = 2**31 - 1
POST, HTTP, FIRST_OWN = 0x83, 0x86, 62               # numbers in the static table, as a byte, and of the newest entry in one's own


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class WireClient:
    """Calls of one method, with messages of less than 64 KB all together."""

    def __init__(self, port, method):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fields = {":path": method, ":authority": f"127.0.0.1:{port}", "content-type": "application/grpc", "te": "trailers"}
        self.literals = bytes([POST, HTTP]) + b"".join(b"\x40" + b"".join(bytes([len(word)]) + word.encode() for word in field) for field in fields.items())
        self.numbers = bytes([POST, HTTP]) + bytes(0x80 | (FIRST_OWN + k) for k in reversed(range(len(fields))))
        self.stream, self.window, self.buffer = 1, 65535, b""
        settings = struct.pack(">HI", 4, WINDOW)         # of each stream
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW - 65535)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def request(self, message):
        """The bytes of the next call; self.stream is the one behind it."""
        data = b"\0" + struct.pack(">I", len(message)) + message
        block = self.literals if self.stream == 1 else self.numbers
        made = frame(HEADERS, END_HEADERS, self.stream, block) + frame(DATA, END_STREAM, self.stream, data)
        self.window -= len(data)
        self.stream += 2
        return made

    def receive(self):
        """Streams that ended, of what comes next; frames of the connection are answered."""
        self.buffer += self.socket.recv(1 << 18)
        if not self.buffer:
            raise ConnectionError("the server closed the connection")
        ended, at, buffer = [], 0, self.buffer
        while len(buffer) - at >= 9:
            size = int.from_bytes(buffer[at:at + 3], "big")
            if len(buffer) - at < 9 + size:
                break
            kind, flags, stream = struct.unpack_from(">BBI", buffer, at + 3)
            payload, at = at + 9, at + 9 + size
            if kind in (RST_STREAM, GOAWAY):
                raise ConnectionError(f"the server ended {'a call' if kind == RST_STREAM else 'the connection'}: {buffer[payload:at]!r}")
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                ended.append(stream)
            elif kind == WINDOW_UPDATE and stream == 0:
                self.window += int.from_bytes(buffer[payload:at], "big")
            elif kind in (SETTINGS, PING) and not flags & ACK:
                self.socket.sendall(frame(kind, ACK, 0, buffer[payload:at] if kind == PING else b""))
        self.buffer = buffer[at:]
        return ended

    def load(self, message, callers, seconds, most=100_000):
        """`callers` calls on their way, each followed by another when it is answered: latencies in seconds, and how long it took."""
        latencies, sent = [], {}
        start = now = time.perf_counter()
        calls = b""
        for _ in range(callers):
            sent[self.stream] = now
            calls += self.request(message)
        while calls or sent:
            if calls and self.window >= 0:
                self.socket.sendall(calls)
                calls = b""
            ended = self.receive()
            now = time.perf_counter()
            for stream in ended:
                latencies.append(now - sent.pop(stream))
                if now < start + seconds and len(latencies) < most:
                    sent[self.stream] = now
                    calls += self.request(message)
        return latencies, time.perf_counter() - start

"""Just enough of PostgreSQL's protocol for a client that measures."""
import base64
import hashlib
import hmac
import os
import re
import socket
import struct

STARTUP = b'\0\3\0\0'
READY = b'Z\0\0\0\5I'


def frame(tag, body):
    return tag + struct.pack('!i', len(body) + 4) + body


class Refused(RuntimeError):
    """The other side answered with an error."""


class Connection:
    """A logged-in client. The salted password is computed once for each salt."""
    salted = {}

    def __init__(self, port, user, database, password, timeout=60):
        self.socket = socket.create_connection(('127.0.0.1', port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.password = b'', password
        pairs = ('user', user, 'database', database)
        body = STARTUP + b''.join(x.encode() + b'\0' for x in pairs) + b'\0'
        self.socket.sendall(struct.pack('!i', len(body) + 4) + body)
        self._login()

    def _login(self):
        while True:
            tag, body = self.message()
            if tag == b'Z':
                return
            if tag != b'R':
                continue
            kind = struct.unpack('!i', body[:4])[0]
            if kind == 10:
                self.first = 'n=,r=' + base64.b64encode(os.urandom(18)).decode()
                said = ('n,,' + self.first).encode()
                said = b'SCRAM-SHA-256\0' + struct.pack('!i', len(said)) + said
                self.socket.sendall(frame(b'p', said))
            elif kind == 11:
                self.socket.sendall(frame(b'p', self._proof(body[4:].decode())))
            elif kind not in (0, 12):
                raise Refused(f'login of kind {kind}')

    def _proof(self, challenge):
        fields = dict(x.split('=', 1) for x in challenge.split(','))
        key = (self.password, fields['s'], fields['i'])
        if key not in self.salted:
            salt = base64.b64decode(fields['s'])
            self.salted[key] = hashlib.pbkdf2_hmac(
                'sha256', self.password.encode(), salt, int(fields['i']))
        client_key = hmac.digest(self.salted[key], b'Client Key', 'sha256')
        without = 'c=biws,r=' + fields['r']
        signed = f'{self.first},{challenge},{without}'.encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, 'sha256')
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        return f'{without},p={base64.b64encode(proof).decode()}'.encode()

    def _need(self, count):
        while len(self.buffer) < count:
            received = self.socket.recv(65536)
            if not received:
                raise Refused('closed by the other side')
            self.buffer += received

    def message(self):
        self._need(5)
        end = struct.unpack('!i', self.buffer[1:5])[0] + 1
        self._need(end)
        tag, body, self.buffer = self.buffer[:1], self.buffer[5:end], self.buffer[end:]
        if tag == b'E':
            raise Refused(re.sub(rb'[^ -~]+', b' ', body).decode())
        return tag, body

    def until(self, wanted):
        while self.message()[0] != wanted:
            pass

    def query(self, sql):
        self.socket.sendall(frame(b'Q', sql.encode() + b'\0'))
        self.until(b'Z')

    def drain(self, sql, buffer):
        """Throws the answer away; its length in bytes."""
        self.socket.sendall(frame(b'Q', sql.encode() + b'\0'))
        total, tail = 0, b''
        while True:
            n = self.socket.recv_into(buffer)
            if not n:
                raise Refused('closed by the other side')
            total += n
            tail = (tail + bytes(buffer[max(0, n - 6):n]))[-6:]
            if tail == READY:
                return total

    def copy_in(self, sql, row, total):
        """Sends about `total` bytes of copies of `row`; how many it were."""
        self.socket.sendall(frame(b'Q', sql.encode() + b'\0'))
        self.until(b'G')
        one = frame(b'd', row)
        block = one * max(1, (256 << 10) // len(one))
        for _ in range(max(1, total // len(block))):
            self.socket.sendall(block)
        self.socket.sendall(frame(b'c', b''))
        self.until(b'Z')
        return max(1, total // len(block)) * len(block)

    def close(self):
        self.socket.close()

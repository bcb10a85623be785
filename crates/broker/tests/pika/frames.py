"""What a broker answers to single frames, right ones and wrong ones, sent through a plain socket.

Run by the Rust tests of `pika`, once with our broker and once with RabbitMQ: AMQP_PORT and AMQP_PEER say which. Each case names the
answer of RabbitMQ 3.10, and ours where we choose to differ; a difference that is none any more fails.
"""

import os
import socket
import struct
import sys
import uuid
from concurrent.futures import ThreadPoolExecutor

import pika
from pika import frame, spec

PORT = int(os.environ["AMQP_PORT"])
PEER = os.environ["AMQP_PEER"]
HEADER = b"AMQP\x00\x00\x09\x01"


class Gone(Exception):
    """The other end closed the socket."""


class Wire:
    """A socket with frames in both directions."""

    def __init__(self, open_channels=(1,), capabilities=True, **tune):
        self.socket = socket.create_connection(("127.0.0.1", PORT), timeout=8)
        self.buffer = b""
        if open_channels is not None:
            self.open(open_channels, capabilities, **tune)

    def open(self, channels, capabilities, password="guest", mechanism="PLAIN", vhost="/", channel_max=100, frame_max=8192, heartbeat=0):
        self.raw(HEADER)
        self.method()
        properties = {"capabilities": {"consumer_cancel_notify": True, "authentication_failure_close": True}} if capabilities else {}
        self.send(0, spec.Connection.StartOk(properties, mechanism, f"\0guest\0{password}", "en_US"))
        self.method(spec.Connection.Tune)
        self.send(0, spec.Connection.TuneOk(channel_max, frame_max, heartbeat))
        self.send(0, spec.Connection.Open(vhost))
        self.method(spec.Connection.OpenOk)
        for channel in channels:
            self.send(channel, spec.Channel.Open())
            self.method(spec.Channel.OpenOk)

    def raw(self, data):
        self.socket.sendall(data)

    def send(self, channel, *methods):
        for method in methods:
            self.raw(frame.Method(channel, method).marshal())

    def publish(self, channel, exchange, key, body=b"x", size=None, properties=None, **flags):
        self.send(channel, spec.Basic.Publish(exchange=exchange, routing_key=key, **flags))
        self.raw(frame.Header(channel, len(body) if size is None else size, properties or pika.BasicProperties()).marshal())
        if body:
            self.raw(frame.Body(channel, body).marshal())

    def frame(self):
        while True:
            consumed, got = frame.decode_frame(self.buffer)
            if consumed:
                self.buffer = self.buffer[consumed:]
                if not isinstance(got, frame.Heartbeat):
                    return got
                continue
            try:
                data = self.socket.recv(65536)
            except (ConnectionError, socket.timeout) as error:
                raise Gone("timeout" if isinstance(error, socket.timeout) else "eof") from error
            if not data:
                raise Gone("eof")
            self.buffer += data

    def method(self, wanted=None):
        """The next method; another one than wanted is the end."""
        while True:
            got = self.frame()
            if isinstance(got, frame.ProtocolHeader):
                raise Refusal("protocol-header")
            if not isinstance(got, frame.Method):
                continue
            if wanted is None or isinstance(got.method, wanted):
                return got.method
            raise Refusal(describe(got.method))

    def answer(self):
        """What comes next, in words."""
        return describe(self.method())

    def sync(self, channel=1):
        """The first thing that comes up to the answer of a harmless request."""
        self.send(channel, spec.Basic.Qos(prefetch_count=0))
        return self.answer()


class Refusal(Exception):
    """The other end answered with something else."""


def describe(method):
    if isinstance(method, spec.Connection.Close):
        return f"conn {method.reply_code}"
    if isinstance(method, spec.Channel.Close):
        return f"chan {method.reply_code}"
    if isinstance(method, spec.Basic.Return):
        return f"Basic.Return {method.reply_code}"
    return method.NAME


CASES = {}
DIFFERENT = {}


def case(rabbit, ours=None, **wire):
    """Registers a function that gets an open connection and a fresh name, and returns what it was answered."""

    def register(function):
        name = function.__name__
        assert name not in CASES, name
        CASES[name] = (function, wire, rabbit if PEER == "rabbitmq" or ours is None else ours)
        if ours is not None:
            DIFFERENT[name] = (rabbit, ours)
        return function

    return register


def nested(depth):
    table = b"\0\0\0\0"
    for _ in range(depth):
        inner = b"\x01kF" + table
        table = struct.pack(">I", len(inner)) + inner
    return table


def method_frame(channel, payload, end=b"\xce", kind=1):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + end


# The start.

@case("Connection.Start", "protocol-header", open_channels=None)
def garbage_for_a_header(wire, name):
    wire.raw(b"AMQP\x01\x01\x00\x09")
    return wire.answer()


@case("protocol-header", open_channels=None)
def amqp_1_0(wire, name):
    wire.raw(b"AMQP\x00\x01\x00\x00")
    return wire.answer()


@case("protocol-header", open_channels=None)
def http(wire, name):
    wire.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return wire.answer()


@case("conn 403", open_channels=None)
def wrong_password(wire, name):
    wire.open((), True, password="wrong")


@case("eof", "conn 403", open_channels=None)
def wrong_password_without_the_capability(wire, name):
    wire.open((), False, password="wrong")


@case("eof", "conn 403", open_channels=None)
def unknown_mechanism(wire, name):
    wire.open((), True, mechanism="KERBEROS")


@case("conn 530", open_channels=None)
def unknown_vhost(wire, name):
    wire.open((), True, vhost="nowhere")


@case("eof", "conn 530", open_channels=None)
def frame_max_too_small(wire, name):
    wire.open((), True, frame_max=100)


@case("eof", "conn 530", open_channels=None)
def frame_max_raised(wire, name):
    wire.open((), True, frame_max=1_000_000)


@case("eof", "conn 530", open_channels=None)
def channel_max_raised(wire, name):
    wire.open((), True, channel_max=65000)


@case("eof", "conn 504", open_channels=None)
def open_before_tune_ok(wire, name):
    wire.raw(HEADER)
    wire.method()
    wire.send(0, spec.Connection.StartOk({}, "PLAIN", "\0guest\0guest", "en_US"))
    wire.method(spec.Connection.Tune)
    wire.send(0, spec.Connection.Open("/"))
    return wire.answer()


@case("Connection.UpdateSecretOk")
def update_secret(wire, name):
    wire.raw(method_frame(0, struct.pack(">HHI", 10, 70, 5) + b"guest" + b"\x03why"))
    return wire.answer()


@case("conn 530", open_channels=(1, 2))
def more_channels_than_agreed(wire, name):
    for channel in range(3, 102):
        wire.send(channel, spec.Channel.Open())
    while (answer := wire.answer()) == "Channel.OpenOk":
        pass
    return answer


# Frames out of place.

@case("conn 504")
def channel_opened_twice(wire, name):
    wire.send(1, spec.Channel.Open())
    return wire.answer()


@case("conn 504")
def method_on_a_channel_that_is_not_open(wire, name):
    wire.send(7, spec.Basic.Qos())
    return wire.answer()


@case("conn 504")
def queue_method_on_channel_0(wire, name):
    wire.send(0, spec.Queue.Declare(queue=name))
    return wire.answer()


@case("conn 503")
def connection_method_on_channel_1(wire, name):
    wire.send(1, spec.Connection.Open("/"))
    return wire.answer()


@case("conn 504")
def close_of_a_channel_that_is_not_open(wire, name):
    wire.send(7, spec.Channel.Close(200, "", 0, 0))
    return wire.answer()


@case("conn 501")
def wrong_end_of_a_frame(wire, name):
    wire.raw(method_frame(1, struct.pack(">HH", 60, 10) + b"\0" * 7, end=b"\x00"))
    return wire.answer()


@case("conn 501")
def unknown_frame_type(wire, name):
    wire.raw(method_frame(1, b"", kind=9))
    return wire.answer()


@case("conn 501")
def frame_over_frame_max(wire, name):
    wire.raw(struct.pack(">BHI", 3, 1, 1 << 20) + b"x" * 9000)
    return wire.answer()


@case("eof", "conn 540")
def unknown_class(wire, name):
    wire.raw(method_frame(1, struct.pack(">HH", 999, 10)))
    return wire.answer()


@case("eof", "conn 540")
def unknown_method(wire, name):
    wire.raw(method_frame(1, struct.pack(">HH", 50, 999)))
    return wire.answer()


@case("conn 501")
def truncated_arguments(wire, name):
    wire.raw(method_frame(1, struct.pack(">HH", 50, 10) + b"\0"))
    return wire.answer()


@case("conn 503")
def method_of_a_server(wire, name):
    wire.send(1, spec.Queue.PurgeOk(1))
    return wire.answer()


@case("conn 505")
def heartbeat_on_channel_1(wire, name):
    wire.raw(method_frame(1, b"", kind=8))
    return wire.answer()


@case("conn 505")
def header_without_publish(wire, name):
    wire.raw(frame.Header(1, 1, pika.BasicProperties()).marshal())
    return wire.answer()


@case("conn 505")
def body_without_header(wire, name):
    wire.send(1, spec.Basic.Publish(routing_key=name))
    wire.raw(frame.Body(1, b"x").marshal())
    return wire.answer()


@case("conn 505")
def method_between_publish_and_header(wire, name):
    wire.send(1, spec.Basic.Publish(routing_key=name), spec.Basic.Qos())
    return wire.answer()


@case("conn 505")
def body_longer_than_announced(wire, name):
    wire.publish(1, "", name, b"ab", size=3)
    wire.raw(frame.Body(1, b"cd").marshal())
    return wire.sync()


@case("conn 505")
def header_of_another_class(wire, name):
    wire.send(1, spec.Basic.Publish(routing_key=name))
    wire.raw(method_frame(1, struct.pack(">HHQH", 50, 0, 1, 0), kind=2))
    return wire.answer()


@case("Queue.DeclareOk", "conn 501")
def table_nested_deep(wire, name):
    table = nested(100)
    arguments = struct.pack(">HHH", 50, 10, 0) + bytes([len(name)]) + name.encode() + b"\x04" + table
    wire.raw(method_frame(1, arguments))
    return wire.answer()


# Exchanges.

def refused(rabbit, *methods, ours=None, function_name):
    def send(wire, name):
        for method in methods[:-1]:
            wire.send(1, method(name))
            wire.method()
        wire.send(1, methods[-1](name))
        return wire.answer()

    send.__name__ = function_name
    case(rabbit, ours)(send)


E, Q, B = spec.Exchange, spec.Queue, spec.Basic
for title, rabbit, *methods in [
    ("exchange_passive_missing", "chan 404", lambda n: E.Declare(exchange=n, passive=True)),
    ("exchange_passive_other_type", "Exchange.DeclareOk", lambda n: E.Declare(exchange="amq.topic", type="fanout", passive=True)),
    ("exchange_again", "Exchange.DeclareOk", lambda n: E.Declare(exchange=n, auto_delete=True), lambda n: E.Declare(exchange=n, auto_delete=True)),
    ("exchange_other_type", "chan 406", lambda n: E.Declare(exchange=n, auto_delete=True), lambda n: E.Declare(exchange=n, type="fanout", auto_delete=True)),
    ("exchange_other_durable", "chan 406", lambda n: E.Declare(exchange=n), lambda n: E.Declare(exchange=n, durable=True)),
    ("exchange_reserved", "chan 403", lambda n: E.Declare(exchange=f"amq.{n}")),
    ("exchange_default", "chan 403", lambda n: E.Declare(exchange="")),
    ("exchange_unknown_type", "conn 503", lambda n: E.Declare(exchange=n, type="magic")),
    ("exchange_delete_missing", "Exchange.DeleteOk", lambda n: E.Delete(exchange=n)),
    ("exchange_delete_default", "chan 403", lambda n: E.Delete(exchange="")),
    ("exchange_delete_predeclared", "chan 403", lambda n: E.Delete(exchange="amq.direct")),
    ("exchange_delete_in_use", "chan 406", lambda n: E.Declare(exchange=n), lambda n: Q.Declare(queue=n, exclusive=True),
     lambda n: Q.Bind(queue=n, exchange=n), lambda n: E.Delete(exchange=n, if_unused=True)),
    ("exchange_to_exchange", "Exchange.BindOk", lambda n: E.Declare(exchange=n), lambda n: E.Bind(destination=n, source="amq.topic")),
    ("queue_passive_missing", "chan 404", lambda n: Q.Declare(queue=n, passive=True)),
    ("queue_reserved", "chan 403", lambda n: Q.Declare(queue=f"amq.{n}")),
    ("queue_other_durable", "chan 406", lambda n: Q.Declare(queue=n, auto_delete=True), lambda n: Q.Declare(queue=n, auto_delete=True, durable=True)),
    ("queue_other_arguments", "chan 406", lambda n: Q.Declare(queue=n, exclusive=True), lambda n: Q.Declare(queue=n, exclusive=True, arguments={"x-message-ttl": 5})),
    ("queue_bad_ttl", "chan 406", lambda n: Q.Declare(queue=n, arguments={"x-message-ttl": -1})),
    ("queue_bad_expires", "chan 406", lambda n: Q.Declare(queue=n, arguments={"x-expires": 0})),
    ("queue_unknown_argument", "Queue.DeclareOk", lambda n: Q.Declare(queue=n, exclusive=True, arguments={"x-ours": 1})),
    ("queue_delete_missing", "Queue.DeleteOk", lambda n: Q.Delete(queue=n)),
    ("queue_purge_missing", "chan 404", lambda n: Q.Purge(queue=n)),
    ("queue_bind_missing_queue", "chan 404", lambda n: Q.Bind(queue=n, exchange="amq.topic")),
    ("queue_bind_missing_exchange", "chan 404", lambda n: Q.Declare(queue=n, exclusive=True), lambda n: Q.Bind(queue=n, exchange=n)),
    ("queue_bind_default", "chan 403", lambda n: Q.Declare(queue=n, exclusive=True), lambda n: Q.Bind(queue=n, exchange="")),
    ("queue_unbind_missing_binding", "Queue.UnbindOk", lambda n: Q.Declare(queue=n, exclusive=True), lambda n: Q.Unbind(queue=n, exchange="amq.topic", routing_key="x")),
    ("queue_unbind_missing_queue", "Queue.UnbindOk", lambda n: Q.Unbind(queue=n, exchange="amq.topic", routing_key="x")),
    ("queue_last_declared", "Queue.BindOk", lambda n: Q.Declare(queue=n, exclusive=True), lambda n: Q.Bind(queue="", exchange="amq.topic")),
    ("queue_none_declared", "chan 404", lambda n: Q.Bind(queue="", exchange="amq.topic")),
    ("queue_delete_in_use", "chan 406", lambda n: Q.Declare(queue=n, exclusive=True), lambda n: B.Consume(queue=n), lambda n: Q.Delete(queue=n, if_unused=True)),
    ("consume_missing", "chan 404", lambda n: B.Consume(queue=n)),
    ("consume_same_tag", "conn 530", lambda n: Q.Declare(queue=n, exclusive=True), lambda n: B.Consume(queue=n, consumer_tag="t"), lambda n: B.Consume(queue=n, consumer_tag="t")),
    ("consume_exclusive_when_consumed", "chan 403", lambda n: Q.Declare(queue=n, exclusive=True), lambda n: B.Consume(queue=n), lambda n: B.Consume(queue=n, exclusive=True)),
    ("cancel_unknown", "Basic.CancelOk", lambda n: B.Cancel(consumer_tag=n)),
    ("get_empty", "Basic.GetEmpty", lambda n: Q.Declare(queue=n, exclusive=True), lambda n: B.Get(queue=n)),
    ("get_missing", "chan 404", lambda n: B.Get(queue=n)),
    ("ack_unknown", "chan 406", lambda n: B.Ack(5)),
    ("nack_unknown", "chan 406", lambda n: B.Nack(5)),
    ("reject_unknown", "chan 406", lambda n: B.Reject(5)),
    ("prefetch_size", "conn 540", lambda n: B.Qos(prefetch_size=1)),
    ("recover", "Basic.RecoverOk", lambda n: B.Recover(requeue=True)),
    ("recover_without_requeue", "conn 540", lambda n: B.Recover(requeue=False)),
    ("flow_off", "conn 540", lambda n: spec.Channel.Flow(False)),
    ("flow_on", "Channel.FlowOk", lambda n: spec.Channel.Flow(True)),
    ("confirm_twice", "Confirm.SelectOk", lambda n: spec.Confirm.Select(), lambda n: spec.Confirm.Select()),
]:
    refused(rabbit, *methods, function_name=title)
refused("Tx.SelectOk", lambda n: spec.Tx.Select(), ours="conn 540", function_name="transactions")
refused("Queue.DeclareOk", lambda n: Q.Declare(queue=n, exclusive=True, arguments={"x-max-priority": 5}), ours="chan 406", function_name="queue_of_priorities")


# Messages.

@case("chan 404")
def publish_to_a_missing_exchange(wire, name):
    wire.publish(1, name, "k")
    return wire.sync()


@case("conn 540")
def publish_immediate(wire, name):
    wire.publish(1, "", name, immediate=True)
    return wire.sync()


@case("Basic.QosOk")
def publish_to_nobody(wire, name):
    wire.publish(1, "", name)
    return wire.sync()


@case("Basic.Ack")
def publish_to_nobody_with_confirms(wire, name):
    wire.send(1, spec.Confirm.Select())
    wire.method()
    wire.publish(1, "", name)
    return wire.answer()


@case("Basic.Return 312, Basic.Ack")
def publish_mandatory_to_nobody(wire, name):
    wire.send(1, spec.Confirm.Select())
    wire.method()
    wire.publish(1, "", name, mandatory=True)
    return f"{wire.answer()}, {wire.answer()}"


@case("chan 406")
def publish_as_somebody_else(wire, name):
    wire.publish(1, "", name, properties=pika.BasicProperties(user_id="root"))
    return wire.sync()


@case("chan 406")
def publish_with_a_bad_expiration(wire, name):
    wire.send(1, Q.Declare(queue=name, exclusive=True))
    wire.method()
    wire.publish(1, "", name, properties=pika.BasicProperties(expiration="soon"))
    return wire.sync()


@case("Basic.GetEmpty")
def publish_that_may_not_wait(wire, name):
    wire.send(1, Q.Declare(queue=name, exclusive=True))
    wire.method()
    wire.publish(1, "", name, properties=pika.BasicProperties(expiration="0"))
    wire.send(1, B.Get(queue=name))
    return wire.answer()


@case("chan 403")
def publish_to_an_internal_exchange(wire, name):
    wire.send(1, E.Declare(exchange=name, internal=True, auto_delete=True))
    wire.method()
    wire.publish(1, name, "k")
    return wire.sync()


@case("Basic.GetOk 3")
def body_in_parts(wire, name):
    wire.send(1, Q.Declare(queue=name, exclusive=True))
    wire.method()
    wire.publish(1, "", name, b"a", size=3)
    wire.raw(frame.Body(1, b"bc").marshal())
    wire.send(1, B.Get(queue=name))
    answer = wire.answer()
    return f"{answer} {wire.frame().body_size}"


@case("Basic.GetOk 0")
def empty_body(wire, name):
    wire.send(1, Q.Declare(queue=name, exclusive=True))
    wire.method()
    wire.publish(1, "", name, b"")
    wire.send(1, B.Get(queue=name))
    answer = wire.answer()
    return f"{answer} {wire.frame().body_size}"


@case("2", open_channels=(1, 2))
def contents_of_two_channels_mixed(wire, name):
    wire.send(1, Q.Declare(queue=name, exclusive=True))
    wire.method()
    for channel in (1, 2):
        wire.send(channel, B.Publish(routing_key=name))
    for channel in (1, 2):
        wire.raw(frame.Header(channel, 1, pika.BasicProperties()).marshal())
    for channel in (1, 2):
        wire.raw(frame.Body(channel, b"x").marshal())
    wire.sync(2)
    wire.send(1, Q.Declare(queue=name, passive=True))
    return str(wire.method().message_count)


@case("chan 406")
def acknowledged_twice(wire, name):
    wire.send(1, Q.Declare(queue=name, exclusive=True))
    wire.method()
    wire.publish(1, "", name)
    wire.send(1, B.Get(queue=name))
    wire.method()
    wire.send(1, B.Ack(1), B.Ack(1))
    return wire.answer()


@case("chan 406", open_channels=(1, 2))
def acknowledged_on_another_channel(wire, name):
    wire.send(1, Q.Declare(queue=name, exclusive=True))
    wire.method()
    wire.publish(1, "", name)
    wire.send(1, B.Get(queue=name))
    wire.method()
    wire.send(2, B.Ack(1))
    return wire.answer()


@case("Queue.DeleteOk, Basic.Cancel")
def told_that_the_queue_is_gone(wire, name):
    wire.send(1, Q.Declare(queue=name, exclusive=True))
    wire.method()
    wire.send(1, B.Consume(queue=name))
    wire.method()
    wire.send(1, Q.Delete(queue=name))
    return f"{wire.answer()}, {wire.answer()}"


@case("Queue.DeleteOk", capabilities=False)
def not_told_that_the_queue_is_gone(wire, name):
    wire.send(1, Q.Declare(queue=name, exclusive=True))
    wire.method()
    wire.send(1, B.Consume(queue=name))
    wire.method()
    wire.send(1, Q.Delete(queue=name))
    return wire.answer()


@case("chan 405")
def queue_of_another_connection(wire, name):
    other = Wire()
    other.send(1, Q.Declare(queue=name, exclusive=True))
    other.method()
    wire.send(1, B.Consume(queue=name))
    answer = wire.answer()
    other.socket.close()
    return answer


@case("eof", heartbeat=1)
def silence(wire, name):
    return wire.answer()


def run(name):
    function, options, expected = CASES[name]
    try:
        wire = Wire(**options)
        try:
            answer = function(wire, f"frames-{uuid.uuid4().hex}")
        finally:
            wire.socket.close()
    except (Refusal, Gone) as error:
        answer = str(error)
    return None if answer == expected else f"{name}: {answer}, not {expected}"


# pika knows no connection.update-secret.
decode = frame.decode_frame


def decode_with_update_secret(data):
    if data[7:11] == struct.pack(">HH", 10, 71):
        return 12, frame.Method(0, type("UpdateSecretOk", (), {"NAME": "Connection.UpdateSecretOk"})())
    return decode(data)


frame.decode_frame = decode_with_update_secret

if __name__ == "__main__":
    # Side by side: some of them wait.
    with ThreadPoolExecutor(16) as pool:
        wrong = [problem for problem in pool.map(run, CASES) if problem]
    for name, (rabbit, ours) in DIFFERENT.items():
        if rabbit == ours:
            wrong.append(f"{name}: is no difference")
    print(f"{len(CASES)} cases, {len(DIFFERENT)} with an answer of our own")
    if wrong:
        sys.exit("\n".join(wrong))

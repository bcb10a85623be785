"""What ordinary Python programs expect of an AMQP broker, with plain pika.

Run by the Rust tests of `pika`, once with our broker and once with RabbitMQ: AMQP_PORT and AMQP_PEER say which. Both have the vhost
`other`, which guest may enter.
"""

import os
import unittest
import uuid

import pika
from pika import exceptions


PEER = os.environ["AMQP_PEER"]


def connect(**extra):
    parameters = pika.ConnectionParameters(
        host="127.0.0.1",
        port=int(os.environ["AMQP_PORT"]),
        credentials=extra.pop("credentials", pika.PlainCredentials("guest", "guest")),
        socket_timeout=10,
        **extra,
    )
    return pika.BlockingConnection(parameters)


class Case(unittest.TestCase):
    def setUp(self):
        self.connection = connect()
        self.addCleanup(lambda: self.connection.is_open and self.connection.close())
        self.channel = self.connection.channel()
        self.name = f"pika-{uuid.uuid4().hex}"

    def assert_channel_closed(self, code, call):
        with self.assertRaises(exceptions.ChannelClosedByBroker) as caught:
            call(self.connection.channel())
        self.assertEqual(caught.exception.reply_code, code)

    def durable_queue(self, *bodies):
        self.channel.queue_declare(self.name, durable=True)
        self.channel.confirm_delivery()
        for body in bodies:
            self.channel.basic_publish("", self.name, body, pika.BasicProperties(delivery_mode=2), mandatory=True)


class Connections(Case):
    def test_what_the_server_offers(self):
        self.assertTrue(self.connection.basic_nack_supported)
        self.assertTrue(self.connection.consumer_cancel_notify_supported)
        self.assertTrue(self.connection.exchange_exchange_bindings_supported)
        self.assertTrue(self.connection.publisher_confirms_supported)

    def test_wrong_password(self):
        with self.assertRaises(exceptions.ProbableAuthenticationError):
            connect(credentials=pika.PlainCredentials("guest", "wrong"))

    def test_unknown_vhost(self):
        with self.assertRaises(exceptions.ProbableAccessDeniedError):
            connect(virtual_host="nowhere")

    def test_heartbeats_keep_a_quiet_connection(self):
        connection = connect(heartbeat=1)
        connection.process_data_events(time_limit=3)
        connection.channel().close()
        connection.close()

    @unittest.skipIf(PEER == "rabbitmq", "RabbitMQ has transactions")
    def test_transactions_are_refused(self):
        with self.assertRaises(exceptions.ConnectionClosedByBroker) as caught:
            self.channel.tx_select()
        self.assertEqual(caught.exception.reply_code, 540)


class Publishing(Case):
    def test_properties_come_back_as_they_went(self):
        headers = {
            "text": "ä",
            "bytes": b"\x00\xff",
            "number": 2**40,
            "small": -1,
            "yes": True,
            "none": None,
            "list": [1, "two", {"three": 3}],
            "nested": {"a": {"b": "c"}},
        }
        properties = pika.BasicProperties(
            content_type="application/json",
            content_encoding="utf-8",
            headers=headers,
            delivery_mode=2,
            priority=3,
            correlation_id="c",
            reply_to="r",
            expiration="60000",
            message_id="m",
            timestamp=1_700_000_000,
            type="t",
            user_id="guest",
            app_id="a",
            cluster_id="k",
        )
        self.channel.queue_declare(self.name)
        self.channel.basic_publish("", self.name, b"body", properties)
        method, got, body = self.channel.basic_get(self.name, auto_ack=True)
        self.assertEqual(body, b"body")
        self.assertEqual(got, properties)
        self.assertFalse(method.redelivered)

    def test_unroutable_mandatory_is_returned(self):
        self.channel.confirm_delivery()
        with self.assertRaises(exceptions.UnroutableError) as caught:
            self.channel.basic_publish("amq.direct", "nowhere", b"x", mandatory=True)
        self.assertEqual(caught.exception.messages[0].method.reply_code, 312)
        self.assertEqual(caught.exception.messages[0].body, b"x")

    def test_missing_exchange_closes_the_channel(self):
        def publish(channel):
            channel.confirm_delivery()
            channel.basic_publish("nowhere", "k", b"x")

        self.assert_channel_closed(404, publish)

    def test_wrong_user_id(self):
        def publish(channel):
            channel.confirm_delivery()
            channel.basic_publish("", "k", b"x", pika.BasicProperties(user_id="other"))

        self.assert_channel_closed(406, publish)

    def test_bad_expiration(self):
        def publish(channel):
            channel.confirm_delivery()
            channel.basic_publish("", "k", b"x", pika.BasicProperties(expiration="soon"))

        self.assert_channel_closed(406, publish)

    def test_large_body(self):
        body = os.urandom(3_000_000)
        self.durable_queue(body)
        self.assertEqual(self.channel.basic_get(self.name, auto_ack=True)[2], body)


class Consuming(Case):
    def test_consume_acknowledge_cancel(self):
        self.durable_queue(*[str(number).encode() for number in range(50)])
        self.channel.basic_qos(prefetch_count=5)
        got = []
        for method, _, body in self.channel.consume(self.name, inactivity_timeout=10):
            got.append(int(body))
            self.channel.basic_ack(method.delivery_tag)
            if len(got) == 50:
                break
        self.assertEqual(got, list(range(50)))
        self.assertEqual(self.channel.cancel(), 0)
        self.assertEqual(self.channel.queue_declare(self.name, passive=True).method.message_count, 0)

    def test_requeue_keeps_place_and_sets_redelivered(self):
        self.durable_queue(b"0", b"1")
        method, _, body = self.channel.basic_get(self.name)
        self.channel.basic_reject(method.delivery_tag, requeue=True)
        method, _, body = self.channel.basic_get(self.name)
        self.assertEqual((body, method.redelivered, method.message_count), (b"0", True, 1))

    def test_unknown_and_repeated_tags(self):
        self.durable_queue(b"0")

        def ack(channel):
            channel.basic_ack(99)
            channel.queue_declare(self.name, passive=True)

        self.assert_channel_closed(406, ack)

        def ack_twice(channel):
            method, _, _ = channel.basic_get(self.name)
            channel.basic_ack(method.delivery_tag)
            channel.basic_ack(method.delivery_tag)
            channel.queue_declare(self.name, passive=True)

        self.assert_channel_closed(406, ack_twice)

    def test_exclusive_consumer(self):
        self.durable_queue()
        self.channel.basic_consume(self.name, lambda *_: None, exclusive=True)
        self.assert_channel_closed(403, lambda channel: channel.basic_consume(self.name, lambda *_: None))

    def test_consumer_hears_of_the_end_of_its_queue(self):
        self.durable_queue()
        cancelled = []
        self.channel.add_on_cancel_callback(cancelled.append)
        tag = self.channel.basic_consume(self.name, lambda *_: None)
        self.assertTrue(tag)
        self.connection.channel().queue_delete(self.name)
        self.connection.process_data_events(time_limit=1)
        self.assertEqual([frame.method.consumer_tag for frame in cancelled], [tag])

    def test_recover(self):
        self.durable_queue(b"0")
        self.channel.basic_get(self.name)
        self.channel.basic_recover(requeue=True)
        self.assertTrue(self.channel.basic_get(self.name)[0].redelivered)


class Topology(Case):
    def test_topic_wildcards(self):
        for pattern, expected in [("a.*", "01000"), ("a.#", "11100"), ("#", "11111"), ("*.b.*", "00100"), ("#.c", "00110")]:
            queue = self.channel.queue_declare("", exclusive=True).method.queue
            self.channel.queue_bind(queue, "amq.topic", pattern)
            for key in ["a", "a.b", "a.b.c", "x.y.c", ""]:
                self.channel.basic_publish("amq.topic", key, key.encode())
            got = []
            while (message := self.channel.basic_get(queue, auto_ack=True))[0]:
                got.append(message[2].decode())
            all_keys = ["a", "a.b", "a.b.c", "x.y.c", ""]
            self.assertEqual("".join("1" if key in got else "0" for key in all_keys), expected, pattern)
            self.channel.queue_delete(queue)

    def test_headers(self):
        queue = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.queue_bind(queue, "amq.headers", "", {"x-match": "any", "a": 1, "b": "two"})
        for headers, routed in [({"a": 1}, True), ({"b": "two", "c": 0}, True), ({"a": 2}, False), ({}, False)]:
            self.channel.basic_publish("amq.headers", "", b"x", pika.BasicProperties(headers=headers))
            self.assertEqual(self.channel.basic_get(queue, auto_ack=True)[0] is not None, routed, headers)

    def test_declarations_must_agree(self):
        self.channel.queue_declare(self.name, durable=True)
        self.channel.exchange_declare(self.name, "topic", durable=True)
        self.channel.exchange_declare(self.name, "topic", durable=True)
        self.assert_channel_closed(406, lambda channel: channel.queue_declare(self.name, durable=False))
        self.assert_channel_closed(
            406, lambda channel: channel.queue_declare(self.name, durable=True, arguments={"x-message-ttl": 5})
        )
        self.assert_channel_closed(406, lambda channel: channel.exchange_declare(self.name, "direct", durable=True))
        self.assert_channel_closed(404, lambda channel: channel.queue_declare("missing", passive=True))
        self.assert_channel_closed(403, lambda channel: channel.exchange_declare("amq.mine", "direct"))
        self.assert_channel_closed(404, lambda channel: channel.queue_bind(self.name, "missing", "k"))
        self.assert_channel_closed(
            406, lambda channel: channel.queue_declare("ttl", arguments={"x-message-ttl": "soon"})
        )
        for argument in [{"x-max-length": -1}, {"x-overflow": "drop-tail"}, {"x-dead-letter-routing-key": "k"}]:
            self.assert_channel_closed(406, lambda channel: channel.queue_declare("bad", arguments=argument))
        self.channel.queue_declare(f"{self.name}-2", auto_delete=True, arguments={"x-max-length": 5})
        self.assert_channel_closed(
            406, lambda channel: channel.queue_declare(f"{self.name}-2", auto_delete=True, arguments={"x-max-length": 6})
        )
        self.channel.queue_declare("unknown", auto_delete=True, arguments={"x-of-our-own": 5})

    def test_exclusive_queue(self):
        self.channel.queue_declare(self.name, exclusive=True)
        other = connect()
        with self.assertRaises(exceptions.ChannelClosedByBroker) as caught:
            other.channel().queue_declare(self.name, passive=True)
        self.assertEqual(caught.exception.reply_code, 405)
        self.connection.close()
        with self.assertRaises(exceptions.ChannelClosedByBroker) as caught:
            other.channel().queue_declare(self.name, passive=True)
        self.assertEqual(caught.exception.reply_code, 404)
        other.close()

    def test_purge_and_delete(self):
        self.durable_queue(b"0", b"1")
        self.assert_channel_closed(406, lambda channel: channel.queue_delete(self.name, if_empty=True))
        self.assertEqual(self.channel.queue_purge(self.name).method.message_count, 2)
        self.channel.queue_delete(self.name, if_empty=True)
        self.assertEqual(self.channel.queue_delete(self.name).method.message_count, 0)

    def test_auto_delete_exchange(self):
        self.channel.exchange_declare(self.name, "fanout", auto_delete=True)
        queue = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.queue_bind(queue, self.name)
        self.channel.queue_unbind(queue, self.name)
        self.assert_channel_closed(404, lambda channel: channel.exchange_declare(self.name, passive=True))


class Bounds(Case):
    """Queues with less room than messages, and where those go that find none."""

    def drain(self, queue):
        got = []
        while (message := self.channel.basic_get(queue, auto_ack=True))[0]:
            got.append(message)
        return got

    def eventually(self, queue, count):
        for _ in range(400):
            if self.channel.queue_declare(queue, passive=True).method.message_count >= count:
                return self.drain(queue)
            self.connection.sleep(0.02)
        self.fail(f"{queue} has no {count} messages")

    def dead_letters(self, **arguments):
        """A queue, and one for its dead letters behind an exchange."""
        self.dead = f"{self.name}-dead"
        self.channel.exchange_declare(self.dead, "direct", auto_delete=True)
        self.channel.queue_declare(self.dead, durable=True)
        self.channel.queue_bind(self.dead, self.dead, "buried")
        names = {"x-dead-letter-exchange": self.dead, "x-dead-letter-routing-key": "buried"}
        self.channel.queue_declare(self.name, durable=True, arguments=names | arguments)
        self.channel.confirm_delivery()

    def send(self, body, **properties):
        self.channel.basic_publish("", self.name, body, pika.BasicProperties(delivery_mode=2, **properties))

    def test_rejected_messages_are_dead_lettered(self):
        self.dead_letters()
        self.send(b"bad", headers={"mine": 1}, content_type="text/plain", priority=7, expiration="3600000")
        tag = self.channel.basic_get(self.name)[0].delivery_tag
        self.channel.basic_reject(tag, requeue=False)
        [(got, properties, body)] = self.eventually(self.dead, 1)
        self.assertEqual((got.exchange, got.routing_key, body), (self.dead, "buried", b"bad"))
        self.assertEqual((properties.content_type, properties.priority, properties.expiration), ("text/plain", 7, None))
        [death] = properties.headers["x-death"]
        self.assertEqual(
            {key: death[key] for key in ["count", "reason", "queue", "exchange", "routing-keys", "original-expiration"]},
            {"count": 1, "reason": "rejected", "queue": self.name, "exchange": "", "routing-keys": [self.name],
             "original-expiration": "3600000"},
        )
        self.assertIn("time", death)
        self.assertEqual(properties.headers["mine"], 1)
        self.assertEqual(
            [properties.headers[f"x-first-death-{what}"] for what in ["reason", "queue", "exchange"]],
            ["rejected", self.name, ""],
        )

    def test_deaths_are_counted(self):
        self.dead_letters()
        self.channel.queue_bind(self.name, self.dead, "again")
        self.send(b"x")
        for count in [1, 2, 3]:
            tag = self.channel.basic_get(self.name)[0].delivery_tag
            self.channel.basic_nack(tag, requeue=False)
            [(_, properties, body)] = self.eventually(self.dead, 1)
            self.assertEqual([(death["reason"], death["count"]) for death in properties.headers["x-death"]], [("rejected", count)])
            self.channel.basic_publish(self.dead, "again", body, properties)

    def test_expired_messages_are_dead_lettered(self):
        self.dead_letters(**{"x-message-ttl": 30})
        self.send(b"late")
        [(_, properties, body)] = self.eventually(self.dead, 1)
        self.assertEqual((properties.headers["x-death"][0]["reason"], body), ("expired", b"late"))

    def test_what_expires_in_a_circle_is_dropped(self):
        self.channel.queue_declare(
            self.name, durable=True,
            arguments={"x-message-ttl": 20, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": self.name},
        )
        self.channel.confirm_delivery()
        self.send(b"x")
        for _ in range(400):
            if self.channel.queue_declare(self.name, passive=True).method.message_count == 0:
                break
            self.connection.sleep(0.02)
        self.connection.sleep(0.1)
        self.assertEqual(self.drain(self.name), [])

    def test_the_oldest_goes_when_a_queue_is_full(self):
        self.dead_letters(**{"x-max-length": 2})
        for body in [b"0", b"1", b"2", b"3"]:
            self.send(body)
        dead = self.eventually(self.dead, 2)
        self.assertEqual([body for _, _, body in dead], [b"0", b"1"])
        self.assertEqual(dead[0][1].headers["x-death"][0]["reason"], "maxlen")
        self.assertEqual([body for _, _, body in self.drain(self.name)], [b"2", b"3"])

    def test_bytes_are_counted(self):
        self.channel.queue_declare(self.name, durable=True, arguments={"x-max-length-bytes": 10})
        self.channel.confirm_delivery()
        for body in [b"aaaa", b"bbbb", b"cccc"]:
            self.send(body)
        self.assertEqual([body for _, _, body in self.drain(self.name)], [b"bbbb", b"cccc"])

    def test_a_full_queue_refuses(self):
        for overflow in ["reject-publish", "reject-publish-dlx"]:
            self.name = f"{self.name}-{overflow}"
            self.dead_letters(**{"x-max-length": 1, "x-overflow": overflow})
            self.send(b"0")
            with self.assertRaises(exceptions.NackError):
                self.send(b"1")
            self.assertEqual([body for _, _, body in self.drain(self.name)], [b"0"])
            if overflow == "reject-publish-dlx":
                self.assertEqual([body for _, _, body in self.eventually(self.dead, 1)], [b"1"])
            else:
                self.assertEqual(self.drain(self.dead), [])
            self.send(b"2")
            self.channel = self.connection.channel()

    def test_alternate_exchange(self):
        other = f"{self.name}-other"
        self.channel.exchange_declare(other, "fanout", auto_delete=True)
        queue = self.channel.queue_declare("", exclusive=True).method.queue
        self.channel.queue_bind(queue, other)
        self.channel.exchange_declare(self.name, "direct", arguments={"alternate-exchange": other})
        self.channel.confirm_delivery()
        self.channel.basic_publish(self.name, "nobody", b"lost and found", mandatory=True)
        self.assertEqual(self.channel.basic_get(queue, auto_ack=True)[2], b"lost and found")
        self.assert_channel_closed(406, lambda channel: channel.exchange_declare(self.name, "direct"))
        self.channel.exchange_delete(self.name)

    def test_quorum_queues_can_be_declared(self):
        quorum = {"x-queue-type": "quorum"}
        self.channel.queue_declare(self.name, durable=True, arguments=quorum)
        self.channel.confirm_delivery()
        self.send(b"x")
        self.assertEqual([body for _, _, body in self.eventually(self.name, 1)], [b"x"])
        self.assert_channel_closed(406, lambda channel: channel.queue_declare(self.name, durable=True))
        self.assert_channel_closed(406, lambda channel: channel.queue_declare("no", arguments=quorum))
        self.assert_channel_closed(
            406, lambda channel: channel.queue_declare("no", durable=True, arguments={"x-queue-type": "heap"})
        )
        self.channel.queue_delete(self.name)


class Turns(Case):
    """Which consumer gets a message."""

    def collect(self, *arguments):
        """Consumers of one queue with these arguments; what each got."""
        got = [[] for _ in arguments]
        for place, extra in enumerate(arguments):
            def take(channel, method, _properties, body, place=place):
                got[place].append(body)
                channel.basic_ack(method.delivery_tag)

            self.channel.basic_consume(self.name, take, arguments=extra, consumer_tag=f"c{place}")
        return got

    def publish(self, count):
        for number in range(count):
            self.channel.basic_publish("", self.name, str(number).encode())

    def wait(self, got, count):
        for _ in range(400):
            if sum(map(len, got)) >= count:
                return
            self.connection.process_data_events(0.02)
        self.fail(f"{got}")

    def test_higher_priorities_come_first(self):
        self.channel.queue_declare(self.name, auto_delete=True)
        got = self.collect({"x-priority": 1}, {"x-priority": 10}, None)
        self.publish(5)
        self.wait(got, 5)
        self.assertEqual([len(one) for one in got], [0, 5, 0])

    def test_turns_are_taken(self):
        self.channel.queue_declare(self.name, auto_delete=True)
        got = self.collect(None, None)
        self.publish(6)
        self.wait(got, 6)
        self.assertEqual([len(one) for one in got], [3, 3])

    def test_a_single_consumer_is_active(self):
        self.channel.queue_declare(self.name, auto_delete=True, arguments={"x-single-active-consumer": True})
        got = self.collect(None, None)
        self.publish(3)
        self.wait(got, 3)
        self.assertEqual([len(one) for one in got], [3, 0])
        self.channel.basic_cancel("c0")
        self.publish(2)
        self.wait(got, 5)
        self.assertEqual([len(one) for one in got], [3, 2])


class Vhosts(Case):
    def test_names_are_their_own(self):
        other = connect(virtual_host="other")
        channel = other.channel()
        channel.queue_declare(self.name)
        with self.assertRaises(exceptions.ChannelClosedByBroker) as caught:
            self.channel.queue_declare(self.name, passive=True)
        self.assertIn("in vhost '/'", caught.exception.reply_text)
        with self.assertRaises(exceptions.ChannelClosedByBroker) as caught:
            other.channel().queue_declare("missing", passive=True)
        self.assertIn("in vhost 'other'", caught.exception.reply_text)
        channel.basic_publish("", self.name, b"x")
        self.assertEqual(channel.basic_get(self.name, auto_ack=True)[2], b"x")
        channel.queue_delete(self.name)
        other.close()



if __name__ == "__main__":
    unittest.main()

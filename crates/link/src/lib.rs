//! Node side of messaging: outbox, AMQP session, HTTPS session, reconnection

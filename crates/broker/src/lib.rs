//! An embedded AMQP 0-9-1 listener with durable queues

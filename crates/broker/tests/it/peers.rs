//! RabbitMQ, seen through `lapin` by the same eyes as our broker: what the cases demand is what clients are written against.

use testkit::RabbitMq;

use crate::clients::{prefetches, puts_back, refuses, routes};
use crate::support::Peer;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_does_the_same() {
    let rabbit = RabbitMq::start();
    // A vhost for each case: all of them use the same names.
    let vhost = |name: &str| {
        rabbit.manage("PUT", &format!("/api/vhosts/{name}"), "{}");
        let all = r#"{"configure": ".*", "write": ".*", "read": ".*"}"#;
        rabbit.manage("PUT", &format!("/api/permissions/{name}/guest"), all);
        Peer {
            uri: rabbit.url().replace("%2f", name),
            is_rabbitmq: true,
        }
    };
    routes(&vhost("routes")).await;
    puts_back(&vhost("puts_back")).await;
    prefetches(&vhost("prefetches")).await;
    refuses(&vhost("refuses")).await;
}

//! `jetpack shutdown`, form by form.

use serde_json::json;

use crate::home::{Home, NOT_RUNNING};

#[test]
fn each_form_asks_for_what_it_says() {
    let home = Home::initialized();
    for (options, data, said) in [
        (
            &[][..],
            json!({"reason": "requested on the node"}),
            "shut down this node: requested on the node",
        ),
        (
            &["--idle"],
            json!({"reason": "the node is idle", "cause": "idle"}),
            "shut down this node: the node is idle",
        ),
        (
            &["--unhealthy"],
            json!({"reason": "the node is unhealthy", "cause": "unhealthy"}),
            "shut down this node: the node is unhealthy",
        ),
        (
            &["--deallocate"],
            json!({"reason": "requested on the node", "policy": "deallocate"}),
            "deallocate this node: requested on the node",
        ),
        (
            &["--terminate", "--idle"],
            json!({"reason": "the node is idle", "cause": "idle", "policy": "terminate"}),
            "terminate this node: the node is idle",
        ),
        (
            &["--unhealthy", "--message", " GPU 3 is gone\n"],
            json!({"reason": "GPU 3 is gone", "cause": "unhealthy"}),
            "shut down this node: GPU 3 is gone",
        ),
        (
            &["-m", "", "--deallocate", "--idle"],
            json!({"reason": "the node is idle", "cause": "idle", "policy": "deallocate"}),
            "deallocate this node: the node is idle",
        ),
    ] {
        let mut data = data;
        data["confirmed"] = json!(false);
        let run = home.keeps(&[&["shutdown"], options].concat(), "shutdown", &data);
        assert_eq!(run.stderr, format!("{NOT_RUNNING}asked the server to {said}\n"));
    }
}

#[test]
fn what_contradicts_itself_is_refused() {
    let home = Home::initialized();
    home.misused(
        &["shutdown", "--idle", "--unhealthy"],
        "Error: the argument '--idle' cannot be used with '--unhealthy'",
    );
    home.misused(
        &["shutdown", "--deallocate", "--terminate"],
        "Error: the argument '--deallocate' cannot be used with '--terminate'",
    );
    home.misused(&["shutdown", "now"], "Error: unexpected argument 'now' found");
}

//! Bindings of headers exchanges.

use amq_protocol::types::{AMQPValue, FieldTable};

use crate::failure::{Code, Failure};

/// What a binding of a headers exchange asks of a message's headers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    any: bool,
    /// Name and value; a void value asks only that the header is there.
    headers: Vec<(String, AMQPValue)>,
}

impl Wanted {
    /// # Errors
    /// An `x-match` that is unknown.
    pub(super) fn parse(arguments: &FieldTable) -> Result<Self, Failure> {
        let mode = match arguments.inner().get("x-match") {
            None => "all",
            Some(AMQPValue::LongString(text)) => std::str::from_utf8(text.as_bytes()).unwrap_or_default(),
            Some(_) => "",
        };
        let (any, with_x) = match mode {
            "all" => (false, false),
            "any" => (true, false),
            "all-with-x" => (false, true),
            "any-with-x" => (true, true),
            _ => {
                return Err(Failure::channel(
                    Code::PreconditionFailed,
                    "invalid x-match: it is one of all, any, all-with-x, any-with-x",
                ));
            }
        };
        let headers = arguments
            .into_iter()
            .filter(|(name, _)| name.as_str() != "x-match" && (with_x || !name.as_str().starts_with("x-")))
            .map(|(name, value)| (name.to_string(), value.clone()))
            .collect();
        Ok(Self { any, headers })
    }

    pub(super) fn matches(&self, headers: &FieldTable) -> bool {
        let mut each = self.headers.iter().map(|(name, wanted)| {
            headers
                .inner()
                .get(name.as_str())
                .is_some_and(|value| matches!(wanted, AMQPValue::Void) || same(wanted, value))
        });
        if self.any {
            each.any(|found| found)
        } else {
            each.all(|found| found)
        }
    }
}

/// Equal, numbers of different width included.
fn same(one: &AMQPValue, other: &AMQPValue) -> bool {
    match (integer(one), integer(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// The value of any integer type.
pub(super) fn integer(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(number) => Some(number.into()),
        AMQPValue::ShortShortUInt(number) => Some(number.into()),
        AMQPValue::ShortInt(number) => Some(number.into()),
        AMQPValue::ShortUInt(number) => Some(number.into()),
        AMQPValue::LongInt(number) => Some(number.into()),
        AMQPValue::LongUInt(number) => Some(number.into()),
        AMQPValue::LongLongInt(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    fn text(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[test]
    fn all_and_any() {
        let message = table(&[("a", AMQPValue::LongInt(1)), ("b", text("two"))]);
        let case = |mode: &str, extra: &[(&str, AMQPValue)]| {
            let mut wanted = table(extra);
            wanted.insert("x-match".into(), text(mode));
            Wanted::parse(&wanted).unwrap().matches(&message)
        };
        let one = ("a", AMQPValue::LongLongInt(1));
        let present = ("b", AMQPValue::Void);
        let wrong = ("b", text("three"));
        assert!(case("all", &[one.clone(), present.clone()]));
        assert!(!case("all", &[one.clone(), wrong.clone()]));
        assert!(case("any", &[one.clone(), wrong.clone()]));
        assert!(!case("any", std::slice::from_ref(&wrong)));
        assert!(case("all", &[("x-other", text("ignored"))]));
        assert!(!case("all-with-x", &[("x-other", text("not ignored"))]));
        assert!(Wanted::parse(&table(&[("x-match", text("some"))])).is_err());
    }
}

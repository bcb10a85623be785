//! The functions by name, those that look at types and numbers among them.

use serde_json::Value;

use super::super::error::Position;
use super::super::suggest::closest;
use super::Fault;
use super::evaluate::{Meter, Scene};
use super::operators::{self, Numeric, shown};
use super::regular;
use super::texts;
use super::tree::Node;

/// A function.
#[derive(Debug)]
pub(super) struct Function {
    /// Its name as it is usually written; any case of letters will do.
    pub(super) name: &'static str,
    least: usize,
    most: usize,
    pub(super) body: Body,
}

type Plain = fn(&Arguments<'_>) -> Result<Value, Fault>;
type Lazy = fn(&Scene<'_>, &[Node], Position) -> Result<Value, Fault>;

/// What a function makes of undefined and of errors.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    /// It is undefined when an argument is.
    Plain(Plain),
    /// It looks at arguments that are undefined.
    Seeing(Plain),
    /// It decides which arguments are evaluated, and looks at errors.
    Lazy(Lazy),
}

/// The values that a function is called with.
pub(super) struct Arguments<'a> {
    pub(super) name: &'static str,
    pub(super) values: &'a [Value],
    pub(super) position: Position,
    pub(super) meter: &'a Meter,
}

const ANY: usize = usize::MAX;

const fn plain(name: &'static str, least: usize, most: usize, body: Plain) -> Function {
    Function {
        name,
        least,
        most,
        body: Body::Plain(body),
    }
}

const fn seeing(name: &'static str, least: usize, most: usize, body: Plain) -> Function {
    Function {
        name,
        least,
        most,
        body: Body::Seeing(body),
    }
}

const fn lazy(name: &'static str, count: usize, body: Lazy) -> Function {
    Function {
        name,
        least: count,
        most: count,
        body: Body::Lazy(body),
    }
}

/// In the order of the alphabet.
static FUNCTIONS: &[Function] = &[
    plain("abs", 1, 1, abs),
    plain("avg", 1, 1, average),
    seeing("bool", 1, 1, to_bool),
    plain("ceiling", 1, 1, ceiling),
    plain("endsWith", 2, 2, texts::ends_with),
    plain("floor", 1, 1, floor),
    plain("identicalMember", 2, 2, identical_member),
    lazy("ifThenElse", 3, if_then_else),
    lazy("ifUndefined", 2, if_undefined),
    plain("int", 1, 1, to_int),
    lazy("isBoolean", 1, |s, a, _| is(s, a, Value::is_boolean)),
    lazy("isClassAd", 1, |s, a, _| is(s, a, Value::is_object)),
    lazy("isError", 1, |s, a, _| {
        Ok(Value::Bool(a.iter().any(|a| s.evaluate(a).is_err())))
    }),
    lazy("isInteger", 1, |s, a, _| is(s, a, Value::is_i64)),
    lazy("isList", 1, |s, a, _| is(s, a, Value::is_array)),
    lazy("isReal", 1, |s, a, _| is(s, a, |v| v.is_number() && !v.is_i64())),
    lazy("isString", 1, |s, a, _| is(s, a, Value::is_string)),
    lazy("isUndefined", 1, |s, a, _| is(s, a, Value::is_null)),
    seeing("join", 1, ANY, texts::join),
    plain("max", 1, ANY, |a| extreme(a, std::cmp::Ordering::is_gt)),
    plain("member", 2, 2, member),
    plain("min", 1, ANY, |a| extreme(a, std::cmp::Ordering::is_lt)),
    plain("pow", 2, 2, pow),
    plain("real", 1, 1, to_real),
    plain("regexp", 2, 3, regular::regexp),
    plain("regexpMember", 2, 3, regular::member),
    plain("regexps", 3, 4, regular::substitute),
    plain("replace", 3, 4, regular::replace_first),
    plain("replaceAll", 3, 4, regular::replace_all),
    plain("round", 1, 1, round),
    plain("size", 1, 1, size),
    plain("split", 1, 2, texts::split),
    plain("startsWith", 2, 2, texts::starts_with),
    plain("strcat", 0, ANY, texts::concatenate),
    plain("strcmp", 2, 2, |a| texts::compare(a, str::cmp)),
    plain("stricmp", 2, 2, |a| texts::compare(a, operators::compare_texts)),
    plain("string", 1, 1, texts::to_string),
    seeing("strJoin", 1, ANY, texts::join),
    plain("substr", 2, 3, texts::substring),
    plain("sum", 1, 1, sum),
    plain("toLower", 1, 1, |a| {
        a.meter.text(a.text(0)?.to_lowercase(), a.position)
    }),
    plain("toUpper", 1, 1, |a| {
        a.meter.text(a.text(0)?.to_uppercase(), a.position)
    }),
    plain("trim", 1, 1, |a| Ok(a.text(0)?.trim().into())),
];

/// The function of this name, in any case of letters.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS
        .iter()
        .find(|function| function.name.eq_ignore_ascii_case(name))
}

/// The names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|function| function.name)
}

pub(super) fn unknown(name: &str, position: Position) -> Fault {
    let hint = closest(name, names()).map_or_else(String::new, |close| format!(" (did you mean `{close}`?)"));
    Fault::new(
        position,
        format!("found the function `{name}`, expected one that exists{hint}"),
    )
}

impl Function {
    pub(super) fn check_count(&self, name: &str, count: usize, position: Position) -> Result<(), Fault> {
        if (self.least..=self.most).contains(&count) {
            return Ok(());
        }
        let expected = match (self.least, self.most) {
            (least, most) if least == most => least.to_string(),
            (least, ANY) => format!("{least} or more"),
            (least, most) => format!("{least} to {most}"),
        };
        Err(Fault::new(
            position,
            format!("found `{name}` with {count} arguments, expected {expected}"),
        ))
    }
}

impl<'a> Arguments<'a> {
    pub(super) fn wrong<T>(&self, at: usize, expected: &str) -> Result<T, Fault> {
        let found = self.values.get(at).unwrap_or(&Value::Null);
        Err(Fault::new(
            self.position,
            format!(
                "found {} as argument {} of `{}`, expected {expected}",
                shown(found),
                at + 1,
                self.name
            ),
        ))
    }

    pub(super) fn text(&self, at: usize) -> Result<&'a str, Fault> {
        match self.values.get(at) {
            Some(Value::String(text)) => Ok(text),
            _ => self.wrong(at, "a text"),
        }
    }

    pub(super) fn integer(&self, at: usize) -> Result<i64, Fault> {
        match self.values.get(at).and_then(Value::as_i64) {
            Some(integer) => Ok(integer),
            None => self.wrong(at, "an integer"),
        }
    }

    pub(super) fn list(&self, at: usize) -> Result<&'a [Value], Fault> {
        match self.values.get(at) {
            Some(Value::Array(list)) => Ok(list),
            _ => self.wrong(at, "a list"),
        }
    }

    pub(super) fn number(&self, at: usize) -> Result<Numeric, Fault> {
        match self.values.get(at).and_then(Numeric::of) {
            Some(number) => Ok(number),
            None => self.wrong(at, "a number"),
        }
    }

    /// All numbers of a list, as the only argument, or of the arguments themselves.
    fn numbers(&self) -> Result<Vec<Numeric>, Fault> {
        let values = match self.values {
            [Value::Array(list)] => list.as_slice(),
            values => values,
        };
        let numbers = values.iter().filter(|value| !value.is_null()).map(Numeric::of);
        match numbers.collect() {
            Some(numbers) => Ok(numbers),
            None => self.wrong(0, "numbers, or a list of numbers"),
        }
    }
}

fn is(scene: &Scene<'_>, arguments: &[Node], accept: fn(&Value) -> bool) -> Result<Value, Fault> {
    let value = arguments.first().map(|argument| scene.evaluate(argument));
    Ok(Value::Bool(matches!(value, Some(Ok(value)) if accept(&value))))
}

fn if_then_else(scene: &Scene<'_>, arguments: &[Node], position: Position) -> Result<Value, Fault> {
    let [condition, yes, no] = arguments else {
        return Ok(Value::Null);
    };
    match scene.evaluate(condition)? {
        Value::Null => Ok(Value::Null),
        condition if operators::condition(&condition, position)? => scene.evaluate(yes),
        _ => scene.evaluate(no),
    }
}

fn if_undefined(scene: &Scene<'_>, arguments: &[Node], _: Position) -> Result<Value, Fault> {
    let [value, instead] = arguments else {
        return Ok(Value::Null);
    };
    match scene.evaluate(value)? {
        Value::Null => scene.evaluate(instead),
        value => Ok(value),
    }
}

fn to_bool(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    match &arguments.values[0] {
        Value::Null => Ok(Value::Null),
        Value::Bool(flag) => Ok(Value::Bool(*flag)),
        Value::Number(number) => Ok(Value::Bool(number.as_f64() != Some(0.0))),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        _ => arguments.wrong(0, "true, false or a number"),
    }
}

fn as_number(arguments: &Arguments<'_>) -> Result<Numeric, Fault> {
    let number = match &arguments.values[0] {
        Value::Bool(flag) => Some(Numeric::Integer(i64::from(*flag))),
        Value::String(text) => {
            let text = text.trim();
            let integer = text.parse().ok().map(Numeric::Integer);
            integer.or_else(|| {
                text.parse()
                    .ok()
                    .filter(|real: &f64| real.is_finite())
                    .map(Numeric::Real)
            })
        }
        other => Numeric::of(other),
    };
    match number {
        Some(number) => Ok(number),
        None => arguments.wrong(0, "a number or a text with one"),
    }
}

fn to_int(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    whole(arguments, as_number(arguments)?, f64::trunc)
}

fn to_real(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    Numeric::Real(as_number(arguments)?.real()).value(arguments.position)
}

/// A real as an integer.
fn whole(arguments: &Arguments<'_>, number: Numeric, round: fn(f64) -> f64) -> Result<Value, Fault> {
    match number {
        Numeric::Integer(integer) => Ok(integer.into()),
        Numeric::Real(real) => {
            let rounded = round(real);
            // Both ends are powers of two, which a real holds exactly.
            if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
                return arguments.wrong(0, "a number that fits into 64 bits");
            }
            #[expect(clippy::cast_possible_truncation, reason = "checked above")]
            Ok((rounded as i64).into())
        }
    }
}

fn floor(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    whole(arguments, arguments.number(0)?, f64::floor)
}

fn ceiling(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    whole(arguments, arguments.number(0)?, f64::ceil)
}

fn round(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    whole(arguments, arguments.number(0)?, f64::round)
}

fn abs(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    match arguments.number(0)? {
        Numeric::Integer(integer) => match integer.checked_abs() {
            Some(integer) => Ok(integer.into()),
            None => arguments.wrong(0, "an integer whose amount fits into 64 bits"),
        },
        Numeric::Real(real) => Numeric::Real(real.abs()).value(arguments.position),
    }
}

fn pow(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let (base, exponent) = (arguments.number(0)?, arguments.number(1)?);
    if let (Numeric::Integer(base), Numeric::Integer(exponent)) = (base, exponent)
        && let Ok(exponent) = u32::try_from(exponent)
    {
        return match base.checked_pow(exponent) {
            Some(power) => Ok(power.into()),
            None => arguments.wrong(0, "a power that fits into 64 bits"),
        };
    }
    Numeric::Real(base.real().powf(exponent.real())).value(arguments.position)
}

fn sum(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let numbers = arguments.numbers()?;
    let integers = numbers.iter().try_fold(0_i64, |sum, number| match number {
        Numeric::Integer(integer) => sum.checked_add(*integer),
        Numeric::Real(_) => None,
    });
    match integers {
        Some(sum) => Ok(sum.into()),
        None => {
            let sum = numbers.iter().map(|number| number.real()).sum();
            Numeric::Real(sum).value(arguments.position)
        }
    }
}

fn average(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let numbers = arguments.numbers()?;
    if numbers.is_empty() {
        return Ok(Value::Null);
    }
    let sum: f64 = numbers.iter().map(|number| number.real()).sum();
    #[expect(clippy::cast_precision_loss, reason = "no list is that long")]
    let count = numbers.len() as f64;
    Numeric::Real(sum / count).value(arguments.position)
}

fn extreme(arguments: &Arguments<'_>, wins: fn(std::cmp::Ordering) -> bool) -> Result<Value, Fault> {
    let numbers = arguments.numbers()?;
    let best = numbers.into_iter().reduce(|best, next| match next.compare(best) {
        Some(order) if wins(order) => next,
        _ => best,
    });
    best.map_or(Ok(Value::Null), |best| best.value(arguments.position))
}

fn size(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    match &arguments.values[0] {
        Value::String(text) => Ok(text.chars().count().into()),
        Value::Array(list) => Ok(list.len().into()),
        Value::Object(record) => Ok(record.len().into()),
        _ => arguments.wrong(0, "a text, a list or a record"),
    }
}

fn member(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    arguments.list(1)?;
    operators::contains(&arguments.values[0], &arguments.values[1], arguments.position)
}

fn identical_member(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    Ok(Value::Bool(arguments.list(1)?.contains(&arguments.values[0])))
}

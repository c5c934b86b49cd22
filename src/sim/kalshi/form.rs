//! Bodies and queries of private requests, read the way the venue reads them: the wrong type is a flat error that names
//! the field.

use serde_json::{Map, Value};

use crate::sim::kalshi::deny::Deny;
use crate::unit::{Price, Qty};

/// The two decimals of a count, in millionths of a contract.
const HUNDREDTH: u64 = 10_000;

/// A JSON object of a request, and the name of its shape in error texts.
#[derive(Clone, Copy, Debug)]
pub struct Form<'a> {
    shape: &'static str,
    members: &'a Map<String, Value>,
}

impl<'a> Form<'a> {
    /// The object in a body that has been read.
    pub fn of(shape: &'static str, value: &'a Value) -> Result<Self, Deny> {
        match value {
            Value::Object(members) => Ok(Self { shape, members }),
            other => {
                Err(Deny::malformed(&format!("json: cannot unmarshal {} into Go value of type {shape}", kind(other))))
            }
        }
    }

    fn wrong(&self, field: &str, value: &Value, wanted: &str) -> Deny {
        let (shape, kind) = (self.shape, kind(value));
        Deny::malformed(&format!("json: cannot unmarshal {kind} into Go struct field {shape}.{field} of type {wanted}"))
    }

    fn member(&self, field: &str) -> Option<&'a Value> {
        self.members.get(field).filter(|value| !value.is_null())
    }

    /// A text, if it is there.
    pub fn text(&self, field: &str) -> Result<Option<&'a str>, Deny> {
        match self.member(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(field, other, "string")),
        }
    }

    /// A text that has to be there.
    pub fn required(&self, field: &str) -> Result<&'a str, Deny> {
        self.text(field)?.filter(|text| !text.is_empty()).ok_or_else(|| self.missing(field))
    }

    /// What the venue says of a member that is missing.
    pub fn missing(&self, field: &str) -> Deny {
        self.fails(field, "required")
    }

    /// What the venue says of a member that breaks a rule.
    pub fn fails(&self, field: &str, rule: &str) -> Deny {
        let shape = self.shape;
        Deny::malformed(&format!(
            "Key: '{shape}.{field}' Error:Field validation for '{field}' failed on the '{rule}' tag"
        ))
    }

    /// A whole number, if it is there.
    pub fn integer(&self, field: &str) -> Result<Option<i64>, Deny> {
        match self.member(field) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| self.wrong(field, value, "int64")),
        }
    }

    /// A flag; absent is false.
    pub fn flag(&self, field: &str) -> Result<bool, Deny> {
        match self.member(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(field, other, "bool")),
        }
    }

    /// A list, if it is there.
    pub fn list(&self, field: &str) -> Result<Option<&'a [Value]>, Deny> {
        match self.member(field) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(self.wrong(field, other, "slice")),
        }
    }

    /// A number of contracts as a decimal text, not yet checked for its size.
    pub fn count(&self, field: &str) -> Result<Option<Count>, Deny> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        if !is_decimal(text) {
            return Err(Deny::malformed(&format!("{field}: invalid fixed-point number")));
        }
        Ok(Some(match Qty::parse(text.as_bytes()) {
            Some(qty) if !qty.micros().is_multiple_of(HUNDREDTH) => Count::TooFine,
            Some(qty) if qty.is_zero() => Count::Nothing,
            Some(qty) => Count::Of(qty),
            None if text.split_once('.').is_some_and(|(_, part)| 6 < part.len()) => Count::TooFine,
            None => Count::TooMuch,
        }))
    }

    /// A price as a decimal text; none is a decimal that no order may have, such as 0 or 1.
    pub fn price(&self, field: &str) -> Result<Option<Price>, Deny> {
        let text = self.required(field)?;
        if is_decimal(text) {
            Ok(Price::parse(text.as_bytes()))
        } else {
            Err(Deny::malformed(&format!("{field}: invalid fixed-point number")))
        }
    }
}

/// A decimal count, checked for the size of an order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Count {
    Of(Qty),
    Nothing,
    /// More than two decimals.
    TooFine,
    TooMuch,
}

impl Count {
    /// The quantity, or the venue's refusal of it.
    pub fn sized(self) -> Result<Qty, Deny> {
        match self {
            Self::Of(qty) => Ok(qty),
            Self::TooFine => Err(Deny::invalid("invalid count precision")),
            Self::Nothing | Self::TooMuch => Err(Deny::new(400, "invalid_order_size")),
        }
    }
}

fn is_decimal(text: &str) -> bool {
    let mut parts = text.split('.');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.next().is_some_and(digits) && parts.next().is_none_or(digits) && parts.next().is_none()
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A query's first value of that name, if it has one.
pub fn param<'a>(query: &'a [(String, String)], name: &str) -> Option<&'a str> {
    query.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

/// A number in a query.
pub fn number(query: &[(String, String)], name: &str) -> Result<Option<i64>, Deny> {
    let wrong = |_| Deny::malformed(&format!("invalid {name}"));
    param(query, name).map(str::parse).transpose().map_err(wrong)
}

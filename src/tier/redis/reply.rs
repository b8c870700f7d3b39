//! Reading what a script answers.

use redis::Value;

use super::fault::Fault;

/// A list.
pub(super) fn list(value: Value) -> Result<Vec<Value>, Fault> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err(Fault::Unreadable),
    }
}

/// A list of a known length.
pub(super) fn listed<const N: usize>(value: Value) -> Result<[Value; N], Fault> {
    list(value)?.try_into().map_err(|_other| Fault::Unreadable)
}

pub(super) fn number(value: &Value) -> Result<i64, Fault> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::BulkString(bytes) => {
            let text = std::str::from_utf8(bytes).ok();
            text.and_then(|text| text.parse().ok()).ok_or(Fault::Unreadable)
        }
        _ => Err(Fault::Unreadable),
    }
}

pub(super) fn bytes(value: Value) -> Result<Vec<u8>, Fault> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        _ => Err(Fault::Unreadable),
    }
}

pub(super) fn text(value: Value) -> Result<String, Fault> {
    utf8(bytes(value)?)
}

pub(super) fn utf8(bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|_not_text| Fault::Unreadable)
}

/// 8 bytes as a number, the highest first, as scripts pack it.
pub(super) fn packed(bytes: &[u8]) -> Result<u64, Fault> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_other| Fault::Unreadable)
}

//! Objects and arrays that are made of texts of JSON, which stand in them as they are.

use serde_json::Value;

/// An object that is written field by field.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    /// One without fields.
    pub(crate) fn new() -> Self {
        Self(String::from("{"))
    }

    /// One that begins with the fields of another one; of a text that is no object it takes nothing.
    pub(crate) fn beginning_with(object: &str) -> Self {
        let mut begun = Self::new();
        let inner = object.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        begun.0 += inner.unwrap_or_default().trim();
        begun
    }

    /// Adds a field; its name must not be there yet.
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0 += &Value::from(name).to_string();
        self.0.push(':');
        self.0 += value;
    }

    /// Its text.
    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// An array that is written element by element.
#[derive(Debug)]
pub(crate) struct Array(String);

impl Array {
    /// One without elements.
    pub(crate) fn new() -> Self {
        Self(String::from("["))
    }

    /// Adds an element.
    pub(crate) fn push(&mut self, element: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0 += element;
    }

    /// Its text.
    pub(crate) fn end(mut self) -> String {
        self.0.push(']');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_them_stays_as_it_is() {
        let mut array = Array::new();
        assert_eq!(Array::new().end(), "[]");
        ["1.50", "{}"].iter().for_each(|element| array.push(element));
        let array = array.end();
        assert_eq!(array, "[1.50,{}]");
        let mut object = Object::new();
        assert_eq!(Object::new().end(), "{}");
        object.push("a\"b", &array);
        object.push("c", "null");
        let object = object.end();
        assert_eq!(object, "{\"a\\\"b\":[1.50,{}],\"c\":null}");
        for (start, expected) in
            [(" {\"x\": 1} ", "{\"x\": 1,\"d\":2}"), ("{ }", "{\"d\":2}"), ("7", "{\"d\":2}")]
        {
            let mut begun = Object::beginning_with(start);
            begun.push("d", "2");
            assert_eq!(begun.end(), expected);
        }
    }
}

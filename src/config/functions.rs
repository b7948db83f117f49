//! Lists of functions.

use super::values::{Complaint, Value};
use crate::sql::FunctionNames;
use toml::de::DeValue;

impl Value for FunctionNames {
    const QUOTED: bool = false;
    fn allowed() -> String {
        "a list of functions such as [\"shop.price\", \"tax\"]".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(format!("must be {}", Self::allowed()));
        let DeValue::Array(list) = value else {
            return Err(match value {
                DeValue::String(text) => {
                    complaint().hint(format!("a single name is a list too: [{text:?}]"))
                }
                _ => complaint(),
            });
        };
        let mut names = Vec::new();
        for name in list.iter() {
            let name = name.get_ref().as_str().ok_or_else(complaint)?;
            if name.is_empty() || name.contains(['(', ' ', '"']) {
                let without = format!("{name:?} is not a name");
                return Err(Complaint::new(without).hint("name it without its arguments"));
            }
            names.push(name.to_owned());
        }
        Ok(FunctionNames(names))
    }
    fn show(&self) -> String {
        format!("{:?}", self.0)
    }
    fn unset() -> Self {
        FunctionNames::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<FunctionNames, Complaint> {
        FunctionNames::from_toml(DeValue::parse(text).unwrap().get_ref())
    }

    #[test]
    fn functions_are_named_without_their_arguments() {
        let Ok(names) = read("[\"tax\", \"shop.price\"]") else { panic!("a list of names") };
        assert_eq!(names.show(), "[\"tax\", \"shop.price\"]");
        let hint = |text| read(text).err().and_then(|complaint| complaint.hint);
        assert_eq!(hint("[\"f(int)\"]").as_deref(), Some("name it without its arguments"));
        assert_eq!(hint("\"tax\"").as_deref(), Some("a single name is a list too: [\"tax\"]"));
        assert!(read("[\"\"]").is_err() && read("7").is_err());
    }
}

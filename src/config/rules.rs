//! The values of `auth.rules`, and where replication goes.

use super::choices::{one_of, refuse};
use super::values::{Complaint, Value};
use crate::pg::auth::Method;
use crate::pg::auth::rules::{Action, Names, Networks};
use crate::pg::replication::Destination;
use ipnet::IpNet;
use toml::de::DeValue;

/// The texts of a list, or `None` for `"*"`; a complaint for everything else.
fn texts<'a>(value: &'a DeValue<'_>, allowed: &str) -> Result<Option<Vec<&'a str>>, Complaint> {
    let complaint = || Complaint::new(format!("must be {allowed}"));
    match value {
        DeValue::String(text) if text == "*" => Ok(None),
        DeValue::String(text) => Err(complaint().hint(format!("one is a list too: [{text:?}]"))),
        DeValue::Array(list) if !list.is_empty() => {
            let text = |t: &'a toml::Spanned<DeValue<'_>>| {
                t.get_ref().as_str().filter(|t| !t.is_empty()).ok_or_else(complaint)
            };
            let texts = list.iter().map(text).collect::<Result<Vec<_>, _>>()?;
            match texts.contains(&"*") {
                true if texts.len() == 1 => Ok(None),
                true => Err(complaint().hint("\"*\" stands alone")),
                false => Ok(Some(texts)),
            }
        }
        _ => Err(complaint()),
    }
}

fn show<T: ToString>(list: &[T]) -> String {
    format!("{:?}", list.iter().map(T::to_string).collect::<Vec<_>>())
}

impl Value for Names {
    const QUOTED: bool = false;
    fn allowed() -> String {
        "a list of names such as [\"app\", \"web\"], or \"*\"".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let listed = texts(value, &Self::allowed())?;
        Ok(listed.map_or(Names::Any, |l| Names::Listed(l.into_iter().map(Into::into).collect())))
    }
    fn show(&self) -> String {
        match self {
            Names::Any => "\"*\"".into(),
            Names::Listed(names) => show(names),
        }
    }
    fn unset() -> Self {
        Names::Any
    }
}

impl Value for Networks {
    const QUOTED: bool = false;
    fn allowed() -> String {
        "a list of networks such as [\"10.0.0.0/8\", \"::1/128\"], or \"*\"".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        let Some(listed) = texts(value, &Self::allowed())? else { return Ok(Networks::Any) };
        listed.into_iter().map(network).collect::<Result<_, _>>().map(Networks::Listed)
    }
    fn show(&self) -> String {
        match self {
            Networks::Any => "\"*\"".into(),
            Networks::Listed(networks) => show(networks),
        }
    }
    fn unset() -> Self {
        Networks::Any
    }
}

impl Value for Action {
    const QUOTED: bool = true;
    fn allowed() -> String {
        one_of(&words())
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        match value.as_str() {
            Some("reject") => Ok(Action::Reject),
            Some(word) => {
                Method::parse(word).map(Action::Prove).ok_or_else(|| refuse(word, &words(), &[]))
            }
            None => Err(Complaint::new(format!("must be {}", Self::allowed()))),
        }
    }
    fn show(&self) -> String {
        match self {
            Action::Prove(method) => format!("{:?}", method.name()),
            Action::Reject => "\"reject\"".into(),
        }
    }
    fn unset() -> Self {
        Action::Reject
    }
}

impl Value for Destination {
    const QUOTED: bool = true;
    fn allowed() -> String {
        "\"off\", \"primary\" or the name of a node".into()
    }
    fn from_toml(value: &DeValue<'_>) -> Result<Self, Complaint> {
        match value.as_str() {
            Some("off") => Ok(Destination::Off),
            Some("primary") => Ok(Destination::Primary),
            Some(name) if !name.is_empty() => Ok(Destination::Node(name.into())),
            _ => Err(Complaint::new(format!("must be {}", Self::allowed()))),
        }
    }
    fn show(&self) -> String {
        match self {
            Destination::Off => "\"off\"".into(),
            Destination::Primary => "\"primary\"".into(),
            Destination::Node(name) => format!("{name:?}"),
        }
    }
    fn unset() -> Self {
        Destination::Off
    }
}

fn words() -> Vec<&'static str> {
    Method::ALL.iter().map(|method| method.name()).chain(["reject"]).collect()
}

/// An address with the length of its prefix; no bit beyond the prefix, which would be a mistake.
fn network(text: &str) -> Result<IpNet, Complaint> {
    if let Ok(address) = text.parse::<std::net::IpAddr>() {
        let complaint = Complaint::new(format!("{text:?} has no prefix length"));
        return Err(complaint.hint(format!("write {:?}", IpNet::from(address).to_string())));
    }
    let wrong = || Complaint::new(format!("{text:?} is not a network such as \"10.0.0.0/8\""));
    let network: IpNet = text.parse().map_err(|_| wrong())?;
    match network == network.trunc() {
        true => Ok(network),
        false => {
            let complaint = Complaint::new(format!("{text:?} has bits beyond its prefix"));
            Err(complaint.hint(format!("write {:?}", network.trunc().to_string())))
        }
    }
}

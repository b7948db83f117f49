//! How clients prove who they are, by the words of the configuration.

/// How a client proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Method {
    /// It does not: whoever reaches the listener is believed.
    Trust,
    /// It sends its password as it is; only sensible over TLS.
    Password,
    /// SCRAM-SHA-256, and SCRAM-SHA-256-PLUS over TLS.
    #[default]
    Scram,
    /// By a client certificate whose common name is the user's (or is mapped to it).
    Cert,
}

impl Method {
    pub const ALL: [Method; 4] = [Method::Trust, Method::Password, Method::Scram, Method::Cert];

    /// The word for it in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Method::Trust => "trust",
            Method::Password => "password",
            Method::Scram => "scram",
            Method::Cert => "cert",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.name() == name)
    }
}

//! Who may come in, and how we get in: logins of clients here and ours at database servers.
//!
//! Nothing here touches a socket. [`Login`] takes the bodies of a client's `p` messages and gives
//! bodies of `R` messages; [`ServerLogin`] does the opposite towards a database server. A client
//! that proves itself by SCRAM leaves its [`scram::ClientKeys`] behind, which open a server that
//! keeps the same verifier: no password needs to be known here.

mod credential;
mod login;
pub mod md5;
mod message;
pub mod scram;
mod server_login;
mod settings;
mod users;

pub use crate::door::{Method, rules, throttle};
pub use crate::secret::Secret;
pub use credential::{Credential, CredentialError, ServerSecret};
pub use login::{Accepted, Login, LoginRequest, Rejection, Step};
pub use message::{AuthRequest, MalformedAuth};
pub use server_login::{
    Cleartext, ServerAccepted, ServerLogin, ServerLoginError, ServerLoginRequest, ServerStep,
};
pub use settings::{AuthQuery, CertificateMap, Settings};
pub use users::{Listed, UserTable, Users, UsersError};

//! Clients and servers logging in to each other, message by message.

use super::*;
use crate::net::tls::Identity;
use crate::pg::auth::md5::Md5Hash;
use crate::pg::auth::scram::Verifier;
use crate::pg::auth::{
    Cleartext, ServerAccepted, ServerLogin, ServerLoginError, ServerLoginRequest, ServerStep,
};

/// What a login is tried with; `..Case::default()` is SCRAM of user "app", password "pw".
struct Case {
    method: Method,
    credential: Option<Credential>,
    channel: Option<Channel>,
    map: CertificateMap,
    mock: Mock,
    cache: Arc<KeyCache>,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            method: Method::Scram,
            credential: Some(plain()),
            channel: None,
            map: CertificateMap::new(),
            mock: Mock::random().expect("random bytes"),
            cache: Arc::new(KeyCache::new(8)),
        }
    }
}

impl Case {
    fn start(&self) -> Step {
        Login::start(LoginRequest {
            user: "app",
            method: self.method,
            credential: self.credential.as_ref(),
            channel: self.channel.as_ref(),
            certificate_map: &self.map,
            mock: &self.mock,
            cache: &self.cache,
        })
    }

    /// Our server side asked by our client side with this secret.
    fn by(&self, secret: ServerSecret) -> Result<(ServerAccepted, ServerSecret), Rejection> {
        let mut client = Some(ServerLogin::start(ServerLoginRequest {
            user: "app",
            secret,
            channel: self.channel.as_ref(),
            cleartext: Cleartext::Always,
            cache: self.cache.clone(),
        }));
        let mut step = self.start();
        loop {
            let (login, bodies, done) = match step {
                Step::Continue { login, send } => (Some(login), vec![send], None),
                Step::Accepted(accepted) => (None, accepted.send, Some(accepted.secret)),
                Step::Rejected(rejection) => return Err(rejection),
            };
            let mut answer = None;
            for body in bodies {
                let state = client.take().expect("a client that still waits");
                match state.on(&body).expect("a request the client can answer") {
                    ServerStep::Continue { login, send } => {
                        client = Some(login);
                        answer = send;
                    }
                    ServerStep::Accepted(how) => return Ok((how, done.expect("both are done"))),
                }
            }
            step = login.expect("not done").on(&answer.expect("an answer"));
        }
    }
}

fn plain() -> Credential {
    Credential::parse(&Secret::new("pw")).expect("a credential")
}

fn verifier() -> Credential {
    Credential::Verifier(Verifier::fresh(b"pw").expect("random bytes"))
}

fn md5() -> Credential {
    Credential::Md5(Md5Hash::from_password("app", b"pw"))
}

fn password(text: &str) -> ServerSecret {
    ServerSecret::password(Secret::new(text))
}

fn tls(common_name: Option<&str>) -> Option<Channel> {
    let named = |name: &str| Identity { common_name: Some(name.to_owned()), dns_names: Vec::new() };
    Some(Channel { end_point: Some(b"hash".to_vec()), peer: common_name.map(named), alpn: None })
}

#[test]
fn each_kind_of_credential_serves_the_logins_it_can() {
    for credential in [plain(), verifier(), md5()] {
        let case =
            Case { method: Method::Password, credential: Some(credential), ..Case::default() };
        let (how, left) = case.by(password("pw")).expect("accepted");
        assert_eq!(how, ServerAccepted::Cleartext);
        assert!(left.password.expect("a password").same_as(b"pw"));
        assert_eq!(case.by(password("no")).err(), Some(Rejection::WrongPassword));
    }
    for credential in [plain(), verifier()] {
        let case = Case { credential: Some(credential), ..Case::default() };
        let (how, left) = case.by(password("pw")).expect("accepted");
        assert_eq!(how, ServerAccepted::Scram);
        assert!(left.keys.is_some());
        assert_eq!(case.by(password("no")).err(), Some(Rejection::WrongPassword));
    }
    let case = Case { credential: Some(md5()), ..Case::default() };
    assert_eq!(case.by(password("pw")).err(), Some(Rejection::OnlyMd5));
}

#[test]
fn over_tls_the_channel_is_bound() {
    let case = Case { channel: tls(None), ..Case::default() };
    assert_eq!(case.by(password("pw")).expect("accepted").0, ServerAccepted::ScramPlus);
}

#[test]
fn a_clients_proof_opens_the_next_server_with_the_same_verifier() {
    let case = Case { credential: Some(verifier()), ..Case::default() };
    let (_, left) = case.by(password("pw")).expect("accepted");
    assert!(left.password.is_none());
    assert_eq!(case.by(left).expect("accepted").0, ServerAccepted::Scram);
}

#[test]
fn an_unknown_user_sees_what_a_wrong_password_sees() {
    let unknown = Case { credential: None, ..Case::default() };
    assert_eq!(unknown.by(password("pw")).err(), Some(Rejection::UnknownUser));
    let salt = || {
        let Step::Continue { login, .. } = unknown.start() else { panic!("no SASL") };
        let first = message::sasl_initial(Mechanism::Scram, b"n,,n=,r=abc");
        let Step::Continue { send, .. } = login.on(&first) else { panic!("no challenge") };
        let text = String::from_utf8_lossy(&send[4..]).to_string();
        text.split(',').nth(1).expect("a salt").to_owned()
    };
    assert!(salt().starts_with("s="));
    assert_eq!(salt(), salt());

    let unknown = Case { method: Method::Password, credential: None, ..Case::default() };
    assert_eq!(unknown.by(password("pw")).err(), Some(Rejection::UnknownUser));
}

#[test]
fn trust_asks_nothing_and_passes_on_what_is_known() {
    let case = Case { method: Method::Trust, ..Case::default() };
    let (how, left) = case.by(ServerSecret::default()).expect("accepted");
    assert_eq!(how, ServerAccepted::Trust);
    assert!(left.password.expect("a password").same_as(b"pw"));
}

#[test]
fn a_certificate_opens_for_its_own_name_and_for_mapped_ones() {
    let cert = |channel, map: &[(&str, &str)]| {
        let map = map.iter().map(|(cn, user)| ((*cn).to_owned(), vec![(*user).to_owned()]));
        let case = Case { method: Method::Cert, channel, map: map.collect(), ..Case::default() };
        case.by(ServerSecret::default()).map(|(how, _)| how)
    };
    assert_eq!(cert(tls(Some("app")), &[]), Ok(ServerAccepted::Trust));
    assert_eq!(cert(tls(Some("host1")), &[("host1", "app")]), Ok(ServerAccepted::Trust));
    let other = Err(Rejection::OtherCertificate { common_name: "host1".to_owned() });
    assert_eq!(cert(tls(Some("host1")), &[]), other);
    assert_eq!(cert(tls(Some("host1")), &[("host1", "bob"), ("x", "app")]), other);
    assert_eq!(cert(tls(None), &[]), Err(Rejection::NoCertificate));
    assert_eq!(cert(None, &[]), Err(Rejection::NoCertificate));
    let nameless = tls(Some("app")).map(|mut channel| {
        channel.peer = Some(Identity::default());
        channel
    });
    assert_eq!(cert(nameless, &[]), Err(Rejection::NamelessCertificate));
}

#[test]
fn an_empty_password_is_refused_by_itself() {
    let case = Case { method: Method::Password, ..Case::default() };
    assert_eq!(case.by(password("")).err(), Some(Rejection::EmptyPassword));
}

fn server_login(secret: ServerSecret, tls: bool) -> ServerLogin {
    ServerLogin::start(ServerLoginRequest {
        user: "app",
        secret,
        channel: tls.then(Channel::default).as_ref(),
        cleartext: Cleartext::OverTls,
        cache: Arc::new(KeyCache::new(1)),
    })
}

#[test]
fn a_password_goes_out_in_clear_only_over_tls() {
    let refused = server_login(password("pw"), false).on(&message::cleartext());
    assert_eq!(refused.err(), Some(ServerLoginError::ClearWithoutTls));
    assert!(server_login(password("pw"), true).on(&message::cleartext()).is_ok());
}

#[test]
fn a_server_asking_for_md5_gets_it_from_password_or_hash() {
    let ask = b"\0\0\0\x05salt";
    let sent = |secret| match server_login(secret, false).on(ask).expect("an answer") {
        ServerStep::Continue { send: Some(body), .. } => body,
        step => panic!("no answer: {step:?}"),
    };
    let hash = ServerSecret::of(&md5());
    assert_eq!(sent(password("pw")), sent(hash));
    let refused = server_login(ServerSecret::default(), false).on(ask).expect_err("no secret");
    assert!(refused.to_string().contains("hint: give the user's plain password"), "{refused}");
}

#[test]
fn a_server_that_skips_its_own_proof_is_refused() {
    let secret = password("pw");
    let ServerStep::Continue { login, .. } =
        server_login(secret, false).on(&message::sasl(&[Mechanism::Scram])).expect("SASL")
    else {
        panic!("accepted at once")
    };
    assert_eq!(login.on(&message::ok()).err(), Some(ServerLoginError::OutOfTurn));
    let none = server_login(password("pw"), false).on(b"\0\0\0\x0aSCRAM-SHA-1\0\0");
    assert_eq!(none.err(), Some(ServerLoginError::NoMechanism));
}

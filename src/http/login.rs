//! Who may see the pages: the bearer token, or a browser's session that was opened with it.

use super::Pages;
use super::problem::Fault;
use crate::net::bearer;
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// How long a browser stays logged in.
const SESSION: Duration = Duration::from_secs(12 * 3600);
/// Browsers that are logged in at once; who comes after them takes the oldest one's place.
const SESSIONS: usize = 64;
const COOKIE: &str = "tidegate";
/// A page of another site can make a browser send its cookie, but not this header with it.
const OURS: &str = "x-tidegate";

/// Sessions by their secret names.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    opened: Mutex<HashMap<String, Instant>>,
}

impl Sessions {
    /// A new session's name; `None`: the system has no random numbers.
    fn open(&self) -> Option<String> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).ok()?;
        let name = URL_SAFE_NO_PAD.encode(bytes);
        let mut opened = self.opened.lock();
        opened.retain(|_, at| at.elapsed() < SESSION);
        if opened.len() >= SESSIONS {
            let oldest = opened.iter().min_by_key(|(_, at)| **at).map(|(name, _)| name.clone());
            oldest.and_then(|name| opened.remove(&name));
        }
        opened.insert(name.clone(), Instant::now());
        Some(name)
    }

    fn is_open(&self, name: &str) -> bool {
        self.opened.lock().get(name).is_some_and(|at| at.elapsed() < SESSION)
    }

    fn close(&self, name: &str) {
        self.opened.lock().remove(name);
    }
}

/// Lets a request through that brings the token or a session, if a token is configured.
pub(super) async fn authorized(
    State(pages): State<Pages>,
    request: Request,
    next: Next,
) -> Response {
    let Some(token) = pages.token.as_deref() else { return next.run(request).await };
    let headers = request.headers();
    let given = headers.get(header::AUTHORIZATION).map(|value| value.as_bytes());
    if bearer::opens(token, given) {
        return next.run(request).await;
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let ours = reads || headers.contains_key(OURS);
    if ours && session(headers).is_some_and(|name| pages.sessions.is_open(name)) {
        return next.run(request).await;
    }
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"tidegate\"")];
    (challenge, Fault::Stranger).into_response()
}

fn session(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.trim(), value.trim())).find(|(n, _)| *n == COOKIE).map(|p| p.1)
}

#[derive(Deserialize)]
pub(super) struct Login {
    token: String,
}

/// Opens a session for a browser that knows the token.
pub(super) async fn login(
    State(pages): State<Pages>,
    login: Result<Json<Login>, JsonRejection>,
) -> Result<Response, Fault> {
    /// A wrong token is not answered at once, so that guessing takes long.
    const DELAY: Duration = Duration::from_millis(500);
    let token = pages.token.as_deref().ok_or(Fault::NoLogin)?;
    let Json(login) = login?;
    if !bool::from(login.token.as_bytes().ct_eq(token.as_bytes())) {
        tokio::time::sleep(DELAY).await;
        return Err(Fault::WrongToken);
    }
    let name = pages.sessions.open().ok_or(Fault::NoRandom)?;
    let age = SESSION.as_secs();
    let cookie = format!("{COOKIE}={name}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Ends the browser's session.
pub(super) async fn logout(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    if let Some(name) = session(&headers) {
        pages.sessions.close(name);
    }
    let cookie = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    (StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_open_until_it_is_closed_and_the_oldest_makes_room() {
        let sessions = Sessions::default();
        let first = sessions.open().expect("random numbers");
        assert!(sessions.is_open(&first) && !sessions.is_open("guessed"));
        for _ in 0..SESSIONS {
            sessions.open().expect("random numbers");
        }
        assert!(!sessions.is_open(&first));
        let last = sessions.open().expect("random numbers");
        sessions.close(&last);
        assert!(!sessions.is_open(&last));
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; tidegate=abc; b=2".parse().expect("a header"));
        assert_eq!(session(&headers), Some("abc"));
        assert_eq!(session(&HeaderMap::new()), None);
    }
}

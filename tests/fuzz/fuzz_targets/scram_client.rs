//! A server's authentication requests: any bytes, each body ended by `|`. None may panic, none
//! may end in a SCRAM login with a server that does not know the verifier.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use tidegate::pg::auth::scram::KeyCache;
use tidegate::pg::auth::{
    Cleartext, Secret, ServerAccepted, ServerLogin, ServerLoginRequest, ServerSecret, ServerStep,
};

static CACHE: LazyLock<Arc<KeyCache>> = LazyLock::new(|| Arc::new(KeyCache::new(64)));

fuzz_target!(|data: &[u8]| {
    let mut login = ServerLogin::start(ServerLoginRequest {
        user: "app",
        secret: ServerSecret::password(Secret::new("pencil")),
        channel: None,
        cleartext: Cleartext::OverTls,
        cache: CACHE.clone(),
    });
    for body in data.split(|b| *b == b'|') {
        match login.on(body) {
            Ok(ServerStep::Continue { login: next, .. }) => login = next,
            Ok(ServerStep::Accepted(how)) => {
                assert!(matches!(how, ServerAccepted::Trust | ServerAccepted::Md5));
                return;
            }
            Err(_) => return,
        }
    }
});

//! Plays a script on an address: one connection for each client, one step after the other.

use crate::answer::Awaited;
use crate::same::line;
use crate::script::{Script, Step};
use crate::support::wire::{Wire, frame};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// How long a goodbye may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// The answer to one step, a line for each frame.
pub type Answer = Vec<String>;

struct Client {
    wire: Wire,
    awaited: Awaited,
    gone: bool,
}

/// The clients of a script, connected.
pub struct Stand {
    clients: Vec<Client>,
    /// How long a frame may take: a step waits for a lock at most.
    patience: Duration,
}

impl Stand {
    pub async fn open(address: SocketAddr, clients: usize, patience: Duration) -> Stand {
        let mut stand = Stand { clients: Vec::new(), patience };
        for _ in 0..clients {
            let wire = Wire::start(address).await;
            stand.clients.push(Client { wire, awaited: Awaited::default(), gone: false });
        }
        stand
    }

    /// The greetings, which count as an answer.
    pub fn greetings(&self) -> Vec<Answer> {
        let told = |client: &Client| {
            let lines = client.wire.greeting.iter().filter(|frame| frame.tag != b'K').map(line);
            let mut lines: Answer = lines.collect();
            // PostgreSQL tells its parameters in the order of a hash table.
            lines.sort();
            lines
        };
        self.clients.iter().map(told).collect()
    }

    pub async fn step(&mut self, step: &Step) -> Answer {
        self.clients[step.client].step(step, self.patience).await
    }

    /// Says goodbye and waits until the server has ended every session.
    pub async fn close(self) {
        for mut client in self.clients {
            if !client.gone {
                // Who was sent away in the meantime has ended already.
                let _ = client.wire.stream.write_all(&frame(b'X', b"")).await;
                let _ = client.wire.stream.shutdown().await;
                let rest = timeout(PATIENCE, client.wire.rest()).await;
                rest.expect("an end after a goodbye");
            }
        }
    }
}

impl Client {
    async fn step(&mut self, step: &Step, patience: Duration) -> Answer {
        let mut lines = Answer::new();
        if self.gone {
            return lines;
        }
        let bytes: Vec<u8> = step.messages.iter().flat_map(|message| message.bytes()).collect();
        step.messages.iter().for_each(|message| self.awaited.sent(message));
        // Whoever does not read has said why.
        let _ = self.wire.stream.write_all(&bytes).await;
        while !self.awaited.is_complete() {
            match timeout(patience, self.wire.next()).await {
                Ok(Some(frame)) => {
                    self.awaited.got(&frame);
                    lines.push(line(&frame));
                }
                Ok(None) => {
                    lines.push("the connection ended".into());
                    self.gone = true;
                    break;
                }
                Err(_) => {
                    lines.push("and then nothing".into());
                    self.gone = true;
                    break;
                }
            }
        }
        lines
    }
}

/// All answers, the greetings first; up to the step at which the server ended a connection, which
/// it does when it crashes.
pub async fn play(address: SocketAddr, script: &Script, patience: Duration) -> Vec<Answer> {
    let mut stand = Stand::open(address, script.clients(), patience).await;
    let mut answers = stand.greetings();
    for step in &script.steps {
        let answer = stand.step(step).await;
        if stand.clients[step.client].gone {
            return answers;
        }
        answers.push(answer);
    }
    stand.close().await;
    answers
}

//! What a client does between two looks.

use crate::client::{Client, Over, Session};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

impl Client {
    pub async fn act(&mut self, session: &mut Session) -> Result<(), Over> {
        match self.dice.below(40) {
            0 => self.vanish(session).await,
            1 | 2 => self.cancel(session).await,
            3..6 => self.roll_back(session).await,
            6 | 7 => self.keep_a_table(session).await,
            8 | 9 => self.keep_a_lock(session).await,
            10 | 11 => self.keep_a_cursor(session).await,
            12..18 => self.prepare(session).await,
            _ => self.change(session).await,
        }
    }

    async fn change(&mut self, session: &mut Session) -> Result<(), Over> {
        let change = session.state.change(self.number, self.round, &mut self.dice);
        self.ask(session, &change.sql).await?;
        session.state = change.after;
        Ok(())
    }

    /// Leaves in the middle of a transaction or of a statement.
    async fn vanish(&mut self, session: &mut Session) -> Result<(), Over> {
        let change = session.state.change(self.number, self.round, &mut self.dice);
        self.ask(session, &format!("BEGIN; {}", change.sql)).await?;
        if self.dice.once_in(2) {
            let slow = session.client.simple_query("SELECT pg_sleep(30)");
            let _ = tokio::time::timeout(Duration::from_millis(20), slow).await;
        }
        Err(Over::Vanished)
    }

    /// A cancel request meets a statement that takes long, or one that may be over already.
    async fn cancel(&mut self, session: &mut Session) -> Result<(), Over> {
        let slow = if self.dice.once_in(2) { "SELECT pg_sleep(30)" } else { "SELECT 1" };
        let (token, over) = (session.client.cancel_token(), AtomicBool::new(false));
        let cancel = async {
            // The first may come before its statement; one that waits for a server hears nothing.
            while !over.load(Relaxed) {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let _ = token.cancel_query(NoTls).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let ask = async {
            let answer = session.client.simple_query(slow).await;
            over.store(true, Relaxed);
            answer
        };
        // Both to their ends: a request under way would meet the next statement.
        let (answer, ()) = tokio::join!(ask, cancel);
        match answer {
            Ok(_) => Ok(()),
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
                self.tally.cancelled.fetch_add(1, Relaxed);
                Ok(())
            }
            Err(error) => Err(self.over(slow, &error)),
        }
    }

    /// What is set in a transaction that rolls back, or only for it, is gone afterwards.
    async fn roll_back(&mut self, session: &mut Session) -> Result<(), Over> {
        let before = session.state.clone();
        self.ask(session, "BEGIN").await?;
        for _ in 0..self.dice.below(3) {
            self.change(session).await?;
            self.look(session).await?;
        }
        let passing = session.state.passing(self.number, &mut self.dice);
        self.ask(session, &passing).await?;
        if self.dice.once_in(3) {
            let error = session.client.simple_query("SELECT 1/0").await.expect_err("no result");
            if error.code() != Some(&SqlState::DIVISION_BY_ZERO) {
                return Err(self.over("SELECT 1/0", &error));
            }
        }
        self.ask(session, "ROLLBACK").await?;
        session.state = before;
        Ok(())
    }

    async fn keep_a_table(&mut self, session: &mut Session) -> Result<(), Over> {
        let number = self.number;
        self.ask(
            session,
            &format!("CREATE TEMP TABLE mine (a int); INSERT INTO mine VALUES ({number})"),
        )
        .await?;
        session.state.kept[0] = 1;
        self.look(session).await?;
        let seen = self.ask(session, "SELECT string_agg(a::text, ',') FROM pg_temp.mine").await?;
        assert_eq!(seen, number.to_string(), "client {number} reads the table of another");
        self.ask(session, "DROP TABLE pg_temp.mine").await?;
        session.state.kept[0] = 0;
        self.look(session).await?;
        let seen = self.ask(session, "SELECT to_regclass('pg_temp.mine')").await?;
        assert_eq!(seen, "", "client {number} sees the table of another");
        Ok(())
    }

    async fn keep_a_lock(&mut self, session: &mut Session) -> Result<(), Over> {
        let key = 1000 + self.number;
        // A session of its own that was lost a moment ago may have it still.
        self.ask(session, &format!("SELECT pg_advisory_lock({key})")).await?;
        session.state.kept[1] = 1;
        self.look(session).await?;
        self.change(session).await?;
        let freed = self.ask(session, &format!("SELECT pg_advisory_unlock({key})")).await?;
        assert_eq!(freed, "t", "client {} has lost its lock", self.number);
        session.state.kept[1] = 0;
        Ok(())
    }

    async fn keep_a_cursor(&mut self, session: &mut Session) -> Result<(), Over> {
        let number = self.number;
        let declare = format!("DECLARE c CURSOR WITH HOLD FOR SELECT {number}");
        self.ask(session, &format!("BEGIN; {declare}; COMMIT")).await?;
        session.state.kept[2] = 1;
        self.look(session).await?;
        let seen = self.ask(session, "FETCH 1 FROM c").await?;
        assert_eq!(seen, number.to_string(), "client {number} reads the cursor of another");
        self.ask(session, "CLOSE c").await?;
        session.state.kept[2] = 0;
        Ok(())
    }

    /// The same names at all clients, other texts.
    async fn prepare(&mut self, session: &mut Session) -> Result<(), Over> {
        let (number, round) = (self.number, self.round);
        let sql = format!("SELECT 'client {number} round {}', $1::int", round % 3);
        let prepared = session.client.prepare(&sql).await;
        let prepared = prepared.map_err(|error| self.over("prepare", &error))?;
        for times in 0..3 {
            let row = session.client.query_one(&prepared, &[&times]).await;
            let row = row.map_err(|error| self.over("a prepared statement", &error))?;
            let (text, told): (String, i32) = (row.get(0), row.get(1));
            let own = format!("client {number} round {}", round % 3);
            assert_eq!((text, told), (own, times), "client {number} got another's statement");
        }
        Ok(())
    }
}

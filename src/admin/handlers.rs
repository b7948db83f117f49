//! Commands behind pgwire's handlers: both protocols end in the same `run`.

use super::command::{self, Command};
use super::execute::carry_out;
use super::failure::{Failure, NOT_SUPPORTED, PROTOCOL, READ_ONLY};
use super::login::Credentials;
use super::{Control, table};
use async_trait::async_trait;
use futures_util::{Sink, SinkExt};
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::{FieldInfo, Response, Tag};
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, METADATA_USER, Type};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::extendedquery::Execute;
use std::fmt::Debug;
use std::sync::Arc;

/// Most rows of one Execute; a client that wants more asks again. pgwire reserves as many as the
/// client names before it looks at how many there are.
const MAX_ROWS: i32 = 65_536;

pub(super) struct Commands {
    control: Arc<dyn Control>,
    users: Credentials,
    parser: Arc<Parser>,
}

impl Commands {
    pub(super) fn new(control: Arc<dyn Control>, users: Credentials) -> Commands {
        Commands { control, users, parser: Arc::new(Parser) }
    }

    async fn run<C>(
        &self,
        client: &mut C,
        what: &Command,
        format: &Format,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        match what {
            Command::Show(show, select) => {
                let fields = table::fields(show.columns, format)?;
                let rows = select.apply((show.rows)(&self.control.view()));
                return Ok(Response::Query(table::response(fields, rows)?));
            }
            Command::Begin => return Ok(Response::TransactionStart(Tag::new("BEGIN"))),
            Command::End(tag) => return Ok(Response::TransactionEnd(Tag::new(tag))),
            _ => {}
        }
        let user = client.metadata().get(METADATA_USER).map_or("", String::as_str);
        let operator = format!("{user} ({})", client.socket_addr());
        if what.changes() && self.users.only_looks(user) {
            let refused = Failure::error(READ_ONLY, format!("user {user:?} may only look"))
                .hint("SHOW works; console.users of the configuration has read_only = true for this user.");
            self.control.note(&operator, &what.to_string(), Some("the user may only look"));
            return Err(refused.into());
        }
        let Some(done) = carry_out(self.control.as_ref(), &operator, what).await? else {
            return Ok(Response::EmptyQuery);
        };
        for text in done.notices {
            let info = ErrorInfo::new("NOTICE".to_string(), "00000".to_string(), text);
            client.feed(PgWireBackendMessage::NoticeResponse(info.into())).await?;
        }
        Ok(Response::Execution(Tag::new(done.tag)))
    }
}

#[async_trait]
impl SimpleQueryHandler for Commands {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let commands = command::parse(query)?;
        if commands.is_empty() {
            return Ok(vec![Response::EmptyQuery]);
        }
        let mut responses = Vec::with_capacity(commands.len());
        for command in &commands {
            match self.run(client, command, &Format::UnifiedText).await {
                Ok(response) => responses.push(response),
                // What ran before it is answered first, as a server would.
                Err(PgWireError::UserError(info)) => {
                    responses.push(Response::Error(info));
                    break;
                }
                Err(other) => return Err(other),
            }
        }
        Ok(responses)
    }
}

#[async_trait]
impl ExtendedQueryHandler for Commands {
    type Statement = Command;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        self.parser.clone()
    }

    async fn on_execute<C>(&self, client: &mut C, mut message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Command>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        message.max_rows = message.max_rows.clamp(0, MAX_ROWS);
        self._on_execute(client, message).await
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Command>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Command>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if portal.parameter_len() > 0 {
            let text = format!("{} parameters were given, none is needed", portal.parameter_len());
            return Err(Failure::error(PROTOCOL, text).into());
        }
        self.run(client, &portal.statement.statement, &portal.result_column_format).await
    }
}

/// Turns the text of Parse into a command.
pub(super) struct Parser;

#[async_trait]
impl QueryParser for Parser {
    type Statement = Command;

    async fn parse_sql<C>(
        &self,
        _client: &C,
        sql: &str,
        _types: &[Option<Type>],
    ) -> PgWireResult<Option<Command>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let mut commands = command::parse(sql)?;
        let command = commands.pop();
        if !commands.is_empty() {
            let text = "a prepared statement can hold only one command";
            return Err(Failure::error(NOT_SUPPORTED, text).into());
        }
        Ok(command)
    }

    fn get_parameter_types(&self, _: &Command) -> PgWireResult<Vec<Type>> {
        Ok(Vec::new())
    }

    fn get_result_schema(
        &self,
        command: &Command,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        let Command::Show(show, _) = command else { return Ok(Vec::new()) };
        Ok(table::fields(show.columns, format.unwrap_or(&Format::UnifiedText))?)
    }
}

//! Errors of the doors that are not for applications: the console, the pages of HTTP, an agent.

use super::catalogue::{Entry, Number};

/// An error of the console.
const fn console(
    number: u16,
    sqlstate: &'static str,
    message: &'static str,
    cause: &'static str,
    cure: &'static str,
) -> Entry {
    Entry { number: Number(number), sqlstate, errno: 0, status: 0, message, cause, cure }
}

/// An error over HTTP.
const fn page(
    number: u16,
    status: u16,
    message: &'static str,
    cause: &'static str,
    cure: &'static str,
) -> Entry {
    Entry { number: Number(number), sqlstate: "", errno: 0, status, message, cause, cure }
}

pub(super) const ENTRIES: &[Entry] = &[
    console(
        901,
        "42601",
        "unknown command: …",
        "The console does not know this command, or not in this form.",
        "SHOW HELP lists all commands.",
    ),
    console(
        902,
        "42703",
        "there is no column …",
        "WHERE or ORDER BY names a column that the list does not have.",
        "The message's hint has the columns.",
    ),
    console(
        903,
        "42704",
        "there is no cluster …",
        "The command names a cluster or a client that is not there.",
        "SHOW DATABASES has the clusters, SHOW CLIENTS the clients.",
    ),
    console(
        904,
        "0A000",
        "a prepared statement can hold only one command",
        "The console takes one command at a time there.",
        "Send them one after the other.",
    ),
    console(
        905,
        "F0000",
        "not reloaded",
        "The configuration has problems, or the key can change only with a restart. The running configuration stays as it is.",
        "`tidegate check -c FILE` tells the same.",
    ),
    console(
        906,
        "08P01",
        "protocol violation on the console",
        "What the client sent is not PostgreSQL's protocol.",
        "Use psql, or a common driver.",
    ),
    console(
        907,
        "55000",
        "it is not possible now",
        "The cluster is not in a state for this command; the message says what is in the way.",
        "SHOW NODES, SHOW TERM and SHOW BACKUPS tell more.",
    ),
    console(
        908,
        "XX000",
        "internal error of the console",
        "A fault of Tidegate's.",
        "Please report it, with the proxy's log.",
    ),
    console(
        909,
        "53300",
        "the console's limit of … connections is reached",
        "Too many administrators, or a tool that does not close its connections.",
        "Close some.",
    ),
    console(
        910,
        "08006",
        "the login took longer than …",
        "The client did not finish its login to the console.",
        "Connect again.",
    ),
    console(
        911,
        "28P01",
        "password authentication failed for user … on the console",
        "The password is wrong, or there is no such user of the console.",
        "console.users in the configuration has them; changes need a restart.",
    ),
    console(
        912,
        "28000",
        "the console needs …",
        "The client named no user, or came without TLS where console.tls asks for it.",
        "Name a user; connect with sslmode=require or stronger.",
    ),
    console(
        913,
        "3D000",
        "database … is not served here (console)",
        "The console's database is tidegate.",
        "psql -p 6433 tidegate; applications use the other port.",
    ),
    console(
        914,
        "57P01",
        "tidegate is shutting down (console)",
        "The process was told to stop.",
        "Connect again.",
    ),
    console(
        915,
        "42501",
        "user … may only look",
        "The user of the console has read_only = true, and the command changes something.",
        "Let an administrator do it, or set read_only = false.",
    ),
    page(
        951,
        401,
        "a valid bearer token is required",
        "http.token is set, and the request brings neither the token nor the cookie of a browser that logged in with it.",
        "Send \"Authorization: Bearer TOKEN\"; the dashboard asks for the token.",
    ),
    page(
        952,
        403,
        "commands need a token",
        "Without http.token the pages are open to read, and nobody may change anything over them: any page that a browser on this machine shows could.",
        "Set http.token_file and start anew, or use the console.",
    ),
    page(
        953,
        403,
        "no token is configured",
        "A browser wants to log in, and there is no http.token.",
        "Set http.token_file and start anew; to look, no login is needed.",
    ),
    page(
        954,
        401,
        "this is not the token",
        "A browser logs in with another token than that of http.token.",
        "Take the one in the file of http.token_file. It is read at the start.",
    ),
    page(
        955,
        500,
        "no random numbers",
        "The system gave none, so that no session could be opened.",
        "Look at the machine's log.",
    ),
    page(
        956,
        404,
        "nothing is served here",
        "There is no page of this name.",
        "The hint has the pages that are there.",
    ),
    page(
        957,
        405,
        "this page takes no such method",
        "A page that is read was posted to, or the other way round.",
        "POST for /api/v1/login, logout and command, GET for the others.",
    ),
    page(
        958,
        400,
        "…",
        "The body of the request or its query is not understood; the message says where.",
        "Commands are {\"command\": \"…\"} with the header Content-Type: application/json.",
    ),
    page(
        971,
        409,
        "…",
        "An agent was told something in the name of a term that has ended: the proxy that said so is not the one that reigns.",
        "Nothing was done. Look for a second proxy of the same cluster: SHOW TERM on each.",
    ),
    page(
        972,
        409,
        "…",
        "What the agent was told to do would let its server be what the term does not allow.",
        "Nothing was done. SHOW TERM and SHOW NODES tell who reigns.",
    ),
    page(
        973,
        409,
        "… is being carried out",
        "An agent does one thing at a time.",
        "Ask for its status until it is over.",
    ),
    page(
        974,
        500,
        "…",
        "The agent tried, and the server or one of its programs failed; the message has their words.",
        "The agent's log has more. Mend the cause; the order may be given again.",
    ),
    page(
        975,
        400,
        "…",
        "The agent does not know this order, or not in this form: another version of Tidegate, or something else speaks to its port.",
        "Let proxy and agents be of one version.",
    ),
    page(
        976,
        401,
        "a valid bearer token is required (agent)",
        "The agent has a token, and the caller brings another one, or none.",
        "nodes.agent.token_file of the proxy and token_file of the agent must hold the same.",
    ),
    page(
        977,
        404,
        "nothing is served here (agent)",
        "An agent has /v1/status and the orders below /v1/, which are posted.",
        "Something else than Tidegate asks: look at what connects there.",
    ),
];

//! `tidegate import`: what other proxies were told, told to us; what cannot be is named with its line.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

struct Imported {
    folder: TempDir,
    /// The configuration.
    text: String,
    /// What was said of it.
    told: String,
}

impl Imported {
    fn config(&self) -> PathBuf {
        self.folder.path().join("tidegate.toml")
    }

    fn read(&self) -> toml::Table {
        self.text.parse().expect("TOML")
    }

    /// Something is said of this line.
    fn says(&self, line: usize, what: &str) {
        let start = format!("line {line}: ");
        let said = self.told.lines().any(|l| l.contains(&start) && l.contains(what));
        assert!(said, "nothing of {what:?} in line {line}:\n{}", self.told);
    }
}

fn tidegate(arguments: &[&str], in_folder: &Path) -> (bool, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let out = command.args(arguments).current_dir(in_folder).stdin(Stdio::null()).output();
    let out = out.expect("the program");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (out.status.success(), text(out.stdout), text(out.stderr))
}

/// Copies the samples, imports one of them, and lets `check` look at the result.
fn import(sample: &str) -> Imported {
    let folder = tempfile::tempdir().expect("a folder");
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/samples");
    for file in std::fs::read_dir(samples).expect("the samples") {
        let file = file.expect("a file").path();
        std::fs::copy(&file, folder.path().join(file.file_name().expect("a name")))
            .expect("a copy");
    }
    let (done, _, told) = tidegate(&["import", sample, "-o", "tidegate.toml"], folder.path());
    assert!(done, "{told}");
    let text =
        std::fs::read_to_string(folder.path().join("tidegate.toml")).expect("what was written");
    let (fine, _, problems) = tidegate(&["check", "-c", "tidegate.toml"], folder.path());
    assert!(fine, "{problems}\n{text}");
    Imported { folder, text, told }
}

#[test]
fn a_pgbouncer_ini_becomes_a_configuration_that_check_passes() {
    let done = import("pgbouncer.ini");
    let read = done.read();
    assert_eq!(read["listen"]["postgres"].as_str(), Some("0.0.0.0:7432"));
    assert_eq!(read["listen"]["reuse_port"].as_bool(), Some(true));
    let shop = &read["clusters"]["shop"];
    assert_eq!(shop["databases"].as_array().map(Vec::len), Some(2), "{shop}");
    assert_eq!(shop["nodes"][0]["address"].as_str(), Some("10.0.0.1:5432"));
    let pool = &shop["pool"];
    assert_eq!((pool["mode"].as_str(), pool["size"].as_integer()), (Some("transaction"), Some(25)));
    assert_eq!(
        (pool["idle_timeout"].as_str(), pool["query_wait"].as_str()),
        (Some("90s"), Some("2m"))
    );
    assert_eq!(pool["databases"]["shop"]["max_clients"].as_integer(), Some(40));
    // Its own pool, so its own cluster; a star, and all its hosts.
    assert_eq!(read["clusters"]["reports"]["pool"]["mode"].as_str(), Some("session"));
    assert_eq!(read["clusters"]["main"]["nodes"].as_array().map(Vec::len), Some(2));
    let forced = &read["clusters"]["shop_old"]["auth"]["users"]["postgres"];
    assert_eq!(forced["server_user"].as_str(), Some("legacy"));
    let lookup = &shop["auth"]["auth_query"];
    assert_eq!(lookup["query"].as_str(), Some("SELECT usename, passwd FROM lookup($1)"));
    assert_eq!(shop["auth"]["users"]["batch"]["max_clients"].as_integer(), Some(7));
    assert_eq!(read["console"]["users"]["stats"]["read_only"].as_bool(), Some(true));
}

#[test]
fn what_pgbouncer_had_and_we_have_not_is_named_with_its_line() {
    let done = import("pgbouncer.ini");
    done.says(5, "reports: connect_query");
    done.says(6, "a database has one name here, and it is \"shop_old\"");
    done.says(7, "Unix socket");
    done.says(18, "no Unix sockets here");
    done.says(19, "auth_type = md5");
    done.says(20, "user \"old\" (line 4) has an md5 hash");
    done.says(23, "the password of \"nobody\" is not known");
    done.says(32, "there is no reserve. Raise pool.size by it.");
    done.says(40, "made_up_setting = 3: it is not known to this importer");
    for line in done.told.lines().filter(|line| line.contains("line ")) {
        let rest = line.split_once("line ").expect("a line").1;
        let number = rest.split(':').next().and_then(|n| n.trim().parse::<usize>().ok());
        assert!(number.is_some_and(|number| (1..=40).contains(&number)), "{line}");
    }
}

#[test]
fn a_pg_hba_conf_becomes_rules_and_what_they_cannot_say_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/samples");
    for file in ["pgbouncer-hba.ini", "pg_hba.conf", "old-users", "userlist.txt"] {
        std::fs::copy(samples.join(file), folder.path().join(file)).expect("a copy");
    }
    for file in ["pgbouncer.crt", "pgbouncer.key", "clients.crt"] {
        std::fs::write(folder.path().join(file), "").expect("a file");
        let mine = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.path().join(file), mine).expect("a file of mine");
    }
    let (done, _, told) =
        tidegate(&["import", "pgbouncer-hba.ini", "-o", "tidegate.toml"], folder.path());
    assert!(done, "{told}");
    let (fine, _, problems) = tidegate(&["check", "-c", "tidegate.toml"], folder.path());
    assert!(fine, "{problems}");
    let text = std::fs::read_to_string(folder.path().join("tidegate.toml")).expect("a file");
    let read: toml::Table = text.parse().expect("TOML");
    let auth = &read["clusters"]["shop"]["auth"];
    assert!(auth.get("method").is_none(), "it would count for nobody");
    let rules = auth["rules"].as_array().expect("rules");
    let rule = |text: &str| text.parse::<toml::Table>().expect("TOML").into();
    let wanted: Vec<toml::Value> = vec![
        rule("method = 'trust'\nfrom = ['127.0.0.1/32']"),
        rule("method = 'trust'\nfrom = ['::1/128']"),
        rule("method = 'reject'\nusers = ['eve', 'mallory m']"),
        // Its group is not known: nobody gets in by a later rule instead.
        rule("method = 'reject'\ndatabases = ['billing']\nfrom = ['0.0.0.0/0']"),
        rule("method = 'reject'\nusers = ['carol', 'dave', 'o brien']"),
        rule(
            "method = 'scram'\nusers = ['app']\ndatabases = ['shop', 'billing']\n\
             from = ['10.0.0.0/8']\ntls = 'required'",
        ),
        rule(
            "method = 'scram'\nusers = ['batch']\ndatabases = ['shop']\nfrom = ['192.168.7.0/24']",
        ),
        rule("method = 'reject'\nfrom = ['10.0.0.0/8']\ntls = 'refused'"),
        rule("method = 'cert'\nfrom = ['0.0.0.0/0']\ntls = 'required'"),
        rule(
            "method = 'scram'\nusers = ['replicator']\ndatabases = ['replication']\nfrom = ['10.0.0.0/8']",
        ),
        rule("method = 'password'\nfrom = ['2001:db8::/32']"),
    ];
    assert_eq!(*rules, wanted, "{text}");
    let reasons = [
        (2, "no Unix sockets"),
        (3, "no Unix sockets"),
        (11, "groups are not known here. Now it rejects whatever else it says"),
        (15, "md5 is broken"),
        (17, "names are not mapped"),
        (18, "does not compare the database with the user"),
        (19, "groups are not known here"),
        (20, "addresses, not names of machines"),
        (21, "addresses, not names of machines"),
        (22, "it is about the console"),
        (23, "there is no GSSAPI"),
        (24, "no such way to prove who one is"),
    ];
    for (line, why) in reasons {
        let start = format!("its line {line} (");
        let said = told.lines().any(|told| told.contains(&start) && told.contains(why));
        assert!(said, "nothing of {why:?} in line {line}:\n{told}");
    }
    assert_eq!(told.lines().filter(|told| told.contains("its line ")).count(), reasons.len());
    assert!(!told.contains("very secret") && !text.contains("very secret"));
}

#[test]
fn a_pg_hba_conf_that_cannot_be_read_lets_nobody_in_without_a_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let text =
        "[databases]\na = host=h\n[pgbouncer]\nauth_type = hba\nauth_hba_file = /nowhere/hba\n";
    std::fs::write(folder.path().join("pgbouncer.ini"), text).expect("a file");
    let (done, toml, told) = tidegate(&["import", "pgbouncer.ini"], folder.path());
    assert!(done && toml.contains("method = \"scram\""), "{toml}");
    assert!(
        told.contains("line 5: auth_hba_file = /nowhere/hba: the file cannot be read"),
        "{told}"
    );
    let text = text.replace("hba\nauth_hba", "trust\nauth_hba");
    std::fs::write(folder.path().join("pgbouncer.ini"), text).expect("a file");
    let (_, _, told) = tidegate(&["import", "pgbouncer.ini"], folder.path());
    assert!(told.contains("only with auth_type = hba"), "{told}");
}

#[test]
fn what_belongs_to_users_who_are_not_known_is_named_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[databases]\nold = host=h user=baz password=foo\n[users]\nghost = pool_size=3\n";
    std::fs::write(folder.path().join("pgbouncer.ini"), text).expect("a file");
    let (done, toml, told) = tidegate(&["import", "pgbouncer.ini"], folder.path());
    assert!(done && toml.contains("[clusters.old.auth.auth_query]"), "{toml}\n{told}");
    assert!(told.contains("line 2: old: user = baz: users who are not listed keep"), "{told}");
    assert!(told.contains("line 4: [users] ghost: the user's password is not known"), "{told}");
    assert!(!toml.contains("foo"), "{toml}");
}

#[test]
fn passwords_are_kept_in_files_of_their_owner_and_nowhere_else() {
    use std::os::unix::fs::PermissionsExt;
    let done = import("pgbouncer.ini");
    let folder = done.folder.path().join("tidegate.secrets");
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a secret");
    assert_eq!(read("user-postgres"), "pg-secret");
    assert_eq!(read("server-legacy"), "it's secret");
    assert_eq!(mode(&folder.join("user-postgres")), 0o600);
    for text in [&done.text, &done.told] {
        assert!(!text.contains("pg-secret") && !text.contains("it's secret"), "{text}");
    }
    // Nothing of what is there is replaced unasked.
    let again = tidegate(&["import", "pgbouncer.ini", "-o", "tidegate.toml"], done.folder.path());
    assert!(!again.0 && again.2.contains("--force replaces it"), "{}", again.2);
    assert!(done.config().exists());
}

#[test]
fn without_a_file_to_write_passwords_are_in_the_environment() {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/samples");
    let (done, text, told) = tidegate(&["import", "proxysql.cnf"], &samples);
    assert!(done, "{told}");
    assert!(text.contains("password_env = \"TIDEGATE_USER_SHOP\""), "{text}");
    assert!(told.contains("to be set: TIDEGATE_USER_SHOP"), "{told}");
    assert!(!text.contains("monitor-secret") && !told.contains("monitor-secret"));
}

#[test]
fn a_proxysql_cnf_becomes_a_configuration_that_check_passes() {
    let done = import("proxysql.cnf");
    let read = done.read();
    assert_eq!(read["workers"].as_integer(), Some(4));
    assert_eq!(read["listen"]["mysql"].as_str(), Some("0.0.0.0:6033"));
    let main = &read["clusters"]["main"];
    assert_eq!(main["engine"].as_str(), Some("mysql"));
    let weights = |at: usize| main["nodes"][at].get("weight").and_then(toml::Value::as_integer);
    assert_eq!((weights(0), weights(1), weights(2)), (None, Some(5), Some(0)));
    assert_eq!(main["route"]["max_staleness"].as_str(), Some("10s"));
    assert_eq!(main["tls"]["mode"].as_str(), Some("require"));
    assert_eq!(main["pool"]["max_per_node"].as_integer(), Some(200));
    assert_eq!(main["monitor"]["user"].as_str(), Some("monitor"));
    assert_eq!(main["auth"]["users"]["shop"]["max_clients"].as_integer(), Some(100));
    let rule = &main["route"]["rules"][0];
    assert_eq!((rule["user"].as_str(), rule["to"].as_str()), (Some("reports"), Some("replica")));
    done.says(6, "the password of \"admin\" is its name");
    done.says(14, "default_query_timeout");
    done.says(28, "Unix socket");
    done.says(40, "the user is not active");
    done.says(46, "reads go to replicas by themselves");
    done.says(48, "cache_ttl");
    done.says(48, "not matched by regular expressions");
    done.says(51, "no programs are started");
}

#[test]
fn a_maxscale_cnf_and_a_haproxy_cfg_become_clusters() {
    let done = import("maxscale.cnf");
    let read = done.read();
    assert_eq!(read["listen"]["mysql"].as_str(), Some("0.0.0.0:4006"));
    let main = &read["clusters"]["main"];
    assert_eq!(main["engine"].as_str(), Some("mariadb"));
    assert_eq!(main["nodes"][1]["name"].as_str(), Some("server2"));
    assert_eq!(main["monitor"]["user"].as_str(), Some("monitor_user"));
    done.says(40, "one port serves reads and writes");
    done.says(22, "auto_failover");

    let done = import("haproxy.cfg");
    let read = done.read();
    assert_eq!(read["listen"]["postgres"].as_str(), Some("0.0.0.0:5000"));
    let nodes = &read["clusters"]["main"]["nodes"];
    assert_eq!(nodes.as_array().map(Vec::len), Some(3), "{nodes}");
    done.says(10, "one port serves reads and writes");
    done.says(20, "it became a node like the others");
}

#[test]
fn a_file_that_is_nobodys_or_wrong_is_an_error_with_its_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let told = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
        let (done, _, told) = tidegate(&["import", name], folder.path());
        assert!(!done);
        told
    };
    assert!(told("x.conf", "hello").contains("it is not known whose configuration x.conf is"));
    assert!(told("x.conf", "hello").contains("--from"));
    let empty = told("pgbouncer.ini", "[pgbouncer]\nlisten_port = 1\n");
    assert!(empty.contains("names no database server"), "{empty}");
    let wrong = told("pgbouncer.ini", "[databases]\na = host='x\n");
    assert!(wrong.contains("pgbouncer.ini:2: is no connection string"), "{wrong}");
    let open = told("proxysql.cnf", "mysql_servers = (\n{ address=\"a\" \n");
    assert!(open.contains("proxysql.cnf:3: "), "{open}");
}

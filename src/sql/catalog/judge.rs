//! From what a server says to a catalog: whatever uses something harmful is harmful, at any depth.
//!
//! Everything starts as what it says of itself; then each is looked at again with what is known of
//! the things it uses, until nothing changes. Recursion is no effect by itself.

use std::collections::HashMap;

use super::raw::{Domain, Function, Oid, Raw, Relation, RelationKind};
use super::{Catalog, IMPLIED, Meaning, body};
use crate::sql::analysis::Step;
use crate::sql::classify::classify;
use crate::sql::functions::{Call, Functions};
use crate::sql::names::Names;

/// Functions of PostgreSQL's own extensions that are VOLATILE because each call gives another
/// answer, as `random()` does.
const RANDOM: [(&str, &[&str]); 3] = [
    (
        "pgcrypto",
        &[
            "gen_random_bytes",
            "gen_random_uuid",
            "gen_salt",
            "pgp_pub_encrypt",
            "pgp_pub_encrypt_bytea",
            "pgp_sym_encrypt",
            "pgp_sym_encrypt_bytea",
        ],
    ),
    ("tablefunc", &["normal_rand"]),
    ("uuid-ossp", &["uuid_generate_v1", "uuid_generate_v1mc", "uuid_generate_v4"]),
];

/// What is known so far, by number.
#[derive(Default)]
struct Known {
    functions: HashMap<Oid, Meaning>,
    relations: HashMap<Oid, Meaning>,
}

impl Catalog {
    /// What follows from `raw`, and from what the operator knows better.
    pub(in crate::sql) fn conclude(raw: &Raw, functions: &Functions) -> Catalog {
        let mut known = first(raw, functions);
        let mut catalog = named(raw, &known);
        loop {
            let names = Names { functions, catalog: &catalog };
            let next = once_more(raw, &known, names);
            let settled = next.functions == known.functions && next.relations == known.relations;
            known = next;
            catalog = named(raw, &known);
            if settled {
                break;
            }
        }
        catalog.number = Catalog::next_number();
        catalog
    }
}

/// What each says of itself.
fn first(raw: &Raw, functions: &Functions) -> Known {
    let nothing = Catalog::default();
    let names = Names { functions, catalog: &nothing };
    let builtin = |(oid, name): &(Oid, String)| {
        let meaning = match names.call(Some("pg_catalog"), name) {
            // A view names the setting that it asks for, which is the session's as a rule.
            Call::Harmless | Call::CurrentSetting => Meaning::HARMLESS,
            Call::Unknown | Call::SetConfig | Call::SessionLock => Meaning::ANYTHING,
            _ => Meaning { effect: true, keeps: false },
        };
        (*oid, meaning)
    };
    let own = raw.functions.iter().map(|f| (f.oid, of_itself(f, functions)));
    Known {
        functions: raw.builtins.iter().map(builtin).chain(own).collect(),
        relations: raw.relations.iter().map(|r| (r.oid, alone(r))).collect(),
    }
}

fn of_itself(function: &Function, functions: &Functions) -> Meaning {
    if let Some(meaning) = overruled(function, functions) {
        return meaning;
    }
    let Function { name, extension, language, body, volatile, writes, .. } = function;
    let random = RANDOM
        .iter()
        .any(|(its, names)| extension.as_deref() == Some(its) && names.contains(&name.as_str()));
    if random {
        return Meaning::HARMLESS;
    }
    match &**language {
        // The parts of an aggregate and the body decide.
        "sql" => Meaning { effect: *writes, keeps: false },
        // Its body decides, too.
        "plpgsql" => Meaning { effect: *volatile && body.is_none(), keeps: body.is_none() },
        "c" | "internal" => Meaning { effect: *volatile, keeps: *volatile },
        _ => Meaning { effect: *volatile, keeps: true },
    }
}

/// What the operator says of it.
fn overruled(function: &Function, functions: &Functions) -> Option<Meaning> {
    match functions.verdict(&function.schema, &function.name)? {
        true => Some(Meaning::HARMLESS),
        false => Some(Meaning::ANYTHING),
    }
}

fn alone(relation: &Relation) -> Meaning {
    let effect = !matches!(relation.kind, RelationKind::Query);
    Meaning { effect, keeps: false }
}

/// Each with what it uses.
fn once_more(raw: &Raw, known: &Known, names: Names<'_>) -> Known {
    let used = |functions: &[Oid], relations: &[Oid]| {
        let called = functions.iter().filter_map(|oid| known.functions.get(oid));
        let read = relations.iter().filter_map(|oid| known.relations.get(oid));
        called.chain(read).copied().fold(Meaning::HARMLESS, Meaning::and)
    };
    let mut next = Known { functions: known.functions.clone(), relations: HashMap::new() };
    for function in &raw.functions {
        if overruled(function, names.functions).is_some() {
            continue;
        }
        let meaning = next.functions.entry(function.oid).or_default();
        let uses = used(&function.functions, &function.relations);
        *meaning = meaning.and(uses).and(of_body(function, *meaning, names));
    }
    for relation in &raw.relations {
        let uses = used(&relation.functions, &relation.relations);
        next.relations.insert(relation.oid, alone(relation).and(uses));
    }
    next
}

/// What the text of a function does. What it promises by its volatility need not be proven.
fn of_body(function: &Function, meaning: Meaning, names: Names<'_>) -> Meaning {
    let Some(text) = &function.body else { return Meaning::HARMLESS };
    match (&*function.language, function.volatile) {
        _ if meaning == Meaning::ANYTHING => Meaning::HARMLESS,
        ("sql", true) => {
            let analysis = classify(text.as_bytes(), names).analysis;
            let keeps = analysis.steps.iter().any(|step| !matches!(step, Step::Plain));
            Meaning { effect: analysis.primary.is_some(), keeps }
        }
        ("plpgsql", true) => body::prove(text, names),
        ("sql" | "plpgsql", _) => body::read(text, names),
        _ => Meaning::HARMLESS,
    }
}

/// The tables by name.
fn named(raw: &Raw, known: &Known) -> Catalog {
    let mut catalog = Catalog::default();
    let of = |oid: Oid| known.functions.get(&oid).copied().unwrap_or_default();
    for f in &raw.functions {
        catalog.functions.add(&f.schema, &f.name, of(f.oid));
    }
    let relations = raw.relations.iter().filter_map(|r| Some((r, *known.relations.get(&r.oid)?)));
    for (relation, meaning) in relations.filter(|(_, meaning)| *meaning != Meaning::HARMLESS) {
        catalog.relations.add(&relation.schema, &relation.name, meaning);
    }
    for operator in &raw.operators {
        let meaning = of(operator.function);
        if meaning == Meaning::HARMLESS {
            continue;
        }
        catalog.operators.add(&operator.schema, &operator.name, meaning);
        if IMPLIED.contains(&operator.name.as_str()) {
            catalog.conversions = Some(catalog.conversions.unwrap_or_default().and(meaning));
        }
    }
    for cast in &raw.casts {
        let meaning = of(cast.function);
        match meaning {
            Meaning::HARMLESS => {}
            _ if cast.implicit => {
                catalog.conversions = Some(catalog.conversions.unwrap_or_default().and(meaning));
            }
            _ => catalog.types.add(&cast.schema, &cast.target, meaning),
        }
    }
    for domain in &raw.domains {
        let meaning = checks(domain, raw, &of);
        if meaning != Meaning::HARMLESS {
            catalog.types.add(&domain.schema, &domain.name, meaning);
        }
    }
    catalog
}

/// The checks of a domain and of those that it is over.
fn checks(domain: &Domain, raw: &Raw, of: &impl Fn(Oid) -> Meaning) -> Meaning {
    let mut meaning = Meaning::HARMLESS;
    let mut next = Some(domain);
    while let Some(domain) = next {
        meaning = domain.functions.iter().map(|oid| of(*oid)).fold(meaning, Meaning::and);
        next = raw.domains.iter().find(|base| base.oid == domain.base);
    }
    meaning
}

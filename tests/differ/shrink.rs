//! A failing script made short: delta debugging (Zeller and Hildebrandt, 2002) over clients,
//! steps, and the messages of a step.

use crate::script::{Script, Step};

/// The shortest script that was found for which `fails` holds; it holds for `script`.
pub async fn shrink(script: Script, mut fails: impl AsyncFnMut(&Script) -> bool) -> Script {
    let mut script = script;
    for client in (0..script.clients()).rev() {
        let without = script.steps.iter().filter(|step| step.client != client).cloned();
        let without = Script { steps: without.collect() };
        if fails(&without).await {
            script = without;
        }
    }
    let mut size = script.steps.len().div_ceil(2);
    loop {
        let before = script.steps.len();
        script = drop_chunks(script, size, &mut fails).await;
        if size == 1 && script.steps.len() == before {
            break;
        }
        size = (size / 2).clamp(1, script.steps.len().max(1));
    }
    renumber(drop_messages(script, &mut fails).await)
}

/// Leaves out `size` steps at a time, from the end, wherever it still fails.
async fn drop_chunks(
    mut script: Script,
    size: usize,
    fails: &mut impl AsyncFnMut(&Script) -> bool,
) -> Script {
    let mut end = script.steps.len();
    while end > 0 {
        let start = end.saturating_sub(size);
        let mut steps = script.steps.clone();
        steps.drain(start..end);
        let without = Script { steps };
        if fails(&without).await {
            script = without;
        }
        end = start.min(script.steps.len());
    }
    script
}

async fn drop_messages(mut script: Script, fails: &mut impl AsyncFnMut(&Script) -> bool) -> Script {
    for at in 0..script.steps.len() {
        // The last message stays: it makes the server answer.
        let mut message = script.steps[at].messages.len() - 1;
        while message > 0 {
            message -= 1;
            let mut without = script.clone();
            without.steps[at].messages.remove(message);
            if fails(&without).await {
                script = without;
            }
        }
    }
    script
}

/// The clients that are left, from 0 on; tables keep the numbers in their names.
fn renumber(script: Script) -> Script {
    let mut seen: Vec<usize> = script.steps.iter().map(|step| step.client).collect();
    seen.sort_unstable();
    seen.dedup();
    let place = |client: usize| seen.binary_search(&client).unwrap_or(client);
    let steps = script.steps.into_iter();
    Script {
        steps: steps.map(|s| Step { client: place(s.client), messages: s.messages }).collect(),
    }
}

#[tokio::test]
async fn what_makes_it_fail_is_all_that_is_left() {
    let script = crate::generate::script(1);
    let needed = [script.steps[10].messages[0].clone(), script.steps[90].messages[0].clone()];
    let fails = async |s: &Script| {
        needed.iter().all(|n| s.steps.iter().any(|step| step.messages.contains(n)))
    };
    let left = shrink(script, fails).await;
    let messages: Vec<_> = left.steps.into_iter().flat_map(|step| step.messages).collect();
    assert!(messages.len() <= 4, "{messages:?}");
}

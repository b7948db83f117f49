//! `tidegate man`: manual pages, from the same words as `--help`.

use super::{Arguments, EXIT_CODES, fail, print};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::Roff;
use std::io;
use std::process::ExitCode;

/// The page of a command by its words; of the program itself without any.
pub(super) fn man(words: &[String]) -> ExitCode {
    let mut command = Arguments::command();
    command.build();
    let mut found = &command;
    for word in words {
        match found.find_subcommand(word) {
            Some(sub) => found = sub,
            None => return fail(&format!("there is no command {:?}", words.join(" "))),
        }
    }
    // What --help says at its end is a section of its own here.
    let plain = found.clone().after_help("").display_name(name(words));
    match page(plain) {
        Ok(text) => print(&text),
        Err(error) => fail(&error.to_string()),
    }
}

fn name(words: &[String]) -> String {
    std::iter::once("tidegate")
        .chain(words.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("-")
}

fn page(command: Command) -> io::Result<String> {
    let (subcommands, version) = (command.has_subcommands(), command.get_version().is_some());
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if subcommands {
        man.render_subcommands_section(&mut page)?;
    }
    let mut end = Roff::new();
    end.control("SH", ["EXIT STATUS"]);
    end.control("nf", []);
    for line in EXIT_CODES.lines().skip(1) {
        end.text([clap_mangen::roff::roman(line)]);
    }
    end.control("fi", []);
    end.control("SH", ["FILES"]);
    let files = "tidegate.toml, named by -c: tidegate reference prints every key.";
    end.text([clap_mangen::roff::roman(files)]);
    end.to_writer(&mut page)?;
    if version {
        man.render_version_section(&mut page)?;
    }
    Ok(String::from_utf8_lossy(&page).into_owned())
}

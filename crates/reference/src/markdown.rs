//! One markdown page for each program.

use std::fmt::Write;

use clap::{Arg, Command};

use crate::programs::{call, tree};

/// The page of a program with all its commands.
pub(crate) fn page(program: &Command) -> String {
    let mut page = String::from("<!-- Made by `cargo xtask generate` from the program itself. -->\n");
    for command in tree(program) {
        section(&mut page, program, command);
    }
    page
}

fn section(page: &mut String, program: &Command, command: &Command) {
    let is_program = call(command) == program.get_name();
    let mark = if is_program { "#" } else { "\n##" };
    let _ = writeln!(page, "{mark} {}\n", call(command));
    if let Some(about) = command.get_long_about().or(command.get_about()) {
        let _ = writeln!(page, "{}\n", paragraphs(&about.to_string()));
    }
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim();
    for line in usage.lines() {
        let _ = writeln!(page, "    {}", line.trim());
    }
    let arguments: Vec<&Arg> = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
        // Those of the program hold for all its commands; it lists them.
        .filter(|argument| is_program || !(argument.is_global_set() || argument.get_id() == "help"))
        .collect();
    if !arguments.is_empty() {
        page.push('\n');
    }
    for argument in arguments {
        let _ = writeln!(page, "- `{}`: {}", form(argument), description(argument));
    }
    let below: Vec<&Command> = command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
        .collect();
    if !below.is_empty() {
        page.push_str("\n| command | |\n|---|---|\n");
    }
    for command in below {
        let name = call(command);
        let anchor = name.replace(' ', "-");
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(page, "| [`{name}`](#{anchor}) | {} |", escape(&about));
    }
    if let Some(help) = command.get_after_long_help().or(command.get_after_help()) {
        page.push('\n');
        for line in help.to_string().lines() {
            match line.strip_prefix("  ") {
                Some(line) => {
                    let _ = writeln!(page, "    {line}");
                }
                None if line.is_empty() => page.push('\n'),
                None => {
                    let _ = writeln!(page, "{}\n", escape(line));
                }
            }
        }
    }
}

/// `-l, --level <LEVEL>`, `[KEY]`.
fn form(argument: &Arg) -> String {
    let mut form = String::new();
    if let Some(short) = argument.get_short() {
        let _ = write!(form, "-{short}");
        if argument.get_long().is_some() {
            form.push_str(", ");
        }
    }
    // The text of an argument is its long form with the names of its values.
    let _ = write!(form, "{argument}");
    form
}

fn description(argument: &Arg) -> String {
    let help = argument.get_long_help().or(argument.get_help());
    let mut text = escape(
        &help
            .map(ToString::to_string)
            .unwrap_or_default()
            .replace('\n', " "),
    );
    let takes_value = argument.get_action().takes_values();
    if takes_value && !argument.is_hide_possible_values_set() {
        let values: Vec<String> = argument
            .get_possible_values()
            .iter()
            .filter(|value| !value.is_hide_set())
            .map(|value| match value.get_help() {
                Some(help) => format!("`{}` ({})", value.get_name(), escape(&help.to_string())),
                None => format!("`{}`", value.get_name()),
            })
            .collect();
        if !values.is_empty() {
            let _ = write!(text, ". One of {}", values.join(", "));
        }
    }
    if takes_value && !argument.get_default_values().is_empty() && !argument.is_hide_default_value_set() {
        let defaults: Vec<_> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        let _ = write!(text, ". Default: `{}`", defaults.join(" "));
    }
    if let Some(variable) = argument.get_env() {
        let _ = write!(
            text,
            ". Also from the environment: `{}`",
            variable.to_string_lossy()
        );
    }
    text
}

/// Sentences of help as markdown: what stands indented is an example.
fn paragraphs(text: &str) -> String {
    text.lines()
        .map(|line| match line.strip_prefix("  ") {
            Some(line) => format!("    {line}"),
            None => escape(line),
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Text without what markdown would take for its own, outside of code.
fn escape(text: &str) -> String {
    text.split('`')
        .enumerate()
        .map(|(part, text)| {
            if part % 2 == 1 {
                return format!("`{text}`");
            }
            let mut escaped = String::new();
            for letter in text.chars() {
                if matches!(letter, '<' | '>' | '*' | '_' | '|' | '[' | ']') {
                    escaped.push('\\');
                }
                escaped.push(letter);
            }
            escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_usage_arguments_commands_and_examples() {
        let mut program = Command::new("tool")
            .about("Does <things>")
            .disable_help_subcommand(true)
            .arg(
                Arg::new("level")
                    .short('l')
                    .long("level")
                    .global(true)
                    .value_parser(["low", "high"])
                    .default_value("low")
                    .help("How much"),
            )
            .subcommand(
                Command::new("go")
                    .about("Goes")
                    .arg(Arg::new("where").value_name("PLACE").help("Where to"))
                    .after_help("Example:\n  tool go home"),
            );
        program.build();
        assert_eq!(
            page(&program),
            "<!-- Made by `cargo xtask generate` from the program itself. -->\n\
             # tool\n\nDoes \\<things\\>\n\n    tool [OPTIONS] [COMMAND]\n\n\
             - `-l, --level <level>`: How much. One of `low`, `high`. Default: `low`\n\
             - `-h, --help`: Print help\n\n\
             | command | |\n|---|---|\n| [`tool go`](#tool-go) | Goes |\n\n\
             ## tool go\n\nGoes\n\n    tool go [OPTIONS] [PLACE]\n\n- `[PLACE]`: Where to\n\n\
             Example:\n\n    tool go home\n"
        );
    }
}

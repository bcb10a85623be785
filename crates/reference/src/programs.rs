//! The programs and their commands.

use clap::Command;

/// The definitions of all programs, complete: global options are in every command, every command knows its full name.
pub(crate) fn programs() -> Vec<Command> {
    [
        jetpack::command(),
        jetpackd::command(),
        cycle_server::program::command(),
        cyclecloud::command(),
    ]
    .map(|program| {
        let mut program = program.disable_help_subcommand(true);
        program.build();
        program
    })
    .into()
}

/// The command and all commands below it, each after the one that it belongs to. Hidden ones are left out.
pub(crate) fn tree(command: &Command) -> Vec<&Command> {
    let mut all = vec![command];
    for below in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        all.extend(tree(below));
    }
    all
}

/// The words that call a command: `cyclecloud project init`.
pub(crate) fn call(command: &Command) -> &str {
    command.get_bin_name().unwrap_or_else(|| command.get_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(mut check: impl FnMut(&Command, &Command)) {
        for program in programs() {
            for command in tree(&program) {
                check(&program, command);
            }
        }
    }

    #[test]
    fn every_command_and_every_argument_has_help() {
        each(|_, command| {
            assert!(command.get_about().is_some(), "`{}` has no help", call(command));
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "`{argument}` of `{}` has no help",
                    call(command)
                );
            }
        });
    }

    #[test]
    fn every_command_shows_an_example_of_itself_that_it_understands() {
        each(|program, command| {
            // One that only leads to others has its examples there.
            if command.has_subcommands() {
                return;
            }
            let name = call(command);
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(help.starts_with("Example"), "`{name}` shows no example");
            let examples: Vec<Vec<String>> = help.lines().flat_map(commands).collect();
            let own: Vec<_> = examples
                .into_iter()
                .filter(|words| words.first().is_some_and(|word| word == program.get_name()))
                .collect();
            assert!(
                own.iter().any(|words| words.join(" ").starts_with(name)),
                "no example of `{name}` calls it: {help}"
            );
            for words in own {
                if let Err(error) = program.clone().try_get_matches_from(&words) {
                    panic!("the example {words:?} is wrong: {error}");
                }
            }
        });
    }

    /// The commands of a line of an example, in words. Two blanks begin what the line says about them.
    fn commands(line: &str) -> Vec<Vec<String>> {
        let Some(line) = line.strip_prefix("  ") else {
            return Vec::new();
        };
        let line = line.trim_start().split("  ").next().unwrap_or_default();
        let mut commands = vec![vec![]];
        let (mut word, mut quote) = (None::<String>, None);
        for letter in line.chars() {
            match (letter, quote) {
                (_, Some(open)) if letter == open => quote = None,
                ('\'' | '"', None) => {
                    quote = Some(letter);
                    word.get_or_insert_default();
                }
                (' ' | '|' | '&' | ';' | '(' | ')' | '<' | '>', None) => {
                    commands.last_mut().unwrap().extend(word.take());
                    if letter != ' ' {
                        commands.push(vec![]);
                    }
                }
                _ => word.get_or_insert_default().push(letter),
            }
        }
        commands.last_mut().unwrap().extend(word);
        for command in &mut commands {
            // Variables may stand before the program.
            while command.first().is_some_and(|word| word.contains('=')) {
                command.remove(0);
            }
        }
        commands
    }

    #[test]
    fn examples_are_split_as_a_shell_does() {
        assert_eq!(
            commands("  A=1 jetpack log \"x | y\" | tail -1     says it")
                .into_iter()
                .filter(|words| !words.is_empty())
                .collect::<Vec<_>>(),
            [vec!["jetpack", "log", "x | y"], vec!["tail", "-1"]]
        );
        assert!(commands("Examples:").is_empty());
    }
}

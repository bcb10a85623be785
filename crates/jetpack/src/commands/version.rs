//! `jetpack --version`.

/// Prints the version, which scripts cut at its dots and its dash.
pub(crate) fn version() -> anyhow::Result<()> {
    Ok(terminal::out(format_args!("{}\n", node::version()))?)
}

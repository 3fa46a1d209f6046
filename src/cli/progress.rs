//! How far something is, for people on a terminal; on anything else nothing is shown.

use std::io::{IsTerminal, stderr};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where bars are shown, one below the other.
pub(super) struct Progress(MultiProgress);

impl Progress {
    /// On standard error, if people look at it.
    pub(super) fn on_terminal() -> Self {
        Self::on(match stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        })
    }

    fn on(target: ProgressDrawTarget) -> Self {
        Self(MultiProgress::with_draw_target(target))
    }

    /// Rows that move from one place to another: [`moved`] says how many.
    pub(super) fn moving(&self, length: u64) -> ProgressBar {
        self.bar(ProgressBar::new(length), "{bar:40} {percent}% {msg} {eta} left")
    }

    /// Something is done with more and more, nobody knows how many there are; the message says more.
    pub(super) fn counting(&self, what: &str) -> ProgressBar {
        let bar = ProgressBar::new_spinner().with_prefix(what.to_owned());
        self.bar(bar, "{spinner} {pos} {prefix} ({per_sec}), {msg}")
    }

    /// A walk for this handler; the message says more.
    pub(super) fn walking(&self, handler: &str) -> ProgressBar {
        let bar = ProgressBar::new(0).with_prefix(handler.to_owned());
        self.bar(bar, "{prefix} {bar:30} {pos}/{len}  {wide_msg}")
    }

    fn bar(&self, bar: ProgressBar, template: &str) -> ProgressBar {
        let bar = self.0.add(bar);
        // the templates are ours, so they are right
        match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }
    }
}

/// So many rows have been moved, which is that far.
pub(super) fn moved(bar: &ProgressBar, rows: u64, position: u64) {
    bar.set_message(format!("{rows} rows"));
    bar.set_position(position);
}

#[cfg(test)]
pub(super) mod tests {
    use indicatif::InMemoryTerm;

    use super::*;

    /// A terminal that people would look at, and what is shown on it.
    pub(crate) fn terminal() -> (InMemoryTerm, Progress) {
        let terminal = InMemoryTerm::new(5, 100);
        let progress = Progress::on(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
        (terminal, progress)
    }

    #[test]
    fn each_bar_shows_what_it_is_about() {
        let (terminal, progress) = terminal();
        let (rows, replayed, walk) =
            (progress.moving(1000), progress.counting("replayed"), progress.walking("hss"));
        moved(&rows, 250, 250);
        replayed.set_message("7 looked at");
        replayed.set_position(5);
        walk.set_length(20);
        walk.set_message("2 differ");
        walk.set_position(9);
        let shown = terminal.contents();
        for part in ["25% 250 rows", "5 replayed (", "7 looked at", "hss ", "9/20", "2 differ"] {
            assert!(shown.contains(part), "{part} is missing from\n{shown}");
        }
        [rows, replayed, walk].iter().for_each(ProgressBar::finish_and_clear);
        assert_eq!(terminal.contents(), "");
    }
}

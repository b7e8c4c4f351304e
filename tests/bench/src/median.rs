//! Several runs, one figure.

/// Runs of each measurement.
pub const RUNS: usize = 5;

/// The median of the runs, and their range as text.
#[derive(Debug, Default)]
pub struct Runs(Vec<f64>);

impl Runs {
    pub fn add(&mut self, figure: f64) {
        self.0.push(figure);
        self.0.sort_by(f64::total_cmp);
    }

    pub fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    pub fn range(&self) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(least), Some(most)) => format!("{least:.1} to {most:.1}"),
            _ => String::new(),
        }
    }
}

/// `total` spread over `count`, with the unit made `scale` times larger.
#[expect(clippy::cast_precision_loss, reason = "figures for people; 2^52 ns are 52 days")]
pub fn per(total: u64, count: u64, scale: f64) -> f64 {
    total as f64 / count as f64 / scale
}

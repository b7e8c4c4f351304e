//! How often something may be done.

use std::{fmt, str::FromStr};

/// So many a time, and so many at once: a bucket that holds `burst`, is full at first and refills steadily. All that is known of a
/// bucket is the moment at which it will be full again (the generic cell rate algorithm, ITU-T I.371); a bucket that nobody has
/// taken from, and one of which nothing is known, is full since moment 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds in which one is refilled.
    interval_us: u64,
    /// How many a full bucket holds.
    burst: u64,
}

/// How rates are reckoned.
const MICROSECONDS_PER_S: u64 = 1_000_000;

impl Rate {
    /// `count` every second, `burst` at once; 0 counts as 1.
    #[must_use]
    pub const fn per_second(count: u64, burst: u64) -> Self {
        Self::per(MICROSECONDS_PER_S, count, burst)
    }

    /// `count` every minute, `burst` at once; 0 counts as 1.
    #[must_use]
    pub const fn per_minute(count: u64, burst: u64) -> Self {
        Self::per(60 * MICROSECONDS_PER_S, count, burst)
    }

    const fn per(unit_us: u64, count: u64, burst: u64) -> Self {
        let interval_us = unit_us / if count == 0 { 1 } else { count };
        Self { interval_us, burst: if burst == 0 { 1 } else { burst } }
    }

    /// Microseconds in which an empty bucket is full again.
    #[must_use]
    pub const fn refill_us(self) -> u64 {
        self.interval_us.saturating_mul(self.burst)
    }

    /// Takes `count` at `now_us` from a bucket that is full at `full_us`: gives when it will be full then.
    ///
    /// More than a full bucket holds is let through when the bucket is full, and the rest is owed: else it would never be.
    ///
    /// # Errors
    /// There is not enough in it: milliseconds, rounded up, until there is. Nothing was taken.
    pub fn take(self, full_us: u64, now_us: u64, count: u64) -> Result<u64, u64> {
        let whole = self.refill_us();
        let most_owed = whole.saturating_mul(2);
        // A moment that is further ahead than any that is ever written: the clock was set back.
        let full_us = if full_us > now_us.saturating_add(most_owed) { now_us } else { full_us.max(now_us) };
        let taken = full_us - now_us;
        let wanted = self.interval_us.saturating_mul(count.min(self.burst));
        let missing_us = taken.saturating_add(wanted).saturating_sub(whole);
        if missing_us > 0 {
            return Err(missing_us.div_ceil(1_000));
        }
        let owed = taken.saturating_add(self.interval_us.saturating_mul(count)).min(most_owed);
        Ok(now_us.saturating_add(owed))
    }

    /// The moment before `count` were taken from a bucket that is full at `full_us`.
    #[must_use]
    pub fn give_back(self, full_us: u64, count: u64) -> u64 {
        full_us.saturating_sub(self.interval_us.saturating_mul(count))
    }
}

impl FromStr for Rate {
    type Err = String;

    /// `10/s, burst 100`; the units are `s`, `min` and `h`.
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = || {
            let (rate, burst) = text.split_once(", burst ")?;
            let (count, unit) = rate.split_once('/')?;
            let unit_us = match unit {
                "s" => MICROSECONDS_PER_S,
                "min" => 60 * MICROSECONDS_PER_S,
                "h" => 3_600 * MICROSECONDS_PER_S,
                _ => return None,
            };
            let (count, burst): (u32, u32) = (count.parse().ok()?, burst.parse().ok()?);
            let sensible = count > 0 && u64::from(count) <= unit_us && burst > 0;
            sensible.then(|| Self::per(unit_us, count.into(), burst.into()))
        };
        parsed()
            .ok_or_else(|| format!("\"{text}\" is neither \"off\" nor a rate such as \"10/s, burst 100\" (s, min, h)"))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(MICROSECONDS_PER_S, "s"), (60 * MICROSECONDS_PER_S, "min"), (3_600 * MICROSECONDS_PER_S, "h")];
        let written = units.map(|(unit_us, unit)| (unit_us, unit_us / self.interval_us, unit));
        // The first unit in which it is read as it is.
        let exact = |(unit_us, count, _): &(u64, u64, &str)| unit_us.checked_div(*count) == Some(self.interval_us);
        let (_, count, unit) = written.into_iter().find(exact).unwrap_or(written[written.len() - 1]);
        write!(f, "{count}/{unit}, burst {}", self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    const S: u64 = 1_000_000;

    #[test]
    fn a_bucket_holds_its_burst_and_refills_steadily() {
        let rate = Rate::per_second(10, 3);
        let (mut full, now) = (0, 1_000 * S);
        for _ in 0..3 {
            full = rate.take(full, now, 1).unwrap();
        }
        assert_eq!(rate.take(full, now, 1), Err(100), "the next one comes in 100 ms");
        assert_eq!(rate.take(full, now + 99_500, 1), Err(1), "rounded up");
        full = rate.take(full, now + S / 10, 1).unwrap();
        assert_eq!(rate.take(full, now + S / 10, 1), Err(100), "one was refilled, not more");
        assert_eq!(rate.take(full, now + S / 10, 3), Err(300));
        for _ in 0..3 {
            full = rate.take(full, now + 10 * S, 1).unwrap();
        }
        assert!(rate.take(full, now + 10 * S, 1).is_err(), "it never holds more than its burst");
    }

    #[test]
    fn what_is_refused_takes_nothing() {
        let rate = Rate::per_minute(2, 1);
        let full = rate.take(0, S, 1).unwrap();
        for _ in 0..100 {
            assert!(rate.take(full, 2 * S, 1).is_err());
        }
        assert!(rate.take(full, 31 * S, 1).is_ok());
    }

    #[test]
    fn more_than_a_bucket_holds_is_owed() {
        let rate = Rate::per_second(1, 10);
        let full = rate.take(0, 100 * S, 15).unwrap();
        assert_eq!(rate.take(full, 100 * S, 1), Err(6_000));
        assert!(rate.take(full, 106 * S, 1).is_ok());
        let owed = rate.take(0, 100 * S, u64::MAX).unwrap();
        assert!(rate.take(owed, 111 * S, 1).is_ok(), "a bucket's content at most is owed");
        let partly = rate.take(0, 100 * S, 1).unwrap();
        assert!(rate.take(partly, 100 * S, 15).is_err(), "only when it is full");
    }

    /// A clock that is set back by a day does not lock anybody out for a day.
    #[test]
    fn a_moment_far_ahead_is_none() {
        let rate = Rate::per_second(1, 2);
        assert!(rate.take(86_400 * S, 100 * S, 2).is_ok());
        assert_eq!(rate.take(u64::MAX, 0, 1), Ok(S));
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for text in ["10/s, burst 100", "2/min, burst 10", "1/h, burst 5", "1000000/s, burst 1", "90/min, burst 2"] {
            assert_eq!(text.parse::<Rate>().unwrap().to_string(), text);
        }
        assert_eq!("60/min, burst 1".parse::<Rate>().unwrap(), Rate::per_second(1, 1));
        for text in
            ["", "10", "10/s", "0/s, burst 1", "1/s, burst 0", "1/d, burst 1", "-1/s, burst 1", "2000000/s, burst 1"]
        {
            let refusal = text.parse::<Rate>().unwrap_err();
            assert!(refusal.contains(&format!("\"{text}\"")), "{refusal}");
        }
    }
}

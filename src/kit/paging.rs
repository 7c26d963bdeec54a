//! Pages of a list as query parameters ask for them (contract 1.8).

use super::limits::{PER_PAGE_DEFAULT, PER_PAGE_MAX};

/// Which page, how long, and whether everything is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// From 1.
    pub page: u64,
    /// 1 to [`PER_PAGE_MAX`].
    pub per_page: u32,
    /// Leave the totals out.
    pub skip_total: bool,
}

impl Paging {
    /// From the texts of `page`, `perPage` and `skipTotal`, `""` for those that are absent; `None` when one is neither
    /// a whole number nor a yes or no.
    #[must_use]
    pub fn parse(page: &str, per_page: &str, skip_total: &str) -> Option<Self> {
        let per_page = integer(per_page)?;
        Some(Self {
            page: u64::try_from(integer(page)?).unwrap_or(0).max(1),
            per_page: if per_page <= 0 {
                PER_PAGE_DEFAULT
            } else {
                u32::try_from(per_page)
                    .unwrap_or(PER_PAGE_MAX)
                    .min(PER_PAGE_MAX)
            },
            skip_total: flag(skip_total)?,
        })
    }

    /// Rows before the page.
    #[must_use]
    pub fn offset(&self) -> u64 {
        (self.page - 1).saturating_mul(u64::from(self.per_page))
    }

    /// Pages that `total` rows fill.
    #[must_use]
    pub fn pages(&self, total: u64) -> u64 {
        total.div_ceil(u64::from(self.per_page))
    }
}

fn integer(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    text.parse().ok()
}

/// The spellings of yes and no that the contract accepts.
fn flag(text: &str) -> Option<bool> {
    match text {
        "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_numbers_are_clamped_and_words_refused() {
        let page = |page, per_page| Paging::parse(page, per_page, "").map(|p| (p.page, p.per_page));
        assert_eq!(page("", ""), Some((1, 30)));
        assert_eq!(page("-3", "0"), Some((1, 30)));
        assert_eq!(page("7", "5000"), Some((7, 1000)));
        assert_eq!(page("a", ""), None);
        assert_eq!(page("", "1.5"), None);
        let far = Paging::parse("9000000000000000000", "1000", "t").unwrap();
        assert_eq!(far.offset(), u64::MAX);
        assert_eq!(Paging::parse("", "", "yes"), None);
    }
}

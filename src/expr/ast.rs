//! What an expression says before anybody asked whether its names mean something.

use compact_str::CompactString;

/// A parsed expression. Groups are flattened, so that its depth never exceeds the number of comparisons.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expr {
    /// Every part holds.
    All(Vec<Self>),
    /// Some part holds.
    Any(Vec<Self>),
    /// A leaf.
    Compare(Comparison),
}

/// `left op right`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Comparison {
    pub(super) left: Operand,
    pub(super) op: Op,
    /// Written with `?`: one of many values is enough.
    pub(super) any: bool,
    pub(super) right: Operand,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    /// A field path, macro, `@request`, `@collection`, or one of the words `true`, `false`, `null`.
    Path(CompactString),
    /// A number; always a double (contract 4.5).
    Number(f64),
    /// Quoted text, unescaped.
    Text(CompactString),
    /// A call; nesting is bounded by the parser.
    Function(CompactString, Vec<Self>),
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
    NotLike,
}

impl Op {
    /// The operator and its `?` form, from the text between two operands.
    pub(super) fn parse(sign: &str) -> Option<(Self, bool)> {
        let (any, plain) = match sign.strip_prefix('?') {
            Some(rest) => (true, rest),
            None => (false, sign),
        };
        let op = match plain {
            "=" => Self::Eq,
            "!=" => Self::Ne,
            "<" => Self::Lt,
            "<=" => Self::Le,
            ">" => Self::Gt,
            ">=" => Self::Ge,
            "~" => Self::Like,
            "!~" => Self::NotLike,
            _ => return None,
        };
        Some((op, any))
    }
}

//! Tokens -> tree. Brackets are kept on a stack of our own, so that no input can use up the thread's.

use super::ast::{Comparison, Expr, Operand};
use super::catalog::BindError;
use super::lex::{Lexer, Token};
use crate::kit::limits::{
    FILTER_COMPARISONS_MAX, FILTER_DEPTH_MAX, FUNCTION_ARGS_MAX, FUNCTION_DEPTH_MAX,
};

/// Reads a whole expression.
///
/// # Errors
/// When the text is not one, is empty, or passes a limit.
pub(super) fn parse(text: &str) -> Result<Expr, BindError> {
    Parser {
        lexer: Lexer::new(text),
        comparisons: 0,
    }
    .expression()
}

/// Reads a single operand that stands alone: an entry of `sort`.
///
/// # Errors
/// When the text is anything else than one identifier.
pub(super) fn parse_identifier(text: &str) -> Result<String, BindError> {
    let mut lexer = Lexer::new(text);
    match (lexer.next()?, lexer.next()?) {
        (Some(Token::Name(name)), None) => Ok(name.into()),
        _ => Err(BindError(format!("invalid sort field {text:?}"))),
    }
}

fn error(message: &str) -> BindError {
    BindError(message.to_owned())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Join {
    And,
    Or,
}

/// What stands directly before the present place of a level.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    Start,
    Join,
    Comparison,
    Group,
}

/// One pair of brackets under construction: alternatives of conjunctions, since `&&` binds tighter.
struct Level {
    alternatives: Vec<Vec<Expr>>,
    join: Join,
    before: Before,
}

impl Level {
    fn new() -> Self {
        Self {
            alternatives: vec![Vec::new()],
            join: Join::And,
            before: Before::Start,
        }
    }

    fn join(&mut self, join: Join) -> Result<(), BindError> {
        if matches!(self.before, Before::Start | Before::Join) {
            return Err(error("a join operator needs an expression before it"));
        }
        self.join = join;
        self.before = Before::Join;
        Ok(())
    }

    fn add(&mut self, expr: Expr, kind: Before) -> Result<(), BindError> {
        if self.before == Before::Comparison && kind == Before::Comparison {
            return Err(error("missing join operator between two expressions"));
        }
        let first = self.before == Before::Start;
        self.before = kind;
        match self.alternatives.last_mut() {
            Some(last) if first || self.join == Join::And => match expr {
                Expr::All(parts) => last.extend(parts),
                Expr::Any(_) | Expr::Compare(_) => last.push(expr),
            },
            _ => self.alternatives.push(vec![expr]),
        }
        Ok(())
    }

    fn finish(self) -> Result<Expr, BindError> {
        match self.before {
            Before::Start => return Err(error("empty filter expression")),
            Before::Join => return Err(error("a join operator needs an expression after it")),
            Before::Comparison | Before::Group => {}
        }
        let mut any: Vec<Expr> = Vec::with_capacity(self.alternatives.len());
        for mut parts in self.alternatives {
            match (parts.len(), parts.pop()) {
                (1, Some(Expr::Any(inner))) => any.extend(inner),
                (1, Some(only)) => any.push(only),
                (_, Some(last)) => {
                    parts.push(last);
                    any.push(Expr::All(parts));
                }
                (_, None) => {}
            }
        }
        match (any.len(), any.pop()) {
            (1, Some(only)) => Ok(only),
            (_, Some(last)) => {
                any.push(last);
                Ok(Expr::Any(any))
            }
            (_, None) => Err(error("empty filter expression")),
        }
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    comparisons: usize,
}

impl Parser<'_> {
    fn expression(&mut self) -> Result<Expr, BindError> {
        let mut stack: Vec<Level> = Vec::new();
        let mut level = Level::new();
        loop {
            match self.lexer.next()? {
                None => break,
                Some(Token::Open) => {
                    if stack.len() >= FILTER_DEPTH_MAX {
                        return Err(error("too many nested groups"));
                    }
                    stack.push(std::mem::replace(&mut level, Level::new()));
                }
                Some(Token::Close) => {
                    let outer = stack
                        .pop()
                        .ok_or_else(|| error("unexpected closing parenthesis"))?;
                    let group = std::mem::replace(&mut level, outer).finish()?;
                    level.add(group, Before::Group)?;
                }
                Some(Token::And) => level.join(Join::And)?,
                Some(Token::Or) => level.join(Join::Or)?,
                Some(first) => {
                    let comparison = self.comparison(first)?;
                    level.add(comparison, Before::Comparison)?;
                }
            }
        }
        if !stack.is_empty() {
            return Err(error("missing closing parenthesis"));
        }
        level.finish()
    }

    fn comparison(&mut self, first: Token) -> Result<Expr, BindError> {
        self.comparisons += 1;
        if self.comparisons > FILTER_COMPARISONS_MAX {
            return Err(error("too many expressions"));
        }
        let left = self.operand(first, 0)?;
        let Some(Token::Sign(op, any)) = self.lexer.next()? else {
            return Err(error("expected a sign operator after an operand"));
        };
        let right = self
            .lexer
            .next()?
            .ok_or_else(|| error("expected an operand after a sign operator"))?;
        let right = self.operand(right, 0)?;
        Ok(Expr::Compare(Comparison {
            left,
            op,
            any,
            right,
        }))
    }

    /// Recursion is bounded by [`FUNCTION_DEPTH_MAX`].
    fn operand(&mut self, token: Token, depth: usize) -> Result<Operand, BindError> {
        match token {
            Token::Name(name) => Ok(Operand::Path(name)),
            Token::Number(number) => Ok(Operand::Number(number)),
            Token::Text(text) => Ok(Operand::Text(text)),
            Token::Call(name) => {
                if depth >= FUNCTION_DEPTH_MAX {
                    return Err(error("too many nested functions"));
                }
                let args = self.arguments(depth + 1)?;
                Ok(Operand::Function(name, args))
            }
            Token::Sign(..)
            | Token::And
            | Token::Or
            | Token::Open
            | Token::Close
            | Token::Comma => Err(error("expected an operand")),
        }
    }

    fn arguments(&mut self, depth: usize) -> Result<Vec<Operand>, BindError> {
        let unclosed = || error("missing closing parenthesis of a function");
        let mut args = Vec::new();
        let mut token = self.lexer.next()?.ok_or_else(unclosed)?;
        if token == Token::Close {
            return Ok(args);
        }
        loop {
            if args.len() >= FUNCTION_ARGS_MAX {
                return Err(error("too many function arguments"));
            }
            args.push(self.operand(token, depth)?);
            match self.lexer.next()?.ok_or_else(unclosed)? {
                Token::Close => return Ok(args),
                Token::Comma => token = self.lexer.next()?.ok_or_else(unclosed)?,
                _ => return Err(error("expected a comma between function arguments")),
            }
        }
    }
}

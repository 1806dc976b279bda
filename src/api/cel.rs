//! Whether a text is an expression in CEL: its grammar, not its meaning.

/// Deeper nesting than this is given up, as for the parser of CEL itself.
const MAX_DEPTH: u32 = 100;

/// Whether the text is one whole expression.
pub(super) fn is_expression(text: &str) -> bool {
    let Some(tokens) = tokens(text) else { return false };
    let mut reader = Reader { tokens: &tokens, depth: 0 };
    reader.conditional().is_some() && reader.tokens.is_empty()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'t> {
    Name(&'t str),
    Literal,
    Sign(&'t str),
}

fn tokens(mut text: &str) -> Option<Vec<Token<'_>>> {
    let mut all = Vec::new();
    loop {
        text = text.trim_start();
        if text.starts_with("//") {
            text = text.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        let Some(first) = text.chars().next() else { return Some(all) };
        let begins = string(text);
        let (token, len) = if let Begins::String(len) = begins {
            (Token::Literal, len)
        } else if matches!(begins, Begins::Endless) {
            return None;
        } else if first.is_ascii_digit() {
            (Token::Literal, number(text))
        } else if first.is_ascii_alphabetic() || first == '_' {
            let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let len = text.find(|c| !word(c)).unwrap_or(text.len());
            let literal = matches!(&text[..len], "true" | "false" | "null");
            (if literal { Token::Literal } else { Token::Name(&text[..len]) }, len)
        } else {
            const SIGNS: &[&str] = &[
                "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?",
                ":", "(", ")", "[", "]", "{", "}", ".", ",",
            ];
            let sign = SIGNS.iter().find(|sign| text.starts_with(**sign))?;
            (Token::Sign(sign), sign.len())
        };
        all.push(token);
        text = &text[len..];
    }
}

/// What a text begins with.
enum Begins {
    /// A string of this length.
    String(usize),
    /// A string without an end.
    Endless,
    Otherwise,
}

fn string(text: &str) -> Begins {
    let Some(head) = text.find(['"', '\'']).filter(|at| *at <= 2) else { return Begins::Otherwise };
    let prefix = text[..head].to_ascii_lowercase();
    let body = &text[head..];
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    let quote = quotes.into_iter().find(|quote| body.starts_with(quote));
    let (Some(quote), "" | "r" | "b" | "rb" | "br") = (quote, prefix.as_str()) else {
        return Begins::Otherwise;
    };
    let mut at = quote.len();
    while let Some(c) = body.get(at..).and_then(|rest| rest.chars().next()) {
        if body[at..].starts_with(quote) {
            return Begins::String(head + at + quote.len());
        }
        if c == '\n' && quote.len() == 1 {
            break;
        }
        at += c.len_utf8();
        if c == '\\' && !prefix.contains('r') {
            at += body.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        }
    }
    Begins::Endless
}

fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize, hex: bool| {
        let is_digit = |b: &u8| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
        bytes[from.min(bytes.len())..].iter().take_while(|b| is_digit(b)).count()
    };
    if text.starts_with("0x") || text.starts_with("0X") {
        let len = 2 + digits(2, true);
        return len + usize::from(matches!(bytes.get(len), Some(b'u' | b'U')));
    }
    let mut len = digits(0, false);
    if bytes.get(len) == Some(&b'.') && digits(len + 1, false) > 0 {
        len += 1 + digits(len + 1, false);
    }
    if matches!(bytes.get(len), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(len + 1), Some(b'+' | b'-')));
        let exponent = digits(len + 1 + sign, false);
        len += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    len + usize::from(matches!(bytes.get(len), Some(b'u' | b'U')))
}

struct Reader<'r, 't> {
    tokens: &'r [Token<'t>],
    depth: u32,
}

impl<'t> Reader<'_, 't> {
    fn next(&mut self) -> Option<Token<'t>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(*first)
    }

    fn take(&mut self, sign: &str) -> bool {
        let is_it = self.tokens.first() == Some(&Token::Sign(sign));
        if is_it {
            self.next();
        }
        is_it
    }

    fn conditional(&mut self) -> Option<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        self.binary()?;
        if self.take("?") {
            self.binary()?;
            self.take(":").then_some(())?;
            self.conditional()?;
        }
        self.depth -= 1;
        Some(())
    }

    /// Operators of two sides; their precedence does not matter here.
    fn binary(&mut self) -> Option<()> {
        const SIGNS: &[&str] =
            &["||", "&&", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%"];
        loop {
            self.unary()?;
            let is_in = self.tokens.first() == Some(&Token::Name("in"));
            if is_in {
                self.next();
            } else if !SIGNS.iter().any(|sign| self.take(sign)) {
                return Some(());
            }
        }
    }

    fn unary(&mut self) -> Option<()> {
        while self.take("!") || self.take("-") {}
        self.primary()?;
        loop {
            if self.take(".") {
                let Token::Name(_) = self.next()? else { return None };
                if self.take("(") {
                    self.list(")")?;
                }
            } else if self.take("[") {
                self.conditional()?;
                self.take("]").then_some(())?;
            } else if self.take("{") {
                self.pairs()?;
            } else {
                return Some(());
            }
        }
    }

    fn primary(&mut self) -> Option<()> {
        self.take(".");
        match self.next()? {
            Token::Name("in") => None,
            Token::Name(_) if self.take("(") => self.list(")"),
            Token::Literal | Token::Name(_) => Some(()),
            Token::Sign("(") => {
                self.conditional()?;
                self.take(")").then_some(())
            }
            Token::Sign("[") => self.list("]"),
            Token::Sign("{") => self.pairs(),
            Token::Sign(_) => None,
        }
    }

    /// Expressions with commas between, up to the closing sign; one comma may end them.
    fn list(&mut self, close: &str) -> Option<()> {
        while !self.take(close) {
            self.conditional()?;
            if !self.take(",") {
                return self.take(close).then_some(());
            }
        }
        Some(())
    }

    fn pairs(&mut self) -> Option<()> {
        while !self.take("}") {
            self.conditional()?;
            self.take(":").then_some(())?;
            self.conditional()?;
            if !self.take(",") {
                return self.take("}").then_some(());
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_expression;

    #[test]
    fn expressions_are_told_from_other_texts() {
        for good in [
            "response.code >= 400",
            "!has(request.headers['x-id']) || size(a) in [1, 2u, 0x1F]",
            "a ? b : {'k': 1.5e3,}",
            "xds.cluster_name.startsWith(\"a\\\"\") // why",
            "a.b.C{x: -1}",
        ] {
            assert!(is_expression(good), "{good}");
        }
        for bad in ["", "response.code >= ", "a b", "(a", "'a", "a ? b", "a = b", "1 +* 2", "a."] {
            assert!(!is_expression(bad), "{bad}");
        }
    }
}

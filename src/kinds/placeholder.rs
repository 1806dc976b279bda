//! Values that a pipeline or a person is still to fill in.

/// Whether a value is still to be filled in, by a pipeline (`${NAME}`, `$NAME`, `$(NAME)`, `{{ name }}`,
/// `#{NAME}#`, `((name))`, `<name>`, `@name@`, `%NAME%`, `__NAME__`, `net{name}`) or by a person (`TODO`,
/// `REPLACE_ME`). Quotes around it do not count.
pub fn is_placeholder(value: &str) -> bool {
    // Most values are told apart at a glance: each of those forms has one of these bytes.
    if !value.bytes().any(|b| b.is_ascii_uppercase() || b"${(<@%_".contains(&b)) {
        return false;
    }
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    // A `%` inside is Envoy's: `%%` is one percent sign, and `%REQ(a)% %REQ(b)%` two commands.
    let within = |(open, close): &(&str, &str)| {
        value
            .strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|name| !name.is_empty() && !name.contains('%'))
    };
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    // A name that a script makes; paths and regular expressions have braces of their own.
    let is_made = || {
        let of_a_name = |c: char| c.is_ascii_alphanumeric() || "-_.{}".contains(c);
        let (_, rest) = value.split_once('{').filter(|_| value.chars().all(of_a_name))?;
        rest.split_once('}').map(|(name, _)| is_name(name))
    };
    ["${", "$(", "{{", "#{"].iter().any(|mark| value.contains(mark))
        || is_made() == Some(true)
        || [("<", ">"), ("((", "))"), ("@", "@"), ("%", "%"), ("__", "__")].iter().any(within)
        || value.strip_prefix('$').is_some_and(is_name)
        || ["TODO", "TBD", "FIXME", "CHANGEME", "REPLACEME", "PLACEHOLDER"].contains(&value)
        || ["REPLACE_", "CHANGE_", "PLACEHOLDER_"].iter().any(|start| value.starts_with(start))
        || value.ends_with("_PLACEHOLDER")
}

/// Whether two values can turn out to be one: they are, or either is still to be filled in.
pub fn may_be(one: &str, other: &str) -> bool {
    one == other || is_placeholder(one) || is_placeholder(other)
}

#[cfg(test)]
mod tests {
    use super::is_placeholder;

    #[test]
    fn what_is_still_to_be_filled_in() {
        let open = [
            "${REPLICAS}",
            "$REPLICAS",
            "$(REPLICAS)",
            "{{ .Values.replicas }}",
            "((replicas))",
            "<replicas>",
            "\"<replicas>\"",
            "'$REPLICAS'",
            "@replicas@",
            "#{replicas}#",
            "%replicas%",
            "__REPLICAS__",
            "network{i}",
            "REPLACE_ME",
            "CHANGE_ME",
            "TODO",
            "X_PLACEHOLDER",
        ];
        assert_eq!(open.into_iter().filter(|text| !is_placeholder(text)).count(), 0);
        let told = [
            "3",
            "",
            "three",
            "$",
            "$5",
            "us-east-1",
            "__",
            "@",
            "a@b",
            "todo",
            "\"\"",
            "5%",
            "%START_TIME%%",
            "a{2,3}",
            "/api/{id}",
        ];
        assert_eq!(told.into_iter().filter(|text| is_placeholder(text)).count(), 0);
    }
}

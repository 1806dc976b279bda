//! What a port speaks, as Istio reads it from a Service. Source: `pkg/config/kube/conversion.go`.

use crate::api::PROTOCOLS;
use crate::kinds::core::ServicePort;

/// The protocol that a port of a Service is told to speak, by its `appProtocol` or else its name; `None`
/// where istiod has to find out from the first bytes.
pub fn protocol_of(port: &ServicePort) -> Option<&'static str> {
    if port.protocol.as_ref().is_some_and(|protocol| protocol.eq_ignore_ascii_case("UDP")) {
        return Some("udp");
    }
    let told = port.app_protocol.as_ref().or(port.name.as_ref()).map_or("", |text| text.as_str());
    if let Some(known) = protocol_called(told) {
        return Some(known);
    }
    // Servers of these protocols speak first, so that nothing can be found out.
    let number = port.port.as_ref().map(|number| number.value);
    matches!(number, Some(25 | 53 | 3306 | 27017)).then_some("tcp")
}

/// The protocol that a word tells: `http`, `http-web`, `kubernetes.io/h2c`.
pub fn protocol_called(word: &str) -> Option<&'static str> {
    match word {
        "kubernetes.io/h2c" => return Some("http2"),
        "kubernetes.io/ws" | "kubernetes.io/wss" => return Some("http"),
        _ => {}
    }
    let word = word.to_ascii_lowercase();
    if word.starts_with("grpc-web") {
        return Some("grpc-web");
    }
    let first = word.split('-').next().unwrap_or_default();
    PROTOCOLS.iter().copied().find(|known| *known == first)
}

#[cfg(test)]
mod tests {
    use super::protocol_called;

    #[test]
    fn a_word_tells_a_protocol() {
        assert_eq!(protocol_called("HTTP-web"), Some("http"));
        assert_eq!(protocol_called("grpc-web-x"), Some("grpc-web"));
        assert_eq!(protocol_called("mysql-anything"), Some("mysql"));
        assert_eq!(protocol_called("web-http"), None);
        assert_eq!(protocol_called(""), None);
    }
}

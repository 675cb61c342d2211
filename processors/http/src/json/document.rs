//! The description of the API, which is the contract.

/// The description, OpenAPI 3.1.
pub const DOCUMENT: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, Method};
    use serde_json::Value;

    use super::super::operation::Operation;
    use super::super::problem::{Problem, Word};
    use super::super::pull::{Check, Events, Pull};
    use super::super::single::{read_reply, read_request, read_single};
    use super::*;

    /// Reads the request of an operation that has that query and those headers.
    type Read = fn(Option<&str>, &HeaderMap) -> Result<(), Problem>;

    const READERS: [(&str, Read); 6] = [
        ("sendMessage", |query, headers| {
            read_single(query, headers, Bytes::new()).map(drop)
        }),
        ("sendRequest", |query, headers| {
            read_request(query, headers, Bytes::new()).map(drop)
        }),
        ("sendReply", |query, headers| {
            read_reply(query, headers, Bytes::new()).map(drop)
        }),
        ("pullMessages", |query, _| Pull::read(query, b"").map(drop)),
        ("streamMessages", |query, _| Events::read(query).map(drop)),
        ("checkTransactions", |query, _| {
            Check::read(query, b"").map(drop)
        }),
    ];

    fn document() -> Value {
        serde_json::from_str(DOCUMENT).unwrap()
    }

    /// Follows a reference.
    fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(path) => document.pointer(path.strip_prefix('#').unwrap()).unwrap(),
            None => value,
        }
    }

    fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
        value.as_object().unwrap().iter()
    }

    /// Each operation with its path and method.
    fn operations(document: &Value) -> Vec<(&str, Method, &Value)> {
        let paths = members(&document["paths"]);
        let operations = paths.flat_map(|(path, item)| {
            let methods = members(item).filter(|(name, _)| *name != "parameters");
            methods.map(|(method, operation)| {
                let method = method.to_uppercase().parse().unwrap();
                (path.as_str(), method, operation)
            })
        });
        operations.collect()
    }

    #[test]
    fn each_operation_has_its_path() {
        let document = document();
        let mut names = Vec::new();
        for (path, method, operation) in operations(&document) {
            let path = path.replace(['{', '}'], "");
            let found = Operation::at(&path).unwrap();
            assert_eq!(found.check_method(&method), Ok(()), "{path}");
            names.push(found.name());
            for member in ["operationId", "summary", "description", "tags"] {
                assert!(operation.get(member).is_some(), "{path} {member}");
            }
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 14, "{names:?}");
    }

    #[test]
    fn each_problem_is_described() {
        let document = document();
        let codes = &document["components"]["schemas"]["ProblemCode"]["description"];
        let codes = codes.as_str().unwrap();
        let listed = codes.lines().filter(|line| line.starts_with("- `")).count();
        assert_eq!(listed, Word::ALL.len());
        for word in Word::ALL {
            let line = format!("- `{}` ({}): ", word.text(), word.status());
            assert!(codes.contains(&line), "{line}");
        }
    }

    #[test]
    fn each_parameter_is_read() {
        let document = document();
        for (id, read) in READERS {
            let mut operations = operations(&document).into_iter();
            let found = operations.find(|(.., operation)| operation["operationId"] == id);
            let (.., operation) = found.unwrap();
            let parameters = operation["parameters"].as_array().unwrap();
            let (mut query, mut headers) = (String::new(), HeaderMap::new());
            for parameter in parameters {
                let parameter = resolved(&document, parameter);
                let name = parameter["name"].as_str().unwrap();
                match parameter["in"].as_str().unwrap() {
                    "query" => query = format!("{query}{name}=&"),
                    _ => {
                        let name: http::HeaderName = name.parse().unwrap();
                        drop(headers.insert(name, "".parse().unwrap()));
                    }
                }
            }
            let is_unknown = |result: Result<(), Problem>| {
                result.is_err_and(|problem| problem.detail.contains("is unknown"))
            };
            // A wrong value is no unknown parameter.
            assert!(!is_unknown(read(Some(&query), &HeaderMap::new())), "{id}");
            assert!(!is_unknown(read(None, &headers)), "{id}");
            assert!(is_unknown(read(Some("x="), &HeaderMap::new())), "{id}");
            // And none that is read is missing.
            let known = read(Some("x="), &HeaderMap::new()).unwrap_err();
            let known = known.detail.rsplit_once(" has ").unwrap().1;
            for name in known.split(", ") {
                assert!(query.contains(&format!("{name}=&")), "{id} {name}");
            }
        }
    }

    #[test]
    fn references_lead_somewhere() {
        fn visit(document: &Value, value: &Value) {
            resolved(document, value);
            match value {
                Value::Object(members) => members.values().for_each(|value| visit(document, value)),
                Value::Array(items) => items.iter().for_each(|value| visit(document, value)),
                _ => {}
            }
        }
        let document = document();
        visit(&document, &document);
    }
}
